package app

import (
	"bufio"
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"strconv"
	"strings"

	"github.com/VictoriaMetrics/metrics"
	"github.com/tidwall/gjson"
	"github.com/valyala/fasthttp"
	"github.com/valyala/fasthttp/pprofhandler"

	"vendue/exchange"
	"vendue/exchange/api"
	"vendue/exchange/engine"
	"vendue/store"
)

func (a *App) adminServer() *fasthttp.Server {
	return &fasthttp.Server{
		Handler: func(ctx *fasthttp.RequestCtx) { a.handleAdmin(ctx, false) }, ErrorHandler: a.handleFault, Name: "vendue",
		Concurrency: adminConnsMax, MaxRequestBodySize: 1 << 20, ReadTimeout: readMax, IdleTimeout: idleMax,
		SecureErrorLogMessage: true, CloseOnShutdown: true, Logger: serverLog{a.log},
	}
}

// socketServer answers the house's own commands. Who may open the data
// directory may say everything there is to say.
func (a *App) socketServer() *fasthttp.Server {
	s := a.adminServer()
	s.Handler = func(ctx *fasthttp.RequestCtx) { a.handleAdmin(ctx, true) }
	return s
}

func (a *App) handleAdmin(ctx *fasthttp.RequestCtx, trusted bool) {
	path := string(ctx.Path())
	switch {
	case reads(path) && !ctx.IsGet() && !ctx.IsHead():
		ctx.Response.Header.Set(fasthttp.HeaderAllow, "GET, HEAD")
		a.api.WriteProblem(ctx, fasthttp.StatusMethodNotAllowed, "expected GET")
	case a.live.Handle(ctx):
	case path == "/metrics":
		ctx.SetContentType("text/plain; version=0.0.4; charset=utf-8")
		a.set.WritePrometheus(ctx)
		metrics.WriteProcessMetrics(ctx)
	case path == "/healthz":
		ctx.SetBodyString("ok\n")
	case path == "/readyz":
		a.ready(ctx)
	case path == "/openapi.json":
		api.ServeDocument(ctx)
	case strings.HasPrefix(path, "/debug/pprof"):
		if path == "/debug/pprof/" {
			ctx.URI().SetPath("/debug/pprof") // the handler has its index there only, with links that need the slash
		}
		pprofhandler.PprofHandler(ctx)
	case path == "/api/log":
		a.tellLog(ctx)
	case path == "/api/verify":
		a.tellVerify(ctx)
	case strings.HasPrefix(path, "/api/explain/"):
		a.explain(ctx, strings.TrimPrefix(path, "/api/explain/"))
	case path == "/api/reload":
		if a.operator(ctx, trusted) {
			a.tellReload(ctx)
		}
	case path == "/api/balance":
		if a.operator(ctx, trusted) {
			a.pay(ctx)
		}
	case path == "/api/pings":
		a.tellPings(ctx)
	case path == "/api/caps":
		a.tellCaps(ctx)
	case a.handleDoubt(ctx, path, trusted):
	case a.handlePostbacks(ctx, path, trusted):
	case a.handleCredits(ctx, path, trusted):
	default:
		a.api.WriteProblem(ctx, fasthttp.StatusNotFound, "no such path")
	}
}

// reads tells whether a path is one that tells something and does nothing. The
// profiles look after themselves.
func reads(path string) bool {
	switch path {
	case "/", "/metrics", "/healthz", "/readyz", "/openapi.json", "/api/live", "/api/log", "/api/verify", "/api/caps", "/api/pings", "/api/doubt", "/api/conflicts",
		"/api/postbacks", "/api/postbacks/disabled", "/api/conversions":
		return true
	}
	return strings.HasPrefix(path, "/api/explain/") || strings.HasPrefix(path, "/api/credits/")
}

// operator lets through a POST with an operator's key, or over the command socket.
func (a *App) operator(ctx *fasthttp.RequestCtx, trusted bool) bool {
	if !ctx.IsPost() {
		ctx.Response.Header.Set(fasthttp.HeaderAllow, fasthttp.MethodPost)
		a.api.WriteProblem(ctx, fasthttp.StatusMethodNotAllowed, "expected POST")
		return false
	}
	if trusted || a.principal(ctx).Operator != "" {
		return true
	}
	a.api.WriteProblem(ctx, fasthttp.StatusUnauthorized, "expected an operator's key")
	return false
}

// principal returns whose key a request bears, the zero one if nobody's.
func (a *App) principal(ctx *fasthttp.RequestCtx) exchange.Principal {
	key := ctx.Request.Header.Peek("X-Api-Key")
	if auth, ok := strings.CutPrefix(string(ctx.Request.Header.Peek(fasthttp.HeaderAuthorization)), "Bearer "); ok {
		key = []byte(auth)
	}
	return a.cfg.Load().Market.Keys[sha256.Sum256(key)]
}

