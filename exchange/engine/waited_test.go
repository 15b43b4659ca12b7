package engine

import (
	"testing"
	"time"

	"vendue/exchange"
)

// A request that the machine looked at late is sold if half of the time for its bids is left, and may come again if it is not.
func TestWhoWaitedForHalfTheWindowMayComeAgain(t *testing.T) {
	w := newWorld(t, `
	seller s
	campaign c seller=s margin=20%
	buyer a
	contract c1 buyer=a bid=20
	tier auction c1`)
	e, err := openEngine(t, newDisk(), w.market, w.buyers, nil)
	if err != nil {
		t.Fatal(err)
	}
	window := e.Snapshot().Market.Campaigns["c"].Window
	for _, c := range []struct {
		name            string
		waited, maxWait time.Duration
		overloaded      bool
	}{
		{"not at all", 0, 0, false},
		{"a third of its window", window / 3, 0, false},
		{"most of its window", window * 2 / 3, 0, true},
		{"a third of the window, of which the seller wants to wait half", window / 3, window / 2, true},
		{"longer than its window", window * 2, 0, true},
	} {
		d := directOf(e, c.name, "key of "+c.name)
		d.Waited, d.MaxWait, d.Arrival = c.waited, c.maxWait, d.Arrival.Add(-c.waited)
		ping := d.PingRequest
		if got := e.Ping(&ping).Reason == exchange.ReasonOverloaded; got != c.overloaded {
			t.Errorf("a ping that waited %s: overloaded %t", c.name, got)
		}
		a := e.Direct(d)
		if got := a.Fault == FaultReason && a.Reason == exchange.ReasonOverloaded; got != c.overloaded {
			t.Errorf("a direct that waited %s: overloaded %t; %+v", c.name, got, a)
		}
		again := directOf(e, c.name, "key of "+c.name)
		if a := e.Direct(again); a.View.Status != exchange.LeadSold {
			t.Errorf("a direct that had waited %s, again: %s", c.name, a.View.Status)
		}
	}
	if late := e.late.now(); late > 0 {
		t.Errorf("nobody's bidding was held too long, and it ends %s earlier", late)
	}
}
