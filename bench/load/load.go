//go:build linux

package load

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"runtime"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"
	"golang.org/x/sys/unix"

	"vendue/bench/load/wire"
)

const (
	connsMax   = 8192
	answerMax  = 64 << 10
	latencyMax = 60 * time.Second
	// patience is how long the loop sleeps at most, so that it notices a cancelled context.
	patience = 10 * time.Millisecond
	// errorsMax broken connections end a run: the other side is gone, or never was.
	errorsMax = 1000
	badBytes  = 400
)

// Plan says what one run sends.
type Plan struct {
	Addr    netip.AddrPort
	Steps   []Step        // one unit of work, in order, on one connection
	Conns   int           // closed loop: units in flight; open loop: the most of them
	Rate    float64       // units per second; 0 is a closed loop
	Warm    time.Duration // before anything counts
	Measure time.Duration
	PID     int   // the process whose CPU is read; 0: none
	Serial  int64 // the first SerialMark
}

// Result is what came of a run.
type Result struct {
	Latency *hdrhistogram.Histogram // microseconds per unit
	Done    int64                   // units that ended well in the measured time
	All     int64                   // units started, the warm-up's too
	Bad     int64                   // answers that were not what they should be
	Errors  int64                   // connections that broke
	Late    int64                   // open loop: units due at the end that had not been sent
	Elapsed time.Duration           // the measured time
	CPU     time.Duration           // what the process spent in it
	Example string                  // the head of the first bad answer
}

// Rate returns units per second.
func (r *Result) Rate() float64 { return float64(r.Done) / r.Elapsed.Seconds() }

// CPUPerUnit returns microseconds of the process's CPU per unit; 0 if nothing was done.
func (r *Result) CPUPerUnit() float64 {
	if r.Done == 0 {
		return 0
	}
	return float64(r.CPU.Microseconds()) / float64(r.Done)
}

// lane is one connection and the unit it carries.
type lane struct {
	fd    int
	start time.Duration // when the unit was due, since the run's origin
	step  int
	busy  bool
	out   []byte
	in    []byte
	n     int
	taken []byte
	no    int64 // the unit's serial
}

// run is one run's loop. It is one goroutine's alone, locked to a thread.
type run struct {
	plan   *Plan
	poll   *wire.Poll
	lanes  []lane
	free   []int
	origin time.Time
	due    time.Duration // open loop: when the next unit is due
	gap    time.Duration
	serial int64
	counts bool // past the warm-up
	res    Result
}

// Run carries out a plan. It returns an error if the other side cannot be
// reached, breaks errorsMax connections, or ctx ends.
func Run(ctx context.Context, plan *Plan) (*Result, error) {
	if plan.Conns < 1 || plan.Conns > connsMax || len(plan.Steps) == 0 || plan.Measure <= 0 || plan.Rate < 0 {
		return nil, fmt.Errorf("cannot run a plan of %d connections, %d steps, %s at %g/s: expected 1 to %d connections, a step, a time and a rate",
			plan.Conns, len(plan.Steps), plan.Measure, plan.Rate, connsMax)
	}
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	wire.SharpTimers()
	poll, err := wire.NewPoll()
	if err != nil {
		return nil, err
	}
	defer poll.Close()
	r := &run{plan: plan, poll: poll, lanes: make([]lane, plan.Conns), serial: plan.Serial}
	r.res.Latency = hdrhistogram.New(1, latencyMax.Microseconds(), 3)
	if plan.Rate > 0 {
		r.gap = time.Duration(float64(time.Second) / plan.Rate)
	}
	defer r.hangUp()
	for i := range r.lanes {
		r.lanes[i] = lane{fd: -1, in: make([]byte, answerMax)}
		if err := r.connect(i); err != nil {
			return nil, err
		}
	}
	if err := r.loop(ctx); err != nil {
		return nil, err
	}
	r.res.All = r.serial - plan.Serial
	return &r.res, nil
}

func (r *run) connect(i int) error {
	l := &r.lanes[i]
	if l.fd >= 0 {
		wire.Close(l.fd)
		l.fd = -1
	}
	fd, err := wire.Dial(r.plan.Addr)
	if err != nil {
		return err
	}
	l.fd, l.busy, l.n = fd, false, 0
	r.free = append(r.free, i)
	return r.poll.Add(fd, i)
}

