package postback

import (
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"strings"

	"vendue/attribution/internal/wire"
	"vendue/exchange"
)

// Filter says which jobs are wanted. An empty field takes all.
type Filter struct {
	State     State // 0: any
	Affiliate exchange.AffiliateID
	Event     string
	Reason    string
	Endpoint  string // how the endpoint begins: https://tracker.example
	Lead      exchange.LeadID
	From      int64 // Unix nanoseconds of the making, included; 0: from the first
	Until     int64 // excluded; 0: to the last
	After     Key   // jobs behind this one
	Limit     int   // 0 or above jobsMax: jobsMax
}

const (
	jobsMax = 1000
	// lookMax is how many jobs one call looks at.
	lookMax = 100_000
)

func (f *Filter) takes(j *Job) bool {
	return (f.State == 0 || j.State == f.State) && (f.Affiliate == "" || j.Affiliate == f.Affiliate) && (f.Event == "" || j.Event == f.Event) &&
		(f.Reason == "" || j.Reason == f.Reason) && strings.HasPrefix(j.Endpoint, f.Endpoint) && (f.Lead.IsZero() || j.Lead == f.Lead) &&
		(f.From == 0 || j.Created >= f.From) && (f.Until == 0 || j.Created < f.Until)
}

// Jobs lists jobs in the order of their sales. Without an index for the wanted
// state (delivered, waiting) it looks at the jobs behind After in turn, at most
// lookMax of them; next is where to go on, and is zero when the end was reached.
func (s *Sender) Jobs(f Filter) (jobs []Job, next Key, err error) {
	if f.Limit <= 0 || f.Limit > jobsMax {
		f.Limit = jobsMax
	}
	prefix := prefixJob
	if f.State == Dead || f.State == NotSent {
		prefix = prefixDead
	}
	looked := 0
	lo := append(f.After.append([]byte(prefix)), 0)
	err = s.space.Scan(lo, after(prefix), func(k, v []byte) (bool, error) {
		if looked++; looked > lookMax || len(jobs) >= f.Limit {
			return false, nil
		}
		key := keyOf(k[len(prefix):])
		j, err := s.jobAt(prefix, key, v)
		if err != nil {
			return false, err
		}
		next = key
		if f.takes(&j) {
			jobs = append(jobs, j)
		}
		return true, nil
	})
	if looked <= lookMax && len(jobs) < f.Limit {
		next = Key{}
	}
	return jobs, next, err
}

func (s *Sender) jobAt(prefix string, key Key, v []byte) (Job, error) {
	if prefix == prefixDead {
		var ok bool
		var err error
		if v, ok, err = s.space.Get(jobKey(key)); err != nil || !ok {
			return Job{Key: key}, err
		}
	}
	return decodeJob(key, v)
}

// Said returns how the answer of an attempt began, where it was no acceptance.
func Said(vault exchange.Vault, a *Attempt) string {
	text, err := vault.Unseal(a.Said)
	if err != nil {
		return ""
	}
	return text
}

// ErrStopped says that the sender is not running.
var ErrStopped = errors.New("postbacks are not being sent now")

// ask has the dispatcher do something.
func (s *Sender) ask(fn func()) error {
	if !s.started.Load() {
		return ErrStopped
	}
	done := make(chan struct{})
	select {
	case s.asks <- func() { fn(); close(done) }:
		<-done
		return nil
	case <-s.ended:
		return ErrStopped
	}
}

// Replayed is what became of a replay.
type Replayed struct {
	Revived int // wait again
	Skipped int // were never rendered, so there is nothing to send; or their notice is switched off
	Next    Key // where to go on; zero: all were looked at
}

// Replay sets dead jobs, and not sent ones that can be sent, waiting again: at
// most Limit of them in a call. They keep their id and their attempts, and have
// a life of three days anew. f.State must be Dead or NotSent. The same replay
// again finds nothing: what it set going is neither any more.
func (s *Sender) Replay(f Filter) (out Replayed, err error) {
	if f.State != Dead && f.State != NotSent {
		return out, fmt.Errorf("state: expected dead or not_sent")
	}
	if e := s.ask(func() { out, err = s.replay(f) }); e != nil {
		return out, e
	}
	return out, err
}

