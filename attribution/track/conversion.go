package track

import (
	"crypto/sha256"
	"crypto/subtle"
	"encoding/hex"
	"strings"
	"time"

	"github.com/valyala/fasthttp"

	"vendue/attribution"
	"vendue/exchange"
)

// Decider says what is known of clicks, and what was decided of the events that were told of them.
type Decider interface {
	Click(id exchange.ClickID) (attribution.Known, error)
	Told(id exchange.ClickID, key, body exchange.Fingerprint) (attribution.Verdict, error)
	// Follow waits until all that is in the journal was decided.
	Follow() error
}

// The names under which callers of other trackers say the same things.
var (
	eventNames    = [...]string{"event", "goal", "et", "type"}
	amountNames   = [...]string{"amount", "sum", "sale_amount", "payout"}
	currencyNames = [...]string{"currency", "cur"}
	txidNames     = [...]string{"txid", "order_id", "action_id", "external_id"}
	statusNames   = [...]string{"status"}
	tokenNames    = [...]string{"token", "security_token", "verification_token", "ptoken", "secure"}
)

// outcome is an answer to /conversion.
type outcome uint8

// The outcomes.
const (
	outcomeAccepted outcome = iota
	outcomeDuplicate
	outcomeReversed
	outcomeNoClick
	outcomeForged
	outcomeUnknown
	outcomeLeft
	outcomeNotTaken
	outcomeToken
	outcomeEvent
	outcomeAmount
	outcomeCurrency
	outcomeStatus
	outcomeTxID
	outcomeClash
	outcomeNotTold
	outcomeJournal
	outcomeUndecided

	outcomeCount
)

// outcomeFacts are an outcome's status, what the metric and the answer call it, and what is wrong.
type outcomeFacts struct {
	status        int
	label, detail string
}

func (o outcome) facts() outcomeFacts {
	facts := [outcomeCount]outcomeFacts{
		outcomeAccepted:  {fasthttp.StatusOK, "accepted", ""},
		outcomeDuplicate: {fasthttp.StatusOK, "duplicate", ""},
		outcomeReversed:  {fasthttp.StatusOK, "reversed", ""},
		outcomeNoClick:   {fasthttp.StatusBadRequest, "malformed", "click_id: expected the click id that came with the visit"},
		outcomeForged:    {fasthttp.StatusNotFound, "forged_click", "click_id: no such click"},
		outcomeUnknown:   {fasthttp.StatusNotFound, "unknown_click", "click_id: no such click"},
		outcomeLeft:      {fasthttp.StatusGone, "too_late", "click_id: the click is too old to earn anything"},
		outcomeNotTaken:  {fasthttp.StatusUnprocessableEntity, "not_taken", "this offer does not pay for events; nothing was recorded"},
		outcomeToken:     {fasthttp.StatusUnauthorized, "token", "token: expected the offer's"},
		outcomeEvent:     {fasthttp.StatusUnprocessableEntity, "event", "event: this offer does not pay for it; nothing was recorded"},
		outcomeAmount:    {fasthttp.StatusUnprocessableEntity, "amount", "amount: expected a decimal number of zero or more such as 12.50, with at most 6 places"},
		outcomeCurrency:  {fasthttp.StatusUnprocessableEntity, "currency", "currency: expected that of this exchange"},
		outcomeStatus:    {fasthttp.StatusUnprocessableEntity, "status", "status: expected approved or rejected"},
		outcomeTxID:      {fasthttp.StatusUnprocessableEntity, "txid", "txid: expected at most 255 bytes"},
		outcomeClash:     {fasthttp.StatusConflict, "conflict", "txid: told before with another amount or currency"},
		outcomeNotTold:   {fasthttp.StatusNotFound, "not_told", "txid: this event was never told, so it cannot be taken back"},
		outcomeJournal:   {fasthttp.StatusServiceUnavailable, "journal", "the journal cannot take it now: nothing was recorded; tell it again"},
		outcomeUndecided: {fasthttp.StatusServiceUnavailable, "undecided", "it is being worked on; tell it again, which counts once"},
	}
	return facts[o]
}

// told is an event as a caller tells it.
type told struct {
	click                                         exchange.ClickID
	offer                                         exchange.OfferID // that a picture names; empty: whichever the click is of
	event, txid, amount, currency, status, secret string
	pixel                                         bool
}

// conversion takes an event that an offer's owner tells of a click. Its status
// says what became of it: 200 is recorded, and on disk.
func (t *Tracker) conversion(ctx *fasthttp.RequestCtx) {
	if !ctx.IsGet() && !ctx.IsPost() {
		notAllowed(ctx, "GET, POST")
		return
	}
	ctx.Response.Header.Set(fasthttp.HeaderCacheControl, "no-store")
	read := func(names []string) string {
		v, _ := first(ctx.QueryArgs(), names)
		if v == "" {
			v, _ = first(ctx.PostArgs(), names)
		}
		return v
	}
	c := told{
		event: read(eventNames[:]), txid: read(txidNames[:]), amount: read(amountNames[:]), currency: read(currencyNames[:]),
		status: read(statusNames[:]), secret: read(tokenNames[:]),
	}
	text := read(conversionClickNames[:])
	out, v, key := outcomeNoClick, attribution.Verdict{}, exchange.Fingerprint{}
	if text != "" {
		var genuine bool
		if c.click, genuine = t.deps.Minter.ParseClick(text); genuine {
			out, v, key = t.tell(&c)
		} else {
			out = outcomeForged
		}
	}
	t.met.conversions[out].Inc()
	answer(ctx, out, &v, key)
	if string(ctx.QueryArgs().Peek("compat")) == "200" {
		ctx.SetStatusCode(fasthttp.StatusOK) // for senders that give up on anything else; the body says it all the same
	}
}

