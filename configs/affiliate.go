package configs

import (
	"crypto/sha256"
	"strings"
	"time"

	"vendue/attribution"
	"vendue/exchange"
)

const (
	couponsMax  = 1000 // of one affiliate
	landingsMax = 1000 // of one offer
)

func (l *loader) affiliate(e entry) {
	t := l.table(e.value, "name", "postbacks", "coupons", "token")
	a := attribution.Affiliate{ID: exchange.AffiliateID(e.key), Name: l.label(t.opt("name"), e.key), Token: l.token(t.opt("token"))}
	l.market.Affiliates[a.ID] = struct{}{}
	l.coupons(t.opt("coupons"), a.ID)
	l.cfg.Attribution.Affiliates = append(l.cfg.Attribution.Affiliates, a)
	for _, item := range l.list(t.opt("postbacks")) {
		l.postback(item, a.ID)
	}
}

// coupons gives an affiliate its codes. Each is one affiliate's, however it is written.
func (l *loader) coupons(n *node, owner exchange.AffiliateID) {
	list := l.list(n)
	if len(list) > couponsMax {
		l.fault(n.pos, "expected at most %d coupon codes", couponsMax)
		return
	}
	if l.market.Coupons == nil {
		l.market.Coupons = make(map[string]exchange.AffiliateID)
		l.cfg.Attribution.Coupons = l.market.Coupons
	}
	for _, item := range list {
		code, ok := l.text(item)
		if !ok {
			continue
		}
		code = strings.ToLower(strings.TrimSpace(code))
		other, taken := l.market.Coupons[code]
		switch {
		case code == "" || len(code) > 64:
			l.fault(item.pos, "expected a coupon code of 1 to 64 bytes")
		case taken:
			l.fault(item.pos, "coupon %q is that of affiliate %q already; upper and lower case are the same", code, other)
		default:
			l.market.Coupons[code] = owner
		}
	}
}

// token is the hash of a secret that calls from outside bear; zero without one.
func (l *loader) token(n *node) (sum [32]byte) {
	if secret := l.secret(n); len(secret) > 0 {
		sum = sha256.Sum256(secret)
	}
	return sum
}

func (l *loader) offer(e entry) {
	t := l.table(e.value, "landing", "landings", "cookie", "attribution", "earn_on", "require", "confirm", "commission")
	o := exchange.Offer{ID: exchange.OfferID(e.key)}
	l.landings(t, &o)
	a := l.table(t.opt("attribution"), "model", "window", "view_window", "coupon")
	o.Model = exchange.Model(l.word(a.opt("model"), 0, exchange.LastTouch.String(), exchange.FirstTouch.String(), exchange.LastNonDirect.String()) + 1)
	o.WindowSec = l.seconds(a.opt("window"), 30*24*time.Hour, span{time.Second, rememberedMax})
	o.ViewSec = l.seconds(a.opt("view_window"), 0, span{0, rememberedMax})
	o.CouponFirst = l.word(a.opt("coupon"), 0, "after_click", "first") == 1
	o.CookieSec = l.seconds(t.opt("cookie"), time.Duration(o.WindowSec)*time.Second, span{0, rememberedMax})
	l.earning(t, &o)
	l.commission(t.need("commission"), &o)
	l.cfg.Attribution.Offers = append(l.cfg.Attribution.Offers, o)
	l.market.Offers[o.ID] = &o
}

func (l *loader) seconds(n *node, fallback time.Duration, limits span) int64 {
	return int64(l.duration(n, fallback, limits) / time.Second)
}

// landings reads where an offer's clicks lead: one page, or several that a link chooses from by name.
func (l *loader) landings(t table, o *exchange.Offer) {
	named := l.named(t.opt("landings"))
	if len(named) == 0 {
		o.Landing = l.landing(t.need("landing"))
		return
	}
	if len(named) > landingsMax {
		l.fault(t.opt("landings").pos, "expected at most %d landing pages", landingsMax)
		return
	}
	o.Landings = make(map[string]string, len(named))
	for _, e := range named {
		o.Landings[e.key] = l.landing(e.value)
	}
	if n := t.opt("landing"); n != nil {
		o.Landing = l.landing(n)
		return
	}
	o.Landing = o.Landings["default"]
	if o.Landing == "" {
		l.fault(t.opt("landings").pos, "expected a page for links that name none: one called default, or the key landing")
	}
}