func (s *Sender) replay(f Filter) (out Replayed, err error) {
	jobs, next, err := s.Jobs(f)
	if err != nil {
		return out, err
	}
	out.Next = next
	all := len(jobs)
	jobs = slices.DeleteFunc(jobs, func(j Job) bool {
		return len(j.URL) == 0 && j.Seller == "" || s.isGone(j.Notice)
	})
	out.Revived, out.Skipped = len(jobs), all-len(jobs)
	if len(jobs) == 0 {
		return out, nil
	}
	now := s.clock.Now().UnixNano()
	delivered, dead, revived := s.settled.delivered.Load(), s.settled.dead.Load(), s.settled.revived.Load()
	for i := range jobs {
		j := &jobs[i]
		if j.State == Dead {
			dead--
		} else {
			revived++
		}
		j.State, j.Reason, j.Revived, j.Due, j.Tries = Waiting, "", now, now, 0
	}
	err = s.space.Commit(true, func(b Batch) {
		for i := range jobs {
			j := &jobs[i]
			b.Delete(deadKey(j.Key))
			b.Set(jobKey(j.Key), j.encode())
			b.Set(dueKey(endpointOf(j.Endpoint), j.order(), j.Key), nil)
		}
		b.Set([]byte(keySettled), encodeTotals(delivered, dead))
		b.Set([]byte(keyLapsed), encodeTotals(s.settled.notSent.Load(), revived))
	})
	if err != nil {
		return Replayed{}, fmt.Errorf("cannot write a replay: %w", err)
	}
	s.settled.dead.Store(dead)
	s.settled.revived.Store(revived)
	for i := range jobs {
		ep := s.line.endpoint(endpointOf(jobs[i].Endpoint))
		ep.rewind(item{jobs[i].Key, jobs[i].order()})
		ep.more = true
	}
	return out, nil
}

// Disabled is a notice that a tracker switched off with a 410.
type Disabled struct {
	Notice    Notice
	At        int64 // Unix nanoseconds
	Affiliate exchange.AffiliateID
	Seller    exchange.SellerID
	Event     string
	Endpoint  string
}

func disabledBy(r *result) Disabled {
	j := &r.job
	return Disabled{Notice: j.Notice, At: r.now.UnixNano(), Affiliate: j.Affiliate, Seller: j.Seller, Event: j.Event, Endpoint: j.Endpoint}
}

// encode writes the time in eight bytes, which once was all, and the rest behind it.
func (d *Disabled) encode() []byte {
	w := wire.Writer{B: binary.BigEndian.AppendUint64(nil, uint64(d.At))}
	w.Text(string(d.Affiliate))
	w.Text(string(d.Seller))
	w.Text(d.Event)
	w.Text(d.Endpoint)
	return w.B
}

func decodeDisabled(k, v []byte) (d Disabled, err error) {
	k = k[len(prefixGone):]
	if len(k) != 8 || len(v) < 8 {
		return d, fmt.Errorf("disabled notice: %w", wire.ErrCorrupt)
	}
	d.Notice, d.At = Notice(be64(k)), int64(be64(v))
	if len(v) == 8 {
		return d, nil
	}
	r := wire.Reader{B: v[8:]}
	d.Affiliate, d.Seller, d.Event, d.Endpoint = exchange.AffiliateID(r.Text()), exchange.SellerID(r.Text()), r.Text(), r.Text()
	return d, r.Err()
}

// Disabled lists the notices that are switched off, the oldest first.
func (s *Sender) Disabled() []Disabled {
	s.mu.Lock()
	defer s.mu.Unlock()
	list := make([]Disabled, 0, len(s.gone))
	for _, d := range s.gone {
		list = append(list, d)
	}
	slices.SortFunc(list, func(a, b Disabled) int {
		if a.At != b.At {
			return int(min(max(a.At-b.At, -1), 1))
		}
		return strings.Compare(a.Notice.String(), b.Notice.String())
	})
	return list
}

// DisabledCount is how many notices are switched off.
func (s *Sender) DisabledCount() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.gone)
}

// Enable switches a notice on again; ok is false if it was not switched off.
// Its jobs that died meanwhile stay dead until they are replayed.
func (s *Sender) Enable(n Notice) (ok bool, err error) {
	e := s.ask(func() {
		if !s.isGone(n) {
			return
		}
		if err = s.space.Commit(true, func(b Batch) { b.Delete(goneKey(n)) }); err != nil {
			err = fmt.Errorf("cannot write that a notice is on: %w", err)
			return
		}
		ok = true
		s.mu.Lock()
		defer s.mu.Unlock()
		delete(s.gone, n)
	})
	if e != nil {
		return false, e
	}
	return ok, err
}

// String returns the notice as 16 hexadecimal digits.
func (n Notice) String() string { return fmt.Sprintf("%016x", uint64(n)) }

// JobsOf returns the jobs of one event of the journal. It reads only, and needs no sender.
func JobsOf(space Space, seq uint64) (jobs []Job, err error) {
	lo, hi := jobKey(Key{Seq: seq}), append(jobKey(Key{Seq: seq, No: ^uint16(0)}), 0)
	err = space.Scan(lo, hi, func(k, v []byte) (bool, error) {
		j, err := decodeJob(keyOf(k[len(prefixJob):]), v)
		jobs = append(jobs, j)
		return len(jobs) < jobsMax, err
	})
	return jobs, err
}
