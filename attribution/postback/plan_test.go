package postback

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"net/url"
	"slices"
	"strings"
	"testing"
)

func compiled(t *testing.T, o Order) *Plan {
	t.Helper()
	if o.On == "" {
		o.On = EventLeadSold
	}
	p, err := Compile("blog-42", o)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func TestWordsLengthsAndDrops(t *testing.T) {
	for name, c := range map[string]struct{ template, want, fault string }{
		"words":               {template: "https://t.example/?s={status:sold=1 returned=3}", want: "https://t.example/?s=1"},
		"words are encoded":   {template: "https://t.example/?s={status:sold=a&b}", want: "https://t.example/?s=a%26b"},
		"words and filters":   {template: "https://t.example/?s={status:sold=Yes|upper}", want: "https://t.example/?s=YES"},
		"unmapped":            {template: "https://t.example/?s={currency:EUR=1}", fault: "unmapped_currency"},
		"empty is not mapped": {template: "https://t.example/?s={sub2:a=b?none}", want: "https://t.example/?s=none"},
		"length":              {template: "https://t.example/?s={conversion_id|len:6}", want: "https://t.example/?s=c0ffee"},
		"wrong length":        {template: "https://t.example/?s={conversion_id|len:7}", fault: "length_conversion_id"},
		"empty has no length": {template: "https://t.example/?s={sub2|len:7}", want: "https://t.example/?s="},
		"required":            {template: "https://t.example/?s={sub2|required}", fault: "missing_sub2"},
		"required, there":     {template: "https://t.example/?s={payout|required}", want: "https://t.example/?s=3.25"},
		"drop":                {template: "https://t.example/?a=1&s={sub2|drop}&b=2", want: "https://t.example/?a=1&b=2"},
		"drop, there":         {template: "https://t.example/?a=1&s={payout|drop}&b=2", want: "https://t.example/?a=1&s=3.25&b=2"},
		"drop the first":      {template: "https://t.example/?s={sub2|drop}&b=2&c={sub3|drop}&d={payout}", want: "https://t.example/?b=2&d=3.25"},
		"drop the last":       {template: "https://t.example/?b=2&s={sub2|drop}", want: "https://t.example/?b=2"},
		"drop all":            {template: "https://t.example/?s={sub2|drop}&t={sub3|drop}", want: "https://t.example/?"},
		"drop a click id":     {template: "https://t.example/?s={aff_click_id|drop}", want: "https://t.example/?s=Ab%2Fc%20d%26e%3D1"},
		"a date":              {template: "https://t.example/{conv_ts|rfc3339}", want: "https://t.example/2026-05-28T20%3A26%3A40Z"},
		"personal":            {template: "https://t.example/?e={email|trim|lower|sha256?none}", want: "https://t.example/?e=none"},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := compiled(t, Order{URL: c.template}).Render(values())
			if NotSentReason(err) != c.fault || c.fault == "" && string(got) != c.want {
				t.Errorf("got %q, %v", got, err)
			}
		})
	}
	hashed := values()
	hashed[MacroEmail] = " Ann@Example.com "
	got, err := compiled(t, Order{URL: "https://t.example/?e={email|trim|lower|sha256?none}"}).Render(hashed)
	sum := sha256.Sum256([]byte("ann@example.com"))
	if want := "https://t.example/?e=" + hex.EncodeToString(sum[:]); err != nil || string(got) != want {
		t.Errorf("got %q, %v, want %q", got, err, want)
	}
}

// TestSecretsAreNotKept checks what a job keeps, what is sent, and what people are shown.
func TestSecretsAreNotKept(t *testing.T) {
	p := compiled(t, Order{
		URL: "https://t.example/{secret:path}?b=2&k={secret}&a={sub1}&ts={ts}&sig={sig}", Post: true,
		Body:   []Field{{"key", "{secret}"}, {"said", "{sub1}\x01{ts}"}},
		Secret: []byte(`main "secret"`), Secrets: map[string][]byte{"path": []byte("a/b")},
	})
	kept, err := p.Render(values())
	if err != nil {
		t.Fatal(err)
	}
	if strings.Contains(string(kept), "main") || strings.Contains(string(kept), "a%2Fb") {
		t.Fatalf("a job keeps %q", kept)
	}
	q, ok := requestOf(kept, p, "1780000100", false)
	u, err := url.Parse(string(q.url))
	if !ok || err != nil || u.EscapedPath() != "/a%2Fb" || u.Query().Get("k") != `main "secret"` || u.Query().Get("ts") != "1780000100" {
		t.Fatalf("sends %s: %v", q.url, err)
	}
	// The signature is over the query as it is sent: any receiver can check it.
	parameters := strings.Split(u.RawQuery, "&")
	parameters = slices.DeleteFunc(parameters, func(s string) bool { return strings.HasPrefix(s, "sig=") })
	slices.Sort(parameters)
	mac := hmac.New(sha256.New, []byte(`main "secret"`))
	mac.Write([]byte(strings.Join(parameters, "&")))
	if got, want := u.Query().Get("sig"), hex.EncodeToString(mac.Sum(nil)); got != want {
		t.Errorf("signed %s, want %s", got, want)
	}
	var body map[string]string
	if err := json.Unmarshal(q.body, &body); err != nil || body["key"] != `main "secret"` || body["said"] != " Häuser \x011780000100" {
		t.Errorf("body %q: %v", q.body, err)
	}
	if shown, err := p.Preview(values(), "1"); err != nil || strings.Contains(shown.URL+shown.Body, "main") || strings.Contains(shown.URL, "a%2Fb") {
		t.Errorf("people are shown %+v, %v", shown, err)
	}
	if _, ok := requestOf(kept, nil, "1", false); ok {
		t.Error("a request was made without its secrets")
	}
	if _, ok := requestOf(kept, compiled(t, Order{URL: "https://t.example/"}), "1", false); ok {
		t.Error("a request was made without its secrets")
	}
}

