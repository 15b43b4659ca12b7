package book

import (
	"bytes"
	"fmt"
	"testing"

	"pgregory.net/rapid"

	"vendue/exchange"
)

// A journal of random leads over a few caps: every prefix of it, replayed or
// restored from a snapshot and replayed on, must give the same book, and the
// caps must be what a plain recount of the events says.
func TestReplayAndSnapshotGiveTheSameBook(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		events := randomJournal(t)
		cut := rapid.IntRange(0, len(events)).Draw(t, "cut")
		whole, part := New(), New()
		for i, e := range events {
			whole.Apply(e)
			if i < cut {
				part.Apply(e)
			}
		}
		restored, err := Restore(part.Snapshot())
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range events[cut:] {
			restored.Apply(e)
		}
		if !bytes.Equal(restored.Snapshot(), whole.Snapshot()) {
			t.Fatalf("restored at %d:\n%s\nwhole:\n%s", cut, restored.Snapshot(), whole.Snapshot())
		}
		checkDoubts(t, events, whole)
		if len(whole.evidence.campaigns) > len(whole.open) {
			t.Fatalf("%d campaigns are kept for %d open leads", len(whole.evidence.campaigns), len(whole.open))
		}
		for _, use := range whole.Caps() {
			held, committed := recount(events, use.Cap, use.Start)
			if use.Held != held || use.Committed != committed {
				t.Fatalf("%s at %d: held %d committed %d, recounted %d and %d", use.Cap, use.Start, use.Held, use.Committed, held, committed)
			}
			if got := whole.Used(whole.Handle(use.Cap), use.Start); got != held+committed {
				t.Fatalf("%s: Used says %d, recounted %d", use.Cap, got, held+committed)
			}
		}
	})
}

// checkDoubts holds what the book says is in doubt and in conflict against a plain reading of the events.
func checkDoubts(t *rapid.T, events []exchange.Entry, b *Book) {
	started, doubts, conflicts := map[exchange.LeadID]int64{}, map[exchange.LeadID]bool{}, map[exchange.LeadID]bool{}
	tests, testDoubts := map[exchange.LeadID]bool{}, map[exchange.LeadID]bool{}
	for _, e := range events {
		switch ev := e.Event.(type) {
		case *exchange.PostStarted:
			started[ev.LeadID], tests[ev.LeadID] = e.At, ev.Lead.Test
		case *exchange.PostEnded:
			if ev.Outcome == exchange.OutcomeUnknown && tests[ev.LeadID] {
				testDoubts[ev.LeadID] = true
			} else if ev.Outcome == exchange.OutcomeUnknown {
				doubts[ev.LeadID] = true
			}
		case *exchange.LegSettled:
			delete(doubts, ev.LeadID)
			delete(testDoubts, ev.LeadID)
		case *exchange.LegConflict:
			conflicts[ev.LeadID] = true
		case *exchange.ConflictClosed:
			delete(conflicts, ev.LeadID)
		}
	}
	oldest := int64(0)
	for id := range doubts {
		if oldest == 0 || started[id] < oldest {
			oldest = started[id]
		}
	}
	count, value := b.InDoubt()
	if count != len(doubts) || value != exchange.Money(5*len(doubts)) || len(b.Doubts()) != count+len(testDoubts) || b.OldestDoubt() != oldest {
		t.Fatalf("in doubt %d worth %s since %d, counted %d since %d", count, value, b.OldestDoubt(), len(doubts), oldest)
	}
	if b.OpenConflicts() != len(conflicts) || len(b.Conflicts()) != len(conflicts) {
		t.Fatalf("%d conflicts, counted %d", b.OpenConflicts(), len(conflicts))
	}
}

