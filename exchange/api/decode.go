package api

import (
	"errors"
	"iter"
	"math/bits"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/tidwall/gjson"
	"github.com/valyala/fasthttp"

	"vendue/exchange"
	"vendue/exchange/schema"
)

// Limits of what a body may say.
const (
	refBytesMax     = 255
	sourceBytesMax  = 255
	consentBytesMax = 16 << 10
	namedBuyersMax  = 200
	bidIDsMax       = 64
	maxWaitMax      = 2 * time.Minute
	legsMax         = 64
	bracketsMax     = 256 // of a JSON body; more than that many are looked at for how deep they nest
	depthMax        = 32
)

// bodyKeys are the names that a body, its source and its consent know. No name stands in two of them.
var bodyKeys = [...]string{
	"campaign", "ref", "min_price", "max_wait_ms", "sale", "max_legs", "test", "source", "consent", "lead",
	"ping_id", "bid_ids", "idempotency_key", "lead_id", "bid_id", "accepted", "id", "reason", "note",
	"affiliate", "offer", "click_id", "cookie", "coupon", "sub1", "sub2", "sub3", "sub4", "sub5",
	"captured_at", "page_url", "text_sha256", "named_buyers", "trustedform_ping_url", "trustedform_cert_url", "jornaya_id",
}

// body is a decoded request. Its strings are parts of text, which is the request's own copy.
type body struct {
	text     string
	campaign string
	ref      string
	minPrice exchange.Money
	maxWait  time.Duration
	sale     exchange.SaleKind
	maxLegs  int
	test     bool
	source   exchange.Source
	consent  exchange.Consent
	pingID   string
	key      string
	bidIDs   []string
	leadID   string
	bidID    string
	accepted *bool
	id       string
	reason   string
	note     string

	leadJSON string                    // the lead as an object, if the body is JSON
	form     iter.Seq2[string, string] // every pair, if it is a form
	errors   []fieldError
	seen     uint64 // by place in bodyKeys
}

// twice notes that a key was given, and faults one that was given before:
// readers of JSON and forms disagree about which one counts.
func (b *body) twice(prefix, key string) bool {
	bit := uint64(1) << max(slices.Index(bodyKeys[:], key), 0)
	if bodyKeys[bits.TrailingZeros64(bit)] != key {
		return false // unknown: passed over, however often it comes
	}
	again := b.seen&bit != 0
	b.seen |= bit
	if again {
		b.fault(prefix+key, "expected once, given more than once")
	}
	return again
}

func (b *body) fault(field, text string) {
	b.errors = append(b.errors, fieldError{field: field, text: text})
}

// missing notes that a field is not there, unless something is said of it already.
func (b *body) missing(field string) {
	if slices.ContainsFunc(b.errors, func(e fieldError) bool { return e.field == field }) {
		return
	}
	b.errors = append(b.errors, fieldError{field: field, text: "missing", missing: true})
}

// decode reads the request's body. What cannot be read at all is answered at once.
func (a *API) decode(c *call) (*body, bool) {
	h := &c.ctx.Request.Header
	b := &body{text: string(c.ctx.Request.Body())}
	kind, _, _ := strings.Cut(string(h.ContentType()), ";")
	switch strings.ToLower(strings.TrimSpace(kind)) {
	case "application/json":
		if err := b.readJSON(); err != nil {
			a.problem(c.ctx, problem{status: 400, reason: exchange.ReasonInvalidField, detail: err.Error()})
			return nil, false
		}
	case "application/x-www-form-urlencoded":
		b.takeForm(c.ctx.Request.PostArgs())
	default:
		a.problem(c.ctx, problem{status: 415, reason: exchange.ReasonInvalidField,
			detail: "expected Content-Type application/json or application/x-www-form-urlencoded"})
		return nil, false
	}
	if key := h.Peek("Idempotency-Key"); len(key) > 0 {
		b.key = string(key)
	}
	if len(b.key) > refBytesMax {
		b.fault("idempotency_key", "expected at most 255 bytes")
	}
	return b, true
}

