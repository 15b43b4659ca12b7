package configs

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"vendue/attribution/postback"
	"vendue/exchange"
)

// rewriting tells whether -rewrite is given: write what was found into testdata. The flag is datadriven's.
func rewriting() bool { return flag.Lookup("rewrite").Value.String() == "true" }

// env is the environment of every test.
func env(name string) (string, bool) {
	v, ok := map[string]string{
		"HOUSE_DATA": "/var/lib/house", "PORT": "8080", "BAD_SECRET": "whsec_%%%", "HOOK": "whsec_aHVudGVyMjpodW50ZXIy",
		"ACME_HOOK": "a long secret", "NORTH_HOOK": "another long one", "RAW": "  plain secret\n", "TOKEN": "hunter2",
		"BLOG_TOKEN": "b", "EVERFLOW_TOKEN": "e", "T_SIGN": "s", "T_API": "a",
	}[name]
	return v, ok
}

const wantMark = "# want: "

// TestMistakes loads every file of testdata and compares its faults with the
// comments at the file's end. A file without such comments must be valid.
func TestMistakes(t *testing.T) {
	paths, err := filepath.Glob("testdata/*.yaml")
	if err != nil || len(paths) < 50 {
		t.Fatalf("found %d files: %v", len(paths), err)
	}
	for _, path := range paths {
		t.Run(filepath.Base(path), func(t *testing.T) {
			text, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			body, wants := splitWants(string(text))
			cfg, faults := LoadBytes(path, []byte(body), env)
			var got []string
			for _, f := range faults {
				got = append(got, strings.TrimPrefix(f.String(), path+":"))
				if strings.Contains(f.Text, "hunter2") || strings.Contains(f.Text, "aHVudGVyMg") {
					t.Errorf("a fault repeats a secret: %s", f)
				}
			}
			if (cfg == nil) != (len(faults) > 0) {
				t.Errorf("got a config %v with %d faults", cfg != nil, len(faults))
			}
			if rewriting() {
				writeWants(t, path, body, got)
				return
			}
			if !reflect.DeepEqual(got, wants) {
				t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(wants, "\n"))
			}
			if valid := strings.HasPrefix(filepath.Base(path), "valid_"); valid != (cfg != nil) {
				t.Errorf("loaded: %v; expected a file to be named valid_ if and only if it is", cfg != nil)
			}
		})
	}
}

func splitWants(text string) (body string, wants []string) {
	body = text
	if i := strings.Index(text, wantMark); i >= 0 {
		body = text[:i]
		for line := range strings.Lines(text[i:]) {
			wants = append(wants, strings.TrimSuffix(strings.TrimPrefix(line, wantMark), "\n"))
		}
	}
	return body, wants
}

func writeWants(t *testing.T, path, body string, got []string) {
	for _, line := range got {
		body += wantMark + line + "\n"
	}
	if err := os.WriteFile(path, []byte(body), 0o644); err != nil {
		t.Fatal(err)
	}
}

func mustLoad(t testing.TB, text string) *Config {
	t.Helper()
	cfg, faults := LoadBytes("dir/house.yaml", []byte(text), env)
	for _, f := range faults {
		t.Error(f)
	}
	if cfg == nil {
		t.FailNow()
	}
	return cfg
}

// TestResolve checks what a contract says of its unknown outcomes.
func TestResolve(t *testing.T) {
	text, err := os.ReadFile("testdata/valid_resolve.yaml")
	if err != nil {
		t.Fatal(err)
	}
	cfg := mustLoad(t, string(text))
	c := cfg.Market.ByName["acme-west"]
	if !c.Idempotent || c.StatusEvery != time.Minute || c.StatusTimeout != 2*time.Second || !c.StatusToken ||
		c.SettleAs != exchange.SettleUnsold || c.SettleAfter != 24*time.Hour {
		t.Errorf("got %+v", c)
	}
	if s := cfg.Bidder.Contracts[c.Index].Status; !strings.Contains(s.URL, "{token}") || !strings.HasSuffix(s.TestURL, "/test/{bid_id}") || len(s.Headers) != 1 {
		t.Errorf("got %+v", s)
	}
	if c := mustLoad(t, strings.Replace(string(text), "assume_unsold", "hold", 1)).Market.ByName["acme-west"]; c.SettleAs != exchange.SettleHold {
		t.Errorf("got %+v", c)
	}
}

