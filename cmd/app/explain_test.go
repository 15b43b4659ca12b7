package app

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/cockroachdb/datadriven"
	"github.com/rs/zerolog"

	"vendue/configs"
	"vendue/exchange"
	"vendue/store"
)

// explainConfig is the house of the explained auctions: every method, and a contract that is away.
const explainConfig = `
listen: 127.0.0.1:0
data: ./data
currency: USD
time_zone: America/New_York
verticals: {auto: {fields: {zip: {type: zip, ping: required}, state: {type: state, ping: required}}}}
sellers: {north: {key_sha256: eb737c6b489e2c1fa4adfb9c7528d4c81b98d3ccad7c4273914bd75d414397e0, campaigns: {c: {vertical: auto, tree: t, floor: 5, margin: 20%}}}}
buyers:
  a: {contracts: {west: {vertical: auto, price: 20, where: {state: [AZ, CA]}, hours: {from: "09:00", to: "17:00"}, post: {url: "http://127.0.0.1/"}}}}
  b: {contracts: {south: {vertical: auto, price: 18, post: {url: "http://127.0.0.1/"}}, gone: {vertical: auto, price: 18, paused: true, post: {url: "http://127.0.0.1/"}}}}
  d: {contracts: {turn: {vertical: auto, price: 7, post: {url: "http://127.0.0.1/"}}, unlisted: {vertical: auto, price: 7, post: {url: "http://127.0.0.1/"}}}}
trees:
  t:
    - {contracts: [west, south, gone]}
    - {method: weighted, contracts: [turn], weights: {turn: 3}}
`

// explained are the auctions of testdata/explain.txt by name.
func explained(market *exchange.Market) map[string]*exchange.Auction {
	const cents = exchange.Micro / 100
	odds := exchange.Odds{Accept: 500_000, Unknown: 20_000, UnknownSold: 500_000, Return: 50_000}
	lead := &exchange.Lead{Vertical: market.Verticals["auto"], Values: []exchange.Value{{Text: "85001", Set: true}, {Text: "AZ", Set: true}}}
	auction := func(price exchange.Money, reason exchange.Reason, candidates ...exchange.Candidate) *exchange.Auction {
		return &exchange.Auction{
			At: time.Date(2026, 11, 20, 15, 0, 0, 0, time.UTC), ConfigHash: market.Hash, Seller: "north", Campaign: "c", Lead: lead, Price: price, Reason: reason,
			Candidates: candidates, Excluded: []exchange.Excluded{{Reason: exchange.ReasonFiltered, Count: 12}, {Reason: exchange.ReasonHours, Count: 2}}, Elapsed: exchange.Millis(143 * time.Millisecond),
		}
	}
	bid := func(name exchange.ContractID, leg exchange.LegNo, bid exchange.Money) exchange.Candidate {
		c := exchange.Candidate{Name: name, Leg: leg, Bid: bid * cents, Payout: bid * cents * 8 / 10, Elapsed: exchange.Millis(80 * time.Millisecond)}
		if leg != 1 {
			c.Reason = exchange.ReasonOutbid
		}
		return c
	}
	ranked := func(c exchange.Candidate, index exchange.Money) exchange.Candidate {
		c.Index, c.Odds = index*cents, odds
		return c
	}
	low := bid("gone", 0, 400)
	low.Reason = exchange.ReasonBelowFloor
	turn := bid("turn", 1, 700)
	turn.Tier = 1
	none := exchange.Candidate{Name: "west", Reason: exchange.ReasonTimeout, Elapsed: exchange.Millis(200 * time.Millisecond)}
	fault := exchange.Candidate{Name: "south", Reason: exchange.ReasonBuyerError, Detail: "not JSON"}
	second := bid("south", 2, 1800)
	second.Reason = exchange.ReasonNone
	return map[string]*exchange.Auction{
		"shared":  auction(3040*cents, 0, bid("west", 1, 2000), second, bid("turn", 3, 700)),
		"highest": auction(1600*cents, 0, bid("south", 2, 1800), bid("west", 1, 2000), low),
		"worth":   auction(1440*cents, 0, ranked(bid("west", 2, 2000), 1100), ranked(bid("south", 1, 1800), 1200)),
		"tie":     auction(1600*cents, 0, bid("south", 1, 2000), bid("west", 2, 2000)),
		"alone":   auction(1600*cents, 0, bid("west", 1, 2000)),
		"turn":    auction(560*cents, 0, none, fault, turn),
		"none":    auction(0, exchange.ReasonTimeout, none, fault),
	}
}

