package configs

import (
	"errors"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"

	"vendue/attribution/postback"
)

// sold is what the postbacks of these tests tell of.
func sold() *postback.Values {
	return &postback.Values{
		postback.MacroAffClickID: "6502a1b2c3d4e5f60718293a", postback.MacroClickID: "06clickours", postback.MacroConversionID: "c0ffee",
		postback.MacroLeadID: "06lead", postback.MacroOrderID: "06lead", postback.MacroPayout: "3.25", postback.MacroCurrency: "USD",
		postback.MacroEvent: "lead.sold", postback.MacroStatus: "sold", postback.MacroAffiliateID: "blog-42", postback.MacroOfferID: "auto",
		postback.MacroSub1: "a b&c", postback.MacroConvTS: "1780000000",
	}
}

// ordered loads a config whose affiliate asks for one postback.
func ordered(t *testing.T, text string) (*postback.Plan, []Fault) {
	t.Helper()
	cfg, faults := LoadBytes("house.yaml", []byte(least(t)+"affiliates:\n  blog-42:\n    postbacks:\n      - "+text+"\n"), env)
	if len(faults) > 0 {
		return nil, faults
	}
	plan, err := postback.Compile("blog-42", cfg.Attribution.Affiliates[0].Postbacks[0])
	if err != nil {
		t.Fatalf("what was loaded cannot be compiled: %v", err)
	}
	return plan, nil
}

