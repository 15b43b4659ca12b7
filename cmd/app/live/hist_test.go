package live

import (
	"math"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// TestPartsCoverTime walks every part: each begins where the last one ends, and its middle is counted in it.
func TestPartsCoverTime(t *testing.T) {
	for i := range histParts {
		if got := partOf(middleOf(i)); got != i {
			t.Errorf("the middle of part %d, %v, is counted in part %d", i, middleOf(i), got)
		}
	}
	last := 0
	for us := 0; us < 200_000; us++ {
		i := partOf(time.Duration(us) * time.Microsecond)
		if i != last && i != last+1 {
			t.Fatalf("%d us is counted in part %d after part %d", us, i, last)
		}
		last = i
	}
	for _, d := range []time.Duration{-time.Second, 0} {
		if partOf(d) != 0 {
			t.Errorf("%v is counted in part %d, expected the first", d, partOf(d))
		}
	}
	if partOf(math.MaxInt64) != histParts-1 {
		t.Errorf("the longest duration is counted in part %d, expected the last", partOf(math.MaxInt64))
	}
}

// TestQuantilesAgainstSorted holds the estimate to the error the type states, whole or merged of two.
func TestQuantilesAgainstSorted(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		values := rapid.SliceOfN(rapid.Int64Range(0, 120_000_000), 1, 300).Draw(t, "us")
		q := rapid.SampledFrom([]float64{0, 0.5, 0.95, 0.99, 1}).Draw(t, "q")
		var whole, odd, merged hist
		for i, us := range values {
			d := time.Duration(us) * time.Microsecond
			whole.add(d)
			if i%2 == 1 {
				odd.add(d)
			} else {
				merged.add(d)
			}
		}
		merged.merge(&odd)
		slices.Sort(values)
		rank := max(int(math.Ceil(q*float64(len(values))-1e-9)), 1)
		want := time.Duration(values[rank-1]) * time.Microsecond
		got := whole.quantile(q)
		if off := (got - want).Abs(); off > want/32 {
			t.Fatalf("quantile %v of %d values: %v, expected %v within a 32nd", q, len(values), got, want)
		}
		if merged != whole {
			t.Fatalf("two halves merged are not the whole")
		}
	})
}

func TestQuantileOfNothing(t *testing.T) {
	var h, other hist
	h.merge(&other)
	if got := h.latency(); got != (Latency{P50: noTime, P99: noTime}) {
		t.Errorf("latency of nothing: %v", got)
	}
}

// TestFullHistHalves fills one part to the brim: the next count must not overflow it, and the quantile stays.
func TestFullHistHalves(t *testing.T) {
	var h hist
	h.add(time.Millisecond)
	h.parts[partOf(time.Millisecond)], h.total = histFull-1, histFull-1
	h.add(time.Millisecond)
	if h.total != histFull/2 || h.parts[partOf(time.Millisecond)] != histFull/2 {
		t.Errorf("a full histogram holds %d, expected half of %d", h.total, histFull)
	}
	if got := h.quantile(0.99); (got - time.Millisecond).Abs() > time.Millisecond/32 {
		t.Errorf("quantile after halving: %v", got)
	}
}
