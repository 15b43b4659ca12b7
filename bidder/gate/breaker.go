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
type breaker struct {
	buckets [bucketCount]struct {
		at            int64 // number of its span since the epoch
		asked, faults int
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
	number := now.UnixNano() / int64(bucketSpan)
	k := &b.buckets[number%bucketCount]
	if k.at != number {
		k.at, k.asked, k.faults = number, 0, 0
	}
	k.asked++
	if !fault {
		return
	}
	k.faults++
	if asked, faults := b.sums(now); asked >= leastAsked && faults*100 >= asked*openAtPct {
		b.open(now, openFirst)
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
