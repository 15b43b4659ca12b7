// Package api is the sellers' and buyers' HTTP face: routes, auth, decoding
// into the vocabulary, calling the engine, encoding what it says.
//
// It never decides what a lead is worth or where it goes, and it never keeps a
// slice of a request: what outlives the request is copied at the door.
package api

import (
	"crypto/sha256"
	"strings"
	"sync/atomic"
	"time"

	"github.com/VictoriaMetrics/metrics"
	"github.com/rs/zerolog"
	"github.com/valyala/fasthttp"

	"vendue/exchange"
	"vendue/exchange/api/skin"
	"vendue/exchange/api/spec"
	"vendue/exchange/engine"
)

// Deps is what the face works with.
type Deps struct {
	Engine  *engine.Engine
	Vault   exchange.Vault
	Log     zerolog.Logger
	Metrics *metrics.Set
}

// API answers /v1. Safe for concurrent use.
type API struct {
	engine *engine.Engine
	vault  exchange.Vault
	log    zerolog.Logger
	m      apiMetrics
	cfg    atomic.Pointer[Config]
	pages  *spec.Renderer
}

type apiMetrics struct {
	skins           map[skin.Format]*metrics.Counter
	unknownFields   *metrics.Counter
	personalDropped *metrics.Counter
	changedFields   *metrics.Counter
	faults          map[int]*metrics.Counter // by status
}

// New returns the face.
func New(deps Deps) *API {
	a := &API{engine: deps.Engine, vault: deps.Vault, log: deps.Log, pages: spec.NewRenderer()}
	a.m = apiMetrics{
		unknownFields:   deps.Metrics.NewCounter("vendue_api_unknown_fields_total"),
		personalDropped: deps.Metrics.NewCounter("vendue_api_personal_fields_dropped_total"),
		changedFields:   deps.Metrics.NewCounter("vendue_api_changed_fields_total"),
		faults:          make(map[int]*metrics.Counter),
		skins:           make(map[skin.Format]*metrics.Counter),
	}
	for i, word := range skin.Words() {
		a.m.skins[skin.Format(i+1)] = deps.Metrics.NewCounter(`vendue_api_skin_requests_total{format="` + word + `"}`)
	}
	a.Use(Config{})
	for status := range problemTitles {
		a.m.faults[status] = deps.Metrics.NewCounter(`vendue_api_faults_total{status="` + statusText(status) + `"}`)
	}
	return a
}

// Handle answers one request if its path is the face's own.
func (a *API) Handle(ctx *fasthttp.RequestCtx) bool {
	path := string(ctx.Path())
	if !strings.HasPrefix(path, "/v1/") {
		return a.throughSkin(ctx, path) || a.page(ctx, path)
	}
	switch path {
	case "/v1/ping":
		a.seller(ctx, fasthttp.MethodPost, a.ping)
	case "/v1/post":
		a.seller(ctx, fasthttp.MethodPost, a.post)
	case "/v1/direct":
		a.seller(ctx, fasthttp.MethodPost, a.direct)
	case "/v1/buyers/outcome":
		a.outcome(ctx)
	case "/v1/returns":
		a.giveBack(ctx)
	default:
		if id, ok := strings.CutPrefix(path, "/v1/leads/"); ok && id != "" && !strings.Contains(id, "/") {
			a.seller(ctx, fasthttp.MethodGet, func(c *call) { a.lead(c, id) })
			return true
		}
		a.problem(ctx, problem{status: 404, reason: exchange.ReasonInvalidField, detail: "no such path"})
	}
	return true
}

// call is one request of a known seller.
type call struct {
	ctx       *fasthttp.RequestCtx
	arrival   time.Time
	waited    time.Duration // of the time since its arrival, for its turn to be looked at
	snap      *engine.Snapshot
	principal exchange.Principal
}

// seller lets a seller's request of the right method through to do.
func (a *API) seller(ctx *fasthttp.RequestCtx, method string, do func(*call)) {
	c, ok := a.enter(ctx, method)
	if !ok {
		return
	}
	if c.principal.Seller == nil {
		a.problem(ctx, problem{status: 403, reason: exchange.ReasonAuth, detail: "this key is not a seller's"})
		return
	}
	do(c)
}

// enter checks method and key, in that order.
func (a *API) enter(ctx *fasthttp.RequestCtx, method string) (*call, bool) {
	c := a.callOf(ctx)
	if string(ctx.Method()) != method {
		ctx.Response.Header.Set(fasthttp.HeaderAllow, method)
		a.problem(ctx, problem{status: 405, reason: exchange.ReasonInvalidField, detail: "expected " + method})
		return nil, false
	}
	if c.snap == nil {
		a.problem(ctx, problem{status: 503, reason: exchange.ReasonOverloaded, detail: "starting"})
		return nil, false
	}
	var ok bool
	if c.principal, ok = authenticate(c.snap.Market, &ctx.Request.Header); !ok {
		ctx.Response.Header.Set(fasthttp.HeaderWWWAuthenticate, "Bearer")
		a.problem(ctx, problem{status: 401, reason: exchange.ReasonAuth, detail: "expected a valid key: Authorization: Bearer KEY, or X-Api-Key: KEY"})
		return nil, false
	}
	return c, true
}

// callOf is a request that has just been read. It arrived before it waited for its turn, if the connection knows of that.
func (a *API) callOf(ctx *fasthttp.RequestCtx) *call {
	c := &call{ctx: ctx, snap: a.engine.Snapshot()}
	if conn, ok := ctx.Conn().(interface{ Waited() time.Duration }); ok {
		c.waited = conn.Waited()
	}
	c.arrival = a.engine.Now().Add(-c.waited)
	return c
}

const keyBytesMax = 256

// authenticate finds whose key a request carries. The house knows keys by their
// SHA-256 alone and looks them up by it: whoever times the look-up learns
// something of a hash they cannot steer, and nothing of any key.
func authenticate(m *exchange.Market, h *fasthttp.RequestHeader) (exchange.Principal, bool) {
	key := keyOf(h)
	if len(key) == 0 || len(key) > keyBytesMax {
		return exchange.Principal{}, false
	}
	principal, ok := m.Keys[sha256.Sum256(key)]
	return principal, ok
}

// keyOf returns the key in a request's header, empty if there is none.
func keyOf(h *fasthttp.RequestHeader) []byte {
	if auth := h.Peek(fasthttp.HeaderAuthorization); len(auth) > 7 && strings.EqualFold(string(auth[:7]), "Bearer ") {
		return auth[7:]
	}
	return h.Peek("X-Api-Key")
}
