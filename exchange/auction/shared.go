package auction

import (
	"slices"

	"vendue/exchange"
)

// Reset forgets what the plan points to.
func (p *Plan) Reset() {
	clear(p.among[:cap(p.among)])
	clear(p.chosen[:cap(p.chosen)])
}

// Worth returns what prospects, tried in their order, are expected to earn in a
// number of places: a place that a prospect has, or may have, is taken; one that
// it surely rejected goes to the next, if another attempt is still possible with
// probability again. G(i,s) = e_i + again x r_i x G(i+1,s) + (1 - again x r_i) x G(i+1,s-1).
//
// With one place that is the chain of an exclusive sale. At most attempts are tried; 0: as many as there are.
func (p *Plan) Worth(prospects []Prospect, places, attempts int, again exchange.PPM) exchange.Money {
	if attempts > 0 {
		prospects = prospects[:min(attempts, len(prospects))]
	}
	p.best = slices.Grow(p.best[:0], places+1)[:places+1]
	clear(p.best)
	for i := len(prospects) - 1; i >= 0; i-- {
		c := &prospects[i]
		worth, on := c.Odds.Worth(c.Amount), exchange.PPM(again.Of(exchange.Money(c.Odds.Reject())))
		for s := places; s > 0; s-- {
			p.best[s] = worth + on.Of(p.best[s]) + (exchange.Whole - on).Of(p.best[s-1])
		}
	}
	return p.best[places]
}

// Share decides how many buyers shall have a lead that is sold shared, at most
// most, and moves them to the front of prospects, which are best first; those
// behind them may take the place of one that refuses. It returns those few or
// many that are expected to earn the most, none if all together would pay the
// seller less than least, and what they earn.
//
// Nobody is one of more buyers than its contract allows, and nobody gets the same
// lead twice: of one buyer's contracts only the best is in front. Of equal worth the fewer win.
func (p *Plan) Share(prospects []Prospect, most, attempts int, again exchange.PPM, least exchange.Money) (chosen []Prospect, places int, worth exchange.Money) {
	if attempts > 0 {
		most = min(most, attempts)
	}
	for n := 1; n <= min(most, len(prospects)); n++ {
		p.among = p.among[:0]
		front := p.front(prospects, n)
		if front < n {
			continue
		}
		var payout exchange.Money
		for i := range n {
			payout += p.among[i].Payout
		}
		if payout < least {
			continue
		}
		if w := p.Worth(p.among, n, attempts, again); w > worth {
			worth, places, p.chosen = w, n, append(p.chosen[:0], p.among...)
		}
	}
	if places == 0 {
		return nil, 0, 0
	}
	return p.chosen, places, worth
}

// front gathers those who would be one of n buyers: n of different buyers first,
// then the others in their order. It returns how many stand in front.
func (p *Plan) front(prospects []Prospect, n int) (front int) {
	allows := func(c *Prospect) bool { return c.Contract.LegsMax == 0 || c.Contract.LegsMax >= n }
	for i := range prospects {
		c := &prospects[i]
		same := func(have Prospect) bool { return have.Contract.Buyer.ID == c.Contract.Buyer.ID }
		if front < n && allows(c) && !slices.ContainsFunc(p.among[:front], same) {
			p.among = append(p.among, *c)
			front++
		}
	}
	for i := range prospects {
		c := &prospects[i]
		if allows(c) && !slices.ContainsFunc(p.among[:front], func(have Prospect) bool { return have.Contract == c.Contract }) {
			p.among = append(p.among, *c)
		}
	}
	return front
}
