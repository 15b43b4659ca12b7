package bidder

import (
	"net"
	"strings"
	"testing"
	"time"

	"vendue/exchange"
)

// asker is a bidder whose one contract has a status URL at a stub.
func asker(t *testing.T, serve func(net.Conn, *seen) bool) (*house, *stub, *exchange.Inquiry) {
	s := newStub(t, serve)
	cfg := market(s.url())
	cfg.Contracts[0].Status = Endpoint{
		URL:     "http://" + s.ln.Addr().String() + "/status/{lead_id}/{token}?bid={bid_id}&ref={token}",
		TestURL: "http://" + s.ln.Addr().String() + "/test?lead={lead_id}",
		Headers: []Header{{"Authorization", "Bearer x"}},
	}
	h := newHouse(t, cfg, TransportConfig{})
	return h, s, &exchange.Inquiry{
		Leg: 3, Contract: h.contracts[0].terms, Token: "a/b?c=%&d é\r\nX: y", Deadline: time.Now().Add(10 * time.Second),
	}
}

func TestStatusAsks(t *testing.T) {
	h, s, q := asker(t, ok(`{"accepted":true,"id":"b-7"}`))
	for range 2 {
		if f := h.Status(q); !f.Known || !f.Accepted || f.BuyerRef != "b-7" {
			t.Fatalf("got %+v", f)
		}
	}
	q.Test = true
	h.Status(q)
	got := s.requests()
	if len(got) != 3 {
		t.Fatalf("asked %d times, want 3", len(got))
	}
	const token = "a%2Fb%3Fc%3D%25%26d%20%C3%A9%0D%0AX%3A%20y"
	lead := q.LeadID.String()
	want := "/status/" + lead + "/" + token + "?bid=" + string(exchange.AppendBidID(nil, q.PingID, 3)) + "&ref=" + token
	if r := got[0].req; r.Method != "GET" || r.RequestURI != want || r.Header.Get("Authorization") != "Bearer x" ||
		r.Header.Get("Accept") != "application/json" || r.ContentLength != 0 || got[0].body != "" {
		t.Errorf("asked %s %s %v, want GET %s", r.Method, r.RequestURI, r.Header, want)
	}
	if got[2].req.RequestURI != "/test?lead="+lead {
		t.Errorf("a test asked %s", got[2].req.RequestURI)
	}
	if n := h.count(`vendue_bidder_statuses_total{contract="c0",verdict="accepted"}`); n != 3 {
		t.Errorf("%d verdicts are counted, want 3", n)
	}
}

// What is no whole readable verdict is none, and never an error or a guess.
func TestStatusWithoutVerdict(t *testing.T) {
	for name, serve := range map[string]func(net.Conn, *seen) bool{
		"404":       raw("HTTP/1.1 404 Not Found\r\nContent-Length: 18\r\n\r\n{\"accepted\":false}"),
		"302":       raw("HTTP/1.1 302 Found\r\nLocation: /y\r\nContent-Length: 0\r\n\r\n"),
		"500":       raw("HTTP/1.1 500 Oops\r\nContent-Length: 17\r\n\r\n{\"accepted\":true}"),
		"hang":      hang,
		"half":      raw("HTTP/1.1 200 OK\r\nContent-Length: 17\r\n\r\n{\"acc"),
		"truncated": rawClose("HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\n{\"accepted\":true}"),
		"reset":     reset,
		"two":       raw("HTTP/1.1 200 OK\r\nContent-Length: 17\r\n\r\n{\"accepted\":true}HTTP/1.1 200 OK\r\n"),
		"garbage":   rawClose("garbage\r\n"),
	} {
		t.Run(name, func(t *testing.T) {
			h, _, q := asker(t, serve)
			if name == "hang" || name == "half" {
				q.Deadline = time.Now().Add(50 * time.Millisecond)
			}
			if f := h.Status(q); f.Known || f.Accepted || f.Detail == "" {
				t.Errorf("got %+v", f)
			}
		})
	}
	h, s, q := asker(t, ok(`{"accepted":true}`))
	s.stop()
	if f := h.Status(q); f.Known || f.Detail == "" {
		t.Errorf("nobody there: got %+v", f)
	}
}

func TestParseStatusURL(t *testing.T) {
	for text, want := range map[string]string{
		"https://a.example/s/{lead_id}":        "",
		"https://a.example?id={bid_id}&x=%20y": "",
		"http://a.example:81/{token}":          "",
		"a.example/{lead_id}":                  "absolute http or https",
		"ftp://a.example/{lead_id}":            "http or https",
		"https:///{lead_id}":                   "a host",
		"https://{lead_id}.example/":           "path or query only",
		"https://u:hunter2@a.example/{token}":  "no user and password",
		"https://a.example/s":                  "every lead has one answer",
		"https://a.example/{lead}":             "placeholders",
		"https://a.example/{lead_id":           "placeholders",
		"https://a.example/}{lead_id}":         "printable ASCII",
		"https://a.example/{lead_id}#x":        "without a # part",
		"https://a.example/{lead_id}/\r\nX: y": "printable ASCII",
		"https://a.example/ü/{lead_id}":        "printable ASCII",
	} {
		u, err := ParseStatusURL(text)
		switch {
		case want == "" && err != nil, want != "" && (err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "hunter2")):
			t.Errorf("%q: got %v, want %q", text, err, want)
		case want == "" && u.Uses("token") != strings.Contains(text, "{token}"):
			t.Errorf("%q: uses a token: %t", text, u.Uses("token"))
		}
	}
	cfg := market("http://a/")
	cfg.Contracts[0].Status.URL = "http://a/nothing"
	tr := newHouse(t, market("http://a/"), TransportConfig{}).t
	if _, err := New(cfg, tr); err == nil || !strings.Contains(err.Error(), "contract c0: status: ") {
		t.Errorf("got %v", err)
	}
}
