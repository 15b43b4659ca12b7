package configs

import (
	"math"
	"strings"
	"time"

	"vendue/exchange"
	"vendue/exchange/schema"
)

const (
	enumValuesMax = 1000
	textMaxMax    = 100_000 // characters
)

// fieldKinds are the words for a field's type, from the first kind to the last.
func fieldKinds() (words []string) {
	for k := exchange.FieldText; k <= exchange.FieldRegion; k++ {
		words = append(words, k.String())
	}
	return words
}

func (l *loader) vertical(e entry) {
	t := l.table(e.value, "fields", "duplicate", "suppress")
	v := &exchange.Vertical{ID: exchange.VerticalID(e.key), Slots: map[string]int{}}
	l.market.Verticals[v.ID] = v
	l.names.verticals = append(l.names.verticals, e.key)
	fields := l.named(t.need("fields"))
	if n := t.opt("fields"); n != nil && (len(fields) > schema.FieldsMax || (len(fields) == 0 && n.shape != shapeScalar && n.shape != shapeList)) {
		l.fault(n.pos, "expected 1 to %d fields", schema.FieldsMax)
		return
	}
	for _, f := range fields {
		v.Slots[f.key] = len(v.Fields)
		v.Fields = append(v.Fields, l.field(f))
	}
	l.duplicate(t.opt("duplicate"), v)
	v.Suppress = l.suppress(t.opt("suppress"))
}

func (l *loader) field(e entry) exchange.Field {
	t := l.table(e.value, "type", "ping", "post", "personal", "min", "max", "values")
	if schema.Reserved(e.key) {
		l.fault(e.pos, "name %q is a key of the request itself; expected another name for the field", e.key)
	}
	needs := []string{"", "optional", "required"}
	kinds := fieldKinds()
	f := exchange.Field{
		Name:     e.key,
		Kind:     exchange.FieldKind(l.word(t.need("type"), 0, kinds...) + 1),
		Ping:     exchange.Need(l.word(t.opt("ping"), 0, needs[1:]...)),
		Post:     exchange.Need(l.word(t.opt("post"), 0, needs[1:]...)),
		Personal: l.boolean(t.opt("personal")),
	}
	if n := t.opt("ping"); n != nil {
		f.Ping++
		if f.Personal {
			l.fault(n.pos, "field %q is personal and cannot be part of a ping; expected post: %s", e.key, needs[f.Ping])
		}
	}
	if t.opt("post") != nil {
		f.Post++
	}
	if f.Ping == exchange.NeedNot && f.Post == exchange.NeedNot && e.value.shape == shapeTable {
		l.fault(e.pos, "field %q is part of neither; expected ping: or post: required or optional", e.key)
	}
	l.bounds(t, &f)
	l.enumValues(t, &f)
	return f
}

func (l *loader) bounds(t table, f *exchange.Field) {
	low, high := t.opt("min"), t.opt("max")
	switch f.Kind {
	case exchange.FieldText:
		if low != nil {
			l.fault(low.pos, "min does not fit a text; expected max, a length in characters")
		}
		f.Max, f.HasMax = l.integer(high, 0, 1, textMaxMax), high != nil
		return
	case exchange.FieldInt, exchange.FieldDecimal, exchange.FieldDate:
	default:
		for key, n := range map[string]*node{"min": low, "max": high} {
			if n != nil {
				l.fault(n.pos, "%s does not fit type %s; expected it with int, decimal, date or text", key, f.Kind)
			}
		}
		return
	}
	f.Min, f.HasMin = l.number(low, f)
	f.Max, f.HasMax = l.number(high, f)
	if f.HasMin && f.HasMax && f.Min > f.Max {
		l.fault(low.pos, "min is above max; no value could pass")
	}
}