// randomJournal plays leads against a book, so that every event may follow the one before.
func randomJournal(t *rapid.T) (events []exchange.Entry) {
	b := New()
	add := func(ev exchange.Event) {
		e := exchange.Entry{Seq: uint64(len(events) + 1), At: int64(len(events)), Event: ev}
		events = append(events, e)
		b.Apply(e)
	}
	add(&exchange.ConfigAccepted{Hash: "h"})
	for i := range 3 {
		limit := rapid.Int64Range(0, 6).Draw(t, "limit")
		add(&exchange.LimitSet{Cap: exchange.CapID(fmt.Sprint("c", i)), Per: exchange.PerDay, Unit: exchange.CapLeads, Limit: limit})
	}
	type leg struct {
		id      exchange.LeadID
		unknown bool
	}
	var open []leg
	held := map[exchange.LeadID][]exchange.Hold{}
	maybeGivenBack := func(id exchange.LeadID) {
		switch rapid.IntRange(0, 2).Draw(t, "given back") {
		case 0:
			add(&exchange.LegGivenBack{LeadID: id, Attempt: 1, Campaign: "x", Contract: "c1", Frees: held[id], Status: exchange.LeadReturned})
		case 1:
			add(&exchange.LegGivenBack{LeadID: id, Attempt: 1, Campaign: "y", Contract: "c2", Status: exchange.LeadReturned})
		}
	}
	window := int64(0)
	for n := range rapid.IntRange(0, 60).Draw(t, "steps") {
		switch rapid.IntRange(0, 4).Draw(t, "step") {
		case 0, 1:
			window += rapid.Int64Range(-1, 2).Draw(t, "window")
			holds := []exchange.Hold{{Cap: exchange.CapID(fmt.Sprint("c", rapid.IntRange(0, 3).Draw(t, "cap"))), Window: window, Amount: 1}}
			if _, ok := b.CanHold(holds); !ok {
				continue
			}
			id := exchange.LeadID{0: byte(n >> 8), 1: byte(n), 2: 1}
			facts := &exchange.LeadFacts{Campaign: exchange.CampaignID(rapid.SampledFrom([]string{"x", "y"}).Draw(t, "campaign")), Test: rapid.Bool().Draw(t, "test")}
			contract := exchange.ContractID(rapid.SampledFrom([]string{"c1", "c2"}).Draw(t, "contract"))
			turn := exchange.Turn{Tree: "t", Tier: uint16(n % 2), Weight: rapid.Uint32Range(0, 2).Draw(t, "turn")}
			add(&exchange.PostStarted{LeadID: id, Attempt: 1, Lead: facts, Contract: contract, Sale: exchange.SaleExclusive, Bid: 5, Holds: holds, Turn: turn})
			held[id] = holds
			open = append(open, leg{id: id})
		default:
			if len(open) == 0 {
				continue
			}
			i := rapid.IntRange(0, len(open)-1).Draw(t, "which")
			if open[i].unknown {
				accepted := rapid.Bool().Draw(t, "accepted")
				add(&exchange.LegSettled{LeadID: open[i].id, Attempt: 1, Accepted: accepted, Status: exchange.LeadSold})
				if accepted {
					maybeGivenBack(open[i].id)
				}
				if rapid.Bool().Draw(t, "conflict") {
					add(&exchange.LegConflict{LeadID: open[i].id, Attempt: 1, Accepted: !accepted, By: exchange.SettledByBuyer})
					if rapid.Bool().Draw(t, "closed") {
						add(&exchange.ConflictClosed{LeadID: open[i].id, Attempt: 1})
					}
				}
				open = append(open[:i], open[i+1:]...)
				continue
			}
			outcome := exchange.Outcome(rapid.IntRange(1, 4).Draw(t, "outcome"))
			add(&exchange.PostEnded{LeadID: open[i].id, Attempt: 1, Outcome: outcome, Status: exchange.LeadPending, NoTime: rapid.Bool().Draw(t, "noTime")})
			if outcome == exchange.OutcomeAccepted {
				maybeGivenBack(open[i].id)
			}
			if open[i].unknown = outcome == exchange.OutcomeUnknown; !open[i].unknown {
				open = append(open[:i], open[i+1:]...)
			}
		}
	}
	return events
}

// recount is the oracle: holds by the outcome of their attempts, nothing kept in between.
func recount(events []exchange.Entry, id exchange.CapID, window int64) (held, committed int64) {
	holds := make(map[exchange.LeadID][]exchange.Hold)
	sum := func(lead exchange.LeadID, dst *int64, sign int64) {
		for _, h := range holds[lead] {
			if h.Cap == id && h.Window == window {
				*dst += sign * h.Amount
			}
		}
	}
	for _, e := range events {
		switch ev := e.Event.(type) {
		case *exchange.PostStarted:
			holds[ev.LeadID] = ev.Holds
			sum(ev.LeadID, &held, 1)
		case *exchange.PostEnded:
			if ev.Outcome != exchange.OutcomeUnknown {
				sum(ev.LeadID, &held, -1)
			}
			if ev.Outcome == exchange.OutcomeAccepted {
				sum(ev.LeadID, &committed, 1)
			}
		case *exchange.LegSettled:
			sum(ev.LeadID, &held, -1)
			if ev.Accepted {
				sum(ev.LeadID, &committed, 1)
			}
		case *exchange.LegGivenBack:
			if len(ev.Frees) > 0 {
				sum(ev.LeadID, &committed, -1)
			}
		}
	}
	return held, committed
}