// TestExample checks that the commented reference loads, and to what.
func TestExample(t *testing.T) {
	cfg, faults := Load("vendue.yaml")
	for _, f := range faults {
		t.Error(f)
	}
	if cfg == nil {
		t.FailNow()
	}
	here, _ := filepath.Abs(".")
	if cfg.Data != filepath.Join(here, "data") || cfg.Listen != "127.0.0.1:8080" || cfg.Admin != "127.0.0.1:8081" {
		t.Errorf("got %q %q %q", cfg.Data, cfg.Listen, cfg.Admin)
	}
	m := cfg.Market
	west := m.ByName["acme-west"]
	wantWhere := []exchange.Condition{
		{Slot: 1, Kind: exchange.ConditionIn, Texts: []string{"AZ", "CA", "NV"}},
		{Slot: 2, Kind: exchange.ConditionRange, Min: 25, Max: 70, HasMin: true, HasMax: true},
		{Slot: 3, Kind: exchange.ConditionIn, Texts: []string{"true"}},
	}
	if !reflect.DeepEqual(west.Where, wantWhere) {
		t.Errorf("where: got %+v", west.Where)
	}
	wantCaps := []exchange.Cap{
		{ID: "contract/acme-west/day/leads", Per: exchange.PerDay, Unit: exchange.CapLeads, Limit: 500, Full: exchange.ReasonCapContract},
		{ID: "contract/acme-west/month/spend", Per: exchange.PerMonth, Unit: exchange.CapSpend, Limit: 20_000_000_000, Full: exchange.ReasonBudget},
	}
	if !reflect.DeepEqual(west.Caps, wantCaps) {
		t.Errorf("caps: got %+v", west.Caps)
	}
	if h := west.Hours; !h.Set || h.FromMin != 0 || h.UntilMin != 1440 || h.Days != [7]bool{true, true, true, true, true, true, true} {
		t.Errorf("hours: got %+v", h)
	}
	if west.MaxBid != 60*exchange.Micro || west.PingTimeout != 200*time.Millisecond || west.PostTimeout != 3*time.Second || !west.Pinged || !west.CanTest {
		t.Errorf("acme-west: got %+v", west)
	}
	if fixed := m.ByName["zenith-fixed"]; fixed.Pinged || fixed.Price != 7*exchange.Micro || fixed.Where[0].Kind != exchange.ConditionNotIn {
		t.Errorf("zenith-fixed: got %+v", fixed)
	}
	c := m.Campaigns["north-auto"]
	if c.Seller != m.Sellers["north"] || c.Vertical != m.Verticals["auto"] || c.Floor != 5*exchange.Micro || c.Margin != (exchange.Margin{Rate: 200_000}) ||
		c.Window != 250*time.Millisecond || c.PostWait != 10*time.Second || c.QuoteTTL != 5*time.Minute || c.PingsPerSecond != 5000 || c.PostsPerSecond != 1000 {
		t.Errorf("north-auto: got %+v", c)
	}
	if tiers := c.Tree.Tiers; len(tiers) != 2 || tiers[0].Method != exchange.MethodAuction || tiers[1].Method != exchange.MethodPriority || tiers[0].Contracts[0] != west {
		t.Errorf("tree: got %+v", tiers)
	}
	if d := m.Verticals["auto"].Duplicate; !reflect.DeepEqual(d, exchange.DuplicateRule{Fields: []int{7}, Within: 720 * 3600}) {
		t.Errorf("duplicate: got %+v", d)
	}
	offer := exchange.Offer{ID: "auto", Landing: "https://quotes.example.com/auto", CookieSec: 30 * 86400, Model: exchange.LastTouch, WindowSec: 30 * 86400,
		Commission: exchange.Commission{Rate: 250_000, Of: exchange.OfPayout, PaidBy: exchange.PaidBySeller}}
	if !reflect.DeepEqual(*m.Offers["auto"], offer) || !reflect.DeepEqual(cfg.Attribution.Offers, []exchange.Offer{offer}) {
		t.Errorf("offer: got %+v", *m.Offers["auto"])
	}
	if len(m.Keys) != 3 || m.Currency != (exchange.Currency{Code: "USD", MinorDigits: 2}) || m.Zone.String() != "America/New_York" || m.Hash != cfg.Hash {
		t.Errorf("market: got %d keys, %+v, %s", len(m.Keys), m.Currency, m.Zone)
	}
	for i, wire := range cfg.Bidder.Contracts {
		if wire.Terms != m.Contracts[i] || wire.Terms.Index != i || wire.Post.URL == "" || (wire.Ping.URL != "") != wire.Terms.Pinged {
			t.Errorf("contract %d: got %+v", i, wire)
		}
	}
}

