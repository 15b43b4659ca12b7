package dialect

import (
	"bytes"
	"crypto/md5"
	"crypto/sha1"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"vendue/exchange"
	"vendue/exchange/schema"
)

// transformOp is what a transform does.
type transformOp uint8

const (
	toUpper transformOp = iota + 1
	toLower
	toTitle
	toTrim
	toDigits
	toFirst
	toLast
	toFirstName
	toLastName
	toMD5
	toSHA1
	toSHA256
	toBool
	toPhoneDigits
	toPhone10
	toPhoneE164
	toPhoneDashes
	toPhoneParens
	toDate
	toAge
	toInt
	toDecimal
	toCents
	toStateName
	toStateCode
)

// transform is one step of a value's way into a request.
type transform struct {
	op      transformOp
	yes, no string // of toBool; yes is toDate's layout
	n       int    // of toFirst, toLast and toDecimal
}

// transformWord is a transform's word, what it takes and what it makes.
type transformWord struct {
	word  string
	op    transformOp
	takes []exchange.FieldKind // empty: anything
	makes exchange.FieldKind
}

var transformWords = []transformWord{
	{"upper", toUpper, nil, exchange.FieldText},
	{"lower", toLower, nil, exchange.FieldText},
	{"title", toTitle, nil, exchange.FieldText},
	{"trim", toTrim, nil, exchange.FieldText},
	{"digits", toDigits, nil, exchange.FieldText},
	{"first_name", toFirstName, []exchange.FieldKind{exchange.FieldText}, exchange.FieldText},
	{"last_name", toLastName, []exchange.FieldKind{exchange.FieldText}, exchange.FieldText},
	{"md5", toMD5, nil, exchange.FieldText},
	{"sha1", toSHA1, nil, exchange.FieldText},
	{"sha256", toSHA256, nil, exchange.FieldText},
	{"phone_digits", toPhoneDigits, []exchange.FieldKind{exchange.FieldPhone}, exchange.FieldText},
	{"phone_10", toPhone10, []exchange.FieldKind{exchange.FieldPhone}, exchange.FieldText},
	{"phone_e164", toPhoneE164, []exchange.FieldKind{exchange.FieldPhone}, exchange.FieldText},
	{"phone_dashes", toPhoneDashes, []exchange.FieldKind{exchange.FieldPhone}, exchange.FieldText},
	{"phone_parens", toPhoneParens, []exchange.FieldKind{exchange.FieldPhone}, exchange.FieldText},
	{"age", toAge, []exchange.FieldKind{exchange.FieldDate}, exchange.FieldInt},
	{"int", toInt, []exchange.FieldKind{exchange.FieldInt, exchange.FieldDecimal}, exchange.FieldInt},
	{"cents", toCents, []exchange.FieldKind{exchange.FieldInt, exchange.FieldDecimal}, exchange.FieldInt},
	{"state_name", toStateName, []exchange.FieldKind{exchange.FieldState}, exchange.FieldText},
	{"state_code", toStateCode, []exchange.FieldKind{exchange.FieldState}, exchange.FieldText},
}

// TransformWords returns the words a transform may be, for faults and help.
func TransformWords() []string {
	out := make([]string, 0, len(transformWords)+5)
	for _, w := range transformWords {
		out = append(out, w.word)
	}
	return append(out, "first:N", "last:N", "decimal:N", "date:MM/DD/YYYY", "Yes/No")
}

var errTransform = errors.New("unknown transform")

