package app

import (
	"sync/atomic"
	"time"

	"github.com/VictoriaMetrics/metrics"
)

// begunWaitMost is how long what finishes business may wait to be looked at.
const begunWaitMost = time.Second

// pressure turns requests away when the machine is past what it can do, or past
// what its operator lets it do at once, so that those let in end inside their
// deadlines. It measures and steers nothing: what came too late is refused,
// from the first that is too much to the last.
type pressure struct {
	gate     *gate        // nil: the listener is no TCP
	most     atomic.Int64 // limits.in_flight; 0: none
	inFlight atomic.Int64
	bodies   bodies
	shed     *metrics.Counter
}

func newPressure(set *metrics.Set) *pressure {
	p := &pressure{shed: set.NewCounter("vendue_app_shed_total")}
	set.NewGauge("vendue_app_in_flight", func() float64 { return float64(p.inFlight.Load()) })
	set.NewGauge("vendue_app_bodies_bytes", func() float64 { return float64(p.bodies.used.Load()) })
	set.NewGauge("vendue_app_gate_waiting", func() float64 {
		if p.gate == nil {
			return 0
		}
		return float64(p.gate.waiting())
	})
	return p
}

// enter lets a request in, or refuses it. What finishes business that was begun
// is refused only after a long wait, since anything else loses less. Whoever enters must leave.
func (p *pressure) enter(c *publicConn, begun bool) bool {
	late := c != nil && c.late
	most := p.most.Load()
	refused := late || (most > 0 && p.inFlight.Load() >= most)
	if begun {
		refused = late && c.Waited() > begunWaitMost
	}
	if refused {
		p.shed.Inc()
		return false
	}
	p.inFlight.Add(1)
	if c != nil {
		c.letGo()
	}
	return true
}

func (p *pressure) leave(c *publicConn) {
	p.inFlight.Add(-1)
	if c != nil {
		c.late, c.arrived = false, time.Time{}
	}
}

func (p *pressure) close() {
	if p.gate != nil {
		p.gate.close()
	}
}
