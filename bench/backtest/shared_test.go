package backtest

import (
	"context"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"vendue/configs"
	"vendue/exchange"
	"vendue/store"
)

// TestSharedDay replays a shared sale under the config that made it: of contracts
// that sell either way the tape holds the price of a place, which is no price of the whole lead.
func TestSharedDay(t *testing.T) {
	s, err := store.Open(store.Config{Dir: t.TempDir(), Log: zerolog.Nop()})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = s.Close() }()
	n := uint64(0)
	minter, err := exchange.NewMinter([]byte("0123456789abcdef"), 0, func() uint64 { n++; return n })
	if err != nil {
		t.Fatal(err)
	}
	v := &exchange.Vertical{ID: "auto", Fields: []exchange.Field{{Name: "zip", Kind: exchange.FieldZip, Ping: exchange.NeedRequired}, {Name: "state", Kind: exchange.FieldState, Ping: exchange.NeedRequired}}}
	w := &tape{t: t, s: s, minter: minter, at: began, lead: &exchange.Lead{Vertical: v, Values: []exchange.Value{{Text: "85001", Set: true}, {Text: "AZ", Set: true}}}}
	first, second := w.bid("west", 1, "20"), w.bid("south", 2, "18")
	second.Reason = exchange.ReasonNone
	w.post(w.ping("c", "30.40", 0, first, second), "west 20 16 accepted", "south 18 14.40 accepted")
	s.Tape().Flush()
	cfg, faults := configs.LoadBytes("new.yaml", []byte(base+`
buyers:
  a: {contracts: {west: {vertical: auto, sale: any, ping: {url: "http://127.0.0.1/"}, post: {url: "http://127.0.0.1/"}}}}
  b: {contracts: {south: {vertical: auto, sale: any, ping: {url: "http://127.0.0.1/"}, post: {url: "http://127.0.0.1/"}}}}
trees: {t: [{contracts: [west, south]}]}
`), func(string) (string, bool) { return "", false })
	if len(faults) > 0 {
		t.Fatal(faults)
	}
	report, err := Run(context.Background(), Span{Store: s, From: began, Until: began.Add(time.Hour)}, cfg.Market)
	if err != nil {
		t.Fatal(err)
	}
	if report.Was.Revenue != 38*exchange.Micro || report.New.Revenue != report.Was.Revenue || report.New.Sold != 1 {
		t.Errorf("it brought %s, and would have brought %s with %d sold; want 38.00, and the same again", report.Was.Revenue, report.New.Revenue, report.New.Sold)
	}
}
