package app

import (
	"fmt"
	"io"
	"os"
	"runtime"
	"sync"
	"sync/atomic"
	"time"
)

// The gate's own figures.
const (
	gatePlaces   = 16                     // per processor: some 5 ms of work
	gateFew      = 2 * gatePlaces         // per processor: fewer than that in the queue are no overload
	probeEvery   = 64                     // requests
	probeLong    = time.Millisecond       // a step back that takes so long means that all processors are busy
	shutFor      = 100 * time.Millisecond // after the last who waited longer than that
	waitMost     = 50 * time.Millisecond  // of the first in the queue, for another to join it
	waitStanding = 10 * time.Millisecond  // the same, once there has been a queue for standsLong
	standsLong   = 100 * time.Millisecond // a queue that lasts is no burst
	latePerFresh = 8                      // of the late are looked at for one who is not
)

// gate lets few requests be looked at at once while the machine is past what it
// can do. The others wait where they cost nothing.
//
// The scheduler knows no ranks: an auction whose bids are there waits for a
// processor behind every connection that has something to say, at each of its
// steps. Turning requests away does not help by itself, since that takes a
// processor too. The gate gives what was let in the right of way. Who comes
// while a queue is too long already is late: that is known before a byte of it
// is read, and it is only looked at to be told so. The late have a queue of
// their own, so neither keeps the other waiting.
//
// A place that is given back is handed on by way of a pipe. That is slow on
// purpose: a processor turns to what came over the network when it has nothing
// else to do, so whoever reads the pipe finds that all who were let in before
// have done what they could. Handing places on directly was tried: the
// network was looked at every 10 ms, and auctions waited that long for bids
// that were there.
//
// States: open, where nobody waits and one request in probeEvery steps back to
// see whether processors are free; and shut, from when that took long until
// nobody has had to wait for shutFor. mu guards the rest.
type gate struct {
	shut  atomic.Int64 // Unix nanoseconds: until when; 0: it is open
	turn  atomic.Uint64
	back  atomic.Int64 // places given back and not handed on
	rung  atomic.Bool  // the porter has been told of them
	bell  io.WriteCloser
	ended sync.WaitGroup

	few int // see gateFew

	mu          sync.Mutex
	free        int // places; below zero: never
	fresh, late []*publicConn
	since       time.Time // when fresh was last empty
	picked      int       // of the late since the last of the fresh
	over        bool      // nobody waits any more
}

func newGate() (*gate, error) {
	r, w, err := os.Pipe()
	if err != nil {
		return nil, fmt.Errorf("cannot open a pipe: %w", err)
	}
	return newGateWith(r, w), nil
}

func newGateWith(porter io.ReadCloser, bell io.WriteCloser) *gate {
	processors := runtime.GOMAXPROCS(0)
	g := &gate{bell: bell, free: gatePlaces * processors, few: gateFew * processors}
	g.ended.Go(func() { g.hand(porter) })
	return g
}

// open tells whether there is nothing to do at the gate.
func (g *gate) open() bool { return g.shut.Load() == 0 && g.turn.Add(1)%probeEvery != 0 }

// take returns once what came to c may be looked at. held says that this took a
// place, which must be given back; late, that it came when there was too much.
func (g *gate) take(c *publicConn) (held, late bool) {
	now := c.arrived
	if until := g.shut.Load(); now.UnixNano() >= until {
		g.shut.CompareAndSwap(until, 0)
		runtime.Gosched()
		g.waited(now)
		return false, false
	}
	g.mu.Lock()
	if g.over || g.free > 0 {
		g.free--
		g.mu.Unlock()
		return true, false
	}
	most := waitMost
	if len(g.fresh) < g.few {
		most = begunWaitMost
	}
	if late = g.longLocked(now); late {
		g.late = append(g.late, c)
	} else {
		g.fresh = append(g.fresh, c)
	}
	g.mu.Unlock()
	<-c.turn
	return true, g.waited(now) > most || late
}

// longLocked tells whether the queue is too long for one more.
func (g *gate) longLocked(now time.Time) bool {
	if len(g.fresh) == 0 {
		g.since = now
		return false
	}
	if len(g.fresh) < g.few {
		return false
	}
	wait := now.Sub(g.fresh[0].arrived)
	return wait > waitMost || (wait > waitStanding && now.Sub(g.since) > standsLong)
}

// waited returns how long who came at from had to wait, and keeps the gate shut if that was long.
func (g *gate) waited(from time.Time) time.Duration {
	now := time.Now()
	wait := now.Sub(from)
	if wait > probeLong {
		g.shut.Store(now.Add(shutFor).UnixNano())
	}
	return wait
}

// give gives a place back.
func (g *gate) give() {
	g.back.Add(1)
	if g.rung.CompareAndSwap(false, true) {
		_, _ = g.bell.Write([]byte{0}) // fails only once the gate is closed, and then nobody waits
	}
}

// hand hands places on whenever the bell was rung, until it is taken down.
func (g *gate) hand(bell io.ReadCloser) {
	var b [16]byte
	for {
		_, err := bell.Read(b[:])
		g.rung.Store(false)
		g.mu.Lock()
		g.free += int(g.back.Swap(0))
		g.over = err != nil
		for (g.free > 0 || g.over) && len(g.fresh)+len(g.late) > 0 {
			g.free--
			g.nextLocked().turn <- struct{}{} // has room for one, and a connection waits once
		}
		g.mu.Unlock()
		if err != nil {
			_ = bell.Close()
			return
		}
	}
}

// nextLocked takes who is next out of its queue.
func (g *gate) nextLocked() *publicConn {
	from := &g.fresh
	if len(g.fresh) == 0 || (len(g.late) > 0 && g.picked < latePerFresh) {
		from = &g.late
		g.picked++
	} else {
		g.picked = 0
	}
	c := (*from)[0]
	(*from)[0] = nil
	*from = (*from)[1:]
	return c
}

// waiting returns how many wait.
func (g *gate) waiting() int {
	g.mu.Lock()
	defer g.mu.Unlock()
	return len(g.fresh) + len(g.late)
}

// close lets everyone pass from here on.
func (g *gate) close() {
	_ = g.bell.Close()
	g.ended.Wait()
}
