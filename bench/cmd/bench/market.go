//go:build linux

package main

import (
	"fmt"
	"strings"

	"vendue/bench/house"
	"vendue/bench/load"
)

const (
	sellerKey  = "vd_bench_000000000000000000000000"
	campaign   = "c"     // every contract, no duplicate rule: what the peers are compared with
	checked    = "d"     // the ten pinged contracts under a duplicate rule
	clean      = "clean" // without the last buyer
	windowMs   = 250
	affiliates = 4 // trackers, and so endpoints, of one affiliate
)

// market is what an exchange of the bench trades: one pinged contract per
// buyer, and as many more as fillers says that the bench's lead never matches.
type market struct {
	buyers   []string // base URLs
	fillers  int
	trackers []string // base URLs; one affiliate with a postback to each
	asked    bool     // also those who fail: breakers are off
}

const fieldLines = `      zip: {type: zip, ping: required}
      state: {type: state, ping: required}
      age: {type: int, ping: required, min: 16, max: 110}
      gender: {type: text, ping: optional}
      credit: {type: enum, ping: optional, values: [excellent, good, fair, poor]}
      homeowner: {type: bool, ping: optional}
      currently_insured: {type: bool, ping: optional}
      current_carrier: {type: text, ping: optional}
      coverage_months: {type: int, ping: optional}
      city: {type: text, ping: optional}
      dob: {type: date, post: optional, personal: true}
      first_name: {type: text, post: required, personal: true}
      last_name: {type: text, post: required, personal: true}
      address: {type: text, post: optional, personal: true}
      phone: {type: phone, post: required, personal: true}
      email: {type: email, post: required, personal: true}
`

// The lead, in its two parts.
const (
	pingPart = `"zip":"94107","state":"CA","age":34,"gender":"F","credit":"good","homeowner":false,"currently_insured":true,` +
		`"current_carrier":"Example Mutual","coverage_months":26,"city":"San Francisco"`
	postPart = `"first_name":"Maria","last_name":"Gonzalez","email":"maria.` + load.SerialMark + `@example.com","phone":"+14152000132",` +
		`"address":"123 Market Street Apt 4","dob":"1991-04-17"`
)

// config writes the market as an exchange reads it.
func (m *market) config(listen, admin, data string) string {
	var w strings.Builder
	add := func(format string, args ...any) { fmt.Fprintf(&w, format+"\n", args...) }
	add("listen: %s\nadmin: %s\ndata: %s\ncurrency: USD\ntime_zone: UTC\negress: {allow: [127.0.0.0/8]}", listen, admin, data)
	add("verticals:\n  auto:\n    fields:\n%s  strict:\n    fields:\n%s    duplicate: {fields: [email], within: 720h, scope: anyone}", fieldLines, fieldLines)
	terms := fmt.Sprintf("window: %dms, quote_ttl: 5m, floor: 1.00, margin: 20%%", windowMs)
	add("sellers:\n  s:\n    name: S\n    key_sha256: %s\n    campaigns:", house.KeyHash(sellerKey))
	add("      %s: {vertical: auto, tree: t, %s}\n      %s: {vertical: strict, tree: td, %s}\n      %s: {vertical: auto, tree: tc, %s}",
		campaign, terms, checked, terms, clean, terms)
	add("buyers:")
	breaker := ""
	if m.asked {
		breaker = ", breaker: off"
	}
	var all, strict []string
	for i, url := range m.buyers {
		add("  b%d:\n    name: B%d\n    contracts:", i, i)
		for _, k := range [][2]string{{fmt.Sprintf("b%d-c", i), "auto"}, {fmt.Sprintf("b%d-d", i), "strict"}} {
			add("      %s: {vertical: %s, sale: exclusive, ping: {url: \"%s/ping\", timeout: %dms%s}, post: {url: \"%s/post\", timeout: 2s}}", k[0], k[1], url, windowMs, breaker, url)
		}
		all, strict = append(all, fmt.Sprintf("b%d-c", i)), append(strict, fmt.Sprintf("b%d-d", i))
	}
	most := all[:max(1, len(all)-1)]
	if m.fillers > 0 {
		add("  f:\n    name: F\n    contracts:")
	}
	for i := range m.fillers {
		name := fmt.Sprintf("f%05d", i)
		add("      %s: {vertical: auto, sale: exclusive, where: %s, ping: {url: \"%s/ping\"}, post: {url: \"%s/post\"}}", name, filter(i), m.buyers[0], m.buyers[0])
		all = append(all, name)
	}
	add("trees:")
	for _, t := range []struct {
		name      string
		contracts []string
	}{{"t", all}, {"td", strict}, {"tc", most}} {
		add("  %s:\n    - {method: auction, contracts: [%s]}", t.name, strings.Join(t.contracts, ", "))
	}
	if len(m.trackers) > 0 {
		add("affiliates:\n  a:\n    name: A\n    postbacks:")
	}
	for _, t := range m.trackers {
		add("      - {on: lead.sold, url: \"%s/postback?transaction_id={aff_click_id}&amount={payout}&event={event}&conv={conversion_id}\"}", t)
	}
	add("offers:\n  auto:\n    landing: \"https://quotes.example.com/auto\"\n    attribution: {model: last_touch, window: 30d}\n    commission: {percent: 25, of: payout, paid_by: seller}")
	return w.String()
}

