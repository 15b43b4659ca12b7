package postback

import (
	"encoding/binary"
	"fmt"
	"strings"
	"time"
)

// lines are the endpoints that have jobs. Only the dispatcher touches them.
type lines struct {
	byID    map[endpointID]*endpoint
	order   []*endpoint // for turns
	turn    int
	running int
}

// endpoint is one tracker's line.
type endpoint struct {
	id      endpointID
	queue   []item           // due, read from disk, not started
	held    map[Key]struct{} // queued or in flight: not to be read again
	running int
	fails   int // in a row

	// How far the disk was read. Fresh jobs come in order of seq and retries are due after now, so nothing is
	// ever written behind these marks; where a clock steps back, settle moves the mark.
	fresh, late []byte
	more        bool  // there may be due jobs on disk past the marks
	nextDue     int64 // Unix nanoseconds of the first retry that is not due yet, 0: none known
	pausedUntil int64 // the tracker asked for patience

	lastLog time.Time
	unsaid  int // faults since lastLog
}

// item is one waiting job as the index has it.
type item struct {
	key   Key
	order uint64
}

// result is the end of one attempt.
type result struct {
	ep         *endpoint
	item       item
	job        Job
	verdict    Verdict // none: nothing was tried, for a fault, or because the job is not to be sent
	retryAfter time.Duration
	start, now time.Time
	drop       bool // the index names a job that is not there
	fault      error
}

func be64(b []byte) uint64 { return binary.BigEndian.Uint64(b) }

// after returns the first key behind all that begin with prefix.
func after(prefix string) []byte {
	b := []byte(prefix)
	b[len(b)-1]++
	return b
}

func (l *lines) endpoint(id endpointID) *endpoint {
	ep := l.byID[id]
	if ep == nil {
		ep = &endpoint{id: id, held: make(map[Key]struct{}), fresh: duePrefix(id, 0), late: duePrefix(id, orderLate), more: true}
		l.byID[id] = ep
		l.order = append(l.order, ep)
	}
	return ep
}

// dispatch runs until stop, and returns when no attempt is left.
func (s *Sender) dispatch() {
	timer := time.NewTimer(0)
	defer timer.Stop()
	scanned := false
	var unwritten []result
	for {
		if !scanned {
			scanned = s.findEndpoints() == nil
		}
		s.takeWoken()
		unwritten = s.settle(unwritten)
		wait := commitPause
		if len(unwritten) == 0 {
			wait = s.launch(s.clock.Now())
		}
		if !scanned {
			wait = min(wait, commitPause)
		}
		timer.Reset(wait)
		select {
		case <-s.stop:
			s.drain(unwritten)
			return
		case r := <-s.results:
			unwritten = s.gather(append(unwritten, r))
		case ask := <-s.asks:
			ask()
		case <-s.wake:
		case <-timer.C:
		}
	}
}

// gather takes the other ends that are already there, to write them in one batch.
func (s *Sender) gather(rs []result) []result {
	for len(rs) < runningMax {
		select {
		case r := <-s.results:
			rs = append(rs, r)
		default:
			return rs
		}
	}
	return rs
}

// drain waits for what is in flight and writes what it came to.
func (s *Sender) drain(rs []result) {
	grace := time.NewTimer(stopGrace)
	defer grace.Stop()
	for left := s.line.running - len(rs); left > 0; left-- {
		select {
		case r := <-s.results:
			rs = append(rs, r)
		case <-grace.C:
			// An attempt cut short says nothing about its tracker: it is not written, and made again at the next start.
			s.http.close()
			for ; left > 0; left-- {
				<-s.results
			}
			s.settle(rs)
			return
		}
	}
	s.http.close()
	s.settle(rs)
}

// findEndpoints reads from the index which endpoints have waiting jobs, one seek per endpoint.
func (s *Sender) findEndpoints() error {
	lo, hi := []byte(prefixDue), after(prefixDue)
	for {
		found := false
		err := s.space.Scan(lo, hi, func(k, _ []byte) (bool, error) {
			ep, _, _, err := parseDueKey(k)
			if err != nil {
				return false, err
			}
			s.line.endpoint(ep)
			lo, found = duePrefix(ep, ^uint64(0)), true
			return false, nil
		})
		if err != nil {
			s.fault("cannot read which postbacks wait", err)
			return err
		}
		if !found {
			return nil
		}
	}
}

func (s *Sender) takeWoken() {
	s.mu.Lock()
	woken := s.woken
	s.woken = make(map[string]struct{})
	s.mu.Unlock()
	for name := range woken {
		s.line.endpoint(endpointOf(name)).more = true
	}
}

// launch starts all attempts that may start now, an endpoint at a time in
// turn, and returns how long nothing will change by itself.
func (s *Sender) launch(now time.Time) time.Duration {
	wait := time.Hour
	l := &s.line
	failing := int64(0)
	for i := range l.order {
		ep := l.order[(l.turn+i)%len(l.order)]
		if d := s.launchEndpoint(ep, now); d < wait {
			wait = d
		}
		if ep.fails >= failingAfter {
			failing++
		}
	}
	s.failing.Store(failing)
	l.turn++
	l.forgetIdle()
	return max(wait, time.Millisecond)
}

