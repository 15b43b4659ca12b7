package configs

import (
	"encoding/binary"
	"strings"
)

// pieceBytesMost is how long an entry of a table may be that is read in one piece.
// The library takes some 0.15 ms for as much, and nothing breathes meanwhile.
const pieceBytesMost = 1 << 10

// Pieces keep what the file said that was accepted last, so that the next
// reading has the library read only what changed since. The zero Pieces have
// nothing. One reading at a time may use them.
//
// A file is cut at the entries of its block tables, down to those of
// pieceBytesMost, and each is kept by its text. What it says is kept as bytes
// without a pointer, which the collector need not follow: 4 MB for ten thousand
// contracts of 1.5 MB, the text included.
type Pieces struct {
	last map[piece]string // of the file that was accepted last, and of the presets it used
	now  map[piece]string // of the reading at hand
}

// piece is a run of whole lines that holds one entry of a table.
type piece struct {
	text  string
	depth int  // of the table
	last  bool // nothing follows in the file
}

// accept keeps what the reading at hand used, and nothing older.
func (p *Pieces) accept() { p.last = p.now }

// end ends a reading; without accept it leaves no trace.
func (p *Pieces) end() { p.now = nil }

// said returns what a piece says, as pack writes it; "" if it is not one entry without fault.
func (p *Pieces) said(k piece) string {
	said, known := p.now[k]
	if !known {
		if said, known = p.last[k]; !known {
			said = say(k)
		}
		if p.now == nil {
			p.now = map[piece]string{}
		}
		p.now[k] = said
	}
	return said
}

// say has the library read a piece. Lines count from the piece's first, and
// nothing is looked up in the environment: both differ when the text is met again.
// The library tells the place of some values by what follows them, so a key of
// ours stands behind a piece if another stood there.
func say(k piece) string {
	text, entries := []byte(k.text), 1
	if !k.last {
		indent := len(k.text) - len(strings.TrimLeft(k.text, " "))
		text, entries = append(append(text, k.text[:indent]...), "what_follows:\n"...), 2
	}
	if _, deep := tooDeep(text); deep {
		return ""
	}
	file, err := parseYAML(text)
	if err != nil || len(file.Docs) != 1 {
		return ""
	}
	l := loader{getenv: func(string) (string, bool) { return "", true }}
	root := l.convert(file.Docs[0].Body, k.depth)
	if len(l.faults) > 0 || root.shape != shapeTable || len(root.entries) != entries {
		return ""
	}
	root.entries = root.entries[:1]
	return string(pack(nil, root))
}

// cutter reads a text piece by piece. It tells no faults of YAML: at anything
// that it does not know it gives up, and the text is read as a whole. So it does
// after a cut inside of a value, since what stands before such a cut has a quote
// or bracket that nobody closes. A test holds every tree it makes against the
// tree of the whole text.
type cutter struct {
	most int // bytes of a piece that can be cut
	unpacker
}

// cut returns the tree of a text, false if it gave up.
func (l *loader) cut(text string, most int) (root *node, ok bool) {
	if strings.Contains(text, "\t") || strings.Contains(text, "\r") || strings.Contains(text, "\ufeff") {
		return nil, false
	}
	faults := len(l.faults)
	c := cutter{most: most, unpacker: unpacker{l: l}}
	root, ok = c.table(run{text, 0, true}, 0)
	if !ok {
		l.faults = l.faults[:faults]
		return nil, false
	}
	return root, true
}

// table reads a run that holds the entries of one block table.
func (c *cutter) table(r run, depth int) (*node, bool) {
	r, indent := r.begin()
	if indent < 0 || depth > depthMax {
		return nil, false
	}
	n := c.node()
	n.shape = shapeTable
	seen := map[string]struct{}{}
	for r.text != "" {
		first, rest, ok := r.split(indent, c.l.breathe)
		if !ok {
			return nil, false
		}
		e, ok := c.entry(first, depth)
		if _, twice := seen[e.key]; !ok || twice {
			return nil, false
		}
		seen[e.key] = struct{}{}
		n.add(e)
		r = rest
	}
	n.pos = n.entries[0].pos
	return n, true
}

// entry reads a run that holds one entry of a table.
func (c *cutter) entry(r run, depth int) (e entry, ok bool) {
	if len(r.text) > c.most {
		if key, below, cuts := r.open(); cuts {
			if e, ok = c.piece(key, depth); !ok || e.value.shape != shapeNull {
				return e, false
			}
			e.value, ok = c.table(below, depth+1)
			return e, ok
		}
	}
	return c.piece(r, depth)
}

func (c *cutter) piece(r run, depth int) (e entry, ok bool) {
	said := c.l.pieces.said(piece{r.text, depth, r.last})
	c.l.breathe()
	if said == "" {
		return e, false
	}
	c.from, c.above = said, r.above
	return c.unpack().entries[0], true
}

// run is some whole lines of a text.
type run struct {
	text  string
	above int  // lines before it
	last  bool // of the text
}

