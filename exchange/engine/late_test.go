package engine

import (
	"testing"
	"time"

	"vendue/exchange"
)

// One auction in a hundred that is late moves nothing much; when most are, bidding
// ends that much earlier, by at most a quarter of the window; and it is forgotten.
func TestLatenessFollowsWhatMostAuctionsMeet(t *testing.T) {
	var e Engine
	e.cfg.Reserve = 5 * time.Millisecond
	begin := time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC)
	now := begin
	meet := func(n, late int, over time.Duration) {
		for i := range n {
			now = now.Add(time.Millisecond)
			if i%100 < late {
				e.late.note(now, over)
			} else {
				e.late.note(now, -100*time.Millisecond)
			}
		}
	}
	wait := func(most time.Duration) time.Duration {
		return e.bidDeadline(&exchange.Campaign{Window: 250 * time.Millisecond}, begin, most).Sub(begin)
	}
	meet(1000, 0, 0)
	if got := wait(0); got != 245*time.Millisecond {
		t.Errorf("nobody was late, and bids have %s of 250ms", got)
	}
	meet(5000, 1, 80*time.Millisecond)
	if got := wait(0); got < 243*time.Millisecond {
		t.Errorf("one in a hundred was late, and bids have %s of 250ms", got)
	}
	meet(500, 50, 30*time.Millisecond)
	if got := wait(0); got < 214*time.Millisecond || got > 216*time.Millisecond {
		t.Errorf("half were late by 30ms, and bids have %s of 250ms", got)
	}
	meet(2000, 90, time.Hour)
	if got := wait(0); got != 250*time.Millisecond-5*time.Millisecond-62500*time.Microsecond {
		t.Errorf("all were very late, and bids have %s of 250ms", got)
	}
	if got := wait(8 * time.Millisecond); got != 4*time.Millisecond {
		t.Errorf("all were very late, and bids have %s of 8ms", got)
	}
	for range 30 {
		now = now.Add(time.Minute)
		e.late.note(now, -time.Second)
	}
	if got := wait(0); got != 245*time.Millisecond {
		t.Errorf("nobody was late for half an hour, and bids have %s of 250ms", got)
	}
}

// A clock that was set back does not keep what is forgotten by time.
func TestLatenessIsForgottenAfterTheClockWasSetBack(t *testing.T) {
	var l lateness
	now := time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC)
	for range 100 {
		l.note(now, 50*time.Millisecond)
	}
	was := l.now()
	if l.note(now.Add(-time.Hour), -time.Second); l.now() > was/2 {
		t.Errorf("%s of %s is left", l.now(), was)
	}
}
