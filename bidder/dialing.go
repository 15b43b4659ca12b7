package bidder

import (
	"sync"
	"time"

	"vendue/exchange"
)

// dialing is a question that waits for its connection: it is asked by the
// goroutine that dials, the moment it can be.
//
// mu guards conn, err, ended and abandoned. Exactly one side disposes of the
// connection: the ask, if it takes the result before it abandons the dial; else
// the dialling goroutine.
type dialing struct {
	done  chan struct{} // closed when ended
	clock exchange.Clock

	mu        sync.Mutex
	conn      *conn
	err       error
	ended     bool
	abandoned bool
}

// startDial dials in a place that was reserved, and writes request.
func startDial(h *host, request []byte, deadline time.Time, ms *contractMetrics) *dialing {
	d := &dialing{done: make(chan struct{}), clock: h.t.cfg.Clock}
	h.t.wg.Go(func() {
		c, err := h.dial(deadline)
		if err == nil && d.givenUp() {
			h.keep(c, h.t.now(), 0) // nothing was asked on it: ready for the next auction
			return
		}
		if err == nil {
			if _, err = c.wire.write(request, deadline); err != nil {
				h.discard(c)
				c, err = nil, errWriteFailed
			}
		}
		if !d.end(c, err) && c != nil {
			h.t.drain(c, ms, h.t.now())
		}
	})
	return d
}

func (d *dialing) givenUp() bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.abandoned
}

// end hands the result over, and says false if nobody wants it any more.
func (d *dialing) end(c *conn, err error) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.abandoned {
		return false
	}
	d.conn, d.err, d.ended = c, err, true
	close(d.done)
	return true
}

// wait waits for the result until a time.
func (d *dialing) wait(until time.Time) {
	timer := time.NewTimer(d.clock.Until(until))
	defer timer.Stop()
	select {
	case <-d.done:
	case <-timer.C:
	}
}

// result takes the connection over: errWouldBlock if there is none yet.
func (d *dialing) result() (*conn, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if !d.ended {
		return nil, errWouldBlock
	}
	return d.conn, d.err
}

// abandon lets the dial end without the ask. The ask has just looked, but the
// result may have come since: then it goes the way of any late answer.
func (d *dialing) abandon(t *Transport, ms *contractMetrics, now time.Time) {
	d.mu.Lock()
	d.abandoned = true
	c := d.conn
	d.mu.Unlock()
	if c != nil {
		t.drain(c, ms, now)
	}
}
