package app

import (
	"errors"
	"io"
	"net"
	"os"
	"sync/atomic"
	"syscall"
	"time"
)

// Bounds of a lingering close.
const (
	lingerMax      = 500 * time.Millisecond
	lingerBytesMax = 4 << 20
	lingersMax     = 256 // at once; beyond it a connection is closed as it is
)

// publicListener hands out connections that queue at the gate and can linger.
type publicListener struct {
	net.Listener
	gate      *gate   // nil: whoever comes is looked at
	bodies    *bodies // nil: not counted
	lingering atomic.Int64
}

// Accept returns the next connection.
func (l *publicListener) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	if tcp, ok := c.(*net.TCPConn); ok && err == nil {
		return newPublicConn(tcp, l)
	}
	return c, err
}

// publicConn is a connection of the public side. It knows when a request came,
// holds a place at the gate from there until the request is let in or answered,
// and can close gently.
//
// It queues at the gate before it reads: what waits there has cost a processor
// next to nothing. All but Close are for the connection's own handler.
type publicConn struct {
	*net.TCPConn
	listener *publicListener
	rc       syscall.RawConn
	turn     chan struct{} // told when it is let through the gate
	held     atomic.Bool   // a place at the gate
	late     bool          // the bytes last read came when there was too much
	arrived  time.Time     // of those bytes; zero if the gate was open
	gently   bool

	reading, writing lazyDeadline
	timed            bool // the server has set a deadline for what it writes of the answer at hand

	got     int          // bytes of the request at hand
	booked  atomic.Int64 // how many of them are booked; Close may come from elsewhere
	refused bool         // there was no room for them

	into      []byte // of the read in flight
	n         int
	err       error
	awaited   bool                  // there was nothing to read at first
	readFunc  func(fd uintptr) bool // made once, so that a read allocates nothing
	from      []byte                // of the write in flight
	taken     int                   // of it
	writeErr  error
	writeFunc func(fd uintptr) bool
}

func newPublicConn(tcp *net.TCPConn, l *publicListener) (*publicConn, error) {
	rc, err := tcp.SyscallConn()
	if err != nil {
		return nil, err
	}
	c := &publicConn{TCPConn: tcp, listener: l, rc: rc, turn: make(chan struct{}, 1)}
	c.readFunc, c.writeFunc = c.readReady, c.writeReady
	return c, nil
}

// Read reads by the deadline, or up to deadlineSlack before it, and comes back once the gate has a place for what was read.
func (c *publicConn) Read(b []byte) (int, error) {
	c.letGo()
	c.timed = false
	if err := c.book(len(b)); err != nil {
		return 0, err
	}
	if c.reading.due() {
		if err := c.TCPConn.SetReadDeadline(c.reading.armed); err != nil {
			return 0, err
		}
	}
	c.into, c.n, c.err, c.awaited = b, 0, nil, false
	err := c.rc.Read(c.readFunc)
	c.into = nil
	if err != nil {
		return 0, err
	}
	if c.err != nil {
		return 0, &net.OpError{Op: "read", Net: "tcp", Source: c.LocalAddr(), Addr: c.RemoteAddr(), Err: os.NewSyscallError("read", c.err)}
	}
	if c.n == 0 && len(b) > 0 {
		return 0, io.EOF
	}
	c.got += c.n
	return c.n, nil
}

// readReady is called at first, and again each time there may be something to read.
func (c *publicConn) readReady(fd uintptr) bool {
	if c.awaited {
		c.queue()
	}
	for {
		c.n, c.err = sysRead(fd, c.into)
		if !errors.Is(c.err, syscall.EINTR) {
			break
		}
	}
	if errors.Is(c.err, syscall.EAGAIN) {
		c.letGo()
		c.awaited = true
		return false
	}
	c.n = max(c.n, 0)
	if !c.awaited {
		c.queue()
	}
	return true
}

// Write writes by the deadline, or up to deadlineSlack before it. The server sets
// none for the answer to what it cannot read, nor for a 100 Continue: the deadline
// of the answer before would stand, which on a quiet connection is long past.
func (c *publicConn) Write(p []byte) (int, error) {
	if !c.timed {
		_ = c.SetWriteDeadline(time.Now().Add(writeMax)) // notes it, and cannot fail
	}
	if c.writing.due() {
		if err := c.TCPConn.SetWriteDeadline(c.writing.armed); err != nil {
			return 0, err
		}
	}
	c.from, c.taken, c.writeErr = p, 0, nil
	err := c.rc.Write(c.writeFunc)
	c.from = nil
	if err == nil && c.writeErr != nil {
		err = &net.OpError{Op: "write", Net: "tcp", Source: c.LocalAddr(), Addr: c.RemoteAddr(), Err: os.NewSyscallError("write", c.writeErr)}
	}
	return c.taken, err
}

// writeReady is called at first, and again each time there may be room.
func (c *publicConn) writeReady(fd uintptr) bool {
	for c.taken < len(c.from) {
		n, err := sysWrite(fd, c.from[c.taken:])
		switch {
		case err == nil:
			c.taken += n
		case errors.Is(err, syscall.EINTR):
		case errors.Is(err, syscall.EAGAIN):
			return false
		default:
			c.writeErr = err
			return true
		}
	}
	return true
}

// queue takes a place at the gate, after those who came before, unless the gate is open.
func (c *publicConn) queue() {
	c.arrived, c.late = time.Time{}, false
	if g := c.listener.gate; g != nil && !g.open() {
		c.arrived = time.Now()
		held, late := g.take(c)
		c.late = late
		c.held.Store(held)
	}
}

// letGo gives the place at the gate back, if there is one.
func (c *publicConn) letGo() {
	if c.held.Load() && c.held.Swap(false) {
		c.listener.gate.give()
	}
}

// Waited is how long the request at hand has waited for its turn: nothing, for
// nearly all of them. One that came in the same segment as the one before it has not waited either.
func (c *publicConn) Waited() time.Duration {
	if c.arrived.IsZero() {
		return 0
	}
	return time.Since(c.arrived)
}

// linger makes Close wait, for a bounded time and out of the way, for the client
// to see the answer: a body that was refused unread would otherwise make the
// kernel reset the connection, and the client might never read why.
func linger(c net.Conn) {
	if l, ok := c.(*publicConn); ok {
		l.gently = true
	}
}

// Close closes the connection.
func (c *publicConn) Close() error {
	c.letGo()
	c.listener.bodies.give(&c.booked)
	if !c.gently {
		return c.TCPConn.Close()
	}
	if c.refused {
		// Whoever had no room was one of many: here, where a goroutine and its bounds are, and not beside it.
		err := c.CloseWrite()
		c.drain()
		return err
	}
	if c.listener.lingering.Add(1) > lingersMax {
		c.listener.lingering.Add(-1)
		return c.TCPConn.Close()
	}
	err := c.CloseWrite()
	go func() {
		defer c.listener.lingering.Add(-1)
		c.drain()
	}()
	return err
}

// drain reads what the client still sends, and closes the connection.
func (c *publicConn) drain() {
	_ = c.TCPConn.SetReadDeadline(time.Now().Add(lingerMax))
	_, _ = io.CopyN(io.Discard, c.TCPConn, lingerBytesMax)
	_ = c.TCPConn.Close()
}
