package dialect

import (
	"encoding/json"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"vendue/exchange"
)

// encoding is how a body is written.
type encoding uint8

const (
	encodeNone encoding = iota
	encodeJSON
	encodeForm
	encodeXML
	encodeText
)

// opKind is what one step of writing a body does.
type opKind uint8

const (
	opText   opKind = iota // text as it stands
	opMember               // a member of an object, list or form: a separator first, if one is due
	opValue                // a member with a value; left out if the value is empty
)

// op is one step of writing a body. Runs of constant members are one op.
//
// Whether a comma is due is seen from the last byte written: after a bracket
// that opens there is none. So members that are left out cost nothing and no
// state is kept.
type op struct {
	kind opKind
	text []byte // for a value: what stands before it
	tail string // and behind it
	val  *value
	keep bool // an empty value is written too
	slot int  // of a value that is one field as it stands, else -1
	bare bool // what stands for an empty value that is kept is null, not ""
}

// body is a compiled body.
type body struct {
	encoding encoding
	escape   escape
	ops      []op
}

// append appends the body.
func (b *body) append(dst []byte, s *Scene) []byte {
	start := len(dst)
	for i := range b.ops {
		o := &b.ops[i]
		if o.kind == opText {
			dst = append(dst, o.text...)
			continue
		}
		mark := len(dst)
		dst = b.separate(dst, start)
		dst = append(dst, o.text...)
		if o.kind == opMember {
			continue
		}
		from := len(dst)
		if o.slot >= 0 {
			dst = appendText(dst, s.Lead.Values[o.slot].Text, b.escape)
		} else {
			dst = o.val.append(dst, s, b.escape)
		}
		if len(dst) == from && !o.keep {
			dst = dst[:mark]
			continue
		}
		if len(dst) == from && o.bare {
			dst = append(dst, "null"...)
		}
		dst = append(dst, o.tail...)
	}
	return dst
}

// appendText is appendEscaped for values that mostly need none.
func appendText(dst []byte, text string, esc escape) []byte {
	if esc == escapeNone || !mustEscape(text, esc) {
		return append(dst, text...)
	}
	return appendEscaped(dst, text, esc)
}

// separate appends what must stand between two members.
func (b *body) separate(dst []byte, start int) []byte {
	switch b.encoding {
	case encodeForm:
		if len(dst) > start {
			return append(dst, '&')
		}
	case encodeJSON:
		if c := dst[len(dst)-1]; c != '{' && c != '[' {
			return append(dst, ',')
		}
	}
	return dst
}

// tree is a body's shape while it is put together.
type tree struct {
	at       At
	name     string
	entry    *compiledEntry // of a leaf
	children []*tree
	list     bool
}

// add puts an entry into the tree; text says why it cannot be.
func (t *tree) add(path []string, e *compiledEntry) (text string) {
	if t.entry != nil {
		return "lies within a field that has a value of its own"
	}
	name := path[0]
	isIndex := isDigits(name)
	if len(t.children) > 0 && t.list != isIndex {
		return "is a list at one entry and a table at another"
	}
	t.list = isIndex
	at := slices.IndexFunc(t.children, func(c *tree) bool { return c.name == name })
	if at < 0 {
		if isIndex && name != strconv.Itoa(len(t.children)) {
			return "leaves out an item of a list; expected the items in order from 0"
		}
		at = len(t.children)
		t.children = append(t.children, &tree{at: e.from.At, name: name})
	}
	child := t.children[at]
	if len(path) > 1 {
		return child.add(path[1:], e)
	}
	if child.entry != nil || len(child.children) > 0 {
		return "stands twice"
	}
	child.entry = e
	return ""
}

func isDigits(s string) bool { return s != "" && strings.Trim(s, "0123456789") == "" }

// cutTarget splits a target at its dots; \. is a dot of the name.
func cutTarget(s string) []string {
	parts := strings.Split(strings.ReplaceAll(s, `\.`, "\x00"), ".")
	for i := range parts {
		parts[i] = strings.ReplaceAll(parts[i], "\x00", ".")
	}
	return parts
}

