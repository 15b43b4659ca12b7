package dialect

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"vendue/bidder/adapters"
	"vendue/exchange"
)

// compiler turns one Spec into a Format and gathers what is wrong on the way.
type compiler struct {
	spec     *Spec
	vertical *exchange.Vertical
	tokens   []string // that the ping captures
	phase    PhaseID
	entries  []compiledEntry
	faults   []Fault
}

// compiledEntry is one entry of the map and the phases it is sent in.
type compiledEntry struct {
	from  *Entry
	value value
	kind  exchange.FieldKind // of its value, for JSON
	slots []int              // of the fields it is made of
	on    [PhaseCount]bool
	all   bool // its words name every value that it may have
}

// Compile checks a description for a vertical and makes it ready. With any fault there is no format.
func Compile(spec *Spec, vertical *exchange.Vertical) (*Format, []Fault) {
	c := &compiler{spec: spec, vertical: vertical}
	f := &Format{vertical: vertical}
	c.captured()
	if len(spec.Map) > EntriesMax {
		c.fault(spec.At, "expected at most %d entries in map", EntriesMax)
		return nil, c.faults
	}
	for i := range spec.Map {
		c.entry(&spec.Map[i])
	}
	c.rest()
	for id := range PhaseCount {
		c.phase = id
		if p := spec.Phases[id]; p != nil {
			f.phases[id] = c.compilePhase(p)
		}
	}
	if len(c.faults) > 0 {
		return nil, c.faults
	}
	return f, nil
}

func (c *compiler) fault(at At, format string, args ...any) {
	c.faults = append(c.faults, Fault{At: at, Text: fmt.Sprintf(format, args...)})
}

// unknown is the fault of a word that is none of the valid ones.
func (c *compiler) unknown(at At, word string, valid []string, format string, args ...any) {
	c.faults = append(c.faults, Fault{At: at, Text: fmt.Sprintf(format, args...), Word: word, Valid: valid})
}

func sortedKeys[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }

// captured notes which tokens the ping's answer gives.
func (c *compiler) captured() {
	ping := c.spec.Phases[Ping]
	if ping == nil {
		return
	}
	note := func(tokens []Token) {
		for i := range tokens {
			t := &tokens[i]
			if slices.Contains(c.tokens, t.Name) {
				c.fault(t.At, "token %q stands twice", t.Name)
				continue
			}
			c.tokens = append(c.tokens, t.Name)
			if len(c.tokens) == TokensMax+1 {
				c.fault(t.At, "expected at most %d tokens", TokensMax)
			}
		}
	}
	note(ping.Reply.Tokens)
	if ping.Reply.Bids != nil {
		note(ping.Reply.Bids.Tokens)
	}
}

// known is where a template's places are known, and what they are.
type known struct {
	places []place
	on     [PhaseCount]bool
	why    [PhaseCount]string // what keeps it out of a phase
	kind   exchange.FieldKind
	slots  []int
	absent bool // a place for a field that the vertical lacks
}

// template resolves a text's places. lenient ones of fields that the vertical lacks are no fault.
func (c *compiler) template(t Text, lenient bool) known {
	k := known{on: [PhaseCount]bool{true, true, true}, kind: exchange.FieldText}
	parts, err := cutPlaces(t.Text)
	if err != nil {
		c.fault(t.At, "%s", err)
		return k
	}
	for i, part := range parts {
		if i%2 == 0 {
			k.addText(part)
			continue
		}
		c.resolve(&k, t.At, part, lenient)
	}
	if len(k.places) != 1 {
		k.kind = exchange.FieldText
	}
	return k
}

// addText adds text to the last place if that is text too.
func (k *known) addText(text string) {
	if text == "" {
		return
	}
	if n := len(k.places); n > 0 && k.places[n-1].kind == placeText {
		k.places[n-1].text += text
		return
	}
	k.places = append(k.places, place{kind: placeText, text: text})
}

