package api

import (
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/tidwall/gjson"
	"pgregory.net/rapid"

	"vendue/exchange/api/apitest"
)

// spoilable are the requests that sellers and buyers send, by what the document says of them.
var spoilable = map[string]string{"/v1/ping": sellerKey, "/v1/direct": sellerKey, "/v1/post": sellerKey, "/v1/buyers/outcome": buyerKey, "/v1/returns": buyerKey}

// Bad requests made from the document: each property dropped, of the wrong type,
// out of range, too long, or one too many; alone and together, as JSON and as a form. Each is
// answered as the document says (the house's do checks that), never with a 500.
func TestSpoiledRequests(t *testing.T) {
	h := newHouse(t, nil)
	for path, key := range spoilable {
		sample := h.doc.Sample(path)
		if sample == nil || len(sample.Spoils) < 20 {
			t.Fatalf("%s: the document shows no body to spoil", path)
		}
		refused := 0
		for _, spoil := range sample.Spoils {
			refused += h.spoiled(path, key, sample.With(spoil), spoil.Name)
		}
		if refused < len(sample.Spoils)/4 {
			t.Errorf("%s: only %d of %d spoiled bodies were refused", path, refused, len(sample.Spoils))
		}
		rapid.Check(t, func(r *rapid.T) {
			some := rapid.SliceOfN(rapid.SampledFrom(sample.Spoils), 2, 6).Draw(r, "spoils")
			h.spoiled(path, key, sample.With(some...), some[0].Name)
		})
	}
}

// spoiled sends a body as JSON and as a form, and tells whether the JSON was refused.
func (h *house) spoiled(path, key string, body []byte, what string) (refused int) {
	h.t.Helper()
	for _, kind := range []string{jsonType, formType} {
		text := string(body)
		if kind == formType {
			text = asForm(body)
		}
		ctx := h.do("POST "+path, key, kind, text)
		status := ctx.Response.StatusCode()
		if status >= 500 {
			h.t.Errorf("%s: %s as %s: %d %s", path, what, kind, status, ctx.Response.Body())
		}
		if status < 400 {
			continue
		}
		if got := string(ctx.Response.Header.ContentType()); got != "application/problem+json" || gjson.GetBytes(ctx.Response.Body(), "reason").Str == "" {
			h.t.Errorf("%s: %s as %s: not a problem with a reason: %s", path, what, kind, ctx.Response.Body())
		}
		if kind == jsonType {
			refused = 1
		}
	}
	return refused
}

// asForm flattens a JSON body as the native form has it.
func asForm(body []byte) string {
	form := url.Values{}
	gjson.ParseBytes(body).ForEach(func(key, value gjson.Result) bool {
		if !value.IsObject() {
			form.Add(key.Str, value.String())
			return true
		}
		value.ForEach(func(key, value gjson.Result) bool {
			form.Add(key.Str, value.String())
			return true
		})
		return true
	})
	return form.Encode()
}

// What the document allows at its least is taken, and so are all its examples: the
// spoils above spoil something that was good.
func TestSamplesAreGood(t *testing.T) {
	h := newHouse(t, nil)
	for _, path := range []string{"/v1/ping", "/v1/direct"} {
		sample := h.doc.Sample(path)
		body := strings.ReplaceAll(string(sample.With()), `"state":"AZ",`, "")
		if ctx := h.do("POST "+path, sellerKey, jsonType, body); ctx.Response.StatusCode() != 200 {
			t.Errorf("%s: %s", path, ctx.Response.Body())
		}
		names := []string{}
		for _, spoil := range sample.Spoils {
			names = append(names, spoil.Name)
		}
		if !slices.Contains(names, "drop lead.zip") || !slices.Contains(names, "no_such_property is extra") || !slices.Contains(names, "max_wait_ms is beyond its maximum") {
			t.Errorf("%s: spoils are missing: %v", path, names)
		}
	}
}

// The same for foreign requests: whatever is wrong with them, the answer is the
// platform's own, as the document has it, and no 500.
func TestSpoiledForeignRequests(t *testing.T) {
	h := newHouse(t, nil)
	for path, body := range map[string]string{
		"/apiJSON.php":                      `{"Request":{"Key":"seller-key","API_Action":"pingPostLead","Mode":"full","TYPE":"33","Zip":"85001","Age":41,"Last_Name":"Doe","Phone":"6025550143"}}`,
		"/ping.do":                          `{"lp_campaign_id":"33","lp_campaign_key":"seller-key","zip":"85001","age":41,"lp_s1":"a"}`,
		"/direct_post":                      `{"lp_campaign_id":"33","lp_key":"seller-key","lp_action":"test","zip":"85001","age":41,"last_name":"Doe","phone":"6025550143"}`,
		"/post":                             `{"lp_campaign_id":"33","lp_key":"seller-key","lp_ping_id":"06gzvkq3a8t00g4j1c9x5nd7ew2b8y6m","bid_id":"x","last_name":"Doe","phone":"6025550143"}`,
		"/lead/":                            `{"apiId":"a","apiPassword":"seller-key","productId":33,"price":"1.00","zip":"85001","age":41,"lastName":"Doe","phone":"6025550143"}`,
		"/api/lead/directpost":              `{"ApiToken":"seller-key","Vertical":"33","SubId":"a","ContactData":{"ZipCode":"85001","PhoneNumber":"6025550143","LastName":"Doe"},"Person":{"Age":41}}`,
		"/flows/33/sources/seller-key/ping": `{"zip":"85001","age":41,"tcpa_text":"I agree"}`,
	} {
		sample, err := apitest.SampleOf([]byte(body))
		if err != nil {
			t.Fatal(err)
		}
		foreign := func(body []byte, what string) {
			for _, kind := range []string{jsonType, formType} {
				text := string(body)
				if kind == formType {
					text = asForm(body)
				}
				if ctx := h.do("POST "+path, "", kind, text); ctx.Response.StatusCode() >= 400 {
					t.Errorf("%s: %s as %s: %d %s", path, what, kind, ctx.Response.StatusCode(), ctx.Response.Body())
				}
			}
		}
		foreign(sample.With(), "nothing")
		for _, spoil := range sample.Spoils {
			foreign(sample.With(spoil), spoil.Name)
		}
		rapid.Check(t, func(r *rapid.T) {
			some := rapid.SliceOfN(rapid.SampledFrom(sample.Spoils), 2, 5).Draw(r, "spoils")
			foreign(sample.With(some...), some[0].Name)
		})
	}
}
