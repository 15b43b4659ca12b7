package api

import "testing"

// A consent that says nothing is none: it must neither satisfy a campaign that
// wants consent nor take the place of the ping's.
func TestAnEmptyConsentIsNone(t *testing.T) {
	for text, given := range map[string]bool{
		`{"consent":{}}`: false,
		`{"consent":{"page_url":"","named_buyers":[]}}`: false,
		`{"consent":{"note":"hello"}}`:                  false,
		`{"consent":null}`:                              false,
		`{"consent":{"jornaya_id":"7C1B3A5E"}}`:         true,
		`{"consent":{"named_buyers":["Acme"]}}`:         true,
	} {
		b := &body{text: text}
		if err := b.readJSON(); err != nil {
			t.Fatal(err)
		}
		if b.consent.Given != given || (b.consent.Raw != "") != given || len(b.errors) > 0 {
			t.Errorf("%s: given %t, raw %q, errors %v; want given %t", text, b.consent.Given, b.consent.Raw, b.errors, given)
		}
	}
}
