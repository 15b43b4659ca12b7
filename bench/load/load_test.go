//go:build linux

package load

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

func serve(t *testing.T, h http.HandlerFunc) netip.AddrPort {
	t.Helper()
	ln, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := &http.Server{Handler: h}
	var wg sync.WaitGroup
	wg.Go(func() { _ = s.Serve(ln) })
	t.Cleanup(func() {
		_ = s.Close()
		wg.Wait()
	})
	return ln.Addr().(*net.TCPAddr).AddrPort()
}

// say answers; a client that hung up needs no answer.
func say(w http.ResponseWriter, text string) { _, _ = io.WriteString(w, text) }

func run1(t *testing.T, p *Plan) *Result {
	t.Helper()
	r, err := Run(context.Background(), p)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// A unit of two steps carries one serial and the id of its own first answer, on every connection.
func TestSteps(t *testing.T) {
	var mu sync.Mutex
	seen := make(map[string]int)
	addr := serve(t, func(w http.ResponseWriter, r *http.Request) {
		q := r.URL.Query()
		id := fmt.Sprintf("%032s", q.Get("n"))
		switch {
		case r.URL.Path == "/one":
			say(w, `{"id":"`+id+`"}`)
		case q.Get("id") != id || r.Header.Get("Authorization") != "Bearer k":
			w.WriteHeader(http.StatusBadRequest)
		default:
			mu.Lock()
			seen[id]++
			mu.Unlock()
			say(w, "good")
		}
	})
	r := run1(t, &Plan{Addr: addr, Conns: 4, Measure: 50 * time.Millisecond, Serial: 7, PID: os.Getpid(), Steps: []Step{
		NewStep(Call{Method: "GET", Path: "/one?n=" + SerialMark, Take: `"id":"`}),
		NewStep(Call{Method: "GET", Path: "/two?n=" + SerialMark + "&id=" + TakenMark, Key: "k", Want: "good"}),
	}})
	mu.Lock()
	defer mu.Unlock()
	if r.Done == 0 || r.Bad > 0 || r.Errors > 0 || r.Latency.TotalCount() != r.Done {
		t.Fatalf("the run did %d units, %d bad (%s), %d broken, %d latencies", r.Done, r.Bad, r.Example, r.Errors, r.Latency.TotalCount())
	}
	if int64(len(seen)) < r.Done || int64(len(seen)) > r.All {
		t.Errorf("%d different serials came; expected at least the %d done and at most the %d started", len(seen), r.Done, r.All)
	}
	if first := fmt.Sprintf("%032d", 7); seen[first] != 1 {
		t.Errorf("the first serial came %d times; expected once", seen[first])
	}
}

// A server that stalls once makes every request that was due meanwhile late, though few were sent.
func TestIntendedStart(t *testing.T) {
	var n atomic.Int64
	addr := serve(t, func(w http.ResponseWriter, _ *http.Request) {
		if n.Add(1) == 10 {
			stalled := time.NewTimer(200 * time.Millisecond)
			<-stalled.C
		}
		say(w, "ok")
	})
	r := run1(t, &Plan{Addr: addr, Conns: 1, Rate: 500, Measure: 400 * time.Millisecond, Steps: []Step{NewStep(Call{Method: "GET", Path: "/"})}})
	if r.Done < 100 {
		t.Fatalf("%d units in 400 ms at 500/s", r.Done)
	}
	if p := r.Latency.ValueAtQuantile(75); p < 20_000 {
		t.Errorf("the third quartile is %d us: the stall was counted once, not for each request that it delayed", p)
	}
}

// The rate is what was asked for, and one that cannot be kept shows as late units.
func TestRate(t *testing.T) {
	addr := serve(t, func(w http.ResponseWriter, _ *http.Request) {
		wait := time.NewTimer(20 * time.Millisecond)
		<-wait.C
		say(w, "ok")
	})
	step := []Step{NewStep(Call{Method: "GET", Path: "/"})}
	r := run1(t, &Plan{Addr: addr, Conns: 50, Rate: 200, Measure: 500 * time.Millisecond, Steps: step})
	if r.All < 80 || r.All > 105 {
		t.Errorf("%d units were sent in half a second at 200/s", r.All)
	}
	r = run1(t, &Plan{Addr: addr, Conns: 1, Rate: 1000, Measure: 300 * time.Millisecond, Steps: step})
	if r.Late < 100 {
		t.Errorf("%d units are late where one connection can carry 15 of 300", r.Late)
	}
}

// What is not a good answer counts as bad and never as done.
func TestBad(t *testing.T) {
	for name, h := range map[string]http.HandlerFunc{
		"status":  func(w http.ResponseWriter, _ *http.Request) { http.Error(w, "sold", http.StatusTeapot) },
		"text":    func(w http.ResponseWriter, _ *http.Request) { say(w, "unsold?") },
		"chunked": func(w http.ResponseWriter, _ *http.Request) { w.(http.Flusher).Flush(); say(w, "sold!") },
	} {
		addr := serve(t, h)
		r, err := Run(context.Background(), &Plan{Addr: addr, Conns: 2, Rate: 500, Measure: 50 * time.Millisecond,
			Steps: []Step{NewStep(Call{Method: "POST", Path: "/", Body: "{}", Want: "sold!"})}})
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if r.Done > 0 || r.Bad == 0 || r.Example == "" {
			t.Errorf("%s: %d done, %d bad, example %q", name, r.Done, r.Bad, r.Example)
		}
	}
}

// A server that is gone, or hangs up for ever, ends the run; so does the context.
func TestEnds(t *testing.T) {
	step := []Step{NewStep(Call{Method: "GET", Path: "/"})}
	dead := netip.MustParseAddrPort("127.0.0.1:1")
	if _, err := Run(context.Background(), &Plan{Addr: dead, Conns: 1, Measure: time.Second, Steps: step}); err == nil {
		t.Error("a server that is not there passes")
	}
	addr := serve(t, func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) })
	if _, err := Run(context.Background(), &Plan{Addr: addr, Conns: 1, Measure: time.Minute, Steps: step}); err == nil || !strings.Contains(err.Error(), "broke") {
		t.Errorf("a server that hangs up gives %v", err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	addr = serve(t, func(w http.ResponseWriter, _ *http.Request) { say(w, "ok") })
	if _, err := Run(ctx, &Plan{Addr: addr, Conns: 1, Measure: time.Minute, Steps: step}); !errors.Is(err, context.Canceled) {
		t.Errorf("a cancelled run gives %v", err)
	}
	if _, err := Run(context.Background(), &Plan{Addr: addr, Conns: 0, Measure: time.Minute, Steps: step}); err == nil {
		t.Error("a plan without connections passes")
	}
}

func TestProc(t *testing.T) {
	before, err := CPU(os.Getpid())
	if err != nil {
		t.Fatal(err)
	}
	for start := time.Now(); time.Since(start) < 60*time.Millisecond; {
		_ = NewStep(Call{Method: "GET", Path: "/"})
	}
	if after, err := CPU(os.Getpid()); err != nil || after <= before {
		t.Errorf("60 ms of work cost %s: %v", after-before, err)
	}
	if now, most, err := RSS(os.Getpid()); err != nil || now <= 0 || most < now {
		t.Errorf("RSS gives %d, %d, %v", now, most, err)
	}
	if _, err := CPU(-1); err == nil {
		t.Error("the CPU of no process is told")
	}
}
