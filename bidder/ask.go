package bidder

import (
	"errors"
	"math"
	"slices"
	"sync"
	"time"

	"vendue/bidder/adapters"
	"vendue/bidder/adapters/dialect"
	"vendue/bidder/gate"
	"vendue/exchange"
)

// timeLeast is the least time that a question is worth sending for.
const timeLeast = time.Millisecond

// fanOut is one ask under way, owned by the goroutine that asks.
//
// It writes every ping first, each on a connection that was waiting for it,
// and then waits for answers itself: no goroutine, timer or channel per ping.
// It waits on one connection at a time, the one whose answer it expects next,
// for about as long as that buyer takes; after every wait it looks at all
// others without waiting. So a hanging buyer is soon waited for last, and an
// answer is read within about half its own age of its coming. Every wait ends
// at the next deadline at the latest.
//
// Tried and dropped: DESIGN.md beside this file says what and why.
type fanOut struct {
	b       *Bidder
	ask     *exchange.Ask
	targets []target
	left    int
	shared  []sharedPart
	body    []byte
	out     []byte
	looks   looks
	news    bool           // a bid came since it was last asked whether that is enough
	likes   uint64         // what the lead and its campaign look like, hashed
	ping    adapters.Ping  // here, since what an adapter is lent would else be allocated each time
	reply   adapters.Reply // likewise
	scene   dialect.Scene  // likewise
}

// sharedPart is what all contracts of one adapter are told alike.
type sharedPart struct {
	adapter adapters.Adapter
	text    []byte
}

// target is one buyer's part of an ask. Until done it has either a connection
// that carries its question or a dial that will.
type target struct {
	c        *contract
	at       int // in the ask's Contracts and Answers
	conn     *conn
	dial     *dialing
	rest     []byte        // of the question, if the socket was full
	deadline time.Duration // since the ask's start, like all times here
	patience time.Duration // when to wait for someone else instead
	ticket   gate.Ticket
	asked    time.Time // when the question left, if a connection had to be made for it first
	retried  bool
	done     bool
}

var fanOuts = sync.Pool{New: func() any { return new(fanOut) }}

// Ask puts the question to every contract and fills a.Answers, one per
// contract in the same order. It returns when all have answered or their time
// is over: never later than a.Deadline but for the scheduler's part.
func (b *Bidder) Ask(a *exchange.Ask) {
	a.Answers = slices.Grow(a.Answers[:0], len(a.Contracts))[:len(a.Contracts)]
	clear(a.Answers)
	f := fanOuts.Get().(*fanOut)
	f.b, f.ask, f.news = b, a, false
	f.scatter()
	for f.left > 0 {
		f.step()
		if f.news && f.left > 0 && a.Enough != nil && a.Enough() {
			f.leaveRest()
		}
		f.news = false
	}
	f.reset()
	fanOuts.Put(f)
}

// reset drops everything but the memory.
func (f *fanOut) reset() {
	f.b, f.ask, f.ping, f.reply, f.scene = nil, nil, adapters.Ping{}, adapters.Reply{}, dialect.Scene{}
	clear(f.targets)
	f.targets = f.targets[:0]
	for i := range f.shared {
		f.shared[i] = sharedPart{text: f.shared[i].text[:0]}
	}
	f.shared = f.shared[:0]
}

// scatter sends every question.
func (f *fanOut) scatter() {
	now := f.b.t.now()
	f.likes = featuresOf(f.ask)
	since, deadline := now.Sub(f.ask.Start), f.ask.Deadline.Sub(f.ask.Start)
	f.targets = slices.Grow(f.targets, len(f.ask.Contracts))[:len(f.ask.Contracts)]
	f.left = len(f.targets)
	for i, terms := range f.ask.Contracts {
		c := f.b.contract(terms)
		t := &f.targets[i]
		*t = target{c: c, at: i, deadline: deadline}
		if own := terms.PingTimeout; own > 0 && own < deadline {
			t.deadline = own
		}
		if t.deadline-since < timeLeast {
			f.finish(t, exchange.Answer{Reason: exchange.ReasonNoTime}, now)
			continue
		}
		if !t.end(f.ask).ready(now) {
			f.finish(t, exchange.Answer{Reason: exchange.ReasonBuyerError, Detail: errNotReady.Error()}, now)
			continue
		}
		if !f.admit(t, since, now) {
			continue
		}
		t.patience = since + 2*time.Duration(c.pace.Load()) + timeLeast
		t.conn = t.host(f.ask).pop(now)
	}
	f.looks.sift(f.targets, f.ask, now)
	for i := range f.targets {
		if t := &f.targets[i]; !t.done {
			t.c.ms.pings.Inc()
			f.send(t, now)
		}
	}
}

