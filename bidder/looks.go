package bidder

import (
	"time"

	"vendue/exchange"
)

// looks is the memory of one ask's look at its connections: a single call for
// all that are plain TCP, where a read of each was a twentieth of an ask.
type looks struct {
	list []pollFd
	at   []int // by place in list: the target
}

// sift keeps the connections that are open with nothing to read and replaces
// the others; a target for which there is none is left without.
func (l *looks) sift(targets []target, ask *exchange.Ask, now time.Time) {
	l.list, l.at = l.list[:0], l.at[:0]
	for i := range targets {
		t := &targets[i]
		if t.conn == nil {
			continue
		}
		if w, ok := t.conn.wire.(*tcpWire); ok {
			l.list, l.at = append(l.list, pollFd{fd: int32(w.fd), events: pollIn}), append(l.at, i)
		} else if !t.conn.quiet() {
			t.replace(ask, now)
		}
	}
	told := len(l.list) > 0 && poll(l.list)
	for i, at := range l.at {
		t := &targets[at]
		if told && l.list[i].revents != 0 || !told && !t.conn.quiet() {
			t.replace(ask, now)
		}
	}
}

// replace gives up t's connection for another idle one.
func (t *target) replace(ask *exchange.Ask, now time.Time) {
	t.conn.host.discard(t.conn)
	t.conn = t.host(ask).take(now)
}
