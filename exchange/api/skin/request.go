package skin

import (
	"crypto/sha256"
	"encoding/hex"
	"slices"
	"strings"

	"github.com/tidwall/gjson"

	"vendue/exchange/schema"
)

// Style is how an answer is written.
type Style uint8

// The styles.
const (
	JSON Style = iota
	XML
)

// Request is a foreign request: whose it is, what it wants, and its values as
// they came. Its strings are parts of the Input's.
type Request struct {
	Route
	Key    string // whoever holds it is the seller; never logged, never told
	Test   bool
	source string
	cost   bool
	mode   string
	action string
	format string
	accept string
	sold   bool
	own    map[string]pair // native keys of the body and its source, by what they stand for
	lead   []pair          // everything else
	spell  map[string]string
	twice  []string // names that were given more than once with different values
}

// Fault is why a request could not be turned into a native one.
type Fault struct {
	Detail string
	Fields []FieldError
}

// FieldError is what is wrong with one value, by the name that the seller gave it. It never holds the value.
type FieldError struct {
	Field, Text string
	Missing     bool
}

// Read reads a foreign request. There always is a Request, so that a fault can be told as its sender wants it.
func Read(route Route, in *Input) (*Request, *Fault) {
	r := &Request{Route: route, Key: in.Key, accept: in.Accept, own: map[string]pair{}, spell: map[string]string{}}
	p := platformOf(route.Format)
	list, err := pairs(in)
	for i := range list {
		r.take(p, &list[i])
	}
	r.Style = p.style(r)
	if err != nil {
		return r, &Fault{Detail: err.Error()}
	}
	if p.settle != nil {
		p.settle(r)
	}
	if len(r.twice) > 0 {
		f := &Fault{Detail: "a value was given more than once"}
		for _, name := range r.twice {
			f.Fields = append(f.Fields, FieldError{Field: name, Text: "expected once, given more than once"})
		}
		return r, f
	}
	if r.Call == CallUnsaid {
		return r, &Fault{Detail: "the mode is missing or unknown", Fields: []FieldError{{Field: "Mode", Text: "expected ping, post or full", Missing: r.mode == ""}}}
	}
	return r, nil
}

// Unread returns a request of which only the path and the Accept header are known.
func Unread(route Route, accept string) *Request {
	r := &Request{Route: route, accept: accept}
	r.Style = platformOf(route.Format).style(r)
	return r
}

// take puts one value where it belongs.
func (r *Request) take(p *platform, v *pair) {
	to, known := p.keys[v.path]
	if !known {
		r.lead = append(r.lead, *v)
		return
	}
	if v.value == "" && v.kind != kindList {
		return
	}
	if _, again := r.spell[to]; again && !r.same(to, v) {
		r.twice = append(r.twice, v.name)
	}
	r.spell[to] = v.name
	switch to {
	case toKey:
		r.Key = v.value
	case toID:
		r.id = v.value
	case toSource:
		r.source = v.value
	case toMode:
		r.mode = v.value
	case toAction:
		r.action = v.value
	case toFormat:
		r.format = v.value
	case toTest:
		r.Test = r.Test || yes(v.value)
	case toSold:
		r.sold = yes(v.value)
	case toCost:
		r.cost = yes(v.value)
	case toIgnored:
	default:
		r.own[to] = *v
	}
}

// same tells whether a control that came before came with this value.
func (r *Request) same(to string, v *pair) bool {
	switch to {
	case toKey:
		return r.Key == v.value
	case toID:
		return r.id == v.value
	case toSource:
		return r.source == v.value
	case toMode:
		return strings.EqualFold(r.mode, v.value)
	case toIgnored, toFormat, toAction, toTest, toSold, toCost:
		return true
	default:
		return r.own[to].value == v.value && r.own[to].kind == v.kind
	}
}

func yes(s string) bool {
	switch strings.ToLower(strings.TrimSpace(s)) {
	case "1", "true", "yes", "y", "on", "test":
		return true
	}
	return false
}

// ID returns what the request calls its campaign, "" if it does not say.
func (r *Request) ID() string { return r.id }

