package schema

import (
	"errors"
	"fmt"
	"net/netip"
	"net/url"
	"strings"
	"unicode"
	"unicode/utf8"

	"vendue/exchange"
)

// Limits on a value, whatever its field allows.
const (
	TextCharsMax  = 2000 // of a text field without a max of its own
	EmailBytesMax = 254
	URLBytesMax   = 2048
	FieldsMax     = 256 // of one vertical
)

// InputKind says how a value was written by its sender.
type InputKind uint8

// The kinds. Everything in a form is a String.
const (
	String InputKind = iota
	Number           // a JSON number, Text as it was written
	Bool             // JSON true or false
)

// Input is a value as its sender wrote it.
type Input struct {
	Text string
	Kind InputKind
}

// The faults that need no figures.
var (
	errEmpty   = errors.New("expected a value")
	errUTF8    = errors.New("expected valid UTF-8")
	errControl = errors.New("expected text without control characters")
	errText    = errors.New("expected text")
	errZip     = errors.New("expected a US zip code of 5 digits or ZIP+4")
	errState   = errors.New("expected a US state as two letters or its full name")
	errPhone   = errors.New("expected a phone number with area code, or one beginning with + and the country code")
	errEmail   = errors.New("expected an email address such as name@example.com")
	errInt     = errors.New("expected a whole number")
	errDecimal = errors.New("expected a decimal number such as 12.50 with at most 6 places")
	errBool    = errors.New("expected yes or no, true or false, 1 or 0")
	errDate    = errors.New("expected a date as YYYY-MM-DD, MM/DD/YYYY, YYYYMMDD or RFC 3339")
	errURL     = errors.New("expected an absolute http or https URL of at most 2048 bytes")
	errIP      = errors.New("expected an IPv4 or IPv6 address")
)

// Normalize returns the one canonical value that in stands for in field f.
// The canonical text is part of in.Text wherever that is already canonical, so
// most values cost no allocation. An error says what was expected and never
// repeats the value.
func Normalize(f *exchange.Field, in Input) (exchange.Value, error) {
	if in.Kind == Bool && f.Kind != exchange.FieldBool {
		return exchange.Value{}, expected(f)
	}
	text := strings.TrimSpace(in.Text)
	if text == "" {
		return exchange.Value{}, errEmpty
	}
	v, err := normalize(f, Input{Text: text, Kind: in.Kind})
	if err == nil {
		err = checkBounds(f, &v)
	}
	if err != nil {
		return exchange.Value{}, err
	}
	v.Set = true
	return v, nil
}

func normalize(f *exchange.Field, in Input) (v exchange.Value, err error) {
	switch f.Kind {
	case exchange.FieldText:
		v.Text, err = normalText(in.Text)
	case exchange.FieldZip:
		v.Text, err = normalZip(in)
	case exchange.FieldState:
		v.Text, err = normalState(in.Text)
	case exchange.FieldPhone:
		v.Text, err = normalPhone(in.Text)
	case exchange.FieldEmail:
		v.Text, err = normalEmail(in.Text)
	case exchange.FieldInt:
		return normalInt(in.Text)
	case exchange.FieldDecimal:
		return normalDecimal(in.Text)
	case exchange.FieldBool:
		return normalBool(in.Text)
	case exchange.FieldEnum:
		return normalEnum(f, in.Text)
	case exchange.FieldDate:
		return normalDate(in.Text)
	case exchange.FieldURL:
		v.Text, err = normalURL(in.Text)
	case exchange.FieldIP:
		v.Text, err = normalIP(in.Text)
	case exchange.FieldCity, exchange.FieldRegion:
		v.Text, err = normalPlace(in.Text)
	default:
		panic(fmt.Sprintf("BUG: field %q has kind %d", f.Name, f.Kind))
	}
	return v, err
}

