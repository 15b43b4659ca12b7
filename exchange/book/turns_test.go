package book

import (
	"bytes"
	"fmt"
	"sync"
	"testing"

	"pgregory.net/rapid"

	"vendue/exchange"
)

// floor is a tier by turns with a book behind it, as the engine uses them.
type floor struct {
	mu    sync.Mutex // the engine's
	book  *Book
	seq   uint64
	leads uint64
}

func (f *floor) apply(events ...exchange.Event) {
	for _, ev := range events {
		f.seq++
		f.book.Apply(exchange.Entry{Seq: f.seq, At: int64(f.seq), Event: ev})
	}
}

// sell takes the next turn and posts a lead, which is refused or not.
func (f *floor) sell(seats []Seat, refused func(exchange.ContractID) bool) exchange.ContractID {
	seats = append([]Seat(nil), seats...)
	held := f.book.SortTurns("t", 1, seats, true)
	f.mu.Lock()
	defer f.mu.Unlock()
	f.leads++
	lead := exchange.LeadID{0: byte(f.leads >> 16), 1: byte(f.leads >> 8), 2: byte(f.leads)}
	f.book.Posting(held)
	f.apply(&exchange.PostStarted{
		LeadID: lead, Attempt: 1, Lead: &exchange.LeadFacts{Test: true}, Contract: seats[0].Contract, Sale: exchange.SaleExclusive,
		Turn: exchange.Turn{Tree: "t", Tier: 1, Weight: uint32(seats[0].Weight)},
	})
	ended := &exchange.PostEnded{LeadID: lead, Attempt: 1, Outcome: exchange.OutcomeAccepted, Status: exchange.LeadSold}
	if refused(seats[0].Contract) {
		ended.Outcome, ended.Status = exchange.OutcomeRejected, exchange.LeadRejected
	}
	f.apply(ended)
	return seats[0].Contract
}

func never(exchange.ContractID) bool { return false }

func randomSeats(t *rapid.T) (seats []Seat, sum int) {
	for i, w := range rapid.SliceOfN(rapid.IntRange(1, 12), 1, 8).Draw(t, "weights") {
		seats = append(seats, Seat{Contract: exchange.ContractID(fmt.Sprint("c", i)), Place: i, Weight: int64(w)})
		sum += w
	}
	return seats, sum
}

// TestTurnsAreExact holds every window of as many turns as the weights sum to against the weights.
func TestTurnsAreExact(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		seats, sum := randomSeats(t)
		f := &floor{book: New()}
		var order []exchange.ContractID
		counts := map[exchange.ContractID]int64{}
		for n := range 4 * sum {
			won := f.sell(seats, never)
			order = append(order, won)
			counts[won]++
			if n < sum-1 {
				continue
			}
			for _, s := range seats {
				if counts[s.Contract] != s.Weight {
					t.Fatalf("turns %d to %d: %s had %d, its weight is %d: %v", n-sum+1, n, s.Contract, counts[s.Contract], s.Weight, order)
				}
			}
			counts[order[n-sum+1]]--
		}
	})
}

// TestTurnsStarveNobody plays leads that only some contracts may see, and of which one
// contract, always there, refuses all: whoever is there has one within a bounded number of them, and
// a book restored from its snapshot goes on alike. Who may see a lead is drawn, so the number is one of chance: one
// check in five thousand passes four times the sum of the weights, none in sixty thousand passed six times.
func TestTurnsStarveNobody(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		seats, sum := randomSeats(t)
		refuses := exchange.ContractID(fmt.Sprint("c", rapid.IntRange(0, 8).Draw(t, "refuses")))
		f, waits := &floor{book: New()}, map[exchange.ContractID]int{}
		for n := range 300 {
			var there []Seat
			for i, in := range rapid.SliceOfN(rapid.Bool(), len(seats), len(seats)).Draw(t, "there") {
				if in || seats[i].Contract == refuses {
					there = append(there, seats[i])
				}
			}
			if len(there) == 0 {
				continue
			}
			won := f.sell(there, func(c exchange.ContractID) bool { return c == refuses })
			for _, s := range there {
				waits[s.Contract]++
				if waits[s.Contract] > 6*sum {
					t.Fatalf("%s of weight %d saw %d leads and had none", s.Contract, s.Weight, waits[s.Contract])
				}
			}
			waits[won] = 0
			if n == 150 {
				restored, err := Restore(f.book.Snapshot())
				if err != nil {
					t.Fatal(err)
				}
				f.book = restored
			}
		}
	})
}