// LeadID returns the id of the lead that the request asks for.
func (r *Request) LeadID() string { return r.own["lead_id"].value }

// KeyName returns the name under which the format sends the seller's key.
func (r *Request) KeyName() string { return spelling(r.Format, toKey) }

// IDName returns the name under which the format sends what it calls its campaign.
func (r *Request) IDName() string { return spelling(r.Format, toID) }

// spelling returns how the format itself writes the key that stands for something.
func spelling(f Format, to string) string {
	for _, k := range spellings[f] {
		if k.to == to {
			return k.name
		}
	}
	return to
}

// Native is the native request that a foreign one stands for.
type Native struct {
	Body    string
	Key     string // Idempotency-Key, "" for a ping
	Unknown int    // values that stand for nothing here
	fields  map[string]string
}

// chosen is a value found for a field of the lead.
type chosen struct {
	to string
	pair
	rank int
}

// Native turns the request into the body of /v1/ping, /v1/post or /v1/direct.
func (r *Request) Native(in *Intake) (*Native, *Fault) {
	n := &Native{fields: map[string]string{}}
	for to, p := range r.own {
		n.fields[to] = p.name
	}
	lead, fault := r.choose(in, n)
	if fault != nil {
		return nil, fault
	}
	var b []byte
	if r.Call != CallPost {
		b = append(b, `{"campaign":`...)
		b = schema.AppendString(b, string(in.Campaign))
		if r.Test {
			b = append(b, `,"test":true`...)
		}
	} else {
		b = append(b, `{"ping_id":`...)
		b = schema.AppendString(b, r.own["ping_id"].value)
	}
	b = r.appendOwn(b)
	b = r.appendConsent(b)
	b = append(b, `,"lead":{`...)
	for i := range lead {
		if i > 0 {
			b = append(b, ',')
		}
		b = appendValue(append(schema.AppendString(b, strings.TrimPrefix(lead[i].to, "lead.")), ':'), &lead[i].pair)
	}
	n.Body = string(append(b, "}}"...))
	if r.Call != CallPing {
		n.Key = r.idempotency(n.Body)
	}
	return n, nil
}

// idempotency returns the key under which this request is the same when it comes again:
// the seller's own id of it where an alias tells which that is, else all that it says.
func (r *Request) idempotency(body string) string {
	if own := r.own["idempotency_key"].value; own != "" {
		return r.Format.String() + ":" + own
	}
	sum := sha256.Sum256([]byte(body))
	return r.Format.String() + ":" + hex.EncodeToString(sum[:])
}

// choose finds the one value of each of the vertical's fields that the request names.
func (r *Request) choose(in *Intake, n *Native) ([]chosen, *Fault) {
	best := map[string]int{} // place in list
	var list []chosen
	var faults []FieldError
	for i := range r.lead {
		p := r.lead[i]
		at, known := in.names.find(p.path)
		if !known {
			n.Unknown++
			continue
		}
		if p.kind == kindText && strings.TrimSpace(p.value) == "" {
			continue
		}
		if !strings.HasPrefix(at.to, "lead.") {
			r.own[at.to] = p
			n.fields[at.to] = p.name
			continue
		}
		c := chosen{to: at.to, pair: p, rank: at.rank}
		c.value = in.value(strings.TrimPrefix(at.to, "lead."), r, c.value)
		before, again := best[at.to]
		switch {
		case !again:
			best[at.to] = len(list)
			list = append(list, c)
		case list[before].rank == c.rank && list[before].value != c.value:
			faults = append(faults, FieldError{Field: p.name, Text: "expected once, given more than once"})
		case list[before].rank > c.rank:
			list[before] = c
		}
	}
	if len(faults) > 0 {
		return nil, &Fault{Detail: "a value was given more than once", Fields: faults}
	}
	for i := range list {
		n.fields[list[i].to] = list[i].name
	}
	return list, nil
}

