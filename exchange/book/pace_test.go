package book

import (
	"testing"
	"time"

	"pgregory.net/rapid"

	"vendue/exchange"
)

func mustZone(t *testing.T, name string) *time.Location {
	zone, err := time.LoadLocation(name)
	if err != nil {
		t.Fatal(err)
	}
	return zone
}

// pacedBook is a book with one day's cap that is to be spread.
func pacedBook(limit int64) (*Book, *exchange.Cap) {
	b, c := New(), &exchange.Cap{ID: "cap", Per: exchange.PerDay, Unit: exchange.CapLeads, Limit: limit, Even: true}
	c.Handle = b.Handle(c.ID)
	b.Apply(exchange.Entry{Seq: 1, Event: &exchange.LimitSet{Cap: c.ID, Per: c.Per, Unit: c.Unit, Limit: limit}})
	return b, c
}

// However long the day is and whenever the contract is open: what is due never
// shrinks, is nothing less than one lead, and all of the cap in the day's last open step.
func TestPlansCoverTheirDay(t *testing.T) {
	zones := []*time.Location{mustZone(t, "America/New_York"), mustZone(t, "Australia/Lord_Howe"), mustZone(t, "America/Havana"), time.UTC}
	rapid.Check(t, func(t *rapid.T) {
		zone := rapid.SampledFrom(zones).Draw(t, "zone")
		day := time.Date(2026, 1, 1+rapid.IntRange(0, 364).Draw(t, "day"), rapid.IntRange(0, 23).Draw(t, "hour"), 0, 0, 0, zone)
		limit := rapid.Int64Range(1, 1<<50).Draw(t, "limit")
		b, c := pacedBook(limit)
		for i := range b.traffic {
			b.traffic[i] = trafficHour{Hour: day.Unix()/3600/24*24 - 24 + int64(i), Now: rapid.Int64Range(0, 1_000_000).Draw(t, "leads"), Past: rapid.Int64Range(0, 1<<40).Draw(t, "past")}
		}
		hours := exchange.Hours{Set: true, Days: [7]bool{true, true, true, true, true, true, true}, FromMin: 60 * rapid.IntRange(0, 22).Draw(t, "from"), UntilMin: 60 * 23}
		open := func(at time.Time) bool { return hours.Open(at, zone) }
		b.Replan(c, day, zone, open)
		start := time.Unix(c.Per.Start(day, zone), 0)
		end := time.Unix(c.Per.Start(start.Add(36*time.Hour), zone), 0)
		last, atOpen := int64(0), int64(0)
		for at := start; at.Before(end); at = at.Add(5 * time.Minute) {
			_, due := b.Bound(c, at)
			if due < last || due > limit {
				t.Fatalf("%s: %d due after %d, of %d", at.In(zone), due, last, limit)
			}
			if last = due; open(at) {
				if atOpen = due; due < 1 {
					t.Fatalf("%s: open, and nothing due", at.In(zone))
				}
			}
		}
		if last != limit || atOpen != limit {
			t.Fatalf("%d due at the last open step, %d at the end, of %d", atOpen, last, limit)
		}
	})
}

func TestWithoutAPlanNothingIsBounded(t *testing.T) {
	b, c := pacedBook(10)
	now := time.Date(2026, 3, 8, 12, 0, 0, 0, time.UTC)
	if limit, due := b.Bound(c, now); limit != 10 || due != exchange.Unscheduled {
		t.Errorf("no plan: %d, %d", limit, due)
	}
	b.Replan(c, now, time.UTC, func(time.Time) bool { return false })
	if _, due := b.Bound(c, now); due != 10 {
		t.Errorf("never open that day: %d due", due)
	}
	if _, due := b.Bound(c, now.Add(24*time.Hour)); due != exchange.Unscheduled {
		t.Errorf("another day's plan: %d due", due)
	}
}

// What earlier days brought fades, and an hour's own count is no evidence before the hour is over.
func TestTrafficFades(t *testing.T) {
	var tr traffic
	lead := &exchange.PostStarted{Lead: &exchange.LeadFacts{}}
	at := func(day, h int64) int64 { return (day*24 + h) * hour }
	for day := range int64(3) {
		for range 100 {
			tr.started(at(day, 9), lead)
		}
	}
	tr.started(at(2, 9), &exchange.PostStarted{}) // a further attempt is no further lead
	tr.started(at(2, 9), &exchange.PostStarted{Lead: &exchange.LeadFacts{Test: true}})
	tr.refused(at(2, 10), &exchange.LeadRefused{})
	h := &tr[9]
	for _, c := range []struct{ day, low, high int64 }{{2, 100_000, 100_000}, {3, 100_000, 100_000}, {4, 80_000, 90_000}, {10, 30_000, 40_000}, {1000, 0, 10}} {
		if got := h.before(c.day*24 + 9); got < c.low || got > c.high {
			t.Errorf("on day %d: %d, want %d to %d", c.day, got, c.low, c.high)
		}
	}
	if got := tr[10].before(3*24 + 10); got != trafficOne {
		t.Errorf("a refused lead: %d", got)
	}
}
