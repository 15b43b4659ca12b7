package book

import (
	"bytes"
	"errors"
	"testing"

	"vendue/exchange"
)

// A cap whose limit was taken away still has its window and unit: an attempt
// decided before may yet count in it, and a restored book must then be what a replay gives.
func TestSnapshotKeepsAnUnlimitedCap(t *testing.T) {
	events := []exchange.Event{
		&exchange.LimitSet{Cap: "c", Per: exchange.PerDay, Unit: exchange.CapLeads, Limit: 5},
		&exchange.LimitSet{Cap: "c", Per: exchange.PerDay, Unit: exchange.CapLeads, Limit: -1},
		&exchange.PostStarted{LeadID: exchange.LeadID{1}, Attempt: 1, Holds: []exchange.Hold{{Cap: "c", Window: 1, Amount: 1}}},
	}
	whole, part := New(), New()
	for i, ev := range events {
		e := exchange.Entry{Seq: uint64(i + 1), At: 1, Event: ev}
		whole.Apply(e)
		if i < 2 {
			part.Apply(e)
		}
	}
	restored, err := Restore(part.Snapshot())
	if err != nil {
		t.Fatal(err)
	}
	restored.Apply(exchange.Entry{Seq: 3, At: 1, Event: events[2]})
	if !bytes.Equal(restored.Snapshot(), whole.Snapshot()) {
		t.Fatalf("restored:\n%s\nwhole:\n%s", restored.Snapshot(), whole.Snapshot())
	}
}

// A snapshot made by other rules is not taken for this book's.
func TestSnapshotOfAnotherForm(t *testing.T) {
	now := New().Snapshot()
	if _, err := Restore(now); err != nil {
		t.Fatal(err)
	}
	for _, other := range []string{`"form":2`, `"x":0`} {
		if _, err := Restore(bytes.Replace(now, []byte(`"form":1`), []byte(other), 1)); !errors.Is(err, ErrForm) {
			t.Errorf("%s: got %v, want ErrForm", other, err)
		}
	}
}
