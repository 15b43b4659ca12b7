package configs

import (
	"encoding/json"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/cockroachdb/datadriven"

	"vendue/bidder/adapters"
	"vendue/bidder/adapters/dialect"
	"vendue/exchange"
)

// house is a config around one contract's lines.
const house = `
listen: 127.0.0.1:0
data: ./data
currency: USD
time_zone: UTC
verticals:
  auto:
    fields:
      zip: {type: zip, ping: required}
      state: {type: state, ping: required}
      age: {type: int, ping: required}
      dob: {type: date, ping: optional}
      homeowner: {type: bool, ping: optional}
      credit: {type: enum, ping: optional, values: [good, poor]}
      miles: {type: decimal, ping: optional}
      ip_address: {type: ip, ping: optional}
      user_agent: {type: text, ping: optional}
      first_name: {type: text, post: required, personal: true}
      last_name: {type: text, post: required, personal: true}
      full_name: {type: text, post: optional, personal: true}
      phone: {type: phone, post: required, personal: true}
      email: {type: email, post: required, personal: true}
      address: {type: text, post: optional, personal: true}
buyers:
  b:
    contracts:
      x:
        vertical: auto
`

// spoken loads the house around a contract's own lines and returns its format.
func spoken(t testing.TB, lines string) (*exchange.Contract, *dialect.Format) {
	t.Helper()
	text := house
	for line := range strings.Lines(lines) {
		text += "        " + line
	}
	cfg := mustLoad(t, text)
	return cfg.Market.Contracts[0], cfg.Bidder.Contracts[0].Dialect
}

// sampleLead is a lead of the house. Its ping holds the personal fields too, on
// purpose: no request may show them.
func sampleLead(v *exchange.Vertical) *exchange.Lead {
	lead := &exchange.Lead{Vertical: v, Values: make([]exchange.Value, len(v.Fields))}
	for name, text := range map[string]string{
		"zip": "85001", "state": "AZ", "age": "41", "dob": "1985-02-09", "homeowner": "true", "ip_address": "203.0.113.7",
		"user_agent": `Mozilla/5.0 "x" <y> & z`, "first_name": "Zoë", "last_name": `O'Hara & "Sons"`, "full_name": "Zoë Ann O'Hara",
		"phone": "+16025550143", "email": "zoe+x@mail.example", "miles": "12.5",
	} {
		value := exchange.Value{Text: text, Set: true}
		if name == "homeowner" {
			value.Num = 1
		}
		lead.Values[v.Slots[name]] = value
	}
	return lead
}

// TestDialects runs the cases of testdata/dialects: a folder per preset, with
// the contract's lines in contract.yaml. Commands:
//
//	ping | post | inquiry      the request that is sent; arguments: test, token=
//	bid | verdict | finding    the answer in the input and what it is read as; status=
func TestDialects(t *testing.T) {
	for _, name := range Dialects() {
		if _, err := os.Stat(filepath.Join("testdata/dialects", name, "contract.yaml")); err != nil {
			t.Errorf("preset %s has no cases: %v", name, err)
		}
	}
	folders, err := filepath.Glob("testdata/dialects/*")
	if err != nil {
		t.Fatal(err)
	}
	for _, dir := range folders {
		t.Run(filepath.Base(dir), func(t *testing.T) {
			lines, err := os.ReadFile(filepath.Join(dir, "contract.yaml"))
			if err != nil {
				t.Fatal(err)
			}
			c, f := spoken(t, string(lines))
			files, err := filepath.Glob(filepath.Join(dir, "*.txt"))
			if err != nil || len(files) == 0 {
				t.Fatalf("no cases: %v", err)
			}
			for _, file := range files {
				datadriven.RunTest(t, file, func(t *testing.T, d *datadriven.TestData) string { return runCase(t, d, c, f) })
			}
		})
	}
}

var caseTime = time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC)

