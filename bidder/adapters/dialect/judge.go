package dialect

import (
	"errors"
	"net/url"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"vendue/bidder/adapters"
	"vendue/exchange"
)

// ruling is what the rules say of an answer.
type ruling uint8

const (
	rulingNone ruling = iota
	rulingReject
	rulingAccept
)

// usual tells whether a rule that names no HTTP status may decide: a body that
// comes with a server's fault is nobody's word.
func usual(status int) bool { return status >= 200 && status <= 299 }

// refuses tells whether the status itself refuses.
func refuses(status int) bool { return status >= 400 && status <= 499 && status != 408 }

// judge goes through the rules in turn. Of an answer that could not be read
// only rules about the HTTP status count.
func (r *reader) judge(doc *document, status int, fault string) (ruling, *rule) {
	for i := range r.reject {
		rule := &r.reject[i]
		if fault != "" && rule.tests || len(rule.http) == 0 && !usual(status) && !refuses(status) {
			continue
		}
		if rule.holds(status, doc.values[:], doc.body) {
			return rulingReject, rule
		}
	}
	for i := range r.accept {
		rule := &r.accept[i]
		if fault != "" && (rule.tests || doc.body != "") || len(rule.http) == 0 && !usual(status) {
			continue
		}
		if rule.holds(status, doc.values[:], doc.body) {
			return rulingAccept, rule
		}
	}
	return rulingNone, nil
}

// reasonOf returns our word for a refusal.
func (r *reader) reasonOf(doc *document, by *rule, otherwise exchange.Reason) exchange.Reason {
	if by != nil && by.reason != exchange.ReasonNone {
		return by.reason
	}
	if r.reason.body {
		return r.wordFor(doc.body, otherwise)
	}
	for _, at := range r.reason.leaves {
		if word := r.wordFor(doc.values[at].text, exchange.ReasonNone); word != exchange.ReasonNone {
			return word
		}
	}
	return otherwise
}

func (r *reader) wordFor(text string, otherwise exchange.Reason) exchange.Reason {
	for i := range r.reasons {
		if text != "" && r.reasons[i].matches(text) {
			return r.reasons[i].reason
		}
	}
	return otherwise
}

// ReadPing reads a ping's answer. What fits no rule is a buyer_error: a guess could cost someone money.
func (f *Format) ReadPing(reply *adapters.Reply, terms *exchange.Contract) adapters.Bid {
	r := &f.phases[Ping].reader
	doc := takeDocument()
	defer doc.release()
	fault := r.read(reply.Body, doc)
	switch ruled, by := r.judge(doc, reply.Status, fault); {
	case ruled == rulingReject:
		return adapters.Bid{Reason: r.reasonOf(doc, by, exchange.ReasonNoBid), Detail: by.text, Rule: by.text}
	case ruled == rulingAccept:
		return r.bid(doc, by, terms)
	case reply.Status == 204:
		return adapters.Bid{Reason: exchange.ReasonNoBid, Detail: "http 204"}
	case !usual(reply.Status):
		return r.buyerError("status "+strconv.Itoa(reply.Status), doc)
	case fault != "":
		return r.buyerError(fault, doc)
	case doc.body == "":
		return r.buyerError(faultEmpty, doc)
	default:
		return r.buyerError("fits no rule", doc)
	}
}

// buyerError is the bid of an answer that makes no sense, with a masked sample of it.
func (r *reader) buyerError(detail string, doc *document) adapters.Bid {
	if doc.body != "" {
		detail += ": " + mask(doc.body, r.known)
	}
	return adapters.Bid{Reason: exchange.ReasonBuyerError, Detail: detail}
}