// expected returns the fault of a value that f's kind cannot be made from at all.
func expected(f *exchange.Field) error {
	switch f.Kind {
	case exchange.FieldText:
		return errText
	case exchange.FieldZip:
		return errZip
	case exchange.FieldState:
		return errState
	case exchange.FieldPhone:
		return errPhone
	case exchange.FieldEmail:
		return errEmail
	case exchange.FieldInt:
		return errInt
	case exchange.FieldDecimal:
		return errDecimal
	case exchange.FieldBool:
		return errBool
	case exchange.FieldEnum:
		return errEnum(f)
	case exchange.FieldDate:
		return errDate
	case exchange.FieldURL:
		return errURL
	case exchange.FieldCity, exchange.FieldRegion:
		return errPlace
	default:
		return errIP
	}
}

func checkBounds(f *exchange.Field, v *exchange.Value) error {
	n, unit := v.Num, ""
	switch f.Kind {
	case exchange.FieldText:
		n, unit = int64(utf8.RuneCountInString(v.Text)), " characters"
		if !f.HasMax && n > TextCharsMax {
			return fmt.Errorf("expected at most %d characters", TextCharsMax)
		}
	case exchange.FieldInt, exchange.FieldDecimal, exchange.FieldDate:
	default:
		return nil
	}
	if f.HasMin && n < f.Min {
		return fmt.Errorf("expected at least %s%s", bound(f, f.Min), unit)
	}
	if f.HasMax && n > f.Max {
		return fmt.Errorf("expected at most %s%s", bound(f, f.Max), unit)
	}
	return nil
}

func normalText(s string) (string, error) {
	fold := false
	for i := 0; i < len(s); {
		if c := s[i]; c >= ' ' && c < 0x7f {
			i++
			continue
		}
		r, size := utf8.DecodeRuneInString(s[i:])
		switch {
		case r == utf8.RuneError && size == 1:
			return "", errUTF8
		case r == '\t' || r == '\n' || r == '\r':
			fold = true
		case unicode.IsControl(r):
			return "", errControl
		}
		i += size
	}
	if !fold {
		return s, nil
	}
	return strings.NewReplacer("\r\n", " ", "\n", " ", "\r", " ", "\t", " ").Replace(s), nil
}

// normalZip keeps the five digits. A JSON number has lost its leading zeros; they are put back.
func normalZip(in Input) (string, error) {
	s := in.Text
	whole, plus4, dashed := strings.Cut(s, "-")
	if !digits(whole) || (dashed && (len(whole) != 5 || len(plus4) != 4 || !digits(plus4))) {
		return "", errZip
	}
	if in.Kind == Number && !dashed {
		switch n := len(s); {
		case n < 5:
			return "00000"[n:] + s, nil
		case n == 7 || n == 8:
			return ("00"[n-7:] + s)[:5], nil
		}
	}
	if n := len(whole); n != 5 && n != 9 {
		return "", errZip
	}
	return s[:5], nil
}

func normalState(s string) (string, error) {
	if len(s) == 2 {
		upper := [2]byte{s[0] &^ 0x20, s[1] &^ 0x20}
		for i := range states {
			if code := states[i].code; code[0] == upper[0] && code[1] == upper[1] {
				return code, nil
			}
		}
		return "", errState
	}
	for i := range states {
		if strings.EqualFold(states[i].name, s) {
			return states[i].code, nil
		}
	}
	return "", errState
}

func normalEmail(s string) (string, error) {
	at := strings.LastIndexByte(s, '@')
	if len(s) > EmailBytesMax || at < 1 || at > 64 || !emailLocal(s[:at]) || !emailDomain(s[at+1:]) {
		return "", errEmail
	}
	return strings.ToLower(s), nil // returns s itself if nothing is upper case
}

// emailLocal takes the unquoted form alone: nobody's consumer has another.
func emailLocal(s string) bool {
	if s[0] == '.' || s[len(s)-1] == '.' || strings.Contains(s, "..") {
		return false
	}
	for i := range len(s) {
		if !alphanumeric(s[i]) && strings.IndexByte("!#$%&'*+-/=?^_`{|}~.", s[i]) < 0 {
			return false
		}
	}
	return true
}

