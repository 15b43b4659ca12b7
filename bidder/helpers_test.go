package bidder

import (
	"bufio"
	"io"
	"net"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"vendue/exchange"

	"github.com/VictoriaMetrics/metrics"
	"github.com/rs/zerolog"
)

// stub is a buyer whose manner is a function of each request on a connection.
// serve returns false to close it.
type stub struct {
	t     *testing.T
	ln    net.Listener
	serve func(nc net.Conn, r *seen) bool

	mu    sync.Mutex
	conns map[net.Conn]struct{}
	got   []seen
	ended sync.WaitGroup
}

// seen is one request as the stub read it.
type seen struct {
	nth  int // on its connection, from 0
	req  *http.Request
	body string
}

func newStub(t *testing.T, serve func(nc net.Conn, r *seen) bool) *stub {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	return startStub(t, ln, serve)
}

func startStub(t *testing.T, ln net.Listener, serve func(nc net.Conn, r *seen) bool) *stub {
	s := &stub{t: t, ln: ln, serve: serve, conns: make(map[net.Conn]struct{})}
	s.ended.Go(s.accept)
	t.Cleanup(s.stop)
	return s
}

func (s *stub) stop() {
	_ = s.ln.Close()
	s.mu.Lock()
	for nc := range s.conns {
		_ = nc.Close()
	}
	s.conns = nil
	s.mu.Unlock()
	s.ended.Wait()
}

func (s *stub) accept() {
	for {
		nc, err := s.ln.Accept()
		if err != nil {
			return
		}
		s.mu.Lock()
		if s.conns == nil {
			s.mu.Unlock()
			_ = nc.Close()
			return
		}
		s.conns[nc] = struct{}{}
		s.mu.Unlock()
		s.ended.Go(func() { s.handle(nc) })
	}
}

func (s *stub) handle(nc net.Conn) {
	defer func() { _ = nc.Close() }()
	br := bufio.NewReader(nc)
	for nth := 0; ; nth++ {
		req, err := http.ReadRequest(br)
		if err != nil {
			return
		}
		body, err := io.ReadAll(req.Body)
		if err != nil {
			return
		}
		r := seen{nth: nth, req: req, body: string(body)}
		s.mu.Lock()
		s.got = append(s.got, r)
		s.mu.Unlock()
		if !s.serve(nc, &r) {
			return
		}
	}
}

// requests returns what has come so far.
func (s *stub) requests() []seen {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]seen(nil), s.got...)
}

// hangUp closes every connection the stub has.
func (s *stub) hangUp() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for nc := range s.conns {
		_ = nc.Close()
	}
}

func (s *stub) url() string { return "http://" + s.ln.Addr().String() + "/x?k=1" }

// ok writes a plain answer.
func ok(body string) func(net.Conn, *seen) bool {
	return raw("HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: " + strconv.Itoa(len(body)) + "\r\n\r\n" + body)
}

// raw writes bytes as they are and keeps the connection.
func raw(text string) func(net.Conn, *seen) bool {
	return func(nc net.Conn, _ *seen) bool {
		_, err := io.WriteString(nc, text)
		return err == nil
	}
}

// rawClose writes bytes as they are and closes the connection.
func rawClose(text string) func(net.Conn, *seen) bool {
	return func(nc net.Conn, _ *seen) bool {
		_, _ = io.WriteString(nc, text)
		return false
	}
}

// hang answers nothing.
func hang(nc net.Conn, _ *seen) bool { return true }

// reset closes with an RST.
func reset(nc net.Conn, _ *seen) bool {
	if tcp, ok := nc.(*net.TCPConn); ok {
		_ = tcp.SetLinger(0)
	}
	return false
}

var testVertical = &exchange.Vertical{
	ID: "auto",
	Fields: []exchange.Field{
		{Name: "zip", Kind: exchange.FieldZip, Ping: exchange.NeedRequired},
		{Name: "age", Kind: exchange.FieldInt, Ping: exchange.NeedRequired},
		{Name: "phone", Kind: exchange.FieldPhone, Post: exchange.NeedRequired, Personal: true},
	},
}

