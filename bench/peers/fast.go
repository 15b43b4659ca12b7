//go:build linux

package peers

import (
	"bytes"
	"sync"
	"time"

	"github.com/valyala/fasthttp"

	"vendue/bench/load/wire"
)

// fast is the fan-out as most who use fasthttp write it.
type fast struct {
	clients []*fasthttp.HostClient
	pool    sync.Pool // *[]int64
}

func newFast(buyers []string) *fast {
	f := &fast{}
	for _, addr := range buyers {
		f.clients = append(f.clients, &fasthttp.HostClient{
			Addr: addr, MaxConns: connsMax, MaxIdemponentCallAttempts: 1, NoDefaultUserAgentHeader: true,
			DisableHeaderNamesNormalizing: true, DisablePathNormalizing: true,
		})
	}
	f.pool.New = func() any { s := make([]int64, len(buyers)); return &s }
	return f
}

func (f *fast) handle(ctx *fasthttp.RequestCtx) {
	cents := f.pool.Get().(*[]int64)
	defer f.pool.Put(cents)
	deadline := time.Now().Add(pingLimit)
	var all sync.WaitGroup
	for i := 1; i < len(f.clients); i++ {
		all.Go(func() { (*cents)[i] = f.ping(i, deadline) })
	}
	(*cents)[0] = f.ping(0, deadline) // the handler's goroutine does one itself
	all.Wait()
	winner, most := best(*cents)
	if winner >= 0 && !f.post(winner) {
		winner = -1
	}
	tell(ctx, winner, most)
}

func (f *fast) do(i int, path string, body []byte, deadline time.Time) (resp *fasthttp.Response, err error) {
	req, resp := fasthttp.AcquireRequest(), fasthttp.AcquireResponse()
	defer fasthttp.ReleaseRequest(req)
	req.Header.SetMethod(fasthttp.MethodPost)
	req.SetRequestURI(path)
	req.Header.SetHost("buyer")
	req.Header.SetContentType("application/json")
	req.SetBodyRaw(body)
	return resp, f.clients[i].DoDeadline(req, resp, deadline)
}

func (f *fast) ping(i int, deadline time.Time) int64 {
	resp, err := f.do(i, "/ping", pingCall[len(pingCall)-len(pingBody):], deadline)
	defer fasthttp.ReleaseResponse(resp)
	if err != nil {
		return -1
	}
	return wire.Number(resp.Body(), bidKey)
}

func (f *fast) post(i int) bool {
	resp, err := f.do(i, "/post", postBody, time.Now().Add(postLimit))
	defer fasthttp.ReleaseResponse(resp)
	return err == nil && bytes.Contains(resp.Body(), accepted)
}
