package postback_test

import (
	"errors"
	"net/http"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/VictoriaMetrics/metrics"
	"github.com/rs/zerolog"
	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"
	"github.com/valyala/fasthttp"

	"vendue/attribution/internal/fake"
	"vendue/attribution/postback"
	"vendue/exchange"
)

var (
	hookSecret = []byte("a secret of north's own")
	hookLead   = exchange.LeadID{7}
)

// teller makes senders whose answers a test can change.
type teller struct {
	mu     sync.Mutex
	answer string
	fault  error
}

func (a *teller) say(answer string, fault error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.answer, a.fault = answer, fault
}

func (a *teller) sender(w *world, space *fake.Space, hooks ...postback.Hook) *postback.Sender {
	w.t.Helper()
	s, err := postback.New(postback.Deps{
		Space: space, Vault: fake.Vault{}, Log: zerolog.Nop(), Metrics: metrics.NewSet(),
		Answer: func(lead exchange.LeadID, seq uint64) ([]byte, error) {
			if lead != hookLead || seq != 1 {
				w.t.Errorf("asked for %s at %d", lead, seq)
			}
			a.mu.Lock()
			defer a.mu.Unlock()
			return []byte(a.answer), a.fault
		},
	})
	if err != nil {
		w.t.Fatal(err)
	}
	s.Use(postback.Config{Dial: w.dial, Hooks: hooks})
	return s
}

func settle(t *testing.T, s *postback.Sender, space *fake.Space) {
	t.Helper()
	in := s.NewIntake()
	in.Settled(1, "north", hookLead)
	in.Settled(1, "south", hookLead) // has no webhook
	if err := space.Commit(true, in.Write); err != nil {
		t.Fatal(err)
	}
	in.Done()
}

// posted is what a webhook was sent.
type posted struct {
	method, kind, id, body string
	signed                 bool
	verified               error
}

// hookServer is a webhook that fails until it is up.
type hookServer struct {
	up  atomic.Bool
	mu  sync.Mutex
	got []posted
}

func (h *hookServer) posts() []posted {
	h.mu.Lock()
	defer h.mu.Unlock()
	return slices.Clone(h.got)
}

func openHook(w *world, host string, up bool) *hookServer {
	h := &hookServer{}
	h.up.Store(up)
	w.tracker(host, func(_ int, ctx *fasthttp.RequestCtx) {
		p := posted{method: string(ctx.Method()), kind: string(ctx.Request.Header.ContentType()), body: string(ctx.PostBody())}
		p.id, p.signed = string(ctx.Request.Header.Peek("webhook-id")), len(ctx.Request.Header.Peek("webhook-signature")) > 0
		headers := http.Header{}
		for k, v := range ctx.Request.Header.All() {
			headers.Set(string(k), string(v))
		}
		verifier, err := standardwebhooks.NewWebhookRaw(hookSecret)
		if err == nil {
			err = verifier.Verify(ctx.PostBody(), headers)
		}
		p.verified = err
		h.mu.Lock()
		h.got = append(h.got, p)
		h.mu.Unlock()
		if !h.up.Load() {
			ctx.SetStatusCode(500)
		}
	})
	return h
}

// TestAHookIsToldUntilItHears fails a webhook over a restart: each request is signed anew, says what is true then, and has one id.
func TestAHookIsToldUntilItHears(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w, space, a := newWorld(t), fake.NewSpace(), &teller{answer: `{"status":"sold"}`}
		defer w.close()
		north := openHook(w, "north.example", false)
		hook := postback.Hook{Seller: "north", URL: "http://north.example/leads?k=hidden", Secret: hookSecret}
		s := a.sender(w, space, hook)
		s.Start()
		settle(t, s, space)
		time.Sleep(time.Hour / 2)
		s.Stop()
		for key, value := range space.Dump("P") {
			if strings.Contains(value, "sold\"") || strings.Contains(value, "hidden") || strings.Contains(value, string(hookSecret)) {
				t.Errorf("record %q holds what it should not", key)
			}
		}
		before := len(north.posts())
		space = space.Crash()
		north.up.Store(true)
		const after = `{"status":"sold","more":true}`
		a.say(after, nil)
		s = a.sender(w, space, hook)
		s.Start()
		time.Sleep(2 * time.Hour)
		got := north.posts()
		if len(got) != before+1 || before < 5 {
			t.Fatalf("%d requests before the restart, %d in all", before, len(got))
		}
		for i, p := range got {
			want := `{"status":"sold"}`
			if i == before {
				want = after
			}
			if p.method != "POST" || p.kind != "application/json" || p.body != want || p.verified != nil || p.id != hookLead.String()+"-settled" {
				t.Errorf("request %d: %+v", i, p)
			}
		}
		j := job(t, s, 1)
		if k := s.Counts(); j.State != postback.Delivered || j.Seller != "north" || j.Affiliate != "" || j.Event != "lead.settled" || k.Created != 1 || k.Delivered != 1 {
			t.Errorf("%+v %+v", j, k)
		}
		s.Stop()
	})
}

