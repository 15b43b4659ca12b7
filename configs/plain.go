package configs

import (
	"strings"
	"unicode/utf8"
)

// plain reads the plain part of YAML, which is what nearly all configs are
// written in: tables and lists by indentation, {..} and [..], and values that
// are quoted or not, on one line. It makes the tree that parseYAML and convert
// make, with a twentieth of the garbage: ten thousand contracts must be read
// beside pings that shall not notice.
//
// It tells no faults and guesses nothing. At anything else, from a | block to
// a wrong indent, it declines, and the library reads the whole text instead. A
// test holds every text it takes against the library's tree.
type plain struct {
	l     *loader
	text  string
	at    int  // the next byte
	begin int  // of its line
	line  int  // from 1
	wide  bool // the text has characters of more than one byte

	// indent is that of the line at hand, -1 behind the last one. It holds when at stands at the line's first word.
	indent int
	spare  []node
}

// readPlain returns the tree of a text, false if the text is not plain enough.
func (l *loader) readPlain(text []byte) (root *node, ok bool) {
	p := plain{l: l, text: string(text), line: 1}
	for i := range len(p.text) {
		switch c := p.text[i]; {
		case c >= utf8.RuneSelf:
			p.wide = true
		case (c < ' ' && c != '\n') || c == 0x7f:
			return nil, false
		}
	}
	if p.wide && (!utf8.ValidString(p.text) || strings.ContainsAny(p.text, "\u0085\u00a0\u2028\u2029\ufeff")) {
		return nil, false
	}
	faults := len(l.faults)
	p.nextWord()
	if p.indent != 0 {
		return nil, false
	}
	root, ok = p.table(0, 0)
	if !ok || p.indent >= 0 {
		l.faults = l.faults[:faults]
		return nil, false
	}
	return root, true
}

func (p *plain) node() *node {
	const slab = 256
	if len(p.spare) == 0 {
		p.spare = make([]node, slab)
	}
	n := &p.spare[0]
	p.spare, n.pos = p.spare[1:], p.pos()
	return n
}

func (p *plain) pos() pos {
	if p.wide {
		return pos{p.line, 1 + utf8.RuneCountInString(p.text[p.begin:p.at])}
	}
	return pos{p.line, 1 + p.at - p.begin}
}

// peek returns the byte n after the next, a line's end behind the last.
func (p *plain) peek(n int) byte {
	if p.at+n < len(p.text) {
		return p.text[p.at+n]
	}
	return '\n'
}

// ends tells whether the byte n after the next ends a word.
func (p *plain) ends(n int) bool { return p.peek(n) == ' ' || p.peek(n) == '\n' }

func (p *plain) spaces() {
	for p.at < len(p.text) && p.text[p.at] == ' ' {
		p.at++
	}
}

// newline goes to the next line's begin, from a line's end.
func (p *plain) newline() {
	p.at++
	p.begin = p.at
	p.line++
}

// nextWord goes from a line's begin to the first word there or on a later one, past empty lines and comments.
func (p *plain) nextWord() {
	for p.at < len(p.text) {
		p.spaces()
		if p.peek(0) == '#' {
			p.toEnd()
		}
		if p.at < len(p.text) && p.text[p.at] != '\n' {
			p.indent = p.at - p.begin
			return
		}
		p.newline()
	}
	p.indent = -1
}

func (p *plain) toEnd() {
	if i := strings.IndexByte(p.text[p.at:], '\n'); i >= 0 {
		p.at += i
	} else {
		p.at = len(p.text)
	}
}

// endLine goes behind a value to the next line's first word, false if more stands on this line.
func (p *plain) endLine() bool {
	p.spaces()
	if p.peek(0) == '#' && p.text[p.at-1] == ' ' {
		p.toEnd()
	}
	if p.peek(0) != '\n' {
		return false
	}
	p.newline()
	p.nextWord()
	return true
}

func (p *plain) atItem() bool { return p.indent >= 0 && p.peek(0) == '-' && p.ends(1) }