// bar keeps a template out of a phase.
func (k *known) bar(phase PhaseID, why string) {
	if k.on[phase] {
		k.on[phase], k.why[phase] = false, why
	}
}

// resolve adds a place. One with alternatives of several kinds is the first of them that is not empty.
func (c *compiler) resolve(k *known, at At, name string, lenient bool) {
	if !strings.Contains(name, "|") || !strings.Contains(name, ".") {
		c.resolveOne(k, at, name, lenient)
		return
	}
	first := place{kind: placeFirst}
	for one := range strings.SplitSeq(name, "|") {
		alt := known{on: [PhaseCount]bool{true, true, true}}
		c.resolveOne(&alt, at, one, lenient)
		first.any = append(first.any, alt.places...)
		k.slots = append(k.slots, alt.slots...)
		for id := range PhaseCount {
			if !alt.on[id] {
				k.bar(id, alt.why[id])
			}
		}
		if len(alt.places) > 0 {
			k.kind = alt.kind
		}
	}
	switch len(first.any) {
	case 0:
		k.absent = true
	case 1:
		k.places = append(k.places, first.any[0])
	default:
		k.kind = exchange.FieldText
		k.places = append(k.places, first)
	}
}

func (c *compiler) resolveOne(k *known, at At, name string, lenient bool) {
	space, rest, dotted := strings.Cut(name, ".")
	switch {
	case dotted && space == "var":
		value, ok := c.spec.Vars[rest]
		if !ok {
			c.unknown(at, rest, sortedKeys(c.spec.Vars), "no var %q", rest)
		}
		k.addText(value)
	case dotted && space == "token":
		if !slices.Contains(c.tokens, rest) {
			if lenient && c.spec.Phases[Ping] == nil {
				k.absent = true // a whole lead at once has no ping to refer to
				return
			}
			c.unknown(at, rest, c.tokens, "token %q is never captured from a ping's answer", rest)
		}
		k.places = append(k.places, place{kind: placeToken, text: rest})
		k.bar(Ping, "a token is captured from the ping's answer, so the ping cannot hold it")
	case dotted && space == "consent":
		k.places = append(k.places, place{kind: placeConsent, text: rest})
		k.bar(Ping, "a ping carries no consent")
		k.bar(Status, "a question for the outcome carries no consent")
	case dotted && space == "lead":
		c.resolveField(k, at, rest, lenient)
	case dotted:
		c.fault(at, "unknown place {%s}; expected {FIELD}, {lead.FIELD}, {var.NAME}, {token.NAME} or {consent.NAME}", name)
	default:
		if !c.resolveHouse(k, name) {
			c.resolveField(k, at, name, lenient)
		}
	}
}

func (c *compiler) resolveHouse(k *known, name string) bool {
	for _, w := range houseWords {
		if w.word != name {
			continue
		}
		k.places = append(k.places, place{kind: w.kind})
		for id := range PhaseCount {
			if !w.phases[id] {
				k.bar(id, fmt.Sprintf("{%s} is not known in a %s", name, id))
			}
		}
		switch w.kind {
		case placeTest:
			k.kind = exchange.FieldBool
		case placePrice:
			k.kind = exchange.FieldDecimal
		case placePriceCents, placeTmax, placeTime:
			k.kind = exchange.FieldInt
		}
		return true
	}
	return false
}

