package engine

import (
	"vendue/exchange"
	"vendue/exchange/auction"
)

// mayEnd tells whether a tier's question may end before all buyers have answered:
// where the highest bid wins and is the price promised, an answer that can neither
// win nor cover that promise changes nothing. Where bids rank by what they are
// worth, where places are shared, and at a direct, which promises no bid, any bid may yet serve.
func (run *auctionRun) mayEnd(t *terms, tier *exchange.Tier) bool {
	if t.direct || tier.Method != exchange.MethodAuction || tier.Rank != exchange.RankBid || t.sale == exchange.SaleShared {
		return false
	}
	for _, c := range run.ask.Contracts {
		if c.Sale != exchange.SaleExclusive {
			return false
		}
	}
	return allExclusive(run.bids)
}

// enough tells whether no buyer who is still to answer can change the auction:
// whatever each declared as its highest bid would rank behind the best one in
// hand, and would not cover the price that it promises. It is asked after each bid.
func (run *auctionRun) enough() bool {
	var best, payout exchange.Money // the best one's rank and promise
	leads := func(c *exchange.Contract, amount exchange.Money) {
		if rank := auction.Weighed(c, amount); rank >= best {
			if p, ok := run.terms.Payout(c, amount); ok && (rank > best || p < payout) { // of equal ones either may win
				best, payout = rank, p
			}
		}
	}
	for i := range run.bids { // standing prices: the live bids are not among them yet
		leads(run.bids[i].Contract, run.bids[i].Amount)
	}
	for i, c := range run.ask.Contracts {
		if bid := run.ask.Answers[i].Bid; run.over(c, bid) == exchange.ReasonNone {
			leads(c, bid)
		}
	}
	if best == 0 {
		return false
	}
	for i, c := range run.ask.Contracts {
		a := &run.ask.Answers[i]
		if a.Reason != exchange.ReasonNone || a.Bid > 0 {
			continue // it has answered
		}
		if c.MaxBid == 0 || auction.Weighed(c, c.MaxBid) >= best || auction.Covers(&run.terms, c.MaxBid, payout) {
			return false
		}
	}
	return true
}