// bid reads the price and tokens of an accepted ping.
func (r *reader) bid(doc *document, by *rule, terms *exchange.Contract) adapters.Bid {
	out := adapters.Bid{Rule: by.text}
	var fault string
	var chosen *item
	switch {
	case r.bids != nil && doc.listed && (len(doc.items) > 0 || !r.priceThere(doc)):
		out.Price, chosen, fault = r.best(doc, terms.MaxBid)
	case r.fixed > 0:
		out.Price = r.fixed
	default:
		out.Price, fault = r.money(r.price.of(doc.values[:]), terms.MaxBid)
	}
	if fault != "" {
		return r.buyerError(fault, doc)
	}
	if out.Price == 0 {
		return adapters.Bid{Reason: exchange.ReasonNoBid, Detail: "accepted without a price above 0", Rule: by.text}
	}
	if out.Token, fault = r.pack(doc, chosen); fault != "" {
		return r.buyerError(fault, doc)
	}
	if v := r.expiresIn.of(doc.values[:]); v.there() {
		seconds, ok := readMoney(v.text) // micro-units of a second
		if !ok || seconds <= 0 {
			return r.buyerError("expires_in: expected a number of seconds above 0", doc)
		}
		out.ExpiresIn = min(time.Duration(min(seconds, exchange.MoneyMax/1000))*time.Microsecond, adapters.ExpiresInMax)
	}
	return out
}

// priceThere tells whether an answer has a price beside its list of bids.
func (r *reader) priceThere(doc *document) bool {
	v := r.price.of(doc.values[:])
	return v.there() || r.fixed > 0
}

// best returns the highest bid of a list that we may take.
func (r *reader) best(doc *document, maxBid exchange.Money) (price exchange.Money, chosen *item, fault string) {
	for i := range doc.items {
		it := &doc.items[i]
		if !r.bids.takes(it) {
			continue
		}
		m, wrong := r.money(r.bids.price.of(it[:]), maxBid)
		if wrong != "" {
			fault = "bids: " + wrong
			continue
		}
		if m > price {
			price, chosen = m, it
		}
	}
	if price > 0 {
		fault = ""
	}
	return price, chosen, fault
}

func (b *bidsReader) takes(it *item) bool {
	for i := range b.take {
		if !b.take[i].holds(200, it[:], "") {
			return false
		}
	}
	return true
}

// money reads a price: a number, or a string that holds one.
func (r *reader) money(v found, maxBid exchange.Money) (exchange.Money, string) {
	switch {
	case v.kind <= isNull || v.text == "":
		return 0, "price: missing"
	case v.kind != isText && v.kind != isNumeric:
		return 0, "price: expected a decimal number such as 12.50"
	}
	m, ok := readMoney(v.text)
	if !ok {
		return 0, "price: expected a decimal number such as 12.50"
	}
	if r.cents {
		m /= 100
	}
	switch {
	case m < 0:
		return 0, "price: expected 0 or more"
	case maxBid > 0 && m > maxBid:
		return 0, "price: above the contract's max_bid"
	}
	return m, ""
}

// readMoney reads a decimal number, perhaps with a $ before it. What a float
// left behind the sixth place is cut off: never more than was bid.
func readMoney(s string) (exchange.Money, bool) {
	s = strings.TrimPrefix(strings.TrimSpace(s), "$")
	m, err := exchange.ParseMoney(s)
	if errors.Is(err, exchange.ErrMoneyPlaces) {
		m, err = exchange.ParseMoney(s[:strings.IndexByte(s, '.')+7])
	}
	return m, err == nil
}

// pack makes one string of a bid's tokens.
func (r *reader) pack(doc *document, chosen *item) (packed, fault string) {
	var room [adapters.TokenBytesMax]byte
	out := room[:0]
	add := func(tokens []tokenReader, values []found) {
		for i := range tokens {
			t := &tokens[i]
			v := t.path.of(values)
			if t.path.body {
				v = found{text: doc.body, kind: isText}
			}
			switch ok := v.there() && (v.kind == isText || v.kind == isNumeric); {
			case !ok && t.optional:
				continue
			case !ok:
				fault = "token " + t.name + ": missing"
				return
			case len(out)+len(t.name)+len(v.text)+2 > adapters.TokenBytesMax:
				fault = "tokens: expected at most 1024 bytes"
				return
			case !printable(v.text):
				fault = "token " + t.name + ": expected printable text"
				return
			}
			if len(out) > 0 {
				out = append(out, tokenSeparator)
			}
			out = append(append(append(out, t.name...), '='), v.text...)
		}
	}
	add(r.tokens, doc.values[:])
	if r.bids != nil && chosen != nil && fault == "" {
		add(r.bids.tokens, chosen[:])
	}
	return string(out), fault
}

func printable(s string) bool {
	for i := range len(s) {
		if s[i] < ' ' || s[i] == 0x7f {
			return false
		}
	}
	return utf8.ValidString(s)
}

