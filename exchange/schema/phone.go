package schema

import (
	"strings"

	"github.com/nyaruka/phonenumbers"
)

const phoneBytesMax = 40

// normalPhone returns the number in E.164. A number of the North American plan
// is judged by the plan's own shape (area code and exchange begin 2 to 9), not
// by a list of assigned area codes: such a list ages, and refuses real people.
// Whatever has another shape is judged by the library.
func normalPhone(s string) (string, error) {
	if e164, plain := plainNANP(s); plain {
		return e164, nil
	}
	if len(s) > phoneBytesMax {
		return "", errPhone
	}
	var number phonenumbers.PhoneNumber
	if err := phonenumbers.ParseToNumber(s, "US", &number); err != nil {
		return "", errPhone
	}
	e164 := phonenumbers.Format(&number, phonenumbers.E164)
	national, nanp := strings.CutPrefix(e164, "+1")
	if nanp && len(national) == 10 && nanpShape(national) {
		return e164, nil
	}
	if !phonenumbers.IsValidNumber(&number) {
		return "", errPhone
	}
	return e164, nil
}

// plainNANP declines all but ten digits, perhaps after 1 or +1, perhaps with
// the usual punctuation. The library costs microseconds and a dozen allocations.
func plainNANP(s string) (string, bool) {
	var room [12]byte
	n := 0
	for i := range len(s) {
		switch c := s[i]; {
		case c >= '0' && c <= '9':
			if n == len(room)-1 {
				return "", false
			}
			room[n] = c
			n++
		case c == '+' && i == 0, c == ' ', c == '-', c == '.', c == '(', c == ')':
		default:
			return "", false
		}
	}
	national := room[:n]
	switch {
	case n == 11 && national[0] == '1':
		national = national[1:]
	case n != 10 || s[0] == '+':
		return "", false
	}
	if !nanpShape(string(national)) {
		return "", false
	}
	if len(s) == 12 && s[0] == '+' {
		return s, true
	}
	out := append(make([]byte, 0, 12), "+1"...)
	return string(append(out, national...)), true
}

// nanpShape tells whether ten digits could be a number of the North American
// plan: area code [2-9][0-8]X but no N11, exchange [2-9]XX.
func nanpShape(d string) bool {
	area := d[0] >= '2' && d[1] != '9' && (d[1] != '1' || d[2] != '1')
	return area && d[3] >= '2'
}