// value returns what a field's value is called here.
func (in *Intake) value(field string, r *Request, theirs string) string {
	if r.sold && r.Test && slices.Contains(in.zips, field) {
		return zipSold
	}
	if ours, ok := in.values[field][strings.ToLower(strings.TrimSpace(theirs))]; ok {
		return ours
	}
	return theirs
}

// zipSold is the zip that in a test ends in a sale.
const zipSold = "00001"

func appendValue(b []byte, p *pair) []byte {
	switch p.kind {
	case kindBare:
		// A value of the value map is text, whatever it took the place of.
		if gjson.Valid(p.value) {
			return append(b, p.value...)
		}
		return schema.AppendString(b, p.value)
	case kindList:
		return append(b, "[]"...)
	default:
		return schema.AppendString(b, p.value)
	}
}

// appendOwn appends the native body's own keys, and its source.
func (r *Request) appendOwn(b []byte) []byte {
	keys := []string{"ref", "min_price", "max_wait_ms", "max_legs"}
	if r.Call == CallPost {
		keys = []string{"bid_ids"}
	}
	for _, key := range keys {
		p, ok := r.own[key]
		if !ok {
			continue
		}
		b = append(schema.AppendString(append(b, ','), key), ':')
		if key == "bid_ids" {
			b = appendList(b, p.value)
			continue
		}
		b = appendValue(b, &p)
	}
	if r.Call == CallPost {
		return b
	}
	first := true
	for _, key := range [...]string{"affiliate", "offer", "click_id", "sub1", "sub2", "sub3", "sub4", "sub5"} {
		p, ok := r.own["source."+key]
		if !ok {
			continue
		}
		if first {
			b = append(b, `,"source":{`...)
		} else {
			b = append(b, ',')
		}
		first = false
		b = appendValue(append(schema.AppendString(b, key), ':'), &p)
	}
	if !first {
		b = append(b, '}')
	}
	return b
}

func appendList(b []byte, text string) []byte {
	b = append(b, '[')
	for i, part := range strings.Split(text, ",") {
		if i > 0 {
			b = append(b, ',')
		}
		b = schema.AppendString(b, strings.TrimSpace(part))
	}
	return append(b, ']')
}

// appendConsent appends what the request tells of the consumer's consent. The
// page alone is no consent: it is in every request. A seller's "no" is heard.
func (r *Request) appendConsent(b []byte) []byte {
	var cert, jornaya, text, page, agreed string
	for i := range r.lead {
		p := &r.lead[i]
		if p.kind != kindText || strings.TrimSpace(p.value) == "" {
			if p.kind != kindBare {
				continue
			}
		}
		switch last := p.path[strings.LastIndexByte(p.path, '.')+1:]; {
		case slices.Contains(certNames, last) && strings.HasPrefix(p.value, "http"):
			cert = p.value
		case slices.Contains(jornayaNames, last):
			jornaya = p.value
		case slices.Contains(textNames, last):
			text = p.value
		case slices.Contains(pageNames, last):
			page = p.value
		case slices.Contains(agreedNames, last):
			agreed = p.value
		}
	}
	if cert+jornaya+text+agreed == "" || (agreed != "" && !yes(agreed)) {
		return b
	}
	if cert+jornaya+text+page == "" {
		return b
	}
	if text != "" {
		sum := sha256.Sum256([]byte(text))
		text = hex.EncodeToString(sum[:])
	}
	b = append(b, `,"consent":{`...)
	first := true
	for _, v := range [...][2]string{{"page_url", page}, {"text_sha256", text}, {"trustedform_cert_url", cert}, {"jornaya_id", jornaya}} {
		if v[1] == "" {
			continue
		}
		if !first {
			b = append(b, ',')
		}
		first = false
		b = schema.AppendString(append(schema.AppendString(b, v[0]), ':'), v[1])
	}
	return append(b, '}')
}

// foreign returns the name by which the seller knows a field of the native body.
func (r *Request) foreign(n *Native, field string) string {
	if n != nil {
		if name, ok := n.fields[field]; ok {
			return name
		}
	}
	if short, ok := strings.CutPrefix(field, "lead."); ok {
		return platformOf(r.Format).name(short)
	}
	return spelling(r.Format, field)
}
