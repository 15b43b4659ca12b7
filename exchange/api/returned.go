package api

import (
	"strings"

	"github.com/valyala/fasthttp"

	"vendue/exchange"
	"vendue/exchange/engine"
)

const noteBytesMax = 1000

// giveBack takes a sold leg back from its buyer, or from an operator in the buyer's stead.
func (a *API) giveBack(ctx *fasthttp.RequestCtx) {
	c, ok := a.enter(ctx, fasthttp.MethodPost)
	if !ok {
		return
	}
	if c.principal.Buyer == nil && c.principal.Operator == "" {
		a.problem(ctx, problem{status: 403, reason: exchange.ReasonAuth, detail: "this key is neither a buyer's nor an operator's"})
		return
	}
	b, ok := a.decode(c)
	if !ok {
		return
	}
	if b.leadID == "" {
		b.missing("lead_id")
	}
	if b.reason == "" {
		b.missing("reason")
	}
	if len(b.note) > noteBytesMax {
		b.fault("note", "expected at most 1000 bytes")
	}
	if len(b.errors) > 0 {
		a.problem(ctx, invalid(b.errors))
		return
	}
	r := &engine.Return{LeadID: b.leadID, BidID: b.bidID, Operator: c.principal.Operator, Reason: exchange.ReturnReason(b.reason), Note: b.note}
	if c.principal.Buyer != nil {
		r.Buyer = c.principal.Buyer.ID
	}
	done, view, leg := a.engine.Return(r)
	if done == engine.ReturnedNow || done == engine.ReturnedBefore {
		a.json(ctx, 200, appendReturned(nil, &view, leg, done == engine.ReturnedBefore))
		return
	}
	a.tellNoReturn(c, done, leg)
}

// tellNoReturn says why a leg was not taken back.
func (a *API) tellNoReturn(c *call, done engine.Returned, leg *exchange.LegView) {
	field := func(status int, name, text string) {
		a.problem(c.ctx, problem{status: status, reason: exchange.ReasonInvalidField, detail: text, errors: []fieldError{{field: name, text: text}}})
	}
	switch done {
	case engine.ReturnNotFound:
		field(404, "lead_id", "no such lead was sent to you")
	case engine.ReturnAmbiguous:
		field(422, "bid_id", "several legs of this lead can be meant; expected the bid_id of one")
	case engine.ReturnInDoubt:
		field(409, "lead_id", "nobody knows yet whether this leg is sold; say so by /v1/buyers/outcome first")
	case engine.ReturnNotSold:
		field(409, "lead_id", "this leg was not sold")
	case engine.ReturnReason:
		words := exchange.ReturnReasons()
		if known := c.snap.Market.ByName[leg.Contract]; known != nil && len(known.ReturnReasons) > 0 {
			words = known.ReturnReasons
		}
		field(422, "reason", "expected one of "+strings.Join(words, ", "))
	case engine.ReturnLate:
		field(409, "lead_id", "the contract's time for returns is over")
	case engine.ReturnBusy:
		c.ctx.Response.Header.Set(fasthttp.HeaderRetryAfter, "1")
		field(409, "lead_id", "the lead is being worked on; ask again")
	default:
		reason := a.engine.Ready()
		if reason == exchange.ReasonNone {
			reason = exchange.ReasonOverloaded
		}
		a.problem(c.ctx, requestProblem(reason))
	}
}

// appendReturned says what was given back. Price is the buyer's: its own bid.
func appendReturned(dst []byte, v *exchange.LeadView, leg *exchange.LegView, before bool) []byte {
	dst = append(dst, `{"lead_id":"`...)
	dst = v.LeadID.Append(dst)
	dst = append(dst, `","bid_id":"`...)
	dst = exchange.AppendBidID(dst, v.Facts.PingID, leg.Leg)
	dst = append(dst, `","status":"returned","reason":"`...)
	dst = append(dst, leg.ReturnReason...) // a word of a contract's list
	dst = append(dst, `","price":`...)
	dst = leg.Bid.Append(dst)
	dst = append(dst, `,"currency":"`...)
	dst = append(dst, v.Facts.Currency...)
	dst = append(dst, `","repeated":`...)
	return append(appendBool(dst, before), '}')
}