// end is where t's question goes.
func (t *target) end(ask *exchange.Ask) *endpoint { return t.c.ping[side(ask.Test)] }

// host keeps the connections there.
func (t *target) host(ask *exchange.Ask) *host { return t.end(ask).host }

// send writes one question on the connection that was taken for it, or has one dialled.
func (f *fanOut) send(t *target, now time.Time) {
	if t.conn == nil {
		f.redial(t, now)
		return
	}
	f.write(t, now)
	t.conn.begin()
	n, err := t.conn.wire.tryWrite(f.out)
	switch {
	case err == nil:
	case isBlocked(err):
		t.rest = slices.Clone(f.out[n:])
	default:
		f.broken(t, errWriteFailed, now)
	}
}

// write makes the request to t in f.out.
func (f *fanOut) write(t *target, now time.Time) {
	var part []byte
	if t.c.shares {
		part = f.part(t.c.adapter)
	}
	f.ping = adapters.Ping{Ask: f.ask, Terms: t.c.terms, Tmax: (t.deadline - now.Sub(f.ask.Start)).Truncate(time.Millisecond)}
	f.body = t.c.adapter.AppendPing(f.body[:0], part, &f.ping)
	end := t.c.ping[side(f.ask.Test)]
	if end.spoken == nil {
		f.out = end.appendRequest(f.out[:0], nil, f.body)
		return
	}
	f.scene = dialect.PingScene(&f.ping)
	f.out = end.appendSpoken(f.out[:0], &f.scene, nil, f.body)
}

// part returns what the contracts of one adapter share, made at first need.
func (f *fanOut) part(a adapters.Adapter) []byte {
	for i := range f.shared {
		if f.shared[i].adapter == a {
			return f.shared[i].text
		}
	}
	n := len(f.shared)
	f.shared = slices.Grow(f.shared, 1)[:n+1]
	s := &f.shared[n]
	s.adapter, s.text = a, a.AppendShared(s.text[:0], f.ask)
	return s.text
}

// redial has the question sent on a new connection, by a goroutine that the ask does not wait for.
func (f *fanOut) redial(t *target, now time.Time) {
	end := t.c.ping[side(f.ask.Test)]
	if !end.host.reserve() {
		f.finish(t, exchange.Answer{Reason: exchange.ReasonConcurrency, Detail: errConnsMax.Error()}, now)
		return
	}
	f.write(t, now)
	t.dial = startDial(end.host, slices.Clone(f.out), f.ask.Start.Add(t.deadline), t.c.ms)
}

// step waits once and then looks at every buyer who has not answered.
func (f *fanOut) step() {
	first, until := f.next()
	status := first.wait(f.ask.Start.Add(until))
	now := f.b.t.now()
	f.settle(first, status, now)
	for i := range f.targets {
		if t := &f.targets[i]; !t.done && t != first {
			f.settle(t, t.look(), now)
		}
	}
}

// next picks whom to wait for and until when. Of those whose patience ends at
// nearly the same time it is the last one asked: when that one has answered the
// others mostly have too, and one wait is enough for all of them.
func (f *fanOut) next() (first *target, until time.Duration) {
	least := time.Duration(math.MaxInt64)
	until = least
	for i := range f.targets {
		if t := &f.targets[i]; !t.done {
			least, until = min(least, t.patience), min(until, t.deadline)
		}
	}
	for i := len(f.targets) - 1; first == nil; i-- {
		if t := &f.targets[i]; !t.done && t.patience <= least+least/nearly {
			first = t
		}
	}
	return first, min(until, first.patience)
}

// nearly is the part of a time by which another may be longer and still count as the same.
const nearly = 8

// wait waits for t's answer until a time. Its result is that of conn.poll.
func (t *target) wait(until time.Time) error {
	if t.dial == nil && len(t.rest) == 0 {
		return t.conn.wait(until)
	}
	if t.dial != nil {
		t.dial.wait(until)
	} else {
		// The socket was full. Waiting for room would need a second kind of wait
		// for something that hardly happens: look again soon.
		if soon := t.conn.host.t.now().Add(timeLeast); soon.Before(until) {
			until = soon
		}
		_ = t.conn.wait(until) // look reads it again
	}
	return t.look()
}