func TestPresetGoldenURLs(t *testing.T) {
	seen := map[string]bool{}
	for _, c := range []struct{ preset, rest, want string }{
		{"everflow", "domain: www.servecvr.example, nid: 63", "https://www.servecvr.example/?nid=63&transaction_id=6502a1b2c3d4e5f60718293a&amount=3.25&order_id=c0ffee"},
		{"everflow", "domain: t.example, nid: 63, oid: 3, event_id: 77, secret: env:HOOK, query: {adv1: '{sub1}', amount: ''}, scheme: http",
			"http://t.example/?nid=63&oid=3&transaction_id=6502a1b2c3d4e5f60718293a&event_id=77&order_id=c0ffee&verification_token=-hidden-&adv1=a%20b%26c"},
		{"tune", "network: acme, offer_id: 5", "https://acme.go2cloud.org/aff_lsr?offer_id=5&transaction_id=6502a1b2c3d4e5f60718293a&amount=3.25&adv_sub=06lead&adv_sub2=a%20b%26c&conversion_unique_id=c0ffee"},
		{"tune", "network: acme, path: aff_goal, query: {a: lsr}, goal_id: 9, secret: env:HOOK",
			"https://acme.go2cloud.org/aff_goal?goal_id=9&transaction_id=6502a1b2c3d4e5f60718293a&amount=3.25&adv_sub=06lead&adv_sub2=a%20b%26c&conversion_unique_id=c0ffee&security_token=-hidden-&a=lsr"},
		{"cake", "domain: cake.example, offer: 531, event: 70", "https://cake.example/p.ashx?o=531&e=70&f=pb&r=6502a1b2c3d4e5f60718293a&t=c0ffee&ap=3.25"},
		{"cake", "domain: cake.example, advertiser: 7", "https://cake.example/p.ashx?a=7&f=pb&r=6502a1b2c3d4e5f60718293a&t=c0ffee&ap=3.25"},
		{"voluum", "domain: track.example.com:8443, event_type: lead", "https://track.example.com:8443/postback?cid=6502a1b2c3d4e5f60718293a&payout=3.25&txid=c0ffee&et=lead&currency=USD"},
		{"redtrack", "domain: x.rdtk.io, secret: env:HOOK", "https://x.rdtk.io/postback?clickid=6502a1b2c3d4e5f60718293a&sum=3.25&rdtk_event_id=c0ffee&ptoken=-hidden-&sub1=a%20b%26c"},
		{"redtrack", "domain: x.rdtk.io, type: lead, status: approved, query: {sub1: ''}", "https://x.rdtk.io/postback?clickid=6502a1b2c3d4e5f60718293a&sum=3.25&type=lead&status=approved&rdtk_event_id=c0ffee"},
		{"affise", "domain: offers.acme.affise.com, goal: lead, secret: env:HOOK",
			"https://offers.acme.affise.com/postback?clickid=6502a1b2c3d4e5f60718293a&action_id=c0ffee&goal=lead&sum=3.25&status=1&custom_field1=a%20b%26c&secure=-hidden-"},
		{"binom", "domain: b.example", "https://b.example/click.php?cnv_id=6502a1b2c3d4e5f60718293a&payout=3.25&cnv_status2=c0ffee&cnv_currency=USD"},
		{"binom", "domain: b.example, path: click, status: sale", "https://b.example/click?cnv_id=6502a1b2c3d4e5f60718293a&payout=3.25&cnv_status=sale&cnv_status2=c0ffee&cnv_currency=USD"},
		{"keitaro", "domain: k.example, key: 0f3c9a1", "https://k.example/0f3c9a1/postback?subid=6502a1b2c3d4e5f60718293a&status=sale&payout=3.25&currency=USD&tid=c0ffee&return=OK"},
		{"scaleo", "workspace: acme, goal_id: 1, secret: env:HOOK",
			"https://acme.scaletrk.com/track/conv-addchange?click_id=6502a1b2c3d4e5f60718293a&token=-hidden-&goal_id=1&conv_status=approved&payout=3.25&adv_order_id=c0ffee"},
		{"trackdesk", "tenant: acme, code: lead", "https://acme.trackdesk.com/tracking/conversion/v1?conversionTypeCode=lead&cid=6502a1b2c3d4e5f60718293a&amount.value=3.25&externalId=c0ffee&customerId=06lead&customParams.advS1=a%20b%26c"},
		{"impact", "endpoint: 'https://i.example/notify', campaign_id: 12",
			"https://i.example/notify?CampaignId=12&ActionId=c0ffee&ClickId=6502a1b2c3d4e5f60718293a&SubId1=a%20b%26c&Oid=06lead&Payout=3.25&Currency=USD&Status=PENDING&EventDate=2026-05-28T20%3A26%3A40Z"},
		{"impact", "endpoint: 'https://i.example/notify', method: POST, format: form",
			"https://i.example/notify ActionId=c0ffee&ClickId=6502a1b2c3d4e5f60718293a&SubId1=a%20b%26c&Oid=06lead&Payout=3.25&Currency=USD&Status=PENDING&EventDate=2026-05-28T20%3A26%3A40Z"},
		{"generic", "endpoint: 'http://g.example/pb', secret: env:HOOK",
			"http://g.example/pb?event=lead.sold&status=sold&click_id=6502a1b2c3d4e5f60718293a&our_click_id=06clickours&conversion_id=c0ffee&lead_id=06lead&payout=3.25&currency=USD&affiliate_id=blog-42&offer_id=auto&sub1=a%20b%26c&conv_ts=1780000000&token=-hidden-"},
		{"generic", "endpoint: 'http://g.example/pb', method: POST, query: {note: 'say \"{sub1}\"', token: ''}",
			`http://g.example/pb {"event":"lead.sold","status":"sold","click_id":"6502a1b2c3d4e5f60718293a","our_click_id":"06clickours","conversion_id":"c0ffee","lead_id":"06lead","payout":"3.25","currency":"USD","affiliate_id":"blog-42","offer_id":"auto","sub1":"a b\u0026c","conv_ts":"1780000000","note":"say \"a b\u0026c\""}`},
	} {
		t.Run(c.preset, func(t *testing.T) {
			seen[c.preset] = true
			plan, faults := ordered(t, "{on: lead.sold, preset: "+c.preset+", "+c.rest+"}")
			if len(faults) > 0 {
				t.Fatal(faults)
			}
			got, err := plan.Preview(sold(), "1780000100")
			if text := strings.TrimSpace(got.URL + " " + got.Body); err != nil || text != c.want {
				t.Errorf("got  %s, %v\nwant %s", text, err, c.want)
			}
		})
	}
	for _, name := range PresetNames() {
		if !seen[name] {
			t.Errorf("preset %s has no golden URL", name)
		}
	}
}

