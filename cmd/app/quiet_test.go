package app

import (
	"io"
	"net"
	"testing"
	"time"

	"github.com/valyala/fasthttp"
)

// The server sets no deadline for a fault's answer, nor for a 100 Continue. On a
// connection that was quiet for a while the one before is past: it must not cut them off.
func TestAnswersWithoutADeadlineOfTheirOwn(t *testing.T) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = ln.Close() }()
	client := dialBody(t, ln.Addr().String())
	c, err := (&publicListener{Listener: ln}).Accept()
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = c.Close() }()
	_ = c.SetWriteDeadline(time.Now().Add(-time.Minute)) // of the answer before
	if _, err := io.WriteString(client, "y"); err != nil {
		t.Fatal(err)
	}
	if n, err := c.Read(make([]byte, 8)); n != 1 || err != nil {
		t.Fatalf("read %d, %v", n, err)
	}
	if n, err := io.WriteString(c, "HTTP/1.1 100 Continue\r\n\r\n"); err != nil {
		t.Fatalf("wrote %d bytes: %v", n, err)
	}
	_ = c.SetWriteDeadline(time.Now().Add(-time.Second))
	if _, err := io.WriteString(c, "x"); err == nil {
		t.Fatal("a deadline of its own did not hold")
	}
}

// The server closes a quiet connection from another goroutine than the one that
// reads it, which the race detector must be content with.
func TestQuietConnectionsAreClosedFromElsewhere(t *testing.T) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var room bodies
	room.most.Store(1 << 20)
	server := &fasthttp.Server{ReadBufferSize: headerBytes, Logger: quietLogger{}, Handler: func(ctx *fasthttp.RequestCtx) {
		c, _ := ctx.Conn().(*publicConn)
		dropLarge(&ctx.Request, c)
	}}
	done := make(chan error, 1)
	go func() { done <- server.Serve(&publicListener{Listener: ln, bodies: &room}) }()
	client := dialBody(t, ln.Addr().String())
	if status := client.send(t, "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n"); status != 200 {
		t.Fatalf("status %d", status)
	}
	if err := server.Shutdown(); err != nil {
		t.Fatal(err)
	}
	if err := <-done; err != nil {
		t.Fatal(err)
	}
}
