package configs

import (
	"time"

	"vendue/attribution"
	"vendue/exchange"
)

func (l *loader) affiliate(e entry) {
	t := l.table(e.value, "name", "postbacks")
	a := attribution.Affiliate{ID: exchange.AffiliateID(e.key), Name: l.label(t.opt("name"), e.key)}
	l.market.Affiliates[a.ID] = struct{}{}
	l.cfg.Attribution.Affiliates = append(l.cfg.Attribution.Affiliates, a)
	for _, item := range l.list(t.opt("postbacks")) {
		l.postback(item, a.ID)
	}
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
