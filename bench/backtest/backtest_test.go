package backtest

import (
	"context"
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/cockroachdb/datadriven"
	"github.com/rs/zerolog"

	"vendue/configs"
	"vendue/exchange"
	"vendue/store"
)

// base is the config of every case, without its trees and fixed contracts.
const base = `
listen: 127.0.0.1:0
data: ./data
currency: USD
time_zone: UTC
verticals: {auto: {fields: {zip: {type: zip, ping: required}, state: {type: state, ping: required}}}}
sellers: {north: {key_sha256: eb737c6b489e2c1fa4adfb9c7528d4c81b98d3ccad7c4273914bd75d414397e0, campaigns: {c: {vertical: auto, tree: t, floor: 5, margin: 20%}}}}
`

var began = time.Date(2026, 11, 20, 12, 0, 0, 0, time.UTC)

// tape writes a small day by hand. README in testdata/backtest.txt tells it in words.
type tape struct {
	t      *testing.T
	s      *store.Store
	minter *exchange.Minter
	at     time.Time
	lead   *exchange.Lead
}

func (w *tape) ping(campaign exchange.CampaignID, price string, reason exchange.Reason, candidates ...exchange.Candidate) exchange.PingID {
	w.at = w.at.Add(time.Minute)
	a := &exchange.Auction{PingID: w.minter.Ping(w.at), At: w.at, ConfigHash: "old", Seller: "north", Campaign: campaign, Lead: w.lead, Reason: reason, Candidates: candidates}
	if price != "" {
		a.Price = money(w.t, price)
	}
	w.s.Tape().Record(a)
	return a.PingID
}

