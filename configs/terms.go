package configs

import (
	"fmt"
	"strconv"
	"strings"

	"vendue/exchange"
)

const (
	whereValuesMax = 100_000
	minutesPerDay  = 24 * 60
)

// owner is whose caps are read.
type owner struct {
	kind, name   string
	leads, spend exchange.Reason // what a lead stopped by a cap of that unit is told
}

func (l *loader) caps(n *node, o owner) (caps []exchange.Cap) {
	windows := []exchange.Window{exchange.PerHour, exchange.PerDay, exchange.PerWeek, exchange.PerMonth, exchange.PerTotal}
	var words []string
	for _, w := range windows {
		words = append(words, w.String())
	}
	add := func(at *node, c exchange.Cap) {
		if at == nil {
			return
		}
		c.ID = exchange.CapID(fmt.Sprintf("%s/%s/%s/%s", o.kind, o.name, c.Per, c.Unit))
		if c.Days != 0 {
			c.ID += exchange.CapID("/" + c.Days.String())
		}
		l.second(at, &c, caps)
		caps = append(caps, c)
	}
	for _, item := range l.list(n) {
		t := l.table(item, "per", "days", "leads", "spend", "pace")
		per := t.need("per")
		leads, spend := t.opt("leads"), t.opt("spend")
		if leads == nil && spend == nil && item.shape == shapeTable {
			l.fault(item.pos, "expected leads: or spend: in a cap")
		}
		limits := [2]int64{l.integer(leads, 0, 1, whole), int64(l.price(spend))}
		days := l.capDays(t.opt("days"))
		w := l.word(per, -1, words...)
		if w < 0 {
			continue
		}
		if days != 0 && windows[w] > exchange.PerDay {
			l.fault(t.opt("days").pos, "days fits a cap per hour or day; a cap per %s runs over all of them", windows[w])
		}
		even := l.pace(t.opt("pace"), windows[w], o)
		add(leads, exchange.Cap{Per: windows[w], Days: days, Even: even, Unit: exchange.CapLeads, Limit: limits[0], Full: o.leads})
		add(spend, exchange.Cap{Per: windows[w], Days: days, Even: even, Unit: exchange.CapSpend, Limit: limits[1], Full: o.spend})
	}
	return caps
}

func (l *loader) hours(n *node) (h exchange.Hours) {
	if n == nil {
		return h
	}
	t := l.table(n, "days", "from", "to")
	h.Set = true
	h.FromMin = l.clock(t.opt("from"), 0)
	h.UntilMin = l.clock(t.opt("to"), minutesPerDay)
	if h.FromMin == h.UntilMin {
		l.fault(n.pos, "from and to are the same; expected them to differ, or no hours for always open")
	}
	if h.FromMin == minutesPerDay {
		l.fault(t.opt("from").pos, `expected from before 24:00; midnight is "00:00"`)
	}
	days := t.opt("days")
	if days == nil {
		h.Days = [7]bool{true, true, true, true, true, true, true}
		return h
	}
	h.Days = l.days(days)
	return h
}

// clock returns the minutes after midnight of HH:MM, to 24:00.
func (l *loader) clock(n *node, fallback int) int {
	s, ok := l.text(n)
	if !ok {
		return fallback
	}
	hour, minute, _ := strings.Cut(s, ":")
	h, errH := strconv.ParseUint(hour, 10, 8)
	m, errM := strconv.ParseUint(minute, 10, 8)
	if errH != nil || errM != nil || len(hour) != 2 || len(minute) != 2 || m > 59 || h*60+m > minutesPerDay {
		l.fault(n.pos, `expected a time of day from "00:00" to "24:00"`)
		return fallback
	}
	return int(h*60 + m)
}

// where reads a filter. Its values are normalised like a lead's own, so that they compare as text.
func (l *loader) where(n *node, v *exchange.Vertical) (out []exchange.Condition) {
	if n == nil || !l.expect(n, shapeTable) {
		return nil
	}
	for _, e := range n.entries {
		slot, ok := l.slotOf(e.key, e.pos, v)
		if !ok {
			continue
		}
		if v.Fields[slot].Ping == exchange.NeedNot {
			l.fault(e.pos, "field %q is not part of a ping, so no ping could match; expected a field with ping: required or optional", e.key)
			continue
		}
		out = append(out, l.condition(e, slot, v)...)
	}
	return out
}

// condition reads what one field must be: a value, a list of them, a file of them, {min, max} or {not: ..}.
func (l *loader) condition(e entry, slot int, v *exchange.Vertical) []exchange.Condition {
	f, n := &v.Fields[slot], e.value
	if n.shape != shapeTable {
		return []exchange.Condition{{Slot: slot, Kind: exchange.ConditionIn, Texts: l.texts(n, f)}}
	}
	t := l.table(n, "min", "max", "not", "in_file", "not_in_file")
	not, low, high := t.opt("not"), t.opt("min"), t.opt("max")
	if len(n.entries) == 0 {
		l.fault(n.pos, "expected a value, a list of them, {min: .., max: ..}, {not: ..}, {in_file: ..} or {not_in_file: ..}")
	}
	var out []exchange.Condition
	if file := t.opt("in_file"); file != nil {
		out = append(out, exchange.Condition{Slot: slot, Kind: exchange.ConditionIn, Texts: l.fileTexts(file, f)})
	}
	if file := t.opt("not_in_file"); file != nil {
		out = append(out, exchange.Condition{Slot: slot, Kind: exchange.ConditionNotIn, Texts: l.fileTexts(file, f)})
	}
	if not != nil {
		out = append(out, exchange.Condition{Slot: slot, Kind: exchange.ConditionNotIn, Texts: l.texts(not, f)})
	}
	if low == nil && high == nil {
		return out
	}
	if f.Kind != exchange.FieldInt && f.Kind != exchange.FieldDecimal && f.Kind != exchange.FieldDate {
		l.fault(n.pos, "min and max do not fit field %q of type %s; expected a value or a list", f.Name, f.Kind)
		return out
	}
	c := exchange.Condition{Slot: slot, Kind: exchange.ConditionRange}
	c.Min, c.HasMin = l.number(low, f)
	c.Max, c.HasMax = l.number(high, f)
	if c.HasMin && c.HasMax && c.Min > c.Max {
		l.fault(n.pos, "min is above max; no lead could match")
	}
	return append(out, c)
}

// texts returns the canonical texts of one value or a list of them.
func (l *loader) texts(n *node, f *exchange.Field) (out []string) {
	items := []*node{n}
	if n.shape != shapeScalar {
		if items = l.list(n); n.shape != shapeTable && (len(items) == 0 || len(items) > whereValuesMax) {
			l.fault(n.pos, "expected 1 to %d values", whereValuesMax)
			return nil
		}
	}
	for _, item := range items {
		s, ok := l.text(item)
		if !ok {
			continue
		}
		var err error
		if out, err = appendTexts(out, f, s); err != nil {
			near := ""
			if f.Kind == exchange.FieldEnum {
				near = didYouMean(s, f.Values)
			}
			l.fault(item.pos, "field %q, value %q: %s%s", f.Name, s, err, near)
		}
	}
	return out
}
