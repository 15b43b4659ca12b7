package e2e

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/tidwall/gjson"

	"vendue/bench/house"
	"vendue/bench/world"
)

// storm is a load that does not care what comes back: each connection sends its
// next request when it is due, or as soon as the answer to the last is there.
type storm struct {
	addr  string
	conns int
	pace  time.Duration // of one connection
	lasts time.Duration
}

// tally is what a storm was answered.
type tally struct {
	served, shed, odd, lost int
	unsold                  int             // of the served: no buyer bid
	took                    []time.Duration // of the served, by our clock
	own                     []time.Duration // of the served, by the exchange's
	shedTook                []time.Duration
	example                 string // of an odd answer
}

// run sends the storm and returns what came of it.
func (st *storm) run() *tally {
	var mu sync.Mutex
	var wg sync.WaitGroup
	sum := new(tally)
	end := time.Now().Add(st.lasts)
	for i := range st.conns {
		wg.Go(func() {
			one := st.lane(i, end)
			mu.Lock()
			defer mu.Unlock()
			sum.add(one)
		})
	}
	wg.Wait()
	slices.Sort(sum.took)
	slices.Sort(sum.own)
	slices.Sort(sum.shedTook)
	return sum
}

func (a *tally) add(b *tally) {
	a.served, a.shed, a.odd, a.lost = a.served+b.served, a.shed+b.shed, a.odd+b.odd, a.lost+b.lost
	a.unsold += b.unsold
	a.took, a.own, a.shedTook = append(a.took, b.took...), append(a.own, b.own...), append(a.shedTook, b.shedTook...)
	if a.example == "" {
		a.example = b.example
	}
}

// lane is one connection of a storm.
func (st *storm) lane(i int, end time.Time) *tally {
	sum := new(tally)
	l := world.MakeLead(17, uint64(i))
	body := pingBody(&l, "")
	request := fmt.Appendf(nil, "POST /v1/ping HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer %s\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s",
		house.NorthKey, len(body), body)
	var nc net.Conn
	var in *bufio.Reader
	defer func() {
		if nc != nil {
			_ = nc.Close()
		}
	}()
	// Connections start spread over one pace, and the timer keeps them apart.
	due := time.Now().Add(st.pace * time.Duration(i) / time.Duration(st.conns))
	for ; due.Before(end); due = maxTime(due.Add(st.pace), time.Now()) {
		<-time.After(time.Until(due))
		if nc == nil {
			var err error
			if nc, err = net.DialTimeout("tcp", st.addr, 5*time.Second); err != nil {
				nc = nil
				sum.lost++
				continue
			}
			in = bufio.NewReaderSize(nc, 1024)
		}
		began := time.Now()
		_ = nc.SetDeadline(began.Add(10 * time.Second))
		_, err := nc.Write(request)
		var r answer
		if err == nil {
			r, err = readAnswer(in)
		}
		sum.note(r, err, time.Since(began))
		if err != nil || r.closes {
			_ = nc.Close()
			nc = nil
		}
	}
	return sum
}

