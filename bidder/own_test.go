package bidder

import (
	"errors"
	"net"
	"testing"
	"time"

	"vendue/exchange"
)

// echoWire is a buyer without a network: what it is asked, it has answered.
type echoWire struct {
	answer string
	asked  bool
}

func (w *echoWire) tryRead(p []byte) (int, error) {
	if !w.asked {
		return 0, errWouldBlock
	}
	w.asked = false
	return copy(p, w.answer), nil
}

func (w *echoWire) read(p []byte, _ time.Time) (int, error) { return w.tryRead(p) }

func (w *echoWire) tryWrite(p []byte) (int, error) {
	w.asked = true
	return len(p), nil
}

func (w *echoWire) write(p []byte, _ time.Time) (int, error) { return w.tryWrite(p) }
func (w *echoWire) settled() bool                            { return true }
func (w *echoWire) close()                                   {}

// echoConns is how many asks a house of theirs has connections for at once.
const echoConns = 8

// echoHouse has buyers whose answers cost nothing, so that what is measured is our own work.
func echoHouse(b *testing.B, buyers int, answer string) *house {
	var urls []string
	for i := range buyers {
		urls = append(urls, "http://127.0.0.1:"+string(rune('1'+i/10))+string(rune('0'+i%10))+"/ping")
	}
	refuse := func(string, string, time.Duration) (net.Conn, error) { return nil, errors.New("no network") }
	h := newHouse(b, market(urls...), TransportConfig{Dial: refuse})
	for _, c := range h.contracts {
		host := c.ping[0].host
		for range echoConns {
			host.mu.Lock()
			host.open++
			host.mu.Unlock()
			host.keep(&conn{wire: &echoWire{answer: answer}, host: host, born: time.Now()}, time.Now(), 0)
		}
	}
	return h
}

const echoBid = "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 98\r\nConnection: keep-alive\r\n\r\n" +
	`{"status":"accepted","bid":21.50,"bid_id":"b1-8f14e45fceea167a","expires_in":30,"exclusive":false}`

// BenchmarkOwn is what an ask of ten buyers, and a post, cost besides the kernel.
func BenchmarkOwn(b *testing.B) {
	b.Run("ask", func(b *testing.B) {
		h := echoHouse(b, 10, echoBid)
		a := h.newAsk(time.Second)
		for b.Loop() {
			a.Start = time.Now()
			a.Deadline = a.Start.Add(time.Second)
			h.Ask(a)
		}
		if r := a.Answers[9]; r.Bid != 21500000 {
			b.Fatalf("got %+v", r)
		}
	})
	b.Run("asks at once", func(b *testing.B) {
		h := echoHouse(b, 10, echoBid)
		b.RunParallel(func(pb *testing.PB) {
			a := h.newAsk(time.Second)
			for pb.Next() {
				a.Start = time.Now()
				a.Deadline = a.Start.Add(time.Second)
				h.Ask(a)
			}
		})
	})
	b.Run("post", func(b *testing.B) {
		h := echoHouse(b, 1, "HTTP/1.1 200 OK\r\nContent-Length: 17\r\n\r\n{\"accepted\":true}")
		d := h.delivery(time.Hour)
		for b.Loop() {
			if r := h.Post(d); r.Outcome != exchange.OutcomeAccepted {
				b.Fatalf("got %+v", r)
			}
		}
	})
}
