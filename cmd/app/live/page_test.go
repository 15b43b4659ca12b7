package live

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/valyala/fasthttp"

	"vendue/exchange"
)

// ask sends one request to l without a network.
func ask(l *Live, method, path string) (ctx *fasthttp.RequestCtx, handled bool) {
	ctx = &fasthttp.RequestCtx{}
	ctx.Request.Header.SetMethod(method)
	ctx.Request.SetRequestURI(path)
	return ctx, l.Handle(ctx)
}

func TestHandle(t *testing.T) {
	l := New(Sources{Now: newClock().now})
	cases := []struct {
		method, path string
		handled      bool
		status       int
		kind         string
	}{
		{"GET", "/", true, 200, "text/html; charset=utf-8"},
		{"HEAD", "/", true, 200, "text/html; charset=utf-8"},
		{"GET", "/?x=1", true, 200, "text/html; charset=utf-8"},
		{"GET", "/api/live", true, 200, "application/json"},
		{"POST", "/", true, 405, ""},
		{"DELETE", "/api/live", true, 405, ""},
		{"GET", "/metrics", false, 0, ""},
		{"GET", "/api/lives", false, 0, ""},
	}
	for _, c := range cases {
		ctx, handled := ask(l, c.method, c.path)
		if handled != c.handled {
			t.Errorf("%s %s: handled %v, expected %v", c.method, c.path, handled, c.handled)
		}
		if !c.handled {
			continue
		}
		h := &ctx.Response.Header
		if ctx.Response.StatusCode() != c.status || (c.kind != "" && string(h.ContentType()) != c.kind) {
			t.Errorf("%s %s: %d %s, expected %d %s", c.method, c.path, ctx.Response.StatusCode(), h.ContentType(), c.status, c.kind)
		}
		for name, want := range map[string]string{"X-Content-Type-Options": "nosniff", "Cache-Control": "no-store", "Referrer-Policy": "no-referrer"} {
			if got := string(h.Peek(name)); got != want {
				t.Errorf("%s %s: %s %q, expected %q", c.method, c.path, name, got, want)
			}
		}
		if policy := string(h.Peek("Content-Security-Policy")); c.status == 200 && !strings.HasPrefix(policy, "default-src 'none'") {
			t.Errorf("%s %s: policy %q", c.method, c.path, policy)
		}
	}
}

// TestPageStandsAlone reads the document for anything that a browser would fetch, or that could turn data into markup.
func TestPageStandsAlone(t *testing.T) {
	ctx, _ := ask(New(Sources{}), "GET", "/")
	body := string(ctx.Response.Body())
	for _, bad := range []string{"{{", "innerHTML", "outerHTML", "insertAdjacentHTML", "document.write", "eval(", "@import", "url(", "src=", "https://"} {
		if strings.Contains(body, bad) {
			t.Errorf("the page holds %q", bad)
		}
	}
	if policy := string(ctx.Response.Header.Peek("Content-Security-Policy")); strings.Contains(policy, "unsafe") || strings.Contains(policy, "*") {
		t.Errorf("policy %q", policy)
	}
}

// TestAnswer reads the JSON as a stranger would.
func TestAnswer(t *testing.T) {
	clock := newClock()
	l := New(fullSources(clock))
	l.Auction(&exchange.Auction{Reason: exchange.ReasonNoBid, Elapsed: millis(1.25)})
	l.Attempt(&exchange.Attempt{
		Attempt: 1, Contract: "acme-west", Outcome: exchange.OutcomeAccepted, Status: exchange.LeadSold, Bid: dollars(21.5), Payout: dollars(17.2),
		Elapsed: millis(100), BuyerTime: millis(98),
	})
	clock.step(1500 * time.Millisecond)
	got := readAnswer(t, l)
	for path, want := range map[string]any{
		"now": "2026-03-02T14:00:01.5Z", "uptime_s": 1.0, "ready": true, "currency": "USD", "config": "9f3c1a77be0d4c52", "tests": 0.0,
		"journal.seq": 48211.0, "in_doubt.count": 3.0, "in_doubt.value": 52.25, "in_doubt.oldest_s": 7380.0, "in_doubt.conflicts": 2.0, "postbacks.waiting": 12.0, "postbacks.not_sent": 4.0, "postbacks.disabled": 2.0,
		"minute.leads": 2.0, "minute.span_s": 1.0, "minute.revenue": 21.5, "minute.margin": 4.3, "minute.ping_p50_ms": 1.247,
		"total.sold": 1.0, "total.payout": 17.2, "series.step_s": 1.0, "series.span_s": 60.0,
		"series.sold.0": 1.0, "series.unsold.0": 1.0, "unsold.0.reason": "no_bid", "unsold.0.recent": 1.0,
		"contracts.0.contract": "<b>bold</b>", "contracts.0.ping_p95_ms": nil, "contracts.1.revenue": 21.5, "contracts.1.avg_bid": 0.0,
		"caps.0.id": "buyer/zenith/hour/leads", "caps.0.left": 180.0, "caps.3.limit": 20000.0, "caps.3.left": 15789.5, "caps.4.start": nil,
	} {
		if v := at(got, path); v != want {
			t.Errorf("%s is %v, expected %v", path, v, want)
		}
	}
	if _, told := got["not_ready"]; told {
		t.Error("a ready house says why it is not")
	}
	before := at(got, "total.sold")
	l.Attempt(soldOne())
	if at(readAnswer(t, l), "total.sold") != before {
		t.Error("an answer was made twice within its time")
	}
	clock.step(answerKept)
	if at(readAnswer(t, l), "total.sold") != 2.0 {
		t.Error("an answer outlived its time")
	}
}