// resolveField adds the first of the named fields that the vertical has.
func (c *compiler) resolveField(k *known, at At, names string, lenient bool) {
	slot := -1
	for name := range strings.SplitSeq(names, "|") {
		if slot = c.findField(name, lenient); slot >= 0 {
			break
		}
	}
	if slot < 0 {
		k.absent = true
		if !lenient {
			first, _, _ := strings.Cut(names, "|")
			c.unknown(at, first, c.placeWords(), "vertical %q has no field %q", c.vertical.ID, first)
		}
		return
	}
	f := &c.vertical.Fields[slot]
	k.places = append(k.places, place{kind: placeField, slot: slot})
	k.kind, k.slots = f.Kind, append(k.slots, slot)
	switch {
	case f.Personal:
		k.bar(Ping, fmt.Sprintf("field %q is personal and no part of a ping", f.Name))
	case f.Ping == exchange.NeedNot:
		k.bar(Ping, fmt.Sprintf("field %q is no part of a ping", f.Name))
	}
	k.bar(Status, "a question for the outcome carries nothing of the lead")
}

// findField returns a field's slot, -1 if there is none. A preset's own names
// are compared without case and punctuation: it cannot know the vertical's.
func (c *compiler) findField(name string, lenient bool) int {
	for slot := range c.vertical.Fields {
		have := c.vertical.Fields[slot].Name
		if have == name || (lenient && bareName(have) == bareName(name)) {
			return slot
		}
	}
	return -1
}

func bareName(s string) string {
	return strings.ToLower(strings.NewReplacer("_", "", "-", "", ".", "").Replace(s))
}

func (c *compiler) placeWords() (words []string) {
	for i := range c.vertical.Fields {
		words = append(words, c.vertical.Fields[i].Name)
	}
	return append(words, PlaceWords()...)
}

// entry compiles one entry of the map.
func (c *compiler) entry(from *Entry) {
	k := c.template(from.Value, from.Lenient)
	if k.absent && from.Lenient && from.Default == "" {
		return
	}
	e := compiledEntry{from: from, slots: k.slots, kind: k.kind, on: k.on}
	e.value = value{places: k.places, fallback: from.Default}
	c.reword(&e)
	c.transforms(&e, from.As)
	c.restrict(&e, &k)
	c.jsonType(&e)
	if e.value.constant() {
		e.value = value{places: []place{{kind: placeText, text: string(e.value.append(nil, nil, escapeNone))}}}
	}
	c.entries = append(c.entries, e)
}

// reword reads an entry's other words.
func (c *compiler) reword(e *compiledEntry) {
	if len(e.from.Values) == 0 {
		return
	}
	var f *exchange.Field
	if len(e.slots) == 1 && len(e.value.places) == 1 {
		f = &c.vertical.Fields[e.slots[0]]
	}
	e.value.words = make(map[string]string, len(e.from.Values))
	for from, to := range e.from.Values {
		if from == "*" {
			e.value.other, e.value.hasOther = to, true
			continue
		}
		if f != nil && !e.from.Lenient && f.Kind == exchange.FieldEnum && !slices.Contains(f.Values, from) {
			c.unknown(e.from.At, from, f.Values, "values: field %q is never %q", f.Name, from)
		}
		if e.kind == exchange.FieldBool && from != "true" && from != "false" {
			c.fault(e.from.At, "values: a yes or no is \"true\" or \"false\", never %q", from)
		}
		e.value.words[from] = to
	}
	_, yes := e.value.words["true"]
	_, no := e.value.words["false"]
	e.all = e.value.hasOther || e.kind == exchange.FieldBool && yes && no || f != nil && f.Kind == exchange.FieldEnum && len(e.value.words) == len(f.Values)
	e.kind = exchange.FieldText
}

// transforms reads an entry's chain and checks each step's type.
func (c *compiler) transforms(e *compiledEntry, words []string) {
	for _, word := range words {
		t, w, err := parseTransform(word)
		if err == errTransform { //nolint:errorlint // our own value, never wrapped
			c.unknown(e.from.At, word, TransformWords(), "unknown transform %q", word)
			continue
		}
		if err != nil {
			c.fault(e.from.At, "as: %s", err)
			continue
		}
		if text, ok := w.fits(e.kind); !ok {
			if !e.from.Lenient {
				c.fault(e.from.At, "transform %s", text)
			}
			continue
		}
		e.value.as = append(e.value.as, t)
		e.kind = w.makes
	}
}

