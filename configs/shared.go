package configs

import "vendue/exchange"

// legsMax is the most buyers that a lead can be sold to: what a ping's max_legs may say.
const legsMax = 64

// shared reads what a contract says of whom it shares leads with, and of whom it must not be sold.
func (l *loader) shared(t table, c *exchange.Contract) {
	c.Suppress = l.suppress(t.opt("suppress"))
	c.LegsMax = int(l.integer(t.opt("max_legs"), 0, 1, legsMax))
	c.Shared = l.price(t.opt("shared_price"))
	if n := t.opt("max_legs"); n != nil && c.Sale == exchange.SaleExclusive {
		l.fault(n.pos, "max_legs says how many buyers share a lead; expected it with sale: shared or any")
	}
	switch n := t.opt("shared_price"); {
	case n != nil && (c.Sale != exchange.SaleAny || c.Pinged):
		l.fault(n.pos, "shared_price stands beside price of a contract with sale: any; one that is pinged bids shared_bid")
	case n == nil && c.Sale == exchange.SaleAny && !c.Pinged && t.opt("price") != nil:
		l.fault(t.opt("sale").pos, "sale: any with a standing price; expected shared_price: too")
	}
}
