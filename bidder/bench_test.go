package bidder

import (
	"bufio"
	"net"
	"net/http"
	"testing"
	"time"

	"vendue/exchange"
)

// cheapBuyer answers as cheaply as Go can: it looks for the end of a request
// of known length and writes fixed bytes.
func cheapBuyer(tb testing.TB, answer string) string {
	tb.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { _ = ln.Close() })
	go func() {
		for {
			nc, err := ln.Accept()
			if err != nil {
				return
			}
			go serveCheaply(nc, []byte(answer))
		}
	}()
	return "http://" + ln.Addr().String() + "/ping"
}

func serveCheaply(nc net.Conn, answer []byte) {
	defer func() { _ = nc.Close() }()
	br := bufio.NewReaderSize(nc, 4<<10)
	if req, err := http.ReadRequest(br); err != nil || req.ContentLength <= 0 {
		return
	} else if _, err := br.Discard(int(req.ContentLength)); err != nil {
		return
	}
	buf := make([]byte, 4<<10)
	for {
		if _, err := nc.Write(answer); err != nil {
			return
		}
		if _, err := nc.Read(buf); err != nil { // one request is one segment here
			return
		}
	}
}

const cheapBid = "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 13\r\n\r\n{\"bid\":21.50}"

func cheapHouse(tb testing.TB, buyers int) *house {
	var urls []string
	for range buyers {
		urls = append(urls, cheapBuyer(tb, cheapBid))
	}
	cfg := market(urls...)
	for i := range cfg.Contracts {
		cfg.Contracts[i].Pings.FullWait = true // a pause of the machine is no part of an ask's cost
	}
	h := newHouse(tb, cfg, TransportConfig{})
	h.warmed(tb, 1)
	return h
}

// The fast path allocates nothing per ping but a token's text.
func TestAskAllocations(t *testing.T) {
	h := cheapHouse(t, 10)
	a := h.newAsk(time.Minute)
	run := func() {
		a.Start = time.Now()
		a.Deadline = a.Start.Add(time.Minute)
		h.Ask(a)
	}
	for range 100 {
		run()
	}
	if n := testing.AllocsPerRun(500, run); n > allocBudget {
		t.Fatalf("%v allocations per ask of 10 buyers", n)
	}
	mustReason(t, &a.Answers[9], exchange.ReasonNone, "")
}

func BenchmarkAsk10(b *testing.B) {
	h := cheapHouse(b, 10)
	a := h.newAsk(time.Minute)
	b.ReportAllocs()
	for b.Loop() {
		a.Start = time.Now()
		a.Deadline = a.Start.Add(time.Minute)
		h.Ask(a)
	}
}

func BenchmarkAsk10Parallel(b *testing.B) {
	h := cheapHouse(b, 10)
	b.SetParallelism(16)
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) {
		a := h.newAsk(time.Minute)
		for pb.Next() {
			a.Start = time.Now()
			a.Deadline = a.Start.Add(time.Minute)
			h.Ask(a)
		}
	})
}

func BenchmarkPost(b *testing.B) {
	h := newHouse(b, market(cheapBuyer(b, "HTTP/1.1 200 OK\r\nContent-Length: 17\r\n\r\n{\"accepted\":true}")), TransportConfig{})
	h.warmed(b, 1)
	b.ReportAllocs()
	for b.Loop() {
		if r := h.post(time.Minute); r.Outcome != exchange.OutcomeAccepted {
			b.Fatalf("got %+v", r)
		}
	}
}