// TestExampleUncommented takes the example's word for its optional keys.
func TestExampleUncommented(t *testing.T) {
	text, err := os.ReadFile("vendue.yaml")
	if err != nil {
		t.Fatal(err)
	}
	optional := regexp.MustCompile(`(?m)^( *)# ((?:- \{)?[a-z_0-9]+: )`)
	if n := len(optional.FindAll(text, -1)); n != 38 {
		t.Errorf("found %d optional keys and items, want 38", n)
	}
	cfg := mustLoad(t, optional.ReplaceAllString(string(text), "$1$2"))
	if c := cfg.Market.ByName["acme-west"]; c.ReturnWithin != 720*time.Hour || !reflect.DeepEqual(c.ReturnReasons, []string{"invalid_phone", "wrong_number"}) || !c.ReturnFrees {
		t.Errorf("returns: got %+v", c)
	}
	if !cfg.Market.ByName["acme-west"].Paused || cfg.Bidder.Contracts[0].Secret == nil {
		t.Error("the optional keys were not read")
	}
	if got := len(cfg.API.Skins.Of("north-auto")); got != 6 || len(cfg.API.Pages) != 1 || cfg.API.URL != "https://leads.example.com" {
		t.Errorf("%d skins, %d pages, public_url %s", got, len(cfg.API.Pages), cfg.API.URL)
	}
}

