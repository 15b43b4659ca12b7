package engine

import (
	"vendue/exchange"
	"vendue/exchange/auction"
	"vendue/exchange/book"
)

// ranking is the working space of a tier that ranks by what bids are worth.
// After reorder its prospects run in parallel with the legs.
type ranking struct {
	names     []exchange.ContractID
	odds      []exchange.Odds
	prospects []auction.Prospect
	plan      auction.Plan
}

// reorder puts legs, which are in the order of their bids, into the order that
// is expected to earn the most: the best chain of as many attempts as the
// campaign allows, and then the rest. Where nothing is known yet the order stays.
//
// A quote's later attempts must cover the price that its first one promised. That
// is not part of the index: a chain may break where the first bid is much the highest.
func (r *ranking) reorder(b *book.Book, t *terms, legs []auction.Leg) {
	r.reset()
	for i := range legs {
		r.names = append(r.names, legs[i].Contract.ID)
	}
	var again exchange.PPM
	r.odds, again = b.Expect(t.campaign.ID, t.arrival.UnixNano(), r.names, r.odds[:0])
	for i := range legs {
		r.prospects = append(r.prospects, auction.Prospect{
			Leg: legs[i], Odds: r.odds[i], Index: auction.Index(auction.Weighed(legs[i].Contract, legs[i].Amount), r.odds[i], again),
		})
	}
	auction.Rank(r.prospects)
	if k := t.campaign.Attempts; k > 0 {
		r.plan.Choose(r.prospects, k, again)
	}
	for i := range legs {
		legs[i] = r.prospects[i].Leg
	}
}

func (r *ranking) reset() {
	clear(r.prospects)
	r.prospects, r.names = r.prospects[:0], r.names[:0]
}
