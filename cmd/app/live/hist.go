package live

import (
	"math"
	"math/bits"
	"time"
)

// A hist counts durations in whole microseconds: exactly below 32, above that
// in sixteen equal parts of each power of two. A quantile is the middle of its
// part, so it is off by at most one in 32. 384 parts reach to 134 seconds;
// anything longer counts as the longest.
//
// The HDR histogram of the load tools does the same at ten times the size; a
// ring of seconds with two each would not fit a cache.
type hist struct {
	parts [histParts]uint32
	total uint32
	low   uint16 // no part below it was ever counted in
	high  uint16 // nor one at or above it
}

const (
	histSubBits = 4
	histSub     = 1 << histSubBits
	histParts   = 24 * histSub
	histFull    = 1 << 31
)

// partOf returns the part that d is counted in.
func partOf(d time.Duration) int {
	us := uint64(max(d, 0) / time.Microsecond)
	if us < histSub {
		return int(us)
	}
	shift := bits.Len64(us) - histSubBits - 1
	return min(shift*histSub+int(us>>shift), histParts-1)
}

// middleOf returns the duration that stands for part i.
func middleOf(i int) time.Duration {
	if i < 2*histSub {
		return time.Duration(i) * time.Microsecond
	}
	shift := i/histSub - 1
	least := uint64(histSub+i%histSub) << shift
	return time.Duration(least+(1<<shift-1)/2) * time.Microsecond
}

func (h *hist) add(d time.Duration) {
	i := partOf(d)
	h.widen(uint16(i), uint16(i+1))
	h.parts[i]++
	h.total++
	if h.total == histFull {
		h.halve()
	}
}

func (h *hist) widen(low, high uint16) {
	if h.total == 0 {
		h.low, h.high = low, high
		return
	}
	h.low, h.high = min(h.low, low), max(h.high, high)
}

// halve keeps the counts from overflowing after two thousand million; what is old then weighs half.
func (h *hist) halve() {
	h.total = 0
	for i := range h.parts {
		h.parts[i] /= 2
		h.total += h.parts[i]
	}
}

// merge adds what other counted, which must be far from full together with h.
func (h *hist) merge(other *hist) {
	if other.total == 0 {
		return
	}
	h.widen(other.low, other.high)
	for i := other.low; i < other.high; i++ {
		h.parts[i] += other.parts[i]
	}
	h.total += other.total
}

// noTime is the quantile of nothing.
const noTime time.Duration = -1

// quantile returns the least duration that at least q of those counted do not pass, or noTime if none was.
func (h *hist) quantile(q float64) time.Duration {
	if h.total == 0 {
		return noTime
	}
	rank := max(uint64(math.Ceil(q*float64(h.total)-1e-9)), 1)
	var seen uint64
	for i := int(h.low); i < int(h.high); i++ {
		if seen += uint64(h.parts[i]); seen >= rank {
			return middleOf(i)
		}
	}
	return middleOf(int(h.high) - 1)
}

// Latency is how long something took: the middle and the slow end. Negative: nothing was measured.
type Latency struct {
	P50 time.Duration
	P99 time.Duration
}

func (h *hist) latency() Latency { return Latency{P50: h.quantile(0.50), P99: h.quantile(0.99)} }
