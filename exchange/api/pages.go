package api

import (
	"bytes"
	"crypto/sha256"
	"strings"

	"github.com/valyala/fasthttp"

	"vendue/exchange"
	"vendue/exchange/api/spec"
)

// pagePrefix is where posting instructions lie. What follows is a secret, known here by its SHA-256, as keys are.
const pagePrefix = "/spec/"

// page answers with the posting instructions that a path's secret opens: as
// HTML, or with .md at its end as Markdown. No secret, no path.
func (a *API) page(ctx *fasthttp.RequestCtx, path string) bool {
	secret, ok := strings.CutPrefix(path, pagePrefix)
	if !ok || len(secret) > keyBytesMax {
		return false
	}
	format, kind := spec.HTML, "text/html; charset=utf-8"
	if plain, md := strings.CutSuffix(secret, ".md"); md {
		secret, format, kind = plain, spec.Markdown, "text/markdown; charset=utf-8"
	}
	cfg, snap := a.cfg.Load(), a.engine.Snapshot()
	name, ok := cfg.Pages[sha256.Sum256([]byte(secret))]
	if !ok || snap == nil || snap.Market.Campaigns[name] == nil {
		return false
	}
	if !ctx.IsGet() && !ctx.IsHead() {
		ctx.Response.Header.Set(fasthttp.HeaderAllow, "GET, HEAD")
		a.problem(ctx, problem{status: 405, reason: exchange.ReasonInvalidField, detail: "expected GET"})
		return true
	}
	var b bytes.Buffer
	if err := a.pages.Write(&b, format, cfg.Source(snap.Market, snap.Market.Campaigns[name])); err != nil {
		a.log.Error().Err(err).Msg("cannot write posting instructions")
		a.problem(ctx, requestProblem(exchange.ReasonOverloaded))
		return true
	}
	h := &ctx.Response.Header
	h.Set(fasthttp.HeaderCacheControl, "private, no-store")
	h.Set("Referrer-Policy", "no-referrer") // the address is the secret
	h.Set("X-Robots-Tag", "noindex, nofollow")
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set(fasthttp.HeaderContentSecurityPolicy, "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'; base-uri 'none'")
	ctx.SetContentType(kind)
	ctx.Response.SetBodyRaw(b.Bytes())
	return true
}

// Source is what a campaign's posting instructions are made from.
func (cfg *Config) Source(m *exchange.Market, c *exchange.Campaign) *spec.Source {
	src := &spec.Source{Campaign: c, Currency: m.Currency.Code, URL: cfg.URL, Config: m.Hash}
	if cfg.Skins != nil {
		src.Skins = cfg.Skins.Of(c.ID)
	}
	return src
}
