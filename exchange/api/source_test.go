package api

import (
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/valyala/fasthttp"

	"vendue/exchange"
)

// sourced is a house that knows two affiliates, an offer and a coupon, with ids as its own minter makes them.
func sourced(t *testing.T) (h *house, click exchange.ClickID, lead exchange.LeadID) {
	h = newHouse(t, func(m *exchange.Market) {
		m.Affiliates = map[exchange.AffiliateID]struct{}{"blog-42": {}, "kim": {}}
		m.Offers = map[exchange.OfferID]*exchange.Offer{"auto": {ID: "auto"}}
		m.Coupons = map[string]exchange.AffiliateID{"save10": "kim", "77": "blog-42"}
	})
	minter, err := exchange.NewMinter([]byte("0123456789abcdef"), 1, func() uint64 { return 1 << 40 })
	if err != nil {
		t.Fatal(err)
	}
	at := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	return h, minter.Click(at), minter.Lead(at)
}

// told is what the journal holds of the source of the one lead that was posted.
func (h *house) told(t *testing.T) (f exchange.SourceFacts) {
	t.Helper()
	h.disk.mu.Lock()
	defer h.disk.mu.Unlock()
	found := 0
	for _, entries := range h.disk.byLead {
		for _, e := range entries {
			if ev, ok := e.Event.(*exchange.PostStarted); ok && ev.Lead != nil {
				f, found = ev.Lead.Source, found+1
			}
		}
	}
	if found != 1 {
		t.Fatalf("%d leads were posted", found)
	}
	return f
}

const wholeLead = `"lead":{"zip":"85001","age":41,"last_name":"Miller","phone":"6025550123"}`

// TestCookiesAndCouponsOfALead sends every kind of cookie and coupon beside a direct, as JSON and as a form: only ids of
// our own making and codes that are somebody's are journaled, and none of the others stops the sale.
func TestCookiesAndCouponsOfALead(t *testing.T) {
	_, click, lead := sourced(t)
	genuine := click.String()
	forged := genuine[:31] + map[bool]string{true: "1", false: "0"}[genuine[31] == '0']
	for _, c := range []struct {
		name   string
		source map[string]string
		want   exchange.SourceFacts
	}{
		{"both", map[string]string{"cookie": genuine, "coupon": "save10"}, exchange.SourceFacts{Cookie: click, Coupon: "kim"}},
		{"a code in another case, among spaces", map[string]string{"coupon": " \tSaVe10 "}, exchange.SourceFacts{Coupon: "kim"}},
		{"nobody's code", map[string]string{"coupon": "SAVE100", "cookie": genuine}, exchange.SourceFacts{Cookie: click}},
		{"a forged cookie", map[string]string{"cookie": forged, "coupon": "save10"}, exchange.SourceFacts{Coupon: "kim"}},
		{"a cookie that is a lead's id", map[string]string{"cookie": lead.String(), "affiliate": "blog-42"}, exchange.SourceFacts{Affiliate: "blog-42"}},
		{"another house's cookie", map[string]string{"cookie": "GA1.2.3", "coupon": "77"}, exchange.SourceFacts{Coupon: "blog-42"}},
		{"a click of ours beside them", map[string]string{"click_id": genuine, "cookie": genuine, "coupon": "save10"}, exchange.SourceFacts{Click: click, Cookie: click, Coupon: "kim"}},
		{"a forged click beside them", map[string]string{"click_id": forged, "cookie": genuine, "coupon": "save10", "affiliate": "blog-42"}, exchange.SourceFacts{}},
		{"names that nobody has", map[string]string{"affiliate": "kim2", "offer": "auto", "coupon": ""}, exchange.SourceFacts{Offer: "auto"}},
	} {
		for _, form := range []bool{false, true} {
			h, _, _ := sourced(t)
			var ctx *fasthttp.RequestCtx
			if form {
				ctx = h.do("POST /v1/direct", sellerKey, formType, "campaign=north-auto&zip=85001&age=41&last_name=Miller&phone=6025550123&"+formOf(c.source))
			} else {
				ctx = h.do("POST /v1/direct", sellerKey, jsonType, `{"campaign":"north-auto",`+wholeLead+`,"source":`+jsonOf(c.source)+`}`)
			}
			if body := string(ctx.Response.Body()); !strings.Contains(body, `"status":"sold"`) {
				t.Errorf("%s, form %t: %s", c.name, form, body)
				continue
			}
			got := h.told(t)
			if len(got.Foreign) > 0 || got.Click != c.want.Click || got.Cookie != c.want.Cookie || got.Coupon != c.want.Coupon || got.Affiliate != c.want.Affiliate || got.Offer != c.want.Offer {
				t.Errorf("%s, form %t: journaled %+v, want %+v", c.name, form, got, c.want)
			}
		}
	}
}