func maxTime(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

func (a *tally) note(r answer, err error, took time.Duration) {
	switch {
	case err != nil:
		a.lost++
	case r.status == 200:
		if a.served++; gjson.GetBytes(r.body, "status").Str != "accepted" {
			a.unsold++
		}
		a.took = append(a.took, took)
		a.own = append(a.own, time.Duration(gjson.GetBytes(r.body, "elapsed_ms").Int())*time.Millisecond)
	case (r.status == 503 || r.status == 429) && r.retryAfter:
		a.shed++
		a.shedTook = append(a.shedTook, took)
	default:
		if a.odd++; a.example == "" {
			a.example = fmt.Sprintf("%d %s", r.status, r.body)
		}
	}
}

type answer struct {
	status             int
	retryAfter, closes bool
	body               []byte
}

// readAnswer reads one answer of a stated length. It is much cheaper than net/http, which the machine must carry beside the exchange.
func readAnswer(in *bufio.Reader) (r answer, err error) {
	length := 0
	for first := true; ; first = false {
		line, err := in.ReadSlice('\n')
		if err != nil {
			return r, err
		}
		line = bytes.TrimRight(line, "\r\n")
		name, value, _ := bytes.Cut(line, []byte(": "))
		switch {
		case first && len(line) > 12:
			r.status, _ = strconv.Atoi(string(line[9:12]))
		case len(line) == 0:
			r.body = make([]byte, length)
			_, err := io.ReadFull(in, r.body)
			return r, err
		case string(name) == "Content-Length":
			length, _ = strconv.Atoi(string(value))
		case string(name) == "Retry-After":
			r.retryAfter = true
		case string(name) == "Connection":
			r.closes = string(value) == "close"
		}
	}
}

// at returns the p-th quantile of sorted times, 0 if there are none.
func at(sorted []time.Duration, p float64) time.Duration {
	if len(sorted) == 0 {
		return 0
	}
	return sorted[min(int(p*float64(len(sorted))), len(sorted)-1)]
}

func (a *tally) String() string {
	return fmt.Sprintf("served %d (%d without a bid, p50 %s, p99 %s, longest %s; p99 by the exchange's clock %s), shed %d (p50 %s, p99 %s), odd %d, lost %d",
		a.served, a.unsold, at(a.took, .5), at(a.took, .99), at(a.took, 1), at(a.own, .99), a.shed, at(a.shedTook, .5), at(a.shedTook, .99), a.odd, a.lost)
}

// TestFarPastCapacity sends several times what the machine can do. The exchange
// turns away what is too much, at once and by name; what it lets in it answers
// inside its window; and when the storm is over a seller finds it as it was.
func TestFarPastCapacity(t *testing.T) {
	const window = 250 * time.Millisecond // of north-auto
	s := newScene(t)
	// Standing prices are work for nobody but the exchange: the more of them, the sooner it is the one that cannot keep up.
	acme := s.buyer("acme", bids(20))
	s.cfg.Campaign = []string{"window: 250ms", "floor: 5.00", "margin: 20%", "quote_ttl: 2s"}
	for i := range 300 {
		s.cfg.Contracts = append(s.cfg.Contracts, house.Contract{
			Buyer: "acme", Name: fmt.Sprintf("standing-%d", i), URL: acme.URL(""), Price: fmt.Sprintf("%d.00", 10+i%50),
		})
	}
	s.cfg.Tree = []string{"- {method: auction, contracts: [" + strings.Join(s.names(), ", ") + "]}"}
	s.start()
	calm := storm{s.cfg.Listen, 1, 5 * time.Millisecond, time.Second}
	before := calm.run()
	t.Logf("calm: %s", before)
	fastest := storm{s.cfg.Listen, 64, 0, time.Second}
	able := fastest.run()
	t.Logf("as fast as it goes: %s", able)
	const conns, times = 2000, 4
	pace := conns * fastest.lasts / time.Duration(times*max(able.served, 1))
	late := lateness(t)
	past := storm{s.cfg.Listen, conns, pace, 4 * time.Second}
	during := past.run()
	noise := late()
	t.Logf("far past: %s; this machine's timers were late by %s", during, noise)
	if during.shed == 0 || during.served == 0 || during.unsold+during.odd+during.lost > 0 {
		t.Errorf("want some served, some turned away and nothing else: %s; %s", during, during.example)
	}
	// The storm, its buyers and the exchange share one machine, and each hop of an auction may wait as long as a timer does.
	if bound := window + 100*time.Millisecond + 3*noise; at(during.own, .95) > bound {
		t.Errorf("what was let in took %s by the exchange's clock, want at most %s", at(during.own, .95), bound)
	}
	if p50 := at(during.shedTook, .5); p50 > window+3*noise {
		t.Errorf("to be turned away took %s", p50)
	}
	began := time.Now()
	s.eventually(10*time.Second, "all is as it was", func() bool {
		soon := storm{s.cfg.Listen, 1, 5 * time.Millisecond, 500 * time.Millisecond}
		r := soon.run()
		return r.shed+r.unsold+r.odd+r.lost == 0 && at(r.took, .5) < 2*at(before.took, .5)+5*time.Millisecond
	})
	t.Logf("as it was %s after the storm", time.Since(began))
	p := s.sell("")
	s.is(&p, 200, "status", "sold")
	m := s.metrics()
	if m["vendue_app_shed_total"] < float64(during.shed) {
		t.Errorf("%g of %d refusals are counted", m["vendue_app_shed_total"], during.shed)
	}
	// Of some 8,000 quotes of 22 KB in two seconds, and what a collector that runs at five times that leaves lying about.
	if rss := m["process_resident_memory_bytes"]; rss > 2<<30 && !house.Race {
		t.Errorf("%.0f MB are resident", rss/1e6)
	}
}

// names returns the contracts of the scene.
func (s *scene) names() (names []string) {
	for i := range s.cfg.Contracts {
		names = append(names, s.cfg.Contracts[i].Name)
	}
	return names
}

// TestQuotesFillTheirMemory reaches the bound on quotes, and lives on once they expire.
func TestQuotesFillTheirMemory(t *testing.T) {
	s := newScene(t)
	s.buyer("acme", bids(20))
	s.cfg.Campaign = []string{"window: 250ms", "floor: 5.00", "margin: 20%", "quote_ttl: 3s"}
	s.cfg.Extra = []string{"limits: {quote_bytes: 1048576}"} // the least there may be
	s.start()
	full := storm{s.cfg.Listen, 16, 0, 1500 * time.Millisecond}
	r := full.run()
	t.Logf("%s", r)
	m := s.metrics()
	if r.shed == 0 || r.unsold+r.odd+r.lost > 0 {
		t.Errorf("want quotes until they fill their memory and 503 from there: %s; %s", r, r.example)
	}
	// Requests that were let in together may each still open one.
	if held := m["vendue_engine_quotes_bytes"]; held > 1<<20+16*4096 {
		t.Errorf("quotes hold %g bytes", held)
	}
	s.eventually(10*time.Second, "the quotes expire", func() bool {
		l := s.lead()
		r := s.ping(&l, "")
		if r.Status != 200 && (r.Status != 503 || r.Get("reason").String() != "overloaded" || r.RetryAfter == "") {
			t.Fatalf("want 200 or 503 overloaded: %d %s", r.Status, r.Body)
		}
		return r.Status == 200
	})
	p := s.sell("")
	s.is(&p, 200, "status", "sold")
}

// TestTenThousandConnectionsThatDoNothing holds them open, silent or sending a
// byte a second, and looks whether a seller beside them notices.
func TestTenThousandConnectionsThatDoNothing(t *testing.T) {
	var files syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &files); err != nil {
		t.Fatal(err)
	}
	n := int(min(10_000, files.Cur-1000)) // both ends have one limit each
	s := newScene(t)
	s.buyer("acme", bids(20))
	s.start()
	calm := storm{s.cfg.Listen, 1, 5 * time.Millisecond, time.Second}
	before, was := calm.run(), s.metrics()["process_resident_memory_bytes"]
	idle := s.loiter(n)
	late := lateness(t)
	beside := storm{s.cfg.Listen, 4, 5 * time.Millisecond, 5 * time.Second}
	r := beside.run()
	noise := late()
	rss := s.metrics()["process_resident_memory_bytes"]
	t.Logf("%d connections: before %s; beside them %s; timers late by %s; %.0f bytes a connection", n, before, r, noise, (rss-was)/float64(n))
	if r.shed+r.unsold+r.odd+r.lost > 0 {
		t.Errorf("a seller beside them noticed: %s; %s", r, r.example)
	}
	if p99 := at(r.took, .99); p99 > at(before.took, .99)+50*time.Millisecond+2*noise {
		t.Errorf("p99 went from %s to %s", at(before.took, .99), p99)
	}
	if grown := (rss - was) / float64(n); grown > 48<<10 && !house.Race {
		t.Errorf("%.0f bytes of memory a connection", grown)
	}
	// Who sends so slowly is cut off: a request must be there whole within 10 s of its first byte.
	s.eventually(15*time.Second, "the slow ones are cut off", func() bool { return idle.cutOff() })
	p := s.sell("")
	s.is(&p, 200, "status", "sold")
}

