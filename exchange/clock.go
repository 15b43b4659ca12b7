package exchange

import "time"

// Clock tells the time as time.Now does: what the wall clock shows, and with it
// the monotonic reading by which instants of one process are compared. The nil
// Clock is time.Now.
//
// Rooms that act in time have one, so that a simulation can step the wall clock
// under them. The rule behind it: what must not move when someone sets the
// clock (deadlines, pauses, how long something took) is made by Add and compared
// by Sub, Before and After; what is told to people or kept on disk is turned
// into a number, and may then be compared with nothing but its like.
type Clock func() time.Time

// Now returns the time.
func (c Clock) Now() time.Time {
	if c == nil {
		return time.Now()
	}
	return c()
}

// Since returns how long ago t was.
func (c Clock) Since(t time.Time) time.Duration { return c.Now().Sub(t) }

// Until returns how long it is until t.
func (c Clock) Until(t time.Time) time.Duration { return t.Sub(c.Now()) }

// Steady returns a clock that shows the wall clock's time of now and from then
// on counts by itself: who sets the wall clock does not move it. It is for
// schedules whose times are numbers, because they are also kept on disk.
func (c Clock) Steady() Clock {
	began := c.Now()
	return func() time.Time { return began.Add(c.Since(began)) }
}
