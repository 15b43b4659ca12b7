package postback

import (
	"errors"
	"net/url"
	"strings"
	"testing"
)

func values() *Values {
	return &Values{
		MacroAffClickID: "Ab/c d&e=1", MacroClickID: "06clickours", MacroConversionID: "c0ffee", MacroLeadID: "06lead",
		MacroPayout: "3.25", MacroCurrency: "USD", MacroEvent: "lead.sold", MacroStatus: "sold", MacroAffiliateID: "blog-42",
		MacroOfferID: "auto", MacroSub1: " Häuser ", MacroConvTS: "1780000000",
	}
}

func TestTemplateGoldenURLs(t *testing.T) {
	for name, c := range map[string]struct{ template, want string }{
		"the example config": {
			"http://127.0.0.1:9201/postback?nid=63&transaction_id={aff_click_id}&amount={payout}&event={event}",
			"http://127.0.0.1:9201/postback?nid=63&transaction_id=Ab%2Fc%20d%26e%3D1&amount=3.25&event=lead.sold",
		},
		"everflow": {
			"https://www.example.com/?nid=63&transaction_id={aff_click_id}&amount={payout}&order_id={lead_id}",
			"https://www.example.com/?nid=63&transaction_id=Ab%2Fc%20d%26e%3D1&amount=3.25&order_id=06lead",
		},
		"tune":              {"https://net.go2cloud.org/aff_lsr?transaction_id={click_id}&conversion_unique_id={conversion_id}", "https://net.go2cloud.org/aff_lsr?transaction_id=06clickours&conversion_unique_id=c0ffee"},
		"in the path":       {"https://t.example/k/{aff_click_id}/postback", "https://t.example/k/Ab%2Fc%20d%26e%3D1/postback"},
		"filters in turn":   {"https://t.example/?h={s1|trim|lower}&u={currency|lower}", "https://t.example/?h=h%C3%A4user&u=usd"},
		"sha256":            {"https://t.example/?h={status|sha256}", "https://t.example/?h=a6fffccf2d95e20b779be56876f174076586fed6b6ecef72b0eba0ce87233754"},
		"md5":               {"https://t.example/?h={status|md5}", "https://t.example/?h=7391de3df0c84b727803650fab4717f7"},
		"upper":             {"https://t.example/?h={status|upper}", "https://t.example/?h=SOLD"},
		"default":           {"https://t.example/?s={sub2|sha256?no ne}", "https://t.example/?s=no%20ne"},
		"default not used":  {"https://t.example/?s={status?x}", "https://t.example/?s=sold"},
		"empty":             {"https://t.example/?s={sub2}&x=1", "https://t.example/?s=&x=1"},
		"empty by default":  {"https://t.example/?s={sub3?}", "https://t.example/?s="},
		"upper-case origin": {"HTTPS://T.Example:8443?a={s5}", "HTTPS://T.Example:8443?a="},
		"no macro":          {"https://t.example/a%20b?x=[1]", "https://t.example/a%20b?x=[1]"},
	} {
		t.Run(name, func(t *testing.T) {
			tpl, err := Parse(c.template)
			if err != nil {
				t.Fatal(err)
			}
			got, err := tpl.AppendURL(nil, values())
			if err != nil || string(got) != c.want {
				t.Fatalf("got  %s, %v\nwant %s", got, err, c.want)
			}
		})
	}
}

