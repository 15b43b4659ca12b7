//go:build linux

package peers

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"sync"
	"syscall"
	"time"

	"github.com/valyala/fasthttp"
	"golang.org/x/sys/unix"

	"vendue/bench/load/wire"
)

const answerBytes = 4 << 10

// raw writes every ping and then reads the answers in turn: the wait is that of
// the slowest buyer, and no goroutine is started.
type raw struct {
	hosts []host
	log   *Log // nil: nothing is written down
	pool  sync.Pool
}

// auction is one request's scratch.
type auction struct {
	links []*link
	cents []int64
}

func newRaw(buyers []string, log *Log) *raw {
	r := &raw{hosts: make([]host, len(buyers)), log: log}
	for i, addr := range buyers {
		r.hosts[i].addr = addr
	}
	r.pool.New = func() any { return &auction{make([]*link, len(buyers)), make([]int64, len(buyers))} }
	return r
}

func (r *raw) handle(ctx *fasthttp.RequestCtx) {
	a := r.pool.Get().(*auction)
	defer r.pool.Put(a)
	deadline := time.Now().Add(pingLimit)
	for i := range r.hosts {
		a.cents[i] = -1
		a.links[i] = r.hosts[i].send(pingCall)
	}
	for i, l := range a.links {
		if l == nil {
			continue
		}
		if body, err := l.read(deadline); err == nil {
			a.cents[i] = wire.Number(body, bidKey)
			r.hosts[i].put(l)
		} else {
			l.close()
		}
	}
	winner, cents := best(a.cents)
	if winner >= 0 && !r.post(winner) {
		winner = -1
	}
	if winner >= 0 && r.log != nil && r.log.Append(event[:]) != nil {
		winner = -1
	}
	tell(ctx, winner, cents)
}

func (r *raw) post(i int) bool {
	l := r.hosts[i].send(postCall)
	if l == nil {
		return false
	}
	body, err := l.read(time.Now().Add(postLimit))
	if err != nil {
		l.close()
		return false
	}
	sold := bytes.Contains(body, accepted)
	r.hosts[i].put(l)
	return sold
}

// host keeps the idle connections to one buyer; mu guards idle.
type host struct {
	addr string
	mu   sync.Mutex
	idle []*link
}

// send writes a request on an idle connection, or a new one; nil if it cannot.
func (h *host) send(request []byte) *link {
	h.mu.Lock()
	var l *link
	if n := len(h.idle); n > 0 {
		l, h.idle = h.idle[n-1], h.idle[:n-1]
	}
	h.mu.Unlock()
	if l == nil {
		var err error
		if l, err = dial(h.addr); err != nil {
			return nil
		}
	}
	if n, err := wire.Write(l.fd, request); err != nil || n < len(request) {
		l.close()
		return nil
	}
	return l
}

func (h *host) put(l *link) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if len(h.idle) == connsMax {
		l.close()
		return
	}
	h.idle = append(h.idle, l)
}

// link is one connection to a buyer. It belongs to one auction at a time.
type link struct {
	conn  *net.TCPConn
	raw   syscall.RawConn
	fd    int
	buf   [answerBytes]byte
	n     int
	err   error
	ready func(fd uintptr) bool // reads once; made once, because a closure per read would be garbage
}

func dial(addr string) (*link, error) {
	c, err := net.DialTimeout("tcp4", addr, time.Second)
	if err != nil {
		return nil, fmt.Errorf("cannot connect: %w", err)
	}
	l := &link{conn: c.(*net.TCPConn)}
	if l.raw, err = l.conn.SyscallConn(); err == nil {
		err = l.raw.Control(func(fd uintptr) { l.fd = int(fd) })
	}
	if err != nil {
		l.close()
		return nil, fmt.Errorf("cannot reach the descriptor: %w", err)
	}
	l.ready = func(uintptr) bool { return l.try() }
	return l, nil
}

func (l *link) close() { _ = l.conn.Close() }

// try reads what is there; false if that is nothing.
func (l *link) try() bool {
	n, err := wire.Read(l.fd, l.buf[l.n:])
	if errors.Is(err, unix.EAGAIN) {
		return false
	}
	if err == nil && n == 0 {
		err = io.ErrUnexpectedEOF
	}
	l.n, l.err = l.n+n, err
	return true
}

// read returns the body of one answer, valid until the next read. The deadline
// is armed only if an answer is not there yet.
func (l *link) read(deadline time.Time) ([]byte, error) {
	l.n = 0
	armed := false
	for {
		if !l.try() {
			if !armed {
				if err := l.conn.SetReadDeadline(deadline); err != nil {
					return nil, err
				}
				armed = true
			}
			if err := l.raw.Read(l.ready); err != nil {
				return nil, err
			}
		}
		if l.err != nil {
			return nil, l.err
		}
		total, body, err := wire.Frame(l.buf[:l.n])
		switch {
		case err != nil:
			return nil, err
		case total > 0:
			return l.buf[body:total], nil
		case l.n == len(l.buf):
			return nil, wire.ErrFrame
		}
	}
}