func formOf(source map[string]string) string {
	form := url.Values{}
	for k, v := range source {
		form.Set(k, v)
	}
	return form.Encode()
}

func jsonOf(source map[string]string) string {
	text := []byte("{")
	for k, v := range source {
		if len(text) > 1 {
			text = append(text, ',')
		}
		text = append(appendText(append(text, '"'), k, v), '"')
	}
	return string(append(text, '}'))
}

func appendText(dst []byte, k, v string) []byte {
	return append(append(append(dst, k...), `":"`...), strings.ReplaceAll(v, "\t", `\t`)...)
}

// TestAPingsCookieAndCouponAreThePosts has a ping tell who brought the consumer, and a post that says otherwise.
func TestAPingsCookieAndCouponAreThePosts(t *testing.T) {
	h, click, _ := sourced(t)
	ctx := h.do("POST /v1/ping", sellerKey, jsonType, `{"campaign":"north-auto","lead":{"zip":"85001","age":41},"source":{"cookie":"`+click.String()+`","coupon":77,"sub1":null}}`)
	ping := anID.FindString(string(ctx.Response.Body()))
	ctx = h.do("POST /v1/post", sellerKey, jsonType, `{"ping_id":"`+ping+`",`+wholeLead+`,"source":{"coupon":"save10"}}`)
	if body := string(ctx.Response.Body()); !strings.Contains(body, `"status":"sold"`) {
		t.Fatal(body)
	}
	if got := h.told(t); got.Cookie != click || got.Coupon != "blog-42" || len(got.Foreign) > 0 {
		t.Errorf("journaled %+v", got)
	}
}

// TestCookiesAndCouponsThatCannotBeRead names the field and never what stands in it.
func TestCookiesAndCouponsThatCannotBeRead(t *testing.T) {
	h, _, _ := sourced(t)
	for _, key := range []string{"cookie", "coupon"} {
		for value, want := range map[string]string{
			`"` + marker + strings.Repeat("x", 256) + `"`: "expected at most 255 bytes",
			`{"` + marker + `":1}`:                        "expected a string",
			`["` + marker + `"]`:                          "expected a string",
			`true`:                                        "expected a string",
		} {
			ctx := h.do("POST /v1/direct", sellerKey, jsonType, `{"campaign":"north-auto",`+wholeLead+`,"source":{"`+key+`":`+value+`}}`)
			checkAnswer(t, ctx)
			body := string(ctx.Response.Body())
			if ctx.Response.StatusCode() != 422 || !strings.Contains(body, `{"field":"source.`+key+`","error":"`+want+`"}`) {
				t.Errorf("%s %.40s: %d %s", key, value, ctx.Response.StatusCode(), body)
			}
		}
		ctx := h.do("POST /v1/direct", sellerKey, formType, "campaign=north-auto&zip=85001&age=41&last_name=Miller&phone=6025550123&"+key+"="+strings.Repeat(marker, 30))
		checkAnswer(t, ctx)
		if body := string(ctx.Response.Body()); ctx.Response.StatusCode() != 422 || !strings.Contains(body, `"field":"source.`+key+`"`) {
			t.Errorf("%s in a form: %d %s", key, ctx.Response.StatusCode(), body)
		}
	}
	delete(h.disk.byLead, exchange.LeadID{}) // what is of no lead
	if len(h.disk.byLead) > 0 {
		t.Error("a lead was journaled")
	}
}
