package adapters

import (
	"unsafe"

	"github.com/tidwall/gjson"
)

// names are the fields of an answer that count.
type names [5]string

// find returns the place of a name among those that count, -1 if it is none.
func (n *names) find(name string) int {
	if name != "" {
		for i := range n {
			if n[i] == name {
				return i
			}
		}
	}
	return -1
}

// value is what one field of an answer holds: the text of a string or a
// number, nothing else of anything else. A gjson.Result holds that too, in
// three times the memory, and copying it was a third of reading an answer.
type value struct {
	kind  gjson.Type
	given bool
	text  string
}

// values are the fields' values, in the order of their names; those that the answer lacks are not given.
type values [len(names{})]value

// The faults of an answer as a whole.
const (
	faultJSON   = "body: expected JSON"
	faultObject = "body: expected a JSON object"
	faultTwice  = "body: a field is given twice"
)

// readObject reads body as one JSON object and returns the values of the
// fields that want names. A field given twice is a fault: which one counts
// would be a guess.
//
// The values are views of body; a caller that keeps one clones it.
func readObject(body []byte, want *names) (got values, fault string) {
	// A view instead of a copy: body is not written to until the caller is done.
	text := unsafe.String(unsafe.SliceData(body), len(body))
	f := flat{text: text}
	if f.read(want, &got) {
		return got, ""
	}
	return readAny(text, want)
}

// readAny judges every body: what flat does not read, and what is at fault.
func readAny(text string, want *names) (got values, fault string) {
	if !gjson.Valid(text) {
		return got, faultJSON
	}
	doc := gjson.Parse(text)
	if !doc.IsObject() {
		return got, faultObject
	}
	doc.ForEach(func(key, value gjson.Result) bool {
		i := want.find(key.Str)
		if i < 0 {
			return true
		}
		if got[i].given {
			fault = faultTwice
			return false
		}
		got[i] = valueOf(&value)
		return true
	})
	return got, fault
}

func valueOf(v *gjson.Result) value {
	switch v.Type {
	case gjson.String:
		return value{v.Type, true, v.Str}
	case gjson.Number:
		return value{v.Type, true, v.Raw}
	default:
		return value{kind: v.Type, given: true}
	}
}

// flat reads, in one pass, the object that nearly every answer is: plain
// names, and strings without escapes, numbers without exponents, true, false
// and null. It gives up at anything else, which says nothing of that thing.
type flat struct {
	text string
	pos  int
}

func (f *flat) read(want *names, got *values) bool {
	if f.next() != '{' {
		return false
	}
	f.pos++
	for {
		if f.next() != '"' {
			return false // an empty object too
		}
		name, ok := f.str()
		if !ok || f.next() != ':' {
			return false
		}
		f.pos++
		v, ok := f.value()
		if !ok {
			return false
		}
		if i := want.find(name); i >= 0 {
			if got[i].given {
				return false
			}
			got[i] = v
		}
		switch f.next() {
		case ',':
			f.pos++
		case '}':
			f.pos++
			return f.next() == 0 && f.pos == len(f.text)
		default:
			return false
		}
	}
}

// next passes over white space and returns the byte that follows, 0 at the end.
func (f *flat) next() byte {
	if f.pos < len(f.text) && f.text[f.pos] > ' ' {
		return f.text[f.pos]
	}
	return f.skip()
}

func (f *flat) skip() byte {
	for f.pos < len(f.text) {
		switch c := f.text[f.pos]; c {
		case ' ', '\t', '\n', '\r':
			f.pos++
		default:
			return c
		}
	}
	return 0
}

func (f *flat) value() (v value, ok bool) {
	switch c := f.next(); {
	case c == '"':
		v.kind, v.given = gjson.String, true
		v.text, ok = f.str()
		return v, ok
	case c == '-' || '0' <= c && c <= '9':
		return f.number()
	case c == 't':
		return f.word("true", gjson.True)
	case c == 'f':
		return f.word("false", gjson.False)
	case c == 'n':
		return f.word("null", gjson.Null)
	default:
		return v, false
	}
}

func (f *flat) word(text string, kind gjson.Type) (v value, ok bool) {
	end := f.pos + len(text)
	if end > len(f.text) || f.text[f.pos:end] != text {
		return v, false
	}
	f.pos = end
	return value{kind: kind, given: true}, true
}

// str reads a string from its opening quote on.
func (f *flat) str() (text string, ok bool) {
	rest := f.text[f.pos+1:]
	for i := range len(rest) {
		switch c := rest[i]; {
		case c > '\\' || c != '"' && c != '\\' && c >= ' ':
		case c == '"':
			f.pos += i + 2
			return rest[:i], true
		default:
			return "", false
		}
	}
	return "", false
}

// number reads a number. Nobody asks for its value as a float, so it has none.
func (f *flat) number() (v value, ok bool) {
	text := f.text[f.pos:]
	whole := 0
	if text[0] == '-' {
		whole = 1
	}
	end := digits(text, whole)
	if n := end - whole; n == 0 || n > 1 && text[whole] == '0' {
		return v, false
	}
	if end < len(text) && text[end] == '.' {
		from := end + 1
		if end = digits(text, from); end == from {
			return v, false
		}
	}
	f.pos += end
	return value{gjson.Number, true, text[:end]}, true
}

// digits returns where the digits that begin at from end.
func digits(text string, from int) int {
	for from < len(text) && '0' <= text[from] && text[from] <= '9' {
		from++
	}
	return from
}
