package dialect

import (
	"encoding/json"
	"fmt"
	"net/url"
	"strconv"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"vendue/bidder/adapters"
	"vendue/exchange"
)

var vertical = &exchange.Vertical{ID: "auto", Fields: []exchange.Field{
	{Name: "zip", Kind: exchange.FieldZip, Ping: exchange.NeedRequired},
	{Name: "age", Kind: exchange.FieldInt, Ping: exchange.NeedRequired},
	{Name: "insured", Kind: exchange.FieldBool, Ping: exchange.NeedOptional},
	{Name: "note", Kind: exchange.FieldText, Ping: exchange.NeedOptional},
	{Name: "phone", Kind: exchange.FieldPhone, Post: exchange.NeedRequired, Personal: true},
}}

func lead(note string) *exchange.Lead {
	return &exchange.Lead{Vertical: vertical, Values: []exchange.Value{
		{Text: "85001", Set: true}, {Text: "41", Num: 41, Set: true}, {Text: "true", Num: 1, Set: true},
		{Text: note, Set: note != ""}, {Text: "+16025550143", Set: true},
	}}
}

func tx(s string) Text { return Text{Text: s} }
func at(s string) Path { return Path{Text: s} }

// spec is a format that reads an answer in every way.
func spec(encode, as string) *Spec {
	s := &Spec{
		Map: []Entry{
			{Target: "zip", Value: tx("{zip}")}, {Target: "insured", Value: tx("{insured}"), As: []string{"Yes/No"}},
			{Target: "kind", Value: tx("auto")}, {Target: "phone", Value: tx("{phone}"), As: []string{"phone_10"}},
			{Target: "id", Value: tx("{token.id}")},
		},
		Rest: Rest{Names: "PascalCase"},
	}
	reply := func() Reply {
		return Reply{
			As:     as,
			Reject: []Rule{{Path: at("status|0"), Equals: []string{"no"}}, {HTTP: []string{"409"}}},
			Accept: []Rule{{Path: at("status|0"), Equals: []string{"yes"}}},
			Reason: at("why"), Reasons: []ReasonWord{{Word: "*dup*", Reason: "duplicate"}},
		}
	}
	if as == "csv" || as == "text" {
		reply = func() Reply {
			return Reply{As: as, Reject: []Rule{{Contains: []string{"no"}}}, Accept: []Rule{{Contains: []string{"yes"}}}}
		}
	}
	s.Phases[Ping] = &Phase{URL: tx("https://a.example/ping"), Encode: encode, Reply: reply()}
	s.Phases[Post] = &Phase{URL: tx("https://a.example/post/{token.id}"), Encode: encode, Reply: reply()}
	ping := &s.Phases[Ping].Reply
	switch as {
	case "text":
		ping.Price.Fixed, ping.Tokens = tx("3"), []Token{{Name: "id", Path: at("$")}}
	case "csv":
		ping.Price.Path, ping.Tokens = at("1"), []Token{{Name: "id", Path: at("2")}}
	default:
		ping.Price.Path, ping.Tokens, ping.ExpiresIn = at("price|a.0.b"), []Token{{Name: "id", Path: at("id"), Optional: true}}, at("life")
		s.Phases[Post].Reply.Ref, s.Phases[Post].Reply.Redirect = at("id"), at("to")
	}
	if as == "json" || as == "xml" {
		ping.Bids = &Bids{Path: at("bids.bid"), Price: at("price"), Tokens: []Token{{Name: "bid", Path: at("@id|id")}}}
	}
	return s
}

func must(tb testing.TB, s *Spec) *Format {
	tb.Helper()
	f, faults := Compile(s, vertical)
	if len(faults) > 0 {
		tb.Fatal(faults)
	}
	return f
}

var terms = &exchange.Contract{ID: "c", Vertical: vertical, Pinged: true, Sale: exchange.SaleExclusive, MaxBid: 60 * exchange.Micro}

