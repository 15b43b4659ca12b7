package postback

import (
	"slices"
	"testing"
)

func TestNeedles(t *testing.T) {
	for text, want := range map[string][]string{
		`(?i)Duplicate`:                {"duplicate"},
		`^\s*OK\b`:                     {"ok"},
		`(?i)^\s*<(!doctype|html)`:     {"!doctype", "html"},
		`"status"\s*:\s*"?[02-9]`:      {`"status"`},
		`(?i)\b(not found|denied)\b`:   {"not found", "denied"},
		`a|[bc]`:                       nil,
		`x*`:                           nil,
		`(ab)+c?`:                      {"ab"},
		`[0-9]+`:                       nil,
		"\u212aelvin":                  {"kelvin"},
		`(?i)"(ok|success)"\s*:\s*tru`: {"ok", "success"},
	} {
		r, err := newRule(text)
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, n := range r.needles {
			got = append(got, string(n))
		}
		if text == `(?i)"(ok|success)"\s*:\s*tru` {
			want = []string{"tru"} // the longest that must be there
		}
		if !slices.Equal(got, want) {
			t.Errorf("%s: looks for %q, want %q", text, got, want)
		}
	}
}

// FuzzNeedles holds the quick way to the slow one, whatever expression and body are.
func FuzzNeedles(f *testing.F) {
	f.Add(`(?i)\b(invalid|rejected)\b`, "It was REJECTED")
	f.Add(`(?i)success`, "\u017fucce\u017f\u017f")
	f.Add(`(?i)k`, "\u212a")
	f.Add("(?i)\u03c3|x", "\u03c2")
	f.Add("(?i)\u03c3ok", "\u03c2ok")
	f.Add(`(a|b)+c{2}`, "abcc")
	f.Add("\u0130|\u00df", "i\u0307 \u1e9e")
	f.Fuzz(func(t *testing.T, text, body string) {
		r, err := newRule(text)
		if err != nil {
			return
		}
		if got, want := r.matches([]byte(body), fold([]byte(body))), r.re.MatchString(body); got != want {
			t.Fatalf("%q over %q: %t, want %t; needles %q", text, body, got, want, r.needles)
		}
	})
}
