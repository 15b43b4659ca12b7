package bidder

import (
	"crypto/tls"
	"errors"
	"net"
	"os"
	"sync"
	"time"
)

// The faults of getting a connection.
var (
	errConnsMax    = errors.New("all connections to the buyer's host are in use")
	errDialTimeout = errors.New("cannot connect in time")
	errDial        = errors.New("cannot connect")
	errHandshake   = errors.New("cannot connect: TLS handshake failed")
)

// hostKey names one place that connections lead to.
type hostKey struct {
	secure bool
	name   string // for SNI and verification
	addr   string // host:port
}

// checksMax bounds how many idle connections one upkeep looks at under the lock.
const checksMax = 32

// host keeps the connections to one address.
//
// idle is a stack: the warmest connection is used first, and those at the
// bottom grow old and are closed. open counts every connection from before its
// dial until after its close, so it never passes ConnsPerHostMax.
//
// mu guards all below it. Under it nothing waits: the looks at idle
// connections do not block and are bounded by checksMax.
type host struct {
	t   *Transport
	key hostKey
	tls *tls.Config

	mu      sync.Mutex
	idle    []*conn
	open    int
	warming int
	usedAt  time.Time
	retryAt time.Time
	backoff time.Duration
	shutAt  bool
}

func newHost(t *Transport, key hostKey) *host {
	h := &host{t: t, key: key}
	if key.secure {
		h.tls = t.tls.Clone()
		h.tls.ServerName = key.name
	}
	return h
}

func (h *host) touch(now time.Time) {
	h.mu.Lock()
	h.usedAt = now
	h.mu.Unlock()
}

// pop takes the warmest idle connection, nil if there is none. Nobody has looked at it.
func (h *host) pop(now time.Time) *conn {
	h.mu.Lock()
	h.usedAt = now
	last := len(h.idle) - 1
	if last < 0 {
		h.mu.Unlock()
		return nil
	}
	c := h.idle[last]
	h.idle[last] = nil
	h.idle = h.idle[:last]
	h.mu.Unlock()
	return c
}

// take returns an idle connection that was just seen to be open and quiet, nil if there is none.
func (h *host) take(now time.Time) *conn {
	for {
		c := h.pop(now)
		if c == nil {
			return nil
		}
		if c.quiet() {
			c.begin()
			return c
		}
		h.discard(c)
	}
}

// release gives a connection back. It is kept only if exactly one whole answer was read from it.
func (h *host) release(c *conn, now time.Time) {
	if !c.parse.reusable() || !c.wire.settled() || now.Sub(c.born) > connAgeMax {
		h.discard(c)
		return
	}
	c.remember()
	h.keep(c, now, 0)
}

// keep makes a connection idle. One that was dialled ahead is no longer warming
// at the same instant: counted twice, it would stand for one that is never dialled.
func (h *host) keep(c *conn, now time.Time, warmed int) {
	c.idleAt, c.served = now, true
	if len(c.buf) > replyBytesKept {
		c.buf = nil
	}
	h.mu.Lock()
	h.warming -= warmed
	if h.shutAt {
		h.mu.Unlock()
		h.discard(c)
		return
	}
	h.idle = append(h.idle, c)
	h.mu.Unlock()
}

// discard closes a connection.
func (h *host) discard(c *conn) {
	c.wire.close()
	h.unreserve()
}

// reserve takes a place for one more connection, if there is one. Whoever gets
// it calls dial, which the transport's Close waits for.
func (h *host) reserve() bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.open >= h.t.cfg.ConnsPerHostMax || h.shutAt {
		return false
	}
	h.open++
	h.t.wg.Add(1) // under the lock that shut takes: never while Close already waits on nothing
	h.t.ms.open.Inc()
	return true
}

func (h *host) unreserve() {
	h.mu.Lock()
	h.open--
	h.mu.Unlock()
	h.t.ms.open.Dec()
}

// dial makes a connection in a place that was reserved; if it fails the place is given back.
func (h *host) dial(deadline time.Time) (*conn, error) {
	return h.dialUntil(func(bool) time.Time { return deadline })
}