// TestPresetsTellOfTheirEvents checks each event's word of each preset, and that an event the tracker cannot take is refused.
func TestPresetsTellOfTheirEvents(t *testing.T) {
	keys := map[string]map[string]string{}
	for _, name := range PresetNames() {
		p := loadPreset(name)
		given := map[string]string{}
		for _, k := range p.keys {
			given[k.name] = map[string]string{"number": "7", "host": "t.example", "label": "acme", "word": "w", "url": "https://t.example/x"}[k.kind]
			if want := k.misfit(given[k.name]); want != "" {
				t.Errorf("%s: %s: %s", name, k.name, want)
			}
			if k.misfit("{sub1}") == "" || k.misfit("") == "" || k.misfit("a b") == "" || k.misfit("a/../b?c#d@e") == "" && k.kind != "url" {
				t.Errorf("%s: %s takes anything", name, k.name)
			}
		}
		keys[name] = given
		for _, on := range postback.Events() {
			word, tells := p.events[on]
			o := postback.Order{On: on, Secret: []byte("s"), Verdict: p.verdict}
			err := p.order(&o, given, "", nil)
			if tells != (err == nil) {
				t.Errorf("%s of %s: %v", name, on, err)
				continue
			}
			if !tells {
				continue
			}
			plan, err := postback.Compile("blog-42", o)
			if err != nil {
				t.Fatalf("%s of %s: %v", name, on, err)
			}
			values := sold()
			values[postback.MacroEvent], values[postback.MacroStatus] = on, postback.StatusOf(on)
			got, err := plan.Preview(values, "1")
			if err != nil || word != "" && !strings.Contains(got.URL, "="+word) {
				t.Errorf("%s of %s: %s, %v", name, on, got.URL, err)
			}
			// Without the click id nothing is ever sent.
			values[postback.MacroAffClickID] = ""
			var value *postback.ValueError
			if _, err := plan.Render(values); !errors.As(err, &value) || value.Macro != postback.MacroAffClickID {
				t.Errorf("%s of %s without a click id: %v", name, on, err)
			}
		}
	}
}

func TestAffiseClickIDsHave24Characters(t *testing.T) {
	plan, faults := ordered(t, "{on: lead.sold, preset: affise, domain: t.example}")
	if len(faults) > 0 {
		t.Fatal(faults)
	}
	values := sold()
	values[postback.MacroAffClickID] = "6502a1b2c3d4e5f60718293ab"
	if _, err := plan.Render(values); postback.NotSentReason(err) != "length_aff_click_id" {
		t.Errorf("got %v", err)
	}
}

// answer is a tracker's, and what it means.
type answer struct {
	line   int
	preset string
	status int
	want   string
	body   string
}

// answers reads testdata/verdicts.txt: preset, status, verdict and body, quoted where it needs to be.
func answers(t testing.TB) (list []answer) {
	text, err := os.ReadFile("testdata/verdicts.txt")
	if err != nil {
		t.Fatal(err)
	}
	for i, line := range strings.Split(string(text), "\n") {
		if line == "" || line[0] == '#' {
			continue
		}
		word := strings.SplitN(line, " ", 4)
		if len(word) < 4 {
			t.Fatalf("line %d: %q", i+1, line)
		}
		body := word[3]
		if body[0] == '"' && body[len(body)-1] == '"' {
			if s, err := strconv.Unquote(body); err == nil {
				body = s
			}
		}
		status, _ := strconv.Atoi(word[1])
		list = append(list, answer{i + 1, word[0], status, word[2], body})
	}
	return list
}

func judgeOf(t testing.TB, preset string) *postback.Plan {
	plan, err := postback.Compile("x", postback.Order{On: "lead.sold", URL: "http://t.example", Verdict: loadPreset(preset).verdict})
	if err != nil {
		t.Fatalf("%s: %v", preset, err)
	}
	return plan
}

