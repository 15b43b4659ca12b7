package configs

import (
	"os"
	"regexp"
	"strings"
	"testing"

	"vendue/bidder/adapters/dialect"
	"vendue/exchange"
)

// TestDialectExample holds dialect.yaml to its word: it loads, and whatever a
// format may say stands in it.
func TestDialectExample(t *testing.T) {
	raw, err := os.ReadFile("dialect.yaml")
	if err != nil {
		t.Fatal(err)
	}
	text := string(raw)
	c := mustLoad(t, text).Market.ByName["direct-auto"]
	if !c.Pinged || !c.CanTest || !c.StatusToken && c.StatusEvery == 0 {
		t.Errorf("got %+v", c)
	}
	keys := 0
	table := regexp.MustCompile(`l\.table\(.*`)
	word := regexp.MustCompile(`"([a-z_0-9]+)"`)
	for _, file := range []string{"dialect.go", "dialectread.go", "auth.go"} {
		source, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for _, call := range table.FindAllString(string(source), -1) {
			for _, key := range word.FindAllStringSubmatch(call, -1) {
				keys++
				if !regexp.MustCompile(`\b` + key[1] + `:`).MatchString(text) {
					t.Errorf("key %q does not stand in dialect.yaml", key[1])
				}
			}
		}
	}
	if keys < 60 {
		t.Errorf("found %d keys in the loader's own text; expected at least 60", keys)
	}
	for _, transform := range dialect.TransformWords() {
		name, _, _ := strings.Cut(transform, ":")
		if !regexp.MustCompile(`\b` + name + `\b`).MatchString(text) {
			t.Errorf("transform %q does not stand in dialect.yaml", transform)
		}
	}
	for _, place := range dialect.PlaceWords() {
		if !strings.Contains(text, "{"+place+"}") {
			t.Errorf("place {%s} does not stand in dialect.yaml", place)
		}
	}
}

// TestDialectExampleSays shows what becomes of the example's map.
func TestDialectExampleSays(t *testing.T) {
	text, err := os.ReadFile("dialect.yaml")
	if err != nil {
		t.Fatal(err)
	}
	cfg := mustLoad(t, string(text))
	c := cfg.Market.ByName["direct-auto"]
	f := cfg.Bidder.Contracts[c.Index].Dialect
	lead := &exchange.Lead{Vertical: c.Vertical, Values: make([]exchange.Value, len(c.Vertical.Fields))}
	says := map[string]string{"zip": "85001", "state": "AZ", "dob": "1985-02-09", "credit": "poor", "full_name": "Ann lee", "phone": "+16025550143", "email": "a@b.example"}
	for slot := range c.Vertical.Fields {
		value := says[c.Vertical.Fields[slot].Name]
		lead.Values[slot] = exchange.Value{Text: value, Set: value != ""}
	}
	d := &exchange.Delivery{Leg: 1, Contract: c, Token: "ref=r/1\x1fsig=s", Price: 21500000, Lead: lead}
	scene := dialect.PostScene(d, caseTime)
	const want = "POST https://7421.direct.example/v2/take/r%2F1\nX-Sig: s\n" +
		"partner_id=7421&request.source=direct%2Fblog&request.tags.0=auto&postal=85001&region=Arizona&birth=02%2F09%2F1985&age=41&credit=C&miles=" +
		"&first=ANN&last=Lee&phone=602-555-0143&email_hash=ebb18a030bf15174f5714e24d63af1a81355c951ea7389bd2a9bd18e3d0c2477&ref=r%2F1&amount=21.50"
	if got := request(f, dialect.Post, &scene); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}
