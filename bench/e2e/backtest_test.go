package e2e

import (
	"os"
	"strings"
	"testing"
	"time"

	"github.com/tidwall/gjson"
)

// TestBacktest replays a house's own leads under its own config, which gives the
// same figures, and under one whose best buyer is away, which gives the next one's bids.
func TestBacktest(t *testing.T) {
	s := newScene(t)
	s.buyer("acme", bids(20))
	s.buyer("zenith", bids(18))
	s.start()
	const leads = 20
	for range leads {
		sold := s.sell("")
		s.is(&sold, 200, "status", "sold")
	}
	s.ok(s.proc.Stop(10 * time.Second))
	figures := func() gjson.Result {
		return gjson.Parse(s.command(0, "backtest", "--config", s.configPath(), "--data", s.dataDir(), "--json").Out)
	}
	same := figures()
	for path, want := range map[string]float64{
		"was.sold": leads, "was.revenue": 20 * leads, "was.payout": 16 * leads, "new.sold": leads, "new.revenue": 20 * leads, "new.payout": 16 * leads,
		"new.not_known": 0, "new.estimated_sold": 0, "new.lower_price": 0, "was.asked": 2 * leads, "new.asked": 2 * leads,
	} {
		if got := same.Get(path).Float(); got != want {
			t.Errorf("%s is %v, want %v:\n%s", path, got, want, cut(same.Raw, 2000))
		}
	}
	text, err := os.ReadFile(s.configPath())
	s.ok(err)
	away := strings.Replace(string(text), "      acme:\n", "      acme:\n        paused: true\n", 1)
	s.ok(os.WriteFile(s.configPath(), []byte(away), 0o600))
	without := figures()
	if asked, priced, lower := without.Get("new.asked").Int(), without.Get("new.priced").Int(), without.Get("new.lower_price").Int(); asked != leads || priced != leads || lower != leads {
		t.Errorf("without acme: %d asked, %d priced and %d at a lower price, want %d each", asked, priced, lower, leads)
	}
	// Nobody posted to zenith then, so every sale to it is an estimate.
	if sold := without.Get("new.sold").Int(); sold == 0 || sold != without.Get("new.estimated_sold").Int() || without.Get("new.revenue").Float() != float64(18*sold) {
		t.Errorf("without acme: want sales to zenith for 18, all estimated:\n%s", cut(without.Raw, 2000))
	}
}
