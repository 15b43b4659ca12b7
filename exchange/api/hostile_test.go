package api

import (
	"fmt"
	"strings"
	"sync"
	"testing"
	"testing/synctest"

	"github.com/valyala/fasthttp"

	"vendue/exchange"
)

// marker stands in every personal field; no answer may hold it.
const marker = "zqpersonalqz"

const goodPing = `{"campaign":"north-auto","lead":{"zip":"85001","age":41}}`

func pingID(t testing.TB, h *house) string {
	ctx := h.do("POST /v1/ping", sellerKey, jsonType, goodPing)
	id := anID.FindString(string(ctx.Response.Body()))
	if id == "" {
		t.Fatalf("no ping: %s", ctx.Response.Body())
	}
	return id
}

// checkAnswer holds what is true of every answer: a status of API.md, a body of
// its kind, and nobody's personal value in it.
func checkAnswer(t *testing.T, ctx *fasthttp.RequestCtx) {
	status, body := ctx.Response.StatusCode(), string(ctx.Response.Body())
	switch status {
	case 200, 202, 400, 401, 403, 404, 405, 409, 413, 415, 422, 429, 503:
	default:
		t.Errorf("status %d: %s", status, body)
	}
	if strings.Contains(body, marker) {
		t.Errorf("status %d shows a personal value: %s", status, body)
	}
	if status >= 400 && string(ctx.Response.Header.ContentType()) != "application/problem+json" {
		t.Errorf("status %d of type %s", status, ctx.Response.Header.ContentType())
	}
}

func TestHostileBodies(t *testing.T) {
	h := newHouse(t, nil)
	deep := func(n int) string {
		return `{"campaign":"north-auto","lead":{"zip":"85001","age":41},"x":` + strings.Repeat("[", n) + strings.Repeat("]", n) + `}`
	}
	many := `{"campaign":"north-auto","lead":{"zip":"85001","age":41},"x":"` + strings.Repeat(`[{\"`, 5000) + `"}`
	for _, c := range []struct {
		name, body string
		status     int
	}{
		{"deep beyond reading", deep(500_000), 400},
		{"deep and broken", strings.Repeat(`{"a":`, 500_000), 400},
		{"many brackets in a string", many, 200},
		{"not UTF-8", "{\"campaign\":\"north-auto\",\"ref\":\"\xff\",\"lead\":{\"zip\":\"85001\",\"age\":41}}", 400},
		{"a lone surrogate", `{"campaign":"north-auto","ref":"\ud800","lead":{"zip":"85001","age":41}}`, 200},
		{"a long ref", `{"campaign":"north-auto","ref":"` + strings.Repeat("r", 256) + `","lead":{"zip":"85001","age":41}}`, 422},
		{"a long source", `{"campaign":"north-auto","source":{"sub1":"` + strings.Repeat("r", 256) + `"},"lead":{"zip":"85001","age":41}}`, 422},
		{"a long consent", `{"campaign":"north-auto","consent":{"x":"` + strings.Repeat("r", 16<<10) + `"},"lead":{"zip":"85001","age":41}}`, 422},
		{"a huge number", `{"campaign":"north-auto","min_price":` + strings.Repeat("9", 5000) + `,"lead":{"zip":"85001","age":41}}`, 422},
		{"the most money", `{"campaign":"north-auto","min_price":1000000000,"lead":{"zip":"85001","age":41}}`, 200},
		{"more than that", `{"campaign":"north-auto","min_price":1000000000.000001,"lead":{"zip":"85001","age":41}}`, 422},
		{"an escaped key", `{"c\u0061mpaign":"north-auto","lead":{"zip":"85001","\u0061ge":41}}`, 200},
		{"two names for one key", `{"c\u0061mpaign":"north-auto","campaign":"north-auto","lead":{"zip":"85001","age":41}}`, 422},
		{"nothing but nulls", `{"campaign":"north-auto","ref":null,"source":null,"consent":null,"bid_ids":null,"sale":null,"lead":{"zip":"85001","age":41,"insured":null}}`, 200},
	} {
		t.Run(c.name, func(t *testing.T) {
			ctx := h.do("POST /v1/ping", sellerKey, jsonType, c.body)
			checkAnswer(t, ctx)
			if got := ctx.Response.StatusCode(); got != c.status {
				t.Errorf("status %d, want %d: %.300s", got, c.status, ctx.Response.Body())
			}
		})
	}
	long := h.do("POST /v1/post", sellerKey, jsonType, `{"ping_id":"x","lead":{}}`, "Idempotency-Key", strings.Repeat("k", 256))
	if long.Response.StatusCode() != 422 {
		t.Errorf("a long Idempotency-Key: %d", long.Response.StatusCode())
	}
}