// The faults of a body that is no JSON object at all.
var (
	errNotUTF8   = errors.New("the body is not valid UTF-8")
	errTooDeep   = errors.New("the body's JSON nests deeper than 32 levels")
	errNotJSON   = errors.New("the body is not valid JSON")
	errNotObject = errors.New("the body is not a JSON object")
)

func (b *body) readJSON() error {
	switch {
	case !utf8.ValidString(b.text):
		return errNotUTF8
	case tooDeep(b.text):
		return errTooDeep
	case !gjson.Valid(b.text):
		return errNotJSON
	}
	root := gjson.Parse(b.text)
	if !root.IsObject() {
		return errNotObject
	}
	root.ForEach(func(key, value gjson.Result) bool {
		b.takeJSON(key.Str, value)
		return true
	})
	return nil
}

// tooDeep tells whether JSON nests deeper than depthMax, before a reader that
// goes down by recursion does so. Most bodies have too few brackets to be looked at.
func tooDeep(text string) bool {
	if strings.Count(text, "[")+strings.Count(text, "{") <= bracketsMax {
		return false // deep enough to be refused, perhaps, but not to harm
	}
	depth, quoted := 0, false
	for i := 0; i < len(text); i++ {
		switch c := text[i]; {
		case c == '"':
			quoted = !quoted
		case quoted && c == '\\':
			i++
		case quoted:
		case c == '[' || c == '{':
			if depth++; depth > depthMax {
				return true
			}
		case c == ']' || c == '}':
			depth--
		}
	}
	return false
}

func (b *body) takeJSON(key string, v gjson.Result) {
	if b.twice("", key) || v.Type == gjson.Null {
		return
	}
	switch key {
	case "lead":
		b.leadJSON = v.Raw
	case "source", "consent", "bid_ids":
		b.takeCompound(key, v)
	case "test", "accepted":
		if v.Type != gjson.True && v.Type != gjson.False {
			b.fault(key, "expected true or false")
			return
		}
		b.takeBool(key, v.Bool())
	default:
		if !knownScalar(key) {
			return
		}
		if v.Type != gjson.String && v.Type != gjson.Number {
			b.fault(key, "expected a string or a number")
			return
		}
		b.takeScalar(key, scalar(v))
	}
}

// takeCompound takes a part that has parts. It stands apart since what it
// hands to closures is allocated, for every key of the body were it in takeJSON.
//
//go:noinline
func (b *body) takeCompound(key string, v gjson.Result) {
	switch key {
	case "source":
		b.takeObject(key, v, b.takeSource)
	case "consent":
		b.consent.Raw = v.Raw
		b.takeObject(key, v, b.takeConsent)
		b.checkConsent()
	default:
		b.bidIDs = b.texts(key, v, bidIDsMax)
	}
}

// scalar returns a string's text, or a number as it was written.
func scalar(v gjson.Result) string {
	if v.Type == gjson.Number {
		return v.Raw
	}
	return v.Str
}

func knownScalar(key string) bool {
	switch key {
	case "campaign", "ref", "min_price", "max_wait_ms", "sale", "max_legs", "ping_id", "idempotency_key", "lead_id", "bid_id", "id", "reason", "note":
		return true
	}
	return false
}

func (b *body) takeBool(key string, v bool) {
	if key == "test" {
		b.test = v
		return
	}
	b.accepted = &v
}

// takeScalar reads one of the body's plain fields from its text.
func (b *body) takeScalar(key, text string) {
	switch key {
	case "campaign":
		b.campaign = text
	case "ping_id":
		b.pingID = text
	case "idempotency_key":
		b.key = text
	case "lead_id":
		b.leadID = text
	case "bid_id":
		b.bidID = text
	case "id":
		b.id = text
	case "reason":
		b.reason = text
	case "note":
		b.note = text
	case "ref":
		if b.ref = text; len(text) > refBytesMax {
			b.fault(key, "expected at most 255 bytes")
		}
	case "min_price":
		price, err := exchange.ParseMoney(text)
		switch {
		case err != nil:
			b.fault(key, err.Error())
		case price < 0:
			b.fault(key, "expected zero or more")
		}
		b.minPrice = price
	case "max_wait_ms":
		b.maxWait = time.Duration(b.number(key, text, int(maxWaitMax.Milliseconds()))) * time.Millisecond
	case "max_legs":
		b.maxLegs = b.number(key, text, legsMax)
	case "sale":
		switch text {
		case "any":
			b.sale = exchange.SaleAny
		case "exclusive":
			b.sale = exchange.SaleExclusive
		case "shared":
			b.sale = exchange.SaleShared
		default:
			b.fault(key, "expected exclusive, shared or any")
		}
	}
}

