package world

import (
	"net"
	"sync"

	"github.com/valyala/fasthttp"
)

// Hook is a seller's webhook: it takes POSTs on any path and keeps the bodies
// by their webhook-id. Its states are those of Buyer; mu guards told and seen.
type Hook struct {
	server server

	mu    sync.Mutex
	flaky bool // the first notice of each id is answered with 503
	seen  map[string]bool
	told  map[string][]string
}

// NewHook returns a webhook; a flaky one refuses the first notice of each id.
func NewHook(flaky bool) *Hook {
	return &Hook{flaky: flaky, seen: make(map[string]bool), told: make(map[string][]string)}
}

// Start serves on ln, which the hook then owns, until Close.
func (h *Hook) Start(ln net.Listener) { h.server.start(ln, h.handle) }

// Close ends every connection and waits.
func (h *Hook) Close() { h.server.close() }

// Told returns the bodies that came, by webhook-id, oldest first.
func (h *Hook) Told() map[string][]string {
	h.mu.Lock()
	defer h.mu.Unlock()
	out := make(map[string][]string, len(h.told))
	for id, bodies := range h.told {
		out[id] = append([]string(nil), bodies...)
	}
	return out
}

func (h *Hook) handle(ctx *fasthttp.RequestCtx) {
	id := string(ctx.Request.Header.Peek("webhook-id"))
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.flaky && !h.seen[id] {
		h.seen[id] = true
		ctx.SetStatusCode(fasthttp.StatusServiceUnavailable)
		return
	}
	h.told[id] = append(h.told[id], string(ctx.PostBody()))
}
