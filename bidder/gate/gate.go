// Package gate decides which pings are worth sending: it holds a contract to
// its ping limits, keeps away from a buyer that fails, learns how long an answer
// is worth waiting for, and how likely one is to carry a bid.
//
// It never sends anything, reads no clock and starts no goroutine: time enters as
// a value. What it knows is advice about a buyer, not money: it is kept in memory
// over reloads, and a restart begins anew.
package gate

import (
	"sync"
	"time"

	"vendue/exchange"
)

// Limits bound the pings to one contract, or to all of one buyer's. Zero is no limit.
type Limits struct {
	PerSecond, PerMinute, PerDay int
	AtOnce                       int // pings sent and not yet ended
}

// Throttle says what is done about pings that hardly ever bring a bid.
type Throttle uint8

// The ways. ThrottleReport sends them all, and counts what would have been saved and lost.
const (
	ThrottleReport Throttle = iota
	ThrottleOff
	ThrottleOn
)

// Rules are what a contract's config says of its pings. The zero value has no limits and every care.
type Rules struct {
	Limits    Limits
	Zone      *time.Location // of the day that PerDay counts in; nil: UTC
	NoBreaker bool
	FullWait  bool // wait out the contract's own timeout always
	Throttle  Throttle
	Below     exchange.PPM // the least probability of a bid that is worth a ping; 0: a hundredth
}

// State is what is known of one contract's buyer, or counted of one buyer. The
// zero value has seen nothing. Safe for concurrent use: mu guards all of it and is
// held for a few dozen instructions at a time. A contract's may be held while its
// buyer's is taken, never the other way round.
type State struct {
	mu      sync.Mutex
	second  count
	minute  count
	today   int
	dayEnd  time.Time
	atOnce  int
	breaker breaker
	waits   waits
	chances chances
	held    Held
}

// Held counts, since the start, what throttling did or would have done.
type Held struct {
	Pings    int64          // held back
	Would    int64          // sent that would have been held back
	LostBids int64          // bids that answered those
	Lost     exchange.Money // and their sum
}

// Want is a ping that somebody would like to send.
type Want struct {
	Buyer    *State // of all of the buyer's contracts; nil: it has no limits
	Limits   *Limits
	Features uint64        // a hash of what the chance of a bid may hang on
	Own      time.Duration // the contract's timeout
	Most     time.Duration // what is left for the answer, at most Own
	Now      time.Time
}

// Ticket is what one admitted ping must be ended with.
type Ticket struct {
	Admitted bool
	full     bool // it may take the contract's own time
	longer   bool // than the learnt wait
	fair     bool // its time would do for most answers
	probe    bool // of an open breaker
	would    bool // throttling would have held it back
	slot     uint8
}

// Unasked takes note that the question has not left this machine: if its time ends now, that says nothing of the buyer.
func (t *Ticket) Unasked() { t.fair = false }

// Missed counts a fault that a ping which had ended unasked turned out to be: the buyer could not be connected to.
func (s *State) Missed(now time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.breaker.ended(s.breaker.phase(now) == PhaseHalfOpen, true, now)
}

// Admit tells whether a ping may be sent, ReasonNone if so, and then how long its
// answer is worth waiting for, at most w.Most. Whoever is admitted must call Ended.
func (s *State) Admit(r *Rules, w *Want) (t Ticket, wait time.Duration, stop exchange.Reason) {
	s.mu.Lock()
	defer s.mu.Unlock()
	t.slot = uint8(w.Features % chanceSlots)
	if !r.NoBreaker {
		if t.probe, stop = s.breaker.admit(w.Now); stop != exchange.ReasonNone {
			return t, 0, stop
		}
	}
	if !t.probe && r.Throttle != ThrottleOff && s.chances.hopeless(t.slot, r.Below) {
		switch {
		case r.Throttle == ThrottleReport:
			t.would = true
		case !s.chances.explore():
			s.held.Pings++
			return t, 0, exchange.ReasonThrottled
		}
	}
	if stop = s.take(r, w); stop != exchange.ReasonNone {
		s.breaker.back(t.probe)
		return t, 0, stop
	}
	t.Admitted, wait, t.full = true, w.Most, true
	fair := w.Own
	if !r.FullWait {
		wait, t.full = s.waits.worth(w.Most)
		if s.waits.wait > 0 {
			fair = min(fair, s.waits.wait)
		}
	}
	t.fair, t.longer = wait >= fair/2, s.waits.wait > 0 && wait > s.waits.wait
	return t, wait, exchange.ReasonNone
}

