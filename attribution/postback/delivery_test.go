package postback_test

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"
	"github.com/valyala/fasthttp"

	"vendue/attribution/internal/fake"
	"vendue/attribution/postback"
	"vendue/exchange"
)

func plan(t *testing.T, o postback.Order) *postback.Plan {
	t.Helper()
	o.On = "lead.sold"
	p, err := postback.Compile("blog", o)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// order commits n jobs of a plan, from seq on.
func (w *world) order(s *postback.Sender, space *fake.Space, p *postback.Plan, seq, n int) {
	w.t.Helper()
	in := s.NewIntake()
	for i := seq; i < seq+n; i++ {
		id := fmt.Sprint("conv-", i)
		text, err := p.Render(&postback.Values{postback.MacroConversionID: id, postback.MacroAffClickID: "click"})
		in.Add(postback.Job{
			Key: postback.Key{Seq: uint64(i)}, Affiliate: "blog", Event: "lead.sold", ConversionID: id, Endpoint: p.Endpoint(),
			Notice: p.Notice, Created: in.Now(),
		}, text, postback.NotSentReason(err))
	}
	if err := space.Commit(true, in.Write); err != nil {
		w.t.Fatal(err)
	}
	in.Done()
}

var rules = postback.Rules{Accepted: []string{"^ok"}, Duplicate: []string{"dup"}, Rejected: []string{"^no"}}

// TestTheBodyDecides has 200s that mean four things, and a 409 that means one of them.
func TestTheBodyDecides(t *testing.T) {
	for name, c := range map[string]struct {
		status   int
		body     string
		state    postback.State
		reason   string
		verdict  postback.Verdict
		requests int
	}{
		"accepted":            {200, "ok", postback.Delivered, "", postback.VerdictAccepted, 1},
		"duplicate":           {200, "no: dup", postback.Delivered, "", postback.VerdictDuplicate, 1},
		"rejected":            {200, "no such click", postback.Dead, "rejected", postback.VerdictRejected, 1},
		"unknown":             {200, "<html>", postback.Delivered, "", postback.VerdictUnknown, 1},
		"empty":               {204, "", postback.Delivered, "", postback.VerdictUnknown, 1},
		"a refused duplicate": {409, "dup", postback.Delivered, "", postback.VerdictDuplicate, 1},
		"a refusal":           {409, "no", postback.Dead, "refused", postback.VerdictRefused, 4},
		"not within the read": {200, strings.Repeat("x", 16<<10) + "\nok", postback.Delivered, "", postback.VerdictUnknown, 1},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w, space := newWorld(t), fake.NewSpace()
				defer w.close()
				w.tracker("t.example", func(_ int, ctx *fasthttp.RequestCtx) {
					ctx.SetStatusCode(c.status)
					ctx.SetBodyString(c.body)
				})
				s, p := w.sender(space), plan(t, postback.Order{URL: "http://t.example/?c={conversion_id}", Verdict: rules})
				s.Use(postback.Config{Dial: w.dial, Plans: []*postback.Plan{p}})
				s.Start()
				w.order(s, space, p, 1, 1)
				time.Sleep(time.Hour)
				j := job(t, s, 1)
				last := j.Attempts[len(j.Attempts)-1]
				if n := len(w.receipts("t.example")); j.State != c.state || j.Reason != c.reason || last.Verdict != c.verdict || n != c.requests {
					t.Fatalf("%s %q %s after %d requests", j.State, j.Reason, last.Verdict, n)
				}
				want := c.body
				if want = want[:min(len(want), 200)]; c.verdict == postback.VerdictAccepted {
					want = ""
				}
				if said := postback.Said(fake.Vault{}, &last); said != want {
					t.Errorf("it said %q, want %q", said, want)
				}
				s.Stop()
			})
		})
	}
}

