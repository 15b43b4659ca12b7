package postback

import (
	"bytes"
	"crypto/md5" // trackers ask for md5 of an id; nothing here is a secret
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"
)

// TemplateBytesMax bounds a template's text, URLBytesMax what it expands to.
const (
	TemplateBytesMax = 4096
	URLBytesMax      = 8192
)

// SyntaxError says what is wrong with a template, and where.
type SyntaxError struct {
	Offset int // bytes into the template
	Text   string
}

// Error returns the fault with its place.
func (e *SyntaxError) Error() string { return fmt.Sprintf("byte %d: %s", e.Offset, e.Text) }

// MissingError says that a value without which the notice is worthless was not there.
type MissingError struct{ Macro Macro }

// Error names the macro, never a value.
func (e *MissingError) Error() string { return "missing_" + e.Macro.String() }

// The faults of Expand beside a missing value.
var (
	ErrDotSegment = errors.New("dot_segment")  // a value would climb the path
	ErrURLTooLong = errors.New("url_too_long") // above URLBytesMax
)

// Template is a parsed URL template. It is immutable and safe for concurrent use.
//
// The grammar is {macro|filter|..?default}. Text outside braces stands as it
// is. A macro may stand in the path and in the query only; its value is
// percent-encoded there.
type Template struct {
	text     string
	endpoint string
	parts    []part
}

// part is literal text, or a macro.
type part struct {
	literal    string
	macro      Macro // 0: literal
	filters    []filter
	fallback   string
	hasDefault bool
	inPath     bool
}

type filter func([]byte) []byte

// filterOf returns the filter that name names.
func filterOf(name string) (filter, bool) {
	switch name {
	case "lower":
		return bytes.ToLower, true
	case "upper":
		return bytes.ToUpper, true
	case "trim":
		return bytes.TrimSpace, true
	case "sha256":
		return func(v []byte) []byte { sum := sha256.Sum256(v); return hex.AppendEncode(nil, sum[:]) }, true
	case "md5":
		return func(v []byte) []byte { sum := md5.Sum(v); return hex.AppendEncode(nil, sum[:]) }, true
	default:
		return nil, false
	}
}

var filterNames = []string{"lower", "upper", "sha256", "md5", "trim"}

// Parse reads a template. A fault is a *SyntaxError.
func Parse(text string) (*Template, error) {
	if len(text) > TemplateBytesMax {
		return nil, &SyntaxError{TemplateBytesMax, fmt.Sprintf("expected at most %d bytes", TemplateBytesMax)}
	}
	endpoint, start, err := parseOrigin(text)
	if err != nil {
		return nil, err
	}
	t := &Template{text: text, endpoint: endpoint}
	inPath, from := true, 0
	for i := start; i < len(text); {
		switch c := text[i]; {
		case c == '{':
			end := strings.IndexByte(text[i:], '}')
			if end < 0 {
				return nil, &SyntaxError{i, "expected } after {"}
			}
			p, err := parseMacro(text[i+1:i+end], i+1)
			if err != nil {
				return nil, err
			}
			p.inPath = inPath
			t.literal(text[from:i])
			t.parts = append(t.parts, p)
			i += end + 1
			from = i
			continue
		case c == '}':
			return nil, &SyntaxError{i, "expected { before }"}
		case c == '#':
			return nil, &SyntaxError{i, "a fragment is never sent; expected the URL to end before #"}
		case c == '?':
			inPath = false
		case c == '%' && !isEscape(text[i:]):
			return nil, &SyntaxError{i, "expected two hexadecimal digits after %"}
		case !isURLByte(c):
			return nil, &SyntaxError{i, "expected a URL; spaces, control characters, quotes and non-ASCII text must be percent-encoded"}
		}
		i++
	}
	t.literal(text[from:])
	return t, nil
}

// parseOrigin checks scheme, host and port, where no macro may stand, and
// returns them with the offset of what follows.
func parseOrigin(text string) (endpoint string, end int, err error) {
	scheme, rest, ok := strings.Cut(text, "://")
	if strings.ContainsAny(scheme, "{}") && ok {
		return "", 0, &SyntaxError{strings.IndexAny(text, "{}"), "no macro may stand in the scheme"}
	}
	lower := strings.ToLower(scheme)
	if !ok || (lower != "http" && lower != "https") {
		return "", 0, &SyntaxError{0, "expected a URL that begins with http:// or https://"}
	}
	start := len(scheme) + len("://")
	end = len(text)
	if i := strings.IndexAny(rest, "/?#"); i >= 0 {
		end = start + i
	}
	authority := text[start:end]
	if i := strings.IndexAny(authority, "{}"); i >= 0 {
		return "", 0, &SyntaxError{start + i, "no macro may stand in the host, port or userinfo"}
	}
	if i := strings.IndexByte(authority, '@'); i >= 0 {
		return "", 0, &SyntaxError{start + i, "expected a host without user and password"}
	}
	u, perr := url.Parse(lower + "://" + authority)
	if perr != nil || u.Hostname() == "" || u.Host != authority || strings.ContainsFunc(authority, isNotHost) {
		return "", 0, &SyntaxError{start, "expected a host, and at most a port"}
	}
	return lower + "://" + strings.ToLower(authority), end, nil
}