// look is wait without waiting.
func (t *target) look() error {
	if t.dial != nil {
		c, asked, err := t.dial.result()
		if err != nil {
			return err
		}
		t.conn, t.dial, t.asked = c, nil, asked
	}
	if len(t.rest) > 0 {
		n, err := t.conn.wire.tryWrite(t.rest)
		if err != nil && !isBlocked(err) {
			return errWriteFailed
		}
		t.rest = t.rest[n:]
	}
	if t.conn.parse.phase == phaseDone {
		return nil
	}
	return t.conn.poll()
}

// settle acts on what wait or look saw.
func (f *fanOut) settle(t *target, status error, now time.Time) {
	switch since := now.Sub(f.ask.Start); {
	case status == nil:
		f.answer(t, now)
	case !isBlocked(status):
		f.broken(t, status, now)
	case since >= t.deadline:
		f.expire(t, now)
	case since >= t.patience:
		t.patience = since + since/2 + timeLeast
	}
}

// answer reads a whole answer.
func (f *fanOut) answer(t *target, now time.Time) {
	f.reply = t.conn.reply()
	bid := t.c.adapter.ReadPing(&f.reply, t.c.terms)
	t.end(f.ask).answered(f.reply.Status, f.reply.Head)
	if len(t.rest) > 0 {
		t.conn.parse.close = true // answered before it had the whole question
	}
	t.conn.host.release(t.conn, now)
	t.conn = nil
	t.c.took(now.Sub(f.ask.Start))
	f.finish(t, exchange.Answer{Reason: bid.Reason, Bid: bid.Price, Shared: bid.Shared, Token: bid.Token, ExpiresIn: bid.ExpiresIn, Detail: bid.Detail}, now)
}

// expire gives up on a buyer whose time is over. Its answer may still come, so
// the connection is drained before anyone uses it again. What took a new
// connection most of the time is not held against it: this machine may have been the slow one.
func (f *fanOut) expire(t *target, now time.Time) {
	switch {
	case !t.ticket.Admitted:
	case t.dial != nil && t.dial.hold(t.c.gate.Missed), now.Sub(t.asked) < t.deadline/2:
		t.ticket.Unasked()
	}
	f.letGo(t, now)
	t.c.took(now.Sub(f.ask.Start))
	f.finish(t, exchange.Answer{Reason: exchange.ReasonTimeout}, now)
}

// leaveRest ends the ask: none of those who have not answered can change its outcome.
func (f *fanOut) leaveRest() {
	now := f.b.t.now()
	for i := range f.targets {
		if t := &f.targets[i]; !t.done {
			f.letGo(t, now)
			f.finish(t, exchange.Answer{Reason: exchange.ReasonOutbid, Detail: "left before it answered: max_bid cannot beat the best bid, nor stand in for it"}, now)
		}
	}
}

// letGo gives up waiting for t.
func (f *fanOut) letGo(t *target, now time.Time) {
	switch {
	case t.dial != nil:
		t.dial.abandon(f.b.t, t.c.ms, now)
	case len(t.rest) > 0:
		t.conn.host.discard(t.conn)
	default:
		f.b.t.drain(t.conn, t.c.ms, now)
	}
	t.conn, t.dial = nil, nil
}

// broken ends a target whose connection failed. If a kept connection failed
// before it brought a byte, the buyer most likely closed it before it saw the
// question: a ping only asks a price, so it is asked once more.
func (f *fanOut) broken(t *target, fault error, now time.Time) {
	stale := t.conn != nil && t.conn.served && t.conn.n == 0
	if t.conn != nil {
		t.conn.host.discard(t.conn)
	}
	t.conn, t.dial, t.rest = nil, nil, nil
	if stale && !t.retried && t.deadline-now.Sub(f.ask.Start) >= timeLeast {
		t.retried = true
		t.c.ms.retries.Inc()
		f.redial(t, now)
		return
	}
	reason := exchange.ReasonBuyerError
	if errors.Is(fault, errDialTimeout) {
		reason = exchange.ReasonTimeout
	}
	f.finish(t, exchange.Answer{Reason: reason, Detail: fault.Error()}, now)
}

// finish writes t's answer down.
func (f *fanOut) finish(t *target, a exchange.Answer, now time.Time) {
	a.Elapsed = now.Sub(f.ask.Start)
	f.ask.Answers[t.at] = a
	f.news = f.news || a.Reason == exchange.ReasonNone
	if t.ticket.Admitted {
		t.c.gate.Ended(&t.ticket, t.c.buyer, &a, now)
	}
	t.c.ms.ended(&a)
	t.done = true
	f.left--
}
