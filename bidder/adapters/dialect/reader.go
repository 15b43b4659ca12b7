package dialect

import (
	"strings"

	"vendue/exchange"
)

// reader is how one phase's answers are read.
type reader struct {
	kind      replyKind
	root      *node
	reject    []rule
	accept    []rule
	price     path
	cents     bool
	fixed     exchange.Money
	bids      *bidsReader
	tokens    []tokenReader
	expiresIn path
	ref       path
	redirect  path
	reason    path
	reasons   []pattern
	known     map[string]struct{} // words that a masked sample may show
}

// bidsReader is how a list of bids is read.
type bidsReader struct {
	price  path
	take   []rule
	tokens []tokenReader
}

type tokenReader struct {
	name     string
	path     path
	optional bool
}

// compileReply compiles how a phase's answer is read.
func (c *compiler) compileReply(from *Reply) reader {
	set := &pathSet{c: c, root: &node{}, max: pathsMax, places: map[string]int{}}
	if from.As != "" {
		at := replySniff
		for i, w := range replyWords {
			if w == from.As {
				at = replyKind(i + 1)
			}
		}
		if at == replySniff {
			c.unknown(from.At, from.As, replyWords, "unknown reply %q", from.As)
		}
		set.kind = at
	}
	r := reader{kind: set.kind, root: set.root, cents: from.Price.Cents}
	reasons := pingReasons
	if c.phase != Ping {
		reasons = postReasons
	}
	r.reject = c.compileRules(set, from.Reject, nil, reasons)
	r.accept = c.compileRules(set, from.Accept, r.reject, nil)
	if len(from.Accept) == 0 {
		c.fault(from.At, "reply: expected accept: at least one rule, or nothing is ever accepted")
	}
	r.price = set.add(from.Price.Path, true)
	r.ref, r.redirect = set.add(from.Ref, false), set.add(from.Redirect, false)
	r.reason, r.reasons = set.add(from.Reason, false), c.patterns(from.Reasons, reasons)
	if len(r.reasons) > 0 && !r.reason.named {
		c.fault(from.Reasons[0].At, "reasons: expected reason: the path of the buyer's word")
	}
	if c.phase == Ping {
		r.tokens = c.compileTokens(set, from.Tokens)
		r.expiresIn = set.add(from.ExpiresIn, true)
		c.compilePrice(&r, from)
		c.compileBids(&r, set, from.Bids)
	} else if len(from.Tokens) > 0 || from.Bids != nil || from.ExpiresIn.Text != "" {
		c.fault(from.At, "tokens, bids and expires_in belong to a ping's reply")
	}
	r.known = knownWords(set.places, from)
	return r
}

// compilePrice checks that a ping's answer can have a price at all.
func (c *compiler) compilePrice(r *reader, from *Reply) {
	p := &from.Price
	switch {
	case p.Fixed.Text != "" && p.Path.Text != "":
		c.fault(p.At, "price: expected a path or fixed, not both")
	case p.Fixed.Text != "":
		k := c.template(p.Fixed, false)
		v := value{places: k.places}
		if !v.constant() {
			c.fault(p.Fixed.At, "fixed: expected an amount, or {var.NAME}")
			return
		}
		m, err := exchange.ParseMoney(string(v.append(nil, nil, escapeNone)))
		if err != nil || m <= 0 {
			c.fault(p.Fixed.At, "fixed: expected an amount above zero")
			return
		}
		r.fixed = m
	case p.Path.Text == "" && from.Bids == nil:
		c.fault(from.At, "reply: expected price: where a ping's answer has the bid")
	}
}

func (c *compiler) compileTokens(set *pathSet, from []Token) (out []tokenReader) {
	for i := range from {
		t := &from[i]
		if !placeName(t.Name) || strings.ContainsAny(t.Name, "|.") {
			c.fault(t.At, "token %q: expected a name of letters, digits, - and _", t.Name)
		}
		if t.Path.Text == "" {
			c.fault(t.At, "token %q: expected the path of its value", t.Name)
		}
		out = append(out, tokenReader{name: t.Name, path: set.add(t.Path, true), optional: t.Optional})
	}
	return out
}

func (c *compiler) compileBids(r *reader, set *pathSet, from *Bids) {
	if from == nil {
		return
	}
	if set.kind == replyForm || set.kind == replyCSV || set.kind == replyText {
		c.fault(from.At, "bids: only JSON and XML hold lists")
		return
	}
	if from.Path.Text == "" || strings.Contains(from.Path.Text, "|") {
		c.fault(from.At, "bids: expected the path of the list, one only")
		return
	}
	inner := &pathSet{c: c, root: &node{}, max: itemPathsMax, places: map[string]int{}, kind: set.kind}
	b := &bidsReader{price: inner.add(from.Price, true), tokens: c.compileTokens(inner, from.Tokens)}
	b.take = c.compileRules(inner, from.Take, nil, nil)
	if from.Price.Text == "" {
		c.fault(from.At, "bids: expected price: the path of the price in one bid")
	}
	n := set.step(from.Path.Text)
	n.each = inner.root
	r.bids = b
	for w := range inner.places {
		set.places[from.Path.Text+"."+w] = 0
	}
}
