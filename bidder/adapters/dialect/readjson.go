package dialect

import "github.com/tidwall/gjson"

// jsonReader reads one JSON text in one pass: every byte is checked, only what
// a path wants is kept. It allocates nothing but escaped strings that are wanted.
type jsonReader struct {
	text string
	pos  int
	sink *sink
	deep bool
}

func readJSON(text string, root *node, k *sink) (fault string) {
	r := jsonReader{text: text, sink: k}
	if !r.value(root, 0) {
		if r.deep {
			return faultDeep
		}
		return faultJSON
	}
	if r.next(); r.pos != len(text) {
		return faultJSON
	}
	return ""
}

// next passes over white space and returns the byte that follows, 0 at the end.
func (r *jsonReader) next() byte {
	for r.pos < len(r.text) {
		switch c := r.text[r.pos]; c {
		case ' ', '\t', '\n', '\r':
			r.pos++
		default:
			return c
		}
	}
	return 0
}

// value reads one value; n is what is wanted of it, nil for nothing.
func (r *jsonReader) value(n *node, depth int) bool {
	if depth > depthMax {
		r.deep = true
		return false
	}
	c := r.next()
	start := r.pos
	switch c {
	case '{':
		if n != nil && n.each != nil && r.sink.item == 0 {
			return r.one(n.each, depth)
		}
		if !r.object(n, depth) {
			return false
		}
	case '[':
		if !r.list(n, depth) {
			return false
		}
	case '"':
		text, ok := r.str(n != nil)
		if ok {
			r.sink.set(n, isText, text)
		}
		return ok
	case 't':
		return r.word("true", n, isBool)
	case 'f':
		return r.word("false", n, isBool)
	case 'n':
		return r.word("null", n, isNull)
	default:
		if !r.number() {
			return false
		}
		r.sink.set(n, isNumeric, r.text[start:r.pos])
		return true
	}
	r.sink.set(n, isTable, r.text[start:r.pos])
	return true
}

func (r *jsonReader) object(n *node, depth int) bool {
	r.pos++
	if r.next() == '}' {
		r.pos++
		return true
	}
	for {
		if r.next() != '"' {
			return false
		}
		key, ok := r.str(n != nil)
		if !ok || r.next() != ':' {
			return false
		}
		r.pos++
		if !r.value(n.find(key), depth+1) {
			return false
		}
		switch r.next() {
		case ',':
			r.pos++
		case '}':
			r.pos++
			return true
		default:
			return false
		}
	}
}

func (r *jsonReader) list(n *node, depth int) bool {
	bids := n != nil && n.each != nil && r.sink.item == 0
	if bids {
		r.sink.doc.listed = true
	}
	r.pos++
	if r.next() == ']' {
		r.pos++
		return true
	}
	for at := 0; ; at++ {
		if bids && !r.one(n.each, depth+1) || !bids && !r.value(n.index(at), depth+1) {
			return false
		}
		switch r.next() {
		case ',':
			r.pos++
		case ']':
			r.pos++
			return true
		default:
			return false
		}
	}
}

// one reads one bid of a list. A bid that stands alone where a list is expected
// is a list of one: so do translations from XML write it.
func (r *jsonReader) one(each *node, depth int) bool {
	r.sink.doc.listed = true
	if !r.sink.begin() {
		each = nil
	}
	ok := r.value(each, depth+1)
	r.sink.item = 0
	return ok
}

func (r *jsonReader) word(word string, n *node, kind foundKind) bool {
	end := r.pos + len(word)
	if end > len(r.text) || r.text[r.pos:end] != word {
		return false
	}
	r.pos = end
	r.sink.set(n, kind, word)
	return true
}

// str reads a string from its opening quote on; its text only if it is wanted.
func (r *jsonReader) str(wanted bool) (text string, ok bool) {
	start, escaped := r.pos, false
	for i := r.pos + 1; i < len(r.text); i++ {
		switch c := r.text[i]; {
		case c == '"':
			raw := r.text[start : i+1]
			r.pos = i + 1
			if wanted && escaped {
				return gjson.Parse(raw).Str, true
			}
			return raw[1 : len(raw)-1], true
		case c < ' ':
			return "", false
		case c == '\\':
			escaped = true
			n := escapeLen(r.text[i:])
			if n == 0 {
				return "", false
			}
			i += n - 1
		}
	}
	return "", false
}

// escapeLen returns how long the escape at the beginning of s is, 0 if it is none.
func escapeLen(s string) int {
	if len(s) < 2 {
		return 0
	}
	switch s[1] {
	case '"', '\\', '/', 'b', 'f', 'n', 'r', 't':
		return 2
	case 'u':
		if len(s) < 6 {
			return 0
		}
		for _, c := range []byte(s[2:6]) {
			if (c < '0' || c > '9') && (c|0x20 < 'a' || c|0x20 > 'f') {
				return 0
			}
		}
		return 6
	default:
		return 0
	}
}

func (r *jsonReader) number() bool {
	if r.pos < len(r.text) && r.text[r.pos] == '-' {
		r.pos++
	}
	from := r.pos
	if n := r.digits(); n == 0 || n > 1 && r.text[from] == '0' {
		return false
	}
	if r.pos < len(r.text) && r.text[r.pos] == '.' {
		r.pos++
		if r.digits() == 0 {
			return false
		}
	}
	if r.pos < len(r.text) && r.text[r.pos]|0x20 == 'e' {
		r.pos++
		if r.pos < len(r.text) && (r.text[r.pos] == '+' || r.text[r.pos] == '-') {
			r.pos++
		}
		if r.digits() == 0 {
			return false
		}
	}
	return true
}

func (r *jsonReader) digits() int {
	from := r.pos
	for r.pos < len(r.text) && r.text[r.pos] >= '0' && r.text[r.pos] <= '9' {
		r.pos++
	}
	return r.pos - from
}