// Nothing may keep a part of a request: fasthttp reads the next one into the same memory.
func TestNothingIsKeptOfARequest(t *testing.T) {
	h := newHouse(t, nil)
	ctx := h.do("POST /v1/ping", sellerKey, jsonType,
		`{"campaign":"north-auto","ref":"first","consent":{"page_url":"https://x.example"},"lead":{"zip":"85001","age":41}}`)
	ping := anID.FindString(string(ctx.Response.Body()))
	scribble(ctx)
	if ctx := h.do("POST /v1/ping", sellerKey, jsonType, `{"campaign":"north-auto","ref":"first","lead":{"zip":"85001","age":41}}`); !strings.Contains(string(ctx.Response.Body()), ping) {
		t.Errorf("the quote of the ref was lost: %s", ctx.Response.Body())
	}
	h.buyer.hold = make(chan struct{})
	post := new(fasthttp.RequestCtx)
	var wait sync.WaitGroup
	wait.Go(func() {
		post = h.do("POST /v1/post", sellerKey, jsonType, `{"ping_id":"`+ping+`","lead":{"last_name":"Miller","phone":"6025550123"}}`)
	})
	h.buyer.hold <- struct{}{}
	wait.Wait()
	d := h.buyer.seen.Load()
	scribble(post)
	want := map[string]string{"zip": "85001", "age": "41", "last_name": "Miller", "phone": "+16025550123"}
	for name, text := range want {
		if got := d.Lead.Values[d.Lead.Vertical.Slots[name]].Text; got != text {
			t.Errorf("%s reached the buyer as %q, want %q", name, got, text)
		}
	}
	if d.Consent.Raw != `{"page_url":"https://x.example"}` {
		t.Errorf("the consent reached the buyer as %q", d.Consent.Raw)
	}
}

func scribble(ctx *fasthttp.RequestCtx) {
	body := ctx.Request.Body()
	for i := range body {
		body[i] = '#'
	}
}

// The key is busy while its post is in flight, and so is a verdict on the lead.
func TestInFlight(t *testing.T) { synctest.Test(t, inFlight) }

func inFlight(t *testing.T) {
	h := newHouse(t, nil)
	h.buyer.hold = make(chan struct{})
	body := `{"campaign":"north-auto","lead":{"zip":"85001","age":41,"last_name":"M","phone":"6025550123"}}`
	var first *fasthttp.RequestCtx
	var wait sync.WaitGroup
	wait.Go(func() { first = h.do("POST /v1/direct", sellerKey, jsonType, body, "Idempotency-Key", "k") })
	synctest.Wait()
	ctx := h.do("POST /v1/direct", sellerKey, jsonType, body, "Idempotency-Key", "k")
	if ctx.Response.StatusCode() != 409 || len(ctx.Response.Header.Peek("Retry-After")) == 0 {
		t.Errorf("the key in flight: %d %s", ctx.Response.StatusCode(), ctx.Response.Body())
	}
	lead := h.buyer.seen.Load().LeadID.String()
	ctx = h.do("GET /v1/leads/"+lead, sellerKey, "", "")
	if ctx.Response.StatusCode() != 202 || !strings.Contains(string(ctx.Response.Body()), `"final":false`) {
		t.Errorf("the lead in flight: %d %s", ctx.Response.StatusCode(), ctx.Response.Body())
	}
	ctx = h.do("POST /v1/buyers/outcome", buyerKey, jsonType, `{"lead_id":"`+lead+`","accepted":true}`)
	if ctx.Response.StatusCode() != 409 {
		t.Errorf("a verdict in flight: %d %s", ctx.Response.StatusCode(), ctx.Response.Body())
	}
	close(h.buyer.hold)
	wait.Wait()
	again := h.do("POST /v1/direct", sellerKey, jsonType, body, "Idempotency-Key", "k")
	if string(again.Response.Body()) != string(first.Response.Body()) {
		t.Errorf("told\n%s\nthen\n%s", first.Response.Body(), again.Response.Body())
	}
}

