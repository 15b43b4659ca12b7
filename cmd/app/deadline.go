package app

import "time"

// deadlineSlack is how much before its deadline a read or write may be cut off.
const deadlineSlack = time.Second

// lazyDeadline is a deadline of one direction of a connection. The server sets
// three for each request, most of which no read or write ever waits under; each
// is a timer moved. This one is armed when a read or write is about to begin,
// and not at all while what is armed ends at nearly the same time: a busy
// connection arms one a second.
//
// It belongs to the goroutine that serves the connection.
type lazyDeadline struct{ want, armed time.Time }

// due tells whether want must be armed before waiting, and takes it for armed then.
func (d *lazyDeadline) due() bool {
	if early := d.want.Sub(d.armed); !d.armed.IsZero() && !d.want.IsZero() && 0 <= early && early < deadlineSlack || d.want.Equal(d.armed) {
		return false
	}
	d.armed = d.want
	return true
}

// SetDeadline sets both deadlines.
func (c *publicConn) SetDeadline(t time.Time) error {
	c.reading.want, c.writing.want, c.timed = t, t, true
	return nil
}

// SetReadDeadline sets the deadline of the reads that begin after it.
func (c *publicConn) SetReadDeadline(t time.Time) error {
	c.reading.want = t
	return nil
}

// SetWriteDeadline sets the deadline of the writes that begin after it.
func (c *publicConn) SetWriteDeadline(t time.Time) error {
	c.writing.want, c.timed = t, true
	return nil
}