func least(t testing.TB) string {
	t.Helper()
	text, err := os.ReadFile("testdata/valid_least.yaml")
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// with puts lines at the place of a line of the least config.
func with(t testing.TB, replace ...string) string {
	t.Helper()
	text := least(t)
	for i := 0; i+1 < len(replace); i += 2 {
		if !strings.Contains(text, replace[i]) {
			t.Fatalf("the least config has no %q", replace[i])
		}
		text = strings.Replace(text, replace[i], replace[i+1], 1)
	}
	return text
}

func TestDefaults(t *testing.T) {
	cfg := mustLoad(t, least(t))
	c, contract := cfg.Market.Campaigns["north-auto"], cfg.Market.ByName["acme-west"]
	got := fmt.Sprintln(c.Window, c.PostWait, c.QuoteTTL, c.Floor, c.Margin, c.MarginMin, c.PingsPerSecond, c.ShowBuyers, c.ConsentRequired,
		contract.PingTimeout, contract.PostTimeout, contract.OnUnknown, contract.ReturnWithin, len(contract.ReturnReasons), contract.ReturnFrees, contract.Sale, contract.MaxBid,
		cfg.Reserve, cfg.TapeDays, cfg.LogLevel, cfg.Limits, cfg.Node, cfg.Admin)
	want := "250ms 10s 5m0s 0.00 {0% 0.00} {0% 0.00} 0 false false 200ms 3s 0 720h0m0s 0 false exclusive 0.00 5ms 14 info {65536 268435456 1073741824 20000 0} 0 127.0.0.1:8081\n"
	if got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}

// TestExtraKeys loads each key that the example only shows in comments.
func TestExtraKeys(t *testing.T) {
	cfg := mustLoad(t, with(t,
		"tree: auto}", `tree: auto, show_buyers: true, consent: required, margin: "1.50", margin_min: 0.50, caps: [{per: hour, leads: 9, spend: 10.50}]}`,
		"  north:\n", "  north:\n    test_key_sha256: "+strings.Repeat("ab", 32)+"\n    webhook: {url: \"https://north.example/leads\", secret: env:HOOK}\n    caps: [{per: week, leads: 5}]\n",
		"  acme:\n", "  acme:\n    caps: [{per: total, spend: 100}]\n",
		"        vertical: auto\n", "        vertical: auto\n        sale: shared\n        paused: true\n        format: native\n        secret: env:HOOK\n"+
			"        where: {state: [arizona, ca], age: {min: 25, not: [30, 31]}, credit: GOOD}\n        hours: {from: \"22:00\", to: \"06:00\"}\n",
		"/ping\"", "/ping\", test_url: \"http://127.0.0.1:9101/test\", headers: {X-Partner: a, Authorization: \"Bearer ${TOKEN}\"}",
		"[{contracts", "[{window: 100ms, method: priority, contracts",
		"listen:", "limits: {body_bytes: 2048, bodies_bytes: 16777216, quote_bytes: 1048576, connections: 7, in_flight: 8}\nnode: 3\nreserve: 7ms\ntape_days: 2\nlog_level: debug\nlisten:"))
	c, contract, wire := cfg.Market.Campaigns["north-auto"], cfg.Market.ByName["acme-west"], cfg.Bidder.Contracts[0]
	if !c.ShowBuyers || !c.ConsentRequired || c.Margin.Fixed != 1_500_000 || c.MarginMin.Fixed != 500_000 {
		t.Errorf("campaign: got %+v", c)
	}
	caps := append(append(append([]exchange.Cap{}, c.Caps...), c.Seller.Caps...), contract.Buyer.Caps...)
	var got []string
	for _, limit := range caps {
		got = append(got, fmt.Sprint(limit.ID, " ", limit.Limit, " ", limit.Full))
	}
	want := []string{"campaign/north-auto/hour/leads 9 cap_campaign", "campaign/north-auto/hour/spend 10500000 cap_campaign", "seller/north/week/leads 5 cap_seller", "buyer/acme/total/spend 100000000 budget"}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("caps: got %q", got)
	}
	if p := cfg.Market.Keys[[32]byte([]byte(strings.Repeat("\xab", 32)))]; p.Seller != c.Seller || !p.Test {
		t.Errorf("test key: got %+v", p)
	}
	where := []exchange.Condition{
		{Slot: 1, Kind: exchange.ConditionIn, Texts: []string{"AZ", "CA"}},
		{Slot: 2, Kind: exchange.ConditionNotIn, Texts: []string{"30", "31"}},
		{Slot: 2, Kind: exchange.ConditionRange, Min: 25, HasMin: true},
		{Slot: 3, Kind: exchange.ConditionIn, Texts: []string{"good"}},
	}
	if !reflect.DeepEqual(contract.Where, where) || !contract.Paused || contract.Sale != exchange.SaleShared || contract.Hours.FromMin != 1320 || contract.Hours.UntilMin != 360 {
		t.Errorf("contract: got %+v", contract)
	}
	if string(wire.Secret) != "hunter2:hunter2" || wire.Dialect != nil || wire.Ping.TestURL == "" || len(wire.Ping.Headers) != 2 || wire.Ping.Headers[1].Value != "Bearer hunter2" {
		t.Errorf("wire: got %+v", wire)
	}
	if tier := c.Tree.Tiers[0]; tier.Window != 100*time.Millisecond || tier.Method != exchange.MethodPriority {
		t.Errorf("tier: got %+v", tier)
	}
	if cfg.Limits != (Limits{2048, 16 << 20, 1 << 20, 7, 8}) || cfg.Node != 3 || cfg.Reserve != 7*time.Millisecond || cfg.TapeDays != 2 || cfg.LogLevel != "debug" {
		t.Errorf("house: got %+v", cfg)
	}
	hooks := []postback.Hook{{Seller: "north", URL: "https://north.example/leads", Secret: []byte("hunter2:hunter2")}}
	if !reflect.DeepEqual(cfg.Attribution.Hooks, hooks) {
		t.Errorf("webhooks: got %+v", cfg.Attribution.Hooks)
	}
	if strings.Contains(cfg.Text, "hunter2") || strings.Contains(cfg.Text, "aHVudGVy") || strings.Contains(cfg.Text, "Bearer") {
		t.Errorf("the canonical text holds a secret:\n%s", cfg.Text)
	}
}

