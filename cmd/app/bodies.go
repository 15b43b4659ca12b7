package app

import (
	"errors"
	"sync/atomic"
)

// bodyFree is how many bytes of a request are not booked: the server's own
// buffer of a connection, and what came with it. Few leads are larger.
const bodyFree = 2 * headerBytes

var errBodiesFull = errors.New("the bodies of all requests have filled their memory")

// bodies bounds how many bytes of large requests are in memory at once, those
// that are still being sent too: the server takes room for a body as soon as its
// length is known, so that a line of header from each of many connections would
// otherwise fill the memory. A request that is not large is never refused for
// those that are.
//
// most may change at any time; used is the sum of what connections have booked,
// each for the request at hand.
type bodies struct {
	most, used atomic.Int64
}

// take books n bytes if there is room for them.
func (b *bodies) take(n int) bool {
	if b.used.Add(int64(n)) <= b.most.Load() {
		return true
	}
	b.used.Add(-int64(n))
	return false
}

// give gives back what a connection has booked. b is nil if nothing is counted.
func (b *bodies) give(booked *atomic.Int64) {
	if n := booked.Swap(0); n > 0 {
		b.used.Add(-n)
	}
}

// book books what the request at hand has come to, with a read of up to more
// bytes ahead. A read larger than the server's buffer is one into a body, for
// all of which there is room already.
func (c *publicConn) book(more int) error {
	if c.refused {
		return errBodiesFull
	}
	size := c.got
	if more > headerBytes {
		size += more
	}
	b, booked := c.listener.bodies, int(c.booked.Load())
	if b == nil || size <= max(bodyFree, booked) {
		return nil
	}
	if !b.take(size - booked) {
		c.refused = true
		return errBodiesFull
	}
	c.booked.Store(int64(size))
	return nil
}

// unbook forgets the request at hand.
func (c *publicConn) unbook() {
	c.listener.bodies.give(&c.booked)
	c.got = 0
}
