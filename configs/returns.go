package configs

import (
	"regexp"

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
	word := regexp.MustCompile("^[a-z][a-z_]{0,39}$") // no digits: a word never holds a phone number
	for _, item := range items {
		if s, ok := l.text(item); ok {
			if !word.MatchString(s) {
				l.fault(item.pos, "expected a word of at most 40 small letters and _, such as invalid_phone")
				continue
			}
			c.ReturnReasons = append(c.ReturnReasons, s)
		}
	}
}
