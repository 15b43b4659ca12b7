package e2e

import (
	"bytes"
	"fmt"
	"io"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"vendue/bench/house"
	"vendue/bench/world"
)

// fault is one bad request and what must be said of it.
type fault struct {
	name   string
	call   world.Call
	status int
	reason string
	fields []string // each must be among errors[].field
}

const goodLead = `{"zip":"85001","state":"AZ","age":41}`

func faults() []fault {
	post := func(path, body string) world.Call {
		return world.Call{Method: "POST", Path: path, Key: house.NorthKey, Body: []byte(body)}
	}
	with := func(c world.Call, change func(*world.Call)) world.Call { change(&c); return c }
	good := post("/v1/ping", `{"campaign":"north-auto","lead":`+goodLead+`}`)
	return []fault{
		{"no body", post("/v1/ping", ""), 400, "", nil},
		{"no JSON", post("/v1/ping", "campaign"), 400, "", nil},
		{"cut JSON", post("/v1/ping", `{"campaign":"north-auto","lead":{"zip":"85001"`), 400, "", nil},
		{"an array", post("/v1/ping", `[1,2]`), 400, "", nil},
		{"surplus text", post("/v1/ping", `{"campaign":"north-auto","lead":`+goodLead+`} x`), 400, "", nil},
		{"no key", with(good, func(c *world.Call) { c.Key = "" }), 401, "auth", nil},
		{"a wrong key", with(good, func(c *world.Call) { c.Key = "vd_nobody" }), 401, "auth", nil},
		{"a buyer's key", with(good, func(c *world.Call) { c.Key = house.BuyerKey("acme") }), 403, "", nil},
		{"another's campaign", post("/v1/ping", `{"campaign":"south-auto","lead":`+goodLead+`}`), 403, "", nil},
		{"no such campaign", post("/v1/ping", `{"campaign":"nowhere","lead":`+goodLead+`}`), 403, "", nil},
		{"no such path", world.Call{Method: "GET", Path: "/v1/nothing", Key: house.NorthKey}, 404, "", nil},
		{"no such lead", world.Call{Method: "GET", Path: "/v1/leads/" + strings.Repeat("0", 32), Key: house.NorthKey}, 404, "", nil},
		{"no lead_id at all", world.Call{Method: "GET", Path: "/v1/leads/x", Key: house.NorthKey}, 404, "", nil},
		{"a wrong method", with(good, func(c *world.Call) { c.Method = "PUT" }), 405, "", nil},
		{"a GET of a post", world.Call{Method: "GET", Path: "/v1/post", Key: house.NorthKey}, 405, "", nil},
		{"oversize", post("/v1/ping", `{"campaign":"north-auto","pad":"`+strings.Repeat("x", 70<<10)+`"}`), 413, "", nil},
		{"another type", with(good, func(c *world.Call) { c.Type = "text/xml" }), 415, "", nil},
		{"no campaign", post("/v1/ping", `{"lead":`+goodLead+`}`), 422, "missing_field", []string{"campaign"}},
		{"no lead", post("/v1/ping", `{"campaign":"north-auto"}`), 422, "missing_field", []string{"lead"}},
		{"an empty lead", post("/v1/ping", `{"campaign":"north-auto","lead":{}}`), 422, "missing_field", []string{"zip", "state", "age"}},
		{"all bad fields at once", post("/v1/ping", `{"campaign":"north-auto","min_price":-1,"lead":{"zip":"8500","state":"ZZ","age":7,"insured":"perhaps","credit":"superb"}}`),
			422, "invalid_field", []string{"min_price", "zip", "state", "age", "insured", "credit"}},
		{"a field of the wrong type", post("/v1/ping", `{"campaign":"north-auto","lead":{"zip":{"a":1},"state":["AZ"],"age":"many"}}`), 422, "invalid_field", []string{"zip", "state", "age"}},
		{"seven places", post("/v1/ping", `{"campaign":"north-auto","min_price":1.0000001,"lead":`+goodLead+`}`), 422, "invalid_field", []string{"min_price"}},
		{"an odd sale", post("/v1/ping", `{"campaign":"north-auto","sale":"rental","lead":`+goodLead+`}`), 422, "invalid_field", []string{"sale"}},
		{"a negative wait", post("/v1/ping", `{"campaign":"north-auto","max_wait_ms":-5,"lead":`+goodLead+`}`), 422, "invalid_field", []string{"max_wait_ms"}},
		{"no ping_id", post("/v1/post", `{"lead":`+goodLead+`}`), 422, "missing_field", []string{"ping_id"}},
		{"a direct without the person", post("/v1/direct", `{"campaign":"north-auto","lead":`+goodLead+`}`), 422, "missing_field", []string{"first_name", "last_name", "phone", "email"}},
		{"a bad phone", post("/v1/direct", `{"campaign":"north-auto","lead":{"zip":"85001","state":"AZ","age":41,"first_name":"A","last_name":"B","phone":"12","email":"nobody"}}`), 422, "invalid_field", []string{"phone", "email"}},
	}
}

