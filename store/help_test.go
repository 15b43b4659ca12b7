package store

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/rs/zerolog"

	"vendue/exchange"
)

var epoch = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

// world makes events that hang together, from a seed.
type world struct {
	rng  *rand.Rand
	mint *exchange.Minter
	now  time.Time
	open []exchange.PostStarted // attempts in flight
}

func newWorld(tb testing.TB, seed uint64) *world {
	w := &world{rng: rand.New(rand.NewPCG(seed, 1)), now: epoch}
	mint, err := exchange.NewMinter([]byte("0123456789abcdef"), 1, w.rng.Uint64)
	if err != nil {
		tb.Fatal(err)
	}
	w.mint = mint
	return w
}

func (w *world) print() (f exchange.Fingerprint) {
	for i := range f {
		f[i] = byte(w.rng.Uint32())
	}
	return f
}

func (w *world) facts() exchange.LeadFacts {
	return exchange.LeadFacts{
		PingID: w.mint.Ping(w.now), Seller: "north", Campaign: "north-auto", Vertical: "auto", Currency: "USD",
		Idem: w.print(), Body: w.print(), Person: exchange.Fingerprint{1, byte(w.rng.Uint32N(8))},
		Source: exchange.SourceFacts{Affiliate: "blog-42", Foreign: exchange.Sealed("sealed")},
	}
}

func (w *world) started() *exchange.PostStarted {
	facts := w.facts()
	return &exchange.PostStarted{
		LeadID: w.mint.Lead(w.now), Attempt: 1, Lead: &facts, Leg: 1, Contract: "acme-west", Buyer: "acme",
		Sale: exchange.SaleExclusive, Bid: 21_500_000, Payout: 17_200_000, Margin: exchange.Margin{Rate: 200_000},
		Holds: []exchange.Hold{{Cap: "contract/acme-west/day/leads", Window: 1_772_000_000, Amount: 1}},
	}
}

func ended(st *exchange.PostStarted, outcome exchange.Outcome, status exchange.LeadStatus) *exchange.PostEnded {
	return &exchange.PostEnded{LeadID: st.LeadID, Attempt: st.Attempt, Outcome: outcome, Status: status, HTTPStatus: 200, ElapsedMs: 12}
}

// next returns one or two events that may follow in the journal.
func (w *world) next() []exchange.Event {
	w.now = w.now.Add(time.Duration(w.rng.IntN(50)) * time.Millisecond)
	switch n := w.rng.IntN(10); {
	case n < 4 || len(w.open) == 0 && n < 8:
		st := w.started()
		w.open = append(w.open, *st)
		return []exchange.Event{st}
	case n < 7:
		return []exchange.Event{ended(w.take(), exchange.OutcomeAccepted, exchange.LeadSold)}
	case n < 8:
		was := w.take()
		again := *was
		again.Attempt, again.Lead, again.Leg = was.Attempt+1, nil, was.Leg+1
		w.open = append(w.open, again)
		return []exchange.Event{ended(was, exchange.OutcomeRejected, exchange.LeadOpen), &again}
	case n < 9:
		return []exchange.Event{&exchange.LeadRefused{LeadID: w.mint.Lead(w.now), Lead: w.facts(), Reason: exchange.ReasonDuplicate}}
	default:
		return []exchange.Event{&exchange.Clicked{ClickID: w.mint.Click(w.now), Offer: "auto", Affiliate: "blog-42"}}
	}
}

func (w *world) take() *exchange.PostStarted {
	i := w.rng.IntN(len(w.open))
	st := w.open[i]
	w.open = append(w.open[:i], w.open[i+1:]...)
	return &st
}

func openAt(tb testing.TB, fs vfs.FS, dir string) *Store {
	tb.Helper()
	s, err := Open(Config{Dir: dir, FS: fs, Log: zerolog.Nop()})
	if err != nil {
		tb.Fatalf("%+v", err)
	}
	return s
}

// openSmall opens a store whose index is written every few events.
func openSmall(tb testing.TB, fs vfs.FS, events int) *Store {
	tb.Helper()
	s, err := Open(Config{Dir: "data", FS: fs, Log: zerolog.Nop(), generationEvents: events})
	if err != nil {
		tb.Fatalf("%+v", err)
	}
	return s
}

// settleIndex puts every index key of a closed journal into tables.
func settleIndex(tb testing.TB, fs vfs.FS) {
	tb.Helper()
	s := openSmall(tb, fs, 1)
	if err := s.index.db.Flush(); err != nil {
		tb.Fatal(err)
	}
	if err := s.Close(); err != nil {
		tb.Fatal(err)
	}
}

func openMem(tb testing.TB) *Store {
	s := openAt(tb, vfs.NewMem(), "data")
	tb.Cleanup(func() { _ = s.Close() })
	return s
}

// add appends events and waits for the disk.
func add(tb testing.TB, s *Store, at time.Time, events ...exchange.Event) uint64 {
	tb.Helper()
	last, ticket, err := s.Append(at.UnixNano(), events...)
	if err != nil {
		tb.Fatal(err)
	}
	if err := ticket.Wait(); err != nil {
		tb.Fatal(err)
	}
	return last
}

func readAll(tb testing.TB, s *Store) []exchange.Entry {
	tb.Helper()
	var all []exchange.Entry
	next, err := s.Read(0, 1<<30, func(e exchange.Entry) error { all = append(all, e); return nil })
	if err != nil {
		tb.Fatal(err)
	}
	if next != s.Durable()+1 {
		tb.Fatalf("read up to %d, expected %d", next-1, s.Durable())
	}
	return all
}

func mustVerify(tb testing.TB, s *Store) Report {
	tb.Helper()
	r, err := s.Verify(VerifyOptions{})
	if err != nil {
		tb.Fatal(err)
	}
	if !r.Sound() {
		tb.Fatalf("the journal is not sound: %v", r.Shown)
	}
	return r
}

func lines(all []exchange.Entry) string {
	var out []byte
	for _, e := range all {
		out = append(AppendJSON(out, e), '\n')
	}
	return string(out)
}

func number(i int) string { return fmt.Sprintf("%06d", i) }
