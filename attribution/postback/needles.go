package postback

import (
	"bytes"
	"regexp"
	"regexp/syntax"
	"strings"
	"unicode/utf8"
)

// rule is a regular expression with words of which a body must hold one before
// it can match. Looking for them first costs a small part of the expression,
// and most answers hold none of a rejection's.
type rule struct {
	re      *regexp.Regexp
	needles [][]byte // in lower case; none: the expression must be asked
}

func newRule(text string) (rule, error) {
	re, err := regexp.Compile(text)
	if err != nil {
		return rule{}, err
	}
	parsed, err := syntax.Parse(text, syntax.Perl)
	if err != nil {
		return rule{}, err
	}
	r := rule{re: re}
	if words := needlesOf(parsed); least(words) > 0 {
		for _, word := range words {
			r.needles = append(r.needles, []byte(word))
		}
	}
	return r, nil
}

// matches asks the rule about a body, which is given in folded case too.
func (r *rule) matches(body, folded []byte) bool {
	possible := len(r.needles) == 0
	for i := 0; i < len(r.needles) && !possible; i++ {
		possible = bytes.Contains(folded, r.needles[i])
	}
	return possible && r.re.Match(body)
}

// fold lowers the case of a body so that every ASCII letter that (?i) would take
// is there: the long s is an s for it too. Of letters beyond ASCII nothing is
// promised: they are no part of a needle.
func fold(body []byte) []byte {
	folded := bytes.ToLower(body)
	if long := []byte("\u017f"); bytes.Contains(folded, long) {
		return bytes.ReplaceAll(folded, long, []byte("s"))
	}
	return folded
}

// needlesOf returns words, in lower case, of which whatever re matches holds
// at least one; none if there are no such words, and of no use if least is 0.
func needlesOf(re *syntax.Regexp) []string {
	switch re.Op {
	case syntax.OpLiteral:
		return []string{string(fold([]byte(string(re.Rune))))}
	case syntax.OpCapture, syntax.OpPlus:
		return needlesOf(re.Sub[0])
	case syntax.OpConcat:
		var best []string
		for _, sub := range re.Sub {
			if words := needlesOf(sub); least(words) > least(best) {
				best = words
			}
		}
		return best
	case syntax.OpAlternate:
		var all []string
		for _, sub := range re.Sub {
			words := needlesOf(sub)
			if least(words) == 0 {
				return nil
			}
			all = append(all, words...)
		}
		return all
	default:
		return nil
	}
}

// least is how long the shortest of words is, 0 of none, and of any that is not
// ASCII: other letters have more than two forms (sigma has three).
func least(words []string) int {
	n := 0
	for i, w := range words {
		if strings.ContainsFunc(w, func(r rune) bool { return r >= utf8.RuneSelf }) {
			return 0
		}
		if i == 0 || len(w) < n {
			n = len(w)
		}
	}
	return n
}