// block reads a table or list that begins at the line at hand.
func (p *plain) block(depth int) (*node, bool) {
	if p.atItem() {
		return p.list(p.indent, depth)
	}
	return p.table(p.indent, depth)
}

// table reads a table whose keys stand at indent, the first of them next.
func (p *plain) table(indent, depth int) (*node, bool) {
	n := p.node()
	n.shape = shapeTable
	var seen keySet
	if depth > depthMax {
		return nil, false
	}
	for {
		p.l.breathe()
		at := p.pos()
		key, ok := p.key(false)
		if !ok {
			return nil, false
		}
		value, ok := p.valueOf(indent, depth+1)
		if !ok || seen.twice(n, key) {
			return nil, false
		}
		n.add(entry{pos: at, key: key, value: value})
		if p.indent < indent {
			return n, true
		}
		if p.indent > indent || p.atItem() {
			return nil, false
		}
	}
}

// valueOf reads what stands behind a key of a table at indent, on its line or below it.
func (p *plain) valueOf(indent, depth int) (n *node, ok bool) {
	p.spaces()
	if c := p.peek(0); c != '\n' && (c != '#' || p.text[p.at-1] != ' ') {
		if n, ok = p.inline(depth, false); !ok || !p.endLine() {
			return nil, false
		}
		return n, p.indent <= indent // deeper, the value would go on there
	}
	n = p.node() // of nothing
	if !p.endLine() {
		return nil, false
	}
	if p.indent > indent || (p.indent == indent && p.atItem()) {
		return p.block(depth)
	}
	return n, true
}

// list reads a list whose marks stand at indent, the first of them next.
func (p *plain) list(indent, depth int) (*node, bool) {
	n := p.node()
	n.shape = shapeList
	if depth > depthMax {
		return nil, false
	}
	for {
		p.at++
		p.spaces()
		if c := p.peek(0); c == '\n' || c == '#' || p.atItem() {
			return nil, false
		}
		item, ok := p.item(depth + 1)
		if !ok || p.indent > indent {
			return nil, false
		}
		n.items = append(n.items, item)
		if p.indent < indent || !p.atItem() {
			return n, true // who called sees what is at the same indent and no item
		}
	}
}

// item reads what stands behind a list's mark: a table that goes on below, or one value.
func (p *plain) item(depth int) (*node, bool) {
	start := p.at
	_, isKey := p.key(false)
	p.at = start
	if isKey {
		p.indent = p.at - p.begin
		return p.table(p.indent, depth)
	}
	n, ok := p.inline(depth, false)
	return n, ok && p.endLine()
}

// inline reads a value that begins on this line: {..}, [..], or a single one.
func (p *plain) inline(depth int, flow bool) (*node, bool) {
	if depth > depthMax {
		return nil, false
	}
	n := p.node()
	switch p.peek(0) {
	case '{':
		n.shape = shapeTable
		return n, p.flowTable(n, depth)
	case '[':
		n.shape = shapeList
		return n, p.flowList(n, depth)
	case '"', '\'':
		text, ok := p.quoted()
		if ok {
			p.l.scalar(n, text)
		}
		return n, ok
	}
	text, ok := p.word(flow)
	if ok && text != "~" && !strings.EqualFold(text, "null") {
		p.l.scalar(n, text)
	}
	return n, ok && text != "nULL"
}

// gap goes past spaces and line ends inside of {..} and [..]. What follows a
// line's end must stand deeper than the block that the brackets are in.
func (p *plain) gap() bool {
	for {
		p.spaces()
		switch {
		case p.at >= len(p.text) || p.text[p.at] == '#':
			return false
		case p.text[p.at] != '\n':
			return p.at-p.begin > max(p.indent, 0)
		}
		p.newline()
	}
}

func (p *plain) flowList(n *node, depth int) bool {
	p.at++
	if !p.gap() {
		return false
	}
	for p.peek(0) != ']' {
		p.l.breathe()
		item, ok := p.inline(depth+1, true)
		if !ok || !p.gap() {
			return false
		}
		n.items = append(n.items, item)
		if !p.comma(']') {
			return false
		}
	}
	p.at++
	return true
}

