package schema

import (
	"math"
	"strconv"
	"strings"
	"time"

	"vendue/exchange"
)

const secondsPerDay = 24 * 60 * 60

// normalInt takes what senders' serialisers make of whole numbers: 41, 41.0, 041.
func normalInt(s string) (exchange.Value, error) {
	whole, frac, dotted := strings.Cut(s, ".")
	if dotted && (frac == "" || strings.Trim(frac, "0") != "") {
		return exchange.Value{}, errInt
	}
	whole, negative := strings.CutPrefix(whole, "-")
	if !digits(whole) {
		return exchange.Value{}, errInt
	}
	whole = trimZeros(whole)
	var n int64
	for i := range len(whole) {
		d := int64(whole[i] - '0')
		if n > (math.MaxInt64-d)/10 {
			return exchange.Value{}, errInt
		}
		n = n*10 + d
	}
	if negative && n != 0 {
		n = -n
		whole = signed(s, whole)
	}
	return exchange.Value{Text: whole, Num: n}, nil
}

// normalDecimal keeps the shortest spelling: 12.50 is 12.5, 012 is 12.
func normalDecimal(s string) (exchange.Value, error) {
	n, err := exchange.ParseMoney(s)
	if err != nil {
		return exchange.Value{}, err
	}
	text := trimZeros(strings.TrimPrefix(s, "-"))
	if strings.Contains(text, ".") {
		text = strings.TrimSuffix(strings.TrimRight(text, "0"), ".")
	}
	if n < 0 {
		text = signed(strings.TrimRight(strings.TrimSuffix(s, "."), "0"), text)
	}
	return exchange.Value{Text: text, Num: int64(n)}, nil
}

// signed puts a minus before text, without an allocation where original begins so.
func signed(original, text string) string {
	if len(original) > len(text) && original[1:len(text)+1] == text {
		return original[:len(text)+1]
	}
	return "-" + text
}

// trimZeros drops leading zeros but one before the point or the end.
func trimZeros(s string) string {
	for len(s) > 1 && s[0] == '0' && s[1] != '.' {
		s = s[1:]
	}
	return s
}

// normalDate returns the ISO date, and in Num the days since 1970-01-01.
func normalDate(s string) (exchange.Value, error) {
	var y, m, d int
	var ok bool
	iso := len(s) >= 10 && s[4] == '-' && s[7] == '-'
	switch {
	case iso:
		y, m, d, ok = number(s[:4]), number(s[5:7]), number(s[8:10]), true
		if len(s) > 10 {
			_, err := time.Parse(time.RFC3339, s)
			ok = err == nil
		}
	case len(s) == 8 && digits(s):
		y, m, d, ok = number(s[:4]), number(s[4:6]), number(s[6:]), true
	default:
		month, rest, _ := strings.Cut(s, "/")
		day, year, _ := strings.Cut(rest, "/")
		ok = len(month) <= 2 && len(day) <= 2 && len(year) == 4
		y, m, d = number(year), number(month), number(day)
	}
	if !ok || y < 1 || m < 1 || m > 12 || d < 1 {
		return exchange.Value{}, errDate
	}
	t := time.Date(y, time.Month(m), d, 0, 0, 0, 0, time.UTC)
	if t.Day() != d {
		return exchange.Value{}, errDate // such as 30 February
	}
	days := t.Unix() / secondsPerDay // exact: t is a midnight
	if iso {
		return exchange.Value{Text: s[:10], Num: days}, nil
	}
	return exchange.Value{Text: t.Format(time.DateOnly), Num: days}, nil
}

// number returns the value of a few digits, -1 if s is anything else.
func number(s string) int {
	if !digits(s) || len(s) > 4 {
		return -1
	}
	n := 0
	for i := range len(s) {
		n = n*10 + int(s[i]-'0')
	}
	return n
}

// bound renders a limit of f as a sender would write it.
func bound(f *exchange.Field, n int64) string {
	switch f.Kind {
	case exchange.FieldDecimal:
		return exchange.Money(n).String()
	case exchange.FieldDate:
		return time.Unix(n*secondsPerDay, 0).UTC().Format(time.DateOnly)
	default:
		return strconv.FormatInt(n, 10)
	}
}
