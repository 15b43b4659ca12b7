package schema

import (
	"iter"
	"strings"

	"github.com/tidwall/gjson"

	"vendue/exchange"
)

// Phase says which fields a request takes and which it must have.
type Phase uint8

// The phases. In PhasePost the caller puts the ping's values into the slots
// first; they stand, whatever the post says.
const (
	PhasePing   Phase = iota + 1 // ping fields only; personal ones are dropped and counted
	PhasePost                    // the whole lead, after its ping
	PhaseDirect                  // the whole lead, without a ping
)

// Counts tells what was passed over without a fault.
type Counts struct {
	Unknown         int // fields that the vertical does not have
	PersonalDropped int // personal fields in a ping
	Changed         int // fields of the ping to which the post gave another value
}

// Fault is what is wrong with one field. It never holds a value.
type Fault struct {
	Field   string
	Missing bool   // required and absent; else present and wrong
	Text    string // what was expected
}

// ReadJSON walks raw, the JSON object of a lead, once, and puts the values of
// v's fields that the phase takes into values, which has a slot per field.
// raw must be valid JSON: it is part of a body that was checked as a whole.
// Values may be parts of raw, so raw must outlive them. null, "" and blank
// strings count as absent; unknown fields are counted; a field given twice is
// a fault, for readers of JSON disagree about which one counts.
//
// All faults come at once, in the order of v's fields, at most one for each;
// with any of them values is not to be used.
func ReadJSON(v *exchange.Vertical, raw string, phase Phase, values []exchange.Value) (Counts, []Fault) {
	lead := gjson.Parse(raw)
	if !lead.IsObject() {
		return Counts{}, []Fault{{Field: "lead", Missing: !lead.Exists(), Text: "expected an object of fields"}}
	}
	r := reader{vertical: v, phase: phase, values: values}
	lead.ForEach(func(key, value gjson.Result) bool {
		switch value.Type {
		case gjson.Null:
			r.take(key.Str, Input{})
		case gjson.String:
			r.take(key.Str, Input{Text: value.Str})
		case gjson.Number:
			r.take(key.Str, Input{Text: value.Raw, Kind: Number})
		case gjson.True, gjson.False:
			r.take(key.Str, Input{Text: value.Raw, Kind: Bool})
		default:
			r.take(key.Str, Input{Text: "x", Kind: compound})
		}
		return true
	})
	return r.finish()
}

// ReadForm does for the flat keys of a form what ReadJSON does for an object.
// Reserved keys are the request's own and are passed over.
func ReadForm(v *exchange.Vertical, pairs iter.Seq2[string, string], phase Phase, values []exchange.Value) (Counts, []Fault) {
	r := reader{vertical: v, phase: phase, values: values}
	for key, value := range pairs {
		if !Reserved(key) {
			r.take(key, Input{Text: value})
		}
	}
	return r.finish()
}

// compound marks an array or object where a scalar is wanted.
const compound InputKind = 255

// slotSet is a set of slots.
type slotSet [FieldsMax / 64]uint64

func (s *slotSet) add(slot int)      { s[slot/64] |= 1 << (slot % 64) }
func (s *slotSet) has(slot int) bool { return s[slot/64]&(1<<(slot%64)) != 0 }

// reader gathers one lead. It lives on its caller's stack.
type reader struct {
	vertical *exchange.Vertical
	phase    Phase
	values   []exchange.Value
	counts   Counts
	next     int // the slot after the last one met: most senders keep to the order of the fields
	seen     slotSet
	bad      slotSet
	texts    map[int]string // by slot of bad; nil while all is well
}

// take handles one key and its value.
func (r *reader) take(key string, in Input) {
	slot := r.next
	if fields := r.vertical.Fields; slot >= len(fields) || fields[slot].Name != key {
		var known bool
		if slot, known = r.vertical.Slots[key]; !known {
			r.counts.Unknown++
			return
		}
	}
	r.next = slot + 1
	f := &r.vertical.Fields[slot]
	if r.phase == PhasePing && f.Ping == exchange.NeedNot {
		if f.Personal && !absent(in) {
			r.counts.PersonalDropped++
		}
		return
	}
	if r.seen.has(slot) {
		r.fault(slot, "expected once, given more than once")
		return
	}
	r.seen.add(slot)
	if absent(in) {
		return
	}
	stands := r.phase == PhasePost && f.Ping != exchange.NeedNot && r.values[slot].Set
	if in.Kind == compound {
		if stands {
			r.counts.Changed++
			return
		}
		r.fault(slot, expected(f).Error()+", not an array or object")
		return
	}
	value, err := Normalize(f, in)
	switch {
	case stands:
		if err != nil || value.Text != r.values[slot].Text {
			r.counts.Changed++
		}
	case err != nil:
		r.fault(slot, err.Error())
	default:
		r.values[slot] = value
	}
}

func absent(in Input) bool { return strings.TrimSpace(in.Text) == "" }

func (r *reader) fault(slot int, text string) {
	if r.texts == nil {
		r.texts = map[int]string{}
	}
	if !r.bad.has(slot) {
		r.bad.add(slot)
		r.texts[slot] = text
	}
}

// finish finds what is missing and puts the faults in order.
func (r *reader) finish() (Counts, []Fault) {
	var faults []Fault
	for slot := range r.vertical.Fields {
		f := &r.vertical.Fields[slot]
		switch {
		case r.bad.has(slot):
			faults = append(faults, Fault{Field: f.Name, Text: r.texts[slot]})
		case !r.values[slot].Set && r.requires(f):
			faults = append(faults, Fault{Field: f.Name, Missing: true, Text: expected(f).Error()})
		}
	}
	return r.counts, faults
}

func (r *reader) requires(f *exchange.Field) bool {
	return f.Ping == exchange.NeedRequired || (r.phase != PhasePing && f.Post == exchange.NeedRequired)
}

// Reserved tells whether name is a key of a request itself, which no vertical's field may bear:
// in a form both stand side by side.
func Reserved(name string) bool {
	switch name {
	case "campaign", "ref", "min_price", "max_wait_ms", "sale", "max_legs", "test", "source", "consent", "lead",
		"ping_id", "bid_ids", "idempotency_key",
		"affiliate", "offer", "click_id", "cookie", "coupon", "sub1", "sub2", "sub3", "sub4", "sub5",
		"captured_at", "page_url", "text_sha256", "named_buyers",
		"trustedform_ping_url", "trustedform_cert_url", "jornaya_id":
		return true
	}
	return false
}