// TestAnswerWithoutSources is a house of which nothing is known: lists are empty, never null.
func TestAnswerWithoutSources(t *testing.T) {
	l := New(Sources{Ready: func() string { return "the journal is read" }})
	got := readAnswer(t, l)
	if got["ready"] != false || got["not_ready"] != "the journal is read" {
		t.Errorf("ready %v, not_ready %v", got["ready"], got["not_ready"])
	}
	for _, path := range []string{"caps", "contracts", "unsold", "series.sold", "series.ping_p50_ms"} {
		if list, ok := at(got, path).([]any); !ok || len(list) != 0 {
			t.Errorf("%s is %v, expected an empty list", path, at(got, path))
		}
	}
}

// TestAnswerIsBounded shows more rows and caps than an answer holds.
func TestAnswerIsBounded(t *testing.T) {
	var a answer
	rows := make([]ContractRow, rowsShownMax+5)
	rows[len(rows)-1].Posts, rows[len(rows)-1].Contract = 1, "busy"
	a.showRows(rows)
	if len(a.Contracts) != rowsShownMax || a.RowsLeft != 5 || a.Contracts[rowsShownMax-1].Contract != "busy" {
		t.Errorf("%d rows, %d left off", len(a.Contracts), a.RowsLeft)
	}
	caps := make([]Cap, capsShownMax+5)
	caps[len(caps)-1] = Cap{ID: "full", Limit: 1, Committed: 1}
	a.showCaps(caps)
	if len(a.Caps) != capsShownMax || a.CapsLeft != 5 || a.Caps[0].ID != "full" || caps[0].ID == "full" {
		t.Errorf("%d caps, %d left off, the first is %q", len(a.Caps), a.CapsLeft, a.Caps[0].ID)
	}
}

// TestNothingPersonalIsTold plants marks in every free text of the records: none comes out.
func TestNothingPersonalIsTold(t *testing.T) {
	clock := newClock()
	l := New(Sources{Now: clock.now})
	const mark = "PLANTED"
	l.Auction(&exchange.Auction{
		Seller: mark, Campaign: mark, ConfigHash: mark, Lead: &exchange.Lead{Values: []exchange.Value{{Text: mark, Set: true}}},
		Candidates: []exchange.Candidate{{Name: "a", Detail: mark}},
	})
	l.Attempt(&exchange.Attempt{Attempt: 1, Contract: "a", Buyer: mark, Seller: mark, Campaign: mark, Detail: mark})
	clock.step(time.Second)
	body, err := l.json()
	if err != nil || strings.Contains(string(body), mark) {
		t.Errorf("%v: the answer holds what was planted: %s", err, body)
	}
}

func readAnswer(t *testing.T, l *Live) map[string]any {
	t.Helper()
	ctx, _ := ask(l, "GET", "/api/live")
	var got map[string]any
	if err := json.Unmarshal(ctx.Response.Body(), &got); err != nil {
		t.Fatalf("%v in %s", err, ctx.Response.Body())
	}
	return got
}

// at walks v by names and places: "series.sold.0". What is not there reads as a word nothing equals.
func at(v any, path string) any {
	for step := range strings.SplitSeq(path, ".") {
		switch here := v.(type) {
		case map[string]any:
			next, ok := here[step]
			if !ok {
				return "(absent)"
			}
			v = next
		case []any:
			i := int(step[0] - '0')
			if i >= len(here) {
				return "(absent)"
			}
			v = here[i]
		}
	}
	return v
}
