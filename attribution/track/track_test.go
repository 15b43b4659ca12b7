package track

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/VictoriaMetrics/metrics"
	"github.com/rs/zerolog"
	"github.com/valyala/fasthttp"

	"vendue/attribution"
	"vendue/attribution/internal/fake"
	"vendue/exchange"
)

// recorder keeps what was journaled, or fails.
type recorder struct {
	clicks []*exchange.Clicked
	fault  error
}

func (r *recorder) Record(ev exchange.Event) error {
	if r.fault != nil {
		return r.fault
	}
	r.clicks = append(r.clicks, ev.(*exchange.Clicked))
	return nil
}

type bench struct {
	*Tracker
	rec *recorder
	set *metrics.Set
	log bytes.Buffer
}

func newBench() *bench {
	b := &bench{rec: &recorder{}, set: metrics.NewSet()}
	b.Tracker = New(Deps{Recorder: b.rec, Vault: fake.Vault{}, Minter: fake.NewMinter(), Log: zerolog.New(&b.log), Metrics: b.set})
	b.Use(attribution.Config{
		Affiliates: []attribution.Affiliate{{ID: "blog-42"}},
		Offers: []exchange.Offer{
			{ID: "auto", Landing: "https://quotes.example.com/auto", WindowSec: 3600, CookieSec: 3600},
			{ID: "deep", Landing: "https://q.example/a?x=1&click_id=old#top", WindowSec: 1 << 40, CookieSec: 1 << 40},
		},
	})
	return b
}

func (b *bench) do(method, uri string, headers ...string) *fasthttp.RequestCtx {
	ctx := &fasthttp.RequestCtx{}
	ctx.Request.Header.SetMethod(method)
	ctx.Request.SetRequestURI(uri)
	for i := 0; i+1 < len(headers); i += 2 {
		ctx.Request.Header.Set(headers[i], headers[i+1])
	}
	if !b.Handle(ctx) {
		ctx.SetStatusCode(299)
	}
	return ctx
}

func (b *bench) metric(name string) string {
	var out bytes.Buffer
	b.set.WritePrometheus(&out)
	for line := range strings.SplitSeq(out.String(), "\n") {
		if v, ok := strings.CutPrefix(line, "vendue_attribution_"+name+" "); ok {
			return v
		}
	}
	return "no such metric"
}

func location(ctx *fasthttp.RequestCtx) string {
	return string(ctx.Response.Header.Peek("Location"))
}

func TestAClickIsJournaledAndSentOn(t *testing.T) {
	b := newBench()
	ctx := b.do("GET", "/c/auto?aff=blog-42&cid=X%209&sub1=one&sub3=th%22ree&code=SAVE")
	if len(b.rec.clicks) != 1 {
		t.Fatalf("%d clicks were journaled", len(b.rec.clicks))
	}
	ev := b.rec.clicks[0]
	id := ev.ClickID.String()
	if ctx.Response.StatusCode() != 302 || location(ctx) != "https://quotes.example.com/auto?click_id="+id {
		t.Errorf("%d to %s", ctx.Response.StatusCode(), location(ctx))
	}
	if got := string(ctx.Response.Header.Peek("Cache-Control")); got != "no-store" {
		t.Errorf("Cache-Control: %s", got)
	}
	if ev.Offer != "auto" || ev.Affiliate != "blog-42" {
		t.Errorf("journaled %+v", ev)
	}
	if bytes.Contains(ev.Foreign, []byte("X 9")) {
		t.Error("foreign text was not sealed")
	}
	text, _ := fake.Vault{}.Unseal(ev.Foreign)
	if want := `{"cid":"X 9","subs":["one","","th\"ree"],"code":"SAVE"}`; text != want {
		t.Errorf("sealed %s, want %s", text, want)
	}
	cookie := string(ctx.Response.Header.PeekCookie("vd_cid"))
	if want := "vd_cid=" + id + "; max-age=3600; path=/; HttpOnly; SameSite=Lax"; cookie != want {
		t.Errorf("cookie %s, want %s", cookie, want)
	}
	if b.metric(`clicks_total{result="recorded"}`) != "1" {
		t.Error("the click was not counted")
	}
}

func TestTheClickIDJoinsTheLandingsOwnQuery(t *testing.T) {
	for landingURL, want := range map[string]string{
		"https://q.example":                       "https://q.example?click_id=ID",
		"https://q.example/a?":                    "https://q.example/a?click_id=ID",
		"https://q.example/a?x=1":                 "https://q.example/a?x=1&click_id=ID",
		"https://q.example/a#top":                 "https://q.example/a?click_id=ID#top",
		"https://q.example/a?x=1&click_id=o&y#t?": "https://q.example/a?x=1&y&click_id=ID#t?",
		"https://q.example/a?my_click_id=1":       "https://q.example/a?my_click_id=1&click_id=ID",
	} {
		l, err := attribution.ParseLanding(landingURL)
		if err != nil {
			t.Fatal(err)
		}
		id := fake.NewMinter().Click(exchange.ClickID{}.Time())
		got := l.For(&attribution.Visit{Click: id})
		if got != strings.Replace(want, "ID", id.String(), 1) || l.For(&attribution.Visit{}) != landingURL {
			t.Errorf("%s became %s", landingURL, got)
		}
		if u, err := url.Parse(got); err != nil || u.Query().Get("click_id") != id.String() {
			t.Errorf("%s holds no click id", got)
		}
	}
}

