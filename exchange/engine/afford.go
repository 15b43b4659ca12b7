package engine

import "vendue/exchange"

// overCap is what the tape says of a bid that no cap has room for.
const overCap = "bid more than its cap has left"

// afford takes out of an answer the bids that the spend caps of the contract and
// its buyer have no room for as they stand, and turns it into a refusal if none is
// left. Only the post's reservation binds. But a buyer who bids high on the last
// of its budget would win every auction, be promised to every seller and be passed
// over at every post, where nobody else covers what it promised.
func (run *auctionRun) afford(c *exchange.Contract, a *exchange.Answer) {
	if a.Reason != exchange.ReasonNone {
		return
	}
	stop := run.over(c, a.Bid)
	if a.Shared > 0 && run.over(c, a.Shared) != exchange.ReasonNone {
		a.Shared = 0
	}
	if stop == exchange.ReasonNone {
		return
	}
	if a.Bid = 0; c.Sale != exchange.SaleAny || a.Shared == 0 {
		a.Reason, a.Detail = stop, overCap
	}
}

// over tells which spend cap of a contract or its buyer has no room for a bid.
func (run *auctionRun) over(c *exchange.Contract, bid exchange.Money) exchange.Reason {
	q := &run.query
	if q.Test {
		return exchange.ReasonNone
	}
	for _, caps := range [2][]exchange.Cap{c.Caps, c.Buyer.Caps} {
		for i := range caps {
			k := &caps[i]
			if k.Unit != exchange.CapSpend || !k.Counts(q.Now.In(q.Zone).Weekday()) {
				continue
			}
			limit := k.Limit
			if k.Moves() {
				limit, _ = q.Caps.Bound(k, q.Now)
			}
			if q.Caps.Used(k.Handle, k.Per.Start(q.Now, q.Zone)) > limit-k.Need(bid) {
				return k.Full
			}
		}
	}
	return exchange.ReasonNone
}
