package configs

import (
	"crypto/sha256"
	"os"
	"testing"

	"vendue/exchange"
)

// TestOffers reads what an offer may pay for, and who may tell of it.
func TestOffers(t *testing.T) {
	text, err := os.ReadFile("testdata/valid_offers.yaml")
	if err != nil {
		t.Fatal(err)
	}
	cfg := mustLoad(t, string(text))
	const day = 86400
	for id, want := range map[exchange.OfferID]exchange.OfferRules{
		"plain":  {},
		"chosen": {ViewSec: day, CouponFirst: true, EarnOn: exchange.EarnAccepted, FlatAmount: 2_500_000},
		"hosted": {EarnOn: exchange.EarnConfirmed, Event: "bought", ConfirmSec: 60 * day},
		"mixed":  {EarnOn: exchange.EarnConfirmed, NeedSold: true, Event: "bought", ConfirmSec: 90 * day},
	} {
		if got := cfg.Market.Offers[id].OfferRules; got != want {
			t.Errorf("%s: got %+v, want %+v", id, got, want)
		}
	}
	chosen := cfg.Market.Offers["chosen"]
	if chosen.CookieSec != 7*day || chosen.Model != exchange.LastNonDirect || chosen.Landing != "https://x.example/" || len(chosen.Landings) != 2 {
		t.Errorf("chosen: %+v", chosen)
	}
	secret := sha256.Sum256([]byte("plain secret"))
	if c := cfg.Attribution.Confirms["hosted"]; c.Token != secret || !c.Pixel {
		t.Errorf("hosted: %+v", c)
	}
	if cfg.Market.Coupons["save10"] != "a" || cfg.Attribution.Coupons["save10"] != "a" || cfg.Attribution.Affiliates[0].Token != secret {
		t.Errorf("affiliates: %+v, coupons %v", cfg.Attribution.Affiliates, cfg.Market.Coupons)
	}
}
