package postback

import (
	"bytes"
	"errors"
	"fmt"
	"net/netip"
	"net/url"
	"slices"
	"strconv"
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

// ValueError says that a value without which the notice is worthless was not
// there, or was not what the receiver takes. It never repeats a value.
type ValueError struct {
	Why   string // missing, unmapped, length
	Macro Macro
}

// Error returns missing_aff_click_id.
func (e *ValueError) Error() string { return e.Why + "_" + e.Macro.String() }

// The faults of Expand beside a wrong value.
var (
	ErrDotSegment = errors.New("dot_segment")  // a value would climb the path
	ErrURLTooLong = errors.New("url_too_long") // above URLBytesMax
)

// Template is a parsed URL template. It is immutable and safe for concurrent use.
//
// The grammar is {name:argument|filter|..?default}. Text outside braces stands
// as it is. A macro may stand in the path and in the query only; its value is
// percent-encoded there. The argument of {secret:NAME} names one of the
// secrets; any other macro's argument maps values, {status:sold=1 returned=2},
// and a value that it does not map is not sent.
type Template struct {
	text     string
	endpoint string
	parts    []part
}

// Parse reads a URL template. A fault is a *SyntaxError.
func Parse(text string) (*Template, error) {
	if len(text) > TemplateBytesMax {
		return nil, &SyntaxError{TemplateBytesMax, fmt.Sprintf("expected at most %d bytes", TemplateBytesMax)}
	}
	endpoint, start, err := parseOrigin(text)
	if err != nil {
		return nil, err
	}
	t := &Template{text: text, endpoint: endpoint}
	where, from := inPath, 0
	for i := start; i < len(text); {
		switch c := text[i]; {
		case c == '{':
			p, end, err := parseMacro(text, i, where)
			if err != nil {
				return nil, err
			}
			t.literal(text[from:i])
			t.parts = append(t.parts, p)
			i, from = end, end
			continue
		case c == '}':
			return nil, &SyntaxError{i, "expected { before }"}
		case c == '#':
			return nil, &SyntaxError{i, "a fragment is never sent; expected the URL to end before #"}
		case c == '?':
			where = inQuery
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
	if looksNumeric(u.Hostname()) {
		return "", 0, &SyntaxError{start, "expected an IPv4 address as four decimal numbers"}
	}
	return lower + "://" + strings.ToLower(authority), end, nil
}

// isNotHost tells what may not stand in a host and port; a name beyond ASCII is to be written in its xn-- form.
func isNotHost(c rune) bool {
	return c > 0x7f || !isUnreserved(byte(c)) && c != ':' && c != '[' && c != ']'
}

// looksNumeric finds the old spellings of an IPv4 address, 2130706433, 0x7f.1
// and 0177.0.0.1, which some resolvers read as an address and others as a name.
func looksNumeric(host string) bool {
	host = strings.TrimSuffix(host, ".")
	last := strings.ToLower(host[strings.LastIndexByte(host, '.')+1:])
	digits, hex := strings.CutPrefix(last, "0x")
	if strings.Contains(host, ":") || !hex && strings.Trim(digits, "0123456789") != "" || hex && strings.Trim(digits, "0123456789abcdef") != "" {
		return false
	}
	_, err := netip.ParseAddr(host)
	return err != nil
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

// AppendURL appends the template with the values put in; late macros stand as
// marks. A fault is a *ValueError, ErrDotSegment or ErrURLTooLong; dst is then
// returned as it was.
func (t *Template) AppendURL(dst []byte, values *Values) ([]byte, error) {
	out, err := appendParts(dst, t.parts, values)
	if err != nil {
		return dst, err
	}
	if len(out)-len(dst) > URLBytesMax {
		return dst, ErrURLTooLong
	}
	return out, nil
}

// place is where a macro stands, which decides how its value is written.
type place uint8

const (
	inPath  place = iota + 1 // percent-encoded
	inQuery                  // percent-encoded
	inForm                   // percent-encoded
	inJSON                   // within the quotes of a JSON string
)

// part is literal text, or a macro.
type part struct {
	literal    string
	macro      Macro // 0: literal
	secret     string
	words      []string // pairs: a value, and what is sent for it
	filters    []filter
	hashed     bool
	length     int // the only length that the receiver takes; 0: any
	fallback   string
	hasDefault bool
	required   bool // a notice without it is not sent
	drop       bool // a query parameter without it is left out
	where      place
}

// appendParts appends the parts with the values put in.
func appendParts(dst []byte, parts []part, values *Values) ([]byte, error) {
	out, dropped := dst, false
	for i := range parts {
		p := &parts[i]
		if p.macro == 0 {
			literal := p.literal
			if dropped && len(out) > 0 && out[len(out)-1] == '?' {
				literal = strings.TrimPrefix(literal, "&")
			}
			out, dropped = append(out, literal...), false
			continue
		}
		if p.macro.Late() {
			out = appendMark(out, p)
			continue
		}
		value, err := p.value(values)
		if err != nil {
			return dst, err
		}
		if p.drop && len(value) == 0 {
			out, dropped = dropParameter(out), true
			continue
		}
		if p.where == inPath && isDots(value) {
			return dst, ErrDotSegment
		}
		out = appendPlaced(out, value, p.where)
	}
	return out, nil
}

// dropParameter takes the query parameter that out ends with, "&name=", away again.
func dropParameter(out []byte) []byte {
	i := bytes.LastIndexAny(out, "&?")
	if out[i] == '?' {
		i++
	}
	return out[:i]
}

func (p *part) value(values *Values) ([]byte, error) {
	value := []byte(values[p.macro])
	if len(value) > 0 && p.words != nil {
		i := 0
		for i < len(p.words) && p.words[i] != string(value) {
			i += 2
		}
		if i == len(p.words) {
			return nil, &ValueError{"unmapped", p.macro}
		}
		value = []byte(p.words[i+1])
	}
	if len(value) > 0 {
		for _, f := range p.filters {
			value = f(value)
		}
	}
	switch {
	case len(value) == 0 && p.hasDefault:
		return []byte(p.fallback), nil
	case len(value) == 0 && p.required:
		return nil, &ValueError{"missing", p.macro}
	case len(value) > 0 && p.length > 0 && len(value) != p.length:
		return nil, &ValueError{"length", p.macro}
	default:
		return value, nil
	}
}

// isDots tells whether a path segment made of value could climb: "." and ".." mean a move.
func isDots(value []byte) bool {
	return len(value) > 0 && len(bytes.Trim(value, ".")) == 0
}

// appendPlaced writes a value so that it means itself where it stands.
func appendPlaced(dst, value []byte, where place) []byte {
	if where == inJSON {
		return appendJSONText(dst, value)
	}
	return appendEncoded(dst, value)
}

// appendEncoded percent-encodes all but RFC 3986's unreserved characters,
// which is right in a path segment, in a query value and in a form alike.
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
	return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c == '-' || c == '.' || c == '_' || c == '~'
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

// quote is clip for text that may hold anything.
func quote(s string) string { return strconv.Quote(clip(s)) }

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
