package track

import (
	"encoding/json"
	"strings"

	"github.com/valyala/fasthttp"

	"vendue/attribution"
	"vendue/exchange"
)

// touch is what a request says of itself as a touch: whose it is, and what came
// before it by the browser's cookies.
func (t *Tracker) touch(ctx *fasthttp.RequestCtx, s *snapshot, p *params) *exchange.Clicked {
	ev := &exchange.Clicked{ClickID: t.deps.Minter.Click(t.deps.Clock.Now()), Foreign: t.deps.Vault.Seal(p.foreign()), Prev: t.before(ctx)}
	if _, known := s.affiliates[exchange.AffiliateID(p.aff)]; known {
		ev.Affiliate = exchange.AffiliateID(p.aff)
	} else if p.aff != "" {
		t.met.unknownAffiliate.Inc()
	}
	ev.Coupon = s.coupons[strings.ToLower(strings.TrimSpace(p.code))]
	return ev
}

// before is the newest touch that the browser's cookies name, if the house made it.
func (t *Tracker) before(ctx *fasthttp.RequestCtx) (newest exchange.ClickID) {
	for _, name := range [...]string{cookieClick, cookieView} {
		text := ctx.Request.Header.Cookie(name)
		if len(text) == 0 {
			continue
		}
		if id, ours := t.deps.Minter.ParseClick(string(text)); ours && (newest.IsZero() || id.Time().After(newest.Time())) {
			newest = id
		}
	}
	return newest
}

// page is the landing page that a link names, or the offer's own. A name that
// is none of the offer's leads to its own: no link leads anywhere else.
func (o *offer) page(ctx *fasthttp.RequestCtx) *attribution.Landing {
	if l, ok := o.landings[string(ctx.QueryArgs().Peek("lp"))]; ok {
		return l
	}
	return o.landing
}

// sendOn redirects, or, for servers that ask for a click of their own, tells where it would.
func sendOn(ctx *fasthttp.RequestCtx, o *offer, v *attribution.Visit) {
	to := o.page(ctx).For(v)
	if string(ctx.QueryArgs().Peek("noredirect")) != "1" {
		redirect(ctx, to)
		return
	}
	tellJSON(ctx, struct {
		ClickID exchange.ClickID `json:"click_id"`
		URL     string           `json:"url"`
	}{v.Click, to})
}

func tellJSON(ctx *fasthttp.RequestCtx, v any) {
	body, err := json.Marshal(v)
	if err != nil {
		panic("BUG: an answer has no JSON: " + err.Error())
	}
	ctx.SetContentType("application/json")
	ctx.SetBody(body)
}