func (a *App) ready(ctx *fasthttp.RequestCtx) {
	reason := a.engine.Ready().String()
	if reason == "" {
		if err := a.store.Healthy(); err != nil {
			reason = exchange.ReasonJournalUnavailable.String()
		}
	}
	if reason != "" {
		ctx.SetStatusCode(fasthttp.StatusServiceUnavailable)
	}
	tellJSON(ctx, map[string]any{"ready": reason == "", "reason": reason})
}

func tellJSON(ctx *fasthttp.RequestCtx, v any) {
	body, err := json.Marshal(v)
	if err != nil {
		panic("BUG: cannot encode an admin answer: " + err.Error())
	}
	ctx.SetContentType("application/json")
	ctx.SetBody(append(body, '\n'))
}

func (a *App) tellReload(ctx *fasthttp.RequestCtx) {
	err := a.Reload()
	var refused *ConfigError
	switch {
	case err == nil:
		tellJSON(ctx, map[string]any{"config": a.cfg.Load().Hash})
	case errors.As(err, &refused):
		faults := make([]string, len(refused.Faults))
		for i, f := range refused.Faults {
			faults[i] = f.String()
		}
		ctx.SetStatusCode(fasthttp.StatusUnprocessableEntity)
		tellJSON(ctx, map[string]any{"faults": faults})
	default:
		a.log.Error().Err(err).Msg("reload failed")
		a.api.WriteProblem(ctx, fasthttp.StatusServiceUnavailable, "the config could not be installed; the log says why")
	}
}

// settle takes an operator's word on an unknown: {"lead_id":"..","bid_id":"..","accepted":true}.
func (a *App) settle(ctx *fasthttp.RequestCtx) {
	body := string(ctx.PostBody())
	lead, accepted := gjson.Get(body, "lead_id"), gjson.Get(body, "accepted")
	if !gjson.Valid(body) || lead.Type != gjson.String || !accepted.IsBool() {
		a.api.WriteProblem(ctx, fasthttp.StatusUnprocessableEntity, `expected {"lead_id":"..","bid_id":"optional if one leg","accepted":true|false}`)
		return
	}
	a.api.TellVerdict(ctx, &engine.Verdict{
		LeadID: lead.Str, BidID: gjson.Get(body, "bid_id").Str, Accepted: accepted.Bool(), By: exchange.SettledByOperator,
	})
}

// tellLog streams the journal as JSON lines: ?from=SEQ&type=T&follow=1.
func (a *App) tellLog(ctx *fasthttp.RequestCtx) {
	args := ctx.QueryArgs()
	from, err := strconv.ParseUint(orElse(string(args.Peek("from")), "1"), 10, 64)
	kind, known := exchange.ParseEventKind(string(args.Peek("type")))
	if err != nil || (len(args.Peek("type")) > 0 && !known) {
		a.api.WriteProblem(ctx, fasthttp.StatusUnprocessableEntity, "expected from as a seq and type as an event's word")
		return
	}
	follow := args.GetBool("follow")
	stop := a.engine.Stopping()
	ctx.SetContentType("application/x-ndjson")
	ctx.SetBodyStreamWriter(func(w *bufio.Writer) {
		_ = WriteLog(stop, a.store, LogQuery{From: max(from, 1), Kind: kind, Follow: follow}, w)
	})
}

func orElse(s, other string) string {
	if s == "" {
		return other
	}
	return s
}

// LogQuery says which events of the journal are wanted. Kind 0: all.
type LogQuery struct {
	From   uint64
	Kind   exchange.EventKind
	Follow bool
}

const logReadMax = 1024

// WriteLog writes journal events as JSON lines until the journal's end, or,
// following, until ctx ends or the reader is gone.
func WriteLog(ctx context.Context, s *store.Store, q LogQuery, w *bufio.Writer) error {
	var line []byte
	for from := q.From; ; {
		next, err := s.Read(from, logReadMax, func(e exchange.Entry) error {
			if q.Kind != 0 && e.Event.Kind() != q.Kind {
				return nil
			}
			line = append(store.AppendJSON(line[:0], e), '\n')
			_, err := w.Write(line)
			return err
		})
		if err != nil {
			return err
		}
		if next > from {
			from = next
			continue
		}
		if err := w.Flush(); err != nil || !q.Follow {
			return err
		}
		if _, err := s.WaitDurable(ctx, from-1); err != nil {
			return err
		}
	}
}

func (a *App) tellVerify(ctx *fasthttp.RequestCtx) {
	report, err := VerifyAll(a.engine.Stopping(), a.store)
	if err != nil {
		a.log.Error().Err(err).Msg("cannot verify")
		a.api.WriteProblem(ctx, fasthttp.StatusServiceUnavailable, "the journal cannot be read")
		return
	}
	tellJSON(ctx, report)
}