func (b *body) number(key, text string, most int) int {
	n, err := strconv.Atoi(text)
	if err != nil || n < 1 || n > most {
		b.fault(key, "expected a whole number from 1 to "+strconv.Itoa(most))
		return 0
	}
	return n
}

func (b *body) takeObject(key string, v gjson.Result, take func(string, gjson.Result)) {
	if !v.IsObject() {
		b.fault(key, "expected an object")
		return
	}
	v.ForEach(func(k, field gjson.Result) bool {
		if !b.twice(key+".", k.Str) && field.Type != gjson.Null {
			take(k.Str, field)
		}
		return true
	})
}

func (b *body) takeSource(key string, v gjson.Result) {
	if v.Type != gjson.String && v.Type != gjson.Number {
		b.fault("source."+key, "expected a string")
		return
	}
	b.setSource(key, scalar(v))
}

// setSource takes one of source's fields; others are passed over.
func (b *body) setSource(key, text string) bool {
	var dst *string
	switch key {
	case "affiliate":
		dst = &b.source.Affiliate
	case "offer":
		dst = &b.source.Offer
	case "click_id":
		dst = &b.source.ClickID
	case "cookie":
		dst = &b.source.Cookie
	case "coupon":
		dst = &b.source.Coupon
	case "sub1", "sub2", "sub3", "sub4", "sub5":
		dst = &b.source.Subs[key[3]-'1']
	default:
		return false
	}
	if *dst = text; len(text) > sourceBytesMax {
		b.fault("source."+key, "expected at most 255 bytes")
	}
	return true
}

func (b *body) takeConsent(key string, v gjson.Result) {
	b.consent.Given = b.consent.Given || (v.Raw != `""` && v.Raw != "[]" && (key == "named_buyers" || consentKey(key)))
	switch key {
	case "named_buyers":
		b.consent.NamedBuyers = b.texts("consent."+key, v, namedBuyersMax)
	case "captured_at":
		if _, err := time.Parse(time.RFC3339, v.Str); err != nil {
			b.fault("consent."+key, "expected a time as in 2026-01-31T12:00:00Z")
		}
	case "page_url", "text_sha256", "trustedform_ping_url", "trustedform_cert_url", "jornaya_id":
		if v.Type != gjson.String {
			b.fault("consent."+key, "expected a string")
		}
	}
}

// checkConsent ends the reading of a consent. One that says nothing is none:
// it neither satisfies a campaign that wants consent nor replaces the ping's.
func (b *body) checkConsent() {
	if len(b.consent.Raw) > consentBytesMax {
		b.fault("consent", "expected at most 16 KiB")
	}
	if !b.consent.Given {
		b.consent = exchange.Consent{}
	}
}

func (b *body) texts(key string, v gjson.Result, most int) []string {
	var out []string
	ok := v.IsArray()
	v.ForEach(func(_, item gjson.Result) bool {
		ok = ok && item.Type == gjson.String && len(out) < most
		out = append(out, item.Str)
		return ok
	})
	if !ok {
		b.fault(key, "expected a list of at most "+strconv.Itoa(most)+" strings")
		return nil
	}
	return out
}

