package skin

import (
	"encoding/xml"
	"strings"

	"github.com/tidwall/gjson"

	"vendue/exchange/schema"
)

// Verdict is what an answer comes down to.
type Verdict uint8

// The verdicts.
const (
	Faulty    Verdict = iota // the request itself is at fault, or cannot be worked on now
	Quoted                   // a ping has a price
	Unquoted                 // a ping has none
	Sold                     // a lead is sold
	Unsold                   // a lead is not
	Undecided                // a buyer may have the lead
)

// Answer is a native answer, read.
type Answer struct {
	Verdict  Verdict
	Status   int // of the native answer
	PingID   string
	LeadID   string
	BidID    string
	Price    string // as it was written, "" if there is none
	Currency string
	Expires  int // seconds
	Reason   string
	Message  string
	Redirect string
	Test     bool
	Errors   []FieldError
}

// ReadAnswer reads a native answer to the request, nil if it was never made one.
func (r *Request) ReadAnswer(n *Native, status int, body []byte) *Answer {
	root := gjson.ParseBytes(body)
	a := &Answer{
		Status: status, PingID: root.Get("ping_id").Str, LeadID: root.Get("lead_id").Str, BidID: root.Get("bids.0.bid_id").Str,
		Price: root.Get("price").Raw, Currency: root.Get("currency").Str, Expires: int(root.Get("expires_in").Int()),
		Reason: root.Get("reason").Str, Message: root.Get("message").Str, Redirect: root.Get("redirect_url").Str,
		Test: root.Get("environment").Str == "test",
	}
	switch {
	case status >= 400:
		// A post that is in flight, or whose end could not be written down, may be a sale.
		if (r.Call == CallPost || r.Call == CallDirect) && (status == 409 || a.Reason == "journal_unavailable") {
			a.Verdict = Undecided
		}
		a.Message, a.Test = root.Get("detail").Str, r.Test
		root.Get("errors").ForEach(func(_, e gjson.Result) bool {
			text := e.Get("error").Str
			missing := text == "missing" || strings.HasPrefix(text, "missing: ")
			a.Errors = append(a.Errors, FieldError{Field: r.foreign(n, e.Get("field").Str), Text: text, Missing: missing})
			return true
		})
	case r.Call == CallPing:
		a.Verdict = Unquoted
		if root.Get("status").Str == "accepted" {
			a.Verdict = Quoted
		}
	default:
		switch root.Get("status").Str {
		case "sold":
			a.Verdict = Sold
		case "pending":
			a.Verdict = Undecided
		default:
			a.Verdict = Unsold
		}
	}
	return a
}

// FirstLead returns the lead that used a ping, if a native answer says that one did.
func FirstLead(body []byte) (string, bool) {
	r := gjson.GetManyBytes(body, "reason", "lead_id")
	return r[1].Str, r[0].Str == "ping_used" && r[1].Str != ""
}

// FaultAnswer is the answer to a request that was never made a native one.
func (r *Request) FaultAnswer(status int, reason string, f *Fault) *Answer {
	return &Answer{Status: status, Reason: reason, Message: f.Detail, Errors: f.Fields, Test: r.Test}
}

// later tells whether the same request may do better by and by: nothing was decided.
func (a *Answer) later() bool { return a.Status == 429 || a.Status >= 500 }

// duplicate tells whether the lead was refused as one that was sold before.
func (a *Answer) duplicate() bool { return a.Reason == "duplicate" }

// missing tells whether all that is wrong with a request is what it lacks.
func (a *Answer) missing() bool { return a.Reason == "missing_field" }

// text says in one line what is wrong.
func (a *Answer) text() string {
	var parts []string
	for _, e := range a.Errors {
		parts = append(parts, e.Field+": "+e.Text)
	}
	if len(parts) == 0 && a.duplicate() {
		return "Duplicate lead: " + a.Message // integrators look for the word
	}
	if len(parts) == 0 {
		return a.Message
	}
	return strings.Join(parts, "; ")
}

// Reply is an answer in a platform's words, ready to be sent.
type Reply struct {
	Status      int
	ContentType string
	Body        []byte
}