// number returns the Num of a value of f's kind, whatever f's own bounds.
func (l *loader) number(n *node, f *exchange.Field) (int64, bool) {
	s, ok := l.text(n)
	if !ok {
		return 0, false
	}
	v, err := schema.Normalize(&exchange.Field{Name: f.Name, Kind: f.Kind}, schema.Input{Text: s})
	if err != nil {
		l.fault(n.pos, "field %q: %s", f.Name, err)
		return 0, false
	}
	return v.Num, true
}

func (l *loader) enumValues(t table, f *exchange.Field) {
	n := t.opt("values")
	if f.Kind != exchange.FieldEnum || t.opt("type") == nil {
		if n != nil && t.opt("type") != nil {
			l.fault(n.pos, "values do not fit type %s; expected them with enum", f.Kind)
		}
		return
	}
	if n == nil {
		l.fault(t.node.pos, "field %q is an enum; expected values: [..]", f.Name)
		return
	}
	items := l.list(n)
	if (n.shape == shapeList || n.shape == shapeNull) && (len(items) == 0 || len(items) > enumValuesMax) {
		l.fault(n.pos, "expected 1 to %d values", enumValuesMax)
		return
	}
	plain := exchange.Field{Name: f.Name, Kind: exchange.FieldText}
	seen := map[string]bool{}
	for _, item := range items {
		s, ok := l.text(item)
		if !ok {
			continue
		}
		v, err := schema.Normalize(&plain, schema.Input{Text: s})
		folded := strings.ToLower(v.Text)
		switch {
		case err != nil:
			l.fault(item.pos, "field %q: %s", f.Name, err)
		case seen[folded]:
			l.fault(item.pos, "value %q stands twice; the case of letters does not count", s)
		}
		seen[folded] = true
		f.Values = append(f.Values, v.Text)
	}
}

func (l *loader) duplicate(n *node, v *exchange.Vertical) {
	if n == nil {
		return
	}
	t := l.table(n, "fields", "within", "scope")
	fields := t.need("fields")
	items := l.list(fields)
	if fields != nil && len(items) == 0 && fields.shape != shapeScalar && fields.shape != shapeTable {
		l.fault(fields.pos, "expected at least one field; leave duplicate out for no rule")
	}
	seen := map[int]bool{}
	for _, item := range items {
		slot, ok := l.slot(item, v)
		if ok && seen[slot] {
			l.fault(item.pos, "field %q stands twice", item.text)
		}
		if ok {
			seen[slot] = true
			v.Duplicate.Fields = append(v.Duplicate.Fields, slot)
		}
	}
	v.Duplicate.Within = int64(l.duration(t.need("within"), 0, span{time.Second, rememberedMax}) / time.Second)
	v.Duplicate.Scope = exchange.DuplicateScope(l.word(t.opt("scope"), 0, "anyone", "buyer"))
}

// slot returns the slot of the field that n names.
func (l *loader) slot(n *node, v *exchange.Vertical) (int, bool) {
	name, ok := l.text(n)
	if !ok {
		return 0, false
	}
	return l.slotOf(name, n.pos, v)
}

func (l *loader) slotOf(name string, at pos, v *exchange.Vertical) (int, bool) {
	slot, ok := v.Slots[name]
	if !ok {
		l.fault(at, "vertical %q has no field %q%s", v.ID, name, didYouMean(name, fieldNames(v)))
	}
	return slot, ok
}

func fieldNames(v *exchange.Vertical) []string {
	out := make([]string, len(v.Fields))
	for i := range v.Fields {
		out[i] = v.Fields[i].Name
	}
	return out
}

// verticalOf returns the vertical that n names, nil if there is none.
func (l *loader) verticalOf(n *node) *exchange.Vertical {
	name, ok := l.text(n)
	if !ok {
		return nil
	}
	v := l.market.Verticals[exchange.VerticalID(name)]
	if v == nil {
		l.fault(n.pos, "no vertical %q%s", name, didYouMean(name, l.names.verticals))
	}
	return v
}

// whole bounds a count of leads.
const whole = math.MaxInt32
