package bidder

import (
	"errors"
	"time"

	"vendue/bidder/adapters"
	"vendue/exchange"
)

// Try is one contract's requests and answers looked at by hand: what would be
// sent, and what an answer would be read as. No auction uses it.
type Try struct {
	b *Bidder
	c *contract
}

// Try returns a contract to look at.
func (b *Bidder) Try(terms *exchange.Contract) Try { return Try{b: b, c: b.contract(terms)} }

// Ping returns the bytes of a ping; the ask names the contract alone.
func (t Try) Ping(a *exchange.Ask) []byte {
	now := a.Start
	f := fanOut{b: t.b, ask: a}
	target := target{c: t.c, deadline: a.Deadline.Sub(now)}
	f.write(&target, now)
	return f.out
}

// Post returns the bytes of a post.
func (t Try) Post(d *exchange.Delivery, now time.Time) []byte {
	var l letter
	l.write(t.c, d, now)
	return l.out
}

// ReadPing says what a ping's answer would be read as.
func (t Try) ReadPing(r *adapters.Reply) adapters.Bid { return t.c.adapter.ReadPing(r, t.c.terms) }

// ReadPost says what a post's answer would be read as.
func (t Try) ReadPost(r *adapters.Reply, d *exchange.Delivery) adapters.Verdict {
	return t.c.adapter.ReadPost(r, d)
}

// Send sends a request, once, to where the contract's pings or posts go, and
// returns the whole answer.
func (t Try) Send(request []byte, post, test bool, deadline time.Time) (adapters.Reply, error) {
	end := t.c.ping[side(test)]
	if post {
		end = t.c.post[side(test)]
	}
	if end == nil {
		return adapters.Reply{}, errors.New("the contract has no ping")
	}
	conn, err := end.host.fresh(deadline)
	if err != nil {
		return adapters.Reply{}, err
	}
	defer end.host.discard(conn)
	if n, err := conn.wire.write(request, deadline); err != nil || n != len(request) {
		return adapters.Reply{}, errWriteFailed
	}
	if err := conn.wait(deadline); err != nil {
		if isBlocked(err) {
			err = errors.New("no answer in time")
		}
		return adapters.Reply{}, err
	}
	r := conn.reply()
	return adapters.Reply{Status: r.Status, Head: append([]byte(nil), r.Head...), Body: append([]byte(nil), r.Body...)}, nil
}

// Ready waits until the contract's credentials are there, for a live try.
func (t Try) Ready(post, test bool, until time.Time) bool {
	end := t.c.ping[side(test)]
	if post {
		end = t.c.post[side(test)]
	}
	for end != nil && !end.ready(time.Now()) {
		if time.Now().After(until) {
			return false
		}
		time.Sleep(20 * time.Millisecond)
	}
	return end != nil
}
