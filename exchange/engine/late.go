package engine

import (
	"sync/atomic"
	"time"
)

// Of the lateness.
const (
	lateStep     = time.Millisecond       // how much one late auction adds at most
	lateHalves   = time.Second            // how long it takes to forget half, if nobody asks
	lateQuantile = 100                    // one in so many auctions may be later
	lateMost     = 500 * time.Millisecond // a bound on what is kept; what is used is bounded by the window
)

// lateness is by how much auctions miss the end of their bidding: the time from
// the deadline of the bids until the answer is ready, which one in lateQuantile
// exceeds. It is nothing while processors are free. Once they are not, a
// deadline is noticed late and what follows waits for a processor, so bidding
// must end that much earlier if the answer is to be in time.
//
// It is a running quantile that climbs by a step for each that was later, and
// sinks by a hundredth of it for each that was not: one stall of the machine,
// which a maximum would remember, hardly moves it. All fields are atomic; two
// that note at the same time may lose a step, which is as good as a step less.
type lateness struct {
	by atomic.Int64 // nanoseconds
	at atomic.Int64 // Unix nanoseconds: when by was last halved
}

// note counts an auction that was ready at now, over after its bids' deadline.
func (l *lateness) note(now time.Time, over time.Duration) {
	by := l.by.Load()
	if by == 0 && over <= 0 {
		return // nearly always
	}
	if at := l.at.Load(); (now.UnixNano()-at >= int64(lateHalves) || now.UnixNano() < at) && l.at.CompareAndSwap(at, now.UnixNano()) {
		by /= 2
	}
	if step := int64(lateStep); over > time.Duration(by) {
		by += min(step, int64(over)-by)
	} else {
		by -= step / (lateQuantile - 1)
	}
	l.by.Store(min(max(by, 0), int64(lateMost)))
}

// now returns by how much auctions are late.
func (l *lateness) now() time.Duration { return time.Duration(l.by.Load()) }