func TestSecretForms(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "hook"), []byte("whsec_aHVudGVyMjpodW50ZXIy\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for reference, want := range map[string]string{"env:RAW": "plain secret", "env:HOOK": "hunter2:hunter2", "file:hook": "hunter2:hunter2"} {
		text := with(t, "        vertical: auto\n", "        vertical: auto\n        secret: "+reference+"\n")
		cfg, faults := LoadBytes(filepath.Join(dir, "house.yaml"), []byte(text), env)
		if len(faults) > 0 || string(cfg.Bidder.Contracts[0].Secret) != want {
			t.Errorf("%s: got %v, want %q", reference, faults, want)
		}
	}
}

// TestCanonicalText checks that layout does not count, that meaning does, and
// that the text is itself a config with the same text.
func TestCanonicalText(t *testing.T) {
	plain := mustLoad(t, least(t))
	laidOut := mustLoad(t, with(t, "data: ./data\ncurrency: USD\n", "currency: 'USD' # dollars\n\ndata:   \"./data\"\n"))
	if plain.Text != laidOut.Text || plain.Hash != laidOut.Hash {
		t.Errorf("layout changed the text:\n%s\nand\n%s", plain.Text, laidOut.Text)
	}
	if again := mustLoad(t, plain.Text); again.Text != plain.Text || again.Hash != plain.Hash {
		t.Errorf("the canonical text gives another:\n%s\nand\n%s", plain.Text, again.Text)
	}
	if other := mustLoad(t, with(t, "within: 30d", "within: 31d")); other.Hash == plain.Hash {
		t.Error("another rule has the same hash")
	}
	if len(plain.Hash) != 64 || plain.Market.Hash != plain.Hash {
		t.Errorf("got hash %q and %q", plain.Hash, plain.Market.Hash)
	}
}

// TestEnvironment checks that ${NAME} is expanded for the rooms and never in the text that is kept.
func TestEnvironment(t *testing.T) {
	text, err := os.ReadFile("testdata/valid_environment.yaml")
	if err != nil {
		t.Fatal(err)
	}
	cfg := mustLoad(t, string(text))
	if name := cfg.Market.Sellers["north"].Name; cfg.Data != "/var/lib/house" || cfg.Listen != "127.0.0.1:8080" || name != "North ${x} 8080" {
		t.Errorf("got %q, %q, %q", cfg.Data, cfg.Listen, name)
	}
	if strings.Contains(cfg.Text, "/var/lib/house") || !strings.Contains(cfg.Text, `data: "${HOUSE_DATA}"`) {
		t.Errorf("the canonical text shows the environment:\n%s", cfg.Text)
	}
}

