package auction

import (
	"math"
	"slices"
	"strconv"
	"testing"

	"pgregory.net/rapid"

	"vendue/exchange"
)

func drawOdds(t *rapid.T) exchange.Odds {
	accept := rapid.Int64Range(0, 1_000_000).Draw(t, "accept")
	return exchange.Odds{
		Accept:      exchange.PPM(accept),
		Unknown:     exchange.PPM(rapid.Int64Range(0, 1_000_000-accept).Draw(t, "unknown")),
		UnknownSold: exchange.PPM(rapid.Int64Range(0, 1_000_000).Draw(t, "unknownSold")),
		Return:      exchange.PPM(rapid.Int64Range(0, 1_000_000).Draw(t, "return")),
	}
}

func drawProspects(t *rapid.T, most int, again exchange.PPM) []Prospect {
	out := make([]Prospect, rapid.IntRange(1, most).Draw(t, "n"))
	for i := range out {
		out[i].Contract = &exchange.Contract{ID: exchange.ContractID(strconv.Itoa(i))}
		out[i].Amount = exchange.Money(rapid.Int64Range(1, 100_000_000).Draw(t, "bid"))
		out[i].Odds = drawOdds(t)
		out[i].Index = Index(out[i].Amount, out[i].Odds, again)
	}
	return out
}

// earns is what a chain of attempts is expected to earn, in plain floating point.
func earns(chain []Prospect, again exchange.PPM) float64 {
	sum, reach := 0.0, 1.0
	for _, c := range chain {
		share := func(p exchange.PPM) float64 { return float64(p) / float64(exchange.Whole) }
		sum += reach * float64(c.Amount) * (share(c.Odds.Accept) + share(c.Odds.UnknownSold)*share(c.Odds.Unknown)) * (1 - share(c.Odds.Return))
		reach *= share(again) * share(c.Odds.Reject())
	}
	return sum
}

// best tries every chain of at most attempts.
func best(rest, chain []Prospect, attempts int, again exchange.PPM) float64 {
	most := earns(chain, again)
	if len(chain) == attempts {
		return most
	}
	for i := range rest {
		left := slices.Delete(slices.Clone(rest), i, i+1)
		most = math.Max(most, best(left, append(slices.Clone(chain), rest[i]), attempts, again))
	}
	return most
}

// No other choice and no other order of attempts earns more than the chosen one, but for what rounding
// takes: odds are whole parts per million, so each of five attempts may be worth 100 millionths less than here.
func TestTheChosenChainEarnsTheMost(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		again := exchange.PPM(rapid.Int64Range(0, 1_000_000).Draw(t, "again"))
		prospects := drawProspects(t, 5, again)
		attempts := rapid.IntRange(1, 5).Draw(t, "attempts")
		most := best(prospects, nil, attempts, again)
		Rank(prospects)
		var plan Plan
		chosen := plan.Choose(prospects, attempts, again)
		if got := earns(prospects[:chosen], again); got < most*(1-1e-5)-600 {
			t.Fatalf("the chain of %d earns %f, the best %f", chosen, got, most)
		}
	})
}

// Choose loses and doubles nobody, and those not chosen keep their order.
func TestChooseKeepsEverybody(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		again := exchange.PPM(rapid.Int64Range(0, 1_000_000).Draw(t, "again"))
		prospects := drawProspects(t, 20, again)
		Rank(prospects)
		before := slices.Clone(prospects)
		var plan Plan
		chosen := plan.Choose(prospects, rapid.IntRange(0, 20).Draw(t, "attempts"), again)
		place := func(c Prospect) int {
			return slices.IndexFunc(before, func(b Prospect) bool { return b.Contract == c.Contract })
		}
		for _, part := range [][]Prospect{prospects[:chosen], prospects[chosen:]} {
			if !slices.IsSortedFunc(part, func(a, b Prospect) int { return place(a) - place(b) }) {
				t.Fatal("the order is lost")
			}
		}
		seen := map[exchange.ContractID]bool{}
		for _, c := range prospects {
			seen[c.Contract.ID] = true
		}
		if len(seen) != len(before) {
			t.Fatalf("%d of %d are left", len(seen), len(before))
		}
	})
}

func TestIndex(t *testing.T) {
	const bid = 20 * exchange.Micro
	half := exchange.Odds{Accept: 500_000}
	for _, c := range []struct {
		what  string
		odds  exchange.Odds
		again exchange.PPM
		want  exchange.Money
	}{
		{"a reject ends the lead: bid times accept rate", half, 0, bid / 2},
		{"a reject costs nothing: the plain bid", half, exchange.Whole, bid},
		{"half of the time it costs the lead", half, 500_000, 13_333_333},
		{"an unknown blocks the lead", exchange.Odds{Accept: 500_000, Unknown: 250_000}, exchange.Whole, 13_333_333},
		{"but some of them turn out sold", exchange.Odds{Accept: 500_000, Unknown: 250_000, UnknownSold: 500_000}, exchange.Whole, 16_666_666},
		{"what is given back is no money", exchange.Odds{Accept: 500_000, Return: 100_000}, exchange.Whole, 18 * exchange.Micro},
		{"never taken, and another may always be asked", exchange.Odds{}, exchange.Whole, bid},
		{"never taken, and it was the only one", exchange.Odds{}, 0, 0},
	} {
		if got := Index(bid, c.odds, c.again); got != c.want {
			t.Errorf("%s: %s, not %s", c.what, got, c.want)
		}
	}
}

func TestIndexOfAnythingIsNoNonsense(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		odds, again := drawOdds(t), exchange.PPM(rapid.Int64Range(0, 1_000_000).Draw(t, "again"))
		bid := exchange.Money(rapid.Int64Range(0, int64(exchange.MoneyMax)).Draw(t, "bid"))
		index := Index(bid, odds, again)
		if index < 0 || index > bid {
			t.Fatalf("a bid of %s has the index %s", bid, index)
		}
		if index < odds.Worth(bid) {
			t.Fatalf("the index %s is below the worth %s", index, odds.Worth(bid))
		}
	})
}

func TestChooseDoesNotAllocate(t *testing.T) {
	prospects := make([]Prospect, 20)
	for i := range prospects {
		prospects[i].Contract = &exchange.Contract{ID: exchange.ContractID(strconv.Itoa(i))}
		prospects[i].Amount, prospects[i].Odds = exchange.Money(i)*exchange.Micro, exchange.Odds{Accept: exchange.PPM(900_000 - 40_000*i)}
	}
	var plan Plan
	plan.Choose(prospects, 3, 0)
	if n := testing.AllocsPerRun(100, func() {
		for i := range prospects {
			prospects[i].Index = Index(prospects[i].Amount, prospects[i].Odds, 500_000)
		}
		Rank(prospects)
		plan.Choose(prospects, 3, 500_000)
	}); n > 0 {
		t.Errorf("%.0f allocations", n)
	}
}
