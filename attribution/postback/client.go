package postback

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"code.dny.dev/ssrf"
	"github.com/valyala/fasthttp"

	"vendue/exchange"
)

const (
	attemptTimeout   = 10 * time.Second
	replyBytesMax    = 16 << 10
	connsPerHostMax  = perEndpointMax
	idleConnDuration = 50 * time.Second
)

// client is the one HTTP client that speaks to trackers and to sellers' webhooks.
//
// It never follows a redirect and never repeats a request by itself: fasthttp
// would resend a GET up to five times, which a job's record would not show.
// Addresses are judged when a connection is made, after the name was resolved,
// so a name that changes its address between look-ups gains nothing.
type client struct {
	http  *fasthttp.Client
	clock exchange.Clock
	dial  atomic.Pointer[dialer]

	mu     sync.Mutex
	closed bool // no connection is made any more
	conns  map[*trackedConn]struct{}
}

// dialer is replaced whole at a reload.
type dialer struct {
	resolver *net.Resolver // nil: the system's
	custom   func(network, addr string, timeout time.Duration) (net.Conn, error)
	guard    *ssrf.Guardian
}

func newClient(clock exchange.Clock) *client {
	c := &client{clock: clock, conns: make(map[*trackedConn]struct{})}
	c.http = &fasthttp.Client{
		Name:                          "vendue",
		DialTimeout:                   c.connect,
		MaxConnsPerHost:               connsPerHostMax,
		MaxIdleConnDuration:           idleConnDuration,
		MaxIdemponentCallAttempts:     1,
		RetryIfErr:                    func(*fasthttp.Request, int, error) (bool, bool) { return false, false },
		ReadTimeout:                   attemptTimeout,
		WriteTimeout:                  attemptTimeout,
		StreamResponseBody:            true,
		DisablePathNormalizing:        true,
		DisableHeaderNamesNormalizing: false,
	}
	return c
}

// use takes the addresses that a config allows. Kept connections were made
// under the old rules, so they are let go.
func (c *client) use(cfg Config) {
	var v4, v6 []netip.Prefix
	for _, p := range cfg.EgressAllow {
		if p.Addr().Is4() {
			v4 = append(v4, p)
		} else {
			v6 = append(v6, p)
		}
	}
	c.dial.Store(&dialer{
		custom: cfg.Dial,
		guard:  ssrf.New(ssrf.WithAnyPort(), ssrf.WithAllowedV4Prefixes(v4...), ssrf.WithAllowedV6Prefixes(v6...)),
	})
	c.http.CloseIdleConnections()
}

func (c *client) connect(addr string, timeout time.Duration) (net.Conn, error) {
	d := c.dial.Load()
	var conn net.Conn
	var err error
	if d.custom != nil {
		conn, err = d.custom("tcp", addr, timeout)
	} else {
		guarded := net.Dialer{Timeout: timeout, Control: d.guard.Safe, Resolver: d.resolver}
		conn, err = guarded.DialContext(context.Background(), "tcp", addr)
	}
	if errors.Is(err, ssrf.ErrProhibitedIP) || errors.Is(err, ssrf.ErrProhibitedNetwork) {
		return nil, errEgress
	}
	if err != nil {
		return nil, fmt.Errorf("cannot dial: %w", err)
	}
	return c.track(conn)
}

// trackedConn is a connection that close can break.
type trackedConn struct {
	net.Conn
	owner *client
}

// Close closes the connection and forgets it.
func (t *trackedConn) Close() error {
	t.owner.mu.Lock()
	delete(t.owner.conns, t)
	t.owner.mu.Unlock()
	return t.Conn.Close()
}

func (c *client) track(conn net.Conn) (net.Conn, error) {
	t := &trackedConn{Conn: conn, owner: c}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		_ = conn.Close()
		return nil, net.ErrClosed
	}
	c.conns[t] = struct{}{}
	return t, nil
}

// close breaks every connection, so that no request outlives it by more than a dial.
func (c *client) close() {
	c.mu.Lock()
	c.closed = true
	open := make([]net.Conn, 0, len(c.conns))
	for t := range c.conns {
		open = append(open, t.Conn)
	}
	c.mu.Unlock()
	for _, conn := range open {
		_ = conn.Close()
	}
	c.http.CloseIdleConnections()
}

// reply is what came back.
type reply struct {
	status     int           // 0 if none was read
	body       []byte        // the first replyBytesMax
	retryAfter time.Duration // what the other side wants waited
}

// send makes a request. With a fault the reply is empty.
func (c *client) send(q *request) (r reply, err error) {
	req, resp := fasthttp.AcquireRequest(), fasthttp.AcquireResponse()
	defer fasthttp.ReleaseRequest(req)
	defer fasthttp.ReleaseResponse(resp)
	req.SetRequestURIBytes(q.url)
	req.Header.SetMethod(fasthttp.MethodGet)
	if q.body != nil {
		req.Header.SetMethod(fasthttp.MethodPost)
		req.Header.SetContentType(q.contentType())
		req.SetBodyRaw(q.body)
	}
	if len(q.secret) > 0 {
		seconds := unixSeconds(c.clock.Now())
		req.Header.Set("webhook-id", q.id)
		req.Header.Set("webhook-timestamp", seconds)
		req.Header.Set("webhook-signature", q.signatureOf(seconds))
	}
	resp.SetStatusCode(0)
	if err = c.http.DoTimeout(req, resp, attemptTimeout); err != nil {
		return reply{}, fmt.Errorf("cannot deliver: %w", err)
	}
	r = reply{status: resp.StatusCode(), retryAfter: retryAfterOf(resp.Header.Peek(fasthttp.HeaderRetryAfter), c.clock.Now())}
	if stream := resp.BodyStream(); stream != nil {
		// A connection whose body was not read to its end is closed, not used again.
		r.body, err = io.ReadAll(io.LimitReader(stream, replyBytesMax))
		_ = resp.CloseBodyStream()
	}
	if err != nil {
		return reply{}, fmt.Errorf("cannot read the answer: %w", err)
	}
	return r, nil
}