func TestLoadWithoutFile(t *testing.T) {
	cfg, faults := Load(filepath.Join(t.TempDir(), "none.yaml"))
	if cfg != nil || len(faults) != 1 || !strings.Contains(faults[0].String(), "none.yaml:1:1: cannot read") {
		t.Errorf("got %v, %v", cfg, faults)
	}
}

func TestFaultsAreBounded(t *testing.T) {
	var b strings.Builder
	for i := range 5000 {
		fmt.Fprintf(&b, "unknown%d: 1\n", i)
	}
	if _, faults := LoadBytes("x.yaml", []byte(b.String()), env); len(faults) != faultsMax {
		t.Errorf("got %d faults, want %d", len(faults), faultsMax)
	}
}

// TestDeepNesting gives the parser's worst case to the guard before it: 100,000 levels took it 50 s and gigabytes.
func TestDeepNesting(t *testing.T) {
	for _, opener := range []string{"[", "{a: ", "- ", "? ", "!!a ", "&a "} {
		_, faults := LoadBytes("x.yaml", []byte("a: 1\n"+strings.Repeat(opener, 100_000)), env)
		if len(faults) != 1 || faults[0].String() != "x.yaml:2:1: expected at most 16 levels" {
			t.Errorf("%q: got %v", opener, faults)
		}
	}
	_, faults := LoadBytes("x.yaml", []byte("a: "+strings.Repeat("[", 30)+strings.Repeat("]", 30)), env)
	if len(faults) == 0 || !strings.Contains(faults[0].Text+faults[len(faults)-1].Text, "expected at most 16 levels") {
		t.Errorf("30 levels: got %v", faults)
	}
}

// TestScrambled swaps words of the example for others: never a panic, never a
// config without a canonical text that loads to itself.
func TestScrambled(t *testing.T) {
	example, err := os.ReadFile("vendue.yaml")
	if err != nil {
		t.Fatal(err)
	}
	word := regexp.MustCompile(`[A-Za-z0-9_.%-]+`)
	places := word.FindAllIndex(example, -1)
	pool := []string{"", "null", "[]", "{}", "[a]", "{a: b}", "0", "-1", "20%", "1d", "${PORT}", "${", "\"\"", "true", "min", "not", "auto", "*a", "&a x", "9999999999999999999"}
	for _, place := range places {
		pool = append(pool, string(example[place[0]:place[1]]))
	}
	valid := 0
	rapid.Check(t, func(t *rapid.T) {
		text := string(example)
		for range rapid.IntRange(1, 4).Draw(t, "edits") {
			place := rapid.SampledFrom(word.FindAllStringIndex(text, -1)).Draw(t, "place")
			text = text[:place[0]] + rapid.SampledFrom(pool).Draw(t, "word") + text[place[1]:]
		}
		cfg, faults := LoadBytes("x.yaml", []byte(text), env)
		if (cfg == nil) == (len(faults) == 0) {
			t.Fatalf("got a config %v with %d faults", cfg != nil, len(faults))
		}
		if cfg == nil {
			return
		}
		valid++
		again, faults := LoadBytes("x.yaml", []byte(cfg.Text), env)
		if again == nil || again.Text != cfg.Text {
			t.Fatalf("the canonical text does not load to itself: %v\n%s", faults, cfg.Text)
		}
	})
	if valid == 0 {
		t.Error("no scrambled config was valid: the test tests little")
	}
}

func TestDidYouMean(t *testing.T) {
	words := []string{"window", "post_wait", "floor"}
	for word, want := range map[string]string{
		"windw": `; did you mean "window"?`, "Window": `; did you mean "window"?`, "flooor": `; did you mean "floor"?`, "lfoor": `; did you mean "floor"?`,
		"price": "; expected one of window, post_wait, floor",
	} {
		if got := didYouMean(word, words); got != want {
			t.Errorf("%s: got %q, want %q", word, got, want)
		}
	}
	if got := didYouMean("x", nil); got != "; there are none" {
		t.Errorf("got %q", got)
	}
}

