package track

import (
	"github.com/valyala/fasthttp"

	"vendue/attribution"
	"vendue/exchange"
)

// pixel answers with an image, always, and says nothing to its caller but the
// image. Without an event it is a sight of the offer's picture, which may earn
// if the offer gives sights a window. With one it tells of that event, by the
// click that cid or the cookie names, if the offer takes a browser's word; it
// never brings an amount.
func (t *Tracker) pixel(ctx *fasthttp.RequestCtx) {
	if !ctx.IsGet() && !ctx.IsHead() {
		notAllowed(ctx, "GET, HEAD")
		return
	}
	t.met.pixels.Inc()
	args, s := ctx.QueryArgs(), t.now.Load()
	name, _ := first(args, []string{"offer", "o"})
	o, ok := s.offers[exchange.OfferID(name)]
	event, _ := first(args, []string{"event", "e"})
	switch {
	case ctx.IsHead() || isPrefetch(ctx) || !ok:
	case event == "" || event == "view":
		t.view(ctx, s, &o)
	default:
		t.pixelEvent(ctx, o.id, event)
	}
	ctx.Response.Header.Set(fasthttp.HeaderCacheControl, "no-store")
	ctx.SetContentType("image/gif")
	ctx.SetBodyString(gif)
}

// gif is one transparent dot in 43 bytes.
const gif = "GIF89a\x01\x00\x01\x00\x80\x00\x00\x00\x00\x00\xff\xff\xff!\xf9\x04\x01\x00\x00\x00\x00,\x00\x00\x00\x00\x01\x00\x01\x00\x00\x02\x02D\x01\x00;"

// view journals a sight of the offer's picture, if somebody may earn by it.
func (t *Tracker) view(ctx *fasthttp.RequestCtx, s *snapshot, o *offer) {
	if o.terms.ViewSec == 0 {
		return
	}
	p := readParams(ctx.QueryArgs())
	ev := t.touch(ctx, s, &p)
	if ev.Affiliate == "" {
		return
	}
	ev.Offer, ev.View, ev.Coupon = o.id, true, ""
	if err := t.deps.Recorder.Record(ev); err != nil {
		t.met.unlogged.Inc()
		t.complain(err)
		return
	}
	t.met.views.Inc()
	setCookie(ctx, cookieView, ev.ClickID, int(min(o.terms.ViewSec, cookieSecMax)))
}

func (t *Tracker) pixelEvent(ctx *fasthttp.RequestCtx, offer exchange.OfferID, event string) {
	text, _ := first(ctx.QueryArgs(), conversionClickNames[:])
	if text == "" {
		text = string(ctx.Request.Header.Cookie(cookieClick))
	}
	out := outcomeNoClick
	if text != "" {
		out = outcomeForged
	}
	if id, genuine := t.deps.Minter.ParseClick(text); genuine {
		txid, _ := first(ctx.QueryArgs(), append(txidNames[:], "t"))
		out, _, _ = t.tell(&told{click: id, offer: offer, event: event, txid: txid, pixel: true})
	}
	t.met.conversions[out].Inc()
}

var _ Decider = (*attribution.Attribution)(nil)