// parseTransform reads one transform's word. The one with a slash names the words for true and false.
func parseTransform(text string) (transform, transformWord, error) {
	for _, w := range transformWords {
		if w.word == text {
			return transform{op: w.op}, w, nil
		}
	}
	name, arg, has := strings.Cut(text, ":")
	n, err := strconv.Atoi(arg)
	whole := has && err == nil && n >= 0 && n <= 1000
	switch {
	case name == "first" && whole && n > 0:
		return transform{op: toFirst, n: n}, transformWord{word: name, makes: exchange.FieldText}, nil
	case name == "last" && whole && n > 0:
		return transform{op: toLast, n: n}, transformWord{word: name, makes: exchange.FieldText}, nil
	case name == "decimal" && whole && n <= 6:
		return transform{op: toDecimal, n: n}, transformWord{word: name, takes: []exchange.FieldKind{exchange.FieldInt, exchange.FieldDecimal}, makes: exchange.FieldDecimal}, nil
	case name == "date" && has:
		if !strings.Contains(arg, "YY") || !strings.Contains(arg, "M") || !strings.Contains(arg, "D") {
			return transform{}, transformWord{}, errors.New("expected a date layout of YYYY, YY, MM, M, DD and D, such as date:MM/DD/YYYY")
		}
		return transform{op: toDate, yes: arg}, transformWord{word: name, takes: []exchange.FieldKind{exchange.FieldDate}, makes: exchange.FieldText}, nil
	}
	if yes, no, ok := strings.Cut(text, "/"); ok && yes != "" && !strings.Contains(no, "/") && len(text) <= 100 {
		return transform{op: toBool, yes: yes, no: no}, transformWord{word: text, takes: []exchange.FieldKind{exchange.FieldBool}, makes: exchange.FieldText}, nil
	}
	return transform{}, transformWord{}, errTransform
}

// fits tells whether a transform may be given a value of this kind; if not, text says what it takes.
func (w *transformWord) fits(kind exchange.FieldKind) (text string, ok bool) {
	if len(w.takes) == 0 {
		return "", true
	}
	words := make([]string, 0, len(w.takes))
	for _, k := range w.takes {
		if k == kind {
			return "", true
		}
		words = append(words, k.String())
	}
	return fmt.Sprintf("%q takes a field of type %s, not %s", w.word, strings.Join(words, " or "), kind), false
}

// append appends what t makes of src, which may be the tail of dst. A value
// that is not of the form its kind promises (a default, a buyer's token) passes as it is.
func (t *transform) append(dst, src []byte, now time.Time) []byte {
	switch t.op {
	case toUpper:
		return append(dst, bytes.ToUpper(src)...)
	case toLower:
		return append(dst, bytes.ToLower(src)...)
	case toTitle:
		return appendTitle(dst, src)
	case toTrim:
		return append(dst, bytes.TrimSpace(src)...)
	case toFirst:
		return append(dst, src[:runes(src, t.n)]...)
	case toLast:
		return append(dst, src[runes(src, max(0, utf8.RuneCount(src)-t.n)):]...)
	case toFirstName, toLastName:
		return appendName(dst, src, t.op)
	case toMD5:
		sum := md5.Sum(src)
		return hex.AppendEncode(dst, sum[:])
	case toSHA1:
		sum := sha1.Sum(src)
		return hex.AppendEncode(dst, sum[:])
	case toSHA256:
		sum := sha256.Sum256(src)
		return hex.AppendEncode(dst, sum[:])
	case toBool:
		switch string(src) {
		case "true":
			return append(dst, t.yes...)
		case "false":
			return append(dst, t.no...)
		}
		return append(dst, src...)
	case toDigits, toPhoneDigits, toPhone10, toPhoneE164, toPhoneDashes, toPhoneParens:
		return appendPhone(dst, src, t.op)
	case toDate:
		return appendDate(dst, src, t.yes)
	case toAge:
		return appendAge(dst, src, now)
	case toInt, toDecimal, toCents:
		return t.appendNumber(dst, src)
	case toStateName:
		return append(dst, schema.StateName(string(src))...)
	default: // toStateCode: what a lead holds already
		return append(dst, src...)
	}
}

// runes returns how many bytes the first n characters of b take.
func runes(b []byte, n int) int {
	at := 0
	for ; n > 0 && at < len(b); n-- {
		_, size := utf8.DecodeRune(b[at:])
		at += size
	}
	return at
}

func appendTitle(dst, src []byte) []byte {
	begins := true
	for len(src) > 0 {
		r, size := utf8.DecodeRune(src)
		src = src[size:]
		if begins {
			r = unicode.ToTitle(r)
		} else {
			r = unicode.ToLower(r)
		}
		begins = r == ' ' || r == '-'
		dst = utf8.AppendRune(dst, r)
	}
	return dst
}