// TestExplain holds the words for each kind of auction against testdata/explain.txt.
func TestExplain(t *testing.T) {
	cfg, faults := configs.LoadBytes("house.yaml", []byte(explainConfig), func(string) (string, bool) { return "", false })
	if len(faults) > 0 {
		t.Fatal(faults)
	}
	s, err := store.Open(store.Config{Dir: t.TempDir(), Log: zerolog.Nop()})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = s.Close() }()
	minter, err := exchange.NewMinter(s.IDKey(), 0, func() uint64 { return 1 })
	if err != nil {
		t.Fatal(err)
	}
	auctions := explained(cfg.Market)
	for _, a := range auctions {
		a.PingID = minter.Ping(a.At)
	}
	datadriven.RunTest(t, "testdata/explain.txt", func(t *testing.T, d *datadriven.TestData) string {
		a := auctions[d.Cmd]
		s.Tape().Record(a)
		s.Tape().RecordAttempt(&store.Attempt{LeadID: minter.Lead(a.At), At: a.At, Number: 1, Contract: "west", Outcome: exchange.OutcomeRejected, Reason: exchange.ReasonPostRejected, Elapsed: time.Second})
		s.Tape().Flush()
		x := Explainer{Store: s, Minter: minter, Market: cfg.Market}
		found, _, err := x.Find(a.PingID.String())
		if err != nil {
			t.Fatal(err)
		}
		var contract exchange.ContractID
		if len(d.CmdArgs) > 0 {
			contract = exchange.ContractID(d.CmdArgs[0].Key)
		}
		why, err := x.Explain(found, minter.Lead(a.At), contract)
		if err != nil {
			return err.Error() + "\n"
		}
		var out strings.Builder
		if err := why.WriteText(&out); err != nil {
			t.Fatal(err)
		}
		return strings.ReplaceAll(out.String(), a.PingID.String(), "PING")
	})
}

// TestExplainTellsReturns explains a lead that its buyer gave back.
func TestExplainTellsReturns(t *testing.T) {
	s, err := store.Open(store.Config{Dir: t.TempDir(), Log: zerolog.Nop()})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = s.Close() }()
	minter, err := exchange.NewMinter(s.IDKey(), 0, func() uint64 { return 1 })
	if err != nil {
		t.Fatal(err)
	}
	at := time.Date(2026, 11, 20, 15, 0, 0, 0, time.UTC)
	a := &exchange.Auction{PingID: minter.Ping(at), At: at, Campaign: "c", Candidates: []exchange.Candidate{{Name: "west", Leg: 1, Bid: 20 * exchange.Micro, Payout: 16 * exchange.Micro}}}
	lead := minter.Lead(at)
	s.Tape().Record(a)
	s.Tape().RecordAttempt(&store.Attempt{LeadID: lead, At: at, Number: 1, Contract: "west", Outcome: exchange.OutcomeAccepted, Elapsed: time.Second})
	s.Tape().Flush()
	for i, ev := range []exchange.Event{
		&exchange.PostStarted{LeadID: lead, Attempt: 1, Lead: &exchange.LeadFacts{PingID: a.PingID, Campaign: "c", Currency: "USD"}, Leg: 1, Contract: "west", Buyer: "a", Bid: 20 * exchange.Micro, Payout: 16 * exchange.Micro},
		&exchange.PostEnded{LeadID: lead, Attempt: 1, Outcome: exchange.OutcomeAccepted, Status: exchange.LeadSold},
		&exchange.LegGivenBack{LeadID: lead, Attempt: 1, Campaign: "c", Contract: "west", Buyer: "a", Bid: 20 * exchange.Micro, Payout: 16 * exchange.Micro, Reason: "wrong_number", By: exchange.SettledByBuyer, Status: exchange.LeadReturned},
	} {
		_, ticket, err := s.Append(at.Add(time.Duration(i)*time.Hour).UnixNano(), ev)
		if err == nil {
			err = ticket.Wait()
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	x := Explainer{Store: s, Minter: minter}
	for _, id := range []string{a.PingID.String(), lead.String()} {
		found, of, err := x.Find(id)
		if err != nil {
			t.Fatal(err)
		}
		why, err := x.Explain(found, of, "")
		if err != nil {
			t.Fatal(err)
		}
		want := []string{"attempt 1 to west: accepted after 1s", "attempt 1 to west: given back 1h0m0s after the sale, wrong_number; nobody owes its 20.00 or gets its 16.00"}
		if !slices.Equal(why.Attempts, want) {
			t.Errorf("by %s: got %q, want %q", id, why.Attempts, want)
		}
	}
}