// The same answer, byte for byte, however often and however it is asked for.
func TestRepeatsByteForByte(t *testing.T) {
	for _, outcome := range []exchange.Outcome{exchange.OutcomeAccepted, exchange.OutcomeRejected, exchange.OutcomeUnknown, exchange.OutcomeNotDelivered} {
		h := newHouse(t, nil)
		h.buyer.outcome.Store(int32(outcome))
		body := fmt.Sprintf(`{"ping_id":%q,"lead":{"last_name":"M","phone":"6025550123"}}`, pingID(t, h))
		first := h.do("POST /v1/post", sellerKey, jsonType, body, "Idempotency-Key", "k")
		for range 3 {
			again := h.do("POST /v1/post", sellerKey, jsonType, body, "Idempotency-Key", "k")
			status := h.do("GET /v1/leads/"+anID.FindString(string(first.Response.Body())), sellerKey, "", "")
			for _, ctx := range []*fasthttp.RequestCtx{again, status} {
				if string(ctx.Response.Body()) != string(first.Response.Body()) || ctx.Response.StatusCode() != first.Response.StatusCode() {
					t.Errorf("%s: told\n%s\nthen\n%s", outcome, first.Response.Body(), ctx.Response.Body())
				}
			}
		}
	}
}

var fuzzPaths = []string{"/v1/ping", "/v1/post", "/v1/direct", "/v1/buyers/outcome", "/v1/returns"}

func fuzzBodies(f *testing.F, kind string, seeds ...string) {
	h := newHouse(f, nil)
	for which := range fuzzPaths {
		for _, seed := range seeds {
			f.Add(uint8(which), seed, "k")
		}
	}
	f.Fuzz(func(t *testing.T, which uint8, body, key string) {
		path := fuzzPaths[int(which)%len(fuzzPaths)]
		auth := sellerKey
		if path == "/v1/buyers/outcome" || path == "/v1/returns" {
			auth = buyerKey
		}
		body = strings.ReplaceAll(body, "PING", pingID(t, h))
		ctx := h.do("POST "+path, auth, kind, body, "Idempotency-Key", key)
		checkAnswer(t, ctx)
		if ctx.Response.StatusCode() == 503 {
			t.Errorf("503: %s", ctx.Response.Body())
		}
	})
}

func FuzzJSON(f *testing.F) {
	fuzzBodies(f, jsonType,
		goodPing,
		`{"campaign":"north-auto","lead":{"zip":"85001","age":41,"last_name":"`+marker+`","phone":"6025550123","email":"`+marker+`@x.example"}}`,
		`{"campaign":"north-auto","lead":{"zip":"85001","age":41,"last_name":["`+marker+`"],"phone":"`+marker+`","email":"`+marker+`"}}`,
		`{"ping_id":"PING","bid_ids":["PING-1"],"consent":{"named_buyers":["a"]},"lead":{"last_name":"`+marker+`","phone":"`+marker+`"}}`,
		`{"lead_id":"PING","bid_id":"PING-1","accepted":true,"id":"x"}`,
		`{"campaign":"north-auto","campaign":{},"lead":{"zip":{},"zip":[]},"source":{"sub1":"\u0000"},"min_price":"1e5","max_wait_ms":-1}`,
	)
}

func FuzzForm(f *testing.F) {
	fuzzBodies(f, formType,
		`campaign=north-auto&zip=85001&age=41`,
		`campaign=north-auto&zip=85001&age=41&last_name=`+marker+`&phone=6025550123&email=`+marker+`%40x.example`,
		`campaign=north-auto&zip=%ff&age=%00&last_name=`+marker+`&phone=`+marker+`&named_buyers=a,b&captured_at=`+marker,
		`ping_id=PING&bid_ids=PING-1,PING-1&last_name=`+marker+`&phone=`+marker,
		`lead_id=PING&accepted=1&id=x&id=y`,
	)
}
