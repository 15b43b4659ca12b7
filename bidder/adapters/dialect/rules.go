package dialect

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"vendue/exchange"
)

// path is a compiled path: the places in a document of its alternatives.
type path struct {
	leaves []int
	body   bool // the answer's text itself
	named  bool // there is such a path
}

// of returns the first of the alternatives that says anything; if none does,
// one that is there but empty.
func (p *path) of(values []found) found {
	var out found
	for _, at := range p.leaves {
		if v := &values[at]; v.there() {
			return *v
		} else if v.kind != absent {
			out = *v
		}
	}
	return out
}

// statusRange is a range of HTTP statuses, both ends included.
type statusRange struct{ from, to int }

// rule is one compiled rule.
type rule struct {
	http     []statusRange
	path     path
	tests    bool // the body, not the HTTP status alone
	equals   []string
	not      []string
	contains []string // in lower case
	exists   int      // 1: must, -1: must not
	above    exchange.Money
	hasAbove bool
	nonzero  bool
	and      []rule
	reason   exchange.Reason
	text     string // what it is, for people
}

// holds tells whether the rule decides an answer. body is nil for a bid in a list.
func (r *rule) holds(status int, values []found, body string) bool {
	if len(r.http) > 0 && !slices.ContainsFunc(r.http, func(s statusRange) bool { return s.from <= status && status <= s.to }) {
		return false
	}
	if r.tests && !r.tested(values, body) {
		return false
	}
	for i := range r.and {
		if !r.and[i].holds(status, values, body) {
			return false
		}
	}
	return true
}

// tested tells whether any of the path's alternatives passes the test: a word
// of refusal counts wherever it stands. Absence must be that of all.
func (r *rule) tested(values []found, body string) bool {
	if r.path.body {
		return r.test(&found{text: body, kind: isText})
	}
	for _, at := range r.path.leaves {
		if values[at].there() && r.exists < 0 {
			return false
		}
		if r.exists >= 0 && r.test(&values[at]) {
			return true
		}
	}
	return r.exists < 0
}

func (r *rule) test(v *found) bool {
	switch {
	case r.exists > 0 && !v.there():
		return false
	case len(r.equals) > 0 && (v.kind <= isNull || !containsFold(r.equals, v.text)):
		return false
	case len(r.not) > 0 && (v.kind <= isNull || containsFold(r.not, v.text)):
		return false
	case len(r.contains) > 0 && !slices.ContainsFunc(r.contains, func(w string) bool { return indexFold(v.text, w) >= 0 }):
		return false
	case r.hasAbove || r.nonzero:
		m, ok := readMoney(v.text)
		return ok && (!r.hasAbove || m > r.above) && (!r.nonzero || m != 0)
	}
	return true
}

func containsFold(words []string, s string) bool {
	for _, w := range words {
		if foldEqual(w, s) {
			return true
		}
	}
	return false
}

// indexFold finds a word that is in lower case.
func indexFold(s, lower string) int {
	for i := 0; i+len(lower) <= len(s); i++ {
		if foldEqual(lower, s[i:i+len(lower)]) {
			return i
		}
	}
	return -1
}

// pathSet gathers the paths that one phase wants and gives each a place.
type pathSet struct {
	c      *compiler
	root   *node
	count  int
	max    int
	places map[string]int
	kind   replyKind
}

// add compiles a path. strict ones may be given once only in an answer.
func (s *pathSet) add(p Path, strict bool) path {
	out := path{named: p.Text != ""}
	if p.Text == "" {
		return out
	}
	if p.Text == "$" {
		out.body = true
		return out
	}
	for alternative := range strings.SplitSeq(p.Text, "|") {
		at, ok := s.place(alternative, p.At)
		if !ok {
			return out
		}
		s.step(alternative).strict = s.step(alternative).strict || strict
		out.leaves = append(out.leaves, at)
	}
	return out
}

func (s *pathSet) place(text string, at At) (int, bool) {
	key := strings.ToLower(text)
	if place, ok := s.places[key]; ok {
		return place, true
	}
	if text == "" || len(text) > 200 || slices.Contains(strings.Split(text, "."), "") || strings.Count(text, ".") >= depthMax {
		s.c.fault(at, "path %q: expected keys with dots between", text)
		return 0, false
	}
	switch {
	case s.kind == replyText:
		s.c.fault(at, "path %q: an answer in text has no parts; expected \"$\", its whole text", text)
		return 0, false
	case s.kind == replyCSV && !isDigits(text):
		s.c.fault(at, "path %q: expected the number of a value, from 0", text)
		return 0, false
	case s.count == s.max:
		s.c.fault(at, "expected at most %d paths in one answer", s.max)
		return 0, false
	}
	place := s.count
	s.count++
	s.places[key] = place
	s.step(text).leaf = place + 1
	return place, true
}