// Ended notes how an admitted ping ended. An answer that carries a bid has
// ReasonNone. Buyer is what Admit was given.
func (s *State) Ended(t *Ticket, buyer *State, a *exchange.Answer, now time.Time) {
	if buyer != nil {
		buyer.mu.Lock()
		buyer.atOnce--
		buyer.mu.Unlock()
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.atOnce--
	switch a.Reason {
	case exchange.ReasonTimeout, exchange.ReasonBuyerError:
		if a.Reason == exchange.ReasonTimeout && !t.fair { // an impatient seller is no fault of the buyer's
			s.breaker.back(t.probe)
			return
		}
		if a.Reason == exchange.ReasonTimeout && !t.full { // nor is our own guess
			s.waits.missed++
			s.breaker.doubt(t.probe, now)
			return
		}
		if a.Reason == exchange.ReasonTimeout && t.longer {
			s.breaker.judge(true, now)
		}
		s.breaker.ended(t.probe, true, now)
	case exchange.ReasonConcurrency, exchange.ReasonNoTime, exchange.ReasonOutbid: // the buyer had no say
		s.breaker.back(t.probe)
		return
	default:
		if s.waits.heard(a.Elapsed); t.longer && a.Elapsed > s.waits.wait {
			s.breaker.judge(false, now)
		}
		s.breaker.ended(t.probe, false, now)
		s.chances.note(t.slot, a.Reason == exchange.ReasonNone)
	}
	if t.would {
		s.held.Would++
	}
	if a.Reason != exchange.ReasonNone {
		return
	}
	s.waits.note(a.Elapsed, t.full)
	if t.would {
		s.held.LostBids++
		s.held.Lost += a.Bid
	}
}

// take counts one more ping of the contract and its buyer, or says which limit has no room. The lock is held.
func (s *State) take(r *Rules, w *Want) exchange.Reason {
	if stop := s.room(&r.Limits, r.Zone, w.Now); stop != exchange.ReasonNone {
		return stop
	}
	if w.Buyer != nil {
		w.Buyer.mu.Lock()
		defer w.Buyer.mu.Unlock()
		if stop := w.Buyer.room(w.Limits, r.Zone, w.Now); stop != exchange.ReasonNone {
			return stop
		}
		w.Buyer.count()
	}
	s.count()
	return exchange.ReasonNone
}

// room tells which limit has no room for another ping. The lock is held.
func (s *State) room(l *Limits, zone *time.Location, now time.Time) exchange.Reason {
	s.second.turn(now.Unix())
	s.minute.turn(now.Unix() / 60)
	if l.PerDay > 0 {
		s.turnDay(zone, now)
	}
	switch {
	case l.AtOnce > 0 && s.atOnce >= l.AtOnce:
		return exchange.ReasonConcurrency
	case l.PerSecond > 0 && s.second.n >= l.PerSecond, l.PerMinute > 0 && s.minute.n >= l.PerMinute, l.PerDay > 0 && s.today >= l.PerDay:
		return exchange.ReasonPingLimit
	}
	return exchange.ReasonNone
}

func (s *State) count() {
	s.second.n++
	s.minute.n++
	s.today++
	s.atOnce++
}

// turnDay begins to count anew when the zone's day has turned. The lock is held.
func (s *State) turnDay(zone *time.Location, now time.Time) {
	if now.Before(s.dayEnd) {
		return
	}
	if zone == nil {
		zone = time.UTC
	}
	start := time.Unix(exchange.PerDay.Start(now, zone), 0)
	s.today, s.dayEnd = 0, time.Unix(exchange.PerDay.Start(start.Add(36*time.Hour), zone), 0) // no day has 36 hours
}

// count counts within one second or minute of the wall clock.
type count struct {
	number int64
	n      int
}

func (c *count) turn(number int64) {
	if c.number != number {
		c.number, c.n = number, 0
	}
}

// View is what people are shown of a contract's pings.
type View struct {
	Breaker Phase
	Opens   int64 // of the breaker, since the start
	Asked   int   // in the breaker's window
	Faults  int   // of those
	AtOnce  int
	Today   int           // counted only where there is a limit per day; of the day that counts
	Wait    time.Duration // that an answer is worth; 0: not known yet
	Held    Held
}

// View returns how the contract stands at now.
func (s *State) View(now time.Time) View {
	s.mu.Lock()
	defer s.mu.Unlock()
	v := View{Breaker: s.breaker.phase(now), Opens: s.breaker.opens, AtOnce: s.atOnce, Today: s.today, Wait: s.waits.wait, Held: s.held}
	v.Asked, v.Faults = s.breaker.sums(now)
	return v
}