func TestFaultsOfARequest(t *testing.T) {
	s := newScene(t)
	acme := s.buyer("acme", bids(20))
	s.start()
	for _, f := range faults() {
		t.Run(f.name, func(t *testing.T) {
			r, err := s.api.Do(f.call)
			if err != nil {
				t.Fatal(err)
			}
			checkProblem(t, &r, f)
		})
	}
	if n := acme.Counts(); n.Pings+n.Posts != 0 {
		t.Errorf("a bad request reached a buyer: %+v", n)
	}
	p := s.sell("")
	s.is(&p, 200, "status", "sold")
}

func checkProblem(t *testing.T, r *world.Reply, f fault) {
	t.Helper()
	if r.Status != f.status {
		t.Fatalf("want %d, got %d: %s", f.status, r.Status, cut(string(r.Body), 500))
	}
	if !strings.HasPrefix(r.Type, "application/problem+json") || r.Get("status").Int() != int64(f.status) || r.Get("title").String() == "" {
		t.Errorf("want a problem, got %s: %s", r.Type, r.Body)
	}
	if f.reason != "" && r.Get("reason").String() != f.reason {
		t.Errorf("want reason %s, got %s", f.reason, r.Body)
	}
	named := make(map[string]bool)
	for _, e := range r.Get("errors").Array() {
		named[strings.TrimPrefix(e.Get("field").String(), "lead.")] = true
		if e.Get("error").String() == "" {
			t.Errorf("an error without text: %s", r.Body)
		}
	}
	for _, field := range f.fields {
		if !named[field] {
			t.Errorf("field %s is not named: %s", field, r.Body)
		}
	}
	if len(f.fields) > 0 && len(named) != len(f.fields) {
		t.Errorf("want %d fields, got %s", len(f.fields), r.Body)
	}
}

func TestEitherHeaderCarriesTheKey(t *testing.T) {
	s := newScene(t)
	s.buyer("acme", bids(20))
	s.start()
	l := s.lead()
	body := pingBody(&l, "")
	c := dialRaw(t, s.cfg.Listen)
	_, err := fmt.Fprintf(c, "POST /v1/ping HTTP/1.1\r\nHost: x\r\nX-Api-Key: %s\r\nContent-Type: application/json\r\nContent-Length: %d\r\nConnection: close\r\n\r\n%s", house.NorthKey, len(body), body)
	s.ok(err)
	answer, err := io.ReadAll(c)
	if err != nil || !bytes.HasPrefix(answer, []byte("HTTP/1.1 200")) {
		t.Errorf("error %v: %s", err, answer)
	}
}

func dialRaw(t *testing.T, addr string) net.Conn {
	t.Helper()
	c, err := net.DialTimeout("tcp", addr, time.Second)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	_ = c.SetDeadline(time.Now().Add(5 * time.Second))
	return c
}

func TestRateLimitSaysWhenToComeBack(t *testing.T) {
	s := newScene(t)
	s.buyer("acme", bids(20))
	s.cfg.Campaign = []string{"window: 250ms", "floor: 5.00", "margin: 20%", "rate: {pings: 5, posts: 5}"}
	s.start()
	limited := 0
	for range 50 {
		l := s.lead()
		r := s.ping(&l, "")
		if r.Status == 429 {
			limited++
			if r.RetryAfter == "" || r.Get("reason").String() != "rate_limited" {
				t.Fatalf("want Retry-After and rate_limited: %q %s", r.RetryAfter, r.Body)
			}
		}
	}
	if limited < 30 {
		t.Errorf("50 pings at 5 a second: only %d were limited", limited)
	}
}

// TestOversizeIsRefusedBeforeItIsRead declares a huge body and never sends it.
func TestOversizeIsRefusedBeforeItIsRead(t *testing.T) {
	s := newScene(t)
	s.buyer("acme", bids(20))
	s.start()
	c := dialRaw(t, s.cfg.Listen)
	_, err := fmt.Fprintf(c, "POST /v1/ping HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer %s\r\nContent-Type: application/json\r\nContent-Length: 1000000000\r\n\r\n{", house.NorthKey)
	s.ok(err)
	head := make([]byte, 512)
	n, err := c.Read(head)
	if err != nil || !bytes.HasPrefix(head[:n], []byte("HTTP/1.1 413")) {
		t.Errorf("want 413 at once, got %q, error %v", head[:n], err)
	}
}

