package live

import (
	"crypto/sha256"
	_ "embed" // the page is part of the binary
	"encoding/base64"
	"strings"

	"github.com/valyala/fasthttp"
)

//go:embed page/page.html
var pageHTML string

//go:embed page/page.css
var pageCSS string

//go:embed page/page.js
var pageJS string

// page is the one document, whole, and the policy that lets a browser run what is in it and nothing else.
type page struct {
	body   []byte
	policy string
}

// newPage puts style and script into the document and allows exactly those two by their hashes.
func newPage() page {
	hash := func(text string) string {
		sum := sha256.Sum256([]byte(text))
		return "'sha256-" + base64.StdEncoding.EncodeToString(sum[:]) + "'"
	}
	body := strings.NewReplacer("{{style}}", pageCSS, "{{script}}", pageJS).Replace(pageHTML)
	policy := "default-src 'none'; connect-src 'self'; img-src data:; style-src " + hash(pageCSS) + "; script-src " + hash(pageJS) +
		"; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'"
	return page{body: []byte(body), policy: policy}
}

// Handle answers GET and HEAD of / (the page) and of /api/live (what the page
// polls), and returns false for any other path. Another method is answered 405.
//
// /api/live is one JSON object. Money is a decimal number of the house
// currency; a time of nothing is null; names that end in _ms and _s are
// milliseconds and seconds. It is made at most four times a second.
//
//	{"now":"2026-01-02T15:04:05.678Z", "uptime_s":61, "go":"go1.26",
//	 "ready":true, "not_ready":"why",                    not_ready only when it is not
//	 "config":"hash", "currency":"USD",
//	 "journal":{"seq":12,"durable":12},
//	 "in_doubt":{"count":0,"value":0.00,"oldest_s":0,"conflicts":0},   attempts whose outcome is unknown, their bids, the oldest's age; open conflicts
//	 "postbacks":{"waiting":0,"delivered":0,"dead":0,"not_sent":0,"disabled":0,"unbalanced":0,"credits":0,"commission":0.00},
//	 "minute":{"span_s":60,"auctions":0,"quoted":0,"leads":0,"sold":0,"unsold":0,"pending":0,"revenue":0.00,
//	           "payout":0.00,"margin":0.00,"ping_p50_ms":1.2,"ping_p99_ms":null,"post_p50_ms":..,"post_p99_ms":..},
//	                                                     the last 60 whole seconds; leads = sold + unsold + pending
//	 "total":{..},                                       the same since the start
//	 "tests":0,                                          requests in test mode; they are counted nowhere else
//	 "series":{"span_s":600,"step_s":5,"end_ago_s":1,"sold":[..],"unsold":[..],"pending":[..],"revenue":[..],"payout":[..],
//	           "ping_p50_ms":[..],"ping_p99_ms":[..],"post_p50_ms":[..],"post_p99_ms":[..]},
//	                                                     sums per step, oldest first; as many steps as the house is old, up to
//	                                                     span_s / step_s; the last ended end_ago_s before now
//	 "unsold":[{"reason":"no_bid","recent":1,"total":9}],  recent: in the series' span
//	 "contracts":[{"contract":"..","buyer":"..","gone":true,"pings":0,"bids":0,"wins":0,"posts":0,"accepts":0,"rejects":0,
//	               "unknown":0,"timeouts":0,"errors":0,"price_changed":0,"revenue":0.00,"payout":0.00,"bid_sum":0.00,
//	               "avg_bid":0.00,"ping_p95_ms":..,"post_p95_ms":..}],   since the start; gone: no longer in the config
//	 "contracts_left_off":1,                             only if there were more than 1,000; the busiest are shown
//	 "caps":[{"id":"contract/acme/day/leads","per":"day","unit":"leads","limit":5,"held":0,"committed":1,"left":4,
//	          "start":"2026-01-02T00:00:00Z"}],          spend in money; start null if nothing has counted yet
//	 "caps_left_off":1}                                  only if there were more than 500; the fullest are shown
func (l *Live) Handle(ctx *fasthttp.RequestCtx) bool {
	path := string(ctx.Path())
	if path != "/" && path != "/api/live" {
		return false
	}
	h := &ctx.Response.Header
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Referrer-Policy", "no-referrer")
	h.Set("Cross-Origin-Resource-Policy", "same-origin")
	h.Set("Cache-Control", "no-store")
	if !ctx.IsGet() && !ctx.IsHead() {
		h.Set("Allow", "GET, HEAD")
		ctx.SetStatusCode(fasthttp.StatusMethodNotAllowed)
		return true
	}
	if path == "/" {
		h.Set("Content-Security-Policy", l.page.policy)
		ctx.SetContentType("text/html; charset=utf-8")
		ctx.SetBody(l.page.body)
		return true
	}
	h.Set("Content-Security-Policy", "default-src 'none'")
	body, err := l.json()
	if err != nil {
		panic("BUG: cannot encode the live figures: " + err.Error())
	}
	ctx.SetContentType("application/json")
	ctx.SetBody(body)
	return true
}