// FuzzAnswers reads anything in every format: it never panics, a bid is one
// that may stand, and its tokens break out of no request.
func FuzzAnswers(f *testing.F) {
	for _, s := range []string{
		`{"status":"yes","price":"21.50","id":"a\u00e9","life":60}`, `{"status":"yes","bids":{"bid":[{"price":3,"id":1},{"price":5,"id":2}]}}`,
		`<r><status>yes</status><bids><bid id="4"><price>4</price></bid></bids></r>`, "&lt;r&gt;&lt;status&gt;yes&lt;/status&gt;&lt;/r&gt;",
		"status=yes&price=3&id=%41", "yes,3,tok", "yes", `<!DOCTYPE x [<!ENTITY a "b">]><x>&a;</x>`, "\xef\xbb\xbf{}", `{"status":"no","why":"dup"}`,
	} {
		f.Add(200, []byte(s))
	}
	var formats []*Format
	for _, as := range []string{"", "json", "xml", "form", "csv", "text"} {
		formats = append(formats, must(f, spec("json", as)))
	}
	f.Fuzz(func(t *testing.T, status int, body []byte) {
		for _, f := range formats {
			b := f.ReadPing(&adapters.Reply{Status: status, Body: body}, terms)
			if b.Reason == exchange.ReasonNone && (b.Price <= 0 || b.Price > terms.MaxBid || len(b.Token) > adapters.TokenBytesMax || b.ExpiresIn < 0) {
				t.Fatalf("took %+v", b)
			}
			if b.Reason != exchange.ReasonNone && len(b.Detail) > 600 || !utf8.ValidString(b.Detail) {
				t.Fatalf("says %q", b.Detail)
			}
			d := &exchange.Delivery{Contract: terms, Lead: lead("n"), Token: b.Token, Price: b.Price}
			scene := PostScene(d, time.Time{})
			if got := f.AppendPost(nil, d, time.Time{}); !json.Valid(got) {
				t.Fatalf("token %q breaks the post: %s", b.Token, got)
			}
			target := string(f.AppendTarget(nil, Post, f.Request(Post).URLs[0], &scene))
			if u, err := url.ParseRequestURI(target); err != nil || u.RawQuery != "" || strings.ContainsAny(target, " \r\n") {
				t.Fatalf("token %q breaks the target: %q", b.Token, target)
			}
			v := f.ReadPost(&adapters.Reply{Status: status, Body: body}, d)
			if v.Outcome != exchange.OutcomeAccepted && v.Outcome != exchange.OutcomeRejected && v.Outcome != exchange.OutcomeUnknown {
				t.Fatalf("judged %+v", v)
			}
			if v.Outcome == exchange.OutcomeAccepted && (status < 200 || status > 299) {
				t.Fatalf("sold by status %d", status)
			}
		}
	})
}

// FuzzJSON holds the JSON reader against encoding/json: what is JSON, and what lies at a path.
func FuzzJSON(f *testing.F) {
	for _, s := range []string{`{"a":{"b":[1,{"c":"x\ud83d\ude00\n"}]}}`, `{"a":null}`, `[]`, `{"a":{"b":[0,{"c":-1.5e3}]}}`, `{"a":{"b":[0,{"c":tru}]}}`, `01`, `"\u12"`} {
		f.Add(s)
	}
	c := &compiler{}
	set := &pathSet{c: c, root: &node{}, max: pathsMax, places: map[string]int{}}
	p := set.add(at("a.b.1.c"), false)
	f.Fuzz(func(t *testing.T, body string) {
		if strings.Count(body, "[")+strings.Count(body, "{") > depthMax {
			return // deeper than we read
		}
		var doc document
		k := sink{doc: &doc}
		fault := readJSON(body, set.root, &k)
		if (fault == "") != json.Valid([]byte(body)) {
			t.Fatalf("fault %q, valid %t", fault, json.Valid([]byte(body)))
		}
		if fault != "" || !utf8.ValidString(body) || strings.Contains(strings.ToLower(body), `\ud`) || strings.Contains(body, `\u00`) {
			return
		}
		want, plain := oracle(body)
		if got := p.of(doc.values[:]); plain && got.text != want {
			t.Fatalf("read %q, want %q", got.text, want)
		}
	})
}

// oracle returns the scalar at a.b.1.c; false where names repeat or differ in case alone.
func oracle(body string) (string, bool) {
	if strings.Count(strings.ToLower(body), `"a"`) > 1 || strings.Count(strings.ToLower(body), `"b"`) > 1 || strings.Count(strings.ToLower(body), `"c"`) > 1 {
		return "", false
	}
	var doc any
	dec := json.NewDecoder(strings.NewReader(body))
	dec.UseNumber()
	if dec.Decode(&doc) != nil {
		return "", false
	}
	key := func(v any, name string) any {
		m, _ := v.(map[string]any)
		for k := range m {
			if strings.EqualFold(k, name) {
				return m[k]
			}
		}
		return nil
	}
	list, _ := key(key(doc, "a"), "b").([]any)
	if len(list) < 2 {
		return "", false
	}
	switch v := key(list[1], "c").(type) {
	case string:
		return v, true
	case json.Number:
		return v.String(), true
	case bool:
		return strconv.FormatBool(v), true
	default:
		return "", false
	}
}

