package postback_test

import (
	"fmt"
	"net"
	"os"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/VictoriaMetrics/metrics"
	"github.com/rs/zerolog"
	"github.com/valyala/fasthttp"
	"github.com/valyala/fasthttp/fasthttputil"

	"vendue/attribution/internal/fake"
	"vendue/attribution/postback"
	"vendue/exchange"
)

// TestMain warms fasthttp outside any bubble: it starts a process-wide goroutine once.
func TestMain(m *testing.M) {
	ln := fasthttputil.NewInmemoryListener()
	go func() { _ = fasthttp.Serve(ln, func(*fasthttp.RequestCtx) {}) }()
	c := fasthttp.HostClient{Addr: "warm", Dial: func(string) (net.Conn, error) { return ln.Dial() }}
	if _, _, err := c.Get(nil, "http://warm/"); err != nil {
		panic(err)
	}
	os.Exit(m.Run())
}

// world is a set of trackers in memory, by host.
type world struct {
	t         *testing.T
	mu        sync.Mutex
	listeners map[string]*fasthttputil.InmemoryListener
	got       map[string][]receipt // by host
	servers   []*fasthttp.Server
	silent    int // dials of hosts that do not answer
}

type receipt struct {
	at  time.Time
	uri string
}

func newWorld(t *testing.T) *world {
	return &world{t: t, listeners: make(map[string]*fasthttputil.InmemoryListener), got: make(map[string][]receipt)}
}

// tracker opens a tracker that answers by handler.
func (w *world) tracker(host string, handler func(n int, ctx *fasthttp.RequestCtx)) {
	ln := fasthttputil.NewInmemoryListener()
	srv := &fasthttp.Server{Logger: quiet{}, Handler: func(ctx *fasthttp.RequestCtx) {
		w.mu.Lock()
		w.got[host] = append(w.got[host], receipt{time.Now(), string(ctx.RequestURI())})
		n := len(w.got[host])
		w.mu.Unlock()
		handler(n, ctx)
	}}
	w.listeners[host+":80"] = ln
	w.servers = append(w.servers, srv)
	go func() { _ = srv.Serve(ln) }()
}

type quiet struct{}

func (quiet) Printf(string, ...any) {}

func (w *world) receipts(host string) []receipt {
	w.mu.Lock()
	defer w.mu.Unlock()
	return append([]receipt(nil), w.got[host]...)
}

// dial connects to a tracker; a host without one does not answer at all, one called dead-.. refuses.
func (w *world) dial(_, addr string, timeout time.Duration) (net.Conn, error) {
	if ln := w.listeners[addr]; ln != nil {
		return ln.Dial()
	}
	if strings.HasPrefix(addr, "dead-") {
		return nil, &net.OpError{Op: "dial", Err: os.ErrNotExist}
	}
	w.mu.Lock()
	w.silent++
	w.mu.Unlock()
	time.Sleep(timeout)
	return nil, os.ErrDeadlineExceeded
}

func (w *world) close() {
	for _, s := range w.servers {
		_ = s.Shutdown()
	}
	time.Sleep(2 * time.Minute) // fasthttp's cleaners end by the clock, which stands still once the bubble's function returns
}

func (w *world) sender(space *fake.Space) *postback.Sender {
	w.t.Helper()
	return w.senderOn(space)
}

func (w *world) senderOn(space postback.Space) *postback.Sender {
	w.t.Helper()
	s, err := postback.New(postback.Deps{Space: space, Vault: fake.Vault{}, Log: zerolog.Nop(), Metrics: metrics.NewSet()})
	if err != nil {
		w.t.Fatal(err)
	}
	s.Use(postback.Config{Dial: w.dial})
	return s
}

// add commits n jobs to a host, from seq on.
func (w *world) add(s *postback.Sender, space *fake.Space, host string, seq, n int) {
	w.t.Helper()
	in := s.NewIntake()
	for i := seq; i < seq+n; i++ {
		in.Add(postback.Job{
			Key: postback.Key{Seq: uint64(i)}, Affiliate: exchange.AffiliateID(host), Event: "lead.sold", ConversionID: fmt.Sprint("conv-", i),
			Endpoint: "http://" + host, Notice: postback.NoticeOf(exchange.AffiliateID(host), "lead.sold", host), Created: time.Now().UnixNano(),
		}, []byte(fmt.Sprintf("http://%s/pb?id=conv-%d", host, i)), "")
	}
	if err := space.Commit(true, in.Write); err != nil {
		w.t.Fatal(err)
	}
	in.Done()
}

