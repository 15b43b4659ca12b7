package app

import (
	"context"
	"runtime"
	"testing"
	"time"

	"github.com/VictoriaMetrics/metrics"
	"github.com/rs/zerolog"

	"vendue/attribution"
	"vendue/exchange"
	"vendue/store"
)

// journalOf tells as many entries as there are to be: an offer's terms, and then
// clicks, posts and accepts in turn. It holds none of them.
type journalOf struct {
	entries uint64
	vault   exchange.Vault
	at      time.Time
}

func (j *journalOf) event(seq uint64) exchange.Event {
	if seq == 1 {
		return &exchange.OfferSet{Offer: "auto", Model: exchange.LastTouch, WindowSec: 1 << 20, Commission: exchange.Commission{Rate: 250_000, Of: exchange.OfPayout, PaidBy: exchange.PaidBySeller}}
	}
	sale := (seq - 2) / 3
	at := j.at.Add(time.Duration(sale) * time.Millisecond)
	minter, err := exchange.NewMinter([]byte("0123456789abcdef"), 1, func() uint64 { return sale })
	if err != nil {
		panic(err)
	}
	click, lead := minter.Click(at), minter.Lead(at)
	switch (seq - 2) % 3 {
	case 0:
		return &exchange.Clicked{ClickID: click, Offer: "auto", Affiliate: "blog-42", Foreign: j.vault.Seal(`{"cid":"their-click-id","subs":["one","two"]}`)}
	case 1:
		return &exchange.PostStarted{LeadID: lead, Attempt: 1, Contract: "acme-west", Buyer: "acme", Bid: 20_000_000, Payout: 16_000_000,
			Lead: &exchange.LeadFacts{Seller: "north", Currency: "USD", Source: exchange.SourceFacts{Click: click}}}
	default:
		return &exchange.PostEnded{LeadID: lead, Attempt: 1, Outcome: exchange.OutcomeAccepted, Status: exchange.LeadSold}
	}
}

func (j *journalOf) Read(from uint64, most int, fn func(exchange.Entry) error) (uint64, error) {
	for ; most > 0 && from <= j.entries; most-- {
		if err := fn(exchange.Entry{Seq: from, At: j.at.Add(time.Duration(from)*time.Millisecond/3 + time.Millisecond).UnixNano(), Event: j.event(from)}); err != nil {
			return from, err
		}
		from++
	}
	return from, nil
}

// LeadEntries is asked of a leg that comes back, and none does.
func (j *journalOf) LeadEntries(_ exchange.LeadID, dst []exchange.Entry) ([]exchange.Entry, error) {
	return dst, nil
}

func (j *journalOf) WaitDurable(ctx context.Context, after uint64) (uint64, error) {
	if after < j.entries {
		return j.entries, nil
	}
	<-ctx.Done()
	return j.entries, ctx.Err()
}

// BenchmarkAttribution follows a journal of b.N entries into a real store on
// disk, a third of them sales that a click earns by, and tells entries per
// second and the most memory that was in use. What it reads is made as it is
// read, which is part of the time.
//
//	go test ./cmd/app -run xxx -bench Attribution -benchtime 1000000x
func BenchmarkAttribution(b *testing.B) {
	s, err := store.Open(store.Config{Dir: b.TempDir(), Log: zerolog.Nop()})
	if err != nil {
		b.Fatal(err)
	}
	j := &journalOf{entries: uint64(b.N), vault: s.Vault(), at: time.Date(2026, 5, 1, 12, 0, 0, 0, time.UTC)}
	a, err := attribution.New(attribution.Deps{Journal: j, Space: space{s.Space("attribution")}, Vault: s.Vault(), Log: zerolog.Nop(), Metrics: metrics.NewSet()})
	if err != nil {
		b.Fatal(err)
	}
	var most uint64
	b.ResetTimer()
	a.Start()
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	for a.Stats().Cursor < uint64(b.N) {
		<-tick.C
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		most = max(most, m.HeapInuse+m.StackInuse)
	}
	b.StopTimer()
	a.Stop()
	st := a.Stats()
	if want := uint64(b.N-1) / 3; b.N > 1 && st.Credits != want || st.Fault != "" {
		b.Fatalf("%d credits, want %d: %s", st.Credits, want, st.Fault)
	}
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "entries/s")
	b.ReportMetric(float64(most)/(1<<20), "MB")
	if err := s.Close(); err != nil {
		b.Fatal(err)
	}
}