// TestTenThousandMalformedRequests sends every kind of nonsense and then
// expects the same goroutines, the same memory within a bound, and a good sale.
func TestTenThousandMalformedRequests(t *testing.T) {
	s := newScene(t)
	s.buyer("acme", bids(20))
	s.start()
	p := s.sell("")
	s.is(&p, 200, "status", "sold")
	before := s.vitals()
	list := faults()
	const clients, each = 16, 10_000 / 16
	var wg sync.WaitGroup
	for i := range clients {
		wg.Go(func() {
			c := world.NewClient(s.cfg.Listen, nil)
			defer c.Close()
			for n := range each {
				if n%20 == 0 {
					s.nonsense(n)
					continue
				}
				f := &list[(i+n)%len(list)]
				if r, err := c.Do(f.call); err == nil && r.Status != f.status && r.Status != 429 {
					t.Errorf("%s: want %d, got %d", f.name, f.status, r.Status)
				}
			}
		})
	}
	wg.Wait()
	p = s.sell("")
	s.is(&p, 200, "status", "sold")
	after := s.vitals()
	for deadline := time.Now().Add(5 * time.Second); after.goroutines > before.goroutines+20 && time.Now().Before(deadline); {
		after = s.vitals()
	}
	if after.goroutines > before.goroutines+20 {
		t.Errorf("goroutines grew from %.0f to %.0f:\n%s", before.goroutines, after.goroutines, cut(after.stacks, 4000))
	}
	if after.heap > before.heap+64<<20 {
		t.Errorf("memory in use grew from %.0f to %.0f bytes", before.heap, after.heap)
	}
}

// nonsense writes bytes that are hardly HTTP on a connection of its own.
func (s *scene) nonsense(n int) {
	c, err := net.DialTimeout("tcp", s.cfg.Listen, time.Second)
	if err != nil {
		s.t.Error(err)
		return
	}
	defer func() { _ = c.Close() }() // the other side closes too
	_ = c.SetDeadline(time.Now().Add(300 * time.Millisecond))
	texts := [...]string{
		"\x16\x03\x01\x02\x00\x01\x00", "GET\r\n\r\n", "POST /v1/ping HTTP/1.1\r\nContent-Length: -5\r\n\r\n",
		"POST /v1/ping HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n", "GET / HTTP/9.9\r\n\r\n",
		"POST /v1/ping HTTP/1.1\r\nHost: x\r\nContent-Length: 50\r\n\r\n{", strings.Repeat("A", 20_000), "\r\n\r\n\r\n",
	}
	_, _ = io.WriteString(c, texts[n/20%len(texts)]) // it may refuse at any byte
	_, _ = io.Copy(io.Discard, c)
}

// idleWorkers counts the server's pooled goroutines that wait for a connection:
// they are bounded, and end by themselves after some 20 s.
func idleWorkers(stacks string) (n float64) {
	_, stacks, _ = strings.Cut(stacks, "\n") // the total
	for block := range strings.SplitSeq(stacks, "\n\n") {
		head, frames, _ := strings.Cut(block, "\n")
		top, _, _ := strings.Cut(frames, "\n")
		var count float64
		if _, err := fmt.Sscan(head, &count); err == nil && strings.Contains(top, "(*workerPool).workerFunc") {
			n += count
		}
	}
	return n
}

type vitals struct {
	goroutines, heap float64
	stacks           string
}

// vitals reads goroutines and memory in use, after a collection, from the admin listener.
func (s *scene) vitals() vitals {
	s.t.Helper()
	r, err := s.admin.Fetch("/debug/pprof/heap?gc=1&debug=1", "")
	s.ok(err)
	s.is(&r, 200)
	var v vitals
	for line := range strings.Lines(string(r.Body)) {
		if rest, ok := strings.CutPrefix(line, "# HeapInuse = "); ok {
			_, err := fmt.Sscan(rest, &v.heap)
			s.ok(err)
		}
	}
	r, err = s.admin.Fetch("/debug/pprof/goroutine?debug=1", "")
	s.ok(err)
	v.stacks = string(r.Body)
	_, err = fmt.Sscanf(v.stacks, "goroutine profile: total %f", &v.goroutines)
	s.ok(err)
	v.goroutines -= idleWorkers(v.stacks)
	return v
}
