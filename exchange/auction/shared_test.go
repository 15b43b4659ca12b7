package auction

import (
	"fmt"
	"math/bits"
	"testing"

	"pgregory.net/rapid"

	"vendue/exchange"
)

func drawShares(t *rapid.T, n int) []Prospect {
	out := make([]Prospect, n)
	buyers := []*exchange.Buyer{{ID: "a"}, {ID: "b"}, {ID: "c"}, {ID: "d"}}
	last := exchange.Money(60)
	for i := range out {
		last = rapid.Custom(func(t *rapid.T) exchange.Money { return exchange.Money(rapid.IntRange(1, int(last)).Draw(t, "bid")) }).Draw(t, "bid")
		c := &exchange.Contract{
			ID: exchange.ContractID(fmt.Sprint("c", i)), Buyer: rapid.SampledFrom(buyers).Draw(t, "buyer"), LegsMax: rapid.IntRange(0, 4).Draw(t, "legs"),
		}
		out[i] = Prospect{Leg: Leg{Bid: Bid{Contract: c, Amount: last * exchange.Micro}, Payout: last * exchange.Micro}, Odds: exchange.Odds{Accept: exchange.Whole}}
	}
	return out
}

// Share against every subset of the bids that may be sold together: where every bid is sure, the dearest.
func TestShareIsTheBestSubset(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		shares := drawShares(t, rapid.IntRange(1, 8).Draw(t, "n"))
		most := rapid.IntRange(1, 5).Draw(t, "most")
		least := exchange.Money(rapid.IntRange(0, 100).Draw(t, "least")) * exchange.Micro
		var best exchange.Money
		for set := 1; set < 1<<len(shares); set++ {
			n, sum, ok := bits.OnesCount(uint(set)), exchange.Money(0), true
			seen := map[exchange.BuyerID]bool{}
			for i := range shares {
				if c := shares[i].Contract; set>>i&1 == 1 {
					ok = ok && !seen[c.Buyer.ID] && (c.LegsMax == 0 || c.LegsMax >= n)
					seen[c.Buyer.ID] = true
					sum += shares[i].Amount
				}
			}
			if ok && n <= most && sum >= least {
				best = max(best, sum)
			}
		}
		var p Plan
		chosen, places, worth := p.Share(shares, most, 0, exchange.Whole, least)
		var sum exchange.Money
		seen := map[exchange.BuyerID]bool{}
		for i := range chosen[:places] {
			c := chosen[i].Contract
			if seen[c.Buyer.ID] || (c.LegsMax > 0 && c.LegsMax < places) {
				t.Fatalf("%s must not be one of %d", c.ID, places)
			}
			seen[c.Buyer.ID] = true
			sum += chosen[i].Amount
		}
		if worth != best || sum != best || places > most {
			t.Fatalf("chose %d places worth %s, summing up to %s; the best is %s", places, worth, sum, best)
		}
	})
}

// Worth against the tree of all that can happen.
func TestWorthIsWhatCanHappen(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		shares := drawShares(t, rapid.IntRange(1, 6).Draw(t, "n"))
		for i := range shares {
			accept := rapid.IntRange(0, 1_000_000).Draw(t, "accept")
			shares[i].Odds = exchange.Odds{
				Accept: exchange.PPM(accept), Unknown: exchange.PPM(rapid.IntRange(0, 1_000_000-accept).Draw(t, "unknown")),
				UnknownSold: 500_000, Return: 50_000,
			}
		}
		again, places := exchange.PPM(rapid.IntRange(0, 1_000_000).Draw(t, "again")), rapid.IntRange(1, 4).Draw(t, "places")
		var all func(i, places int) float64
		all = func(i, places int) float64 {
			if i == len(shares) || places == 0 {
				return 0
			}
			o := shares[i].Odds
			sold := float64(o.Accept)/1e6 + float64(o.Unknown)/1e6*float64(o.UnknownSold)/1e6
			on := float64(again) / 1e6 * float64(o.Reject()) / 1e6
			return float64(shares[i].Amount)*sold*(1-float64(o.Return)/1e6) + on*all(i+1, places) + (1-on)*all(i+1, places-1)
		}
		var p Plan
		got, want := float64(p.Worth(shares, places, 0, again)), all(0, places)
		if diff := got - want; diff > 1000 || diff < -1000 { // a thousandth of a unit, for the rounding of every step
			t.Fatalf("worth %f, expected %f", got, want)
		}
	})
}