func runCase(t *testing.T, d *datadriven.TestData, c *exchange.Contract, f *dialect.Format) string {
	token := ""
	if d.HasArg("token") {
		d.ScanArgs(t, "token", &token)
		token = strings.ReplaceAll(token, ";", "\x1f")
	}
	delivery := &exchange.Delivery{
		Leg: 1, Contract: c, Token: token, Price: 21500000, Lead: sampleLead(c.Vertical), Test: d.HasArg("test"),
		Consent: &exchange.Consent{Given: true, Raw: `{"page_url":"https://a.example/?q=1&r=2","trustedform_cert_url":"https://cert.example/1","jornaya_id":"J-1"}`},
	}
	reply := &adapters.Reply{Status: 200, Body: []byte(strings.TrimRight(d.Input, "\n"))}
	if d.HasArg("status") {
		d.ScanArgs(t, "status", &reply.Status)
	}
	switch d.Cmd {
	case "ping":
		ask := &exchange.Ask{Lead: delivery.Lead, Sale: exchange.SaleAny, Test: delivery.Test, Start: caseTime}
		scene := dialect.PingScene(&adapters.Ping{Ask: ask, Terms: c, Tmax: 180 * time.Millisecond})
		return request(f, dialect.Ping, &scene)
	case "post":
		scene := dialect.PostScene(delivery, caseTime)
		return request(f, dialect.Post, &scene)
	case "inquiry":
		scene := dialect.StatusScene(&exchange.Inquiry{Contract: c, Leg: 1, Token: token}, caseTime)
		return request(f, dialect.Status, &scene)
	case "bid":
		return showBid(f.ReadPing(reply, c))
	case "verdict":
		return showVerdict(f.ReadPost(reply, delivery))
	case "finding":
		found := f.ReadStatus(reply)
		return fmt.Sprintf("known=%t accepted=%t ref=%q: %s", found.Known, found.Accepted, found.BuyerRef, found.Detail)
	default:
		t.Fatalf("unknown command %q", d.Cmd)
		return ""
	}
}

// request shows a request but for the headers that every one has.
func request(f *dialect.Format, id dialect.PhaseID, s *dialect.Scene) string {
	r := f.Request(id)
	u := r.URLs[0]
	if s.Test {
		u = r.URLs[1]
	}
	out := r.Method + " " + u.Base.String() + string(f.AppendTarget(nil, id, u, s)) + "\n"
	for i := range r.Headers {
		out += r.Headers[i].Name + ": " + string(r.Headers[i].Append(nil, s)) + "\n"
	}
	body := f.AppendBody(nil, id, s)
	if strings.Contains(r.ContentType, "json") && !json.Valid(body) {
		out += "NOT JSON: "
	}
	if strings.Contains(r.ContentType, "urlencoded") {
		if _, err := url.ParseQuery(string(body)); err != nil {
			out += "NOT A FORM: "
		}
	}
	return out + string(body)
}

func showBid(b adapters.Bid) string {
	rule := ""
	if b.Rule != "" {
		rule = " [" + b.Rule + "]"
	}
	if b.Reason == exchange.ReasonNone {
		return fmt.Sprintf("bid %s token=%q expires=%s%s", b.Price, b.Token, b.ExpiresIn, rule)
	}
	return strings.TrimSpace(b.Reason.String()+" "+b.Detail) + rule
}

func showVerdict(v adapters.Verdict) string {
	out := []string{v.Outcome.String(), v.Reason.String(), v.Detail}
	if v.Ref != "" {
		out = append(out, "ref="+strconv.Quote(v.Ref))
	}
	if v.RedirectURL != "" {
		out = append(out, "redirect="+v.RedirectURL)
	}
	if v.RedirectDropped {
		out = append(out, "redirect_dropped")
	}
	if v.PriceChanged {
		out = append(out, "price_changed")
	}
	if v.Rule != "" && v.Rule != v.Detail {
		out = append(out, "["+v.Rule+"]")
	}
	return strings.Join(slices.DeleteFunc(out, func(s string) bool { return s == "" }), " ")
}
