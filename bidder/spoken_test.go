package bidder

import (
	"encoding/base64"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"vendue/bidder/adapters/dialect"
	"vendue/exchange"
)

// plainSpec is a described format that says little; change it before it is compiled.
func plainSpec(url, encode string) *dialect.Spec {
	text := func(s string) dialect.Text { return dialect.Text{Text: s} }
	path := func(s string) dialect.Path { return dialect.Path{Text: s} }
	phase := func(to string) *dialect.Phase {
		p := &dialect.Phase{URL: text(url + to), Encode: encode}
		p.Reply = dialect.Reply{
			Reject: []dialect.Rule{{Path: path("status"), Equals: []string{"rejected"}}},
			Accept: []dialect.Rule{{Path: path("status"), Equals: []string{"accepted"}}},
		}
		return p
	}
	s := &dialect.Spec{
		Map: []dialect.Entry{
			{Target: "zip", Value: text("{zip}"), Lenient: true}, {Target: "kind", Value: text("auto")},
			{Target: "id", Value: text("{token.id}"), Lenient: true}, {Target: "test", Value: text("{test}")},
		},
		Rest: dialect.Rest{Names: "as_is"},
	}
	s.Phases[dialect.Ping], s.Phases[dialect.Post], s.Phases[dialect.Status] = phase("/ping"), phase("/post"), phase("/status")
	s.Phases[dialect.Ping].Reply.Price = dialect.Price{Path: path("price")}
	s.Phases[dialect.Ping].Reply.Tokens = []dialect.Token{{Name: "id", Path: path("id"), Optional: true}}
	return s
}

// speak puts a described format in the place of the native one.
func speak(tb testing.TB, cfg Config, i int, spec *dialect.Spec, auth *Auth) {
	tb.Helper()
	f, faults := dialect.Compile(spec, cfg.Contracts[i].Terms.Vertical)
	if len(faults) > 0 {
		tb.Fatal(faults)
	}
	cfg.Contracts[i].Dialect, cfg.Contracts[i].Auth = f, auth
}

// buyerServer counts what comes, and lets a test decide what goes.
func buyerServer(t *testing.T, serve http.HandlerFunc) string {
	t.Helper()
	s := httptest.NewServer(serve)
	t.Cleanup(s.Close)
	return s.URL
}

// A described format goes its whole way: ping, post, status, with the token in the path and in a header.
func TestDescribedFormat(t *testing.T) {
	var mu sync.Mutex
	var seen []string
	url := buyerServer(t, func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		mu.Lock()
		defer mu.Unlock()
		seen = append(seen, r.Method+" "+r.URL.RequestURI()+" "+r.Header.Get("X-Id")+" "+string(body))
		_, _ = io.WriteString(w, "status=accepted&price=21.50&id=a%20b")
	})
	cfg := market(url)
	spec := plainSpec(url, "form")
	spec.Phases[dialect.Ping].Encode = "query"
	post := spec.Phases[dialect.Post]
	post.URL.Text, post.Method = url+"/post/{token.id}/go", "PUT"
	post.Headers = []dialect.Header{{Name: "X-Id", Value: dialect.Text{Text: "<{token.id}>"}}}
	speak(t, cfg, 0, spec, nil)
	h := newHouse(t, cfg, TransportConfig{})
	a := h.newAsk(time.Second)
	h.Ask(a)
	mustReason(t, &a.Answers[0], exchange.ReasonNone, "")
	if a.Answers[0].Bid != 21500000 || a.Answers[0].Token != "id=a b" {
		t.Fatalf("got %+v", a.Answers[0])
	}
	d := h.delivery(time.Second)
	d.Token = a.Answers[0].Token
	if r := h.Post(d); r.Outcome != exchange.OutcomeAccepted {
		t.Fatalf("got %+v", r)
	}
	if f := h.Status(&exchange.Inquiry{Contract: d.Contract, Token: d.Token, Deadline: time.Now().Add(time.Second)}); !f.Known || !f.Accepted {
		t.Fatalf("got %+v", f)
	}
	mu.Lock()
	defer mu.Unlock()
	if !strings.HasPrefix(seen[0], "GET /ping?") || strings.Contains(seen[0], "phone") ||
		!strings.HasPrefix(seen[1], "PUT /post/a%20b/go <a b> ") || !strings.Contains(seen[1], "id=a%20b") || !strings.HasPrefix(seen[2], "POST /status") {
		t.Fatalf("sent %q", seen)
	}
}

// A post that a buyer takes and answers by no rule is unknown; a ping is a buyer_error.
func TestDescribedNonsense(t *testing.T) {
	url := buyerServer(t, func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.WriteString(w, `<html>Zebulon 602-555-0143</html>`)
	})
	cfg := market(url)
	speak(t, cfg, 0, plainSpec(url, "json"), nil)
	h := newHouse(t, cfg, TransportConfig{})
	a := h.newAsk(time.Second)
	h.Ask(a)
	mustReason(t, &a.Answers[0], exchange.ReasonBuyerError, "body: an HTML page: <html>xxxxxxx 000-000-0000</html>")
	if r := h.post(time.Second); r.Outcome != exchange.OutcomeUnknown || strings.Contains(r.Detail, "html>") {
		t.Fatalf("got %+v", r)
	}
}

