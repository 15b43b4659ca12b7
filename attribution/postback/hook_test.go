package postback_test

import (
	"errors"
	"net/http"
	"strings"
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
	answer string
	fault  error
}

func (a *teller) sender(w *world, space *fake.Space, hooks ...postback.Hook) *postback.Sender {
	w.t.Helper()
	s, err := postback.New(postback.Deps{
		Space: space, Vault: fake.Vault{}, Log: zerolog.Nop(), Metrics: metrics.NewSet(),
		Answer: func(lead exchange.LeadID, seq uint64) ([]byte, error) {
			if lead != hookLead || seq != 1 {
				w.t.Errorf("asked for %s at %d", lead, seq)
			}
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

// hookServer opens a webhook that fails until it is up.
func hookServer(w *world, host string, up *bool, got *[]posted) {
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
		w.mu.Lock()
		*got = append(*got, p)
		w.mu.Unlock()
		if !*up {
			ctx.SetStatusCode(500)
		}
	})
}

// TestAHookIsToldUntilItHears fails a webhook over a restart: each request is signed anew, says what is true then, and has one id.
func TestAHookIsToldUntilItHears(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w, space, a := newWorld(t), fake.NewSpace(), &teller{answer: `{"status":"sold"}`}
		defer w.close()
		var up bool
		var got []posted
		hookServer(w, "north.example", &up, &got)
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
		before := len(got)
		space = space.Crash()
		up, a.answer = true, `{"status":"sold","more":true}`
		s = a.sender(w, space, hook)
		s.Start()
		time.Sleep(2 * time.Hour)
		if len(got) != before+1 || before < 5 {
			t.Fatalf("%d requests before the restart, %d in all", before, len(got))
		}
		for i, p := range got {
			want := `{"status":"sold"}`
			if i == before {
				want = a.answer
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
		up := true
		var got []posted
		hookServer(w, "north.example", &up, &got)
		s := a.sender(w, space, postback.Hook{Seller: "north", URL: "http://north.example/leads"})
		s.Start()
		settle(t, s, space)
		time.Sleep(10 * time.Second)
		if k := s.Counts(); k.Waiting != 1 || len(got) != 0 {
			t.Fatalf("without an answer: %+v, %d requests", k, len(got))
		}
		a.fault = nil
		time.Sleep(10 * time.Second)
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
				down, up := false, true
				var failed, got []posted
				hookServer(w, "north.example", &down, &failed)
				hookServer(w, "other.example", &up, &got)
				s := a.sender(w, space, postback.Hook{Seller: "north", URL: "http://north.example/leads"})
				s.Start()
				settle(t, s, space)
				time.Sleep(time.Minute)
				s.Use(postback.Config{Dial: w.dial, Hooks: c.hooks})
				time.Sleep(time.Hour)
				s.Stop()
				s = a.sender(w, space.Crash(), c.hooks...)
				j, k := job(t, s, 1), s.Counts()
				if j.State != c.state || j.Reason != c.reason || len(got) != c.told || len(failed) == 0 {
					t.Errorf("%+v after %d requests", j, len(got))
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
