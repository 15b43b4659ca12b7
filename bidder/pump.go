package bidder

import (
	"crypto/tls"
	"net"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"vendue/exchange"
)

// pumpBytesMax is how far a pump reads ahead of whoever reads it.
const pumpBytesMax = 16 << 10

// pumpWire makes a wire of any net.Conn, such as an in-memory pipe, that can
// only wait. One goroutine reads ahead into buf; each tryWrite has a goroutine
// for as long as it writes. Both end with the connection, and the transport
// waits for them.
//
// mu guards buf and err. ready holds a token after buf or err changed, space
// after buf was emptied; each is sent without waiting, so a token may be stale
// and its receiver looks again.
type pumpWire struct {
	conn    net.Conn
	clock   exchange.Clock
	wg      *sync.WaitGroup
	writing atomic.Int32
	ready   chan struct{}
	space   chan struct{}

	mu  sync.Mutex
	buf []byte
	err error
}

func newPumpWire(nc net.Conn, t *Transport) *pumpWire {
	w := &pumpWire{conn: nc, clock: t.cfg.Clock, wg: &t.wg, ready: make(chan struct{}, 1), space: make(chan struct{}, 1)}
	t.wg.Go(w.pump)
	return w
}

func poke(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

// pump reads until the connection ends.
func (w *pumpWire) pump() {
	chunk := make([]byte, 4<<10)
	for {
		n, err := w.conn.Read(chunk)
		w.mu.Lock()
		w.buf = append(w.buf, chunk[:n]...)
		if err != nil && w.err == nil {
			w.err = err
		}
		full, ended := len(w.buf) >= pumpBytesMax, w.err != nil
		w.mu.Unlock()
		poke(w.ready)
		if ended {
			return
		}
		if full {
			<-w.space
		}
	}
}

func (w *pumpWire) tryRead(p []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if len(w.buf) == 0 {
		if w.err != nil {
			return 0, w.err
		}
		return 0, errWouldBlock
	}
	n := copy(p, w.buf)
	w.buf = w.buf[:copy(w.buf, w.buf[n:])]
	if len(w.buf) < pumpBytesMax {
		poke(w.space)
	}
	return n, nil
}

func (w *pumpWire) read(p []byte, until time.Time) (int, error) {
	n, err := w.tryRead(p)
	if !isBlocked(err) {
		return n, err
	}
	timer := time.NewTimer(w.clock.Until(until))
	defer timer.Stop()
	for {
		select {
		case <-w.ready:
		case <-timer.C:
			if n, err = w.tryRead(p); isBlocked(err) {
				err = os.ErrDeadlineExceeded
			}
			return n, err
		}
		if n, err = w.tryRead(p); !isBlocked(err) {
			return n, err
		}
	}
}

// tryWrite takes all of p and writes it behind the caller's back.
func (w *pumpWire) tryWrite(p []byte) (int, error) {
	w.writing.Add(1)
	own := append([]byte(nil), p...)
	w.wg.Go(func() {
		if _, err := w.conn.Write(own); err != nil {
			w.mu.Lock()
			if w.err == nil {
				w.err = err
			}
			w.mu.Unlock()
			poke(w.ready)
		}
		w.writing.Add(-1)
	})
	return len(p), nil
}

func (w *pumpWire) write(p []byte, until time.Time) (int, error) {
	if err := w.conn.SetWriteDeadline(until); err != nil {
		return 0, err
	}
	n, err := w.conn.Write(p)
	_ = w.conn.SetWriteDeadline(time.Time{}) // if it fails, so does the next use
	return n, err
}

func (w *pumpWire) settled() bool { return w.writing.Load() == 0 }

func (w *pumpWire) close() {
	nc := w.conn
	if secure, ok := nc.(*tls.Conn); ok {
		nc = secure.NetConn() // TLS's farewell could wait for room to write
	}
	_ = nc.Close() // nothing is owed to a connection given up
	poke(w.space)
}
