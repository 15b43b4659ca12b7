package app

import (
	"bufio"
	"fmt"
	"net"
	"net/http"
	"testing"

	"github.com/valyala/fasthttp"
)

// A client that writes a whole oversize body before it reads gets the answer,
// not a reset: without the lingering close most of these fail.
func TestRefusedBodyIsAnswered(t *testing.T) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	server := &fasthttp.Server{
		Handler:            func(*fasthttp.RequestCtx) {},
		MaxRequestBodySize: 1024,
		ErrorHandler: func(ctx *fasthttp.RequestCtx, _ error) {
			ctx.SetStatusCode(fasthttp.StatusRequestEntityTooLarge)
			linger(ctx.Conn())
		},
	}
	done := make(chan error, 1)
	go func() { done <- server.Serve(&publicListener{Listener: ln}) }()
	body := make([]byte, 2<<20)
	for i := range 30 {
		if status, err := sendWhole(ln.Addr().String(), body); err != nil || status != http.StatusRequestEntityTooLarge {
			t.Fatalf("request %d: status %d, %v", i, status, err)
		}
	}
	if err := server.Shutdown(); err != nil {
		t.Fatal(err)
	}
	if err := <-done; err != nil {
		t.Fatal(err)
	}
}

func sendWhole(addr string, body []byte) (int, error) {
	c, err := net.Dial("tcp", addr)
	if err != nil {
		return 0, err
	}
	defer func() { _ = c.Close() }()
	if _, err := fmt.Fprintf(c, "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n", len(body)); err != nil {
		return 0, err
	}
	if _, err := c.Write(body); err != nil {
		return 0, err
	}
	resp, err := http.ReadResponse(bufio.NewReader(c), nil)
	if err != nil {
		return 0, err
	}
	return resp.StatusCode, resp.Body.Close()
}