func (r *run) hangUp() {
	for i := range r.lanes {
		if r.lanes[i].fd >= 0 {
			wire.Close(r.lanes[i].fd)
		}
	}
}

func (r *run) loop(ctx context.Context) error {
	r.origin = time.Now()
	var cpu time.Duration
	var counted time.Duration
	for {
		now := time.Since(r.origin)
		if !r.counts && now >= r.plan.Warm {
			var err error
			if cpu, err = r.cpu(); err != nil {
				return err
			}
			r.counts, counted = true, time.Since(r.origin)
		}
		if r.counts && now >= counted+r.plan.Measure {
			end, err := r.cpu()
			r.res.Elapsed, r.res.CPU = time.Since(r.origin)-counted, end-cpu
			if r.gap > 0 && now > r.due {
				r.res.Late = int64((now - r.due) / r.gap)
			}
			return err
		}
		if err := ctx.Err(); err != nil {
			return fmt.Errorf("stopped: %w", err)
		}
		if err := r.issue(now); err != nil {
			return err
		}
		ready, err := r.poll.Wait(r.wait())
		if err != nil {
			return err
		}
		for i := range ready {
			if err := r.serve(int(ready[i].Fd)); err != nil {
				return err
			}
		}
	}
}

func (r *run) cpu() (time.Duration, error) {
	if r.plan.PID == 0 {
		return 0, nil
	}
	return CPU(r.plan.PID)
}

// wait is how long nothing is due.
func (r *run) wait() time.Duration {
	if r.gap == 0 || len(r.free) == 0 {
		return patience
	}
	return min(max(r.due-time.Since(r.origin), 0), patience)
}

// issue starts every unit that is due while there are free connections. A unit
// that finds none keeps its due time and waits.
func (r *run) issue(now time.Duration) error {
	for len(r.free) > 0 && (r.gap == 0 || r.due <= now) {
		i := r.free[len(r.free)-1]
		r.free = r.free[:len(r.free)-1]
		l := &r.lanes[i]
		l.busy, l.step, l.no, l.start = true, 0, r.serial, time.Since(r.origin)
		if r.gap > 0 {
			l.start = r.due
			r.due += r.gap
		}
		r.serial++
		if err := r.send(i); err != nil {
			return err
		}
	}
	return nil
}

func (r *run) send(i int) error {
	l := &r.lanes[i]
	l.n = 0
	l.out = r.plan.Steps[l.step].fill(l.out, l.no, l.taken)
	if n, err := wire.Write(l.fd, l.out); err != nil || n < len(l.out) {
		return r.broken(i)
	}
	return nil
}

// broken replaces a connection. The unit it carried is lost and counted.
func (r *run) broken(i int) error {
	if r.res.Errors++; r.res.Errors > errorsMax {
		return fmt.Errorf("%s broke more than %d connections", r.plan.Addr, errorsMax)
	}
	if !r.lanes[i].busy {
		for at, f := range r.free {
			if f == i {
				r.free = append(r.free[:at], r.free[at+1:]...)
				break
			}
		}
	}
	return r.connect(i)
}

func (r *run) serve(i int) error {
	l := &r.lanes[i]
	n, err := wire.Read(l.fd, l.in[l.n:])
	if errors.Is(err, unix.EAGAIN) {
		return nil
	}
	if err != nil || n == 0 || !l.busy {
		return r.broken(i)
	}
	l.n += n
	total, _, err := wire.Frame(l.in[:l.n])
	if err != nil || (total == 0 && l.n == len(l.in)) {
		r.bad(l.in[:l.n])
		return r.broken(i)
	}
	if total == 0 {
		return nil
	}
	step := &r.plan.Steps[l.step]
	var good bool
	if l.taken, good = step.judge(l.in[:total], l.taken); !good {
		r.bad(l.in[:total])
	} else if l.step++; l.step < len(r.plan.Steps) {
		return r.send(i)
	} else if r.counts {
		r.res.Done++
		us := min((time.Since(r.origin) - l.start).Microseconds(), latencyMax.Microseconds())
		_ = r.res.Latency.RecordValue(max(us, 1)) // within its bounds by the line above
	}
	l.busy = false
	r.free = append(r.free, i)
	return nil
}

func (r *run) bad(answer []byte) {
	if r.res.Bad++; r.res.Bad == 1 {
		r.res.Example = string(answer[:min(len(answer), badBytes)])
	}
}