// line returns the length of the line at a place, with its end.
func (r run) line(at int) int {
	if i := strings.IndexByte(r.text[at:], '\n'); i >= 0 {
		return i + 1
	}
	return len(r.text) - at
}

// indent returns that of the line at a place, -1 if nothing or a comment stands there.
func (r run) indent(at int) int {
	for i := at; i < len(r.text); i++ {
		switch r.text[i] {
		case ' ':
		case '\n', '#':
			return -1
		default:
			return i - at
		}
	}
	return -1
}

// begin returns the run from its first line that is not empty on, and its indent; -1 if there is none.
func (r run) begin() (run, int) {
	for at, lines := 0, 0; at < len(r.text); at, lines = at+r.line(at), lines+1 {
		if indent := r.indent(at); indent >= 0 {
			return run{r.text[at:], r.above + lines, r.last}, indent
		}
	}
	return run{}, -1
}

// split cuts a run before its second key at indent; the first stands on its first
// line. It declines if that line has no plain key or if a line stands left of it.
func (r run) split(indent int, breathe func()) (first, rest run, ok bool) {
	if !keyBegins(r.text[indent]) {
		return r, rest, false
	}
	at, lines := r.line(0), 1
	for ; at < len(r.text); at, lines = at+r.line(at), lines+1 {
		const some = 64
		if lines%some == 0 {
			breathe()
		}
		if in := r.indent(at); in >= 0 && in < indent {
			return r, rest, false
		} else if in == indent && !strings.HasPrefix(r.text[at+in:], "- ") && !strings.HasPrefix(r.text[at+in:], "-\n") {
			break
		}
	}
	return run{r.text[:at], r.above, r.last && at == len(r.text)}, run{r.text[at:], r.above + lines, r.last}, true
}

// open cuts an entry behind a first line that has the key alone, if a table stands below it.
func (r run) open() (key, below run, ok bool) {
	end := r.line(0)
	word, _, _ := strings.Cut(r.text[:end], " #")
	if !strings.HasSuffix(strings.TrimRight(word, " \n"), ":") {
		return r, below, false
	}
	below, indent := run{r.text[end:], r.above + 1, r.last}.begin()
	if indent <= r.indent(0) || !keyBegins(below.text[indent]) {
		return r, below, false
	}
	return run{r.text[:len(r.text)-len(below.text)], r.above, false}, below, true
}

// keyBegins tells whether a key of a table may begin with c and nothing else of YAML.
func keyBegins(c byte) bool {
	return c == '_' || c == '"' || c == '\'' || (c >= '0' && c <= '9') || (c|0x20 >= 'a' && c|0x20 <= 'z') || c >= 0x80
}

// pack appends a tree in few bytes: the shape, the place, and what is in it.
func pack(b []byte, n *node) []byte {
	b = packPlace(append(b, byte(n.shape)), n.pos)
	switch n.shape {
	case shapeScalar:
		b = packText(b, n.written)
	case shapeList:
		b = binary.AppendUvarint(b, uint64(len(n.items)))
		for _, item := range n.items {
			b = pack(b, item)
		}
	case shapeTable:
		b = binary.AppendUvarint(b, uint64(len(n.entries)))
		for _, e := range n.entries {
			b = pack(packText(packPlace(b, e.pos), e.key), e.value)
		}
	}
	return b
}

func packPlace(b []byte, p pos) []byte {
	return binary.AppendUvarint(binary.AppendUvarint(b, uint64(p.line)), uint64(p.col))
}

func packText(b []byte, s string) []byte {
	return append(binary.AppendUvarint(b, uint64(len(s))), s...)
}

// unpacker makes trees of what pack wrote, its scalars expanded by the environment of now.
type unpacker struct {
	l     *loader
	from  string // what is left
	above int    // lines before those it tells
	spare []node
}

func (u *unpacker) unpack() *node {
	n := u.node()
	n.shape = shape(u.from[0])
	u.from = u.from[1:]
	n.pos = u.place()
	switch n.shape {
	case shapeScalar:
		u.l.scalar(n, u.text())
	case shapeList:
		n.items = make([]*node, u.number())
		for i := range n.items {
			u.l.breathe()
			n.items[i] = u.unpack()
		}
	case shapeTable:
		u.l.breathe()
		count := u.number()
		n.entries = make([]entry, 0, count)
		for range count {
			n.add(entry{pos: u.place(), key: u.text(), value: u.unpack()})
		}
	}
	return n
}

func (u *unpacker) node() *node {
	const slab = 64
	if len(u.spare) == 0 {
		u.spare = make([]node, slab)
	}
	n := &u.spare[0]
	u.spare = u.spare[1:]
	return n
}

func (u *unpacker) number() (n int) {
	for shift := 0; ; shift += 7 {
		c := u.from[0]
		u.from = u.from[1:]
		n |= int(c&0x7f) << shift
		if c < 0x80 {
			return n
		}
	}
}

func (u *unpacker) place() pos { return pos{u.above + u.number(), u.number()} }

func (u *unpacker) text() string {
	n := u.number()
	s := u.from[:n]
	u.from = u.from[n:]
	return s
}
