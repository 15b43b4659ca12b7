//go:build linux

package buyers

import (
	"bytes"
	"errors"
	"fmt"
	"runtime"
	"time"

	"golang.org/x/sys/unix"

	"vendue/bench/load/wire"
)

const (
	// connsMax bounds the descriptors of the process.
	connsMax = 1 << 16
	// requestMax bounds what one connection may send ahead of its answers.
	requestMax = 32 << 10
	// owedMax bounds the answers that wait for their delay.
	owedMax = 1 << 18
)

// Config says how many buyers there are and how they behave.
type Config struct {
	N     int
	Delay time.Duration // before a bid
	Hang  int           // as many of the last buyers never answer a ping
}

// Answers of one buyer, ready to be written.
type answers struct{ bid, accept []byte }

func answer(body string) []byte {
	return fmt.Appendf(nil, "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s", len(body), body)
}

// answersOf gives each buyer a bid of its own between 10 and 60, so that the
// best one is the same in every auction and stands at no end of the list.
func answersOf(i, n int) answers {
	cents := 1000 + (i*7%n)*50
	return answers{
		bid:    answer(fmt.Sprintf(`{"bid":%d.%02d,"token":"t%d-8f14e45fceea167a","expires_in":300}`, cents/100, cents%100, i)),
		accept: answer(fmt.Sprintf(`{"accepted":true,"id":"r%d-8f14e45fceea167a"}`, i)),
	}
}

// What a request asks for, told by its path.
var (
	pathPing   = []byte("POST /ping ")
	pathPost   = []byte("POST /post ")
	pathServed = []byte("GET /served ")
	done       = answer("{}")
)

type conn struct {
	buyer int // -1: not a connection
	no    uint32
	in    []byte
	n     int
}

// owed is a bid that waits for its time. All wait equally long, so that a queue
// keeps them in order.
type owed struct {
	at time.Time
	fd int
	no uint32 // of the connection: the descriptor may be another one's by then
}

// server is one thread's loop over every connection of every buyer.
type server struct {
	cfg      Config
	poll     *wire.Poll
	answers  []answers
	listener map[int]int // descriptor to buyer
	conns    []conn      // by descriptor
	queue    []owed      // a ring
	head     int
	waiting  int
	accepted uint32
	served   uint64
}

// Serve opens a port for each buyer, tells them all to ready, and answers until the process ends.
//
//	POST /ping   a bid after the delay       POST /post  an accept at once
//	GET /served  how many requests came, as {"served":n}        anything else: {} at once
func Serve(cfg Config, ready func(ports []int)) error {
	if cfg.N < 1 || cfg.N > 1000 || cfg.Hang < 0 || cfg.Hang > cfg.N || cfg.Delay < 0 {
		return fmt.Errorf("cannot serve %d buyers, %d of which hang: expected 1 to 1000, and no more that hang", cfg.N, cfg.Hang)
	}
	runtime.LockOSThread()
	wire.SharpTimers()
	poll, err := wire.NewPoll()
	if err != nil {
		return err
	}
	s := &server{cfg: cfg, poll: poll, listener: make(map[int]int), conns: make([]conn, connsMax), queue: make([]owed, owedMax)}
	ports := make([]int, cfg.N)
	for i := range cfg.N {
		fd, port, err := wire.Listen()
		if err != nil {
			return err
		}
		if err := poll.Add(fd, fd); err != nil {
			return err
		}
		s.listener[fd], ports[i] = i, port
		s.answers = append(s.answers, answersOf(i, cfg.N))
	}
	ready(ports)
	for {
		events, err := poll.Wait(s.pay(time.Now()))
		if err != nil {
			return err
		}
		for i := range events {
			if err := s.handle(int(events[i].Fd)); err != nil {
				return err
			}
		}
	}
}

// pay writes the bids whose time has come and returns how long the next one has.
func (s *server) pay(now time.Time) time.Duration {
	for ; s.waiting > 0; s.waiting-- {
		o := &s.queue[s.head]
		if d := o.at.Sub(now); d > 0 {
			return d
		}
		if c := &s.conns[o.fd]; c.no == o.no && c.in != nil {
			_, _ = wire.Write(o.fd, s.answers[c.buyer].bid) // a connection that broke tells so when it is read
		}
		s.head = (s.head + 1) % owedMax
	}
	return -1
}

// fill reads what is there, and tells whether the connection is still open.
func (c *conn) fill(fd int) bool {
	n, err := wire.Read(fd, c.in[c.n:])
	if err == nil {
		c.n += n
	}
	return (err == nil && n > 0) || errors.Is(err, unix.EAGAIN)
}

// frame returns how long the request at c.in[at] is, 0 if more of it must come. It is false for what is no request, or too long.
func (c *conn) frame(at int) (int, bool) {
	total, _, err := wire.Frame(c.in[at:c.n])
	return total, err == nil && (total > 0 || c.n-at < len(c.in))
}

func (s *server) handle(fd int) error {
	if buyer, ok := s.listener[fd]; ok {
		return s.accept(fd, buyer)
	}
	c := &s.conns[fd]
	if !c.fill(fd) {
		s.drop(fd)
		return nil
	}
	at := 0
	for at < c.n {
		total, ok := c.frame(at)
		if !ok {
			s.drop(fd)
			return nil
		}
		if total == 0 {
			break
		}
		if err := s.reply(fd, c.in[at:at+total]); err != nil {
			return err
		}
		at += total
	}
	c.n = copy(c.in, c.in[at:c.n])
	return nil
}

func (s *server) accept(listener, buyer int) error {
	for {
		fd, err := wire.Accept(listener)
		if errors.Is(err, unix.EAGAIN) {
			return nil
		}
		if err != nil || fd >= connsMax {
			return fmt.Errorf("cannot accept a connection: descriptor %d: %w", fd, err)
		}
		s.accepted++
		c := &s.conns[fd]
		c.buyer, c.no, c.n = buyer, s.accepted, 0
		if c.in == nil {
			c.in = make([]byte, requestMax)
		}
		if err := s.poll.Add(fd, fd); err != nil {
			return err
		}
	}
}

func (s *server) drop(fd int) {
	s.conns[fd].no = 0
	wire.Close(fd)
}

func (s *server) reply(fd int, request []byte) error {
	c := &s.conns[fd]
	s.served++
	out := done
	switch {
	case bytes.HasPrefix(request, pathPing):
		if c.buyer >= s.cfg.N-s.cfg.Hang {
			return nil
		}
		if s.cfg.Delay > 0 {
			return s.owe(fd, c.no)
		}
		out = s.answers[c.buyer].bid
	case bytes.HasPrefix(request, pathPost):
		out = s.answers[c.buyer].accept
	case bytes.HasPrefix(request, pathServed):
		s.served--
		out = answer(fmt.Sprintf(`{"served":%d}`, s.served))
	}
	_, _ = wire.Write(fd, out) // a connection that broke tells so when it is read
	return nil
}

func (s *server) owe(fd int, no uint32) error {
	if s.waiting == owedMax {
		return fmt.Errorf("more than %d bids wait for their delay", owedMax)
	}
	s.queue[(s.head+s.waiting)%owedMax] = owed{time.Now().Add(s.cfg.Delay), fd, no}
	s.waiting++
	return nil
}