func TestParseDuration(t *testing.T) {
	for text, want := range map[string]time.Duration{
		"250ms": 250 * time.Millisecond, "30d": 720 * time.Hour, "720h": 720 * time.Hour, "1d12h": 36 * time.Hour, "1h30m": 90 * time.Minute, "0s": 0,
	} {
		if got, ok := parseDuration(text); !ok || got != want {
			t.Errorf("%q: got %v, %v", text, got, ok)
		}
	}
	for _, text := range []string{"", "d", "10", "-1s", "1.5d", "+1d", "1d-2h", "1000000d", "9999999h", "1dd", "1 d"} {
		if got, ok := parseDuration(text); ok {
			t.Errorf("%q: got %v, want a refusal", text, got)
		}
	}
}

// manyContracts is a config of buyers with fifty contracts each.
func manyContracts(t testing.TB, contracts int) string {
	var b, names strings.Builder
	for i := range contracts {
		if i%50 == 0 {
			fmt.Fprintf(&b, "  buyer-%d:\n    contracts:\n", i/50)
		}
		fmt.Fprintf(&b, "      c-%d:\n        vertical: auto\n        where: {state: [AZ, CA, NV], age: {min: 25, max: 70}}\n"+
			"        caps: [{per: day, leads: 500}, {per: month, spend: 20000}]\n"+
			"        ping: {url: \"http://127.0.0.1:9101/ping\", timeout: 200ms, max_bid: 60}\n        post: {url: \"http://127.0.0.1:9101/post\", timeout: 3s}\n", i)
		fmt.Fprintf(&names, ", c-%d", i)
	}
	return with(t, "  acme:\n", b.String()+"  acme:\n", "[acme-west]", "[acme-west"+names.String()+"]")
}

// TestManyContracts keeps a large house's reload from becoming quadratic.
func TestManyContracts(t *testing.T) {
	const contracts = 10_000
	text := manyContracts(t, contracts)
	start := time.Now()
	cfg := mustLoad(t, text)
	elapsed := time.Since(start)
	t.Logf("%d contracts, %d KiB: %v", contracts, len(text)>>10, elapsed)
	if len(cfg.Market.Contracts) != contracts+1 || len(cfg.Market.ByName) != contracts+1 {
		t.Errorf("got %d contracts", len(cfg.Market.Contracts))
	}
	if elapsed > 20*time.Second { // ten times what a slow machine takes
		t.Errorf("took %v", elapsed)
	}
}

func BenchmarkLoad(b *testing.B) {
	text := []byte(manyContracts(b, 1000))
	b.ReportAllocs()
	for b.Loop() {
		LoadBytes("x.yaml", text, env)
	}
}

func FuzzLoad(f *testing.F) {
	paths, _ := filepath.Glob("testdata/*.yaml")
	for _, path := range append(paths, "vendue.yaml") {
		text, err := os.ReadFile(path)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		cfg, faults := LoadBytes("x.yaml", text, env)
		if (cfg == nil) == (len(faults) == 0) {
			t.Fatalf("got a config %v with %d faults", cfg != nil, len(faults))
		}
		for _, fault := range faults {
			if fault.Line < 1 || fault.Col < 1 || fault.Text == "" {
				t.Errorf("fault without a place: %s", fault)
			}
		}
		if cfg == nil {
			return
		}
		if again, faults := LoadBytes("x.yaml", []byte(cfg.Text), env); again == nil {
			t.Fatalf("the canonical text does not load: %v\n%s", faults, cfg.Text)
		} else if again.Text != cfg.Text {
			t.Fatalf("the canonical text gives another:\n%s\nand\n%s", cfg.Text, again.Text)
		}
	})
}