func money(t *testing.T, text string) exchange.Money {
	m, err := exchange.ParseMoney(text)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func (w *tape) bid(name exchange.ContractID, leg exchange.LegNo, bid string) exchange.Candidate {
	c := exchange.Candidate{Name: name, Leg: leg, Bid: money(w.t, bid), Elapsed: exchange.Millis(80 * time.Millisecond)}
	if leg != 1 {
		c.Reason = exchange.ReasonOutbid
	}
	return c
}

func silent(name exchange.ContractID, reason exchange.Reason) exchange.Candidate {
	return exchange.Candidate{Name: name, Reason: reason, Elapsed: exchange.Millis(80 * time.Millisecond)}
}

// post journals the attempts of a post: CONTRACT BID PAYOUT OUTCOME each.
func (w *tape) post(ping exchange.PingID, attempts ...string) {
	lead := w.minter.Lead(w.at)
	for i, line := range attempts {
		f := strings.Fields(line)
		started := &exchange.PostStarted{LeadID: lead, Attempt: uint16(i + 1), Contract: exchange.ContractID(f[0]), Buyer: "b", Sale: exchange.SaleExclusive, Bid: money(w.t, f[1]), Payout: money(w.t, f[2])}
		if i == 0 {
			started.Lead = &exchange.LeadFacts{PingID: ping, Seller: "north", Campaign: "c", Vertical: "auto", Currency: "USD"}
		}
		ended := &exchange.PostEnded{LeadID: lead, Attempt: uint16(i + 1), Outcome: exchange.OutcomeAccepted, Status: exchange.LeadSold}
		if f[3] == "rejected" {
			ended.Outcome, ended.Reason, ended.Status = exchange.OutcomeRejected, exchange.ReasonPostRejected, exchange.LeadOpen
		}
		_, ticket, err := w.s.Append(w.at.UnixNano(), started, ended)
		if err == nil {
			err = ticket.Wait()
		}
		if err != nil {
			w.t.Fatal(err)
		}
	}
}

func smallDay(t *testing.T) *store.Store {
	s, err := store.Open(store.Config{Dir: t.TempDir(), Log: zerolog.Nop()})
	if err != nil {
		t.Fatal(err)
	}
	n := uint64(0)
	minter, err := exchange.NewMinter([]byte("0123456789abcdef"), 0, func() uint64 { n++; return n })
	if err != nil {
		t.Fatal(err)
	}
	v := &exchange.Vertical{ID: "auto", Fields: []exchange.Field{{Name: "zip", Kind: exchange.FieldZip, Ping: exchange.NeedRequired}, {Name: "state", Kind: exchange.FieldState, Ping: exchange.NeedRequired}}}
	w := &tape{t: t, s: s, minter: minter, at: began, lead: &exchange.Lead{Vertical: v, Values: []exchange.Value{{Text: "85001", Set: true}, {Text: "AZ", Set: true}}}}
	p1 := w.ping("c", "16", 0, w.bid("west", 1, "20"), w.bid("south", 2, "18"))
	w.post(p1, "west 20 16 rejected", "south 18 16 accepted")
	p2 := w.ping("c", "16", 0, w.bid("west", 1, "20"), silent("south", exchange.ReasonNoBid))
	w.post(p2, "west 20 16 accepted")
	w.ping("c", "16", 0, w.bid("west", 1, "20"), w.bid("south", 2, "18"))
	w.ping("c", "", exchange.ReasonTimeout, silent("west", exchange.ReasonTimeout), silent("south", exchange.ReasonNoBid))
	w.ping("gone", "", exchange.ReasonNoBid)
	p6 := w.ping("c", "16", 0, w.bid("west", 1, "20"))
	w.post(p6, "west 20 16 accepted")
	s.Tape().Flush()
	return s
}

// TestSmallDay replays a day whose every answer is known, under the configs of testdata/backtest.txt.
func TestSmallDay(t *testing.T) {
	s := smallDay(t)
	defer func() { _ = s.Close() }()
	datadriven.RunTest(t, "testdata/backtest.txt", func(t *testing.T, d *datadriven.TestData) string {
		cfg, faults := configs.LoadBytes("new.yaml", []byte(base+d.Input), func(string) (string, bool) { return "", false })
		if len(faults) > 0 {
			t.Fatal(faults)
		}
		report, err := Run(context.Background(), Span{Store: s, From: began, Until: began.Add(time.Hour)}, cfg.Market)
		if err != nil {
			t.Fatal(err)
		}
		var out strings.Builder
		if d.Cmd == "json" {
			enc := json.NewEncoder(&out)
			enc.SetIndent("", " ")
			err = enc.Encode(report)
		} else {
			err = report.WriteTable(&out)
		}
		if err != nil {
			t.Fatal(err)
		}
		lines := strings.Split(out.String(), "\n")
		for i := range lines {
			lines[i] = strings.TrimRight(lines[i], " ")
		}
		return strings.ReplaceAll(strings.Join(lines, "\n"), "\n\n", "\n.\n")
	})
}

// TestSpan leaves out what lies outside, and an empty span is no fault.
func TestSpan(t *testing.T) {
	s := smallDay(t)
	defer func() { _ = s.Close() }()
	cfg, faults := configs.LoadBytes("new.yaml", []byte(base+`
buyers: {a: {contracts: {west: {vertical: auto, ping: {url: "http://127.0.0.1/"}, post: {url: "http://127.0.0.1/"}}}}}
trees: {t: [{contracts: [west]}]}
`), func(string) (string, bool) { return "", false })
	if len(faults) > 0 {
		t.Fatal(faults)
	}
	for _, c := range []struct {
		from, until time.Duration
		auctions    int64
		sold        int64
	}{{0, time.Minute, 0, 0}, {time.Minute, 2 * time.Minute, 1, 1}, {2 * time.Minute, time.Hour, 5, 2}, {-72 * time.Hour, -24 * time.Hour, 0, 0}} {
		report, err := Run(context.Background(), Span{Store: s, From: began.Add(c.from), Until: began.Add(c.until)}, cfg.Market)
		if err != nil {
			t.Fatal(err)
		}
		if report.Was.Auctions != c.auctions || report.Was.Sold != c.sold {
			t.Errorf("from %s until %s: %d auctions and %d sold, want %d and %d", c.from, c.until, report.Was.Auctions, report.Was.Sold, c.auctions, c.sold)
		}
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if _, err := Run(ctx, Span{Store: s, From: began, Until: began.Add(time.Hour)}, cfg.Market); err == nil {
		t.Error("a replay that was called off ended without a fault")
	}
}
