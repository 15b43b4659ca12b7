package app

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"runtime"
	"strings"
	"testing"

	"github.com/valyala/fasthttp"
)

// While large bodies fill their memory another large one is refused, however it
// comes, and a small one is not. What was answered or has gone is booked no more.
func TestLargeBodiesHaveBoundedRoom(t *testing.T) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	const large = 60 << 10
	var room bodies
	room.most.Store(large + 20<<10)
	server := &fasthttp.Server{
		ReadBufferSize: headerBytes, MaxRequestBodySize: 1 << 20, Logger: quietLogger{},
		Handler: func(ctx *fasthttp.RequestCtx) {
			c, _ := ctx.Conn().(*publicConn)
			ctx.SetStatusCode(200)
			dropLarge(&ctx.Request, c)
		},
		ErrorHandler: func(ctx *fasthttp.RequestCtx, _ error) {
			c, _ := ctx.Conn().(*publicConn)
			if linger(c); c.refused {
				ctx.SetStatusCode(503)
			} else {
				ctx.SetStatusCode(400)
			}
		},
	}
	done := make(chan error, 1)
	go func() { done <- server.Serve(&publicListener{Listener: ln, bodies: &room}) }()
	fixed := func(n int) string {
		return fmt.Sprintf("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n%s", n, strings.Repeat("x", n))
	}
	chunked := "POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n" + strings.Repeat("1000\r\n"+strings.Repeat("x", 0x1000)+"\r\n", 15) + "0\r\n\r\n"
	first := dialBody(t, ln.Addr().String())
	for range 2 { // on one connection: the first leaves nothing behind
		if status := first.send(t, fixed(large)); status != 200 {
			t.Fatalf("a large body with room for it: %d", status)
		}
	}
	if used := room.used.Load(); used != 0 {
		t.Fatalf("%d bytes are booked after the answer", used)
	}
	if _, err := io.WriteString(first, fixed(large)[:large/2]); err != nil {
		t.Fatal(err)
	}
	for room.used.Load() < large { // until the server has seen its header
		runtime.Gosched()
	}
	for name, c := range map[string]struct {
		request string
		status  int
	}{
		"large": {fixed(large), 503}, "chunked": {chunked, 503}, "small": {fixed(2000), 200},
	} {
		if status := dialBody(t, ln.Addr().String()).send(t, c.request); status != c.status {
			t.Errorf("%s: %d, want %d", name, status, c.status)
		}
	}
	if _, err := io.WriteString(first, fixed(large)[large/2:]); err != nil || first.status(t) != 200 {
		t.Errorf("the one with room for it was not answered: %v", err)
	}
	if err := server.Shutdown(); err != nil {
		t.Fatal(err)
	}
	if err := <-done; err != nil || room.used.Load() != 0 {
		t.Fatalf("%v; %d bytes are booked in the end", err, room.used.Load())
	}
}

type bodyConn struct {
	net.Conn
	in *bufio.Reader
}

func dialBody(t *testing.T, addr string) *bodyConn {
	t.Helper()
	c, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	return &bodyConn{c, bufio.NewReader(c)}
}

func (c *bodyConn) send(t *testing.T, request string) int {
	t.Helper()
	if _, err := io.WriteString(c, request); err != nil {
		t.Fatal(err)
	}
	return c.status(t)
}

func (c *bodyConn) status(t *testing.T) int {
	t.Helper()
	resp, err := http.ReadResponse(c.in, nil)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode
}

type quietLogger struct{}

func (quietLogger) Printf(string, ...any) {}