// FuzzTemplate cuts anything into places, and puts any value into every kind of body.
func FuzzTemplate(f *testing.F) {
	f.Add("{zip} {{x} {note}", "a\"<&'\x01é\\")
	f.Add("{a|b.c}{", "%")
	f.Add(`{"zip":"{zip} \\\"{note}","age":{age},"price":[{price}]}`, `a"`)
	f.Add(`1.{age}`, "")
	f.Fuzz(func(t *testing.T, template, value string) {
		parts, err := cutPlaces(template)
		if err == nil && len(parts)%2 == 0 {
			t.Fatalf("cut into %q", parts)
		}
		if !utf8.ValidString(value) {
			return // a lead holds none
		}
		for _, encode := range []string{"json", "form", "xml"} {
			s := spec(encode, "json")
			s.Map = append(s.Map, Entry{Target: "t", Value: tx(template)}, Entry{Target: "own", Value: tx("{note}")})
			c, faults := Compile(s, vertical)
			if len(faults) > 0 {
				continue
			}
			got := c.AppendPost(nil, &exchange.Delivery{Contract: terms, Lead: lead(value), Token: "id=x"}, time.Time{})
			if encode == "json" && !json.Valid(got) {
				t.Fatalf("not JSON: %s", got)
			}
			if values, err := url.ParseQuery(string(got)); encode == "form" && (err != nil || values.Get("own") != value) {
				t.Fatalf("not the form: %s: %v", got, err)
			}
			s.Phases[Post].Template = tx(template)
			if c, faults := Compile(s, vertical); encode == "json" && len(faults) == 0 {
				if got := c.AppendPost(nil, &exchange.Delivery{Contract: terms, Lead: lead(value), Token: "id=x"}, time.Time{}); !json.Valid(got) {
					t.Fatalf("template %q is not JSON: %s", template, got)
				}
			}
			var doc document
			k := sink{doc: &doc}
			if encode == "xml" && readXML(string(got), &node{}, &k) != "" && !strings.ContainsAny(value+template, "\ufffe\uffff\u007f") {
				t.Fatalf("not XML: %q", got)
			}
		}
	})
}

// A ping costs no allocation to write, and one to read: its tokens.
func TestAllocations(t *testing.T) {
	for _, encode := range []string{"json", "form"} {
		f := must(t, spec(encode, "json"))
		ask := &exchange.Ask{Lead: lead("n"), Start: time.Now()}
		ping := &adapters.Ping{Ask: ask, Terms: terms, Tmax: time.Second}
		dst := make([]byte, 0, 4<<10)
		if n := testing.AllocsPerRun(100, func() { dst = f.AppendPing(dst[:0], nil, ping) }); n > 0 {
			t.Errorf("%s: %v allocations to write a ping", encode, n)
		}
		reply := &adapters.Reply{Status: 200, Body: []byte(`{"status":"yes","price":"21.50","id":"a1"}`)}
		if n := testing.AllocsPerRun(100, func() { _ = f.ReadPing(reply, terms) }); n > 1 {
			t.Errorf("%s: %v allocations to read an answer", encode, n)
		}
		reply.Body = []byte(`{"status":"no"}`)
		if n := testing.AllocsPerRun(100, func() { _ = f.ReadPing(reply, terms) }); n > 0 {
			t.Errorf("%s: %v allocations to read a refusal", encode, n)
		}
	}
}

// Nothing of a person is left in a sample, whatever the buyer sent.
func TestMask(t *testing.T) {
	got := mask(`{"status":"ok","name":"Zebulon Müller","phone":"602-555-0143","mail":"z@m.example","vend":1}`, map[string]struct{}{"vend": {}})
	if want := `{"status":"ok","xxxx":"xxxxxxx xxxxxxx","xxxxx":"000-000-0000","xxxx":"x@x.xxxxxxx","vend":0}`; got != want {
		t.Errorf("got %s", got)
	}
	if got := mask(strings.Repeat("é", 1000), nil); len(got) != sampleBytesMax+2 || strings.Trim(got, "x.") != "" {
		t.Errorf("got %d bytes", len(got))
	}
}

