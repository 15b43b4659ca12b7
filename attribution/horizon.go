package attribution

import (
	"time"

	"vendue/exchange"
)

const (
	day = 24 * time.Hour
	// clicksKept is how long a click can be found at least. It is longer where an offer's windows are.
	clicksKept = 90 * day
	// windowSecMax keeps a window's arithmetic far from overflow: 100 years.
	windowSecMax = 100 * 365 * 24 * 60 * 60
)

// advance lets the clicks of one more day leave, with the events that named
// them, once they are older than any window that stands. It goes by the
// journal's own time, at most a day with each event, so that one entry of a
// clock gone wrong does not empty the house.
func (f *fold) advance(at int64) {
	target := time.Unix(0, at).Truncate(day).UnixMilli() - f.keeps().Milliseconds()
	switch {
	case f.horizon == 0:
		f.horizon = target
	case target > f.horizon:
		next := min(target, f.horizon+day.Milliseconds())
		for _, prefix := range [...]string{prefixClick, prefixAwaited, prefixTold} {
			f.view.delRange(madeBefore(prefix, f.horizon), madeBefore(prefix, next))
		}
		f.horizon = next
	}
}

// keeps is how long clicks are kept under the terms in force.
func (f *fold) keeps() time.Duration {
	most := clicksKept
	for _, t := range f.terms {
		window := min(max(t.windowSec, t.rules.ViewSec)+t.rules.ConfirmSec, windowSecMax)
		// A day more: the last day's clicks leave with its first.
		most = max(most, time.Duration(window)*time.Second+day)
	}
	return most.Truncate(day)
}

// gone tells whether a click is so old that it has left, or should have.
func (f *fold) gone(id exchange.ClickID) bool { return id.Time().UnixMilli() < f.horizon }
