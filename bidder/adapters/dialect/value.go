package dialect

import (
	"fmt"
	"strings"
	"unicode/utf8"
)

// escape is what a value must not break out of.
type escape uint8

const (
	escapeNone escape = iota
	escapeJSON        // within the quotes of a string
	escapeForm        // percent-encoding, for a form, a query or a path
	escapeXML         // text or an attribute
	escapeHeader
)

// value is one compiled value of a request.
type value struct {
	places   []place
	fallback string            // instead of an empty value
	words    map[string]string // other words for some values
	other    string            // the word for any other value
	hasOther bool
	as       []transform
}

// constant tells whether the value is the same in every request.
func (v *value) constant() bool {
	for i := range v.places {
		if v.places[i].kind != placeText {
			return false
		}
	}
	return true
}

// plainField returns the slot of a value that is one field as it stands.
func (v *value) plainField() (slot int, ok bool) {
	ok = len(v.places) == 1 && v.places[0].kind == placeField && v.fallback == "" && v.words == nil && !v.hasOther && len(v.as) == 0
	if ok {
		slot = v.places[0].slot
	}
	return slot, ok
}

// append appends the escaped value; nothing if it is empty. The steps use the
// room behind dst's end, so none of them costs an allocation.
func (v *value) append(dst []byte, s *Scene, esc escape) []byte {
	start := len(dst)
	for i := range v.places {
		dst = v.places[i].append(dst, s)
	}
	if len(dst) > start {
		dst = v.reword(dst, start)
		for i := range v.as {
			end := len(dst)
			dst = v.as[i].append(dst, dst[start:end], s.Now)
			dst = dst[:start+copy(dst[start:], dst[end:])]
		}
	}
	if len(dst) == start {
		dst = append(dst, v.fallback...)
	}
	if esc == escapeNone || !mustEscape(dst[start:], esc) {
		return dst
	}
	end := len(dst)
	dst = appendEscaped(dst, dst[start:end], esc)
	return dst[:start+copy(dst[start:], dst[end:])]
}

// reword puts the other word in the place of dst's end.
func (v *value) reword(dst []byte, start int) []byte {
	if v.words == nil && !v.hasOther {
		return dst
	}
	if word, ok := v.words[string(dst[start:])]; ok {
		return append(dst[:start], word...)
	}
	if v.hasOther {
		return append(dst[:start], v.other...)
	}
	return dst
}

// unsafeIn tells whether c must be escaped.
func unsafeIn(c byte, esc escape) bool {
	switch esc {
	case escapeJSON:
		return c < ' ' || c == '"' || c == '\\'
	case escapeForm:
		return (c|0x20 < 'a' || c|0x20 > 'z') && (c < '0' || c > '9') && c != '-' && c != '.' && c != '_' && c != '~'
	case escapeXML:
		return c < ' ' || c == '<' || c == '>' || c == '&' || c == '"' || c == '\''
	case escapeHeader:
		return c < ' ' || c >= 0x7f
	default:
		return false
	}
}

func mustEscape[T ~string | ~[]byte](src T, esc escape) bool {
	for i := range len(src) {
		if unsafeIn(src[i], esc) {
			return true
		}
	}
	return false
}

func appendEscaped[T ~string | ~[]byte](dst []byte, src T, esc escape) []byte {
	for i := range len(src) {
		c := src[i]
		if !unsafeIn(c, esc) {
			dst = append(dst, c)
			continue
		}
		dst = appendEscape(dst, c, esc)
	}
	return dst
}

func appendEscape(dst []byte, c byte, esc escape) []byte {
	const upper, lower = "0123456789ABCDEF", "0123456789abcdef"
	switch esc {
	case escapeForm:
		return append(dst, '%', upper[c>>4], upper[c&15])
	case escapeXML:
		switch c {
		case '<':
			return append(dst, "&lt;"...)
		case '>':
			return append(dst, "&gt;"...)
		case '&':
			return append(dst, "&amp;"...)
		case '"':
			return append(dst, "&#34;"...)
		case '\'':
			return append(dst, "&#39;"...)
		case '\t', '\n', '\r':
			return append(dst, ' ')
		default:
			return dst // XML has no place for it
		}
	case escapeHeader:
		return append(dst, '?')
	default:
		switch c {
		case '"', '\\':
			return append(dst, '\\', c)
		case '\n':
			return append(dst, '\\', 'n')
		case '\t':
			return append(dst, '\\', 't')
		case '\r':
			return append(dst, '\\', 'r')
		default:
			return append(dst, '\\', 'u', '0', '0', lower[c>>4], lower[c&15])
		}
	}
}

// cutPlaces splits a template into text and, at odd places, the names between
// braces. A brace that is not followed by a name is text, so that JSON can be
// written as it is; {{ is a brace before a name.
func cutPlaces(text string) ([]string, error) {
	if len(text) > TemplateMax {
		return nil, fmt.Errorf("expected at most %d bytes", TemplateMax)
	}
	if !utf8.ValidString(text) {
		return nil, fmt.Errorf("expected valid UTF-8")
	}
	parts := []string{""}
	last := func(s string) { parts[len(parts)-1] += s }
	for {
		at := strings.IndexByte(text, '{')
		if at < 0 {
			last(text)
			return parts, nil
		}
		last(text[:at])
		text = text[at+1:]
		if strings.HasPrefix(text, "{") {
			last("{")
			text = text[1:]
			continue
		}
		end := strings.IndexByte(text, '}')
		if end < 0 || !placeName(text[:end]) {
			last("{")
			continue
		}
		parts = append(parts, text[:end], "")
		text = text[end+1:]
	}
}

// placeName tells whether s can be what stands between the braces of a place.
func placeName(s string) bool {
	for i := range len(s) {
		c := s[i]
		letter := c == '_' || (c|0x20 >= 'a' && c|0x20 <= 'z')
		if !letter && (i == 0 || ((c < '0' || c > '9') && c != '.' && c != '-' && c != '|')) {
			return false
		}
	}
	return s != "" && len(s) <= 500
}
