package app

import (
	"io"
	"net"
	"sync/atomic"
	"time"
)

// Bounds of a lingering close.
const (
	lingerMax      = 500 * time.Millisecond
	lingerBytesMax = 4 << 20
	lingersMax     = 256 // at once; beyond it a connection is closed as it is
)

// lingerListener hands out connections that can linger.
type lingerListener struct {
	net.Listener
	lingering atomic.Int64
}

// Accept returns the next connection.
func (l *lingerListener) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	if tcp, ok := c.(*net.TCPConn); ok && err == nil {
		return &lingerConn{TCPConn: tcp, listener: l}, nil
	}
	return c, err
}

// lingerConn can close gently: a body that was refused unread would otherwise
// make the kernel reset the connection, and the client might never read why.
type lingerConn struct {
	*net.TCPConn
	listener *lingerListener
	gently   bool // set and read by the connection's own handler, as are the deadlines

	reading, writing lazyDeadline
}

// linger makes Close wait, for a bounded time and out of the way, for the client to see the answer.
func linger(c net.Conn) {
	if l, ok := c.(*lingerConn); ok {
		l.gently = true
	}
}

// Close closes the connection.
func (c *lingerConn) Close() error {
	if !c.gently {
		return c.TCPConn.Close()
	}
	if c.listener.lingering.Add(1) > lingersMax {
		c.listener.lingering.Add(-1)
		return c.TCPConn.Close()
	}
	err := c.CloseWrite()
	go func() {
		defer c.listener.lingering.Add(-1)
		_ = c.TCPConn.SetReadDeadline(time.Now().Add(lingerMax))
		_, _ = io.CopyN(io.Discard, c.TCPConn, lingerBytesMax)
		_ = c.TCPConn.Close()
	}()
	return err
}
