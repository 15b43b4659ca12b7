package engine

import (
	"maps"
	"slices"

	"vendue/exchange"
	"vendue/exchange/book"
)

// eachCap returns every cap of a market, in a fixed order.
func eachCap(m *exchange.Market) []*exchange.Cap {
	var out []*exchange.Cap
	add := func(caps []exchange.Cap) {
		for i := range caps {
			out = append(out, &caps[i])
		}
	}
	for _, c := range m.Contracts {
		add(c.Caps)
	}
	for _, id := range slices.Sorted(maps.Keys(m.Buyers)) {
		add(m.Buyers[id].Caps)
	}
	for _, id := range slices.Sorted(maps.Keys(m.Campaigns)) {
		add(m.Campaigns[id].Caps)
	}
	for _, id := range slices.Sorted(maps.Keys(m.Sellers)) {
		add(m.Sellers[id].Caps)
	}
	return out
}

// limitChanges returns the limit_set events that bring the book to these caps.
func limitChanges(b *book.Book, caps []*exchange.Cap) []exchange.Event {
	var events []exchange.Event
	wanted := make(map[exchange.CapID]struct{}, len(caps))
	for _, c := range caps {
		wanted[c.ID] = struct{}{}
		have := b.Limit(c.ID)
		if c.Prepaid && have >= 0 {
			continue // a balance opens once; what it is now was paid in
		}
		if have != c.Limit {
			events = append(events, &exchange.LimitSet{Cap: c.ID, Per: c.Per, Unit: c.Unit, Limit: c.Limit})
		}
	}
	b.Limits(func(id exchange.CapID, per exchange.Window, unit exchange.CapUnit, _ int64) {
		if _, ok := wanted[id]; !ok && !id.IsBalance() { // what a buyer paid in stays its own
			events = append(events, &exchange.LimitSet{Cap: id, Per: per, Unit: unit, Limit: -1})
		}
	})
	return events
}

// offerChanges returns the offer_set events that bring the book to the market's offers.
func offerChanges(b *book.Book, m *exchange.Market) []exchange.Event {
	var events []exchange.Event
	old := b.Offers()
	for _, id := range slices.Sorted(maps.Keys(m.Offers)) {
		o := m.Offers[id]
		set := exchange.OfferSet{Offer: id, Model: o.Model, WindowSec: o.WindowSec, Commission: o.Commission, OfferRules: o.OfferRules}
		if have, ok := old[id]; !ok || have != set {
			events = append(events, &set)
		}
	}
	for _, id := range slices.Sorted(maps.Keys(old)) {
		if m.Offers[id] == nil {
			gone := old[id]
			gone.Removed = true
			events = append(events, &gone)
		}
	}
	return events
}
