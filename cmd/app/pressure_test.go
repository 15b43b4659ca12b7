package app

import (
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"testing"
	"testing/synctest"
	"time"

	"github.com/VictoriaMetrics/metrics"
)

// testGate is a shut gate without places. Its bell is a pipe that a bubble sees through.
func testGate(t *testing.T) *gate {
	t.Helper()
	g := newGateWith(io.Pipe())
	t.Cleanup(g.close)
	g.shut.Store(time.Now().Add(time.Hour).UnixNano())
	g.mu.Lock()
	g.free, g.few = 0, 0
	g.mu.Unlock()
	return g
}

// comer is a connection at a gate, and what it was told there.
type comer struct {
	*publicConn
	held, late bool
	done       chan struct{}
}

// come has a connection queue; in a bubble only.
func (g *gate) come(arrived time.Time) *comer {
	c := &comer{publicConn: &publicConn{turn: make(chan struct{}, 1), arrived: arrived}, done: make(chan struct{})}
	go func() {
		defer close(c.done)
		c.held, c.late = g.take(c.publicConn)
	}()
	synctest.Wait()
	return c
}

// passes tells whether c is let through now.
func (c *comer) passes() bool {
	synctest.Wait()
	select {
	case <-c.done:
		return true
	default:
		return false
	}
}

func TestOpenGateHoldsNobody(t *testing.T) {
	g := testGate(t)
	g.shut.Store(0)
	probes := 0
	for i := range 10 * probeEvery {
		if g.open() {
			continue
		}
		probes++
		if held, late := g.take(&publicConn{arrived: time.Now()}); held || late {
			t.Fatalf("request %d: held %t, late %t at an open gate", i, held, late)
		}
		g.shut.Store(0) // a machine so busy that a step back takes a millisecond may shut it
	}
	if probes != 10 {
		t.Fatalf("%d of %d requests looked whether processors are free", probes, 10*probeEvery)
	}
	g.shut.Store(1)
	g.take(&publicConn{arrived: time.Now()})
	if g.shut.Load() == 1 {
		t.Fatal("a gate that was shut until long ago stays shut")
	}
}

func TestGateHandsPlacesOnInOrder(t *testing.T) { synctest.Test(t, gateHandsPlacesOnInOrder) }

func gateHandsPlacesOnInOrder(t *testing.T) {
	g := testGate(t)
	now := time.Now()
	first, second := g.come(now), g.come(now)
	if first.passes() || second.passes() {
		t.Fatal("passed without a place")
	}
	g.give()
	<-first.done
	if !first.held || first.late || second.passes() {
		t.Fatalf("one place: the first held %t, late %t; or the second passed with it", first.held, first.late)
	}
	g.give()
	<-second.done
}

// Who comes to a long queue is late, and there is one of the others for every few of the late.
func TestTheLateHaveAQueueOfTheirOwn(t *testing.T) { synctest.Test(t, theLateHaveAQueueOfTheirOwn) }

func theLateHaveAQueueOfTheirOwn(t *testing.T) {
	g := testGate(t)
	now := time.Now()
	var fresh, late []*comer
	for range 3 {
		fresh = append(fresh, g.come(now.Add(-waitMost/2)))
	}
	g.mu.Lock()
	g.fresh[0].arrived = now.Add(-waitMost - time.Second)
	g.mu.Unlock()
	for range 2 * latePerFresh {
		late = append(late, g.come(now))
	}
	for range latePerFresh {
		g.give()
	}
	for _, c := range late[:latePerFresh] {
		<-c.done
		if !c.held || !c.late {
			t.Fatalf("held %t, late %t", c.held, c.late)
		}
	}
	if fresh[0].passes() {
		t.Fatal("passed before its turn")
	}
	g.give()
	<-fresh[0].done
	if late[latePerFresh].passes() || fresh[1].passes() {
		t.Fatal("passed without a place")
	}
}

// Sixty-four callers on two processors are no overload: a machine that stands still for a while is waited out by all of them.
func TestFewWaitOutAStall(t *testing.T) { synctest.Test(t, fewWaitOutAStall) }

func fewWaitOutAStall(t *testing.T) {
	g := testGate(t)
	g.few = 64
	var all []*comer
	for range g.few {
		all = append(all, g.come(time.Now()))
		time.Sleep(4 * time.Millisecond) // so the queue stands for longer than standsLong, too
	}
	tooMany := g.come(time.Now())
	for range len(all) + 1 {
		g.give()
	}
	for i, c := range all {
		<-c.done
		if c.late {
			t.Fatalf("number %d of %d waited %s and is late", i, len(all), c.Waited())
		}
	}
	if <-tooMany.done; !tooMany.late {
		t.Error("who comes to a queue of many that has stood for long is not late")
	}
	old := g.come(time.Now().Add(-begunWaitMost - time.Millisecond))
	g.give()
	if <-old.done; !old.late {
		t.Error("among few, but it has waited for longer than anybody may, and is not late")
	}
}