// ReadPost reads a post's answer by DESIGN.md's table: the contract's own rules
// first, then the status; where neither is clear the buyer may have the lead.
func (f *Format) ReadPost(reply *adapters.Reply, d *exchange.Delivery) adapters.Verdict {
	r := &f.phases[Post].reader
	doc := takeDocument()
	defer doc.release()
	fault := r.read(reply.Body, doc)
	switch ruled, by := r.judge(doc, reply.Status, fault); {
	case ruled == rulingReject:
		return adapters.Verdict{Outcome: exchange.OutcomeRejected, Reason: r.reasonOf(doc, by, exchange.ReasonPostRejected), Detail: by.text, Rule: by.text}
	case ruled == rulingAccept:
		return r.accepted(doc, by, d)
	case refuses(reply.Status) && r.acceptsBody(doc, fault):
		return r.unknown("status "+strconv.Itoa(reply.Status)+" refuses, body accepts", doc)
	case refuses(reply.Status):
		return adapters.Verdict{
			Outcome: exchange.OutcomeRejected, Reason: r.reasonOf(doc, nil, exchange.ReasonPostRejected), Detail: "status " + strconv.Itoa(reply.Status),
		}
	case !usual(reply.Status):
		return r.unknown("status "+strconv.Itoa(reply.Status), doc)
	case fault != "":
		return r.unknown(fault, doc)
	default:
		return r.unknown("fits no rule", doc)
	}
}

// acceptsBody tells whether the body alone would have been an accept.
func (r *reader) acceptsBody(doc *document, fault string) bool {
	for i := range r.accept {
		if rule := &r.accept[i]; fault == "" && rule.tests && len(rule.http) == 0 && rule.holds(200, doc.values[:], doc.body) {
			return true
		}
	}
	return false
}

// unknown is the verdict of an answer that does not tell. A buyer's id in it helps to find out.
func (r *reader) unknown(detail string, doc *document) adapters.Verdict {
	return adapters.Verdict{Outcome: exchange.OutcomeUnknown, Reason: exchange.ReasonBuyerError, Detail: detail, Ref: r.refOf(doc)}
}

func (r *reader) refOf(doc *document) string {
	v := r.ref.of(doc.values[:])
	if !v.there() || v.kind == isTable || len(v.text) > adapters.RefBytesMax || !printable(v.text) {
		return ""
	}
	return strings.Clone(v.text)
}

// accepted turns a readable accept into a verdict. The buyer has the lead: what
// else it says badly is dropped and told, and takes nothing back.
func (r *reader) accepted(doc *document, by *rule, d *exchange.Delivery) adapters.Verdict {
	v := adapters.Verdict{Outcome: exchange.OutcomeAccepted, Ref: r.refOf(doc), Rule: by.text}
	if to := r.redirect.of(doc.values[:]); to.there() {
		v.RedirectURL, v.RedirectDropped = redirect(to)
	}
	if price := r.price.of(doc.values[:]); price.there() {
		m, fault := r.money(price, 0)
		v.PriceChanged = fault != "" || m != d.Price
	}
	return v
}

func redirect(v found) (text string, dropped bool) {
	if v.kind != isText || len(v.text) > adapters.RedirectBytesMax {
		return "", true
	}
	u, err := url.Parse(v.text)
	if err != nil || (u.Scheme != "http" && u.Scheme != "https") || u.Hostname() == "" {
		return "", true
	}
	return strings.Clone(v.text), false
}

// ReadStatus reads what a buyer says of an earlier post. What fits no rule is no verdict.
func (f *Format) ReadStatus(reply *adapters.Reply) exchange.Finding {
	p := f.phases[Status]
	if p == nil {
		return exchange.Finding{Detail: "the format has no status"}
	}
	doc := takeDocument()
	defer doc.release()
	fault := p.reader.read(reply.Body, doc)
	ruled, by := p.reader.judge(doc, reply.Status, fault)
	if ruled == rulingNone {
		return exchange.Finding{Detail: "status " + strconv.Itoa(reply.Status) + ": fits no rule"}
	}
	return exchange.Finding{Known: true, Accepted: ruled == rulingAccept, BuyerRef: p.reader.refOf(doc), Detail: by.text}
}
