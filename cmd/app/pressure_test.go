package app

import (
	"math"
	"testing"
	"time"

	"github.com/VictoriaMetrics/metrics"
)

// refused returns how many of 10,000 requests are refused.
func (p *pressure) refused(begun bool) (n int) {
	for range 10_000 {
		if p.enter(begun) {
			p.leave()
		} else {
			n++
		}
	}
	return n
}

func TestPressureRisesAndFalls(t *testing.T) {
	p := newPressure(nil, metrics.NewSet())
	p.least = 100
	if n := p.refused(false); n > 0 {
		t.Fatalf("%d refused at rest", n)
	}
	for range 100 {
		p.feel(time.Second, 99)
	}
	if n := p.refused(false); n > 0 {
		t.Fatalf("%d refused when it is others that keep the machine busy", n)
	}
	for range 4 {
		p.feel(time.Second, 100)
	}
	if got := p.shedShare(); math.Abs(got-0.4) > 1e-9 {
		t.Fatalf("share %g after four looks, want 0.4", got)
	}
	if n, begun := p.refused(false), p.refused(true); n < 3500 || n > 4500 || begun > 0 {
		t.Fatalf("%d of 10,000 new refused, want about 4,000; %d begun, want none", n, begun)
	}
	for range 100 {
		p.feel(time.Second, 100)
	}
	if n, begun := p.refused(false), p.refused(true); n < 9700 || n == 10_000 || begun < 9400 || begun == 10_000 {
		t.Fatalf("%d and %d of 10,000 refused at the most, want nearly all", n, begun)
	}
	for range 50 {
		p.feel(0, 100)
	}
	if n := p.refused(false); n > 0 {
		t.Fatalf("%d refused after it is over", n)
	}
	if got := p.busy.Load(); got != 0 {
		t.Fatalf("%d requests at hand, want none", got)
	}
}

func TestPressureIsSteadyAtItsTarget(t *testing.T) {
	p := newPressure(nil, metrics.NewSet())
	p.feel(time.Second, 1<<20)
	before := p.shedShare()
	p.feel(waitTarget, 1<<20)
	if got := p.shedShare(); math.Abs(got-before) > 1e-9 {
		t.Fatalf("share went from %g to %g", before, got)
	}
}

// Without time for goroutines that could run, the wait is told; afterwards it is small again.
func TestProcessorWait(t *testing.T) {
	wait := ProcessorWait()
	wait()
	stop := make(chan struct{})
	done := make(chan struct{})
	const crowd = 200
	for range crowd {
		go func() {
			for {
				select {
				case <-stop:
					done <- struct{}{}
					return
				default:
				}
				for i := 0; i < 1_000_000; i++ { // long enough to be preempted now and then
					_ = math.Sqrt(float64(i))
				}
			}
		}()
	}
	most := time.Duration(0)
	for end := time.Now().Add(10 * time.Second); most < 10*time.Millisecond && time.Now().Before(end); {
		<-time.After(200 * time.Millisecond)
		most = max(most, wait())
	}
	close(stop)
	for range crowd {
		<-done
	}
	if most < 10*time.Millisecond {
		t.Fatalf("%d goroutines that all want to run waited %s at most", crowd, most)
	}
}