func (l *loader) landing(n *node) string {
	s, ok := l.text(n)
	if !ok {
		return ""
	}
	if _, err := attribution.ParseLanding(s); err != nil {
		l.fault(n.pos, "%s", err)
		return s
	}
	return l.url(n)
}

// earning reads what an offer pays for.
func (l *loader) earning(t table, o *exchange.Offer) {
	o.EarnOn = exchange.EarnOn(l.word(t.opt("earn_on"), 0, exchange.EarnSold.String(), exchange.EarnAccepted.String(), exchange.EarnConfirmed.String()))
	needSold := l.word(t.opt("require"), 0, "none", "sold") == 1
	confirm := t.opt("confirm")
	if o.EarnOn != exchange.EarnConfirmed {
		if confirm != nil {
			l.fault(confirm.pos, "only an offer with earn_on: confirmed_event is confirmed")
		}
		if o.EarnOn == exchange.EarnAccepted && needSold {
			o.EarnOn = exchange.EarnSold // accepted, and sold too: the sale says both
		}
		return
	}
	o.NeedSold = needSold
	c := l.table(t.need("confirm"), "event", "within", "token", "pixel")
	event, ok := l.text(c.need("event"))
	if ok && !nameOK(event) {
		l.fault(c.opt("event").pos, "event %q: expected 1 to 64 letters, digits, - _ or ., beginning with a letter or digit", event)
	}
	o.Event = event
	o.ConfirmSec = l.seconds(c.opt("within"), 90*24*time.Hour, span{time.Second, rememberedMax})
	rules := attribution.Confirm{Token: l.token(c.opt("token")), Pixel: l.boolean(c.opt("pixel"))}
	if c.opt("token") == nil && !rules.Pixel && confirm != nil && c.node.shape != shapeBroken {
		l.fault(confirm.pos, "expected a token for who tells of the event, or pixel: true")
	}
	if l.cfg.Attribution.Confirms == nil {
		l.cfg.Attribution.Confirms = make(map[exchange.OfferID]attribution.Confirm)
	}
	l.cfg.Attribution.Confirms[o.ID] = rules
}

// commission reads what an offer pays: a rate of something that there is when it is earned, or a flat amount.
func (l *loader) commission(n *node, o *exchange.Offer) {
	c := l.table(n, "percent", "amount", "of", "paid_by")
	if flat := c.opt("amount"); flat != nil {
		o.FlatAmount = l.price(flat)
		for _, other := range []string{"percent", "of"} {
			if have := c.opt(other); have != nil {
				l.fault(have.pos, "%s does not go with a flat amount", other)
			}
		}
	} else if rate := c.need("percent"); rate != nil {
		if s, ok := l.text(rate); ok {
			if o.Commission.Rate, ok = percent(s); !ok {
				l.fault(rate.pos, "expected a percentage from 0 to 100 with at most 4 places")
			}
		}
	}
	bases := []string{exchange.OfPayout.String(), exchange.OfRevenue.String(), exchange.OfMargin.String()}
	if o.EarnOn == exchange.EarnConfirmed {
		bases = append(bases, exchange.OfAmount.String())
	}
	o.Commission.Of = exchange.CommissionBase(l.word(c.opt("of"), 0, bases...) + 1)
	o.Commission.PaidBy = exchange.CommissionPayer(l.word(c.opt("paid_by"), 0, exchange.PaidBySeller.String(), exchange.PaidByHouse.String()) + 1)
	unsold := o.EarnOn == exchange.EarnAccepted || o.EarnOn == exchange.EarnConfirmed && !o.NeedSold
	if unsold && o.FlatAmount == 0 && o.Commission.Of != exchange.OfAmount && n != nil && c.node.shape != shapeBroken {
		l.fault(n.pos, "this offer earns without a sale, which has no price; expected a flat amount, or, of a confirmed event, of: amount")
	}
	if unsold && o.EarnOn == exchange.EarnConfirmed && o.Commission.PaidBy != exchange.PaidByHouse && n != nil && c.node.shape != shapeBroken {
		l.fault(n.pos, "no seller stands behind an event without a sale; expected paid_by: house")
	}
}
