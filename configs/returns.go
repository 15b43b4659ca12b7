package configs

import (
	"strings"

	"vendue/exchange"
)

// returnReasonsMax bounds a contract's own list of reasons.
const returnReasonsMax = 100

// returns reads what a contract takes back of its buyer.
func (l *loader) returns(t table, c *exchange.Contract) {
	c.ReturnWithin = l.duration(t.opt("return_within"), exchange.ReturnWithinDefault, span{0, rememberedMax})
	c.ReturnFrees = l.boolean(t.opt("return_frees"))
	n := t.opt("return_reasons")
	items := l.list(n)
	if n != nil && n.shape != shapeScalar && n.shape != shapeTable && (len(items) == 0 || len(items) > returnReasonsMax) {
		l.fault(n.pos, "expected 1 to %d words; leave return_reasons out for the usual ones", returnReasonsMax)
	}
	for _, item := range items {
		if s, ok := l.text(item); ok {
			if !returnWord(s) {
				l.fault(item.pos, "expected a word of at most 40 small letters and _, such as invalid_phone")
				continue
			}
			c.ReturnReasons = append(c.ReturnReasons, s)
		}
	}
}

// returnWord tells whether s may stand as a reason. No digits: a word never holds a phone number.
func returnWord(s string) bool {
	if s == "" || len(s) > 40 || s[0] == '_' {
		return false
	}
	return strings.Trim(s, "abcdefghijklmnopqrstuvwxyz_") == ""
}