// appendName appends the first word of a name, or all the others.
func appendName(dst, src []byte, op transformOp) []byte {
	src = bytes.TrimSpace(src)
	at := bytes.IndexByte(src, ' ')
	switch {
	case op == toFirstName && at < 0:
		return append(dst, src...)
	case op == toFirstName:
		return append(dst, src[:at]...)
	case at < 0:
		return dst
	default:
		return append(dst, bytes.TrimSpace(src[at:])...)
	}
}

// appendPhone appends a number in one of its spellings. Those of North America
// alone have ten digits and dashes; any other is written as its digits.
func appendPhone(dst, src []byte, op transformOp) []byte {
	if op == toPhoneE164 {
		return append(dst, src...)
	}
	start := len(dst)
	for _, c := range src {
		if c >= '0' && c <= '9' {
			dst = append(dst, c)
		}
	}
	if op == toDigits || op == toPhoneDigits || len(dst)-start != 11 || dst[start] != '1' {
		return dst
	}
	var ten [10]byte
	copy(ten[:], dst[start+1:])
	dst = dst[:start]
	switch op {
	case toPhoneDashes:
		return append(append(append(append(append(dst, ten[:3]...), '-'), ten[3:6]...), '-'), ten[6:]...)
	case toPhoneParens:
		dst = append(append(append(dst, '('), ten[:3]...), ") "...)
		return append(append(append(dst, ten[3:6]...), '-'), ten[6:]...)
	default:
		return append(dst, ten[:]...)
	}
}

// isDate tells whether b is YYYY-MM-DD, as a lead holds dates.
func isDate(b []byte) bool {
	if len(b) != 10 || b[4] != '-' || b[7] != '-' {
		return false
	}
	for i, c := range b {
		if i != 4 && i != 7 && (c < '0' || c > '9') {
			return false
		}
	}
	return true
}

func appendDate(dst, src []byte, layout string) []byte {
	if !isDate(src) {
		return append(dst, src...)
	}
	for i := 0; i < len(layout); {
		switch rest := layout[i:]; {
		case strings.HasPrefix(rest, "YYYY"):
			dst, i = append(dst, src[:4]...), i+4
		case strings.HasPrefix(rest, "YY"):
			dst, i = append(dst, src[2:4]...), i+2
		case strings.HasPrefix(rest, "MM"):
			dst, i = append(dst, src[5:7]...), i+2
		case strings.HasPrefix(rest, "DD"):
			dst, i = append(dst, src[8:]...), i+2
		case rest[0] == 'M':
			dst, i = append(dst, bytes.TrimPrefix(src[5:7], []byte("0"))...), i+1
		case rest[0] == 'D':
			dst, i = append(dst, bytes.TrimPrefix(src[8:], []byte("0"))...), i+1
		default:
			dst, i = append(dst, rest[0]), i+1
		}
	}
	return dst
}

// appendAge appends the years from a birth date to now, in UTC.
func appendAge(dst, src []byte, now time.Time) []byte {
	if !isDate(src) {
		return dst
	}
	born, err := time.Parse(time.DateOnly, string(src))
	if err != nil {
		return dst
	}
	now = now.UTC()
	years := now.Year() - born.Year()
	if now.Month() < born.Month() || (now.Month() == born.Month() && now.Day() < born.Day()) {
		years--
	}
	return strconv.AppendInt(dst, int64(max(years, 0)), 10)
}

// appendNumber appends a number with fewer or more places, the rest cut off.
func (t *transform) appendNumber(dst, src []byte) []byte {
	if t.op == toCents {
		m, err := exchange.ParseMoney(string(src))
		if err != nil {
			return append(dst, src...)
		}
		return strconv.AppendInt(dst, int64(m/(exchange.Micro/100)), 10)
	}
	whole, frac, _ := bytes.Cut(src, []byte("."))
	if dst = append(dst, whole...); t.op == toInt || t.n == 0 {
		return dst
	}
	dst = append(dst, '.')
	for i := range t.n {
		c := byte('0')
		if i < len(frac) {
			c = frac[i]
		}
		dst = append(dst, c)
	}
	return dst
}
