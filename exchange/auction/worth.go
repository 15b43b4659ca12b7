package auction

import (
	"cmp"
	"math/bits"
	"slices"

	"vendue/exchange"
)

// Index returns the number to rank a bid by where, after a definite reject,
// another attempt is still possible with probability again: Worth / (1 - again x Reject).
//
// It makes the order that earns the most over the whole chain. Where a reject
// ends the lead (again is 0) it is the bid times how often it is taken; where it
// costs nothing (again is the whole, no unknowns, no returns) it is the plain
// bid. Bid times accept rate everywhere would lose money as soon as a second
// buyer may be tried: it passes over the high bid that could have been had first.
func Index(bid exchange.Money, o exchange.Odds, again exchange.PPM) exchange.Money {
	ends := exchange.Whole - exchange.PPM(again.Of(exchange.Money(o.Reject())))
	if ends <= 0 {
		return bid // never taken, never in doubt: nothing is lost by asking first
	}
	hi, lo := bits.Mul64(uint64(o.Worth(bid)), uint64(exchange.Whole))
	if hi >= uint64(ends) {
		return exchange.MoneyMax
	}
	q, _ := bits.Div64(hi, lo, uint64(ends))
	return exchange.Money(min(q, uint64(exchange.MoneyMax)))
}

// Weighed returns what a bid is ranked at, by the weight that an operator gave its contract.
func Weighed(c *exchange.Contract, bid exchange.Money) exchange.Money {
	if c.BidWeight == 0 || bid <= 0 {
		return bid
	}
	return c.BidWeight.Of(bid)
}

// Prospect is a leg with what is expected of it.
type Prospect struct {
	Leg
	Odds  exchange.Odds
	Index exchange.Money
}

// Rank orders prospects by their index, best first; equal ones keep their order,
// which is the plain bid's.
func Rank(prospects []Prospect) {
	slices.SortStableFunc(prospects, func(a, b Prospect) int { return cmp.Compare(b.Index, a.Index) })
}

// Plan is the working space of Choose.
type Plan struct {
	best []exchange.Money
	took []bool

	among, chosen []Prospect
}

// Choose moves to the front of prospects, which are in the order of Rank, the at
// most attempts of them that earn the most if tried one after the other, and
// returns how many they are; the others follow in their order. F(i,k) = max(F(i+1,k), e_i + again x r_i x F(i+1,k-1)).
//
// With few attempts the best chain is not the first ones by index: a bid that is
// surely rejected costs nothing in a long chain, but the only attempt in a short one.
func (p *Plan) Choose(prospects []Prospect, attempts int, again exchange.PPM) int {
	n := len(prospects)
	attempts = min(attempts, n)
	if attempts == n {
		return n
	}
	width := attempts + 1
	p.best = slices.Grow(p.best[:0], (n+1)*width)[:(n+1)*width]
	p.took = slices.Grow(p.took[:0], n*width)[:n*width]
	clear(p.best[n*width:])
	for i := n - 1; i >= 0; i-- {
		c := &prospects[i]
		worth, on := c.Odds.Worth(c.Amount), exchange.PPM(again.Of(exchange.Money(c.Odds.Reject())))
		p.best[i*width], p.took[i*width] = 0, false
		for k := 1; k <= attempts; k++ {
			skip, take := p.best[(i+1)*width+k], worth+on.Of(p.best[(i+1)*width+k-1])
			p.best[i*width+k], p.took[i*width+k] = max(skip, take), take >= skip
		}
	}
	chosen := 0
	for i, k := 0, attempts; i < n && k > 0; i++ {
		if p.took[i*width+k] {
			c := prospects[i]
			copy(prospects[chosen+1:i+1], prospects[chosen:i])
			prospects[chosen] = c
			chosen++
			k--
		}
	}
	return chosen
}