// TestTurnsTakenAtOnce takes the turns of each round at once: they give each exactly its share. (A
// turn that is held while others have more than a round is not waited for: see turns.)
func TestTurnsTakenAtOnce(t *testing.T) {
	seats := []Seat{{Contract: "a", Place: 0, Weight: 5}, {Contract: "b", Place: 1, Weight: 2}, {Contract: "c", Place: 2, Weight: 1}}
	f := &floor{book: New()}
	const rounds, sum = 400, 8
	var mu sync.Mutex
	for range sum {
		f.sell(seats, never) // now all are known: a new one begins where the others are
	}
	counts := map[exchange.ContractID]int{}
	for range rounds {
		var wg sync.WaitGroup
		for range sum {
			wg.Go(func() {
				won := f.sell(seats, never)
				mu.Lock()
				counts[won]++
				mu.Unlock()
			})
		}
		wg.Wait()
	}
	if counts["a"] != 5*rounds || counts["b"] != 2*rounds || counts["c"] != rounds {
		t.Errorf("got %v, want %d, %d and %d", counts, 5*rounds, 2*rounds, rounds)
	}
	if n := len(f.book.turns.tiers[tierKey{"t", 1}].held); n != 0 {
		t.Errorf("%d turns are still held", n)
	}
}

// TestHeldTurns holds turns that no post follows: they are out of the next ones' way until let go, and no part of the state.
func TestHeldTurns(t *testing.T) {
	f := &floor{book: New()}
	seats := []Seat{{Contract: "a", Place: 0, Weight: 1}, {Contract: "b", Place: 1, Weight: 1}}
	empty := f.book.Snapshot()
	next := func() (*HeldTurn, exchange.ContractID) {
		row := append([]Seat(nil), seats...)
		held := f.book.SortTurns("t", 1, row, true)
		return held, row[0].Contract
	}
	first, a := next()
	_, b := next()
	if a != "a" || b != "b" {
		t.Errorf("got %s and %s, want a and b", a, b)
	}
	first.Release()
	first.Release()
	if _, again := next(); again != "a" {
		t.Errorf("got %s, want the turn that was let go", again)
	}
	if !bytes.Equal(empty, f.book.Snapshot()) {
		t.Error("held turns are part of the snapshot")
	}
	(*HeldTurn)(nil).Release()
}

// TestTurnsAfterAnAbsence: who was away for long catches up one round, no more; and a weight that changes keeps its place.
func TestTurnsAfterAnAbsence(t *testing.T) {
	f := &floor{book: New()}
	a, b := Seat{Contract: "a", Place: 0, Weight: 4}, Seat{Contract: "b", Place: 1, Weight: 4}
	f.sell([]Seat{a, b}, never)
	f.sell([]Seat{a, b}, never)
	for range 1000 {
		f.sell([]Seat{a}, never)
	}
	count := func(n int, seats ...Seat) (of int) {
		for range n {
			if f.sell(seats, never) == "b" {
				of++
			}
		}
		return of
	}
	if n := count(16, a, b); n < 8 || n > 12 {
		t.Errorf("after an absence b had %d of 16, want half and at most one round of 4 more", n)
	}
	b.Weight = 12
	if n := count(160, a, b); n < 116 || n > 124 {
		t.Errorf("at three times a's weight b had %d of 160, want about 120", n)
	}
}
