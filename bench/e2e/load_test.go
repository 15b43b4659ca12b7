//go:build linux

package e2e

import (
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"vendue/bench/house"
	"vendue/bench/world"
)

// TestFarPastCapacity sends several times what the machine can do. The exchange
// turns away what is too much, at once and by name; what it lets in it answers
// inside its window; whole leads sold meanwhile are in everybody's books; and
// when the storm is over a seller finds the exchange as it was.
func TestFarPastCapacity(t *testing.T) {
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
	before := calm.run(t)
	t.Logf("calm: %s", before)
	fastest := storm{s.cfg.Listen, 64, 0, time.Second}
	able := fastest.run(t)
	t.Logf("as fast as it goes: %s", able)
	// Sixty-four callers who wait for their answers are no storm. Only a machine that stands still for half of the window turns them away.
	if able.unsold+able.odd+able.lost > 0 || (able.shed > 0 && at(able.own, 1) < 100*time.Millisecond) {
		t.Errorf("want all of them served: %s; %s", able, able.example)
	}
	seller := world.NewSeller(world.Traffic{
		Addr: s.cfg.Listen, Seed: 5, Campaigns: []world.Intake{{Campaign: "north-auto", Key: house.NorthKey}}, Count: 400, Rate: 40, Direct: 0.5,
	})
	t.Cleanup(seller.Close)
	var selling sync.WaitGroup
	selling.Go(func() { seller.Run(t.Context()) })
	for _, times := range []int{4, 10} {
		s.storm(times, able, before)
	}
	selling.Wait()
	s.ok(seller.Ask(t.Context()))
	books := world.Books{Answers: seller.Answers(), Receipts: acme.Receipts(), Journal: s.journal(), Asked: true, Credits: -1}
	report := world.Reconcile(&books)
	t.Logf("beside it: %d leads, %d sold, %d rejected, %d pending", report.Leads, report.Sold, report.Rejected, report.Pending)
	s.ok(report.Err())
	if report.Sold == 0 {
		t.Error("nothing was sold beside the storm")
	}
}

// storm sends times what the exchange is able to, and looks what came of it.
func (s *scene) storm(times int, able, before *tally) {
	const window, conns, lasts = 250 * time.Millisecond, 2000, 4 * time.Second
	t := s.t
	turnedAway := func(m world.Metrics) float64 {
		return m["vendue_app_shed_total"] + m[`vendue_engine_pings_total{reason="overloaded"}`]
	}
	shed := turnedAway(s.metrics())
	late := machineLateness(t)
	past := storm{s.cfg.Listen, conns, conns * time.Second / time.Duration(times*max(able.served, 1)), lasts}
	r := past.run(t)
	noise := late()
	t.Logf("%d times capacity: %s; this machine's timers were late by %s", times, r, noise)
	if r.shed == 0 || r.served == 0 || r.unsold+r.odd+r.lost > 0 {
		t.Errorf("want some served, some turned away and nothing else: %s; %s", r, r.example)
	}
	// Whoever is let in is answered by the window's end and what a process that does nothing learns of it too late.
	margin, recovery := 10*time.Millisecond+noise, 2*time.Second
	if house.Race {
		margin, recovery = 10*margin, 5*recovery // the detector makes everything several times slower
	}
	if p99 := at(r.own, .99); p99 > window+margin {
		t.Errorf("what was let in took %s by the exchange's clock, want at most %s", p99, window+margin)
	}
	// By the clock of a load that has one of the two processors and is as late as its own queue.
	if p50, p99 := at(r.shedTook, .5), at(r.shedTook, .99); p50 > 10*margin || p99 > 2*window+margin {
		t.Errorf("to be turned away took %s, p99 %s, want at most %s and %s", p50, p99, 10*margin, 2*window+margin)
	}
	began := time.Now()
	s.eventually(recovery, "all is as it was", func() bool {
		soon := storm{s.cfg.Listen, 1, 5 * time.Millisecond, 250 * time.Millisecond}
		r := soon.run(t)
		return r.shed+r.unsold+r.odd+r.lost == 0 && at(r.took, .5) < 2*at(before.took, .5)+5*time.Millisecond
	})
	t.Logf("as it was %s after the storm", time.Since(began))
	m := s.metrics()
	if told := turnedAway(m) - shed; told < float64(r.shed) {
		t.Errorf("%g of %d refusals are counted", told, r.shed)
	}
	// Of some 8,000 quotes of 22 KB in two seconds, and what a collector that runs at five times that leaves lying about.
	rss := m["process_resident_memory_bytes"]
	t.Logf("%.0f MB are resident", rss/1e6)
	if rss > 2<<30 && !house.Race {
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
	s.cfg.Campaign = []string{"window: 250ms", "floor: 5.00", "margin: 20%", "quote_ttl: 9s"}
	s.cfg.Extra = []string{"limits: {quote_bytes: 1048576}"} // the least there may be
	s.start()
	full := storm{s.cfg.Listen, 16, 0, 6 * time.Second}
	r := full.run(t)
	t.Logf("%s", r)
	m := s.metrics()
	if r.shed == 0 || r.unsold+r.odd+r.lost > 0 {
		t.Errorf("want quotes until they fill their memory and 503 from there: %s; %s", r, r.example)
	}
	// Requests that were let in together may each still open one.
	if held := m["vendue_engine_quotes_bytes"]; held > 1<<20+16*4096 {
		t.Errorf("quotes hold %g bytes", held)
	}
	s.eventually(20*time.Second, "the quotes expire", func() bool {
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
	s.contract("acme").PingLine = "timeout: 200ms, breaker: off" // it answers from the same two processors
	s.start()
	calm := storm{s.cfg.Listen, 1, 5 * time.Millisecond, time.Second}
	before, was := calm.run(t), s.metrics()["process_resident_memory_bytes"]
	idle := s.loiter(n)
	late := lateness(t)
	beside := storm{s.cfg.Listen, 4, 5 * time.Millisecond, 5 * time.Second}
	r := beside.run(t)
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
