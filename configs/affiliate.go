package configs

import (
	"time"

	"vendue/attribution"
	"vendue/attribution/postback"
	"vendue/exchange"
)

func (l *loader) affiliate(e entry) {
	t := l.table(e.value, "name", "postbacks")
	a := attribution.Affiliate{ID: exchange.AffiliateID(e.key), Name: l.label(t.opt("name"), e.key)}
	for _, item := range l.list(t.opt("postbacks")) {
		p := l.table(item, "on", "url")
		// Only what the house fires: a postback on any other event would wait for ever.
		events := []string{"lead.sold"}
		on := events[l.word(p.need("on"), 0, events...)]
		a.Postbacks = append(a.Postbacks, attribution.Postback{On: on, URL: l.template(p.need("url"))})
	}
	l.market.Affiliates[a.ID] = struct{}{}
	l.cfg.Attribution.Affiliates = append(l.cfg.Attribution.Affiliates, a)
}

// template checks a postback's URL with the room that will expand it.
func (l *loader) template(n *node) string {
	s, ok := l.text(n)
	if !ok {
		return ""
	}
	if _, err := postback.Parse(s); err != nil {
		l.fault(n.pos, "postback's URL, %s", err)
	}
	return s
}

func (l *loader) offer(e entry) {
	t := l.table(e.value, "landing", "attribution", "commission")
	o := exchange.Offer{ID: exchange.OfferID(e.key), Landing: l.url(t.need("landing"))}
	a := l.table(t.opt("attribution"), "model", "window")
	o.Model = exchange.Model(l.word(a.opt("model"), 0, exchange.LastTouch.String(), exchange.FirstTouch.String()) + 1)
	o.WindowSec = int64(l.duration(a.opt("window"), 30*24*time.Hour, span{time.Second, rememberedMax}) / time.Second)
	c := l.table(t.need("commission"), "percent", "of", "paid_by")
	if n := c.need("percent"); n != nil {
		if s, ok := l.text(n); ok {
			if o.Commission.Rate, ok = percent(s); !ok {
				l.fault(n.pos, "expected a percentage from 0 to 100 with at most 4 places")
			}
		}
	}
	o.Commission.Of = exchange.CommissionBase(l.word(c.opt("of"), 0, exchange.OfPayout.String(), exchange.OfRevenue.String(), exchange.OfMargin.String()) + 1)
	o.Commission.PaidBy = exchange.CommissionPayer(l.word(c.opt("paid_by"), 0, exchange.PaidBySeller.String(), exchange.PaidByHouse.String()) + 1)
	l.cfg.Attribution.Offers = append(l.cfg.Attribution.Offers, o)
	l.market.Offers[o.ID] = &o
}