func (p *plain) flowTable(n *node, depth int) bool {
	p.at++
	if !p.gap() {
		return false
	}
	var seen keySet
	for p.peek(0) != '}' {
		at := p.pos()
		key, ok := p.key(true)
		if !ok || !p.gap() {
			return false
		}
		value, ok := p.inline(depth+1, true)
		if !ok || !p.gap() || seen.twice(n, key) {
			return false
		}
		n.add(entry{pos: at, key: key, value: value})
		if !p.comma('}') {
			return false
		}
	}
	p.at++
	return true
}

// keySet are the keys of one table, once there are more than are quickly compared.
type keySet map[string]struct{}

// twice notes the next key of n, and tells whether n has it already.
func (s *keySet) twice(n *node, key string) bool {
	const few = 8
	if len(n.entries) < few {
		return n.get(key) != nil
	}
	if *s == nil {
		*s = make(keySet, 2*few)
		for i := range n.entries {
			(*s)[n.entries[i].key] = struct{}{}
		}
	}
	_, there := (*s)[key]
	(*s)[key] = struct{}{}
	return there
}

// comma goes past the comma before the next value; end may stand there instead.
func (p *plain) comma(end byte) bool {
	if p.peek(0) == end {
		return true
	}
	if p.peek(0) != ',' {
		return false
	}
	p.at++
	return p.gap() && p.peek(0) != end
}

// key reads a key and its colon.
func (p *plain) key(flow bool) (key string, ok bool) {
	switch c := p.peek(0); {
	case c == '"' || c == '\'':
		if key, ok = p.quoted(); !ok {
			return "", false
		}
	case c == '_' || (c >= '0' && c <= '9') || (c|0x20 >= 'a' && c|0x20 <= 'z'):
		start := p.at
		for !p.ends(0) && (p.peek(0) != ':' || !p.ends(1)) {
			if strings.IndexByte(`,[]{}#&*!|><='"%@`+"`", p.peek(0)) >= 0 {
				return "", false
			}
			p.at++
		}
		if key = p.text[start:p.at]; strings.EqualFold(key, "null") {
			return "", false
		}
	default:
		return "", false
	}
	if p.peek(0) != ':' || !p.ends(1) {
		return "", false
	}
	p.at++
	return key, true
}

// word reads a value without quotes.
func (p *plain) word(flow bool) (string, bool) {
	first := p.peek(0)
	if strings.IndexByte(" \n,[]{}#&*!|>'\"%@`?:=", first) >= 0 || (first == '-' && p.ends(1)) {
		return "", false
	}
	start := p.at
	for ; p.peek(0) != '\n'; p.at++ {
		c := p.peek(0)
		if c == ':' && (p.ends(1) || (flow && strings.IndexByte(",[]{}", p.peek(1)) >= 0)) {
			return "", false
		}
		if c == '#' && p.text[p.at-1] == ' ' {
			break
		}
		if flow && (c == ',' || c == ']' || c == '}') {
			break
		}
		if flow && (c == '[' || c == '{') {
			return "", false
		}
	}
	text := strings.TrimRight(p.text[start:p.at], " ")
	p.at = start + len(text)
	return text, text != ""
}

// quoted reads a value in quotes that ends on its line. Of escapes it knows \" and \\.
func (p *plain) quoted() (string, bool) {
	quote := p.peek(0)
	start, escaped := p.at+1, false
	for p.at++; p.peek(0) != quote; p.at++ {
		switch p.peek(0) {
		case '\n':
			return "", false
		case '\\':
			if quote == '\'' {
				continue
			}
			if p.at++; p.peek(0) != '"' && p.peek(0) != '\\' {
				return "", false
			}
			escaped = true
		}
	}
	text := p.text[start:p.at]
	p.at++
	if escaped {
		text = strings.NewReplacer(`\"`, `"`, `\\`, `\`).Replace(text)
	}
	return text, p.peek(0) != quote
}