// restrict settles in which phases an entry is sent.
func (c *compiler) restrict(e *compiledEntry, k *known) {
	switch e.from.On {
	case "":
		if e.value.constant() {
			e.on[Status] = false
		}
		return
	case "both":
		e.on[Status] = false
		c.barred(e, k, Ping)
		c.barred(e, k, Post)
		return
	}
	for id := range PhaseCount {
		if phaseWords[id] != e.from.On {
			e.on[id] = false
			continue
		}
		c.barred(e, k, id)
	}
}

func (c *compiler) barred(e *compiledEntry, k *known, id PhaseID) {
	if !k.on[id] && !e.from.Lenient {
		c.fault(e.from.At, "on: %s does not fit: %s", id, k.why[id])
	}
}

// jsonType checks that what is to be a bare number or truth value can only be one.
func (c *compiler) jsonType(e *compiledEntry) {
	switch e.from.Type {
	case "":
		if e.value.constant() {
			e.kind = exchange.FieldText
		}
		return
	case "string":
		e.kind = exchange.FieldText
		return
	}
	want := e.from.Type
	if want == "bool" && e.kind == exchange.FieldBool || want == "number" && (e.kind == exchange.FieldInt || e.kind == exchange.FieldDecimal) {
		return
	}
	ok := e.value.constant() || (e.all && len(e.value.as) == 0)
	texts := []string{e.value.fallback, e.value.other}
	for _, w := range e.value.words {
		texts = append(texts, w)
	}
	if e.value.constant() {
		texts = []string{string(e.value.append(nil, nil, escapeNone))}
	}
	for _, t := range texts {
		if t != "" && (want == "bool" && t != "true" && t != "false" || want == "number" && !isNumber(t)) {
			ok = false
		}
	}
	if !ok {
		c.fault(e.from.At, "type: a %s cannot be made of every value that this may have; expected a field of such a type, or values: with words for all (\"*\" is any other)", want)
	}
	e.kind = exchange.FieldInt
	if want == "bool" {
		e.kind = exchange.FieldBool
	}
}

// rest adds an entry for each field that no other entry names.
func (c *compiler) rest() {
	r := &c.spec.Rest
	if r.Names == "" || r.Names == "drop" {
		return
	}
	named := map[int]bool{}
	for i := range c.entries {
		for _, slot := range c.entries[i].slots {
			named[slot] = true
		}
	}
	for slot := range c.vertical.Fields {
		f := &c.vertical.Fields[slot]
		if named[slot] {
			continue
		}
		target := escapeTarget(restName(f.Name, r.Names))
		if r.Under != "" {
			target = r.Under + "." + target
		}
		c.entry(&Entry{At: r.At, Target: target, Value: Text{At: r.At, Text: "{lead." + f.Name + "}"}, As: r.As, Lenient: true})
	}
}

// escapeTarget keeps a field's own dots from nesting.
func escapeTarget(s string) string { return strings.ReplaceAll(s, ".", `\.`) }

// restName writes a field's name in a buyer's manner.
func restName(name, manner string) string {
	if manner == "as_is" {
		return name
	}
	words := strings.FieldsFunc(name, func(r rune) bool { return r == '_' || r == '-' || r == '.' })
	for i, w := range words {
		if manner == "camelCase" && i == 0 {
			words[i] = strings.ToLower(w[:1]) + w[1:]
			continue
		}
		words[i] = strings.ToUpper(w[:1]) + w[1:]
	}
	if manner == "Title_Case" {
		return strings.Join(words, "_")
	}
	return strings.Join(words, "")
}

// Format is a compiled description: one wire format for one contract. It is
// immutable and safe for concurrent use.
type Format struct {
	vertical *exchange.Vertical
	phases   [PhaseCount]*phase
}

var _ adapters.Adapter = (*Format)(nil)