// takeForm reads a form: the body's own keys, source's and consent's by their names, the rest is the lead.
func (b *body) takeForm(args *fasthttp.Args) {
	type pair struct{ key, value string }
	var pairs []pair
	consent := make([]byte, 0, 256)
	var named []string
	for k, v := range args.All() {
		key, value := string(k), string(v)
		pairs = append(pairs, pair{key, value})
		switch {
		case value == "":
		case key == "bid_ids":
			b.bidIDs = b.split(key, b.bidIDs, value, bidIDsMax)
		case key == "named_buyers":
			named = b.split(key, named, value, namedBuyersMax)
		case b.twice("", key), b.setSource(key, value):
		case key == "test" || key == "accepted":
			// A vertical may have a field called accepted, so a bad one is a fault to the outcome alone.
			on, err := strconv.ParseBool(strings.ToLower(value))
			if err == nil {
				b.takeBool(key, on)
			} else if key == "test" {
				b.fault(key, "expected true or false")
			}
		case consentKey(key):
			consent = appendFormConsent(consent, key, gjson.AppendJSONString(nil, value))
		default:
			b.takeScalar(key, value)
		}
	}
	if len(named) > 0 {
		consent = appendFormConsent(consent, "named_buyers", appendTexts(nil, named))
	}
	if len(consent) > 0 {
		b.seen = 0 // the names were met in the form itself
		b.consent.Raw = string(append(consent, '}'))
		b.takeObject("consent", gjson.Parse(b.consent.Raw), b.takeConsent)
		b.checkConsent()
	}
	b.form = func(yield func(string, string) bool) {
		for _, p := range pairs {
			if !yield(p.key, p.value) {
				return
			}
		}
	}
}

func consentKey(key string) bool {
	switch key {
	case "captured_at", "page_url", "text_sha256", "trustedform_ping_url", "trustedform_cert_url", "jornaya_id":
		return true
	}
	return false
}

// split adds the parts of a comma-separated value to list.
func (b *body) split(key string, list []string, value string, most int) []string {
	for part := range strings.SplitSeq(value, ",") {
		if len(list) == most {
			b.fault(key, "expected a list of at most "+strconv.Itoa(most)+" strings")
			return list
		}
		list = append(list, strings.TrimSpace(part))
	}
	return list
}

// appendFormConsent adds one of a form's consent fields to the object that a JSON body would have held.
func appendFormConsent(dst []byte, key string, value []byte) []byte {
	if len(dst) == 0 {
		dst = append(dst, '{')
	} else {
		dst = append(dst, ',')
	}
	return append(append(gjson.AppendJSONString(dst, key), ':'), value...)
}

func appendTexts(dst []byte, texts []string) []byte {
	dst = append(dst, '[')
	for i, text := range texts {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = gjson.AppendJSONString(dst, text)
	}
	return append(dst, ']')
}

// read types the body's lead into values.
func (b *body) read(v *exchange.Vertical, phase schema.Phase, values []exchange.Value) (schema.Counts, []fieldError) {
	var counts schema.Counts
	var faults []schema.Fault
	switch {
	case b.form != nil:
		counts, faults = schema.ReadForm(v, b.form, phase, values)
	case b.leadJSON == "":
		return counts, []fieldError{{field: "lead", text: "missing", missing: true}}
	default:
		counts, faults = schema.ReadJSON(v, b.leadJSON, phase, values)
	}
	var errs []fieldError
	for _, f := range faults {
		name := f.Field
		if name != "lead" {
			name = "lead." + name
		}
		text := f.Text
		if f.Missing {
			text = "missing: " + text
		}
		errs = append(errs, fieldError{field: name, text: text, missing: f.Missing})
	}
	return counts, errs
}

// readLead types the body's lead into values, which hold the ping's for a post, and counts what was passed over.
func (a *API) readLead(b *body, v *exchange.Vertical, phase schema.Phase, values []exchange.Value) {
	counts, errs := b.read(v, phase, values)
	b.errors = append(b.errors, errs...)
	if counts.Unknown > 0 {
		a.m.unknownFields.Add(counts.Unknown)
	}
	if counts.PersonalDropped > 0 {
		a.m.personalDropped.Add(counts.PersonalDropped)
	}
	if counts.Changed > 0 {
		a.m.changedFields.Add(counts.Changed)
	}
}
