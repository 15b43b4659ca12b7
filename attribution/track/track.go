package track

import (
	"bytes"
	"strings"
	"sync/atomic"
	"time"

	"github.com/VictoriaMetrics/metrics"
	"github.com/rs/zerolog"
	"github.com/valyala/fasthttp"

	"vendue/attribution"
	"vendue/exchange"
)

// Deps is what the handlers stand on.
type Deps struct {
	Recorder attribution.Recorder
	Vault    exchange.Vault
	Minter   *exchange.Minter
	Clock    exchange.Clock // nil: time.Now
	Log      zerolog.Logger
	Metrics  *metrics.Set
}

// Tracker serves /c/{offer}, /p.gif and /conversion. It is safe for concurrent
// use; a reload swaps the one pointer to its snapshot.
type Tracker struct {
	deps    Deps
	now     atomic.Pointer[snapshot]
	met     counters
	lastLog atomic.Int64 // Unix nanoseconds of the last line about the journal
}

// snapshot is one accepted config as the handlers need it. It is immutable.
type snapshot struct {
	offers     map[exchange.OfferID]offer
	affiliates map[exchange.AffiliateID]struct{}
}

type offer struct {
	id        exchange.OfferID
	landing   landing
	cookieSec int
}

type counters struct {
	clicks, unlogged, prefetch, unknownOffer, unknownAffiliate, cut *metrics.Counter
	pixels, conversions, forged                                     *metrics.Counter
}

// cookieSecMax is the longest life that browsers grant a cookie.
const cookieSecMax = 400 * 24 * 60 * 60

// New returns handlers that know no offer until Use.
func New(deps Deps) *Tracker {
	t := &Tracker{deps: deps}
	t.now.Store(&snapshot{})
	set := deps.Metrics
	click := func(result string) *metrics.Counter {
		return set.NewCounter(`vendue_attribution_clicks_total{result="` + result + `"}`)
	}
	t.met = counters{
		clicks: click("recorded"), unlogged: click("unlogged"), prefetch: click("not_counted"), unknownOffer: click("unknown_offer"),
		unknownAffiliate: set.NewCounter("vendue_attribution_clicks_unknown_affiliate_total"),
		cut:              set.NewCounter("vendue_attribution_click_values_cut_total"),
		pixels:           set.NewCounter("vendue_attribution_pixels_total"),
		conversions:      set.NewCounter(`vendue_attribution_conversions_total{result="not_implemented"}`),
		forged:           set.NewCounter(`vendue_attribution_conversions_total{result="unknown_click"}`),
	}
	return t
}

// Use takes the offers and affiliates of an accepted config.
func (t *Tracker) Use(cfg attribution.Config) {
	s := &snapshot{
		offers:     make(map[exchange.OfferID]offer, len(cfg.Offers)),
		affiliates: make(map[exchange.AffiliateID]struct{}, len(cfg.Affiliates)),
	}
	for _, o := range cfg.Offers {
		s.offers[o.ID] = offer{id: o.ID, landing: newLanding(o.Landing), cookieSec: int(min(o.WindowSec, cookieSecMax))}
	}
	for _, a := range cfg.Affiliates {
		s.affiliates[a.ID] = struct{}{}
	}
	t.now.Store(s)
}

// Handle answers a request whose path is one of the tracker's and tells
// whether it was.
func (t *Tracker) Handle(ctx *fasthttp.RequestCtx) bool {
	path := ctx.Path()
	switch {
	case bytes.HasPrefix(path, []byte("/c/")):
		t.click(ctx, string(path[len("/c/"):]))
	case string(path) == "/p.gif":
		t.pixel(ctx)
	case string(path) == "/conversion":
		t.conversion(ctx)
	default:
		return false
	}
	return true
}

// click sends a consumer on to the offer's landing page.
func (t *Tracker) click(ctx *fasthttp.RequestCtx, name string) {
	if !ctx.IsGet() && !ctx.IsHead() {
		notAllowed(ctx, "GET, HEAD")
		return
	}
	s := t.now.Load()
	o, ok := s.offers[exchange.OfferID(name)]
	if !ok {
		t.met.unknownOffer.Inc()
		problem(ctx, fasthttp.StatusNotFound, "no such offer")
		return
	}
	ctx.Response.Header.Set(fasthttp.HeaderCacheControl, "no-store")
	ctx.Response.Header.Set(fasthttp.HeaderReferrerPolicy, "origin")
	if ctx.IsHead() || isPrefetch(ctx) {
		t.met.prefetch.Inc()
		redirect(ctx, o.landing.plain)
		return
	}
	p := readParams(ctx.QueryArgs())
	t.met.cut.Add(p.cut)
	ev := &exchange.Clicked{
		ClickID: t.deps.Minter.Click(t.deps.Clock.Now()), Offer: o.id, Foreign: t.deps.Vault.Seal(p.foreign()),
	}
	if _, known := s.affiliates[exchange.AffiliateID(p.aff)]; known {
		ev.Affiliate = exchange.AffiliateID(p.aff)
	} else if p.aff != "" {
		t.met.unknownAffiliate.Inc()
	}
	if err := t.deps.Recorder.Record(ev); err != nil {
		// The consumer comes first: a click that the journal cannot take must not cost a lead.
		t.met.unlogged.Inc()
		t.complain(err)
		redirect(ctx, o.landing.plain)
		return
	}
	t.met.clicks.Inc()
	setCookie(ctx, ev.ClickID, o.cookieSec)
	redirect(ctx, o.landing.with(ev.ClickID))
}

