package sim

import (
	"fmt"
	"math/rand/v2"
	"sync/atomic"
	"time"
	"unsafe"
)

// wallClock is the machine's clock. Somebody sets it now and then, forward and
// back; the monotonic one under it goes on as if nothing were. A bubble's own
// time has no monotonic reading, so it is put in by hand: what the daemon gets
// is a time such as time.Now gives, and a room that mixes the two readings up is
// off by hours.
//
// It is safe for concurrent use.
type wallClock struct {
	offset atomic.Int64 // of the wall clock from the bubble's time
}

// now is app.Options.Clock.
func (c *wallClock) now() time.Time {
	t := time.Now()
	return stamp(t.Add(time.Duration(c.offset.Load())), t.Sub(bubbleBegan)+time.Hour)
}

// real returns the bubble's time at which a deadline comes, whatever clock it was counted by.
func real(t time.Time) time.Time {
	if inside := timeBits(t); inside.wall&hasMonotonic != 0 {
		return bubbleBegan.Add(time.Duration(inside.ext) - time.Hour)
	}
	return t
}

// bubbleBegan is when the time of every bubble begins.
var bubbleBegan = time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC)

// rawTime is how package time keeps a time with a monotonic reading: a bit that
// says so, the seconds since 1885 in 33 bits and the nanoseconds in 30, then the reading.
type rawTime struct {
	wall uint64
	ext  int64
	loc  *time.Location
}

const (
	hasMonotonic = 1 << 63
	secondsAt    = 30
	year1885     = -2682288000 // 1885-01-01 as Unix seconds
)

func timeBits(t time.Time) rawTime { return *(*rawTime)(unsafe.Pointer(&t)) }

// stamp returns a time that shows wall and compares by mono.
func stamp(wall time.Time, mono time.Duration) time.Time {
	raw := rawTime{
		wall: hasMonotonic | uint64(wall.Unix()-year1885)<<secondsAt | uint64(wall.Nanosecond()),
		ext:  int64(mono), loc: time.Local,
	}
	return *(*time.Time)(unsafe.Pointer(&raw))
}

// checkStamp fails where package time keeps times in another way.
func checkStamp() error {
	noon := time.Date(2026, 11, 1, 12, 0, 0, 123456789, time.UTC)
	a, b := stamp(noon, time.Second), stamp(noon.Add(-3*time.Hour), time.Minute)
	outside := time.Now()
	again := stamp(outside, time.Duration(timeBits(outside).ext))
	if !a.Round(0).Equal(noon) || a.UnixNano() != noon.UnixNano() || b.Sub(a) != 59*time.Second || !a.Before(b) || b.Unix() >= a.Unix() || again != outside {
		return fmt.Errorf("package time keeps %s in another way than this test knows", again)
	}
	return nil
}

// stepMax is how far from the bubble's time the wall clock is ever set.
const stepMax = 4 * time.Hour

// step sets the wall clock somewhere else: by seconds, minutes or hours, or to
// just before or after the edge of an hour or of a day in New York.
func (c *wallClock) step(r *rand.Rand) (by time.Duration) {
	was := time.Duration(c.offset.Load())
	wall := time.Now().Add(was)
	around := func(edge time.Time) time.Duration {
		return was + edge.Sub(wall) + time.Duration(r.Int64N(int64(4*time.Second))) - 2*time.Second
	}
	var offset time.Duration
	switch r.IntN(6) {
	case 0:
		offset = was + time.Duration(r.Int64N(int64(20*time.Second))) - 10*time.Second
	case 1:
		offset = was + time.Duration(r.Int64N(int64(20*time.Minute))) - 10*time.Minute
	case 2:
		offset = time.Duration(r.Int64N(int64(2*stepMax))) - stepMax
	case 3:
		offset = around(wall.Truncate(time.Hour).Add(time.Duration(r.IntN(2)) * time.Hour))
	case 4:
		local := wall.In(newYork)
		offset = around(time.Date(local.Year(), local.Month(), local.Day()+r.IntN(2), 0, 0, 0, 0, newYork))
	default:
		offset = 0 // somebody mends it
	}
	offset = max(-stepMax, min(offset, stepMax))
	c.offset.Store(int64(offset))
	return offset - was
}

// clockChanges are instants around which New York's clocks change.
var clockChanges = []time.Time{
	time.Date(2026, 3, 8, 7, 0, 0, 0, time.UTC), time.Date(2026, 11, 1, 5, 0, 0, 0, time.UTC),
	time.Date(2026, 11, 1, 6, 0, 0, 0, time.UTC), time.Date(2026, 11, 1, 7, 0, 0, 0, time.UTC),
}

var newYork = func() *time.Location {
	zone, err := time.LoadLocation("America/New_York")
	if err != nil {
		panic(err)
	}
	return zone
}()
