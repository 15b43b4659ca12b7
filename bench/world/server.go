package world

import (
	"fmt"
	"net"
	"sync"
	"time"

	"github.com/valyala/fasthttp"
)

// requestBodyMax bounds what a simulated server reads; the exchange sends far less.
const requestBodyMax = 1 << 20

// Listen opens a TCP listener on a free loopback port.
func Listen() (net.Listener, error) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, fmt.Errorf("cannot listen on loopback: %w", err)
	}
	return ln, nil
}

// FreeAddr returns a loopback address that was free a moment ago, for a daemon that is told its ports.
func FreeAddr() (string, error) {
	ln, err := Listen()
	if err != nil {
		return "", err
	}
	defer func() { _ = ln.Close() }() // nothing was written
	return ln.Addr().String(), nil
}

// server runs one handler on one listener and ends every connection at close.
//
// States: new, running (start), closed (close). mu guards conns. Shutting
// fasthttp down alone was tried: it waits for handlers that hang on purpose.
type server struct {
	http fasthttp.Server
	ln   net.Listener
	done chan struct{}
	wg   sync.WaitGroup

	mu    sync.Mutex
	conns map[*conn]struct{}
}

// conn is an accepted connection that its server can end.
type conn struct {
	net.Conn
	server *server
}

// Close closes the connection and forgets it.
func (c *conn) Close() error {
	c.server.mu.Lock()
	delete(c.server.conns, c)
	c.server.mu.Unlock()
	return c.Conn.Close()
}

// reset makes the coming close a RST where the transport knows one.
func (c *conn) reset() {
	if tcp, ok := c.Conn.(*net.TCPConn); ok {
		_ = tcp.SetLinger(0) // the close that follows tells the peer anyway
	}
}

// Accept returns the next connection, wrapped.
func (s *server) Accept() (net.Conn, error) {
	raw, err := s.ln.Accept()
	if err != nil {
		return nil, err
	}
	c := &conn{Conn: raw, server: s}
	s.mu.Lock()
	s.conns[c] = struct{}{}
	s.mu.Unlock()
	return c, nil
}

// Close closes the listener.
func (s *server) Close() error { return s.ln.Close() }

// Addr returns the listener's address.
func (s *server) Addr() net.Addr { return s.ln.Addr() }

type quiet struct{}

// Printf drops fasthttp's own complaints: resets and hangs are what these servers are for.
func (quiet) Printf(string, ...any) {}

func (s *server) start(ln net.Listener, handle fasthttp.RequestHandler) {
	s.ln, s.done, s.conns = ln, make(chan struct{}), make(map[*conn]struct{})
	s.http = fasthttp.Server{
		Handler:               handle,
		Logger:                quiet{},
		MaxRequestBodySize:    requestBodyMax,
		NoDefaultServerHeader: true,
		NoDefaultDate:         true,
		CloseOnShutdown:       true,
	}
	s.wg.Go(func() {
		_ = s.http.Serve(s) // ends with the listener
	})
}

// close ends the listener, every connection and every wait. It is called once.
func (s *server) close() {
	close(s.done)
	_ = s.ln.Close()
	s.mu.Lock()
	conns := make([]*conn, 0, len(s.conns))
	for c := range s.conns {
		conns = append(conns, c)
	}
	s.mu.Unlock()
	for _, c := range conns {
		_ = c.Conn.Close()
	}
	s.wg.Wait()
}

// wait lets d pass; false if the server closed meanwhile.
func (s *server) wait(d time.Duration) bool {
	if d <= 0 {
		return true
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-s.done:
		return false
	}
}

// drop ends the request's connection without an answer; hang keeps it open
// until the peer gives up.
func (s *server) drop(ctx *fasthttp.RequestCtx, hang bool) {
	if c, ok := ctx.Conn().(*conn); ok && !hang {
		c.reset()
	}
	ctx.HijackSetNoResponse(true)
	ctx.Hijack(func(c net.Conn) {
		var one [512]byte
		for hang {
			if _, err := c.Read(one[:]); err != nil {
				return
			}
		}
	})
}
