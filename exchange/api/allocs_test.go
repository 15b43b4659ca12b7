package api

import (
	"fmt"
	"testing"

	"github.com/valyala/fasthttp"
)

// Allocations of a whole request through the face and the engine, made-up disk
// and buyers included. Most of a ping's are its own: the body's copy, the
// values, the request, the quote and its legs, the answer. A post adds the
// lead's values, the two events, their entries and the view, and reads its quote
// again, of which a ping leaves nothing but bytes; the disk of this test adds its maps' growth.
const (
	pingAllocsMax   = 11
	postAllocsMax   = 35
	directAllocsMax = 32
)

func (h *house) allocs(t *testing.T, path string, body func(i int) string) float64 {
	const runs = 300
	ctxs := make([]*fasthttp.RequestCtx, runs+1)
	for i := range ctxs {
		ctx := new(fasthttp.RequestCtx)
		ctx.Init(new(fasthttp.Request), nil, nil)
		ctx.Request.Header.SetMethod("POST")
		ctx.Request.SetRequestURI(path)
		ctx.Request.Header.SetContentType(jsonType)
		ctx.Request.Header.Set("Authorization", "Bearer "+sellerKey)
		ctx.Request.SetBodyString(body(i))
		_ = ctx.Path()
		ctxs[i] = ctx
	}
	i := 0
	got := testing.AllocsPerRun(runs, func() {
		h.api.Handle(ctxs[i])
		i++
	})
	for _, ctx := range ctxs {
		if ctx.Response.StatusCode() != 200 {
			t.Fatalf("%s: %d %s", path, ctx.Response.StatusCode(), ctx.Response.Body())
		}
	}
	return got
}

func TestAllocs(t *testing.T) {
	if raceOn {
		return // the race detector allocates too
	}
	h := newHouse(t, nil)
	phone := func(i int) string { return fmt.Sprintf("602555%04d", i) }
	budget := func(path string, most float64, body func(int) string) {
		if got := h.allocs(t, path, body); got > most {
			t.Errorf("%s: %.0f allocations, %.0f at most", path, got, most)
		} else {
			t.Logf("%s: %.0f allocations of %.0f", path, got, most)
		}
	}
	budget("/v1/ping", pingAllocsMax, func(int) string { return goodPing })
	budget("/v1/post", postAllocsMax, func(i int) string {
		return fmt.Sprintf(`{"ping_id":%q,"lead":{"last_name":"Miller","phone":%q}}`, pingID(t, h), phone(i))
	})
	budget("/v1/direct", directAllocsMax, func(i int) string {
		return fmt.Sprintf(`{"campaign":"north-auto","lead":{"zip":"85001","age":41,"last_name":"Miller","phone":%q}}`, phone(9999-i))
	})
}