func answer(status int) func(int, *fasthttp.RequestCtx) {
	return func(_ int, ctx *fasthttp.RequestCtx) { ctx.SetStatusCode(status) }
}

func job(t *testing.T, s *postback.Sender, seq int) postback.Job {
	t.Helper()
	jobs, _, err := s.Jobs(postback.Filter{After: postback.Key{Seq: uint64(seq - 1), No: 0xffff}, Limit: 1})
	if err != nil || len(jobs) != 1 {
		t.Fatalf("job %d: %v, %v", seq, jobs, err)
	}
	return jobs[0]
}

func TestAnswersDecideWhatBecomesOfAJob(t *testing.T) {
	for name, c := range map[string]struct {
		answer   func(n int, ctx *fasthttp.RequestCtx)
		state    postback.State
		reason   string
		requests int
	}{
		"200":       {answer(200), postback.Delivered, "", 1},
		"204":       {answer(204), postback.Delivered, "", 1},
		"404":       {answer(404), postback.Dead, "refused", 4},
		"401":       {answer(401), postback.Dead, "refused", 4},
		"410":       {answer(410), postback.Dead, "gone", 1},
		"500":       {answer(500), postback.Dead, "expired", 17},
		"429":       {answer(429), postback.Dead, "expired", 17},
		"redirect":  {func(_ int, ctx *fasthttp.RequestCtx) { ctx.Redirect("http://elsewhere.example/x", 302) }, postback.Dead, "refused", 4},
		"big body":  {func(_ int, ctx *fasthttp.RequestCtx) { ctx.SetBodyString(strings.Repeat("x", 1<<20)) }, postback.Delivered, "", 1},
		"slow 200":  {func(_ int, ctx *fasthttp.RequestCtx) { time.Sleep(9 * time.Second) }, postback.Delivered, "", 1},
		"flapping":  {func(n int, ctx *fasthttp.RequestCtx) { ctx.SetStatusCode(map[bool]int{true: 200, false: 503}[n == 5]) }, postback.Delivered, "", 5},
		"400 twice": {func(n int, ctx *fasthttp.RequestCtx) { ctx.SetStatusCode(map[bool]int{true: 200, false: 400}[n == 3]) }, postback.Delivered, "", 3},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w, space := newWorld(t), fake.NewSpace()
				defer w.close()
				w.tracker("t.example", c.answer)
				s := w.sender(space)
				s.Start()
				w.add(s, space, "t.example", 1, 1)
				time.Sleep(80 * time.Hour)
				j := job(t, s, 1)
				if n := len(w.receipts("t.example")); j.State != c.state || j.Reason != c.reason || abs(n-c.requests) > c.requests/16 {
					t.Fatalf("%s %q after %d requests, want %s %q after %d: %+v", j.State, j.Reason, n, c.state, c.reason, c.requests, j.Attempts)
				}
				if got := len(w.receipts("elsewhere.example")); got != 0 {
					t.Fatalf("a redirect was followed %d times", got)
				}
				k := s.Counts()
				if k.Created != 1 || k.Waiting != 0 || k.Delivered+k.Dead != 1 {
					t.Fatalf("counts: %+v", k)
				}
				s.Stop()
			})
		})
	}
}

func abs(n int) int { return max(n, -n) }