// filter gives filler i a filter that fits many leads and never the bench's own.
func filter(i int) string {
	states := []string{"AZ", "NV", "TX", "FL", "NY", "WA", "OR", "CO", "GA", "OH", "MI", "IL"}
	some := fmt.Sprintf("[%s, %s, %s]", states[i%12], states[(i+5)%12], states[(i+7)%12])
	switch i % 5 {
	case 0:
		return fmt.Sprintf("{state: %s, age: {min: 25, max: 70}}", some)
	case 1:
		return fmt.Sprintf("{age: {min: %d, max: 90}, credit: [excellent, good]}", 35+i%40)
	case 2:
		return fmt.Sprintf("{credit: [poor, fair], state: {not: %s}}", some)
	case 3:
		return fmt.Sprintf("{homeowner: true, age: {min: %d}}", 18+i%15)
	default:
		return fmt.Sprintf("{zip: [\"%05d\", \"%05d\"], currently_insured: true}", 10000+i, 50000+i%40000)
	}
}

// The units of work that the exchange is asked.

func pingSteps(campaign string) []load.Step { return []load.Step{pingStep(campaign)} }

func pingStep(campaign string) load.Step {
	return load.NewStep(load.Call{
		Method: "POST", Path: "/v1/ping", Key: sellerKey, Body: fmt.Sprintf(`{"campaign":%q,"lead":{%s}}`, campaign, pingPart),
		Want: `"status":"accepted"`, Take: `"ping_id":"`,
	})
}

func pingPostSteps() []load.Step {
	return []load.Step{pingStep(campaign), load.NewStep(load.Call{
		Method: "POST", Path: "/v1/post", Key: sellerKey, Headers: []string{"Idempotency-Key: bench-" + load.SerialMark},
		Body: `{"ping_id":"` + load.TakenMark + `","lead":{` + postPart + `}}`, Want: `"status":"sold"`,
	})}
}

func directSteps() []load.Step {
	return []load.Step{load.NewStep(load.Call{
		Method: "POST", Path: "/v1/direct", Key: sellerKey, Body: fmt.Sprintf(`{"campaign":%q,"lead":{%s,%s}}`, campaign, pingPart, postPart), Want: `"status":"sold"`,
	})}
}

// strictSteps is a direct with all that a careful seller and an affiliate bring.
func strictSteps() []load.Step {
	return []load.Step{load.NewStep(load.Call{
		Method: "POST", Path: "/v1/direct", Key: sellerKey, Headers: []string{"Idempotency-Key: bench-" + load.SerialMark},
		Body: fmt.Sprintf(`{"campaign":%q,"source":{"affiliate":"a","offer":"auto","click_id":"net-%s","sub1":"fb"},"lead":{%s,%s}}`, checked, load.SerialMark, pingPart, postPart),
		Want: `"status":"sold"`,
	})}
}

func clickSteps() []load.Step {
	return []load.Step{load.NewStep(load.Call{Method: "GET", Path: "/c/auto?aff=a&cid=net-" + load.SerialMark + "&sub1=fb", Want: "quotes.example.com"})}
}

func peerSteps() []load.Step {
	return []load.Step{load.NewStep(load.Call{Method: "POST", Path: "/lead", Body: fmt.Sprintf(`{"campaign":"c","lead":{%s,%s}}`, pingPart, postPart), Want: `"status":"sold"`})}
}
