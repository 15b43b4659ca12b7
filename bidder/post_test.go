package bidder

import (
	"bufio"
	"io"
	"net"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"vendue/exchange"

	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"
)

func TestPostOutcomes(t *testing.T) {
	cases := []struct {
		name    string
		serve   func(net.Conn, *seen) bool
		outcome exchange.Outcome
		reason  exchange.Reason
		status  int
	}{
		{"accept", ok(`{"accepted":true,"id":"b-1"}`), exchange.OutcomeAccepted, exchange.ReasonNone, 200},
		{"accept then close", rawClose("HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 17\r\n\r\n{\"accepted\":true}"), exchange.OutcomeAccepted, exchange.ReasonNone, 200},
		{"accept with a stray line end", raw("HTTP/1.1 200 OK\r\nContent-Length: 17\r\n\r\n{\"accepted\":true}\r\n"), exchange.OutcomeAccepted, exchange.ReasonNone, 200},
		{"reject", ok(`{"accepted":false}`), exchange.OutcomeRejected, exchange.ReasonPostRejected, 200},
		{"duplicate", ok(`{"accepted":false,"reason":"Duplicate"}`), exchange.OutcomeRejected, exchange.ReasonDuplicate, 200},
		{"404", raw("HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n"), exchange.OutcomeRejected, exchange.ReasonPostRejected, 404},
		{"422 duplicate", raw("HTTP/1.1 422 No\r\nContent-Length: 22\r\n\r\n{\"reason\":\"duplicate\"}"), exchange.OutcomeRejected, exchange.ReasonDuplicate, 422},
		{"408", raw("HTTP/1.1 408 Slow\r\nContent-Length: 0\r\n\r\n"), exchange.OutcomeUnknown, exchange.ReasonBuyerError, 408},
		{"500", raw("HTTP/1.1 500 Oops\r\nContent-Length: 0\r\n\r\n"), exchange.OutcomeUnknown, exchange.ReasonBuyerError, 500},
		{"503 that says no", raw("HTTP/1.1 503 Oops\r\nContent-Length: 18\r\n\r\n{\"accepted\":false}"), exchange.OutcomeUnknown, exchange.ReasonBuyerError, 503},
		{"302", raw("HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:1/\r\nContent-Length: 0\r\n\r\n"), exchange.OutcomeUnknown, exchange.ReasonBuyerError, 302},
		{"html", ok("<html>thank you</html>"), exchange.OutcomeUnknown, exchange.ReasonBuyerError, 200},
		{"204", raw("HTTP/1.1 204 No Content\r\n\r\n"), exchange.OutcomeUnknown, exchange.ReasonBuyerError, 204},
		{"hang", hang, exchange.OutcomeUnknown, exchange.ReasonTimeout, 0},
		{"half an answer", raw("HTTP/1.1 200 OK\r\nContent-Length: 17\r\n\r\n{\"acc"), exchange.OutcomeUnknown, exchange.ReasonTimeout, 0},
		{"reset after the body", reset, exchange.OutcomeUnknown, exchange.ReasonBuyerError, 0},
		{"close after the body", rawClose(""), exchange.OutcomeUnknown, exchange.ReasonBuyerError, 0},
		{"truncated accept", rawClose("HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\n{\"accepted\":true}"), exchange.OutcomeUnknown, exchange.ReasonBuyerError, 200},
		{"two answers", raw("HTTP/1.1 200 OK\r\nContent-Length: 17\r\n\r\n{\"accepted\":true}HTTP/1.1 200 OK\r\n"), exchange.OutcomeUnknown, exchange.ReasonBuyerError, 200},
		{"garbage", rawClose("garbage\r\n"), exchange.OutcomeUnknown, exchange.ReasonBuyerError, 0},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			s := newStub(t, c.serve)
			h := newHouse(t, market(s.url()), TransportConfig{})
			window := 10 * time.Second
			if c.reason == exchange.ReasonTimeout {
				window = 50 * time.Millisecond
			}
			r := h.post(window)
			if r.Outcome != c.outcome || r.Reason != c.reason || r.Status != c.status || r.Elapsed <= 0 {
				t.Fatalf("got %+v", r)
			}
			if n := len(s.requests()); n != 1 {
				t.Fatalf("posted %d times", n)
			}
		})
	}
}

// A body that could not be written whole cannot have been taken.
func TestPostNotFullyWritten(t *testing.T) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = ln.Close() }()
	h := newHouse(t, market("http://"+ln.Addr().String()+"/"), TransportConfig{}) // accepts by the backlog, reads nothing
	d := h.delivery(0)
	d.Lead.Values[0].Text = strings.Repeat("9", 16<<20) // more than the sockets hold
	d.Deadline = time.Now().Add(2 * time.Second)        // most of it to write the body out
	r := h.Post(d)
	if r.Outcome != exchange.OutcomeNotDelivered || r.Reason != exchange.ReasonTimeout {
		t.Fatalf("got %+v", r)
	}
}

func TestPostNoTime(t *testing.T) {
	s := newStub(t, ok(`{"accepted":true}`))
	h := newHouse(t, market(s.url()), TransportConfig{})
	h.warmed(t, 8) // a socket that is ready would take the lead even now
	if r := h.post(-time.Second); r.Outcome != exchange.OutcomeNotDelivered || r.Reason != exchange.ReasonNoTime {
		t.Fatalf("got %+v", r)
	}
	if len(s.requests()) > 0 {
		t.Fatal("posted after the deadline")
	}
}