func TestTheScheduleIsKeptAndJittered(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w, space := newWorld(t), fake.NewSpace()
		defer w.close()
		w.tracker("t.example", answer(500))
		s := w.sender(space)
		s.Start()
		w.add(s, space, "t.example", 1, 1)
		time.Sleep(80 * time.Hour)
		want := []time.Duration{time.Second, 5 * time.Second, 30 * time.Second, 2 * time.Minute, 10 * time.Minute, time.Hour, 6 * time.Hour, 6 * time.Hour}
		got := w.receipts("t.example")
		even := 0
		for i, d := range want {
			gap := got[i+1].at.Sub(got[i].at)
			if gap < d*8/10 || gap > d*12/10+2*time.Millisecond {
				t.Errorf("attempt %d came %s after the one before, want near %s", i+2, gap, d)
			}
			if gap == d {
				even++
			}
			if got[i].uri != "/pb?id=conv-1" {
				t.Errorf("asked for %s", got[i].uri)
			}
		}
		if even == len(want) {
			t.Error("there is no jitter")
		}
		if last := got[len(got)-1].at.Sub(got[0].at); last > 72*time.Hour || last < 60*time.Hour {
			t.Errorf("the last attempt came after %s, want near 3 days", last)
		}
		s.Stop()
	})
}

func TestRetryAfterIsHonouredUpToACeiling(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w, space := newWorld(t), fake.NewSpace()
		defer w.close()
		w.tracker("t.example", func(n int, ctx *fasthttp.RequestCtx) {
			switch n {
			case 1:
				ctx.Response.Header.Set("Retry-After", "600")
				ctx.SetStatusCode(429)
			case 2:
				ctx.Response.Header.Set("Retry-After", "99999999")
				ctx.SetStatusCode(503)
			}
		})
		s := w.sender(space)
		s.Start()
		w.add(s, space, "t.example", 1, 1)
		time.Sleep(5 * time.Minute)
		w.add(s, space, "t.example", 2, 1) // a second job waits out the tracker's wish too
		time.Sleep(30 * time.Hour)
		got := w.receipts("t.example")
		if len(got) < 3 {
			t.Fatalf("%d requests", len(got))
		}
		if gap := got[1].at.Sub(got[0].at); gap < 10*time.Minute || gap > 11*time.Minute {
			t.Errorf("asked again after %s, want 10m", gap)
		}
		if gap := got[len(got)-1].at.Sub(got[1].at); gap < 6*time.Hour || gap > 6*time.Hour+time.Minute {
			t.Errorf("asked again after %s, want the ceiling of 6h", gap)
		}
		s.Stop()
	})
}

// TestTroubledTrackersDelayNobody has a dead, a silent, a slow and a flapping tracker beside a healthy one.
func TestTroubledTrackersDelayNobody(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w, space := newWorld(t), fake.NewSpace()
		defer w.close()
		w.tracker("well.example", func(_ int, _ *fasthttp.RequestCtx) { time.Sleep(20 * time.Millisecond) })
		w.tracker("slow.example", func(_ int, _ *fasthttp.RequestCtx) { time.Sleep(9 * time.Second) })
		w.tracker("hang.example", func(_ int, _ *fasthttp.RequestCtx) { time.Sleep(30 * time.Second) })
		w.tracker("flap.example", func(n int, ctx *fasthttp.RequestCtx) {
			if n%2 == 0 {
				ctx.SetStatusCode(500)
			}
		})
		s := w.sender(space)
		s.Start()
		const n = 300
		for i, host := range []string{"dead-.example", "silent.example", "slow.example", "hang.example", "flap.example", "well.example"} {
			w.add(s, space, host, 1+i*n, n)
		}
		start := time.Now()
		time.Sleep(2 * time.Second)
		well := w.receipts("well.example")
		if len(well) != n || well[n-1].at.Sub(start) > time.Second {
			t.Fatalf("the healthy tracker got %d of %d in time", len(well), n)
		}
		time.Sleep(10 * time.Minute)
		for _, host := range []string{"slow.example", "flap.example"} {
			ids := make(map[string]bool)
			for _, r := range w.receipts(host) {
				ids[r.uri] = true
			}
			if len(ids) != n {
				t.Errorf("%s got %d of %d", host, len(ids), n)
			}
		}
		// After its first faults the silent one has a single request at a time, of ten seconds each.
		w.mu.Lock()
		if w.silent > 64+64 || w.silent < 64+55 {
			t.Errorf("the silent tracker was tried %d times in ten minutes", w.silent)
		}
		w.mu.Unlock()
		before := s.Counts()
		s.Stop()
		if before.Delivered < 3*n-20 || before.Created != 6*n || before.Waiting != 6*n-before.Delivered-before.Dead {
			t.Errorf("counts: %+v", before)
		}
	})
}

