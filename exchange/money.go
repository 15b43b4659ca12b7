package exchange

import (
	"errors"
	"math/bits"
	"strconv"
	"strings"
)

// Money is an amount in micro-units (1e-6) of the house currency. It is never
// a float anywhere in the house.
type Money int64

// Micro is the number of Money units in one unit of currency.
const Micro Money = 1_000_000

// MoneyMax bounds every amount taken from outside: a billion currency units.
// It keeps sums of many amounts far from overflow.
const MoneyMax Money = 1_000_000_000 * Micro

// The faults of ParseMoney.
var (
	ErrMoneySyntax = errors.New("expected a decimal number such as 12.50")
	ErrMoneyPlaces = errors.New("expected at most 6 decimal places")
	ErrMoneyRange  = errors.New("expected an amount of at most 1000000000")
)

// ParseMoney reads a decimal number with at most six places. Exponents, signs
// other than a leading minus, spaces and thousands separators are refused.
func ParseMoney(s string) (Money, error) {
	if m, ok := parsePlain(s); ok {
		return m, nil
	}
	digits, negative := strings.CutPrefix(s, "-")
	whole, frac, dotted := strings.Cut(digits, ".")
	if whole == "" || (dotted && frac == "") || !allDigits(whole) || !allDigits(frac) {
		return 0, ErrMoneySyntax
	}
	if len(strings.TrimRight(frac, "0")) > 6 {
		return 0, ErrMoneyPlaces
	}
	whole = strings.TrimLeft(whole, "0")
	if len(whole) > 10 {
		return 0, ErrMoneyRange
	}
	var n int64
	for _, c := range []byte(whole) {
		n = n*10 + int64(c-'0')
	}
	for i := range 6 {
		n *= 10
		if i < len(frac) {
			n += int64(frac[i] - '0')
		}
	}
	if Money(n) > MoneyMax {
		return 0, ErrMoneyRange
	}
	if negative {
		n = -n
	}
	return Money(n), nil
}

// parsePlain reads, in one pass, what nearly every amount is: up to nine digits,
// and up to six behind a point. What it declines may be an amount all the same.
func parsePlain(s string) (Money, bool) {
	n, point := int64(0), len(s)
	for i := range len(s) {
		switch c := s[i]; {
		case '0' <= c && c <= '9':
			n = n*10 + int64(c-'0')
		case c == '.' && point == len(s) && i > 0 && i < len(s)-1:
			point = i
		default:
			return 0, false
		}
	}
	places := max(len(s)-point-1, 0)
	if point == 0 || point > 9 || places > 6 {
		return 0, false
	}
	for range 6 - places {
		n *= 10
	}
	return Money(n), true
}

func allDigits(s string) bool {
	for i := range len(s) {
		if s[i] < '0' || s[i] > '9' {
			return false
		}
	}
	return true
}

// Append appends m as a decimal number with at least two and at most six places: 17.20, 0.000001.
func (m Money) Append(dst []byte) []byte {
	micros := uint64(m)
	if m < 0 {
		dst = append(dst, '-')
		micros = -micros // also right for the least Money, which has no positive counterpart
	}
	dst = strconv.AppendUint(dst, micros/uint64(Micro), 10)
	frac := micros % uint64(Micro)
	dst = append(dst, '.')
	start := len(dst)
	for div := uint64(100_000); div > 0; div /= 10 {
		dst = append(dst, byte('0'+frac/div%10))
	}
	for len(dst) > start+2 && dst[len(dst)-1] == '0' {
		dst = dst[:len(dst)-1]
	}
	return dst
}

// String returns the form that Append writes.
func (m Money) String() string { return string(m.Append(make([]byte, 0, 24))) }

// MarshalJSON writes m as a JSON number.
func (m Money) MarshalJSON() ([]byte, error) { return m.Append(nil), nil }

// UnmarshalJSON reads a JSON number or a string holding one.
func (m *Money) UnmarshalJSON(b []byte) error {
	v, err := ParseMoney(strings.Trim(string(b), `"`))
	if err != nil {
		return err
	}
	*m = v
	return nil
}

// PPM is a rate in parts per million: 20% is 200_000.
type PPM int64

// Whole is the rate of 100%.
const Whole PPM = 1_000_000

// Of returns rate r of m, rounded down. Both must be zero or more.
func (r PPM) Of(m Money) Money {
	hi, lo := bits.Mul64(uint64(m), uint64(r))
	if hi == 0 {
		return Money(lo / uint64(Whole)) // by a constant: no division of 128 bits
	}
	q, _ := bits.Div64(hi, lo, uint64(Whole))
	return Money(q)
}

// String renders r as a percentage: 20%, 12.5%.
func (r PPM) String() string {
	s := Money(r * 100).String()
	if whole, ok := strings.CutSuffix(s, ".00"); ok {
		return whole + "%"
	}
	return s + "%"
}

// Margin is the house's part of a bid: a rate of it, a fixed amount, or both.
type Margin struct {
	Rate  PPM   `json:"rate_ppm,omitempty"`
	Fixed Money `json:"fixed,omitempty"`
}

// Of returns the house's part of bid, rounded up: what a seller is quoted is never too much.
// Bid is zero or more, the rate at most 100%. A fixed part may make it more than the bid.
func (g Margin) Of(bid Money) Money {
	return bid - (Whole - g.Rate).Of(bid) + g.Fixed
}

// Currency is what Money counts in.
type Currency struct {
	Code        string // ISO 4217, upper case
	MinorDigits int    // decimal places of the minor unit, 0 to 4
}

// Floor rounds m, which is zero or more, down to the currency's minor unit.
func (c Currency) Floor(m Money) Money {
	switch c.MinorDigits { // division by a constant costs a tenth of one by a variable
	case 0:
		return m - m%Micro
	case 2:
		return m - m%(Micro/100)
	}
	unit := Micro
	for range c.MinorDigits {
		unit /= 10
	}
	return m - m%unit
}
