package sim

import (
	"io"
	"net"
	"os"
	"sync"
	"syscall"
	"time"
)

// end is one side of a connection. Writes never wait; reads do, until bytes
// come, the deadline or the end.
//
// mu guards left, machine and closed, and makes a write and a cut exclude one another.
type end struct {
	local, remote addr
	in            *stream
	peer          *end
	tally         *tally
	lag           time.Duration
	slice         int
	rst           bool

	mu      sync.Mutex
	left    int // bytes that this side may still send before the connection is reset; -1: no end
	machine *machine
	closed  error // why nothing can be written any more
}

// connect makes a connection: near dialled, far listens at address.
func connect(address string, f fate, t *tally) (near, far *end) {
	near = &end{local: "caller:0", remote: addr(address), in: newStream(), tally: t, left: f.upMax}
	far = &end{local: addr(address), remote: "caller:0", in: newStream(), tally: t, left: f.downMax, lag: f.lag, slice: f.slice, rst: f.rst}
	near.peer, far.peer = far, near
	return near, far
}

// Read waits for bytes.
func (e *end) Read(p []byte) (int, error) { return e.in.read(p) }

// Write sends p, or as much of it as the connection's fate allows.
func (e *end) Write(p []byte) (int, error) {
	e.mu.Lock()
	if e.closed != nil {
		err := e.closed
		e.mu.Unlock()
		return 0, err
	}
	n := len(p)
	if e.left >= 0 {
		n = min(n, e.left)
		e.left -= n
	}
	e.send(p[:n])
	m := e.machine
	e.mu.Unlock()
	if n < len(p) {
		e.tally.add("connection reset", 1)
		e.reset()
		return n, syscall.ECONNRESET
	}
	if m != nil {
		if wrote := m.wrote.Load(); wrote != nil {
			(*wrote)(e.remote)
		}
	}
	return n, nil
}

// send hands bytes to the other side, late or in slices if so fated. What a closed peer is sent is lost, as it is over TCP.
func (e *end) send(p []byte) {
	at := time.Now().Add(e.lag)
	for e.slice > 0 && len(p) > e.slice {
		e.peer.in.put(at, p[:e.slice])
		p, at = p[e.slice:], at.Add(time.Millisecond)
	}
	e.peer.in.put(at, p)
}

// Close ends the connection in order, or, if so fated, with a reset.
func (e *end) Close() error {
	if e.rst {
		e.reset()
	}
	e.stop(net.ErrClosed)
	e.in.close(net.ErrClosed)
	e.peer.in.fail(io.EOF)
	return nil
}

// stop refuses writes from here on, and lets the machine forget the end.
func (e *end) stop(why error) {
	e.mu.Lock()
	m := e.machine
	e.machine = nil
	if e.closed == nil {
		e.closed = why
	}
	e.mu.Unlock()
	if m != nil {
		m.forget(e)
	}
}

// reset breaks the connection for both sides. What arrived before can still be read.
func (e *end) reset() {
	for _, side := range []*end{e, e.peer} {
		side.stop(syscall.ECONNRESET)
		side.in.fail(syscall.ECONNRESET)
	}
}

// die is reset for the side whose machine lost its power: it reads nothing more.
func (e *end) die() {
	e.stop(syscall.ECONNRESET)
	e.in.close(syscall.ECONNRESET)
	e.reset()
}

// LocalAddr returns this side's address.
func (e *end) LocalAddr() net.Addr { return e.local }

// RemoteAddr returns the other side's address.
func (e *end) RemoteAddr() net.Addr { return e.remote }

// SetDeadline sets the deadline of reads; writes never wait.
func (e *end) SetDeadline(t time.Time) error { return e.SetReadDeadline(t) }

// SetReadDeadline ends reads at t, also one that waits now.
func (e *end) SetReadDeadline(t time.Time) error {
	e.in.mu.Lock()
	e.in.deadline = real(t)
	e.in.mu.Unlock()
	e.in.poke()
	return nil
}

// SetWriteDeadline does nothing.
func (e *end) SetWriteDeadline(time.Time) error { return nil }

// stream is one direction of a connection, for one reader at a time.
//
// mu guards all but token, which holds a token after anything changed.
type stream struct {
	token chan struct{}

	mu       sync.Mutex
	chunks   []chunk
	err      error // after the chunks
	closed   error // before them
	deadline time.Time
}

type chunk struct {
	at   time.Time // when it arrives
	data []byte
}

func newStream() *stream { return &stream{token: make(chan struct{}, 1)} }

func (s *stream) poke() {
	select {
	case s.token <- struct{}{}:
	default:
	}
}

func (s *stream) put(at time.Time, p []byte) {
	s.mu.Lock()
	if s.err == nil && s.closed == nil && len(p) > 0 {
		if n := len(s.chunks); n > 0 && s.chunks[n-1].at.After(at) {
			at = s.chunks[n-1].at
		}
		s.chunks = append(s.chunks, chunk{at, append([]byte(nil), p...)})
	}
	s.mu.Unlock()
	s.poke()
}

func (s *stream) fail(err error) {
	s.mu.Lock()
	if s.err == nil {
		s.err = err
	}
	s.mu.Unlock()
	s.poke()
}

func (s *stream) close(err error) {
	s.mu.Lock()
	if s.closed == nil {
		s.closed = err
	}
	s.chunks = nil
	s.mu.Unlock()
	s.poke()
}

func (s *stream) read(p []byte) (int, error) {
	for {
		n, wake, err := s.tryRead(p)
		switch {
		case n > 0 || err != nil || len(p) == 0:
			return n, err
		case wake.IsZero():
			<-s.token
		default:
			timer := time.NewTimer(time.Until(wake))
			select {
			case <-s.token:
			case <-timer.C:
			}
			timer.Stop()
		}
	}
}

// tryRead reads what has arrived; if nothing, it says when to look again (zero: at the next token).
func (s *stream) tryRead(p []byte) (n int, wake time.Time, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := time.Now()
	switch {
	case s.closed != nil:
		return 0, wake, s.closed
	case !s.deadline.IsZero() && !now.Before(s.deadline):
		return 0, wake, os.ErrDeadlineExceeded
	case len(s.chunks) == 0 && s.err != nil:
		return 0, wake, s.err
	case len(s.chunks) > 0 && !s.chunks[0].at.After(now):
		c := &s.chunks[0]
		n = copy(p, c.data)
		if c.data = c.data[n:]; len(c.data) == 0 {
			s.chunks = s.chunks[1:]
		}
		return n, wake, nil
	}
	wake = s.deadline
	if len(s.chunks) > 0 && (wake.IsZero() || s.chunks[0].at.Before(wake)) {
		wake = s.chunks[0].at
	}
	return 0, wake, nil
}
