package configs

import (
	"testing"

	"vendue/exchange"
)

// TestMargins asks a config with every kind of margin what the house keeps of single bids.
func TestMargins(t *testing.T) {
	cfg, faults := Load("testdata/valid_margins.yaml")
	if len(faults) > 0 {
		t.Fatal(faults)
	}
	percent := func(n exchange.PPM) exchange.Margin { return exchange.Margin{Rate: n * exchange.Whole / 100} }
	fixed := func(text string) exchange.Margin {
		m, err := exchange.ParseMoney(text)
		if err != nil {
			t.Fatal(err)
		}
		return exchange.Margin{Fixed: m}
	}
	for _, c := range []struct {
		campaign exchange.CampaignID
		contract exchange.ContractID
		bid      string
		want     exchange.Margin
	}{
		{"north-auto", "acme-west", "19.99", fixed("2")}, // the campaign's for this buyer
		{"north-auto", "acme-west", "20", percent(15)},
		{"north-more", "acme-west", "20", percent(10)},   // the buyer's own
		{"north-auto", "zenith-us", "12", fixed("2")},    // the pair's again
		{"north-more", "zenith-us", "12", fixed("0.50")}, // the contract's before its buyer's
	} {
		bid, err := exchange.ParseMoney(c.bid)
		if err != nil {
			t.Fatal(err)
		}
		if got := cfg.Market.Campaigns[c.campaign].MarginFor(cfg.Market.ByName[c.contract], bid); got != c.want {
			t.Errorf("%s at %s bids %s: got %+v, want %+v", c.contract, c.campaign, c.bid, got, c.want)
		}
	}
	own, other := cfg.Market.Campaigns["north-auto"], cfg.Market.Campaigns["north-more"]
	nobody := &exchange.Contract{Buyer: &exchange.Buyer{ID: "other"}}
	if own.MarginFor(nobody, 9_999_999) != percent(25) || own.MarginFor(nobody, 10_000_000) != percent(20) || own.MarginMin != percent(5) {
		t.Errorf("the campaign's bands: got %+v", own.MarginBands)
	}
	if other.MarginFor(nobody, 1) != percent(30) || other.MarginMin != fixed("1") {
		t.Errorf("the seller's margin: got %+v and %+v", other.Margin, other.MarginMin)
	}
}
