package sim

import (
	"hash/fnv"
	"math/rand/v2"
	"net"
	"os"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
)

// network connects everyone in a bubble. It draws how each connection fares
// from a source of the address and the number of the dial, so that one actor's
// haste does not change another's luck.
//
// mu guards listeners and dials.
type network struct {
	seed    uint64
	tally   *tally
	weather atomic.Pointer[weather]

	mu        sync.Mutex
	listeners map[string]*listener
	dials     map[string]uint64
}

// weather is what share of connections meets what. The zero weather is calm.
type weather struct {
	refuse, hang, cut, lag, slice, short float64
	callers                              float64 // share of connections to the public listener that break
	gates                                float64 // share of connections to buyers behind TLS that go wrong there
}

func newNetwork(seed uint64, t *tally) *network {
	n := &network{seed: seed, tally: t, listeners: make(map[string]*listener), dials: make(map[string]uint64)}
	n.weather.Store(&weather{})
	return n
}

// fate is how one connection fares. up is what the one who dialled sends.
type fate struct {
	refuse, hang   bool
	upMax, downMax int // bytes until the connection is reset; -1: no end
	lag            time.Duration
	slice          int // bytes that arrive at once; 0: all
	life           time.Duration
	rst            bool // the listening side resets where it would close
}

func (n *network) draw(address string, toDaemon bool) fate {
	n.mu.Lock()
	n.dials[address]++
	nth := n.dials[address]
	n.mu.Unlock()
	h := fnv.New64a()
	_, _ = h.Write([]byte(address)) // never fails
	r := rand.New(rand.NewPCG(n.seed^h.Sum64(), nth))
	w, f := n.weather.Load(), fate{upMax: -1, downMax: -1}
	if toDaemon {
		if address != adminAddr && r.Float64() < w.callers {
			n.tally.add("caller cut", 1)
			f.upMax, f.downMax = limits(r, 3000, 3000)
		}
		return f
	}
	f.refuse, f.hang = r.Float64() < w.refuse, r.Float64() < w.hang
	if r.Float64() < w.cut {
		f.upMax, f.downMax = limits(r, 4000, 1200)
	}
	if r.Float64() < w.lag {
		f.lag = time.Duration(r.Int64N(int64(60 * time.Millisecond)))
	}
	if r.Float64() < w.slice {
		f.slice = 1 + r.IntN(40)
	}
	if r.Float64() < w.short {
		f.life = time.Duration(r.Int64N(int64(20 * time.Second)))
	}
	f.rst = r.IntN(2) == 0
	return f
}

// limits picks which way of a connection breaks, and after how many bytes.
func limits(r *rand.Rand, up, down int) (upMax, downMax int) {
	if r.IntN(2) == 0 {
		return r.IntN(up), -1
	}
	return -1, r.IntN(down)
}

type addr string

// Network names the kind of address.
func (addr) Network() string { return "mem" }

// String returns the address.
func (a addr) String() string { return string(a) }

// listener takes connections to one address until it is closed.
type listener struct {
	net     *network
	addr    addr
	owner   *machine // nil: outside the daemon
	backlog chan net.Conn
	done    chan struct{}
	once    sync.Once
	wrap    func(net.Conn) net.Conn // nil: as it is
}

const backlogMax = 4096

func (n *network) listen(address string, owner *machine, wrap func(net.Conn) net.Conn) *listener {
	l := &listener{net: n, addr: addr(address), owner: owner, backlog: make(chan net.Conn, backlogMax), done: make(chan struct{}), wrap: wrap}
	n.mu.Lock()
	n.listeners[address] = l
	n.mu.Unlock()
	return l
}

// Accept returns the next connection.
func (l *listener) Accept() (net.Conn, error) {
	select {
	case <-l.done:
		return nil, net.ErrClosed
	default:
	}
	select {
	case c := <-l.backlog:
		return c, nil
	case <-l.done:
		return nil, net.ErrClosed
	}
}

