package exchange

// MarginRule is the house's part by the size of the bid: bands in ascending
// order, the first from 0. Nil is no rule.
type MarginRule []MarginBand

// MarginBand is the margin of bids from From up to where the next band begins.
type MarginBand struct {
	From   Money
	Margin Margin
}

// For returns the margin of a bid, which is zero or more.
func (r MarginRule) For(bid Money) Margin {
	for i := len(r) - 1; i > 0; i-- {
		if bid >= r[i].From {
			return r[i].Margin
		}
	}
	return r[0].Margin
}

// MarginFor returns the house's part of a contract's bid for a lead of the
// campaign, by the rule that says the most of the two: the campaign's for this
// buyer, else the contract's own (or its buyer's), else the campaign's for all
// (or its seller's).
func (c *Campaign) MarginFor(contract *Contract, bid Money) Margin {
	if rule := c.MarginBy[contract.Buyer.ID]; rule != nil {
		return rule.For(bid)
	}
	if contract.Margin != nil {
		return contract.Margin.For(bid)
	}
	if c.MarginBands != nil {
		return c.MarginBands.For(bid)
	}
	return c.Margin
}
