package adapters

import (
	"errors"
	"net/url"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"vendue/exchange"
	"vendue/exchange/schema"

	"github.com/tidwall/gjson"
)

// native is the format that API.md's "Buyers" fixes.
type native struct {
	vertical *exchange.Vertical
	named    []byte // of a ping, what stands between its id and its contract
}

// pingOpen is what a ping begins with; its id follows, and then named.
const pingOpen = `{"ping_id":"`

func newNative(vertical *exchange.Vertical) *native {
	named := schema.AppendString([]byte(`","vertical":`), string(vertical.ID))
	return &native{vertical: vertical, named: append(named, `,"contract":`...)}
}

// ContentType returns application/json.
func (n *native) ContentType() string { return "application/json" }

// inPing keeps personal fields and those of the post alone out of a ping, whatever the lead it is given holds.
func inPing(f *exchange.Field) bool { return f.Ping != exchange.NeedNot && !f.Personal }

// AppendShared appends both ends of a ping: up to the contract, and from the lead on.
func (n *native) AppendShared(dst []byte, ask *exchange.Ask) []byte {
	dst = ask.PingID.Append(append(dst, pingOpen...))
	dst = append(append(dst, n.named...), `,"lead":`...)
	return append(schema.AppendJSON(dst, ask.Lead, inPing), '}')
}

// AppendPing appends the ping's body.
func (n *native) AppendPing(dst, shared []byte, p *Ping) []byte {
	to := len(pingOpen) + exchange.IDTextBytes + len(n.named)
	dst = schema.AppendString(append(dst, shared[:to]...), string(p.Terms.ID))
	dst = append(dst, `,"tmax_ms":`...)
	dst = strconv.AppendInt(dst, p.Tmax.Milliseconds(), 10)
	dst = append(dst, `,"test":`...)
	dst = strconv.AppendBool(dst, p.Ask.Test)
	dst = append(dst, `,"sale":"`...)
	dst = append(dst, saleOf(p).String()...)
	dst = append(dst, '"')
	return append(dst, shared[to:]...)
}

// saleOf returns the kind of sale a buyer is asked to bid for: its contract's
// own, for the seller's wish may be "any".
func saleOf(p *Ping) exchange.SaleKind {
	if p.Terms.Sale != exchange.SaleAny {
		return p.Terms.Sale
	}
	return p.Ask.Sale
}

// AppendPost appends the body that carries the whole lead.
func (n *native) AppendPost(dst []byte, d *exchange.Delivery, _ time.Time) []byte {
	dst = append(dst, `{"lead_id":"`...)
	dst = d.LeadID.Append(dst)
	dst = append(dst, `","ping_id":"`...)
	dst = d.PingID.Append(dst)
	dst = append(dst, `","bid_id":"`...)
	dst = exchange.AppendBidID(dst, d.PingID, d.Leg)
	dst = append(dst, `","token":`...)
	dst = schema.AppendString(dst, d.Token)
	dst = append(dst, `,"price":`...)
	dst = d.Price.Append(dst)
	dst = append(dst, `,"vertical":`...)
	dst = schema.AppendString(dst, string(n.vertical.ID))
	dst = append(dst, `,"contract":`...)
	dst = schema.AppendString(dst, string(d.Contract.ID))
	dst = append(dst, `,"test":`...)
	dst = strconv.AppendBool(dst, d.Test)
	dst = append(dst, `,"lead":`...)
	dst = schema.AppendJSON(dst, d.Lead, nil)
	dst = append(dst, `,"consent":`...)
	if d.Consent != nil && d.Consent.Given && d.Consent.Raw != "" {
		dst = append(dst, d.Consent.Raw...)
	} else {
		dst = append(dst, '{', '}')
	}
	return append(dst, '}')
}

// buyerError is a Bid that says what was wrong with the answer.
func buyerError(detail string) Bid {
	return Bid{Reason: exchange.ReasonBuyerError, Detail: detail}
}

// ReadPing reads {"bid":..,"token":..,"expires_in":..}. An answer that is not
// exactly understood is a buyer_error: a guess could cost someone money.
func (n *native) ReadPing(r *Reply, terms *exchange.Contract) Bid {
	if r.Status == 204 {
		return Bid{Reason: exchange.ReasonNoBid}
	}
	if r.Status != 200 {
		return buyerError("status " + strconv.Itoa(r.Status) + ": expected 200 or 204")
	}
	got, fault := readObject(r.Body, &pingNames)
	if fault != "" {
		return buyerError(fault)
	}
	bid, token, expires := got[0], got[1], got[2]
	out, fault := readBid(bid, terms.MaxBid)
	if fault != "" {
		return buyerError(fault)
	}
	var shared exchange.Money
	if terms.Sale == exchange.SaleAny && got[3].given {
		if shared, fault = readBid(got[3], terms.MaxBid); fault != "" {
			return buyerError("shared_" + fault)
		}
	}
	if out == 0 && shared == 0 {
		return Bid{Reason: exchange.ReasonNoBid}
	}
	text, ok := textOf(token, TokenBytesMax)
	if !ok {
		return buyerError("token: expected a string of at most 1024 bytes")
	}
	life, ok := readExpiry(expires)
	if !ok {
		return buyerError("expires_in: expected a number of seconds above 0")
	}
	return Bid{Price: out, Shared: shared, Token: strings.Clone(text), ExpiresIn: life}
}

