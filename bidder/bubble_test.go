package bidder

import (
	"bufio"
	"io"
	"net"
	"net/http"
	"strconv"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"vendue/exchange"
)

// pipeBuyers is a Dial to buyers that live in the test's bubble: the address
// "aN" leads to manners[N] over a pipe, which the house meets as it would any
// connection that can only wait.
func pipeBuyers(t *testing.T, manners ...func(nc net.Conn, r *seen) bool) (Config, TransportConfig) {
	t.Helper()
	var ended sync.WaitGroup
	t.Cleanup(ended.Wait) // after the transport, which newHouse closes first
	var urls []string
	for i := range manners {
		urls = append(urls, "http://a"+strconv.Itoa(i)+":1/ping")
	}
	dial := func(_, addr string, _ time.Duration) (net.Conn, error) {
		ours, theirs := net.Pipe()
		n, err := strconv.Atoi(addr[1 : len(addr)-2])
		if err != nil {
			return nil, err
		}
		ended.Go(func() { servePipe(theirs, manners[n]) })
		return ours, nil
	}
	return market(urls...), TransportConfig{Dial: dial}
}

// servePipe ends when the house closes its side.
func servePipe(nc net.Conn, serve func(net.Conn, *seen) bool) {
	defer func() { _ = nc.Close() }()
	br := bufio.NewReader(nc)
	for {
		req, err := http.ReadRequest(br)
		if err != nil {
			return
		}
		body, err := io.ReadAll(req.Body)
		if err != nil || !serve(nc, &seen{req: req, body: string(body)}) {
			return
		}
	}
}

// after answers with a bid once d has passed.
func after(d time.Duration, bid string) func(net.Conn, *seen) bool {
	return func(nc net.Conn, r *seen) bool {
		time.Sleep(d) // virtual
		return ok(`{"bid":`+bid+`}`)(nc, r)
	}
}

func TestBubbleHangingBuyersDelayNobody(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		manners := []func(net.Conn, *seen) bool{hang, hang, hang, after(30*time.Millisecond, "3"), hang, hang, after(5*time.Millisecond, "7"), after(199*time.Millisecond, "9"), hang, hang}
		cfg, tc := pipeBuyers(t, manners...)
		h := newHouse(t, cfg, tc)
		for range 10 { // the first ask dials, later ones know whom to wait for last
			a := h.ask(200 * time.Millisecond)
			if took := time.Since(a.Start); took != 200*time.Millisecond {
				t.Fatalf("took %v, want exactly the window", took)
			}
			for i, want := range map[int]time.Duration{3: 30 * time.Millisecond, 6: 5 * time.Millisecond, 7: 199 * time.Millisecond} {
				got := &a.Answers[i]
				mustReason(t, got, exchange.ReasonNone, "")
				if got.Elapsed < want || got.Elapsed > want*3/2+2*time.Millisecond {
					t.Fatalf("answer after %v was noticed at %v", want, got.Elapsed)
				}
			}
			mustReason(t, &a.Answers[0], exchange.ReasonTimeout, "")
		}
	})
}

func TestBubbleEndsWithTheLastAnswer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cfg, tc := pipeBuyers(t, after(40*time.Millisecond, "1"), after(10*time.Millisecond, "1"), after(80*time.Millisecond, "1"))
		h := newHouse(t, cfg, tc)
		for i := range 20 {
			a := h.ask(time.Second)
			took := time.Since(a.Start)
			if took < 80*time.Millisecond || took > 130*time.Millisecond || i > 10 && took != 80*time.Millisecond {
				t.Fatalf("ask %d took %v", i, took)
			}
		}
	})
}

func TestBubbleOwnTimeouts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cfg, tc := pipeBuyers(t, after(60*time.Millisecond, "1"), after(60*time.Millisecond, "1"))
		cfg.Contracts[1].Terms.PingTimeout = 50 * time.Millisecond
		h := newHouse(t, cfg, tc)
		a := h.ask(time.Second)
		mustReason(t, &a.Answers[0], exchange.ReasonNone, "")
		mustReason(t, &a.Answers[1], exchange.ReasonTimeout, "")
		if a.Answers[1].Elapsed != 50*time.Millisecond {
			t.Fatalf("gave up at %v", a.Answers[1].Elapsed)
		}
	})
}

func TestBubbleSlowDrip(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cfg, tc := pipeBuyers(t, func(nc net.Conn, _ *seen) bool {
			for _, c := range []byte("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n{\"bid\":1}") {
				if _, err := nc.Write([]byte{c}); err != nil {
					return false
				}
				time.Sleep(time.Second)
			}
			return true
		}, after(time.Millisecond, "2"))
		h := newHouse(t, cfg, tc)
		a := h.ask(3500 * time.Millisecond)
		mustReason(t, &a.Answers[0], exchange.ReasonTimeout, "")
		mustReason(t, &a.Answers[1], exchange.ReasonNone, "")
		if took := time.Since(a.Start); took != 3500*time.Millisecond {
			t.Fatalf("took %v", took)
		}
	})
}

