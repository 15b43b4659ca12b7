package world

import (
	"context"
	"fmt"
	"net"
	"os"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/valyala/fasthttp"
	"github.com/valyala/fasthttp/fasthttputil"
)

// TestMain lets fasthttp start what it starts once per process, outside any bubble.
func TestMain(m *testing.M) {
	ln := fasthttputil.NewInmemoryListener()
	go func() { _ = fasthttp.Serve(ln, func(*fasthttp.RequestCtx) {}) }() // until the process ends
	c := NewClient("warm", func(string, time.Duration) (net.Conn, error) { return ln.Dial() })
	if _, err := c.Fetch("/", ""); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	c.Close()
	os.Exit(m.Run())
}

// stub answers sellers as an exchange would, and nothing more: it sells every
// lead at 8.00. The n-th post is reset without an answer if lose says so.
type stub struct {
	server server
	delay  time.Duration
	lose   func(n int) bool

	mu    sync.Mutex
	sold  map[string]string // Idempotency-Key to lead_id
	posts int
}

func (s *stub) handle(ctx *fasthttp.RequestCtx) {
	s.server.wait(s.delay)
	switch path := string(ctx.Path()); {
	case strings.HasPrefix(path, "/c/"):
		ctx.Response.Header.Set("Location", "https://quotes.example.com/?click_id=c-"+string(ctx.QueryArgs().Peek("cid")))
		ctx.SetStatusCode(fasthttp.StatusFound)
	case path == "/v1/ping":
		ctx.SetBodyString(`{"status":"accepted","ping_id":"p","price":8.00}`)
	case strings.HasPrefix(path, "/v1/leads/"):
		ctx.SetBodyString(soldAnswer(path[len("/v1/leads/"):]))
	default:
		s.post(ctx)
	}
}

func (s *stub) post(ctx *fasthttp.RequestCtx) {
	key := string(ctx.Request.Header.Peek("Idempotency-Key"))
	s.mu.Lock()
	id := s.sold[key]
	if id == "" {
		id = fmt.Sprintf("L%d", len(s.sold))
		s.sold[key] = id
	}
	n := s.posts
	s.posts++
	s.mu.Unlock()
	if s.lose != nil && s.lose(n) {
		s.server.drop(ctx, false)
		return
	}
	ctx.SetBodyString(soldAnswer(id))
}

func soldAnswer(id string) string {
	return `{"status":"sold","lead_id":"` + id + `","price":8.00,"legs":[{"bid_id":"p-1","price":8.00,"status":"sold"}]}`
}

// start serves the stub in memory and returns traffic aimed at it.
func (s *stub) start() Traffic {
	ln := fasthttputil.NewInmemoryListener()
	s.sold = make(map[string]string)
	s.server.start(ln, s.handle)
	return Traffic{
		Addr: "exchange", Dial: func(string, time.Duration) (net.Conn, error) { return ln.Dial() }, Seed: 1,
		Campaigns: []Intake{{"north-auto", "k"}},
	}
}

// end closes the stub and lets the bubble's time pass until fasthttp's idle cleaners have seen it.
func (s *stub) end() {
	s.server.close()
	time.Sleep(time.Minute)
}

// TestLatencyCountsFromTheIntendedStart lets an exchange of one place fall
// behind: leads that wait for it are late by more than its own 100 ms.
func TestLatencyCountsFromTheIntendedStart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &stub{delay: 100 * time.Millisecond}
		traffic := s.start()
		defer s.end()
		traffic.Direct, traffic.Rate, traffic.Count, traffic.InFlight = 1, 20, 10, 1
		seller := NewSeller(traffic)
		defer seller.Close()
		began := time.Now()
		seller.Run(t.Context())
		if took := time.Since(began); took != time.Second {
			t.Errorf("ten leads of 100 ms take a second, not %s", took)
		}
		st := seller.Stats()
		if st.Sold != 10 || st.LeadP50 < 290*time.Millisecond || st.LeadP99 < 540*time.Millisecond || st.LeadP99 > 560*time.Millisecond {
			t.Errorf("want a p50 near 300 ms and a p99 near 550 ms: %+v", st)
		}
	})
}

func TestSellersKeepWhatTheyWereTold(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &stub{delay: time.Millisecond, lose: func(n int) bool { return n%10 == 3 && n < 100 }}
		traffic := s.start()
		defer s.end()
		traffic.Count, traffic.Rate, traffic.Direct = 100, 1000, 0.3
		traffic.ViaClick, traffic.Named, traffic.Offer, traffic.Affiliates = 0.3, 0.3, "auto", []string{"blog-42", "social-7"}
		seller := NewSeller(traffic)
		defer seller.Close()
		seller.Run(t.Context())
		st := seller.Stats()
		if st.Done != 100 || st.NoAnswer != 10 || st.Sold != 90 || st.Payout != 90*cents(800) {
			t.Fatalf("got %+v", st)
		}
		if err := seller.Ask(context.Background()); err != nil {
			t.Fatal(err)
		}
		ids, clicks, named, direct := make(map[string]bool), 0, 0, 0
		for _, a := range seller.Answers() {
			if a.Now.Status != "sold" || a.Now.Price != cents(800) || ids[a.LeadID] || len(a.Now.Legs) != 1 {
				t.Errorf("lead %d ended as %+v", a.Number, a)
			}
			ids[a.LeadID] = true
			switch {
			case a.ClickID != "":
				clicks++
			case a.Affiliate != "":
				named++
			}
			if a.Direct {
				direct++
			}
		}
		if len(s.sold) != 100 || clicks < 15 || named < 15 || direct < 15 || direct > 50 {
			t.Errorf("%d sold, %d through clicks, %d named, %d direct", len(s.sold), clicks, named, direct)
		}
	})
}

func TestRunEndsWithItsContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &stub{delay: 10 * time.Millisecond}
		traffic := s.start()
		defer s.end()
		traffic.Count, traffic.Rate = 1_000_000, 100
		seller := NewSeller(traffic)
		defer seller.Close()
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		seller.Run(ctx)
		if st := seller.Stats(); st.Done != st.Sent || st.Sold < 95 || st.Sold > 101 {
			t.Errorf("got %+v", st)
		}
	})
}