func TestTheCookieIsSecureBehindTLS(t *testing.T) {
	b := newBench()
	ctx := b.do("GET", "/c/deep", "X-Forwarded-Proto", "https")
	cookie := string(ctx.Response.Header.PeekCookie("vd_cid"))
	if !strings.Contains(cookie, "; secure;") || !strings.Contains(cookie, fmt.Sprint("max-age=", cookieSecMax)) {
		t.Errorf("cookie %s", cookie)
	}
	if !strings.HasPrefix(location(ctx), "https://q.example/a?x=1&click_id=") || !strings.HasSuffix(location(ctx), "#top") {
		t.Errorf("to %s", location(ctx))
	}
}

func TestOtherTrackersNamesAreUnderstood(t *testing.T) {
	for query, want := range map[string]string{
		"a=blog-42&clickid=C&s1=S":                `{"cid":"C","subs":["S"]}`,
		"pid=blog-42&transaction_id=C":            `{"cid":"C"}`,
		"affid=blog-42&tid=C&aff_sub=S":           `{"cid":"C","subs":["S"]}`,
		"publisher_id=blog-42&subid=C&aff_sub2=S": `{"cid":"C","subs":["","S"]}`,
		"aff_id=blog-42&aff_click_id=C&sub_id5=S": `{"cid":"C","subs":["","","","","S"]}`,
		"affiliate_id=blog-42&cid=&click_id=C":    `{"cid":"C"}`,
		"aff=blog-42&cid=A&click_id=B":            `{"cid":"A"}`,
		"aff=blog-42":                             ``,
	} {
		b := newBench()
		b.do("GET", "/c/auto?"+query)
		text, _ := fake.Vault{}.Unseal(b.rec.clicks[0].Foreign)
		if text != want || b.rec.clicks[0].Affiliate != "blog-42" {
			t.Errorf("%s: %s of %q, want %s", query, text, b.rec.clicks[0].Affiliate, want)
		}
	}
}

func TestWhatDoesNotCount(t *testing.T) {
	b := newBench()
	for _, ctx := range []*fasthttp.RequestCtx{
		b.do("HEAD", "/c/auto?aff=blog-42"),
		b.do("GET", "/c/auto?aff=blog-42", "Sec-Purpose", "prefetch;prerender"),
		b.do("GET", "/c/auto?aff=blog-42", "Purpose", "Prefetch"),
	} {
		if ctx.Response.StatusCode() != 302 || location(ctx) != "https://quotes.example.com/auto" || ctx.Response.Header.PeekCookie("vd_cid") != nil {
			t.Errorf("%d to %s", ctx.Response.StatusCode(), location(ctx))
		}
	}
	if ctx := b.do("GET", "/c/nosuch?aff=blog-42"); ctx.Response.StatusCode() != 404 {
		t.Errorf("an unknown offer: %d", ctx.Response.StatusCode())
	}
	if ctx := b.do("POST", "/c/auto"); ctx.Response.StatusCode() != 405 || string(ctx.Response.Header.Peek("Allow")) != "GET, HEAD" {
		t.Errorf("POST: %d", ctx.Response.StatusCode())
	}
	if ctx := b.do("GET", "/v1/ping"); ctx.Response.StatusCode() != 299 {
		t.Error("a path of another room was taken")
	}
	if len(b.rec.clicks) != 0 {
		t.Errorf("%d clicks were journaled", len(b.rec.clicks))
	}
}

func TestAnUnknownAffiliateIsSentOnAlone(t *testing.T) {
	b := newBench()
	ctx := b.do("GET", "/c/auto?aff=nobody&cid=1")
	if ctx.Response.StatusCode() != 302 || b.rec.clicks[0].Affiliate != "" || b.metric("clicks_unknown_affiliate_total") != "1" {
		t.Errorf("%d, %+v", ctx.Response.StatusCode(), b.rec.clicks[0])
	}
}

func TestLongValuesAreCutAndCounted(t *testing.T) {
	b := newBench()
	b.do("GET", "/c/auto?aff=blog-42&sub1="+strings.Repeat("a", 254)+url.QueryEscape("é")+"&sub2="+strings.Repeat("b", 255))
	text, _ := fake.Vault{}.Unseal(b.rec.clicks[0].Foreign)
	var got struct{ Subs []string }
	if err := json.Unmarshal([]byte(text), &got); err != nil {
		t.Fatal(err)
	}
	if len(got.Subs) != 2 || len(got.Subs[0]) != 254 || !utf8.ValidString(got.Subs[0]) || len(got.Subs[1]) != 255 {
		t.Errorf("subs of %d and %d bytes", len(got.Subs[0]), len(got.Subs[1]))
	}
	if n := b.metric("click_values_cut_total"); n != "1" {
		t.Errorf("%s values were cut", n)
	}
}

func TestTheConsumerComesFirst(t *testing.T) {
	b := newBench()
	b.rec.fault = errors.New("the journal is down")
	for range 3 {
		ctx := b.do("GET", "/c/auto?aff=blog-42&cid=marker-77")
		if ctx.Response.StatusCode() != 302 || location(ctx) != "https://quotes.example.com/auto" || ctx.Response.Header.PeekCookie("vd_cid") != nil {
			t.Errorf("%d to %s", ctx.Response.StatusCode(), location(ctx))
		}
	}
	if n := b.metric(`clicks_total{result="unlogged"}`); n != "3" {
		t.Errorf("%s unlogged clicks were counted", n)
	}
	if lines := strings.Count(b.log.String(), "\n"); lines != 1 || strings.Contains(b.log.String(), "marker-77") {
		t.Errorf("log: %s", b.log.String())
	}
}
