package postback

import (
	"bytes"
	"net/http"
	"time"
)

// settle writes the ends of attempts in one synced batch and lets their places
// go. What could not be written is returned, to be tried again.
func (s *Sender) settle(rs []result) []result {
	if len(rs) == 0 {
		return nil
	}
	delivered, dead, notSent := s.settled.delivered.Load(), s.settled.dead.Load(), s.settled.notSent.Load()
	was := notSent
	var gone []Disabled
	for i := range rs {
		switch {
		case rs[i].fault != nil || rs[i].drop:
			continue
		case rs[i].job.State == Delivered:
			delivered++
		case rs[i].job.State == Dead:
			dead++
		case rs[i].job.State == NotSent:
			notSent++
		}
		if rs[i].verdict == VerdictGone {
			gone = append(gone, disabledBy(&rs[i]))
		}
	}
	err := s.space.Commit(true, func(b Batch) {
		for i := range rs {
			write(b, &rs[i])
		}
		b.Set([]byte(keySettled), encodeTotals(delivered, dead))
		if notSent != was {
			b.Set([]byte(keyLapsed), encodeTotals(notSent, s.settled.revived.Load()))
		}
		for i := range gone {
			b.Set(goneKey(gone[i].Notice), gone[i].encode())
		}
	})
	if err != nil {
		s.fault("cannot write the ends of postbacks", err)
		return rs
	}
	s.settled.delivered.Store(delivered)
	s.settled.dead.Store(dead)
	s.settled.notSent.Store(notSent)
	s.markGone(gone)
	for i := range rs {
		s.release(&rs[i])
	}
	return nil
}

// write puts one end and its place in the indexes into the batch.
func write(b Batch, r *result) {
	if r.fault != nil {
		return
	}
	b.Delete(dueKey(r.ep.id, r.item.order, r.item.key))
	if r.drop {
		return
	}
	b.Set(jobKey(r.item.key), r.job.encode())
	switch r.job.State {
	case Waiting:
		b.Set(dueKey(r.ep.id, r.job.order(), r.item.key), nil)
	case Dead, NotSent:
		b.Set(deadKey(r.item.key), nil)
	}
}

// release gives an attempt's place back and learns from how it went.
func (s *Sender) release(r *result) {
	ep := r.ep
	s.line.running--
	ep.running--
	delete(ep.held, r.item.key)
	if r.drop {
		s.met.faults.Inc()
		s.log.Error().Uint64("seq", r.item.key.Seq).Msg("postback index names a job that is not there")
		return
	}
	if r.fault != nil {
		// The job stays where it is; the mark moves back so that it is read again, after a pause.
		s.fault("cannot read a waiting postback", r.fault)
		ep.pausedUntil = r.now.Add(commitPause).UnixNano()
		ep.rewind(r.item)
		return
	}
	if r.job.State == Waiting {
		ep.rewind(item{r.item.key, r.job.order()})
		if ep.nextDue == 0 || r.job.Due < ep.nextDue {
			ep.nextDue = r.job.Due
		}
	}
	if r.job.State == NotSent {
		s.met.notSent.Inc()
	}
	if r.verdict != VerdictNone {
		s.met.attempts[r.verdict].Inc()
		s.judge(r)
	}
}

// rewind makes sure that an index entry will be read.
func (ep *endpoint) rewind(it item) {
	key := dueKey(ep.id, it.order, it.key)
	mark := &ep.late
	if it.order < orderLate {
		mark = &ep.fresh
		ep.more = true
	}
	if bytes.Compare(key, *mark) < 0 {
		*mark = key
		ep.more = true
	}
}

// judge keeps count of an endpoint's faults and says them, at most one line a minute.
func (s *Sender) judge(r *result) {
	ep := r.ep
	last := r.job.Attempts[len(r.job.Attempts)-1]
	if r.verdict == VerdictRetry {
		ep.fails++
		ep.breakOff(r.start)
	} else {
		ep.fails = 0
		if r.job.State == Delivered {
			return
		}
	}
	if r.retryAfter > 0 && (last.Status == http.StatusTooManyRequests || last.Status == http.StatusServiceUnavailable) {
		ep.pausedUntil = r.now.Add(min(r.retryAfter, retryAfterMax)).UnixNano()
	}
	ep.unsaid++
	if r.now.Sub(ep.lastLog) < logEvery && r.verdict != VerdictGone {
		return
	}
	text := "tracker did not take a postback"
	if r.verdict == VerdictGone {
		text = "tracker said that a postback is gone: it is switched off"
	}
	s.log.Warn().Str("endpoint", r.job.Endpoint).Str("affiliate", string(r.job.Affiliate)).Str("seller", string(r.job.Seller)).
		Int("status", last.Status).Str("fault", last.Fault).Stringer("verdict", last.Verdict).Str("state", r.job.State.String()).Int("times", ep.unsaid).Msg(text)
	ep.lastLog, ep.unsaid = r.now, 0
}

func (s *Sender) markGone(list []Disabled) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, d := range list {
		s.gone[d.Notice] = d
	}
}

func (s *Sender) fault(what string, err error) {
	s.met.faults.Inc()
	s.log.Error().Err(err).Msg(what)
}

// RetryAt is when a waiting job is tried again, zero at once.
func (j *Job) RetryAt() time.Time {
	if j.Due == 0 {
		return time.Time{}
	}
	return time.Unix(0, j.Due).UTC()
}