// eventually asks until the buyer's answer is a bid: a credential is fetched meanwhile.
func (h *house) eventually(t *testing.T) *exchange.Ask {
	t.Helper()
	for end := time.Now().Add(5 * time.Second); time.Now().Before(end); {
		a := h.newAsk(time.Second)
		h.Ask(a)
		if a.Answers[0].Reason == exchange.ReasonNone {
			return a
		}
	}
	t.Fatal("no bid came")
	return nil
}

// The access token is fetched beside the auctions: without one a ping is not
// sent and a post not delivered, at once, and nobody waits.
func TestOAuth2(t *testing.T) {
	gate := make(chan struct{})
	var asked atomic.Int32
	tokens := buyerServer(t, func(w http.ResponseWriter, r *http.Request) {
		<-gate
		id, secret, _ := r.BasicAuth()
		if id != "me" || secret != "s3" || r.FormValue("grant_type") != "client_credentials" || r.FormValue("scope") != "a b" {
			t.Errorf("asked for a token as %s with %v", id, r.Form)
		}
		w.Header().Set("Content-Type", "application/json")
		_, _ = fmt.Fprintf(w, `{"access_token":"T%d","token_type":"bearer","expires_in":3600}`, asked.Add(1))
	})
	url := buyerServer(t, func(w http.ResponseWriter, r *http.Request) {
		if !strings.HasPrefix(r.Header.Get("Authorization"), "Bearer T") {
			t.Errorf("sent with %q", r.Header.Get("Authorization"))
		}
		_, _ = io.WriteString(w, `{"status":"accepted","price":3}`)
	})
	cfg := market(url)
	speak(t, cfg, 0, plainSpec(url, "json"), &Auth{OAuth2: &OAuth2Auth{TokenURL: tokens, ClientID: "me", ClientSecret: "s3", Scope: "a b"}})
	h := newHouse(t, cfg, TransportConfig{})
	a := h.newAsk(time.Minute)
	h.Ask(a)
	mustReason(t, &a.Answers[0], exchange.ReasonBuyerError, errNotReady.Error())
	if r := h.post(time.Minute); r.Outcome != exchange.OutcomeNotDelivered {
		t.Fatalf("got %+v", r)
	}
	close(gate)
	h.eventually(t)
	if r := h.post(time.Second); r.Outcome != exchange.OutcomeAccepted {
		t.Fatalf("got %+v", r)
	}
	if n := asked.Load(); n != 1 {
		t.Fatalf("asked for %d tokens", n)
	}
}

// A token past its end is not sent, and none is waited for.
func TestExpiredTokenIsNotSent(t *testing.T) {
	k := &keeper{wake: make(chan struct{}, 1)}
	now := time.Now()
	if k.ready(now) {
		t.Fatal("ready with nothing")
	}
	k.held.Store(&credential{line: "Authorization: x\r\n", until: now})
	if k.ready(now) || !k.ready(now.Add(-time.Second)) {
		t.Fatal("a token counts to its end and no longer")
	}
}

// Digest: the challenge is fetched with an empty request; one that went stale
// costs a post one more try, and a wrong password none.
func TestDigest(t *testing.T) {
	var nonce atomic.Int32
	nonce.Store(1)
	var bodies atomic.Int32
	url := buyerServer(t, func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		auth := r.Header.Get("Authorization")
		fresh := fmt.Sprintf(`nonce="n%d"`, nonce.Load())
		if !strings.Contains(auth, fresh) || !strings.Contains(auth, `username="me"`) || !strings.Contains(auth, `uri="`+r.URL.RequestURI()+`"`) {
			w.Header().Set("WWW-Authenticate", `Digest realm="r", qop="auth", algorithm=MD5, `+fresh)
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		if len(body) > 0 {
			bodies.Add(1)
		}
		_, _ = io.WriteString(w, `{"status":"accepted","price":3}`)
	})
	cfg := market(url)
	speak(t, cfg, 0, plainSpec(url, "json"), &Auth{Digest: &DigestAuth{User: "me", Password: "pw"}})
	h := newHouse(t, cfg, TransportConfig{})
	h.eventually(t)
	for end := time.Now().Add(5 * time.Second); h.contracts[0].post[0].ready(time.Now()) == false && time.Now().Before(end); {
		h.Ask(h.newAsk(time.Second)) // the post's own challenge comes meanwhile
	}
	nonce.Add(1)
	before := bodies.Load()
	if r := h.post(time.Second); r.Outcome != exchange.OutcomeAccepted || bodies.Load() != before+1 {
		t.Fatalf("got %+v, %d bodies", r, bodies.Load()-before)
	}
}