func emailDomain(s string) bool {
	label, dots := 0, 0
	for i := range len(s) {
		switch c := s[i]; {
		case c == '.':
			if label == 0 || s[i-1] == '-' {
				return false
			}
			label, dots = 0, dots+1
			continue
		case c == '-' && label == 0, c != '-' && !alphanumeric(c), label == 63:
			return false
		}
		label++
	}
	if dots == 0 || label < 2 || s[len(s)-1] == '-' {
		return false
	}
	return !digits(s[len(s)-label:])
}

func normalBool(s string) (exchange.Value, error) {
	for _, yes := range [...]string{"true", "1", "yes", "y", "t", "on"} {
		if strings.EqualFold(s, yes) {
			return exchange.Value{Text: "true", Num: 1}, nil
		}
	}
	for _, no := range [...]string{"false", "0", "no", "n", "f", "off"} {
		if strings.EqualFold(s, no) {
			return exchange.Value{Text: "false"}, nil
		}
	}
	return exchange.Value{}, errBool
}

func normalEnum(f *exchange.Field, s string) (exchange.Value, error) {
	for i, value := range f.Values {
		if value == s {
			return exchange.Value{Text: value, Num: int64(i)}, nil
		}
	}
	for i, value := range f.Values {
		if strings.EqualFold(value, s) {
			return exchange.Value{Text: value, Num: int64(i)}, nil
		}
	}
	return exchange.Value{}, errEnum(f)
}

func errEnum(f *exchange.Field) error {
	const shown = 12
	values, more := f.Values, ""
	if len(values) > shown {
		values, more = values[:shown], ", .."
	}
	return fmt.Errorf("expected one of %s%s", strings.Join(values, ", "), more)
}

// normalURL checks the plain shape by hand and leaves every other to net/url, which costs two allocations.
func normalURL(s string) (string, error) {
	if len(s) > URLBytesMax {
		return "", errURL
	}
	if plainURL(s) {
		return s, nil
	}
	for i := range len(s) {
		if s[i] <= ' ' || s[i] >= 0x7f {
			return "", errURL
		}
	}
	u, err := url.Parse(s)
	if err != nil || u.Hostname() == "" || u.Opaque != "" || u.User != nil || (u.Scheme != "http" && u.Scheme != "https") {
		return "", errURL
	}
	return u.Scheme + s[len(u.Scheme):], nil
}

// plainURL tells whether s is http or https, a host name with perhaps a port, and
// a path and query of printable ASCII without an escape.
func plainURL(s string) bool {
	rest, ok := strings.CutPrefix(s, "https://")
	if !ok {
		if rest, ok = strings.CutPrefix(s, "http://"); !ok {
			return false
		}
	}
	i := 0
	for i < len(rest) && (alphanumeric(rest[i]) || rest[i] == '.' || rest[i] == '-') {
		i++
	}
	if i == 0 || (i < len(rest) && rest[i] != '/' && rest[i] != '?') {
		return false
	}
	for ; i < len(rest); i++ {
		if c := rest[i]; c <= ' ' || c >= 0x7f || c == '%' || c == '#' {
			return false
		}
	}
	return true
}

func normalIP(s string) (string, error) {
	addr, err := netip.ParseAddr(s)
	if err != nil || addr.Zone() != "" {
		return "", errIP
	}
	var room [64]byte
	canonical := addr.Unmap().AppendTo(room[:0])
	if string(canonical) == s {
		return s, nil
	}
	return string(canonical), nil
}

func alphanumeric(c byte) bool {
	return (c >= '0' && c <= '9') || (c|0x20 >= 'a' && c|0x20 <= 'z')
}

// digits tells whether s is one decimal digit or more and nothing else.
func digits(s string) bool {
	for i := range len(s) {
		if s[i] < '0' || s[i] > '9' {
			return false
		}
	}
	return s != ""
}
