package postback

import (
	"bytes"
	"fmt"
	"regexp"
)

// Verdict is what one attempt's answer means.
type Verdict uint8

// The verdicts.
const (
	VerdictNone      Verdict = iota // nothing was tried
	VerdictAccepted                 // the body says that it is taken
	VerdictDuplicate                // the body says that it was taken before
	VerdictRejected                 // the body says no, whatever the status: final
	VerdictUnknown                  // a 2xx whose body no rule knows: taken as done, and counted
	VerdictUnchecked                // a 2xx, and no rules to read its body by
	VerdictRetry                    // the schedule goes on
	VerdictRefused                  // a few more times, then dead
	VerdictGone                     // dead, and so is every job of the notice

	verdictCount
)

var verdictWords = [verdictCount]string{"", "accepted", "duplicate", "rejected", "unknown", "unchecked", "retry", "refused", "gone"}

// String returns the verdict's word.
func (v Verdict) String() string {
	if v >= verdictCount {
		return "invalid"
	}
	return verdictWords[v]
}

// MarshalText returns the word.
func (v Verdict) MarshalText() ([]byte, error) { return []byte(v.String()), nil }

// Rules tell an answer's verdict by its body: regular expressions in Go's
// (RE2's) syntax over its first 16 KiB. Duplicate is asked first, then
// rejected, then accepted. Without any rule a 2xx is unchecked.
type Rules struct{ Accepted, Duplicate, Rejected []string }

const (
	rulesMax     = 32 // of one verdict
	ruleBytesMax = 500
)

// matcher is Rules compiled. nil has none.
type matcher struct {
	accepted, duplicate, rejected []rule
	empty                         *regexp.Regexp
}

// emptyMembers are those of a JSON answer that name an error or a duplicate and say that there is none. They stand in
// acceptances, and the words in them must not be taken for a rejection, which is final, or for a duplicate, which is done.
const emptyMembers = `(?i)"(errors?|(is_?)?duplicated?)"\s*:\s*(null\b|false\b|0\b|""|\[\s*\]|\{\s*\})`

func newMatcher(r Rules) (*matcher, error) {
	m := &matcher{}
	for _, list := range []struct {
		name string
		from []string
		to   *[]rule
	}{{"accepted", r.Accepted, &m.accepted}, {"duplicate", r.Duplicate, &m.duplicate}, {"rejected", r.Rejected, &m.rejected}} {
		if len(list.from) > rulesMax {
			return nil, fmt.Errorf("%s: expected at most %d expressions", list.name, rulesMax)
		}
		for _, text := range list.from {
			re, err := newRule(text)
			if err != nil || len(text) > ruleBytesMax || text == "" {
				return nil, fmt.Errorf("%s: %s: expected a regular expression of at most %d bytes", list.name, quote(text), ruleBytesMax)
			}
			*list.to = append(*list.to, re)
		}
	}
	if len(m.accepted)+len(m.duplicate)+len(m.rejected) == 0 {
		return nil, nil
	}
	var err error
	if m.empty, err = regexp.Compile(emptyMembers); err != nil {
		panic("BUG: " + err.Error())
	}
	return m, nil
}

// judge reads a body.
func (m *matcher) judge(body []byte) Verdict {
	if m == nil {
		return VerdictUnchecked
	}
	folded := fold(body)
	said, saidFolded := m.without(body, folded)
	switch {
	case matches(m.duplicate, said, saidFolded):
		return VerdictDuplicate
	case matches(m.rejected, said, saidFolded):
		return VerdictRejected
	case matches(m.accepted, body, folded):
		return VerdictAccepted
	default:
		return VerdictUnknown
	}
}

// without returns a body, and its folded form, without what says nothing.
func (m *matcher) without(body, folded []byte) (said, saidFolded []byte) {
	if !bytes.Contains(folded, []byte(`"error`)) && !bytes.Contains(folded, []byte("duplicate")) {
		return body, folded
	}
	said = m.empty.ReplaceAllLiteral(body, nil)
	return said, fold(said)
}

func matches(list []rule, body, folded []byte) bool {
	for i := range list {
		if list[i].matches(body, folded) {
			return true
		}
	}
	return false
}

// Judge tells what an answer with this status and body means for the plan's notice.
func (p *Plan) Judge(status int, body []byte) Verdict {
	var m *matcher
	if p != nil {
		m = p.matcher
	}
	v := verdictOf(status, nil)
	switch {
	case v == VerdictUnchecked:
		return m.judge(body)
	case v == VerdictRefused && m.repeats(body):
		return VerdictDuplicate // some trackers say it with a 4xx
	default:
		return v
	}
}

// repeats tells whether a body says that the notice was taken before.
func (m *matcher) repeats(body []byte) bool {
	if m == nil {
		return false
	}
	said, folded := m.without(body, fold(body))
	return matches(m.duplicate, said, folded)
}