// Tell writes an answer as the request's format and style want it.
func (r *Request) Tell(a *Answer) Reply {
	p := platformOf(r.Format)
	said := p.tell(a, r)
	if r.Style == XML {
		b := append([]byte(xml.Header), '<')
		b = append(append(b, p.root...), '>')
		b = appendXML(b, said.items)
		b = append(append(append(b, "</"...), p.root...), '>', '\n')
		return Reply{Status: said.status, ContentType: "application/xml", Body: b}
	}
	b := appendJSON(nil, said.items)
	if p.wrap != "" {
		b = append(append([]byte(`{"`+p.wrap+`":`), b...), '}')
	}
	return Reply{Status: said.status, ContentType: "application/json", Body: b}
}

// reply is what is said, before it is written.
type reply struct {
	status int
	items  []item
}

// item is one thing said. Its value is raw JSON; XML shows the same without quotes.
type item struct {
	name string
	raw  string
	list []string // raw; its elements in XML are named each
	each string
	kids []item
}

func text(name, value string) item {
	return item{name: name, raw: string(schema.AppendString(nil, value))}
}

func raw(name, value string) item { return item{name: name, raw: value} }

// with adds an item with a text that is not empty.
func with(items []item, name, value string) []item {
	if value == "" {
		return items
	}
	return append(items, text(name, value))
}

func appendJSON(b []byte, items []item) []byte {
	b = append(b, '{')
	for i := range items {
		if i > 0 {
			b = append(b, ',')
		}
		b = append(schema.AppendString(b, items[i].name), ':')
		switch it := &items[i]; {
		case it.kids != nil:
			b = appendJSON(b, it.kids)
		case it.list != nil:
			b = append(b, '[')
			b = append(append(b, strings.Join(it.list, ",")...), ']')
		default:
			b = append(b, it.raw...)
		}
	}
	return append(b, '}')
}

func appendXML(b []byte, items []item) []byte {
	for i := range items {
		it := &items[i]
		b = append(append(append(b, '<'), it.name...), '>')
		switch {
		case it.kids != nil:
			b = appendXML(b, it.kids)
		case it.list != nil:
			for _, one := range it.list {
				b = append(append(append(b, '<'), it.each...), '>')
				b = appendXMLValue(b, one)
				b = append(append(append(b, "</"...), it.each...), '>')
			}
		default:
			b = appendXMLValue(b, it.raw)
		}
		b = append(append(append(b, "</"...), it.name...), '>')
	}
	return b
}

// appendXMLValue appends a raw JSON value as XML text.
func appendXMLValue(b []byte, raw string) []byte {
	v := gjson.Parse(raw)
	switch {
	case v.Type == gjson.Null:
		return b
	case v.IsObject():
		v.ForEach(func(key, value gjson.Result) bool {
			b = append(append(append(b, '<'), key.Str...), '>')
			b = appendXMLValue(b, value.Raw)
			b = append(append(append(b, "</"...), key.Str...), '>')
			return true
		})
		return b
	case v.Type == gjson.String:
		var w strings.Builder
		if err := xml.EscapeText(&w, []byte(v.Str)); err != nil {
			panic("BUG: a strings.Builder refused text: " + err.Error())
		}
		return append(b, w.String()...)
	default:
		return append(b, raw...)
	}
}

// fieldErrors are raw objects of a field's name and what is wrong with it.
func (a *Answer) fieldErrors(field, fault string) []string {
	out := []string{}
	for _, e := range a.Errors {
		b := append(schema.AppendString([]byte{'{'}, field), ':')
		b = append(schema.AppendString(b, e.Field), ',')
		b = append(schema.AppendString(b, fault), ':')
		out = append(out, string(append(schema.AppendString(b, e.Text), '}')))
	}
	return out
}

// money returns the price as a number, 0 if there is none.
func (a *Answer) money() string {
	if a.Price == "" {
		return "0.00"
	}
	return a.Price
}

// httpStatus is 200, as the platforms have it, but for what must not be read as an answer about the lead.
func (a *Answer) httpStatus() int {
	switch {
	case a.later() || a.Status == 405 || a.Status == 413:
		return a.Status
	default:
		return 200
	}
}
