package app

import (
	"math"
	"math/rand/v2"
	"runtime"
	runtimemetrics "runtime/metrics"
	"sync"
	"sync/atomic"
	"time"

	"github.com/VictoriaMetrics/metrics"
)

// The pressure's own figures.
const (
	pressureEvery = 25 * time.Millisecond // between two looks
	waitTarget    = 5 * time.Millisecond  // as long as the reserve of a ping's deadline
	shedUp        = 0.1                   // a step of the share, at most: from nothing to all in a quarter of a second
	shedDown      = 0.02                  // and back in little more than one
	shedMax       = 0.98                  // some are let through always, or nobody would know that it is over
	busyMin       = 256                   // requests at hand per processor: some 25 ms of work. With fewer it is not we who keep the machine busy
)

// pressure turns requests away when the machine is past what it can do, so that
// those let in end inside their deadlines.
//
// What tells it is how long work that could run waits for a processor. A bound
// on requests in flight alone would not do: nearly all of those wait for buyers,
// so one low enough for a machine without time is far too low for slow buyers.
// The wait alone would not do either: with few requests at hand it is others
// who keep the machine busy, and turning those few away would help nobody.
//
// One goroutine moves share; enter reads it from any.
type pressure struct {
	wait  func() time.Duration // see Options.Wait
	share atomic.Uint64        // bits of a float: of new business, the share to turn away
	last  atomic.Int64         // the wait as last seen
	busy  atomic.Int64         // requests at hand
	least int64                // of busy, for share to rise
	stop  chan struct{}
	done  sync.WaitGroup
	shed  *metrics.Counter
}

func newPressure(wait func() time.Duration, set *metrics.Set) *pressure {
	p := &pressure{wait: wait, least: busyMin * int64(runtime.GOMAXPROCS(0)), stop: make(chan struct{})}
	p.shed = set.NewCounter("vendue_app_shed_total")
	set.NewGauge("vendue_app_shed_share", p.shedShare)
	set.NewGauge("vendue_app_processor_wait_seconds", func() float64 { return time.Duration(p.last.Load()).Seconds() })
	return p
}

func (p *pressure) shedShare() float64 { return math.Float64frombits(p.share.Load()) }

// start begins to watch, if there is anything to go by.
func (p *pressure) start() {
	if p.wait == nil {
		return
	}
	p.done.Go(func() {
		tick := time.NewTicker(pressureEvery)
		defer tick.Stop()
		for {
			select {
			case <-p.stop:
				return
			case <-tick.C:
				p.feel(p.wait(), p.busy.Load())
			}
		}
	})
}

func (p *pressure) close() {
	close(p.stop)
	p.done.Wait()
}

// feel moves the share by how far the wait is from what it should be.
func (p *pressure) feel(wait time.Duration, busy int64) {
	p.last.Store(int64(wait))
	if busy < p.least {
		wait = 0
	}
	step := shedDown * (float64(wait)/float64(waitTarget) - 1)
	share := p.shedShare() + min(max(step, -shedDown), shedUp)
	p.share.Store(math.Float64bits(min(max(share, 0), shedMax)))
}

// enter lets a request in, or refuses it. What finishes business that was begun
// is refused only when refusing half of the new does not help. Whoever enters must leave.
func (p *pressure) enter(begun bool) bool {
	share := p.shedShare()
	if begun {
		share = 2*share - 1
	}
	if share > 0 && rand.Float64() < share {
		p.shed.Inc()
		return false
	}
	p.busy.Add(1)
	return true
}

func (p *pressure) leave() { p.busy.Add(-1) }

// ProcessorWait returns a function that tells, at each call, within what time
// nine of ten goroutines that could run got a processor since the call before.
// It is for one caller.
func ProcessorWait() func() time.Duration {
	sample := []runtimemetrics.Sample{{Name: "/sched/latencies:seconds"}}
	var before []uint64
	return func() time.Duration {
		runtimemetrics.Read(sample)
		if sample[0].Value.Kind() != runtimemetrics.KindFloat64Histogram {
			return 0 // a runtime that does not tell
		}
		h := sample[0].Value.Float64Histogram()
		if len(before) != len(h.Counts) {
			before = make([]uint64, len(h.Counts))
		}
		var total, seen uint64
		for i, n := range h.Counts {
			total += n - before[i]
		}
		wait := 0.0
		for i, n := range h.Counts {
			if seen += n - before[i]; seen*10 >= total*9 {
				wait = h.Buckets[i] // its lower end: the last one's upper end is infinite
				break
			}
		}
		copy(before, h.Counts)
		return time.Duration(max(wait, 0) * float64(time.Second))
	}
}