func TestTemplateFaultsHavePlaceAndHelp(t *testing.T) {
	for name, c := range map[string]struct {
		template string
		offset   int
		text     string
	}{
		"unknown macro":    {"https://t.example/?a={aff_clickid}", 22, "unknown macro {aff_clickid}; the nearest is {aff_click_id}"},
		"revenue":          {"https://t.example/?a={revenue}", 22, "unknown macro {revenue}"},
		"sub6":             {"https://t.example/?a={sub6}", 22, "unknown macro {sub6}; the nearest is {sub1}"},
		"empty macro":      {"https://t.example/?a={}", 22, "unknown macro {}"},
		"unknown filter":   {"https://t.example/?a={s1|trim|sha265}", 30, "unknown filter sha265; the nearest is sha256"},
		"raw":              {"https://t.example/?a={s1|raw}", 25, "unknown filter raw"},
		"macro in scheme":  {"{s1}://t.example/", 0, "no macro may stand in the scheme"},
		"macro in host":    {"https://{s1}.example/", 8, "no macro may stand in the host"},
		"macro in port":    {"https://t.example:{s1}/", 18, "no macro may stand in the host, port"},
		"macro as user":    {"https://{s1}@t.example/", 8, "no macro may stand in the host, port or userinfo"},
		"user":             {"https://u:p@t.example/", 11, "without user and password"},
		"no scheme":        {"t.example/{s1}", 0, "begins with http:// or https://"},
		"other scheme":     {"gopher://t.example/", 0, "begins with http:// or https://"},
		"no host":          {"https:///a", 8, "expected a host"},
		"bad port":         {"https://t.example:x/", 8, "expected a host, and at most a port"},
		"backslash":        {"https://t.example\\@evil/", 18, "without user and password"},
		"fragment":         {"https://t.example/#{s1}", 18, "a fragment is never sent"},
		"not closed":       {"https://t.example/?a={s1", 21, "expected } after {"},
		"not opened":       {"https://t.example/?a=s1}", 23, "expected { before }"},
		"nested":           {"https://t.example/?a={s1?{s2}}", 29, "expected { before }"},
		"space":            {"https://t.example/?a=b c", 22, "must be percent-encoded"},
		"line break":       {"https://t.example/?a=b\r\nX: y", 22, "must be percent-encoded"},
		"percent":          {"https://t.example/?a=100%", 24, "two hexadecimal digits"},
		"too long":         {"https://t.example/" + strings.Repeat("a", TemplateBytesMax), TemplateBytesMax, "at most 4096 bytes"},
		"beyond ascii":     {"https://t\u00fcr.example/", 8, "expected a host"},
		"escaped in host":  {"https://%31.example/", 8, "expected a host"},
		"double url macro": {"https://t.example/?a={{s1}}", 22, "unknown macro {{s1}"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := Parse(c.template)
			var syntax *SyntaxError
			if !errors.As(err, &syntax) || syntax.Offset != c.offset || !strings.Contains(syntax.Text, c.text) {
				t.Fatalf("got %v, want byte %d: ..%s..", err, c.offset, c.text)
			}
		})
	}
}

func TestTemplateNotSent(t *testing.T) {
	expand := func(text string, v *Values) error {
		tpl, err := Parse(text)
		if err != nil {
			t.Fatal(err)
		}
		out, err := tpl.AppendURL([]byte("kept"), v)
		if err != nil && string(out) != "kept" {
			t.Fatalf("a fault left %q behind", out)
		}
		return err
	}
	if err := expand("https://t.example/?a={aff_click_id|lower}", &Values{}); err == nil || err.Error() != "missing_aff_click_id" {
		t.Fatalf("got %v", err)
	}
	if err := expand("https://t.example/?a={aff_click_id?none}", &Values{}); err != nil {
		t.Fatalf("a default was there: %v", err)
	}
	if err := expand("https://t.example/a/{sub1}/b", &Values{MacroSub1: ".."}); !errors.Is(err, ErrDotSegment) {
		t.Fatalf("got %v", err)
	}
	if err := expand("https://t.example/?b={sub1}", &Values{MacroSub1: ".."}); err != nil {
		t.Fatalf("dots in a query do no harm: %v", err)
	}
	if err := expand("https://t.example/?b={sub1}", &Values{MacroSub1: strings.Repeat("é", URLBytesMax)}); !errors.Is(err, ErrURLTooLong) {
		t.Fatalf("got %v", err)
	}
}

// FuzzTemplate checks that whatever a template and a value are, the URL goes to the template's own host and is one line.
func FuzzTemplate(f *testing.F) {
	f.Add("https://t.example/{s1}?a={aff_click_id|trim?x}", "a\r\nHost: evil")
	f.Add("http://h:1?{s1}{s2}", "@evil/../..//#?")
	f.Add("http://[::1]:80/{s1}", "..")
	f.Fuzz(func(t *testing.T, text, value string) {
		tpl, err := Parse(text)
		if err != nil {
			var syntax *SyntaxError
			if !errors.As(err, &syntax) || syntax.Offset < 0 || syntax.Offset > len(text) {
				t.Fatalf("a fault without a place: %v", err)
			}
			return
		}
		if tpl.String() != text {
			t.Fatalf("text changed to %q", tpl.String())
		}
		var v Values
		for m := range v {
			v[m] = value
		}
		out, err := tpl.AppendURL(nil, &v)
		if err != nil {
			return
		}
		u, err := url.Parse(string(out))
		if err != nil || u.User != nil || u.Fragment != "" || u.Scheme+"://"+strings.ToLower(u.Host) != tpl.Endpoint() {
			t.Fatalf("%q with %q gave %q at %q: %v", text, value, out, tpl.Endpoint(), err)
		}
		for _, c := range out {
			if c <= ' ' || c >= 0x7f {
				t.Fatalf("%q holds byte %#x", out, c)
			}
		}
	})
}
