package exchange

import (
	"math"
	"testing"
)

func TestConditions(t *testing.T) {
	text := func(s string) Value { return Value{Text: s, Set: true} }
	num := func(n int64) Value { return Value{Num: n, Set: true} }
	in := Condition{Kind: ConditionIn, Texts: []string{"AZ", "CA"}}
	not := Condition{Kind: ConditionNotIn, Texts: []string{"NY"}}
	span := Condition{Kind: ConditionRange, HasMin: true, Min: 25, HasMax: true, Max: 70}
	for _, c := range []struct {
		name string
		cond Condition
		v    Value
		want bool
	}{
		{"listed", in, text("CA"), true},
		{"not listed", in, text("NY"), false},
		{"nothing listed", Condition{Kind: ConditionIn}, text("NY"), false},
		{"unset is not listed, even as the empty text", Condition{Kind: ConditionIn, Texts: []string{""}}, Value{}, false},
		{"not: listed", not, text("NY"), false},
		{"not: not listed", not, text("AZ"), true},
		{"not: unset", not, Value{}, true},
		{"not the empty text: unset", Condition{Kind: ConditionNotIn, Texts: []string{""}}, Value{}, true},
		{"range: least", span, num(25), true},
		{"range: most", span, num(70), true},
		{"range: below", span, num(24), false},
		{"range: above", span, num(71), false},
		{"range: unset", span, Value{}, false},
		{"range around nought: unset", Condition{Kind: ConditionRange, HasMin: true, Min: -1}, Value{}, false},
		{"from", Condition{Kind: ConditionRange, HasMin: true, Min: 25}, num(math.MaxInt64), true},
		{"to", Condition{Kind: ConditionRange, HasMax: true, Max: 25}, num(math.MinInt64), true},
		{"no bounds", Condition{Kind: ConditionRange}, num(0), true},
		{"no bounds: unset", Condition{Kind: ConditionRange}, Value{}, false},
		{"bounds the wrong way round", Condition{Kind: ConditionRange, HasMin: true, Min: 2, HasMax: true, Max: 1}, num(1), false},
	} {
		if got := c.cond.Matches(&c.v); got != c.want {
			t.Errorf("%s: %t, want %t", c.name, got, c.want)
		}
	}
}

func TestMatchesNamesTheFieldThatFailed(t *testing.T) {
	where := []Condition{
		{Slot: 2, Kind: ConditionRange, HasMin: true, Min: 25},
		{Slot: 1, Kind: ConditionIn, Texts: []string{"AZ"}},
	}
	lead := &Lead{Values: []Value{{}, {Text: "NY", Set: true}, {Num: 41, Set: true}}}
	if slot, ok := Matches(where, lead); ok || slot != 1 {
		t.Errorf("slot %d, %t; want 1, false", slot, ok)
	}
	lead.Values[1].Text = "AZ"
	if _, ok := Matches(where, lead); !ok {
		t.Error("a lead that fits every condition is refused")
	}
	if _, ok := Matches(nil, lead); !ok {
		t.Error("a contract without a filter refuses a lead")
	}
}

func TestCapNeed(t *testing.T) {
	leads, spend := Cap{Unit: CapLeads}, Cap{Unit: CapSpend}
	if n := leads.Need(21_500_000); n != 1 {
		t.Errorf("a sale takes %d of a cap in leads", n)
	}
	if n := spend.Need(21_500_000); n != 21_500_000 {
		t.Errorf("a sale at 21.50 takes %d micro-units", n)
	}
}