func readBid(v value, maxBid exchange.Money) (exchange.Money, string) {
	if !v.given {
		return 0, "bid: missing"
	}
	bid, err := moneyOf(v)
	switch {
	case err == nil:
	case errors.Is(err, exchange.ErrMoneyPlaces):
		return 0, "bid: expected at most 6 decimal places"
	case errors.Is(err, exchange.ErrMoneyRange):
		return 0, "bid: expected at most 1000000000"
	default:
		return 0, "bid: expected a decimal number such as 12.50"
	}
	if bid < 0 {
		return 0, "bid: expected 0 or more"
	}
	if maxBid > 0 && bid > maxBid {
		return 0, "bid: above the contract's max_bid"
	}
	return bid, ""
}

// moneyOf reads a JSON number or a string that holds one.
func moneyOf(v value) (exchange.Money, error) {
	switch v.kind {
	case gjson.Number, gjson.String:
		return exchange.ParseMoney(v.text)
	default:
		return 0, exchange.ErrMoneySyntax
	}
}

func readExpiry(v value) (time.Duration, bool) {
	if !v.given || v.kind == gjson.Null {
		return 0, true
	}
	seconds, err := moneyOf(v) // micro-units of a second
	if err != nil || seconds <= 0 {
		return 0, false
	}
	return min(time.Duration(min(seconds, exchange.MoneyMax/1000))*time.Microsecond, ExpiresInMax), true
}

// textOf reads a reference: a string, or a number as it was written. Absent and null are "".
func textOf(v value, bytesMax int) (string, bool) {
	switch v.kind {
	case gjson.Null:
		return "", true
	case gjson.String:
		return v.text, len(v.text) <= bytesMax && utf8.ValidString(v.text)
	case gjson.Number:
		return v.text, len(v.text) <= bytesMax
	default:
		return "", false
	}
}

// The fields of the two answers, in the order that their readers take them.
var (
	pingNames = names{"bid", "token", "expires_in", "shared_bid"}
	postNames = names{"accepted", "id", "redirect_url", "price", "reason"}
)

func unknown(detail string) Verdict {
	return Verdict{Outcome: exchange.OutcomeUnknown, Reason: exchange.ReasonBuyerError, Detail: detail}
}

// ReadPost reads {"accepted":..,..} by DESIGN.md's table. Where status and
// body disagree the buyer may have the lead: unknown.
func (n *native) ReadPost(r *Reply, d *exchange.Delivery) Verdict {
	refused := r.Status >= 400 && r.Status < 500 && r.Status != 408
	if !refused && (r.Status < 200 || r.Status > 299) {
		return unknown("status " + strconv.Itoa(r.Status))
	}
	a, fault := readAnswer(r.Body)
	switch {
	case fault != "" && refused:
		return rejected("", "status "+strconv.Itoa(r.Status))
	case fault != "":
		return unknown(fault)
	case refused && a.accepted.kind == gjson.True:
		return unknown("status " + strconv.Itoa(r.Status) + " refuses, body accepts")
	case refused:
		return rejected(a.reason.text, "status "+strconv.Itoa(r.Status))
	case a.accepted.kind == gjson.True:
		return a.accept(d)
	case a.accepted.kind == gjson.False:
		return rejected(a.reason.text, "refused")
	default:
		return unknown("accepted: expected true or false")
	}
}

func rejected(reason, detail string) Verdict {
	v := Verdict{Outcome: exchange.OutcomeRejected, Reason: exchange.ReasonPostRejected, Detail: detail}
	if strings.EqualFold(reason, "duplicate") {
		v.Reason = exchange.ReasonDuplicate
	}
	return v
}

// answer is a post's reply, field by field, before anyone judges it.
type answer struct {
	accepted, id, redirect, price, reason value
}

func readAnswer(body []byte) (answer, string) {
	got, fault := readObject(body, &postNames)
	return answer{accepted: got[0], id: got[1], redirect: got[2], price: got[3], reason: got[4]}, fault
}

// accept turns a readable accept into a verdict. The buyer has the lead: what
// else it says badly is dropped and told, and takes nothing back.
func (a *answer) accept(d *exchange.Delivery) Verdict {
	v := Verdict{Outcome: exchange.OutcomeAccepted}
	if id, ok := textOf(a.id, RefBytesMax); ok {
		v.Ref = strings.Clone(id)
	} else {
		v.Detail = "id: expected a string of at most 256 bytes"
	}
	if a.redirect.given && a.redirect.kind != gjson.Null && (a.redirect.kind != gjson.String || a.redirect.text != "") {
		v.RedirectURL, v.RedirectDropped = readRedirect(a.redirect)
	}
	if a.price.given && a.price.kind != gjson.Null {
		price, err := moneyOf(a.price)
		v.PriceChanged = err != nil || price != d.Price
	}
	return v
}

func readRedirect(v value) (text string, dropped bool) {
	if v.kind != gjson.String || len(v.text) > RedirectBytesMax {
		return "", true
	}
	u, err := url.Parse(v.text)
	if err != nil || (u.Scheme != "http" && u.Scheme != "https") || u.Hostname() == "" {
		return "", true
	}
	return strings.Clone(v.text), false
}

// ReadStatus reads {"accepted":true|false,"id":".."} of a 200. A 404 is no
// verdict: the buyer may not have looked at the post yet.
func (n *native) ReadStatus(r *Reply) exchange.Finding {
	if r.Status != 200 {
		return exchange.Finding{Detail: "status " + strconv.Itoa(r.Status) + ": expected 200"}
	}
	a, fault := readAnswer(r.Body)
	switch {
	case fault != "":
		return exchange.Finding{Detail: fault}
	case a.accepted.kind != gjson.True && a.accepted.kind != gjson.False:
		return exchange.Finding{Detail: "accepted: expected true or false"}
	}
	f := exchange.Finding{Known: true, Accepted: a.accepted.kind == gjson.True}
	if id, ok := textOf(a.id, RefBytesMax); ok {
		f.BuyerRef = strings.Clone(id)
	}
	return f
}
