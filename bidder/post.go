package bidder

import (
	"errors"
	"strconv"
	"sync"
	"time"

	"vendue/bidder/adapters/dialect"
	"vendue/exchange"
)

// letter is the memory of one post under way.
type letter struct{ body, extra, out []byte }

// letterBytesKept bounds the memory of one pooled letter.
const letterBytesKept = 32 << 10

var letters = sync.Pool{New: func() any { return new(letter) }}

// Post delivers a whole lead in one attempt, by d.Deadline, which covers the
// dial, the write and the answer. The outcome is that of DESIGN.md's table; it
// is never OutcomeNone.
func (b *Bidder) Post(d *exchange.Delivery) exchange.Receipt {
	start := b.t.now()
	c := b.contract(d.Contract)
	l := letters.Get().(*letter)
	r := b.send(c, d, l, start)
	if cap(l.out) <= letterBytesKept {
		clear(l.body[:cap(l.body)]) // personal data does not lie about in a pool
		clear(l.out[:cap(l.out)])
		letters.Put(l)
	}
	r.Elapsed = b.t.now().Sub(start)
	c.ms.posts[r.Outcome].Inc()
	if r.Outcome != exchange.OutcomeNotDelivered {
		c.ms.postSeconds.Update(r.Elapsed.Seconds())
	}
	return r
}

// send writes the letter and sends it, once. A buyer that refused to look at it
// for want of a fresh credential, and gave what one is made of, gets it once
// more: it has not read the lead, or it would have no reason to ask.
func (b *Bidder) send(c *contract, d *exchange.Delivery, l *letter, now time.Time) exchange.Receipt {
	if !c.post[side(d.Test)].ready(now) {
		return notDelivered(errNotReady)
	}
	l.write(c, d, now)
	r, again := b.attempt(c, d, l.out)
	if again && r.Outcome == exchange.OutcomeRejected {
		l.write(c, d, b.t.now())
		r, _ = b.attempt(c, d, l.out)
	}
	return r
}

// write makes the request in l.out.
func (l *letter) write(c *contract, d *exchange.Delivery, now time.Time) {
	l.body = c.adapter.AppendPost(l.body[:0], d, now)
	l.extra = append(l.extra[:0], "Idempotency-Key: "...)
	from := len(l.extra)
	l.extra = d.LeadID.Append(l.extra)
	l.extra = strconv.AppendUint(append(l.extra, '-'), uint64(d.Leg), 10)
	key := l.extra[from:]
	l.extra = append(l.extra, "\r\n"...)
	if len(c.secret) > 0 {
		l.extra = appendSignature(l.extra, c.secret, key, l.body, now)
	}
	end := c.post[side(d.Test)]
	if end.spoken == nil {
		l.out = end.appendRequest(l.out[:0], l.extra, l.body)
		return
	}
	scene := dialect.PostScene(d, now)
	l.out = end.appendSpoken(l.out[:0], &scene, l.extra, l.body)
}

// attempt sends the request once and judges the answer. again: made anew, it could fare better.
func (b *Bidder) attempt(c *contract, d *exchange.Delivery, request []byte) (r exchange.Receipt, again bool) {
	conn, r := b.deliver(c, d, request)
	if conn == nil {
		return r, false
	}
	err := conn.wait(d.Deadline)
	now := b.t.now()
	switch {
	case isBlocked(err):
		b.t.drain(conn, c.ms, now)
		return exchange.Receipt{Outcome: exchange.OutcomeUnknown, Reason: exchange.ReasonTimeout, Detail: "no answer in time"}, false
	case err != nil:
		r := exchange.Receipt{Outcome: exchange.OutcomeUnknown, Reason: exchange.ReasonBuyerError, Status: conn.parse.status, Detail: err.Error()}
		conn.host.discard(conn)
		return r, false
	}
	reply := conn.reply()
	v := c.adapter.ReadPost(&reply, d)
	again = c.post[side(d.Test)].answered(reply.Status, reply.Head)
	conn.host.release(conn, now)
	if v.RedirectDropped {
		c.ms.redirectsDropped.Inc()
	}
	if v.PriceChanged {
		c.ms.priceChanged.Inc()
	}
	return exchange.Receipt{
		Outcome: v.Outcome, Reason: v.Reason, BuyerRef: v.Ref, RedirectURL: v.RedirectURL,
		PriceChanged: v.PriceChanged, Status: reply.Status, Detail: v.Detail,
	}, again
}

// deliver gets a connection and writes the whole request on it. Without a
// connection the receipt says why the buyer cannot have the lead.
//
// The request leaves on one connection only. The second turn of the loop comes
// when a kept connection turned out closed before it took a single byte.
func (b *Bidder) deliver(c *contract, d *exchange.Delivery, request []byte) (*conn, exchange.Receipt) {
	h := c.post[side(d.Test)].host
	now := b.t.now()
	if !now.Before(d.Deadline) {
		return nil, exchange.Receipt{Outcome: exchange.OutcomeNotDelivered, Reason: exchange.ReasonNoTime, Detail: "the deadline was past"}
	}
	kept := h.take(now)
	for range 2 {
		conn := kept
		if conn == nil {
			var err error
			if conn, err = h.fresh(d.Deadline); err != nil {
				return nil, notDelivered(err)
			}
		}
		n, err := conn.wire.write(request, d.Deadline)
		if err == nil && n == len(request) {
			return conn, exchange.Receipt{}
		}
		h.discard(conn)
		if n > 0 || kept == nil {
			if isDeadline(err) {
				return nil, exchange.Receipt{Outcome: exchange.OutcomeNotDelivered, Reason: exchange.ReasonTimeout, Detail: "the buyer did not take the whole request in time"}
			}
			return nil, notDelivered(errWriteFailed)
		}
		kept = nil
	}
	return nil, notDelivered(errWriteFailed)
}

// fresh dials a connection for its caller alone.
func (h *host) fresh(deadline time.Time) (*conn, error) {
	if !h.reserve() {
		return nil, errConnsMax
	}
	return h.dial(deadline)
}

func notDelivered(fault error) exchange.Receipt {
	r := exchange.Receipt{Outcome: exchange.OutcomeNotDelivered, Reason: exchange.ReasonBuyerError, Detail: fault.Error()}
	switch {
	case errors.Is(fault, errConnsMax):
		r.Reason = exchange.ReasonConcurrency
	case errors.Is(fault, errDialTimeout):
		r.Reason = exchange.ReasonTimeout
	}
	return r
}