// A burst may queue for waitMost; what lasts is cut to waitStanding.
func TestLongQueues(t *testing.T) {
	var g gate
	now := time.Now()
	for _, c := range []struct {
		first, stands time.Duration
		long          bool
	}{
		{waitStanding / 2, time.Hour, false},
		{waitStanding * 2, standsLong / 2, false},
		{waitStanding * 2, standsLong * 2, true},
		{waitMost + 1, 0, true},
	} {
		g.fresh, g.since = []*publicConn{{arrived: now.Add(-c.first)}}, now.Add(-c.stands)
		if long := g.longLocked(now); long != c.long {
			t.Errorf("the first waited %s and the queue stands for %s: long %t", c.first, c.stands, long)
		}
	}
}

// Who waited too long for a turn is late even if the queue was short.
func TestStaleRequestsAreLate(t *testing.T) { synctest.Test(t, staleRequestsAreLate) }

func staleRequestsAreLate(t *testing.T) {
	g := testGate(t)
	c := g.come(time.Now().Add(-2 * waitMost))
	g.give()
	if <-c.done; !c.late {
		t.Error("not late")
	}
}

func TestCloseLetsEveryonePass(t *testing.T) { synctest.Test(t, closeLetsEveryonePass) }

func closeLetsEveryonePass(t *testing.T) {
	g := testGate(t)
	var all []*comer
	for range 10 {
		all = append(all, g.come(time.Now()))
	}
	_ = g.bell.Close()
	for _, c := range all {
		<-c.done
	}
	if held, _ := g.take(&publicConn{}); !held {
		t.Error("a closed gate must count the places it gives, for they come back")
	}
}

func TestPressure(t *testing.T) {
	now := time.Now()
	fresh, late, old := &publicConn{arrived: now}, &publicConn{arrived: now, late: true}, &publicConn{arrived: now.Add(-2 * begunWaitMost), late: true}
	for _, c := range []struct {
		name     string
		conn     *publicConn
		begun    bool
		inFlight int64
		want     bool
	}{
		{"fresh", fresh, false, 0, true},
		{"not a TCP connection", nil, false, 0, true},
		{"late", late, false, 0, false},
		{"late, but begun", late, true, 0, true},
		{"begun, and far too late", old, true, 0, false},
		{"below the limit", fresh, false, 9, true},
		{"at the limit", fresh, false, 10, false},
		{"at the limit, but begun", fresh, true, 10, true},
	} {
		p := newPressure(metrics.NewSet())
		p.most.Store(10)
		p.inFlight.Store(c.inFlight)
		if got := p.enter(c.conn, c.begun); got != c.want {
			t.Errorf("%s: let in %t", c.name, got)
		}
		if shed := p.shed.Get() == 1; shed == c.want {
			t.Errorf("%s: counted as shed: %t", c.name, shed)
		}
	}
}

// tcpPair is a public connection and its other end.
func tcpPair(t testing.TB, g *gate) (*publicConn, net.Conn) {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	l := &publicListener{Listener: ln, gate: g}
	there, err := net.Dial("tcp", ln.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	here, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = here.Close(); _ = there.Close(); _ = ln.Close() })
	return here.(*publicConn), there
}

// A connection reads what came, whether it was there before or after it looked, up to the end.
func TestPublicConnReads(t *testing.T) {
	c, there := tcpPair(t, testGate(t))
	c.listener.gate.give()
	var b [16]byte
	for i := range 3 {
		go func() { _, _ = fmt.Fprintf(there, "hello %d", i) }()
		n, err := c.Read(b[:])
		if err != nil || string(b[:n]) != fmt.Sprintf("hello %d", i) {
			t.Fatalf("read %q, %v", b[:n], err)
		}
		if !c.held.Load() || c.Waited() == 0 {
			t.Fatalf("holds a place: %t; waited %s", c.held.Load(), c.Waited())
		}
	}
	_ = c.SetReadDeadline(time.Now().Add(5 * time.Millisecond))
	if n, err := c.Read(b[:]); n != 0 || err == nil || !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Fatalf("read %d, %v; want a timeout", n, err)
	}
	if c.held.Load() {
		t.Fatal("who waits for a request holds a place")
	}
	_ = c.SetReadDeadline(time.Time{})
	_ = there.Close()
	if n, err := c.Read(b[:]); n != 0 || !errors.Is(err, io.EOF) {
		t.Fatalf("read %d, %v; want the end", n, err)
	}
}

// BenchmarkAdmission is what a request pays for all of this while nothing is too much.
func BenchmarkAdmission(b *testing.B) {
	g, err := newGate()
	if err != nil {
		b.Fatal(err)
	}
	defer g.close()
	p := newPressure(metrics.NewSet())
	c := &publicConn{turn: make(chan struct{}, 1), listener: &publicListener{gate: g}}
	b.ReportAllocs()
	for b.Loop() {
		c.queue()
		if p.enter(c, false) {
			p.leave(c)
		}
	}
}

// BenchmarkRead compares a read through publicConn with one of the connection it wraps.
func BenchmarkRead(b *testing.B) {
	for _, plain := range []bool{true, false} {
		b.Run(fmt.Sprintf("plain=%t", plain), func(b *testing.B) {
			g, err := newGate()
			if err != nil {
				b.Fatal(err)
			}
			defer g.close()
			c, there := tcpPair(b, g)
			var in io.Reader = c
			if plain {
				in = c.TCPConn
			}
			buf := make([]byte, 512)
			b.ReportAllocs()
			for b.Loop() {
				_, _ = there.Write(buf)
				if _, err := in.Read(buf); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
