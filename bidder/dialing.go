package bidder

import (
	"sync"
	"time"

	"vendue/exchange"
)

// dialing is a question that waits for its connection: it is asked by the
// goroutine that dials, the moment it can be.
//
// A TLS handshake may go on when the ask is over, up to dialWarmMax: hundreds at
// once, as after a start, take this machine longer than an ask has. What was given
// up at the deadline had all to be done again, and was late again. The connection
// is then there for the next auction, and whether the buyer can be spoken to is
// known, and told to missed, when the handshake ends.
//
// mu guards stage, asked, conn, err and missed. Exactly one side disposes of the
// connection: the ask, if it takes the result before it abandons the dial; else
// the dialling goroutine.
type dialing struct {
	done  chan struct{} // closed when ended
	clock exchange.Clock

	mu        sync.Mutex
	stage     dialStage
	asked     time.Time // when the question was written
	conn      *conn
	err       error
	abandoned bool
	missed    func(time.Time) // called if an abandoned handshake fails; nil: nobody asked to be told
}

// dialStage is how far a dial has got.
type dialStage uint8

const (
	dialWaits dialStage = iota // for a processor
	dialConnects
	dialShakes // hands: the buyer's machine has answered
	dialEnded
)

// startDial dials in a place that was reserved, and writes request.
func startDial(h *host, request []byte, deadline time.Time, ms *contractMetrics) *dialing {
	d := &dialing{done: make(chan struct{}), clock: h.t.cfg.Clock}
	h.t.wg.Go(func() {
		c, err := h.dialUntil(func(connected bool) time.Time {
			if !connected {
				d.reach(dialConnects)
				return deadline
			}
			d.reach(dialShakes)
			return h.t.now().Add(dialWarmMax)
		})
		if d.givenUp(err, h.t.now()) {
			if err == nil {
				h.keep(c, h.t.now(), 0) // nothing was asked on it: ready for the next auction
			}
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

func (d *dialing) reach(stage dialStage) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.stage = stage
}

// givenUp tells whether the ask is over, and whoever wants to know it that a handshake came to nothing.
func (d *dialing) givenUp(err error, now time.Time) bool {
	d.mu.Lock()
	abandoned, missed, shook := d.abandoned, d.missed, d.stage == dialShakes
	d.mu.Unlock()
	if err != nil && missed != nil && shook {
		missed(now)
	}
	return abandoned
}

// end hands the result over, and says false if nobody wants it any more.
func (d *dialing) end(c *conn, err error) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.abandoned {
		return false
	}
	d.conn, d.err, d.stage, d.asked = c, err, dialEnded, d.clock.Now()
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

// result takes the connection over, and tells since when the question is on it: errWouldBlock if there is none yet.
func (d *dialing) result() (*conn, time.Time, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.stage != dialEnded {
		return nil, time.Time{}, errWouldBlock
	}
	return d.conn, d.asked, d.err
}

// hold puts off the judgement on a buyer whose dial is not over at the deadline: missed is called if
// it fails later. It is false if the buyer is to be judged now: it did not even take the connection.
func (d *dialing) hold(missed func(time.Time)) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.stage == dialConnects {
		return false
	}
	d.missed = missed
	return true
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
