package attribution

import (
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"vendue/attribution/internal/fake"
	"vendue/attribution/reconcile"
	"vendue/exchange"
)

// counted counts the decisions that are read.
type counted struct {
	*fake.Space
	read int
}

func (c *counted) Scan(lo, hi []byte, fn func(k, v []byte) (bool, error)) error {
	return c.Space.Scan(lo, hi, func(k, v []byte) (bool, error) {
		if string(k[:1]) == prefixSale {
			c.read++
		}
		return fn(k, v)
	})
}

// sold follows a journal of leads that an affiliate is named in, each sold a moment after it came. A lead of late is in
// doubt until then, and its sale counts where it was posted.
func sold(t testing.TB, times []time.Time, late map[int]time.Time) (*Attribution, *counted) {
	t.Helper()
	j, m := fake.NewJournal(), fake.NewMinter()
	j.Append(times[0].UnixNano(), &exchange.OfferSet{Offer: "auto", Model: exchange.LastTouch, WindowSec: 1 << 20,
		Commission: exchange.Commission{Rate: 250_000, Of: exchange.OfPayout, PaidBy: exchange.PaidBySeller}})
	for i, at := range times {
		lead := m.Lead(at)
		j.Append(at.UnixNano(), &exchange.PostStarted{LeadID: lead, Attempt: 1, Buyer: "acme", Bid: 20_000_000, Payout: 16_000_000,
			Lead: &exchange.LeadFacts{Seller: "north", Currency: "USD", Source: exchange.SourceFacts{Affiliate: "blog"}}})
		end := &exchange.PostEnded{LeadID: lead, Attempt: 1, Outcome: exchange.OutcomeAccepted, Status: exchange.LeadSold}
		settled, doubtful := late[i]
		if doubtful {
			end.Outcome, end.Status = exchange.OutcomeUnknown, exchange.LeadPending
		}
		j.Append(at.Add(time.Second).UnixNano(), end)
		if doubtful {
			j.Append(settled.UnixNano(), &exchange.LegSettled{LeadID: lead, Attempt: 1, Accepted: true, By: exchange.SettledByOperator, Status: exchange.LeadSold})
		}
	}
	space := &counted{Space: fake.NewSpace()}
	a := newRoom(t, j, space)
	for {
		if n, err := a.step(batchMax); err != nil {
			t.Fatal(err)
		} else if n == 0 {
			return a, space
		}
	}
}

// between asks for a window, and picks it from all there is.
func between(t testing.TB, a *Attribution, from, until time.Time) (asked, picked []reconcile.Ours) {
	t.Helper()
	asked, err := a.Conversions(ConversionQuery{Affiliate: "blog", From: from, Until: until})
	if err != nil {
		t.Fatal(err)
	}
	all, err := a.Conversions(ConversionQuery{Affiliate: "blog", Until: epoch.AddDate(100, 0, 0)})
	if err != nil {
		t.Fatal(err)
	}
	for _, o := range all {
		if !o.At.Before(from) && o.At.Before(until) {
			picked = append(picked, o)
		}
	}
	return asked, picked
}

// TestAWindowIsReadFromItsBeginning has a sale every hour for a hundred days, and asks for one of the last.
func TestAWindowIsReadFromItsBeginning(t *testing.T) {
	var times []time.Time
	for i := range 100 * 24 {
		times = append(times, epoch.Add(time.Duration(i)*time.Hour))
	}
	a, space := sold(t, times, nil)
	for _, c := range []struct{ from, days, want, most int }{
		{90, 1, 24, 12 * 24},   // from a day before it to the end
		{0, 1, 24, 100 * 24},   // from the first
		{99, 30, 24, 3 * 24},   // beyond the end
		{-30, 10, 0, 100 * 24}, // before there was anything
		{130, 30, 0, 100 * 24}, // after it all: there is no place to be sure of
		{-1000, 2000, 2400, 100 * 24},
	} {
		space.read = 0
		from := epoch.AddDate(0, 0, c.from)
		list, err := a.Conversions(ConversionQuery{Affiliate: "blog", From: from, Until: from.AddDate(0, 0, c.days)})
		if err != nil || len(list) != c.want || space.read > c.most || c.from == 90 && space.read < 10*24 {
			t.Errorf("%d days from day %d: %d conversions of %d decisions, %v", c.days, c.from, len(list), space.read, err)
		}
	}
	if list, err := a.Conversions(ConversionQuery{Affiliate: "blog", Until: epoch.AddDate(1, 0, 0)}); err != nil || len(list) != 2400 {
		t.Errorf("from the beginning of time: %d conversions, %v", len(list), err)
	}
}

// TestNoClockHidesASale draws sales at any distance, doubts settled later, and a clock that wanders by hours or
// falls back to its first day for a while: a window holds what picking from everything gives.
func TestNoClockHidesASale(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		var times []time.Time
		late := make(map[int]time.Time)
		at, lost := epoch, 0
		for i := range rapid.IntRange(1, 60).Draw(rt, "sales") {
			at = at.Add(time.Duration(rapid.Int64Range(0, int64(30*time.Hour)).Draw(rt, "gap")))
			said := at.Add(time.Duration(rapid.Int64Range(-int64(11*time.Hour), int64(11*time.Hour)).Draw(rt, "off")))
			if lost > 0 {
				lost--
				said = time.Unix(int64(60*lost), 0)
			} else if rapid.IntRange(0, 9).Draw(rt, "loses its clock") == 7 {
				lost = rapid.IntRange(1, 20).Draw(rt, "for")
			} else if rapid.IntRange(0, 4).Draw(rt, "in doubt") == 3 {
				late[i] = said.Add(time.Duration(rapid.Int64Range(0, int64(time.Hour)).Draw(rt, "until")))
			}
			times = append(times, said)
		}
		a, _ := sold(t, times, late)
		for range 5 {
			from := epoch.Add(time.Duration(rapid.Int64Range(-int64(48*time.Hour), int64(70*24*time.Hour)).Draw(rt, "from")))
			until := from.Add(time.Duration(rapid.Int64Range(1, int64(20*24*time.Hour)).Draw(rt, "length")))
			asked, picked := between(t, a, from, until)
			if !slices.Equal(asked, picked) {
				rt.Fatalf("from %s until %s: %d conversions, and %d picked from all", from, until, len(asked), len(picked))
			}
		}
	})
}
