package postback_test

import (
	"bufio"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/valyala/fasthttp"

	"vendue/attribution/internal/fake"
	"vendue/attribution/postback"
)

// healthy delivers to a healthy tracker for ten seconds, ten jobs each tenth of
// a second, beside whatever trouble makes, and returns the p99 from a job's
// making to its answer.
func healthy(t *testing.T, trouble func(w *world, s *postback.Sender, space *fake.Space)) (p99 time.Duration) {
	synctest.Test(t, func(t *testing.T) {
		w, space := newWorld(t), fake.NewSpace()
		defer w.close()
		random := rand.New(rand.NewPCG(1, 2))
		made, waits := map[string]time.Time{}, []time.Duration{}
		var mu sync.Mutex
		w.tracker("well.example", func(_ int, ctx *fasthttp.RequestCtx) {
			mu.Lock()
			pause := time.Duration(5+random.IntN(15)) * time.Millisecond
			mu.Unlock()
			time.Sleep(pause)
			mu.Lock()
			defer mu.Unlock()
			waits = append(waits, time.Since(made[string(ctx.RequestURI())]))
		})
		s := w.sender(space)
		trouble(w, s, space)
		s.Start()
		time.Sleep(2 * time.Second)
		const rounds, each = 100, 10
		for i := range rounds {
			seq := 1_000_000 + i*each
			mu.Lock()
			for j := range each {
				made[fmt.Sprintf("/pb?id=conv-%d", seq+j)] = time.Now()
			}
			mu.Unlock()
			w.add(s, space, "well.example", seq, each)
			time.Sleep(100 * time.Millisecond)
		}
		time.Sleep(time.Second)
		mu.Lock()
		defer mu.Unlock()
		if len(waits) != rounds*each {
			t.Fatalf("the healthy tracker got %d of %d", len(waits), rounds*each)
		}
		slices.Sort(waits)
		p99 = waits[len(waits)*99/100]
		s.Stop()
	})
	return p99
}

// TestAHealthyTrackersP99DoesNotMove sets a dead, a silent, a flapping, a
// dripping and a lying tracker, and seventy slow ones, more than there are places
// for, beside a healthy one.
func TestAHealthyTrackersP99DoesNotMove(t *testing.T) {
	alone := healthy(t, func(*world, *postback.Sender, *fake.Space) {})
	var lies atomic.Int32
	beside := healthy(t, func(w *world, s *postback.Sender, space *fake.Space) {
		w.tracker("flap.example", func(n int, ctx *fasthttp.RequestCtx) { ctx.SetStatusCode([]int{200, 500, 429}[n%3]) })
		w.tracker("drip.example", func(_ int, ctx *fasthttp.RequestCtx) {
			ctx.SetBodyStreamWriter(drip)
		})
		lie := plan(t, postback.Order{URL: "http://lie.example/?c={conversion_id}", Verdict: rules})
		w.tracker("lie.example", func(_ int, ctx *fasthttp.RequestCtx) { lies.Add(1); ctx.SetBodyString("no") })
		s.Use(postback.Config{Dial: w.dial, Plans: []*postback.Plan{lie}})
		seq := 1
		for _, host := range []string{"dead-.example", "silent.example", "flap.example", "drip.example"} {
			w.add(s, space, host, seq, 100)
			seq += 100
		}
		w.order(s, space, lie, seq, 100)
		seq += 100
		for i := range 70 {
			host := fmt.Sprintf("slow%d.example", i)
			w.tracker(host, func(_ int, _ *fasthttp.RequestCtx) { time.Sleep(9 * time.Second) })
			w.add(s, space, host, seq, 64)
			seq += 64
		}
	})
	t.Logf("p99 alone %s, beside the others %s", alone, beside)
	if beside > alone*12/10+time.Millisecond {
		t.Errorf("the healthy tracker's p99 went from %s to %s", alone, beside)
	}
	if lies.Load() != 100 {
		t.Errorf("the liar was asked %d times, want once for each of 100", lies.Load())
	}
}

// drip writes a byte a second for longer than anyone waits.
func drip(w *bufio.Writer) {
	for range 60 {
		if _, err := w.WriteString("x"); err != nil || w.Flush() != nil {
			return
		}
		time.Sleep(time.Second)
	}
}