func TestAHookWithoutASecretIsNotSigned(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w, space, a := newWorld(t), fake.NewSpace(), &teller{answer: `{}`, fault: errors.New("the journal is busy")}
		defer w.close()
		north := openHook(w, "north.example", true)
		s := a.sender(w, space, postback.Hook{Seller: "north", URL: "http://north.example/leads"})
		s.Start()
		settle(t, s, space)
		time.Sleep(10 * time.Second)
		if k := s.Counts(); k.Waiting != 1 || len(north.posts()) != 0 {
			t.Fatalf("without an answer: %+v, %d requests", k, len(north.posts()))
		}
		a.say(`{}`, nil)
		time.Sleep(10 * time.Second)
		got := north.posts()
		if len(got) != 1 || got[0].method != "POST" || got[0].body != "{}" || got[0].signed || got[0].id != "" {
			t.Errorf("got %+v", got)
		}
		s.Stop()
	})
}

// TestAHookFollowsTheConfig mends one webhook's URL and takes another away.
func TestAHookFollowsTheConfig(t *testing.T) {
	for name, c := range map[string]struct {
		hooks  []postback.Hook
		state  postback.State
		reason string
		told   int
	}{
		"mended":  {[]postback.Hook{{Seller: "north", URL: "http://other.example/leads"}}, postback.Delivered, "", 1},
		"removed": {nil, postback.NotSent, "no_webhook", 0},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w, space, a := newWorld(t), fake.NewSpace(), &teller{answer: `{}`}
				defer w.close()
				north, other := openHook(w, "north.example", false), openHook(w, "other.example", true)
				s := a.sender(w, space, postback.Hook{Seller: "north", URL: "http://north.example/leads"})
				s.Start()
				settle(t, s, space)
				time.Sleep(time.Minute)
				s.Use(postback.Config{Dial: w.dial, Hooks: c.hooks})
				time.Sleep(time.Hour)
				s.Stop()
				s = a.sender(w, space.Crash(), c.hooks...)
				j, k := job(t, s, 1), s.Counts()
				if j.State != c.state || j.Reason != c.reason || len(other.posts()) != c.told || len(north.posts()) == 0 {
					t.Errorf("%+v after %d requests", j, len(other.posts()))
				}
				if k.Created != 1 || k.Waiting != 0 || (k.NotSent == 1) != (c.state == postback.NotSent) {
					t.Errorf("counts: %+v", k)
				}
				if lapsed, _, err := s.Jobs(postback.Filter{State: postback.NotSent}); err != nil || len(lapsed) != int(k.NotSent) {
					t.Errorf("listed %d as not sent: %v", len(lapsed), err)
				}
			})
		})
	}
}

func TestCheckHook(t *testing.T) {
	for url, want := range map[string]string{
		"https://north.example/leads?a=1": "",
		"http://north.example":            "",
		"":                                "byte 0: expected a URL",
		"ftp://north.example":             "byte 0: expected a URL",
		"http://me@north.example/":        "byte 9: expected a host without",
		"http://north.example/{lead_id}":  "byte 21: no macro",
		"http://north.example/#x":         "byte 21: a fragment",
	} {
		err := postback.CheckHook(url)
		if (err == nil) != (want == "") || err != nil && !strings.Contains(err.Error(), want) {
			t.Errorf("%s: got %v, want %q", url, err, want)
		}
	}
}
