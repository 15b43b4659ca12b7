package store

import (
	"fmt"
	"strings"
	"testing"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/rs/zerolog"

	"vendue/exchange"
)

// verifyCase is a journal and what verify must say of it; "" if it is sound.
type verifyCase struct {
	name   string
	events []exchange.Event
	change func(db *pebble.DB)
	want   string
}

func (c verifyCase) run(t *testing.T) {
	t.Helper()
	fs := vfs.NewMem()
	s := openAt(t, fs, "data")
	add(t, s, epoch, c.events...)
	_ = s.Close()
	if c.change != nil {
		settleIndex(t, fs)
		tamperAt(t, fs, "data/index", c.change)
	}
	r, err := Verify(Config{Dir: "data", FS: fs, Log: zerolog.Nop()}, VerifyOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if r.Sound() != (c.want == "") || !strings.Contains(fmt.Sprint(r.Shown), c.want) {
		t.Errorf("%s: found %v, expected %q", c.name, r.Shown, c.want)
	}
}

func all(events ...exchange.Event) []exchange.Event { return events }

// TestVerifyStories: a lead whose events cannot have happened in their order is found and named.
func TestVerifyStories(t *testing.T) {
	w := newWorld(t, 51)
	st := w.started()
	second := *st
	second.Attempt, second.Lead = 2, nil
	sold := func(st *exchange.PostStarted) exchange.Event {
		return ended(st, exchange.OutcomeAccepted, exchange.LeadSold)
	}
	unknown := ended(st, exchange.OutcomeUnknown, exchange.LeadPending)
	lax := *st
	lax.OnUnknown = exchange.OnUnknownContinue
	settled := &exchange.LegSettled{LeadID: st.LeadID, Attempt: 1, Accepted: true, Status: exchange.LeadSold}
	for _, c := range []verifyCase{
		{"two sales", all(st, sold(st), &second, sold(&second)), nil, "2 attempts are sold or in doubt"},
		{"sold after unknown", all(st, unknown, &second, sold(&second)), nil, "2 attempts are sold or in doubt"},
		{"sold after a lax unknown", all(&lax, unknown, &second, sold(&second)), nil, ""},
		{"settled", all(st, unknown, settled), nil, ""},
		{"settled twice", all(st, unknown, settled, settled), nil, "attempt 1 was settled and was not unknown"},
		{"two in flight", all(st, &second), nil, "while attempt 1 was in flight"},
		{"ended twice", all(st, sold(st), sold(st)), nil, "ended twice"},
		{"never started", all(sold(st)), nil, "never started"},
		{"not next", all(st, &exchange.PostStarted{LeadID: st.LeadID, Attempt: 3, Sale: exchange.SaleShared}), nil, "attempt 3 started where attempt 2 was next"},
		{"no facts", all(&exchange.PostStarted{LeadID: st.LeadID, Attempt: 1}), nil, "facts belong to attempt 1"},
	} {
		c.run(t)
	}
}

// TestVerifyIndexes: an index key that is missing, surplus or different is found and named.
func TestVerifyIndexes(t *testing.T) {
	w := newWorld(t, 52)
	st, other := w.started(), w.started()
	for _, c := range []verifyCase{
		{"index missing", all(st, other), func(db *pebble.DB) {
			_ = db.Delete(leadKey(nil, other.LeadID, 2), pebble.Sync)
		}, "seq 2: index l: the key of this post_started is missing"},
		{"index surplus", all(st), func(db *pebble.DB) {
			_ = db.Set(leadKey(nil, other.LeadID, 1), nil, pebble.Sync)
		}, "does not follow from this post_started"},
		{"index elsewhere", all(st, other), func(db *pebble.DB) {
			_ = db.Set(append([]byte{prefixIdem}, st.Lead.Idem[:]...), appendSeq(append([]byte{}, other.LeadID[:]...), 1), pebble.Sync)
		}, "holds something else"},
		{"index to nowhere", all(st), func(db *pebble.DB) {
			_ = db.Set(leadKey(nil, st.LeadID, 0), nil, pebble.Sync)
		}, "names an event that is not sound"},
	} {
		c.run(t)
	}
}

// BenchmarkVerify reads a journal of 50,000 sold leads.
func BenchmarkVerify(b *testing.B) {
	const leads, atOnce = 50_000, 500
	s := openAt(b, nil, b.TempDir())
	defer func() { _ = s.Close() }()
	w := newWorld(b, 53)
	for range leads / atOnce {
		var events []exchange.Event
		for range atOnce {
			st := w.started()
			events = append(events, st, ended(st, exchange.OutcomeAccepted, exchange.LeadSold))
		}
		add(b, s, epoch, events...)
	}
	for b.Loop() {
		r, err := s.Verify(VerifyOptions{})
		if err != nil || !r.Sound() || r.Leads != leads {
			b.Fatalf("%+v, %v", r, err)
		}
	}
	b.ReportMetric(2*leads/b.Elapsed().Seconds()*float64(b.N), "events/s")
}