// TestAPostIsSigned posts through a restart with a new secret: one id, each request signed by the secret of the day, no secret on disk.
func TestAPostIsSigned(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w, space := newWorld(t), fake.NewSpace()
		defer w.close()
		var mu sync.Mutex // guards what follows
		var ids, keys []string
		var faults []error
		secret := "the first"
		w.tracker("t.example", func(n int, ctx *fasthttp.RequestCtx) {
			mu.Lock()
			defer mu.Unlock()
			headers := http.Header{}
			for k, v := range ctx.Request.Header.All() {
				headers.Set(string(k), string(v))
			}
			verifier, err := standardwebhooks.NewWebhookRaw([]byte(secret))
			if err == nil {
				err = verifier.Verify(ctx.PostBody(), headers)
			}
			ids, keys, faults = append(ids, headers.Get("webhook-id")), append(keys, string(ctx.QueryArgs().Peek("k"))), append(faults, err)
			if n < 3 {
				ctx.SetStatusCode(500)
			}
		})
		order := func() *postback.Plan {
			return plan(t, postback.Order{URL: "http://t.example/?k={secret}", Post: true, Body: []postback.Field{{Name: "id", Value: "{conversion_id}"}}, Secret: []byte(secret)})
		}
		p := order()
		s := w.sender(space)
		s.Use(postback.Config{Dial: w.dial, Plans: []*postback.Plan{p}})
		s.Start()
		w.order(s, space, p, 1, 1)
		time.Sleep(4 * time.Second)
		s.Stop()
		mu.Lock()
		for key, value := range space.Dump("P") {
			if text, err := (fake.Vault{}).Unseal(exchange.Sealed(value)); strings.Contains(value, secret) || err != nil || strings.Contains(text, secret) {
				t.Errorf("record %q holds the secret", key)
			}
		}
		secret = "the second"
		mu.Unlock()
		space = space.Crash()
		s = w.sender(space)
		s.Use(postback.Config{Dial: w.dial, Plans: []*postback.Plan{order()}})
		s.Start()
		time.Sleep(time.Minute)
		mu.Lock()
		defer mu.Unlock()
		if want := slices.Repeat([]string{"conv-1-lead.sold"}, 3); !slices.Equal(ids, want) || !slices.Equal(keys, []string{"the first", "the first", "the second"}) {
			t.Errorf("ids %q, keys %q", ids, keys)
		}
		for i, err := range faults {
			if err != nil {
				t.Errorf("request %d: %v", i+1, err)
			}
		}
		if j := job(t, s, 1); j.State != postback.Delivered {
			t.Errorf("%+v", j)
		}
		s.Stop()
	})
}

// TestASecretThatIsGone takes a notice from the config while its jobs wait: what needs the secret stands as not sent, and is replayed later.
func TestASecretThatIsGone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w, space := newWorld(t), fake.NewSpace()
		defer w.close()
		w.tracker("t.example", answer(200))
		s, p := w.sender(space), plan(t, postback.Order{URL: "http://t.example/?k={secret}", Secret: []byte("s")})
		s.Start()
		w.order(s, space, p, 1, 1)
		time.Sleep(time.Second)
		if j, n := job(t, s, 1), s.Counts(); j.State != postback.NotSent || j.Reason != "no_secret" || n.NotSent != 1 || n.Waiting != 0 {
			t.Fatalf("%+v %+v", j, n)
		}
		s.Use(postback.Config{Dial: w.dial, Plans: []*postback.Plan{p}})
		if done, err := s.Replay(postback.Filter{State: postback.NotSent}); err != nil || done.Revived != 1 {
			t.Fatalf("%+v, %v", done, err)
		}
		time.Sleep(time.Second)
		s.Stop()
		s = w.sender(space.Crash())
		if j, n := job(t, s, 1), s.Counts(); j.State != postback.Delivered || n.Delivered != 1 || n.NotSent != 0 || n.Waiting != 0 {
			t.Errorf("%+v %+v", j, n)
		}
	})
}

