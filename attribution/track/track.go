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
	Decider  Decider
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
	affiliates map[exchange.AffiliateID][32]byte // with the hash of each one's own token
	coupons    map[string]exchange.AffiliateID
	currency   string
}

type offer struct {
	id        exchange.OfferID
	landing   *attribution.Landing
	landings  map[string]*attribution.Landing
	cookieSec int
	windowSec int64
	terms     exchange.OfferRules
	confirm   attribution.Confirm
}

type counters struct {
	clicks, unlogged, prefetch, unknownOffer, unknownAffiliate, cut *metrics.Counter
	pixels, views                                                   *metrics.Counter
	conversions                                                     [outcomeCount]*metrics.Counter
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
		views:            set.NewCounter("vendue_attribution_views_total"),
	}
	for out := range outcomeCount {
		t.met.conversions[out] = set.NewCounter(`vendue_attribution_conversions_total{result="` + out.facts().label + `"}`)
	}
	return t
}

// Use takes the offers and affiliates of an accepted config.
func (t *Tracker) Use(cfg attribution.Config) {
	s := &snapshot{
		offers:     make(map[exchange.OfferID]offer, len(cfg.Offers)),
		affiliates: make(map[exchange.AffiliateID][32]byte, len(cfg.Affiliates)),
		coupons:    cfg.Coupons, currency: cfg.Currency.Code,
	}
	for _, o := range cfg.Offers {
		entry := offer{
			id: o.ID, landing: t.page(o.Landing), landings: make(map[string]*attribution.Landing, len(o.Landings)),
			cookieSec: int(min(o.CookieSec, cookieSecMax)), windowSec: o.WindowSec, terms: o.OfferRules, confirm: cfg.Confirms[o.ID],
		}
		for name, url := range o.Landings {
			entry.landings[name] = t.page(url)
		}
		s.offers[o.ID] = entry
	}
	for _, a := range cfg.Affiliates {
		s.affiliates[a.ID] = a.Token
	}
	t.now.Store(s)
}

// page reads a landing page. configs refused what cannot be read.
func (t *Tracker) page(url string) *attribution.Landing {
	l, err := attribution.ParseLanding(url)
	if err != nil {
		t.deps.Log.Error().Err(err).Msg("a landing page cannot be read")
		return &attribution.Landing{}
	}
	return l
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
		redirect(ctx, o.page(ctx).For(&attribution.Visit{Offer: o.id}))
		return
	}
	p := readParams(ctx.QueryArgs())
	t.met.cut.Add(p.cut)
	ev := t.touch(ctx, s, &p)
	ev.Offer = o.id
	visit := attribution.Visit{Offer: o.id, Affiliate: ev.Affiliate, CID: p.cid, Subs: p.subs}
	if err := t.deps.Recorder.Record(ev); err != nil {
		// The consumer comes first: a click that the journal cannot take must not cost a lead.
		t.met.unlogged.Inc()
		t.complain(err)
		sendOn(ctx, &o, &visit)
		return
	}
	t.met.clicks.Inc()
	visit.Click = ev.ClickID
	setCookie(ctx, cookieClick, ev.ClickID, o.cookieSec)
	sendOn(ctx, &o, &visit)
}

func (t *Tracker) complain(err error) {
	now, last := time.Now().UnixNano(), t.lastLog.Load()
	if now-last < int64(time.Minute) || !t.lastLog.CompareAndSwap(last, now) {
		return
	}
	t.deps.Log.Error().Err(err).Msg("cannot journal a click; consumers are sent on without a click id")
}

func redirect(ctx *fasthttp.RequestCtx, to string) {
	// Not ctx.Redirect: it would normalise what the operator wrote.
	ctx.Response.Header.Set(fasthttp.HeaderLocation, to)
	ctx.SetStatusCode(fasthttp.StatusFound)
}

// The cookies hold the newest click and the newest sight, of any offer.
const (
	cookieClick = "vd_cid"
	cookieView  = "vd_vid"
)

func setCookie(ctx *fasthttp.RequestCtx, name string, id exchange.ClickID, seconds int) {
	if seconds == 0 {
		return
	}
	c := fasthttp.AcquireCookie()
	defer fasthttp.ReleaseCookie(c)
	c.SetKey(name)
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

// problem answers with problem+json, in the same words as the sellers' side. A
// detail that begins with a field's name and a colon is that field's error. It
// is ours and needs no escapes.
func problem(ctx *fasthttp.RequestCtx, status int, detail string) {
	reason := exchange.ReasonInvalidField
	switch status {
	case fasthttp.StatusUnauthorized:
		reason = exchange.ReasonAuth
	case fasthttp.StatusBadRequest:
		reason = exchange.ReasonMissingField
	case fasthttp.StatusServiceUnavailable:
		reason = exchange.ReasonJournalUnavailable
	}
	ctx.SetStatusCode(status)
	ctx.SetContentType("application/problem+json")
	body := append(ctx.Response.Body()[:0], `{"type":"about:blank","title":"`...)
	body = append(body, fasthttp.StatusMessage(status)...)
	body = append(body, `","status":`...)
	body = fasthttp.AppendUint(body, status)
	body = append(body, `,"detail":"`...)
	body = append(body, detail...)
	body = append(append(append(body, `","reason":"`...), reason.String()...), `","errors":[`...)
	if field, text, ok := strings.Cut(detail, ": "); ok {
		body = append(append(append(append(append(body, `{"field":"`...), field...), `","error":"`...), text...), `"}`...)
	}
	ctx.SetBody(append(body, "]}"...))
}
