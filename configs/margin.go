package configs

import (
	"vendue/exchange"
)

const marginBandsMax = 100

// marginRule reads a margin, 20% or 1.50, or a list of them by the size of the
// bid: [{to: 10, margin: 1.50}, {from: 10, margin: 20%}]. nil if n is nil.
func (l *loader) marginRule(n *node) exchange.MarginRule {
	if n == nil {
		return nil
	}
	if n.shape != shapeList {
		return exchange.MarginRule{{Margin: l.margin(n)}}
	}
	if len(n.items) == 0 || len(n.items) > marginBandsMax {
		l.fault(n.pos, "expected 1 to %d bands, each with a margin", marginBandsMax)
		return nil
	}
	rule := make(exchange.MarginRule, 0, len(n.items))
	var end exchange.Money // of the bands so far
	for i, item := range n.items {
		t := l.table(item, "from", "to", "margin")
		from, to := t.opt("from"), t.opt("to")
		band := exchange.MarginBand{From: l.money(from, end), Margin: l.margin(t.need("margin"))}
		at := item.pos
		if from != nil {
			at = from.pos
		}
		switch {
		case band.From < end:
			l.fault(at, "the band overlaps the one before it, which ends at %s; expected from: %s", end, end)
		case band.From > end:
			l.fault(at, "bids from %s to %s are in no band; expected from: %s", end, band.From, end)
		}
		last := i == len(n.items)-1
		switch {
		case to == nil && !last:
			l.fault(item.pos, "expected to: where the next band begins; only the last band is open")
		case to != nil && last:
			l.fault(to.pos, "bids from %s on are in no band; expected the last band without to:", l.money(to, 0))
		case to != nil:
			if end = l.money(to, band.From+1); end <= band.From {
				l.fault(to.pos, "the band ends at %s and begins at %s; expected to: above from:", end, band.From)
			}
		}
		rule = append(rule, band)
	}
	return rule
}

// margins reads a campaign's margin, or its seller's where it has none.
func (l *loader) margins(t, seller table, c *exchange.Campaign) {
	least, rule := t.opt("margin_min"), t.opt("margin")
	if least == nil {
		least = seller.opt("margin_min")
	}
	if rule == nil {
		rule = seller.opt("margin")
	}
	c.MarginMin = l.margin(least)
	bands := l.marginRule(rule)
	if len(bands) > 0 {
		c.Margin = bands[0].Margin
	}
	if len(bands) > 1 {
		c.MarginBands = bands
	}
	for _, e := range l.named(t.opt("buyer_margins")) {
		id := exchange.BuyerID(e.key)
		if l.market.Buyers[id] == nil {
			l.fault(e.pos, "no buyer %q%s", e.key, didYouMean(e.key, l.names.buyers))
			continue
		}
		if c.MarginBy == nil {
			c.MarginBy = map[exchange.BuyerID]exchange.MarginRule{}
		}
		if rule := l.marginRule(e.value); rule != nil {
			c.MarginBy[id] = rule
		}
	}
	if len(bands) == 0 {
		bands = exchange.MarginRule{{}}
	}
	for _, band := range bands {
		if g, m := band.Margin, c.MarginMin; m.Rate > g.Rate && m.Fixed >= g.Fixed || m.Fixed > g.Fixed && m.Rate >= g.Rate {
			if least != nil {
				l.fault(least.pos, "margin_min is above margin; expected it to be at most the margin")
			}
			return
		}
	}
}