// isNotHost tells what may not stand in a host and port; a name beyond ASCII is to be written in its xn-- form.
func isNotHost(c rune) bool {
	return c > 0x7f || !isUnreserved(byte(c)) && c != ':' && c != '[' && c != ']'
}

// parseMacro reads what stands between braces; at is its offset.
func parseMacro(body string, at int) (part, error) {
	p := part{}
	body, p.fallback, p.hasDefault = strings.Cut(body, "?")
	name, rest, more := strings.Cut(body, "|")
	macro, ok := macroOf(name)
	if !ok {
		return part{}, &SyntaxError{at, "unknown macro {" + clip(name) + "}; the nearest is {" + nearest(name, macroNames()) + "}"}
	}
	p.macro = macro
	at += len(name)
	for more {
		at++
		var word string
		word, rest, more = strings.Cut(rest, "|")
		f, ok := filterOf(word)
		if !ok {
			return part{}, &SyntaxError{at, "unknown filter " + clip(word) + "; the nearest is " + nearest(word, filterNames)}
		}
		p.filters = append(p.filters, f)
		at += len(word)
	}
	return p, nil
}

func (t *Template) literal(text string) {
	if text != "" {
		t.parts = append(t.parts, part{literal: text})
	}
}

// String returns the template as it was written.
func (t *Template) String() string { return t.text }

// Endpoint returns scheme, host and port: http://tracker.example.com:8080.
func (t *Template) Endpoint() string { return t.endpoint }

// AppendURL appends the template with the values put in. A fault is a
// *MissingError, ErrDotSegment or ErrURLTooLong; dst is then returned as it was.
func (t *Template) AppendURL(dst []byte, values *Values) ([]byte, error) {
	out := dst
	for i := range t.parts {
		p := &t.parts[i]
		if p.macro == 0 {
			out = append(out, p.literal...)
			continue
		}
		value, err := p.value(values)
		if err != nil {
			return dst, err
		}
		if p.inPath && isDots(value) {
			return dst, ErrDotSegment
		}
		out = appendEncoded(out, value)
	}
	if len(out)-len(dst) > URLBytesMax {
		return dst, ErrURLTooLong
	}
	return out, nil
}

func (p *part) value(values *Values) ([]byte, error) {
	value := []byte(values[p.macro])
	if len(value) > 0 {
		for _, f := range p.filters {
			value = f(value)
		}
	}
	switch {
	case len(value) > 0:
		return value, nil
	case p.hasDefault:
		return []byte(p.fallback), nil
	case p.macro == MacroAffClickID:
		return nil, &MissingError{p.macro}
	default:
		return nil, nil
	}
}

// isDots tells whether a path segment made of value could climb: "." and ".." mean a move.
func isDots(value []byte) bool {
	return len(value) > 0 && len(bytes.Trim(value, ".")) == 0
}

// appendEncoded percent-encodes all but RFC 3986's unreserved characters,
// which is right in a path segment and in a query value alike.
func appendEncoded(dst, value []byte) []byte {
	const digits = "0123456789ABCDEF"
	for _, c := range value {
		if isUnreserved(c) {
			dst = append(dst, c)
			continue
		}
		dst = append(dst, '%', digits[c>>4], digits[c&15])
	}
	return dst
}

func isUnreserved(c byte) bool {
	return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || strings.IndexByte("-._~", c) >= 0
}

func isURLByte(c byte) bool {
	return isUnreserved(c) || strings.IndexByte(":/?[]@!$&'()*+,;=%", c) >= 0
}

func isEscape(s string) bool {
	return len(s) >= 3 && isHex(s[1]) && isHex(s[2])
}

func isHex(c byte) bool {
	return c >= '0' && c <= '9' || c >= 'a' && c <= 'f' || c >= 'A' && c <= 'F'
}

// clip keeps an error short whatever was written.
func clip(s string) string {
	if len(s) > 40 {
		return s[:40] + ".."
	}
	return s
}

// nearest returns the name with the least edit distance to word, the first of equals.
func nearest(word string, names []string) string {
	if len(word) > 64 {
		word = word[:64]
	}
	return slices.MinFunc(names, func(a, b string) int { return distance(word, a) - distance(word, b) })
}

func distance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			cost := diagonal
			if a[i] != b[j] {
				cost++
			}
			diagonal = row[j+1]
			row[j+1] = min(cost, row[j]+1, row[j+1]+1)
		}
	}
	return row[len(b)]
}