func (s *Sender) launchEndpoint(ep *endpoint, now time.Time) time.Duration {
	if ep.pausedUntil > now.UnixNano() {
		return time.Duration(ep.pausedUntil - now.UnixNano())
	}
	for ep.running < s.line.limit(ep) {
		if len(ep.queue) == 0 {
			if err := s.fill(ep, now); err != nil {
				s.fault("cannot read waiting postbacks", err)
				return commitPause
			}
			if len(ep.queue) == 0 {
				break
			}
		}
		it := ep.queue[0]
		ep.queue = ep.queue[1:]
		ep.running++
		s.line.running++
		go func() { s.results <- s.attempt(ep, it) }()
	}
	if ep.nextDue == 0 {
		return time.Hour
	}
	if ep.running >= s.line.limit(ep) {
		return time.Hour // an end wakes the dispatcher
	}
	return time.Duration(ep.nextDue - now.UnixNano())
}

// limit is how many requests may be at an endpoint now. The more places are
// taken in all, the fewer one endpoint may have: slow trackers, however many,
// leave room for one that answers.
func (l *lines) limit(ep *endpoint) int {
	free := runningMax - l.running
	switch {
	case free <= 0:
		return 0
	case ep.fails >= failingAfter:
		return 1
	default:
		return min(perEndpointMax, max(1, free/freeShare))
	}
}

// breakOff pauses an endpoint that failed too often in a row, longer each time.
// A request that took its time has been a pause already.
func (ep *endpoint) breakOff(start time.Time) {
	if over := ep.fails - failingAfter; over >= 0 {
		pause := min(breakStep*time.Duration(over+1), breakMax)
		ep.pausedUntil = max(ep.pausedUntil, start.Add(pause).UnixNano())
	}
}

// fill reads due jobs of an endpoint into its empty queue: fresh ones first.
func (s *Sender) fill(ep *endpoint, now time.Time) error {
	if !ep.more && (ep.nextDue == 0 || ep.nextDue > now.UnixNano()) {
		return nil
	}
	ep.queue = ep.queue[:0:0]
	take := func(mark *[]byte, until uint64) func(k, _ []byte) (bool, error) {
		return func(k, _ []byte) (bool, error) {
			_, order, key, err := parseDueKey(k)
			if err != nil {
				return false, err
			}
			if order > until {
				ep.nextDue = int64(order &^ orderLate)
				return false, nil
			}
			*mark = append(append((*mark)[:0], k...), 0)
			if _, ok := ep.held[key]; !ok {
				ep.held[key] = struct{}{}
				ep.queue = append(ep.queue, item{key, order})
			}
			return len(ep.queue) < queueMax, nil
		}
	}
	// A bound of 0xff.. never names a job, so the end may stay out of the scan.
	err := s.space.Scan(ep.fresh, duePrefix(ep.id, orderLate), take(&ep.fresh, orderLate))
	if err != nil {
		return fmt.Errorf("cannot scan: %w", err)
	}
	if len(ep.queue) < queueMax {
		ep.nextDue = 0
		err = s.space.Scan(ep.late, duePrefix(ep.id, ^uint64(0)), take(&ep.late, orderLate|uint64(now.UnixNano())))
		if err != nil {
			return fmt.Errorf("cannot scan: %w", err)
		}
	}
	ep.more = len(ep.queue) >= queueMax
	return nil
}

// forgetIdle lets go of endpoints that have nothing to do.
func (l *lines) forgetIdle() {
	kept := l.order[:0]
	for _, ep := range l.order {
		if ep.running > 0 || len(ep.queue) > 0 || ep.more || ep.nextDue > 0 {
			kept = append(kept, ep)
			continue
		}
		delete(l.byID, ep.id)
	}
	clear(l.order[len(kept):])
	l.order = kept
}

// attempt makes one attempt. It runs in a goroutine of its own.
func (s *Sender) attempt(ep *endpoint, it item) result {
	r := result{ep: ep, item: it}
	v, ok, err := s.space.Get(jobKey(it.key))
	if err == nil && !ok {
		r.drop = true
	} else if err == nil {
		r.job, err = decodeJob(it.key, v)
	}
	r.now = s.clock.Now()
	if err != nil || r.drop {
		r.fault = err
		return r
	}
	q, reason, err := s.render(&r.job)
	switch {
	case err != nil:
		r.fault = err
		return r
	case reason != "":
		r.job.State, r.job.Reason, r.job.Due = NotSent, reason, 0
		return r
	case s.isGone(r.job.Notice):
		r.job.State, r.job.Reason, r.job.Due = Dead, "gone", 0
		return r
	case r.job.overdue(r.now):
		// It stood in a long line at a tracker that is down.
		r.job.State, r.job.Reason, r.job.Due = Dead, "expired", 0
		return r
	}
	s.try(&r, &q)
	return r
}

// saidBytesMax bounds what is kept of an answer that was no acceptance.
const saidBytesMax = 200

// try sends one request and settles the job by what came back.
func (s *Sender) try(r *result, q *request) {
	r.start = r.now
	back, err := s.http.send(q)
	r.now = s.clock.Now()
	s.met.seconds.Update(r.now.Sub(r.start).Seconds())
	r.retryAfter = back.retryAfter
	a := Attempt{At: r.now.UnixNano(), Status: back.status, Fault: faultOf(err), Verdict: verdictOf(back.status, err)}
	if err == nil {
		a.Verdict = s.plan(r.job.Notice).Judge(back.status, back.body)
	}
	if a.Verdict != VerdictAccepted && a.Verdict != VerdictUnchecked && len(back.body) > 0 {
		a.Said = s.vault.Seal(strings.ToValidUTF8(string(back.body[:min(len(back.body), saidBytesMax)]), "\uFFFD"))
	}
	r.verdict = a.Verdict
	r.job.record(a)
	r.job.settle(r.verdict, r.now, r.retryAfter)
}