// compileBody makes the body of a phase out of the map's entries.
func (c *compiler) compileBody(p *Phase, enc encoding) body {
	b := body{encoding: enc}
	root := &tree{}
	for i := range c.entries {
		e := &c.entries[i]
		if !e.on[c.phase] {
			continue
		}
		path := []string{strings.ReplaceAll(e.from.Target, `\.`, ".")}
		if enc != encodeForm {
			path = cutTarget(e.from.Target)
		}
		if slices.Contains(path, "") || !utf8.ValidString(e.from.Target) || len(path) > 8 {
			c.fault(e.from.At, "target %q: expected names with dots between, at most 8", e.from.Target)
			continue
		}
		if text := root.add(path, e); text != "" {
			c.fault(e.from.At, "target %q %s", e.from.Target, text)
		}
	}
	switch enc {
	case encodeJSON:
		b.escape = escapeJSON
		c.wrapJSON(&b, p, root)
	case encodeForm:
		b.escape = escapeForm
		if p.Wrap != "" {
			c.fault(p.WrapAt, "wrap does not fit a form; expected it with json or xml")
		}
		for _, t := range root.children {
			b.add(t.entry, appendEscaped(nil, t.name, escapeForm), "=", "")
		}
	case encodeXML:
		b.escape = escapeXML
		c.wrapXML(&b, p, root)
	}
	return b
}

func (c *compiler) wrapJSON(b *body, p *Phase, root *tree) {
	if root.list {
		c.fault(p.At, "map: a body that is a list must be wrapped in a key; expected wrap:")
	}
	ends := "}"
	b.text("{")
	if p.Wrap != "" {
		for _, key := range strings.Split(p.Wrap, ".") {
			b.text(quote(key) + ":{")
			ends += "}"
		}
	}
	b.json(root)
	b.text(ends)
}

// json writes what lies within one pair of brackets.
func (b *body) json(t *tree) {
	for _, child := range t.children {
		key := quote(child.name) + ":"
		if t.list {
			key = ""
		}
		switch {
		case child.entry == nil && child.list:
			b.member(key + "[")
			b.json(child)
			b.text("]")
		case child.entry == nil:
			b.member(key + "{")
			b.json(child)
			b.text("}")
		case child.entry.kind.Bare():
			b.addValue(child.entry, key, "", true)
		default:
			b.addValue(child.entry, key+`"`, `"`, false)
		}
	}
}

func quote(s string) string { return `"` + string(appendEscaped(nil, s, escapeJSON)) + `"` }

func (c *compiler) wrapXML(b *body, p *Phase, root *tree) {
	wrap := p.Wrap
	if wrap == "" {
		wrap = "request"
	}
	if !xmlName(wrap) {
		c.fault(p.WrapAt, "wrap: expected the name of an XML element")
	}
	b.text(`<?xml version="1.0" encoding="UTF-8"?><` + wrap + ">")
	c.xml(b, root)
	b.text("</" + wrap + ">")
}

func (c *compiler) xml(b *body, t *tree) {
	for _, child := range t.children {
		name := child.name
		if t.list {
			name = "item"
		}
		if !xmlName(name) {
			c.fault(child.at, "target %q: expected the name of an XML element", name)
			continue
		}
		if child.entry != nil {
			b.addValue(child.entry, "<"+name+">", "</"+name+">", false)
			continue
		}
		b.text("<" + name + ">")
		c.xml(b, child)
		b.text("</" + name + ">")
	}
}

func xmlName(s string) bool {
	for i, r := range s {
		letter := r == '_' || r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= 0x80
		if !letter && (i == 0 || r != '-' && r != '.' && r != ':' && (r < '0' || r > '9')) {
			return false
		}
	}
	return s != ""
}

// add adds a form's field.
func (b *body) add(e *compiledEntry, name []byte, before, behind string) {
	b.addValue(e, string(name)+before, behind, false)
}

// addValue adds a member; a constant one joins those before it.
func (b *body) addValue(e *compiledEntry, before, behind string, bare bool) {
	v := &e.value
	if v.constant() {
		text := v.append(nil, nil, escapeNone)
		if len(text) == 0 && !e.from.Keep {
			return
		}
		b.member(before + string(appendEscaped(nil, text, b.escape)) + behind)
		return
	}
	slot, plain := v.plainField()
	if !plain {
		slot = -1
	}
	b.ops = append(b.ops, op{kind: opValue, text: []byte(before), tail: behind, val: v, keep: e.from.Keep, slot: slot, bare: bare})
}

