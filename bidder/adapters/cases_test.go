package adapters

import (
	"encoding/json"
	"fmt"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"vendue/exchange"

	"github.com/cockroachdb/datadriven"
)

// The cases in testdata: one folder per format, files of requests and of
// exemplary and ugly answers. Commands:
//
//	ping | post           the body that is sent; arguments change the question
//	status status=        the answer of a status URL in the input, and what it is read as
//	bid | verdict status= the answer in the input, and what it is read as
func TestCases(t *testing.T) {
	datadriven.Walk(t, filepath.Join("testdata"), func(t *testing.T, path string) {
		format := filepath.Base(filepath.Dir(path))
		a, err := New(format, vertical)
		if err != nil {
			t.Fatal(err)
		}
		datadriven.RunTest(t, path, func(t *testing.T, d *datadriven.TestData) string {
			switch d.Cmd {
			case "ping":
				ask, terms := question(d)
				shared := a.AppendShared(nil, ask)
				return valid(a.AppendPing([]byte{}, shared, &Ping{Ask: ask, Terms: terms, Tmax: 180 * time.Millisecond}))
			case "post":
				return valid(a.AppendPost(nil, delivery(d), time.Time{}))
			case "bid":
				_, terms := question(d)
				return showBid(a.ReadPing(answerOf(t, d), terms))
			case "status":
				return showFinding(a.ReadStatus(answerOf(t, d)))
			case "verdict":
				return showVerdict(a.ReadPost(answerOf(t, d), delivery(d)))
			default:
				t.Fatalf("unknown command %q", d.Cmd)
				return ""
			}
		})
	})
}

var vertical = &exchange.Vertical{ID: "auto", Fields: []exchange.Field{
	{Name: "zip", Kind: exchange.FieldZip, Ping: exchange.NeedRequired},
	{Name: "age", Kind: exchange.FieldInt, Ping: exchange.NeedRequired},
	{Name: "insured", Kind: exchange.FieldBool, Ping: exchange.NeedOptional},
	{Name: "credit", Kind: exchange.FieldEnum, Ping: exchange.NeedOptional, Values: []string{"good"}},
	{Name: "note", Kind: exchange.FieldText, Post: exchange.NeedOptional},
	{Name: "phone", Kind: exchange.FieldPhone, Post: exchange.NeedRequired, Personal: true},
	{Name: "email", Kind: exchange.FieldEmail, Ping: exchange.NeedOptional, Personal: true},
}}

func lead() *exchange.Lead {
	return &exchange.Lead{Vertical: vertical, Values: []exchange.Value{
		{Text: "85001", Set: true}, {Text: "41", Num: 41, Set: true}, {Text: "true", Num: 1, Set: true}, {},
		{Text: "a \"note\"\n\\ <b>é\x01", Set: true}, {Text: "+16025550100", Set: true}, {Text: "a@b.example", Set: true},
	}}
}

func question(d *datadriven.TestData) (*exchange.Ask, *exchange.Contract) {
	ask := &exchange.Ask{Lead: lead(), Sale: exchange.SaleAny, Test: d.HasArg("test")}
	terms := &exchange.Contract{ID: "acme-west", Sale: exchange.SaleExclusive, MaxBid: 60 * exchange.Micro}
	if d.HasArg("any") {
		terms.Sale = exchange.SaleAny
	}
	return ask, terms
}

func delivery(d *datadriven.TestData) *exchange.Delivery {
	ask, terms := question(d)
	out := &exchange.Delivery{Leg: 1, Contract: terms, Token: `t"1`, Price: 21500000, Lead: ask.Lead, Test: ask.Test}
	if d.HasArg("consent") {
		out.Consent = &exchange.Consent{Given: true, Raw: `{"named_buyers":["Acme"]}`}
	}
	return out
}

func answerOf(t *testing.T, d *datadriven.TestData) *Reply {
	r := &Reply{Status: 200, Body: []byte(strings.TrimRight(d.Input, "\n"))}
	if d.HasArg("status") {
		d.ScanArgs(t, "status", &r.Status)
	}
	if d.HasArg("repeat") { // the input's X becomes this many bytes
		var n int
		d.ScanArgs(t, "repeat", &n)
		r.Body = []byte(strings.Replace(string(r.Body), "X", strings.Repeat("x", n), 1))
	}
	return r
}