// A buyer late by 100 ms is drained and asked again on the same connection; one
// that never answers loses its connection after drainMax.
func TestBubbleDrain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		bids := 0
		cfg, tc := pipeBuyers(t, func(nc net.Conn, r *seen) bool {
			bids++
			if bids == 1 {
				return after(150*time.Millisecond, "99")(nc, r)
			}
			return ok(`{"bid":`+strconv.Itoa(bids)+`}`)(nc, r)
		}, hang)
		tc.ConnsPerHostMax, tc.WarmConnsPerHost = 1, 1
		h := newHouse(t, cfg, tc)
		synctest.Wait()
		a := h.ask(50 * time.Millisecond)
		mustReason(t, &a.Answers[0], exchange.ReasonTimeout, "")
		mustReason(t, &a.Answers[1], exchange.ReasonTimeout, "")
		time.Sleep(200 * time.Millisecond)
		if n := h.count(`vendue_bidder_late_total{contract="c0"}`); n != 1 {
			t.Fatalf("%d late answers", n)
		}
		a = h.ask(50 * time.Millisecond)
		if a.Answers[0].Bid != 2*exchange.Micro {
			t.Fatalf("got %+v", a.Answers[0])
		}
		mustReason(t, &a.Answers[1], exchange.ReasonConcurrency, "")
		time.Sleep(2 * drainMax)
		a = h.ask(50 * time.Millisecond)
		mustReason(t, &a.Answers[1], exchange.ReasonTimeout, "")
	})
}

// A dial that hangs delays nobody, and ends by the deadline.
func TestBubbleSlowDial(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cfg, tc := pipeBuyers(t, after(time.Millisecond, "1"), after(time.Millisecond, "2"))
		dial := tc.Dial
		tc.Dial = func(network, addr string, timeout time.Duration) (net.Conn, error) {
			if addr == "a0:1" {
				time.Sleep(300 * time.Millisecond)
			}
			return dial(network, addr, timeout)
		}
		h := newHouse(t, cfg, tc)
		a := h.ask(100 * time.Millisecond)
		mustReason(t, &a.Answers[0], exchange.ReasonTimeout, "")
		if got := a.Answers[1]; got.Bid != 2*exchange.Micro || got.Elapsed > 10*time.Millisecond || time.Since(a.Start) != 100*time.Millisecond {
			t.Fatalf("got %+v", got)
		}
		time.Sleep(time.Second) // the dial went on, and its connection serves the next ask
		a = h.ask(100 * time.Millisecond)
		mustReason(t, &a.Answers[0], exchange.ReasonNone, "")
	})
}

func TestBubblePost(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cfg, tc := pipeBuyers(t, func(nc net.Conn, r *seen) bool {
			time.Sleep(time.Second)
			return ok(`{"accepted":true}`)(nc, r)
		})
		h := newHouse(t, cfg, tc)
		if r := h.post(3 * time.Second); r.Outcome != exchange.OutcomeAccepted || r.Elapsed != time.Second {
			t.Fatalf("got %+v", r)
		}
		if r := h.post(500 * time.Millisecond); r.Outcome != exchange.OutcomeUnknown || r.Elapsed != 500*time.Millisecond {
			t.Fatalf("got %+v", r)
		}
	})
}

// Connections of a buyer that nobody asks any more are closed.
func TestBubbleIdleEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cfg, tc := pipeBuyers(t, after(0, "1"))
		tc.IdleMax = 10 * time.Second
		h := newHouse(t, cfg, tc)
		h.ask(time.Second)
		time.Sleep(2 * tickEvery) // the pipe's writer may look back too late for its connection to be kept: another takes its place
		synctest.Wait()
		if n := h.count("vendue_bidder_connections"); n < 8 {
			t.Fatalf("%d connections are ready", n)
		}
		time.Sleep(time.Minute)
		if n := h.count("vendue_bidder_connections"); n != 0 {
			t.Fatalf("%d connections are left", n)
		}
		a := h.ask(time.Second)
		mustReason(t, &a.Answers[0], exchange.ReasonNone, "")
	})
}

// Close in the middle of asks and posts waits for them and leaves nothing behind: the bubble fails if a goroutine is left.
func TestBubbleCloseInFlight(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cfg, tc := pipeBuyers(t, hang, after(50*time.Millisecond, "1"))
		h := newHouse(t, cfg, tc)
		done := make(chan struct{})
		go func() {
			h.ask(100 * time.Millisecond)
			h.post(100 * time.Millisecond)
			close(done)
		}()
		time.Sleep(20 * time.Millisecond)
		if err := h.t.Close(); err != nil {
			t.Error(err)
		}
		<-done
		if n := h.count("vendue_bidder_connections"); n != 0 {
			t.Fatalf("%d connections are left", n)
		}
	})
}