func testLead() *exchange.Lead {
	return &exchange.Lead{Vertical: testVertical, Values: []exchange.Value{
		{Text: "85001", Set: true}, {Text: "41", Num: 41, Set: true}, {Text: "+16025550100", Set: true},
	}}
}

// market makes contracts c0, c1, .. one per URL, each asked and posted to there.
func market(urls ...string) Config {
	var cfg Config
	for i, u := range urls {
		cfg.Contracts = append(cfg.Contracts, Contract{
			Terms: &exchange.Contract{
				ID: exchange.ContractID("c" + strconv.Itoa(i)), Index: i, Vertical: testVertical,
				Sale: exchange.SaleExclusive, Pinged: true, PingTimeout: time.Minute, MaxBid: 100 * exchange.Micro,
			},
			Ping: Endpoint{URL: u}, Post: Endpoint{URL: u},
		})
	}
	return cfg
}

// house is a bidder under test.
type house struct {
	*Bidder
	ms *metrics.Set
}

func newHouse(t testing.TB, cfg Config, tc TransportConfig) *house {
	t.Helper()
	ms := metrics.NewSet()
	tr := NewTransport(tc, zerolog.Nop(), ms)
	t.Cleanup(func() {
		if err := tr.Close(); err != nil {
			t.Error(err)
		}
	})
	b, err := New(cfg, tr)
	if err != nil {
		t.Fatal(err)
	}
	return &house{b, ms}
}

func (h *house) newAsk(window time.Duration) *exchange.Ask {
	a := &exchange.Ask{Lead: testLead(), Sale: exchange.SaleAny, Start: time.Now()}
	a.Deadline = a.Start.Add(window)
	for _, c := range h.contracts {
		a.Contracts = append(a.Contracts, c.terms)
	}
	return a
}

func (h *house) ask(window time.Duration) *exchange.Ask {
	a := h.newAsk(window)
	h.Ask(a)
	return a
}

func (h *house) post(window time.Duration) exchange.Receipt {
	return h.Post(h.delivery(window))
}

func (h *house) delivery(window time.Duration) *exchange.Delivery {
	return &exchange.Delivery{
		Leg: 2, Contract: h.contracts[0].terms, Token: "tok", Price: 21500000, Lead: testLead(),
		Consent:  &exchange.Consent{Given: true, Raw: `{"page_url":"https://a.example"}`},
		Deadline: time.Now().Add(window),
	}
}

// count returns a counter's value by its whole name.
func (h *house) count(name string) uint64 { return h.ms.GetOrCreateCounter(name).Get() }

// eventually waits for something that another goroutine is about to do.
func eventually(t *testing.T, what string, done func() bool) {
	t.Helper()
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for end := time.Now().Add(10 * time.Second); time.Now().Before(end); <-tick.C {
		if done() {
			return
		}
	}
	t.Fatalf("never happened: %s", what)
}

func mustReason(t *testing.T, a *exchange.Answer, want exchange.Reason, detail string) {
	t.Helper()
	if a.Reason != want || !strings.Contains(a.Detail, detail) {
		t.Fatalf("got reason %q (%s), want %q (%s)", a.Reason, a.Detail, want, detail)
	}
}

// warmed waits until every buyer has n connections ready.
func (h *house) warmed(t testing.TB, n int) {
	t.Helper()
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for end := time.Now().Add(10 * time.Second); time.Now().Before(end); <-tick.C {
		ready := true
		for _, c := range h.contracts {
			host := c.post[0].host
			host.mu.Lock()
			ready = ready && len(host.idle) >= n
			host.mu.Unlock()
		}
		if ready {
			return
		}
	}
	t.Fatal("the connections were never ready")
}