// loiterers are connections that ask for nothing, or take their time over it.
type loiterers struct {
	slow []net.Conn
	left int // of slow, not seen closed yet
}

// loiter opens n connections: half silent, a quarter slow in their head, a quarter in their body.
func (s *scene) loiter(n int) *loiterers {
	s.t.Helper()
	all := make([]net.Conn, n)
	var wg sync.WaitGroup
	for w := range 8 {
		wg.Go(func() {
			for i := w; i < n; i += 8 {
				nc, err := net.DialTimeout("tcp", s.cfg.Listen, 10*time.Second)
				if err != nil {
					s.t.Errorf("connection %d: %v", i, err)
					return
				}
				all[i] = nc
				switch i % 4 {
				case 0:
					_, err = io.WriteString(nc, "POST /v1/ping HTTP/1.1\r\nHost: x\r\nX-A: ")
				case 1:
					_, err = fmt.Fprintf(nc, "POST /v1/ping HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer %s\r\nContent-Length: 1000\r\n\r\n", house.NorthKey)
				}
				if err != nil {
					s.t.Errorf("connection %d: %v", i, err)
				}
			}
		})
	}
	wg.Wait()
	l := new(loiterers)
	for i, nc := range all {
		if nc == nil {
			continue
		}
		s.t.Cleanup(func() { _ = nc.Close() })
		if i%4 < 2 {
			l.slow = append(l.slow, nc)
		}
	}
	l.left = len(l.slow)
	stop, done := make(chan struct{}), make(chan struct{})
	s.t.Cleanup(func() { close(stop); <-done })
	go func() {
		defer close(done)
		tick := time.NewTicker(time.Second)
		defer tick.Stop()
		for {
			select {
			case <-stop:
				return
			case <-tick.C:
				for _, nc := range l.slow {
					_, _ = nc.Write([]byte("x")) // the exchange may have had enough of it
				}
			}
		}
	}()
	return l
}

// cutOff tells whether the exchange closed every slow connection.
func (l *loiterers) cutOff() bool {
	for l.left > 0 {
		nc := l.slow[l.left-1]
		_ = nc.SetReadDeadline(time.Now().Add(time.Millisecond))
		_, err := io.Copy(io.Discard, nc)
		if errors.Is(err, os.ErrDeadlineExceeded) {
			return false
		}
		l.left--
	}
	return true
}