// Close ends the listener; closing it again does nothing.
func (l *listener) Close() error {
	l.once.Do(func() {
		close(l.done)
		l.net.mu.Lock()
		if l.net.listeners[string(l.addr)] == l {
			delete(l.net.listeners, string(l.addr))
		}
		l.net.mu.Unlock()
		for {
			select {
			case c := <-l.backlog:
				_ = c.Close()
			default:
				return
			}
		}
	})
	return nil
}

// Addr returns the address.
func (l *listener) Addr() net.Addr { return l.addr }

// dial connects owner (nil: someone outside the daemon) to an address.
func (n *network) dial(address string, owner *machine, timeout time.Duration) (net.Conn, error) {
	refused := &net.OpError{Op: "dial", Net: "mem", Addr: addr(address), Err: syscall.ECONNREFUSED}
	n.mu.Lock()
	l := n.listeners[address]
	n.mu.Unlock()
	f := n.draw(address, owner == nil)
	switch {
	case l == nil:
		return nil, refused
	case f.refuse:
		n.tally.add("dial refused", 1)
		return nil, refused
	case f.hang:
		n.tally.add("dial hung", 1)
		time.Sleep(timeout)
		return nil, &net.OpError{Op: "dial", Net: "mem", Addr: addr(address), Err: os.ErrDeadlineExceeded}
	}
	near, far := connect(address, f, n.tally)
	for _, side := range []struct {
		m   *machine
		end *end
	}{{owner, near}, {l.owner, far}} {
		if side.m != nil && !side.m.adopt(side.end) {
			near.reset()
			return nil, refused
		}
	}
	var accepted net.Conn = far
	if l.wrap != nil {
		accepted = l.wrap(far)
	}
	select {
	case l.backlog <- accepted:
	default:
		near.reset()
		return nil, refused
	}
	select {
	case <-l.done: // it may have emptied its backlog before ours came
		near.reset()
		return nil, refused
	default:
	}
	if f.life > 0 {
		time.AfterFunc(f.life, func() {
			n.tally.add("kept connection closed", 1)
			_ = far.Close()
		})
	}
	return near, nil
}

// machine is what one life of the daemon runs on: everything that leaves it or
// comes to it does so through here, and none of it after cut.
//
// mu guards dead, ends and listeners.
type machine struct {
	net   *network
	wrote atomic.Pointer[func(to addr)]

	mu        sync.Mutex
	dead      bool
	ends      map[*end]struct{}
	listeners []*listener
}

func (n *network) machine() *machine {
	return &machine{net: n, ends: make(map[*end]struct{})}
}

// watch has fn called after each of the daemon's writes to a connection. fn may cut.
func (m *machine) watch(fn func(to addr)) { m.wrote.Store(&fn) }

// adopt counts a connection's end among the machine's; false if the machine is dead.
func (m *machine) adopt(e *end) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.dead {
		return false
	}
	e.mu.Lock()
	e.machine = m
	e.mu.Unlock()
	m.ends[e] = struct{}{}
	return true
}

func (m *machine) forget(e *end) {
	m.mu.Lock()
	delete(m.ends, e)
	m.mu.Unlock()
}

// listen is app.Options.Listen.
func (m *machine) listen(_, address string) (net.Listener, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.dead {
		return nil, net.ErrClosed
	}
	l := m.net.listen(address, m, nil)
	m.listeners = append(m.listeners, l)
	return l, nil
}

// dial is app.Options.Dial.
func (m *machine) dial(_, address string, timeout time.Duration) (net.Conn, error) {
	return m.net.dial(address, m, timeout)
}

// cut takes the machine off the network at once: not a byte leaves it or reaches it from here on.
func (m *machine) cut() {
	m.mu.Lock()
	m.dead = true
	ends, listeners := m.ends, m.listeners
	m.ends, m.listeners = make(map[*end]struct{}), nil
	m.mu.Unlock()
	for e := range ends {
		e.die()
	}
	for _, l := range listeners {
		_ = l.Close()
	}
}