func answer(ctx *fasthttp.RequestCtx, out outcome, v *attribution.Verdict, key exchange.Fingerprint) {
	is := out.facts()
	if is.status != fasthttp.StatusOK {
		if is.status == fasthttp.StatusServiceUnavailable {
			ctx.Response.Header.Set(fasthttp.HeaderRetryAfter, "1")
		}
		problem(ctx, is.status, is.detail)
		return
	}
	tellJSON(ctx, struct {
		Result       string `json:"result"`
		ConversionID string `json:"conversion_id"`
		Credited     bool   `json:"credited"`
		Reason       string `json:"reason,omitempty"`
	}{is.label, hex.EncodeToString(key[:]), v.Credited, v.Why.String()})
}

// tell checks an event, has it journaled once, and returns what was decided of it.
func (t *Tracker) tell(c *told) (out outcome, v attribution.Verdict, key exchange.Fingerprint) {
	ev, out := t.check(c)
	if ev == nil {
		return out, v, key
	}
	v, err := t.deps.Decider.Told(ev.ClickID, ev.Key, ev.Body)
	switch {
	case err != nil:
		return outcomeUndecided, v, key
	case ev.Rejected && !v.Known:
		return outcomeNotTold, v, key
	case v.Known && !v.Same && !ev.Rejected:
		return outcomeClash, v, key
	case v.Known && v.Rejected == ev.Rejected, v.Known && !ev.Rejected:
		return outcomeDuplicate, v, ev.Key
	}
	if err := t.deps.Recorder.Record(ev); err != nil {
		t.complain(err)
		return outcomeJournal, v, key
	}
	if err := t.deps.Decider.Follow(); err != nil {
		return outcomeUndecided, v, key
	}
	v, err = t.deps.Decider.Told(ev.ClickID, ev.Key, ev.Body)
	switch {
	case err != nil || !v.Known:
		return outcomeUndecided, v, key
	case ev.Rejected:
		return outcomeReversed, v, ev.Key
	case !v.Same:
		return outcomeClash, v, key // another call was faster, and told it otherwise
	default:
		return outcomeAccepted, v, ev.Key
	}
}

// check holds an event against its click, its offer's terms and its form. ev is nil where out tells what is wrong.
func (t *Tracker) check(c *told) (ev *exchange.Converted, out outcome) {
	s := t.now.Load()
	known, err := t.deps.Decider.Click(c.click)
	switch {
	case err != nil:
		return nil, outcomeUndecided
	case known.Left:
		return nil, outcomeLeft
	case !known.Found:
		return nil, outcomeUnknown
	}
	o, ok := s.offers[known.Offer]
	if !ok || o.terms.EarnOn != exchange.EarnConfirmed || c.offer != "" && c.offer != known.Offer {
		return nil, outcomeNotTaken
	}
	if !c.pixel && !permitted(c.secret, o.confirm.Token, s.affiliates[known.Affiliate]) || c.pixel && !o.confirm.Pixel {
		return nil, outcomeToken
	}
	late := o.windowSec
	if o.terms.NeedSold {
		late += o.terms.ConfirmSec
	}
	amount, fault := exchange.Money(0), error(nil)
	if c.amount != "" {
		amount, fault = exchange.ParseMoney(c.amount)
	}
	switch {
	case t.deps.Clock.Now().Sub(time.Unix(0, known.At)) > time.Duration(late)*time.Second:
		return nil, outcomeLeft
	case c.event != o.terms.Event:
		return nil, outcomeEvent
	case fault != nil || amount < 0:
		return nil, outcomeAmount
	case c.currency != "" && !strings.EqualFold(c.currency, s.currency):
		return nil, outcomeCurrency
	case len(c.txid) > valueBytesMax:
		return nil, outcomeTxID
	}
	rejected := strings.EqualFold(c.status, "rejected")
	if c.status != "" && !rejected && !strings.EqualFold(c.status, "approved") {
		return nil, outcomeStatus
	}
	return &exchange.Converted{
		ClickID: c.click, Event: c.event, Amount: amount, Currency: s.currency, Rejected: rejected, Pixel: c.pixel,
		TxID: t.deps.Vault.Seal(c.txid),
		Key:  t.deps.Vault.Fingerprint("conversion", c.click.String(), c.event, c.txid),
		Body: t.deps.Vault.Fingerprint("conversion body", amount.String(), s.currency),
	}, out
}

// permitted tells whether a secret is the offer's or the affiliate's. It takes as long whatever is wrong with it.
func permitted(secret string, tokens ...[32]byte) bool {
	sum := sha256.Sum256([]byte(secret))
	good := 0
	for i := range tokens {
		unset := subtle.ConstantTimeCompare(tokens[i][:], make([]byte, 32))
		good |= subtle.ConstantTimeCompare(sum[:], tokens[i][:]) &^ unset
	}
	return good == 1
}
