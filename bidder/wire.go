package bidder

import (
	"crypto/tls"
	"errors"
	"io"
	"net"
	"os"
	"syscall"
	"time"
)

// errWouldBlock says that a wire has nothing to read, or no room to write, just now.
var errWouldBlock = errors.New("would block")

// wire is one connection as the fan-out sees it: what can be done at once is
// done at once, and only who has nothing else to do waits. One goroutine at a
// time uses a wire. TCP, TLS over TCP, and any other net.Conn each have one.
type wire interface {
	// tryRead reads what is there: errWouldBlock if nothing, io.EOF at the end.
	tryRead(p []byte) (int, error)
	// read waits for bytes until a time, then os.ErrDeadlineExceeded.
	read(p []byte, until time.Time) (int, error)
	// tryWrite takes as much of p as fits; fewer than all come with errWouldBlock.
	tryWrite(p []byte) (int, error)
	// write writes all of p by a time. It returns how many bytes may have left.
	write(p []byte, until time.Time) (int, error)
	// settled tells whether all that was taken has been written.
	settled() bool
	// close closes the connection; nothing may use the wire then.
	close()
}

// newWire returns the best wire for a connection that is ready to speak.
func newWire(nc net.Conn, t *Transport) wire {
	if tcp, ok := nc.(*net.TCPConn); ok {
		if raw, err := newRawConn(tcp); err == nil {
			return &tcpWire{rawConn: raw}
		}
	}
	if secure, ok := nc.(*tls.Conn); ok {
		if raw, ok := secure.NetConn().(*rawConn); ok {
			return &tlsWire{raw: raw, tls: secure}
		}
	}
	return newPumpWire(nc, t)
}

// rawConn is a TCP connection whose reads and writes need not wait.
//
// The descriptor is used without the runtime's lock on it. That is sound
// because whoever uses a rawConn is the only one who may close it.
type rawConn struct {
	*net.TCPConn
	rc    syscall.RawConn
	fd    int
	tryIO bool // Read answers errTry instead of waiting: for the TLS engine above

	readInto []byte // of the read in flight
	readN    int
	readErr  error
	readFunc func(fd uintptr) bool // made once, so that a read allocates nothing
}

func newRawConn(tcp *net.TCPConn) (*rawConn, error) {
	rc, err := tcp.SyscallConn()
	if err != nil {
		return nil, err
	}
	c := &rawConn{TCPConn: tcp, rc: rc}
	if err := rc.Control(func(fd uintptr) { c.fd = int(fd) }); err != nil {
		return nil, err
	}
	c.readFunc = func(uintptr) bool {
		c.readN, c.readErr = c.sysRead(c.readInto)
		return !isBlocked(c.readErr)
	}
	return c, nil
}

// errTry is errWouldBlock in the dress that crypto/tls takes for a passing
// fault: after it the TLS connection can still be read.
type errTry struct{}

func (errTry) Error() string   { return errWouldBlock.Error() }
func (errTry) Timeout() bool   { return true }
func (errTry) Temporary() bool { return true }

// Read is for the TLS engine alone.
func (c *rawConn) Read(p []byte) (int, error) {
	if !c.tryIO {
		return c.TCPConn.Read(p)
	}
	n, err := c.sysRead(p)
	if isBlocked(err) {
		return 0, errTry{}
	}
	return n, err
}

// sysRead reads what is there.
func (c *rawConn) sysRead(p []byte) (int, error) {
	n, err := c.try(callRead, p)
	if n == 0 && err == nil && len(p) > 0 {
		err = io.EOF
	}
	return n, err
}

// sysWrite writes what fits.
func (c *rawConn) sysWrite(p []byte) (int, error) { return c.try(callWrite, p) }

// tcpWire speaks plain TCP.
type tcpWire struct{ *rawConn }

func (w *tcpWire) tryRead(p []byte) (int, error) { return w.sysRead(p) }

func (w *tcpWire) read(p []byte, until time.Time) (int, error) {
	if err := w.SetReadDeadline(until); err != nil {
		return 0, err
	}
	w.readInto = p
	err := w.rc.Read(w.readFunc)
	w.readInto = nil
	if err != nil {
		return 0, err
	}
	return w.readN, w.readErr
}

func (w *tcpWire) tryWrite(p []byte) (int, error) {
	n, err := w.sysWrite(p)
	if err == nil && n < len(p) {
		err = errWouldBlock
	}
	return n, err
}

func (w *tcpWire) write(p []byte, until time.Time) (int, error) {
	n, err := w.tryWrite(p)
	if !isBlocked(err) {
		return n, err
	}
	if err := w.SetWriteDeadline(until); err != nil {
		return n, err
	}
	m, err := w.Write(p[n:])
	return n + m, err
}

func (w *tcpWire) settled() bool { return true }
func (w *tcpWire) close()        { _ = w.Close() } // nothing is owed to a connection given up

// tlsWire speaks TLS over TCP without a goroutine of its own. Its writes wait
// if the socket is full, which takes a request larger than the socket's buffer:
// a connection carries one request at a time.
type tlsWire struct {
	raw *rawConn
	tls *tls.Conn
}

func (w *tlsWire) tryRead(p []byte) (int, error) {
	w.raw.tryIO = true
	n, err := w.tls.Read(p)
	w.raw.tryIO = false
	if n == 0 && errors.As(err, &errTry{}) {
		return 0, errWouldBlock
	}
	return n, err
}

func (w *tlsWire) read(p []byte, until time.Time) (int, error) {
	if err := w.raw.SetReadDeadline(until); err != nil {
		return 0, err
	}
	return w.tls.Read(p)
}

func (w *tlsWire) tryWrite(p []byte) (int, error) { return w.write(p, time.Now().Add(tlsWriteMax)) }

func (w *tlsWire) write(p []byte, until time.Time) (int, error) {
	if err := w.raw.SetWriteDeadline(until); err != nil {
		return 0, err
	}
	return w.tls.Write(p)
}

// tlsWriteMax bounds how long one full socket may hold up the other buyers of an ask.
const tlsWriteMax = 5 * time.Millisecond

func (w *tlsWire) settled() bool { return true }

// close leaves out TLS's farewell, which could wait for room to write.
func (w *tlsWire) close() { _ = w.raw.Close() }

// isBlocked tells whether err is a wire with nothing to read, or no room, just now.
func isBlocked(err error) bool {
	return err == errWouldBlock || err != nil && errors.Is(err, errWouldBlock) //nolint:errorlint // the first spares nearly every call the second
}

// isDeadline tells whether err is a wait that ran out.
func isDeadline(err error) bool { return errors.Is(err, os.ErrDeadlineExceeded) }

// isEOF tells whether the other side closed in order.
func isEOF(err error) bool { return errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) }