// step returns the node of a path, made at first asking.
func (s *pathSet) step(text string) *node {
	n := s.root
	keys := []string{strings.ToLower(text)}
	if s.kind != replyForm && s.kind != replyCSV {
		keys = strings.Split(keys[0], ".")
	}
	for _, key := range keys {
		next := n.find(key)
		if next == nil {
			at := -1
			if isDigits(key) {
				at, _ = strconv.Atoi(key) // too large a number finds nothing
			}
			next = &node{}
			n.children = append(n.children, child{name: key, at: at, node: next})
		}
		n = next
	}
	return n
}

// compileRules compiles rules in turn and finds those that can never decide,
// for one before them decides whenever they would.
func (c *compiler) compileRules(set *pathSet, rules []Rule, before []rule, reasons []exchange.Reason) []rule {
	if len(rules) > RulesMax {
		c.fault(rules[RulesMax].At, "expected at most %d rules", RulesMax)
		return nil
	}
	out := make([]rule, 0, len(rules))
	for i := range rules {
		r := c.compileRule(set, &rules[i], reasons)
		for _, earlier := range [][]rule{before, out} {
			for j := range earlier {
				if earlier[j].covers(&r) {
					c.fault(rules[i].At, "this rule can never decide: %q decides first whenever it would", earlier[j].text)
				}
			}
		}
		out = append(out, r)
	}
	return out
}

func (c *compiler) compileRule(set *pathSet, from *Rule, reasons []exchange.Reason) rule {
	r := rule{path: set.add(from.Path, true), equals: lowered(from.Equals), not: lowered(from.Not), contains: lowered(from.Contains), nonzero: from.Nonzero}
	r.tests = len(r.equals)+len(r.not)+len(r.contains) > 0 || from.Exists != "" || from.Above != "" || from.Nonzero
	if !r.path.named {
		r.path.body = true
	}
	switch {
	case r.tests:
	case r.path.named:
		c.fault(from.At, "a rule with a path needs a test: equals, not, contains, exists, above or nonzero")
	case len(from.HTTP) == 0:
		c.fault(from.At, "expected http: or a test of the body")
	}
	r.tests = r.tests || slices.ContainsFunc(from.And, func(a Rule) bool { return a.Path.Text != "" || len(a.Contains) > 0 })
	for _, word := range from.HTTP {
		s, ok := parseStatus(word)
		if !ok {
			c.fault(from.At, "http: expected a status such as 200, or 4xx")
		}
		r.http = append(r.http, s)
	}
	if from.Above != "" {
		m, err := exchange.ParseMoney(from.Above)
		if err != nil {
			c.fault(from.At, "above: %s", err)
		}
		r.above, r.hasAbove = m, true
	}
	switch from.Exists {
	case "true":
		r.exists = 1
	case "false":
		r.exists = -1
	}
	for _, w := range r.equals {
		if slices.Contains(r.not, w) {
			c.fault(from.At, "this rule can never hold: %q is in equals and in not", w)
		}
	}
	if r.exists < 0 && r.tests && (len(r.equals)+len(r.not)+len(r.contains) > 0 || r.hasAbove || r.nonzero) {
		c.fault(from.At, "this rule can never hold: what is not there has no value to test")
	}
	r.reason = c.reasonWord(from.At, from.Reason, reasons)
	for i := range from.And {
		r.and = append(r.and, c.compileRule(set, &from.And[i], nil))
	}
	r.text = from.describe()
	return r
}

func lowered(words []string) []string {
	out := make([]string, len(words))
	for i, w := range words {
		out[i] = strings.ToLower(w)
	}
	return out
}

func parseStatus(word string) (statusRange, bool) {
	if len(word) == 3 && strings.HasSuffix(strings.ToLower(word), "xx") && word[0] >= '2' && word[0] <= '5' {
		from := int(word[0]-'0') * 100
		return statusRange{from, from + 99}, true
	}
	n, err := strconv.Atoi(word)
	return statusRange{n, n}, err == nil && n >= 200 && n <= 599
}

// reasonWord returns the reason that a word names.
func (c *compiler) reasonWord(at At, word string, reasons []exchange.Reason) exchange.Reason {
	if word == "" {
		return exchange.ReasonNone
	}
	valid := make([]string, len(reasons))
	for i, r := range reasons {
		if r.String() == word {
			return r
		}
		valid[i] = r.String()
	}
	c.unknown(at, word, valid, "unknown reason %q for a %s", word, c.phase)
	return exchange.ReasonNone
}

