package gate

import (
	"time"

	"vendue/exchange"
)

// The breaker's terms: of at least leastAsked pings that ended within the
// window, a share of openAt are faults.
const (
	bucketSpan  = 5 * time.Second
	bucketCount = 6 // a window of 30 s
	leastAsked  = 20
	openAtPct   = 15
	openFirst   = 5 * time.Second
	openMost    = time.Minute
	probesGood  = 3 // in a row, and the breaker closes
)

// Phase is how a breaker stands.
type Phase uint8

// The phases. PhaseHalfOpen lets one probe through at a time.
const (
	PhaseClosed Phase = iota
	PhaseOpen
	PhaseHalfOpen
)

var phaseWords = [...]string{"closed", "open", "half_open"}

// String returns the phase's word.
func (p Phase) String() string { return phaseWords[p] }

// breaker is closed until too many pings fail, then open for a while, then
// half open: one ping at a time goes out to see, and after a few good ones in a row
// it is closed again. A probe that fails opens it for twice as long as before, up to a minute.
//
// Pings that were cut short, which the buyer may have been about to answer, are in doubt
// until one that had longer tells: not answered either, they were faults too; answered late, they were none.
type breaker struct {
	buckets [bucketCount]struct {
		at            int64 // number of its span since the epoch
		asked, faults int
		doubts        int
	}
	until   time.Time // open; zero: closed
	span    time.Duration
	good    int
	probing bool
	opens   int64
}

func (b *breaker) phase(now time.Time) Phase {
	switch {
	case b.until.IsZero():
		return PhaseClosed
	case now.Before(b.until):
		return PhaseOpen
	}
	return PhaseHalfOpen
}

// admit tells whether a ping may go, and whether it is the probe.
func (b *breaker) admit(now time.Time) (probe bool, stop exchange.Reason) {
	switch b.phase(now) {
	case PhaseClosed:
		return false, exchange.ReasonNone
	case PhaseHalfOpen:
		if !b.probing {
			b.probing = true
			return true, exchange.ReasonNone
		}
	}
	return false, exchange.ReasonBreaker
}

// back takes note that a ping came to nothing that the breaker could learn from.
func (b *breaker) back(probe bool) {
	if probe {
		b.probing = false
	}
}

// ended counts an answer or a fault.
func (b *breaker) ended(probe, fault bool, now time.Time) {
	if probe {
		b.probing = false
		b.probed(fault, now)
		return
	}
	if b.phase(now) != PhaseClosed {
		return // asked before it opened
	}
	at := b.turn(now)
	b.buckets[at].asked++
	if !fault {
		return
	}
	b.buckets[at].faults++
	if asked, faults := b.sums(now); asked >= leastAsked && faults*100 >= asked*openAtPct {
		b.open(now, openFirst)
	}
}

// turn returns the place of the bucket that counts now.
func (b *breaker) turn(now time.Time) int64 {
	number := now.UnixNano() / int64(bucketSpan)
	at := number % bucketCount
	if k := &b.buckets[at]; k.at != number {
		k.at, k.asked, k.faults, k.doubts = number, 0, 0, 0
	}
	return at
}

// doubt counts a ping that was cut short.
func (b *breaker) doubt(probe bool, now time.Time) {
	if b.back(probe); b.phase(now) == PhaseClosed {
		b.buckets[b.turn(now)].doubts++
	}
}

// judge ends the doubts: the pings cut short within the window were faults, or none.
func (b *breaker) judge(faults bool, now time.Time) {
	oldest := now.UnixNano()/int64(bucketSpan) - bucketCount
	for i := range b.buckets {
		k := &b.buckets[i]
		if faults && k.at > oldest {
			k.asked, k.faults = k.asked+k.doubts, k.faults+k.doubts
		}
		k.doubts = 0
	}
}

func (b *breaker) probed(fault bool, now time.Time) {
	if fault {
		b.open(now, min(2*b.span, openMost))
		return
	}
	if b.good++; b.good < probesGood {
		return
	}
	b.until = time.Time{}
	clear(b.buckets[:])
}

func (b *breaker) open(now time.Time, span time.Duration) {
	if b.until.IsZero() {
		b.opens++
	}
	b.span, b.until, b.good = span, now.Add(span), 0
}

// sums returns what ended within the window.
func (b *breaker) sums(now time.Time) (asked, faults int) {
	number := now.UnixNano() / int64(bucketSpan)
	for i := range b.buckets {
		if k := &b.buckets[i]; k.at > number-bucketCount && k.at <= number {
			asked, faults = asked+k.asked, faults+k.faults
		}
	}
	return asked, faults
}