func TestAPostWithoutABodyOfItsOwnTellsEverything(t *testing.T) {
	for _, form := range []bool{false, true} {
		p := compiled(t, Order{URL: "https://t.example/", Post: true, Form: form})
		kept, err := p.Render(values())
		q, ok := requestOf(kept, p, "1", false)
		if err != nil || !ok || q.form != form {
			t.Fatal(err, ok)
		}
		got := map[string]string{}
		if form {
			v, err := url.ParseQuery(string(q.body))
			if err != nil {
				t.Fatal(err)
			}
			for name := range v {
				got[name] = v.Get(name)
			}
		} else if err := json.Unmarshal(q.body, &got); err != nil {
			t.Fatal(err)
		}
		for _, m := range Macros() {
			if got[m.String()] != values()[m] {
				t.Errorf("%s: got %q", m, got[m.String()])
			}
		}
	}
}

func TestNoticesAreToldApart(t *testing.T) {
	orders := []Order{
		{URL: "https://t.example/"}, {URL: "https://t.example/a"}, {URL: "https://t.example/", On: EventClick}, {URL: "https://t.example/", Post: true},
		{URL: "https://t.example/", Post: true, Form: true}, {URL: "https://t.example/", Post: true, Body: []Field{{"a", "b"}}},
	}
	seen := map[Notice]int{}
	for i, o := range orders {
		n := compiled(t, o).Notice
		if j, twice := seen[n]; twice {
			t.Errorf("orders %d and %d are one notice", i, j)
		}
		seen[n] = i
	}
	if n := compiled(t, orders[0]).Notice; n != NoticeOf("blog-42", EventLeadSold, "https://t.example/") {
		t.Error("a plain postback's notice is not what it always was")
	}
	plain, with := compiled(t, orders[0]), compiled(t, Order{URL: "https://t.example/", Secret: []byte("s"), Verdict: Rules{Accepted: []string{"ok"}}})
	if plain.Notice != with.Notice {
		t.Error("a new secret or rule makes another notice")
	}
}

// FuzzBody checks that whatever template and value are, a body is well formed and holds the value as it is.
func FuzzBody(f *testing.F) {
	f.Add("{sub1}", "a\"b\\c\x00\x01{secret}", true)
	f.Add("x{sub1|trim?y}&z=1{secret}", "é\xff&=\r\n", false)
	f.Add("{status:sold=1}{ts}", "", false)
	f.Fuzz(func(t *testing.T, text, value string, form bool) {
		p, err := Compile("x", Order{On: EventLeadSold, URL: "https://t.example/", Post: true, Form: form, Secret: []byte("s"),
			Body: []Field{{"first", text}, {"value", "{sub1}"}, {"last", "end"}}})
		if err != nil {
			var fault *FieldError
			if !errors.As(err, &fault) {
				t.Fatalf("a fault without a field: %v", err)
			}
			return
		}
		var v Values
		for m := range v {
			v[m] = value
		}
		v[MacroStatus] = "sold"
		kept, err := p.Render(&v)
		if err != nil {
			return
		}
		q, ok := requestOf(kept, p, "1", false)
		if !ok || q.form != form || string(q.url) != "https://t.example/" {
			t.Fatalf("%q gave %q", kept, q.url)
		}
		got := map[string]string{}
		if form {
			if bytes.ContainsAny(q.body, "\r\n \"") {
				t.Fatalf("body %q", q.body)
			}
			parsed, err := url.ParseQuery(string(q.body))
			if err != nil || len(parsed) != 3 && (len(parsed) != 2 || parsed.Get("first") != "") {
				t.Fatalf("body %q: %v", q.body, err)
			}
			got["value"], got["last"] = parsed.Get("value"), parsed.Get("last")
		} else if err := json.Unmarshal(q.body, &got); err != nil {
			t.Fatalf("body %q: %v", q.body, err)
		}
		want := value
		if !form {
			want = strings.ToValidUTF8(value, "\uFFFD")
		}
		if got["value"] != want || got["last"] != "end" {
			t.Fatalf("body %q says %q, want %q", q.body, got["value"], want)
		}
	})
}