// The signature covers what the config says, over the body as it is sent.
func TestHMAC(t *testing.T) {
	a := hmacAuth{&HMACAuth{Secret: []byte("k"), Header: "X-Sig", TimeHeader: "X-Time", Over: []string{"time", ".", "body"}, Hash: "sha256", Prefix: "v1="}}
	got := string(a.append(nil, &signed{body: []byte("{}"), now: time.Unix(1700000000, 0)}))
	// printf '1700000000.{}' | openssl dgst -sha256 -hmac k
	if want := "X-Time: 1700000000\r\nX-Sig: v1=c6ef4734033cee2367414a0939385eca0397754aa7a59716da7463a9298b5146\r\n"; got != want {
		t.Fatalf("got %q", got)
	}
	a.Base64, a.Hash, a.Over = true, "sha1", []string{"method", "target"}
	got = string(a.append(nil, &signed{method: "POST", target: "/x", now: time.Unix(0, 0)}))
	if at := strings.LastIndex(got, "="); at < 0 {
		t.Fatalf("got %q", got)
	} else if raw, err := base64.StdEncoding.DecodeString(strings.TrimSuffix(got[strings.Index(got, "v1=")+3:], "\r\n")); err != nil || len(raw) != 20 {
		t.Fatalf("got %q: %v", got, err)
	}
}

// describedHouse is cheapHouse with buyers of a described format, about as much of it as a preset has.
func describedHouse(tb testing.TB, buyers int, encode string) *house {
	var urls []string
	for range buyers {
		urls = append(urls, cheapBuyer(tb, cheapBid))
	}
	cfg := market(urls...)
	for i := range cfg.Contracts {
		spec := plainSpec(strings.TrimSuffix(urls[i], "/ping"), encode)
		reply := &spec.Phases[dialect.Ping].Reply
		reply.Accept = []dialect.Rule{{Path: dialect.Path{Text: "bid"}, Exists: "true"}}
		reply.Price.Path.Text = "bid"
		for _, e := range [][2]string{{"Key", "0123456789abcdef"}, {"API_Action", "pingPostLead"}, {"TYPE", "33"}, {"SRC", "NorthMedia"}, {"Ping_ID", "{ping_id}"}} {
			spec.Map = append(spec.Map, dialect.Entry{Target: e[0], Value: dialect.Text{Text: e[1]}})
		}
		spec.Map = append(spec.Map,
			dialect.Entry{Target: "Mode", Value: dialect.Text{Text: "{phase}"}, Values: map[string]string{"direct": "full"}},
			dialect.Entry{Target: "Test_Lead", Value: dialect.Text{Text: "{test}"}, Values: map[string]string{"true": "1", "false": ""}},
			dialect.Entry{Target: "Group", Value: dialect.Text{Text: "{age}"}, As: []string{"int", "last:1"}},
		)
		if encode == "json" {
			spec.Phases[dialect.Ping].Wrap = "Request"
		}
		speak(tb, cfg, i, spec, nil)
		cfg.Contracts[i].Pings.FullWait = true // a pause of the machine is no part of an ask's cost
	}
	h := newHouse(tb, cfg, TransportConfig{})
	h.warmed(tb, 1)
	return h
}

// A described format costs an ask no allocation either.
func TestDescribedAskAllocations(t *testing.T) {
	for _, encode := range []string{"json", "form"} {
		h := describedHouse(t, 10, encode)
		a := h.newAsk(time.Minute)
		run := func() {
			a.Start = time.Now()
			a.Deadline = a.Start.Add(time.Minute)
			h.Ask(a)
		}
		for range 100 {
			run()
		}
		if n := testing.AllocsPerRun(500, run); n > allocBudget {
			t.Errorf("%s: %v allocations per ask of 10 buyers", encode, n)
		}
		mustReason(t, &a.Answers[9], exchange.ReasonNone, "")
	}
}

// cpuTime is what the process has spent: its buyers and the kernel's part included.
func cpuTime(b *testing.B) time.Duration {
	b.Helper()
	var u unix.Rusage
	if err := unix.Getrusage(unix.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// BenchmarkFormats asks ten buyers that speak one format.
func BenchmarkFormats(b *testing.B) {
	for _, encode := range []string{"native", "json", "form"} {
		b.Run(encode, func(b *testing.B) {
			h := cheapHouse(b, 10)
			if encode != "native" {
				h = describedHouse(b, 10, encode)
			}
			a := h.newAsk(time.Minute)
			b.ReportAllocs()
			spent := cpuTime(b)
			for b.Loop() {
				a.Start = time.Now()
				a.Deadline = a.Start.Add(time.Minute)
				h.Ask(a)
			}
			b.ReportMetric(float64((cpuTime(b)-spent).Microseconds())/float64(b.N), "cpu-us/op")
		})
	}
}