// TestVerdicts has each preset read the answers of the corpus, which has one of every verdict for each.
func TestVerdicts(t *testing.T) {
	seen := map[string]int{}
	for _, a := range answers(t) {
		if got := judgeOf(t, a.preset).Judge(a.status, []byte(a.body)); got.String() != a.want {
			t.Errorf("line %d: %s %d %q: got %s, want %s", a.line, a.preset, a.status, a.body, got, a.want)
		}
		seen[a.preset+" "+a.want]++
	}
	for _, name := range PresetNames() {
		for _, v := range []string{"accepted", "duplicate", "rejected", "unknown"} {
			if seen[name+" "+v] == 0 {
				t.Errorf("the corpus has no body that %s judges as %s", name, v)
			}
		}
	}
}

// BenchmarkVerdict reads a short acceptance, which is what nearly every answer is, and a page of 16 KiB.
func BenchmarkVerdict(b *testing.B) {
	page := strings.Repeat("<p>Lorem ipsum dolor sit amet, consectetur.</p>\n", 340)
	for _, name := range PresetNames() {
		plan, short := judgeOf(b, name), ""
		for _, a := range answers(b) {
			if a.preset == name && a.want == "accepted" && short == "" {
				short = a.body
			}
		}
		for kind, body := range map[string]string{"short": short, "page": page} {
			b.Run(name+"/"+kind, func(b *testing.B) {
				for b.Loop() {
					plan.Judge(200, []byte(body))
				}
			})
		}
	}
}

// FuzzVerdict checks that no answer stops the reading, and that each preset has one verdict for it.
func FuzzVerdict(f *testing.F) {
	f.Add(200, `{"status":2,"error":"Broken clickid"}`)
	f.Add(200, "success=true;\xff\x00")
	f.Add(409, "duplicate")
	var plans []*postback.Plan
	for _, name := range PresetNames() {
		plans = append(plans, judgeOf(f, name))
	}
	f.Fuzz(func(t *testing.T, status int, body string) {
		for _, plan := range plans {
			v := plan.Judge(status, []byte(body))
			done := v == postback.VerdictAccepted || v == postback.VerdictUnknown || v == postback.VerdictRejected
			if done && (status < 200 || status > 299) || v == postback.VerdictNone || v == postback.VerdictUnchecked || v.String() == "invalid" {
				t.Fatalf("%d %q: %s", status, body, v)
			}
			if again := plan.Judge(status, []byte(body)); again != v {
				t.Fatalf("%s, and then %s", v, again)
			}
		}
	})
}

func TestPlainPostbacksHaveMoreThanAURL(t *testing.T) {
	plan, faults := ordered(t, `{on: lead.sold, url: "https://t.example/{sub1|required}?ts={ts}&k={secret:other}&s={sig}", method: POST, format: json,
        body: {id: "{conversion_id}", said: "{status:sold=yes} é\"", none: "{sub2|drop}"}, secret: env:HOOK, secrets: {other: env:RAW}, verdict: {accepted: [yes], rejected: ['no$'], duplicate: [again]}}`)
	if len(faults) > 0 {
		t.Fatal(faults)
	}
	got, err := plan.Preview(sold(), "1780000100")
	want := postback.Preview{Method: "POST", URL: "https://t.example/a%20b%26c?ts=1780000100&k=-hidden-&s=-hidden-", Type: "application/json",
		Body: `{"id":"c0ffee","said":"yes é\""}`, Signed: true}
	if err != nil || got != want {
		t.Errorf("got  %+v, %v\nwant %+v", got, err, want)
	}
	for body, v := range map[string]postback.Verdict{"yes": postback.VerdictAccepted, "yes, again": postback.VerdictDuplicate, "no": postback.VerdictRejected, "": postback.VerdictUnknown} {
		if got := plan.Judge(200, []byte(body)); got != v {
			t.Errorf("%q: %s", body, got)
		}
	}
	if asked := plan.Macros(); !slices.Contains(asked, postback.MacroSig) || slices.Contains(asked, postback.MacroPayout) {
		t.Errorf("asks for %v", asked)
	}
}