func TestGoneSwitchesOneNoticeOff(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w, space := newWorld(t), fake.NewSpace()
		defer w.close()
		w.tracker("t.example", func(n int, ctx *fasthttp.RequestCtx) { ctx.SetStatusCode(410) })
		s := w.sender(space)
		s.Start()
		w.add(s, space, "t.example", 1, 1)
		time.Sleep(time.Second)
		w.add(s, space, "t.example", 2, 1)
		time.Sleep(time.Second)
		s.Stop()
		again := w.sender(space.Crash()) // it is remembered
		again.Start()
		if j := job(t, again, 2); len(w.receipts("t.example")) != 1 || j.State != postback.NotSent || j.Reason != "gone" {
			t.Fatalf("%d requests, %+v", len(w.receipts("t.example")), j)
		}
		again.Stop()
	})
}

// TestARestartKeepsTheSchedule stops the sender in the middle of a backoff.
func TestARestartKeepsTheSchedule(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w, space := newWorld(t), fake.NewSpace()
		defer w.close()
		up := false
		w.tracker("t.example", func(_ int, ctx *fasthttp.RequestCtx) {
			if !up {
				ctx.SetStatusCode(500)
			}
		})
		s := w.sender(space)
		s.Start()
		w.add(s, space, "t.example", 1, 50)
		time.Sleep(4 * time.Minute) // five attempts; the next comes 10 minutes on
		due := job(t, s, 7)
		s.Stop()
		space = space.Crash()
		up = true
		s = w.sender(space)
		s.Start()
		if k := s.Counts(); k.Waiting != 50 || k.Created != 50 {
			t.Fatalf("counts after the restart: %+v", k)
		}
		time.Sleep(time.Minute)
		if k := s.Counts(); k.Delivered != 0 {
			t.Fatalf("%d were sent before they were due", k.Delivered)
		}
		time.Sleep(15 * time.Minute)
		j := job(t, s, 7)
		if k := s.Counts(); k.Delivered != 50 || k.Waiting != 0 || len(j.Attempts) != len(due.Attempts)+1 {
			t.Fatalf("counts: %+v, %+v", k, j)
		}
		if late := j.Attempts[len(j.Attempts)-1].At - due.Due; late < 0 || late > int64(time.Second) {
			t.Errorf("sent %s after it was due", time.Duration(late))
		}
		s.Stop()
	})
}

func TestADiskThatFailsLosesNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w, space := newWorld(t), fake.NewSpace()
		defer w.close()
		w.tracker("t.example", answer(200))
		s := w.sender(space)
		w.add(s, space, "t.example", 1, 10)
		space.Fail(true)
		s.Start()
		time.Sleep(time.Minute)
		if k := s.Counts(); k.Delivered != 0 || k.Waiting != 10 {
			t.Fatalf("counts while nothing can be written: %+v", k)
		}
		space.Fail(false)
		time.Sleep(time.Minute)
		if k := s.Counts(); k.Delivered != 10 || len(w.receipts("t.example")) != 10 {
			t.Fatalf("counts: %+v, %d requests", k, len(w.receipts("t.example")))
		}
		s.Stop()
	})
}

func TestStopIsBoundedAndSendsAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w, space := newWorld(t), fake.NewSpace()
		w.tracker("t.example", func(n int, _ *fasthttp.RequestCtx) {
			if n == 1 {
				time.Sleep(9 * time.Second)
			}
		})
		s := w.sender(space)
		s.Start()
		w.add(s, space, "t.example", 1, 1)
		time.Sleep(time.Second)
		start := time.Now()
		s.Stop()
		if took := time.Since(start); took > 3*time.Second {
			t.Fatalf("Stop took %s", took)
		}
		s = w.sender(space.Crash())
		s.Start()
		time.Sleep(time.Second)
		if j := job(t, s, 1); j.State != postback.Delivered || len(j.Attempts) != 1 {
			t.Fatalf("%+v", j)
		}
		s.Stop()
		time.Sleep(10 * time.Second)
		w.close()
	})
}