// TestReplay kills jobs in three ways and replays some by filter; the same replay again finds nothing, and a crash changes nothing.
func TestReplay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w, space := newWorld(t), fake.NewSpace()
		defer w.close()
		var up atomic.Bool
		flip := func(_ int, ctx *fasthttp.RequestCtx) {
			if !up.Load() {
				ctx.SetStatusCode(404)
			}
		}
		w.tracker("one.example", flip)
		w.tracker("two.example", flip)
		s := w.sender(space)
		if _, err := s.Replay(postback.Filter{State: postback.Dead}); err == nil {
			t.Error("a sender that stands still replays")
		}
		s.Start()
		w.add(s, space, "one.example", 1, 30)
		time.Sleep(24 * time.Hour)
		middle := time.Now().UnixNano()
		w.add(s, space, "two.example", 31, 30)
		time.Sleep(24 * time.Hour)
		if k := s.Counts(); k.Dead != 60 || len(w.receipts("one.example")) != 120 {
			t.Fatalf("%+v", k)
		}
		up.Store(true)
		if _, err := s.Replay(postback.Filter{State: postback.Waiting}); err == nil {
			t.Error("waiting jobs were replayed")
		}
		for _, f := range []postback.Filter{{Affiliate: "three.example"}, {Event: "click"}, {Reason: "gone"}, {Endpoint: "http://three"}, {From: middle, Until: middle}} {
			f.State = postback.Dead
			if done, err := s.Replay(f); err != nil || done != (postback.Replayed{}) {
				t.Errorf("%+v: %+v, %v", f, done, err)
			}
		}
		f := postback.Filter{State: postback.Dead, Endpoint: "http://two", Reason: "refused", From: middle, Limit: 20}
		first, err := s.Replay(f)
		if err != nil || first.Revived != 20 || first.Next == (postback.Key{}) {
			t.Fatalf("%+v, %v", first, err)
		}
		f.After = first.Next
		rest, err := s.Replay(f)
		if err != nil || rest.Revived != 10 || rest.Next != (postback.Key{}) {
			t.Fatalf("%+v, %v", rest, err)
		}
		f.After = postback.Key{}
		if again, err := s.Replay(f); err != nil || again.Revived != 0 {
			t.Fatalf("%+v, %v", again, err)
		}
		time.Sleep(time.Minute)
		s.Stop()
		space = space.Crash()
		s = w.sender(space)
		j := job(t, s, 31)
		if k := s.Counts(); k.Delivered != 30 || k.Dead != 30 || k.Waiting != 0 || len(w.receipts("two.example")) != 150 || len(w.receipts("one.example")) != 120 {
			t.Errorf("%+v", k)
		}
		if j.State != postback.Delivered || len(j.Attempts) != 5 || j.Tries != 1 || j.ConversionID != "conv-31" {
			t.Errorf("%+v", j)
		}
		if list, _, err := s.Jobs(postback.Filter{State: postback.Dead}); err != nil || len(list) != 30 {
			t.Errorf("%d are listed as dead: %v", len(list), err)
		}
	})
}

// TestAReplayedJobHasALifeOfItsOwn replays again and again at a tracker that stays down: the attempts kept are bounded, and each life is three days.
func TestAReplayedJobHasALifeOfItsOwn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w, space := newWorld(t), fake.NewSpace()
		defer w.close()
		w.tracker("t.example", answer(500))
		s := w.sender(space)
		s.Start()
		w.add(s, space, "t.example", 1, 1)
		for life := range 4 {
			time.Sleep(80 * time.Hour)
			j := job(t, s, 1)
			if j.State != postback.Dead || j.Reason != "expired" || j.Tries < 15 || j.Tries > 18 || len(j.Attempts) > 32 {
				t.Fatalf("life %d: %s %q, %d tries, %d attempts", life, j.State, j.Reason, j.Tries, len(j.Attempts))
			}
			if done, err := s.Replay(postback.Filter{State: postback.Dead}); err != nil || done.Revived != 1 {
				t.Fatalf("%+v, %v", done, err)
			}
		}
		s.Stop()
	})
}

// TestEnable switches a notice that is gone on again; its dead are replayed only then.
func TestEnable(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w, space := newWorld(t), fake.NewSpace()
		defer w.close()
		var back atomic.Bool
		w.tracker("t.example", func(_ int, ctx *fasthttp.RequestCtx) {
			if !back.Load() {
				ctx.SetStatusCode(410)
			}
		})
		s := w.sender(space)
		s.Start()
		w.add(s, space, "t.example", 1, 1)
		time.Sleep(time.Second)
		w.add(s, space, "t.example", 2, 1)
		back.Store(true)
		s.Stop()
		space = space.Crash()
		s = w.sender(space)
		s.Start()
		list := s.Disabled()
		if len(list) != 1 || list[0].Affiliate != "t.example" || list[0].Event != "lead.sold" || list[0].Endpoint != "http://t.example" || list[0].At == 0 {
			t.Fatalf("%+v", list)
		}
		for _, state := range []postback.State{postback.Dead, postback.NotSent} {
			if done, err := s.Replay(postback.Filter{State: state}); err != nil || done.Revived != 0 || done.Skipped != 1 {
				t.Fatalf("%+v, %v", done, err)
			}
		}
		if ok, err := s.Enable(list[0].Notice); !ok || err != nil {
			t.Fatal(ok, err)
		}
		if ok, err := s.Enable(list[0].Notice); ok || err != nil {
			t.Fatal(ok, err)
		}
		for _, state := range []postback.State{postback.Dead, postback.NotSent} {
			if done, err := s.Replay(postback.Filter{State: state}); err != nil || done.Revived != 1 {
				t.Fatalf("%+v, %v", done, err)
			}
		}
		time.Sleep(time.Second)
		s.Stop()
		s = w.sender(space.Crash())
		if k := s.Counts(); k.Delivered != 2 || k.Dead != 0 || k.NotSent != 0 || len(s.Disabled()) != 0 {
			t.Errorf("%+v, %d disabled", k, len(s.Disabled()))
		}
	})
}