// last returns the last op if more constant text may join it.
func (b *body) last() *op {
	if n := len(b.ops); n > 0 && b.ops[n-1].kind != opValue {
		return &b.ops[n-1]
	}
	return nil
}

func (b *body) text(s string) {
	if o := b.last(); o != nil {
		o.text = append(o.text, s...)
		return
	}
	b.ops = append(b.ops, op{kind: opText, text: []byte(s)})
}

func (b *body) member(s string) {
	o := b.last()
	if o == nil || b.encoding == encodeForm && o.kind == opText {
		b.ops = append(b.ops, op{kind: opMember, text: []byte(s)})
		return
	}
	switch c := o.text[len(o.text)-1]; {
	case b.encoding == encodeForm:
		o.text = append(o.text, '&')
	case b.encoding == encodeJSON && c != '{' && c != '[':
		o.text = append(o.text, ',')
	}
	o.text = append(o.text, s...)
}

// compileTemplate makes a body out of a template, with {map.NAME} for an entry's value.
func (c *compiler) compileTemplate(p *Phase, enc encoding) body {
	b := body{encoding: enc}
	switch enc {
	case encodeJSON:
		b.escape = escapeJSON
	case encodeXML:
		b.escape = escapeXML
		if strings.Contains(p.Template.Text, "<!DOCTYPE") || strings.Contains(p.Template.Text, "<!ENTITY") {
			c.fault(p.Template.At, "expected XML without a document type")
		}
	}
	parts, err := cutPlaces(p.Template.Text)
	if err != nil {
		c.fault(p.Template.At, "%s", err)
		return b
	}
	var samples [2]string
	quotes := 0
	for i, part := range parts {
		if i%2 == 0 {
			if part != "" {
				b.text(part)
			}
			samples = [2]string{samples[0] + part, samples[1] + part}
			quotes += strings.Count(strings.NewReplacer(`\\`, "", `\"`, "").Replace(part), `"`)
			continue
		}
		val, kind := c.templateValue(p, part)
		b.ops = append(b.ops, op{kind: opValue, keep: true, slot: -1, val: val, bare: enc == encodeJSON && quotes%2 == 0})
		if kind.Bare() && quotes%2 == 0 {
			samples = [2]string{samples[0] + "1", samples[1] + "null"}
		} else {
			samples = [2]string{samples[0] + "x", samples[1] + "x"}
		}
	}
	c.checkTemplate(p, enc, samples)
	b.encoding = encodeText // no separators
	return b
}

// checkTemplate tells of a template that is not of its format with some lead:
// samples are it with values and, where a number stands without quotes, without.
func (c *compiler) checkTemplate(p *Phase, enc encoding, samples [2]string) {
	var doc document
	switch k := (sink{doc: &doc}); {
	case enc == encodeJSON && (!json.Valid([]byte(samples[0])) || !json.Valid([]byte(samples[1]))):
		c.fault(p.Template.At, "template: expected JSON, with quotes around the place of a text")
	case enc == encodeXML && readXML(strings.TrimSpace(samples[0]), &node{}, &k) != "":
		c.fault(p.Template.At, "template: expected XML")
	}
}

// templateValue returns what a place of a template stands for.
func (c *compiler) templateValue(p *Phase, name string) (*value, exchange.FieldKind) {
	if target, ok := strings.CutPrefix(name, "map."); ok {
		var targets []string
		for i := range c.entries {
			e := &c.entries[i]
			if e.from.Target == target && e.on[c.phase] {
				return &e.value, e.kind
			}
			targets = append(targets, e.from.Target)
		}
		c.unknown(p.Template.At, target, targets, "template: the map has no entry %q for a %s", target, c.phase)
		return &value{}, exchange.FieldText
	}
	k := c.inPhase(Text{At: p.Template.At, Text: "{" + name + "}"}, "template")
	return &value{places: k.places}, k.kind
}

// inPhase resolves a text that is part of the phase being compiled.
func (c *compiler) inPhase(t Text, what string) known {
	k := c.template(t, false)
	if !k.on[c.phase] {
		c.fault(t.At, "%s: %s", what, k.why[c.phase])
	}
	return k
}

// isNumber tells whether s may stand in JSON as a number.
func isNumber(s string) bool {
	_, err := exchange.ParseMoney(s)
	return err == nil && json.Valid([]byte(s))
}