// A number that a lead lacks is null where a template has it without quotes.
func TestTemplateWithoutNumber(t *testing.T) {
	s := spec("json", "json")
	s.Phases[Post].Template = tx(`{"zip":"{zip}","age":{age},"say":"age {age}, {note}"}`)
	d := &exchange.Delivery{Contract: terms, Lead: lead(`"`), Token: "id=x"}
	d.Lead.Values[1] = exchange.Value{}
	if got := string(must(t, s).AppendPost(nil, d, time.Time{})); got != `{"zip":"85001","age":null,"say":"age , \""}` {
		t.Errorf("got %s", got)
	}
}

// A rule that one before it always outruns is told; one that it does not is not.
func TestShadowedRules(t *testing.T) {
	is := func(words ...string) Rule { return Rule{Path: at("s"), Equals: words} }
	for _, c := range []struct {
		first, second Rule
		shadowed      bool
	}{
		{is("a", "b"), is("A"), true}, {is("a"), is("a", "b"), false}, {Rule{Path: at("s"), Not: []string{"a"}}, is("b"), true},
		{Rule{Path: at("s"), Not: []string{"a"}}, is("a"), false}, {Rule{Path: at("s"), Exists: "true"}, is("a"), true},
		{Rule{HTTP: []string{"4xx"}}, Rule{HTTP: []string{"409"}}, true}, {Rule{HTTP: []string{"4xx"}}, is("a"), false},
		{Rule{HTTP: []string{"409"}}, Rule{HTTP: []string{"4xx"}}, false}, {Rule{Path: at("s"), Contains: []string{"dup"}}, is("duplicate"), true},
		{Rule{Path: at("s"), Above: "0"}, Rule{Path: at("s"), Above: "5"}, true}, {Rule{Path: at("s"), Above: "5"}, Rule{Path: at("s"), Above: "0"}, false},
		{is("a"), Rule{Path: at("other"), Equals: []string{"a"}}, false}, {Rule{Path: at("s"), Equals: []string{"a"}, And: []Rule{is("b")}}, is("a"), false},
	} {
		s := spec("json", "json")
		s.Phases[Post].Reply.Reject = []Rule{c.first}
		s.Phases[Post].Reply.Accept = []Rule{c.second}
		_, faults := Compile(s, vertical)
		if got := len(faults) > 0 && strings.Contains(fmt.Sprint(faults), "never decide"); got != c.shadowed {
			t.Errorf("%+v before %+v: %v", c.first, c.second, faults)
		}
	}
}

func TestTransforms(t *testing.T) {
	now := time.Date(2026, 2, 9, 0, 0, 0, 0, time.UTC)
	for _, c := range []struct{ word, in, want string }{
		{"upper", "zoë", "ZOË"}, {"lower", "ZOË", "zoë"}, {"title", "o'hara SMITH-jones", "O'hara Smith-Jones"}, {"trim", " a ", "a"},
		{"digits", "a1b2", "12"}, {"first:2", "éab", "éa"}, {"last:2", "éab", "ab"}, {"last:9", "ab", "ab"}, {"first_name", "Ann Mary Lee", "Ann"},
		{"last_name", "Ann Mary Lee", "Mary Lee"}, {"last_name", "Ann", ""}, {"md5", "a", "0cc175b9c0f1b6a831c399e269772661"},
		{"Yes/No", "true", "Yes"}, {"Y/", "false", ""}, {"phone_10", "+16025550143", "6025550143"}, {"phone_10", "+442079460958", "442079460958"},
		{"phone_dashes", "+16025550143", "602-555-0143"}, {"phone_parens", "+16025550143", "(602) 555-0143"}, {"phone_digits", "+16025550143", "16025550143"},
		{"phone_e164", "+16025550143", "+16025550143"}, {"date:M/D/YY", "1985-02-09", "2/9/85"}, {"date:DD.MM.YYYY", "1985-02-09", "09.02.1985"},
		{"age", "1985-02-09", "41"}, {"age", "1985-02-10", "40"}, {"age", "2030-01-01", "0"}, {"int", "12.99", "12"}, {"decimal:2", "12.5", "12.50"},
		{"decimal:0", "12.5", "12"}, {"cents", "12.345", "1234"}, {"state_name", "AZ", "Arizona"}, {"state_code", "AZ", "AZ"},
	} {
		tr, _, err := parseTransform(c.word)
		if err != nil {
			t.Errorf("%s: %v", c.word, err)
			continue
		}
		if got := string(tr.append([]byte("<"), []byte(c.in), now)); got != "<"+c.want {
			t.Errorf("%s of %q: got %q", c.word, c.in, got)
		}
	}
}
