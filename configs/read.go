package configs

import (
	"slices"
	"strconv"
	"strings"
	"time"

	"vendue/exchange"
)

// table is a node that was checked to be a table with known keys.
type table struct {
	l    *loader
	node *node // never nil; broken if the value was no table
}

// table checks that n is a table and that every key of it is known. nil and
// nothing count as an empty table.
func (l *loader) table(n *node, known ...string) table {
	t := table{l: l, node: &node{shape: shapeBroken}}
	if n == nil || !l.expect(n, shapeTable) {
		return t
	}
	t.node = n
	for _, e := range n.entries {
		if !slices.Contains(known, e.key) {
			l.fault(e.pos, "unknown key %q%s", e.key, didYouMean(e.key, known))
		}
	}
	return t
}

// expect tells whether n has the shape; a fault is noted if not. A list or table may be left empty.
func (l *loader) expect(n *node, want shape) bool {
	if n.shape == want || (n.shape == shapeNull && want != shapeScalar) {
		return true
	}
	if n.shape != shapeBroken {
		l.fault(n.pos, "expected %s, found %s", shapeWords[want], shapeWords[n.shape])
	}
	return false
}

// opt returns the value of key, nil if it is absent.
func (t table) opt(key string) *node { return t.node.get(key) }

// need returns the value of key, and notes a fault if it is absent.
func (t table) need(key string) *node {
	n := t.node.get(key)
	if n == nil && t.node.shape != shapeBroken {
		t.l.fault(t.node.pos, "key %q is missing", key)
	}
	return n
}

// named returns the entries of a table whose keys are names of the operator's choice.
func (l *loader) named(n *node) []entry {
	if n == nil || !l.expect(n, shapeTable) {
		return nil
	}
	for _, e := range n.entries {
		if !nameOK(e.key) {
			l.fault(e.pos, "name %q: expected 1 to 64 letters, digits, - _ or ., beginning with a letter or digit", e.key)
		}
	}
	return n.entries
}

func nameOK(s string) bool {
	for i := range len(s) {
		c := s[i]
		word := (c >= '0' && c <= '9') || (c|0x20 >= 'a' && c|0x20 <= 'z')
		if !word && (i == 0 || (c != '-' && c != '_' && c != '.')) {
			return false
		}
	}
	return s != "" && len(s) <= 64
}

// list returns the items of a list.
func (l *loader) list(n *node) []*node {
	if n == nil || !l.expect(n, shapeList) {
		return nil
	}
	return n.items
}

// text returns a scalar, and whether there is one.
func (l *loader) text(n *node) (string, bool) {
	if n == nil || !l.expect(n, shapeScalar) {
		return "", false
	}
	return n.text, true
}

// label returns a name for people.
func (l *loader) label(n *node, fallback string) string {
	s, ok := l.text(n)
	if !ok {
		return fallback
	}
	if s == "" || len(s) > 200 {
		l.fault(n.pos, "expected a name of 1 to 200 bytes")
	}
	return s
}

// word returns the index of n among words, fallback if n is nil or wrong.
func (l *loader) word(n *node, fallback int, words ...string) int {
	s, ok := l.text(n)
	if !ok {
		return fallback
	}
	if i := slices.Index(words, s); i >= 0 {
		return i
	}
	l.fault(n.pos, "unknown value %q%s", s, didYouMean(s, words))
	return fallback
}

func (l *loader) boolean(n *node) bool { return l.word(n, 0, "false", "true") == 1 }

// integer returns a whole number from low to high.
func (l *loader) integer(n *node, fallback, low, high int64) int64 {
	s, ok := l.text(n)
	if !ok {
		return fallback
	}
	i, err := strconv.ParseInt(s, 10, 64)
	if err != nil || i < low || i > high {
		l.fault(n.pos, "expected a whole number from %d to %d", low, high)
		return fallback
	}
	return i
}

// span is the range a duration may lie in, both ends included.
type span struct{ least, most time.Duration }

// duration returns a length of time in Go's spelling, with d for days.
func (l *loader) duration(n *node, fallback time.Duration, limits span) time.Duration {
	s, ok := l.text(n)
	if !ok {
		return fallback
	}
	d, ok := parseDuration(s)
	if !ok {
		l.fault(n.pos, "expected a duration such as 250ms, 10s, 5m or 30d")
		return fallback
	}
	if d < limits.least || d > limits.most {
		l.fault(n.pos, "expected a duration from %s to %s", spell(limits.least), spell(limits.most))
		return fallback
	}
	return d
}

// spell writes a duration as parseDuration reads it, without the zeros that Go adds.
func spell(d time.Duration) string {
	const day = 24 * time.Hour
	if d >= day && d%day == 0 {
		return strconv.FormatInt(int64(d/day), 10) + "d"
	}
	s := d.String()
	if strings.HasSuffix(s, "m0s") {
		s = s[:len(s)-2]
	}
	if strings.HasSuffix(s, "h0m") {
		s = s[:len(s)-2]
	}
	return s
}

func parseDuration(s string) (time.Duration, bool) {
	const day, daysMax = 24 * time.Hour, 100_000
	var days int64
	if before, after, found := strings.Cut(s, "d"); found {
		n, err := strconv.ParseInt(before, 10, 64)
		if err != nil || n < 0 || n > daysMax || before[0] == '+' {
			return 0, false
		}
		if after == "" {
			return time.Duration(n) * day, true
		}
		days, s = n, after
	}
	rest, err := time.ParseDuration(s)
	if err != nil || rest < 0 || rest > daysMax*day {
		return 0, false
	}
	return time.Duration(days)*day + rest, true
}

// money returns an amount of zero or more.
func (l *loader) money(n *node, fallback exchange.Money) exchange.Money {
	s, ok := l.text(n)
	if !ok {
		return fallback
	}
	m, err := exchange.ParseMoney(s)
	if err != nil {
		l.fault(n.pos, "%s", err)
		return fallback
	}
	if m < 0 {
		l.fault(n.pos, "expected an amount of zero or more")
		return fallback
	}
	return m
}

// price returns an amount above zero.
func (l *loader) price(n *node) exchange.Money {
	before := len(l.faults)
	m := l.money(n, 0)
	if n != nil && m == 0 && len(l.faults) == before {
		l.fault(n.pos, "expected an amount above zero")
	}
	return m
}

// percent reads 20 or 20% as a rate from 0 to 100%.
func percent(s string) (exchange.PPM, bool) {
	m, err := exchange.ParseMoney(strings.TrimSuffix(s, "%"))
	if err != nil || m < 0 || m > 100*exchange.Micro || m%100 != 0 {
		return 0, false
	}
	return exchange.PPM(m / 100), true
}

// margin reads a rate below 100% or an amount: 20%, 1.50.
func (l *loader) margin(n *node) (g exchange.Margin) {
	s, ok := l.text(n)
	if !ok {
		return g
	}
	if strings.HasSuffix(s, "%") {
		if g.Rate, ok = percent(s); !ok || g.Rate >= exchange.Whole {
			l.fault(n.pos, "expected a margin from 0%% to below 100%% with at most 4 places, or an amount such as 1.50")
			return exchange.Margin{}
		}
		return g
	}
	m, err := exchange.ParseMoney(s)
	if err != nil || m < 0 {
		l.fault(n.pos, "expected a percentage such as 20%% or an amount such as 1.50")
		return exchange.Margin{}
	}
	return exchange.Margin{Fixed: m}
}