// A kept connection that the buyer closed before we write is seen, and another is used.
func TestPostKeptConnectionClosed(t *testing.T) {
	s := newStub(t, ok(`{"accepted":true}`))
	h := newHouse(t, market(s.url()), TransportConfig{})
	h.warmed(t, 8)
	eventually(t, "the kernel knows of every close", func() bool {
		s.hangUp() // also those that were accepted since
		host := h.contracts[0].post[0].host
		host.mu.Lock()
		defer host.mu.Unlock()
		for _, c := range host.idle {
			if c.quiet() {
				return false
			}
		}
		return true
	})
	if r := h.post(10 * time.Second); r.Outcome != exchange.OutcomeAccepted {
		t.Fatalf("got %+v", r)
	}
	if n := len(s.requests()); n != 1 {
		t.Fatalf("posted %d times", n)
	}
}

func TestPostHeaders(t *testing.T) {
	secret := []byte("a secret of some length")
	s := newStub(t, ok(`{"accepted":true,"id":7,"redirect_url":"https://b.example/go","price":20}`))
	cfg := market(s.url())
	cfg.Contracts[0].Secret = secret
	h := newHouse(t, cfg, TransportConfig{})
	for range 2 {
		r := h.post(10 * time.Second)
		if r.Outcome != exchange.OutcomeAccepted || r.BuyerRef != "7" || r.RedirectURL != "https://b.example/go" || !r.PriceChanged {
			t.Fatalf("got %+v", r)
		}
	}
	if n := h.count(`vendue_bidder_price_changed_total{contract="c0"}`); n != 2 {
		t.Errorf("price_changed: %d", n)
	}
	got := s.requests()
	wh, err := standardwebhooks.NewWebhookRaw(secret)
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range got {
		if err := wh.Verify([]byte(r.body), r.req.Header); err != nil {
			t.Fatal(err)
		}
	}
	key := got[0].req.Header.Get("Idempotency-Key")
	if key == "" || key != got[1].req.Header.Get("Idempotency-Key") || !strings.HasSuffix(key, "-2") || key != got[0].req.Header.Get("webhook-id") {
		t.Fatalf("idempotency key %q", key)
	}
}

// Tests go to their own URL where there is one.
func TestTestURL(t *testing.T) {
	live, test := newStub(t, ok(`{"accepted":true,"bid":1}`)), newStub(t, ok(`{"accepted":true,"bid":2}`))
	cfg := market(live.url())
	cfg.Contracts[0].Ping.TestURL, cfg.Contracts[0].Post.TestURL = test.url(), test.url()
	h := newHouse(t, cfg, TransportConfig{})
	a := h.newAsk(10 * time.Second)
	a.Test = true
	h.Ask(a)
	d := h.delivery(10 * time.Second)
	d.Test = true
	if r := h.Post(d); a.Answers[0].Bid != 2*exchange.Micro || r.Outcome != exchange.OutcomeAccepted || len(live.requests()) > 0 {
		t.Fatalf("got %+v, %+v", a.Answers[0], r)
	}
}

// No detail, metric or reason repeats what a buyer or a consumer said.
func TestNothingPersonalLeaks(t *testing.T) {
	const marker = "+16025550100"
	for _, body := range []string{marker, `{"bid":"` + marker + `"}`, `{"bid":1,"token":["` + marker + `"]}`, `{"accepted":"` + marker + `"}`} {
		h := newHouse(t, market(newStub(t, ok(body)).url()), TransportConfig{})
		a, r := h.ask(10*time.Second), h.post(10*time.Second)
		var metrics strings.Builder
		h.ms.WritePrometheus(&metrics)
		if strings.Contains(a.Answers[0].Detail+r.Detail+metrics.String(), marker[1:]) {
			t.Fatalf("%s: %q %q", body, a.Answers[0].Detail, r.Detail)
		}
	}
}

// Only a request in flight separates a reset that lost the lead from one that
// did not: before the last byte is written the buyer cannot have it, and it is not sent twice.
func TestPostResetWithinTheBody(t *testing.T) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = ln.Close() }()
	var requests atomic.Int32
	go func() {
		for {
			nc, err := ln.Accept()
			if err != nil {
				return
			}
			go func() {
				br := bufio.NewReader(nc)
				if req, err := http.ReadRequest(br); err == nil {
					requests.Add(1)
					_, _ = io.CopyN(io.Discard, req.Body, 1<<20)
				}
				reset(nc, nil)
				_ = nc.Close()
			}()
		}
	}()
	h := newHouse(t, market("http://"+ln.Addr().String()+"/"), TransportConfig{})
	h.warmed(t, 8)
	d := h.delivery(10 * time.Second)
	d.Lead.Values[0].Text = strings.Repeat("9", 64<<20)
	if r := h.Post(d); r.Outcome != exchange.OutcomeNotDelivered {
		t.Fatalf("got %+v", r)
	}
	if n := requests.Load(); n != 1 {
		t.Fatalf("posted %d times", n)
	}
}