// valid shows a body, and says so if it is not JSON.
func valid(body []byte) string {
	if !json.Valid(body) {
		return "NOT JSON: " + strconv.Quote(string(body))
	}
	return string(body)
}

func showBid(b Bid) string {
	switch b.Reason {
	case exchange.ReasonNone:
		out := fmt.Sprintf("bid %s token=%q expires=%s", b.Price, shorten(b.Token), b.ExpiresIn)
		if b.Shared > 0 {
			out += " shared=" + b.Shared.String()
		}
		return out
	default:
		return strings.TrimSpace(b.Reason.String() + " " + b.Detail)
	}
}

func showVerdict(v Verdict) string {
	out := v.Outcome.String()
	for _, s := range []string{v.Reason.String(), v.Detail} {
		if s != "" {
			out += " " + s
		}
	}
	if v.Ref != "" {
		out += fmt.Sprintf(" ref=%q", shorten(v.Ref))
	}
	if v.RedirectURL != "" {
		out += " redirect=" + shorten(v.RedirectURL)
	}
	if v.RedirectDropped {
		out += " redirect_dropped"
	}
	if v.PriceChanged {
		out += " price_changed"
	}
	return out
}

func showFinding(f exchange.Finding) string {
	switch {
	case !f.Known:
		return "none " + f.Detail
	case f.BuyerRef != "":
		return fmt.Sprintf("accepted=%t ref=%q", f.Accepted, shorten(f.BuyerRef))
	default:
		return fmt.Sprintf("accepted=%t", f.Accepted)
	}
}

func shorten(s string) string {
	if len(s) > 60 {
		return s[:20] + ".." + strconv.Itoa(len(s))
	}
	return s
}

// FuzzNative reads anything as an answer: it never panics, and a bid is always one that may stand.
func FuzzNative(f *testing.F) {
	f.Add(200, []byte(`{"bid":"21.50","token":"a","expires_in":60}`))
	f.Add(200, []byte(`{"accepted":true,"id":1,"redirect_url":"https://a.example/","price":1}`))
	a, err := New("", vertical)
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, status int, body []byte) {
		d := delivery(&datadriven.TestData{})
		b := a.ReadPing(&Reply{Status: status, Body: body}, d.Contract)
		if b.Reason == exchange.ReasonNone && (b.Price <= 0 || b.Price > d.Contract.MaxBid || len(b.Token) > TokenBytesMax || b.ExpiresIn < 0 || b.ExpiresIn > ExpiresInMax) {
			t.Fatalf("took %+v", b)
		}
		v := a.ReadPost(&Reply{Status: status, Body: body}, d)
		if v.Outcome == exchange.OutcomeNone || v.Outcome == exchange.OutcomeNotDelivered {
			t.Fatalf("judged %+v", v)
		}
		if s := a.ReadStatus(&Reply{Status: status, Body: body}); s.Known && status != 200 || !s.Known && s.Detail == "" || len(s.BuyerRef) > RefBytesMax {
			t.Fatalf("found %+v", s)
		}
		d.Token = b.Token
		if !json.Valid(a.AppendPost(nil, d, time.Time{})) {
			t.Fatalf("token %q breaks the post", b.Token)
		}
	})
}

func TestNewRefuses(t *testing.T) {
	if _, err := New("natvie", vertical); err == nil || !strings.Contains(err.Error(), "natvie") {
		t.Fatalf("got %v", err)
	}
	if _, err := New("", nil); err == nil {
		t.Fatal("took no vertical")
	}
}

func TestReplyHeader(t *testing.T) {
	r := Reply{Head: []byte("A: b\r\nX-Price:  12 \r\n\r\n")}
	if r.Header("x-price") != "12" || r.Header("price") != "" {
		t.Fatalf("got %q", r.Header("x-price"))
	}
}
