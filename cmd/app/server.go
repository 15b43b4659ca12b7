package app

import (
	"bytes"
	"errors"
	"strings"
	"time"

	"github.com/rs/zerolog"
	"github.com/valyala/fasthttp"

	"vendue/configs"
)

// Bounds of a connection. A body must arrive whole within readMax.
const (
	readMax       = 10 * time.Second
	writeMax      = 10 * time.Second
	idleMax       = 75 * time.Second
	headerBytes   = 8 << 10
	adminConnsMax = 256
)

func (a *App) publicServer(cfg *configs.Config) *fasthttp.Server {
	return &fasthttp.Server{
		Handler:               a.handlePublic,
		ErrorHandler:          a.handleFault,
		Name:                  "vendue",
		Concurrency:           cfg.Limits.ConnectionsMax,
		MaxRequestBodySize:    cfg.Limits.BodyBytesMax,
		ReadBufferSize:        headerBytes,
		ReadTimeout:           readMax,
		WriteTimeout:          writeMax,
		IdleTimeout:           idleMax,
		NoDefaultContentType:  true,
		SecureErrorLogMessage: true,
		CloseOnShutdown:       true,
		Logger:                serverLog{a.log},
	}
}

// handlePublic is the sellers', consumers' and buyers' side.
func (a *App) handlePublic(ctx *fasthttp.RequestCtx) {
	c, _ := ctx.Conn().(*publicConn)
	defer dropLarge(&ctx.Request, c)
	if !a.pressure.enter(c, !a.newBusiness(ctx.Path())) {
		a.api.WriteProblem(ctx, fasthttp.StatusServiceUnavailable, "the exchange is past its capacity; ask again")
		return
	}
	defer a.pressure.leave(c)
	if a.api.Handle(ctx) || a.track.Handle(ctx) {
		return
	}
	a.api.WriteProblem(ctx, fasthttp.StatusNotFound, "no such path")
}

// dropLarge lets a large body go once its request is answered. The server would
// keep it with the connection, for the next one. c is nil if the listener is no TCP.
func dropLarge(r *fasthttp.Request, c *publicConn) {
	if n := r.Header.ContentLength(); n > headerBytes || n < 0 {
		r.SwapBody(nil)
	}
	if c != nil {
		c.unbook()
	}
}

// newBusiness tells requests that begin something from those that finish it.
func (a *App) newBusiness(path []byte) bool {
	return string(path) == "/p.gif" || bytes.HasPrefix(path, []byte("/c/")) || a.api.Begins(string(path))
}

// handleFault answers what could not be read as a request. It never repeats what was sent.
func (a *App) handleFault(ctx *fasthttp.RequestCtx, err error) {
	var small *fasthttp.ErrSmallBuffer
	c, _ := ctx.Conn().(*publicConn)
	dropLarge(&ctx.Request, c)
	switch {
	case c != nil && c.refused:
		a.pressure.shed.Inc()
		linger(c)
		a.api.WriteProblem(ctx, fasthttp.StatusServiceUnavailable, "large requests have filled their memory; ask again")
	case errors.Is(err, fasthttp.ErrBodyTooLarge):
		linger(ctx.Conn())
		a.api.WriteProblem(ctx, fasthttp.StatusRequestEntityTooLarge, "the body is larger than this exchange takes")
	case errors.As(err, &small):
		a.api.WriteProblem(ctx, fasthttp.StatusRequestHeaderFieldsTooLarge, "the header is larger than this exchange takes")
	default:
		a.api.WriteProblem(ctx, fasthttp.StatusBadRequest, "not a readable HTTP request")
	}
}

// serverLog takes the server's own lines. They tell of broken connections, which are nothing to act on.
type serverLog struct{ log zerolog.Logger }

// Printf logs at debug.
func (l serverLog) Printf(format string, args ...any) {
	l.log.Debug().Msgf("http: "+strings.TrimSpace(format), args...)
}