func (t *Tracker) complain(err error) {
	now, last := time.Now().UnixNano(), t.lastLog.Load()
	if now-last < int64(time.Minute) || !t.lastLog.CompareAndSwap(last, now) {
		return
	}
	t.deps.Log.Error().Err(err).Msg("cannot journal a click; consumers are sent on without a click id")
}

// pixel answers with an image. What it could tell is not recorded yet, so it
// says nothing to its caller but the image.
func (t *Tracker) pixel(ctx *fasthttp.RequestCtx) {
	if !ctx.IsGet() && !ctx.IsHead() {
		notAllowed(ctx, "GET, HEAD")
		return
	}
	t.met.pixels.Inc()
	ctx.Response.Header.Set(fasthttp.HeaderCacheControl, "no-store")
	ctx.SetContentType("image/gif")
	ctx.SetBodyString(gif)
}

// gif is one transparent dot in 43 bytes.
const gif = "GIF89a\x01\x00\x01\x00\x80\x00\x00\x00\x00\x00\xff\xff\xff!\xf9\x04\x01\x00\x00\x00\x00,\x00\x00\x00\x00\x01\x00\x01\x00\x00\x02\x02D\x01\x00;"

// conversion tells forged click ids from genuine ones. It credits nothing yet,
// and says so: an answer that the caller could take for a credit would be a lie.
func (t *Tracker) conversion(ctx *fasthttp.RequestCtx) {
	if !ctx.IsGet() && !ctx.IsPost() {
		notAllowed(ctx, "GET, POST")
		return
	}
	ctx.Response.Header.Set(fasthttp.HeaderCacheControl, "no-store")
	id, ok := first(ctx.QueryArgs(), conversionClickNames[:])
	if !ok {
		id, ok = first(ctx.PostArgs(), conversionClickNames[:])
	}
	if !ok || id == "" {
		problem(ctx, fasthttp.StatusBadRequest, "click_id: expected the click id that came with the visit")
		return
	}
	if _, genuine := t.deps.Minter.ParseClick(id); !genuine {
		t.met.forged.Inc()
		problem(ctx, fasthttp.StatusNotFound, "click_id: no such click")
		return
	}
	t.met.conversions.Inc()
	problem(ctx, fasthttp.StatusUnprocessableEntity, "this exchange does not take conversions yet: nothing was recorded, and nobody was credited")
}

func redirect(ctx *fasthttp.RequestCtx, to string) {
	// Not ctx.Redirect: it would normalise what the operator wrote.
	ctx.Response.Header.Set(fasthttp.HeaderLocation, to)
	ctx.SetStatusCode(fasthttp.StatusFound)
}

func setCookie(ctx *fasthttp.RequestCtx, id exchange.ClickID, seconds int) {
	c := fasthttp.AcquireCookie()
	defer fasthttp.ReleaseCookie(c)
	c.SetKey("vd_cid")
	c.SetValue(id.String())
	c.SetPath("/")
	c.SetMaxAge(seconds)
	c.SetHTTPOnly(true)
	c.SetSameSite(fasthttp.CookieSameSiteLaxMode)
	c.SetSecure(ctx.IsTLS() || strings.EqualFold(string(ctx.Request.Header.Peek("X-Forwarded-Proto")), "https"))
	ctx.Response.Header.SetCookie(c)
}

// isPrefetch tells whether the browser fetches ahead of a visit that may never come.
func isPrefetch(ctx *fasthttp.RequestCtx) bool {
	for _, name := range [...]string{"Sec-Purpose", "Purpose", "X-Purpose", "X-Moz"} {
		if bytes.Contains(bytes.ToLower(ctx.Request.Header.Peek(name)), []byte("prefetch")) {
			return true
		}
	}
	return false
}

func notAllowed(ctx *fasthttp.RequestCtx, allow string) {
	ctx.Response.Header.Set(fasthttp.HeaderAllow, allow)
	problem(ctx, fasthttp.StatusMethodNotAllowed, "expected "+allow)
}

// problem answers with problem+json. The detail is ours and needs no escapes.
func problem(ctx *fasthttp.RequestCtx, status int, detail string) {
	ctx.SetStatusCode(status)
	ctx.SetContentType("application/problem+json")
	body := append(ctx.Response.Body()[:0], `{"type":"about:blank","title":"`...)
	body = append(body, fasthttp.StatusMessage(status)...)
	body = append(body, `","status":`...)
	body = fasthttp.AppendUint(body, status)
	body = append(body, `,"detail":"`...)
	body = append(body, detail...)
	ctx.SetBody(append(body, `"}`...))
}