// describe returns the rule as people say it.
func (r *Rule) describe() string {
	var parts []string
	if len(r.HTTP) > 0 {
		parts = append(parts, "http "+strings.Join(r.HTTP, " or "))
	}
	subject := r.Path.Text
	if subject == "" || subject == "$" {
		subject = "the body"
	}
	add := func(verb string, words []string) {
		if len(words) > 0 {
			shown := make([]string, 0, 4)
			for i, w := range words {
				if i == 3 {
					w = ".."
				} else if w == "" {
					w = "empty"
				}
				if i <= 3 {
					shown = append(shown, w)
				}
			}
			parts = append(parts, subject+" "+verb+" "+strings.Join(shown, " or "))
		}
	}
	add("is", r.Equals)
	add("is not", r.Not)
	add("contains", r.Contains)
	if r.Exists != "" {
		parts = append(parts, subject+map[string]string{"true": " is there", "false": " is not there"}[r.Exists])
	}
	if r.Above != "" {
		parts = append(parts, subject+" is above "+r.Above)
	}
	if r.Nonzero {
		parts = append(parts, subject+" is not 0")
	}
	for i := range r.And {
		parts = append(parts, r.And[i].describe())
	}
	return strings.Join(parts, " and ")
}

// covers tells whether r decides whenever other would. Not every such pair is
// found, but each one found is one.
func (r *rule) covers(other *rule) bool {
	if len(r.and) > 0 {
		return false // a guess would be needed for each of its tests
	}
	if len(r.http) > 0 && !within(other.http, r.http) {
		return false
	}
	if !r.tests {
		// A status alone. Without one of its own, other stands for the statuses
		// that an answer usually has: not covered.
		return len(other.http) > 0
	}
	if len(r.http) > 0 && len(other.http) == 0 {
		return false
	}
	if r.path.body != other.path.body || !slices.Equal(r.path.leaves, other.path.leaves) {
		return false
	}
	switch {
	case r.exists < 0:
		return other.exists < 0
	case r.exists > 0 && other.exists <= 0 && len(other.equals) == 0 && !other.hasAbove:
		return false
	case len(r.equals) > 0 && (len(other.equals) == 0 || !subset(other.equals, r.equals)):
		return false
	case len(r.not) > 0 && !r.coversNot(other):
		return false
	case len(r.contains) > 0 && !coversWords(r.contains, other):
		return false
	case r.hasAbove && (!other.hasAbove || other.above < r.above):
		return false
	case r.nonzero && !other.nonzero && (!other.hasAbove || other.above < 0):
		return false
	}
	return true
}

// coversNot tells whether nothing that other takes is a word that r leaves out.
func (r *rule) coversNot(other *rule) bool {
	if len(other.equals) > 0 {
		return !slices.ContainsFunc(other.equals, func(w string) bool { return slices.Contains(r.not, w) })
	}
	return len(other.not) > 0 && subset(r.not, other.not)
}

// coversWords tells whether whatever other takes has one of the words in it.
func coversWords(words []string, other *rule) bool {
	taken := other.equals
	if len(taken) == 0 {
		taken = other.contains
	}
	return len(taken) > 0 && !slices.ContainsFunc(taken, func(text string) bool {
		return !slices.ContainsFunc(words, func(w string) bool { return strings.Contains(text, w) })
	})
}

func subset(small, large []string) bool {
	return !slices.ContainsFunc(small, func(w string) bool { return !slices.Contains(large, w) })
}

// within tells whether each range of small lies in one of large.
func within(small, large []statusRange) bool {
	return len(small) > 0 && !slices.ContainsFunc(small, func(s statusRange) bool {
		return !slices.ContainsFunc(large, func(l statusRange) bool { return l.from <= s.from && s.to <= l.to })
	})
}

// pattern is a buyer's word: the whole text, or with a * at an end a part of it.
type pattern struct {
	text        string // in lower case
	open        [2]bool
	reason      exchange.Reason
	description string
}

func (p *pattern) matches(s string) bool {
	switch {
	case p.open[0] && p.open[1]:
		return indexFold(s, p.text) >= 0
	case p.open[0]:
		return len(s) >= len(p.text) && foldEqual(p.text, s[len(s)-len(p.text):])
	case p.open[1]:
		return len(s) >= len(p.text) && foldEqual(p.text, s[:len(p.text)])
	default:
		return foldEqual(p.text, s)
	}
}

func (c *compiler) patterns(words []ReasonWord, reasons []exchange.Reason) (out []pattern) {
	for i, w := range words {
		if i == wordsMax {
			c.fault(w.At, "expected at most %d words", wordsMax)
			return out
		}
		p := pattern{reason: c.reasonWord(w.At, w.Reason, reasons), description: fmt.Sprintf("the reason is like %q", w.Word)}
		text, begins := strings.CutPrefix(strings.ToLower(w.Word), "*")
		text, ends := strings.CutSuffix(text, "*")
		p.text, p.open = text, [2]bool{begins, ends}
		if text == "" {
			c.fault(w.At, "expected a word of the buyer's, with a * at either end for anything")
		}
		for j := range out {
			if out[j].matches(p.text) && out[j].open[0] && out[j].open[1] {
				c.fault(w.At, "this word can never be met: %q is met first", words[j].Word)
			}
		}
		out = append(out, p)
	}
	return out
}