// dialUntil is dial for someone whose deadline hangs on how far it got: until asks for
// that before it begins, and again when only the TLS handshake is left to do.
func (h *host) dialUntil(until func(connected bool) time.Time) (*conn, error) {
	defer h.t.wg.Done()
	h.t.ms.dials.Inc()
	nc, err := h.connect(until)
	if err != nil {
		h.t.ms.dialErrors.Inc()
		h.unreserve()
		return nil, err
	}
	c := &conn{wire: newWire(nc, h.t), host: h, born: h.t.now()}
	c.begin()
	return c, nil
}

func (h *host) connect(until func(connected bool) time.Time) (net.Conn, error) {
	left := until(false).Sub(h.t.now())
	if left <= 0 {
		return nil, errDialTimeout
	}
	nc, err := h.t.cfg.Dial("tcp", h.key.addr, left)
	if err != nil {
		var timeout net.Error
		if errors.Is(err, os.ErrDeadlineExceeded) || errors.As(err, &timeout) && timeout.Timeout() {
			return nil, errDialTimeout
		}
		return nil, errDial
	}
	if !h.key.secure {
		return nc, nil
	}
	return h.handshake(nc, until(true))
}

func (h *host) handshake(nc net.Conn, deadline time.Time) (net.Conn, error) {
	under := nc
	if tcp, ok := nc.(*net.TCPConn); ok {
		if raw, err := newRawConn(tcp); err == nil {
			under = raw
		}
	}
	secure := tls.Client(under, h.tls)
	err := under.SetDeadline(deadline)
	if err == nil {
		err = secure.Handshake()
	}
	if err == nil {
		err = under.SetDeadline(time.Time{})
	}
	if err == nil {
		return secure, nil
	}
	_ = nc.Close() // the handshake's fault is the one to tell
	if isDeadline(err) {
		return nil, errDialTimeout
	}
	return nil, errHandshake
}

// upkeep closes idle connections that are dead, old or long unused, and dials
// ahead while the host is in use.
func (h *host) upkeep(now time.Time) {
	h.mu.Lock()
	dead := h.weedLocked(now)
	want := 0
	if !h.shutAt && now.Sub(h.usedAt) <= h.t.cfg.IdleMax && !now.Before(h.retryAt) {
		want = min(h.t.cfg.WarmConnsPerHost-len(h.idle)-h.warming, h.t.cfg.ConnsPerHostMax-h.open)
		if h.backoff > 0 {
			want = min(want, 1-h.warming) // one scout after a failure
		}
	}
	h.warming += max(want, 0)
	h.mu.Unlock()
	for _, c := range dead {
		h.discard(c)
	}
	for range want {
		h.t.wg.Go(h.warm)
	}
}

// weedLocked takes the connections that are to be closed off the bottom of the stack.
func (h *host) weedLocked(now time.Time) (dead []*conn) {
	kept := h.idle[:0]
	for i, c := range h.idle {
		if i < checksMax && (now.Sub(c.idleAt) > h.t.cfg.IdleMax || now.Sub(c.born) > connAgeMax || !c.quiet()) {
			dead = append(dead, c)
			continue
		}
		kept = append(kept, c)
	}
	clear(h.idle[len(kept):])
	h.idle = kept
	return dead
}

// warm dials one connection ahead of need.
func (h *host) warm() {
	err := errConnsMax
	if h.reserve() {
		var c *conn
		if c, err = h.dial(h.t.now().Add(dialWarmMax)); err == nil {
			h.keep(c, h.t.now(), 1)
		}
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	if err != nil {
		h.warming--
	}
	if err == nil || errors.Is(err, errConnsMax) {
		h.backoff = 0
		return
	}
	if now := h.t.now(); !now.Before(h.retryAt) { // the first failure of several dials at once counts
		h.backoff = min(max(2*h.backoff, backoffMin), backoffMax)
		h.retryAt = now.Add(h.backoff)
		h.t.log.Warn().Str("addr", h.key.addr).Err(err).Dur("retry_in_ms", h.backoff).Msg("cannot connect to a buyer ahead of need")
	}
}

// shut closes the idle connections and lets no new ones in.
func (h *host) shut() {
	h.mu.Lock()
	h.shutAt = true
	idle := h.idle
	h.idle = nil
	h.mu.Unlock()
	for _, c := range idle {
		h.discard(c)
	}
}
