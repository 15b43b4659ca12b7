package api

import (
	"errors"
	"fmt"
	"slices"

	"github.com/valyala/fasthttp"

	"vendue/exchange"
	"vendue/exchange/engine"
	"vendue/exchange/schema"
)

// campaignOf finds the campaign that a body names, if it is this seller's.
func (a *API) campaignOf(c *call, b *body) (*exchange.Campaign, bool) {
	if b.campaign == "" {
		b.missing("campaign")
		a.problem(c.ctx, invalid(b.errors))
		return nil, false
	}
	campaign := c.snap.Market.Campaigns[exchange.CampaignID(b.campaign)]
	if campaign == nil || campaign.Seller != c.principal.Seller {
		a.problem(c.ctx, problem{status: 403, reason: exchange.ReasonAuth, detail: "no such campaign of yours",
			errors: []fieldError{{field: "campaign", text: "expected one of your campaigns"}}})
		return nil, false
	}
	return campaign, true
}

// readPing decodes what ping and direct have in common into req.
func (a *API) readPing(c *call, phase schema.Phase, req *engine.PingRequest) (*body, bool) {
	b, ok := a.decode(c)
	if !ok {
		return nil, false
	}
	campaign, ok := a.campaignOf(c, b)
	if !ok {
		return nil, false
	}
	values := make([]exchange.Value, len(campaign.Vertical.Fields))
	a.readLead(b, campaign.Vertical, phase, values)
	if len(b.errors) > 0 {
		a.problem(c.ctx, invalid(b.errors))
		return nil, false
	}
	*req = engine.PingRequest{
		Snap: c.snap, Campaign: campaign, Arrival: c.arrival, Waited: c.waited, Ref: b.ref, MinPrice: b.minPrice, MaxWait: b.maxWait,
		Sale: b.sale, MaxLegs: b.maxLegs, Test: b.test || c.principal.Test, Source: b.source, Consent: b.consent, Values: values,
	}
	return b, true
}

func (a *API) ping(c *call) {
	req := new(engine.PingRequest)
	if _, ok := a.readPing(c, schema.PhasePing, req); !ok {
		return
	}
	ans := a.engine.Ping(req)
	switch ans.Reason {
	case exchange.ReasonRateLimited, exchange.ReasonOverloaded, exchange.ReasonDraining, exchange.ReasonJournalUnavailable:
		a.problem(c.ctx, requestProblem(ans.Reason))
		return
	}
	out := make([]byte, 0, 512)
	if ans.Quote != nil {
		out = appendQuote(out, &ans, c.snap.Market.Currency.Code, a.engine.Now())
	} else {
		out = appendNoQuote(out, &ans, req.Test)
	}
	a.json(c.ctx, 200, out)
}

func (a *API) direct(c *call) {
	req := new(engine.DirectRequest)
	b, ok := a.readPing(c, schema.PhaseDirect, &req.PingRequest)
	if !ok {
		return
	}
	req.Key, req.Body = b.key, b.text
	ans := a.engine.Direct(req)
	a.tellPost(c, b, &ans)
}

func (a *API) post(c *call) {
	b, ok := a.decode(c)
	if !ok {
		return
	}
	if b.pingID == "" {
		b.missing("ping_id")
	}
	if len(b.errors) > 0 {
		if v, ping, named := a.engine.Quoted(c.principal.Seller.ID, b.pingID, b.bidIDs); v != nil {
			a.readLead(b, v, schema.PhasePost, slices.Clone(ping))
			if !named {
				b.fault("bid_ids", "expected bid_ids of this ping's answer")
			}
		}
		a.problem(c.ctx, invalid(b.errors))
		return
	}
	ans := a.engine.Post(&engine.PostRequest{
		Snap: c.snap, Seller: c.principal.Seller, Arrival: c.arrival, Key: b.key, Body: b.text,
		PingID: b.pingID, BidIDs: b.bidIDs, Consent: b.consent,
		Decode: func(v *exchange.Vertical, ping []exchange.Value) ([]exchange.Value, bool) {
			values := slices.Clone(ping)
			a.readLead(b, v, schema.PhasePost, values)
			return values, len(b.errors) == 0
		},
	})
	a.tellPost(c, b, &ans)
}

// tellPost answers a post or direct.
func (a *API) tellPost(c *call, b *body, ans *engine.PostAnswer) {
	switch ans.Fault {
	case engine.FaultNone:
		a.tellLead(c, &ans.View)
	case engine.FaultReason:
		a.problem(c.ctx, requestProblem(ans.Reason))
	case engine.FaultLead:
		a.problem(c.ctx, invalid(b.errors))
	case engine.FaultBidID:
		b.fault("bid_ids", "expected bid_ids of this ping's answer")
		a.problem(c.ctx, invalid(b.errors))
	case engine.FaultKeyBusy:
		field := "idempotency_key"
		if b.key == "" {
			field = "ping_id"
		}
		c.ctx.Response.Header.Set(fasthttp.HeaderRetryAfter, "1")
		a.problem(c.ctx, problem{status: 409, reason: exchange.ReasonInvalidField, detail: "the same request is in flight; ask again",
			errors: []fieldError{{field: field, text: "in flight"}}})
	case engine.FaultKeyClash:
		a.problem(c.ctx, problem{status: 422, reason: exchange.ReasonInvalidField, detail: "this Idempotency-Key came before with another body",
			errors: []fieldError{{field: "idempotency_key", text: "expected the body it first came with"}}})
	}
}

// tellLead answers with a lead as it stands.
func (a *API) tellLead(c *call, view *exchange.LeadView) {
	out, err := a.appendLead(make([]byte, 0, 512), view)
	if err != nil {
		a.log.Error().Err(err).Stringer("lead_id", view.LeadID).Msg("cannot unseal a lead's redirect")
		a.problem(c.ctx, requestProblem(exchange.ReasonJournalUnavailable))
		return
	}
	status := 200
	if statusOf(view) == exchange.LeadPending {
		status = 202
	}
	a.json(c.ctx, status, out)
}

func (a *API) lead(c *call, id string) {
	view, err := a.engine.Lead(c.principal.Seller.ID, id)
	switch {
	case err != nil:
		a.log.Error().Err(err).Msg("cannot read a lead")
		a.problem(c.ctx, requestProblem(exchange.ReasonJournalUnavailable))
	case !view.Known():
		a.problem(c.ctx, problem{status: 404, reason: exchange.ReasonInvalidField, detail: "no such lead of yours",
			errors: []fieldError{{field: "lead_id", text: "expected the lead_id of one of your leads"}}})
	default:
		a.tellLead(c, &view)
	}
}

// Answer returns the body that the seller of a lead got from /v1/leads/{lead_id}
// after the event seq, which is on disk: whenever it is asked, the same bytes.
func (a *API) Answer(id exchange.LeadID, seq uint64) ([]byte, error) {
	view, err := a.engine.LeadAt(id, seq)
	if err != nil {
		return nil, err
	}
	if !view.Known() {
		return nil, errors.New("the journal tells of no such lead")
	}
	return a.appendLead(make([]byte, 0, 512), &view)
}

// outcome takes a buyer's word on a lead it was sent.
func (a *API) outcome(ctx *fasthttp.RequestCtx) {
	c, ok := a.enter(ctx, fasthttp.MethodPost)
	if !ok {
		return
	}
	if c.principal.Buyer == nil {
		a.problem(ctx, problem{status: 403, reason: exchange.ReasonAuth, detail: "this key is not a buyer's"})
		return
	}
	b, ok := a.decode(c)
	if !ok {
		return
	}
	if b.leadID == "" {
		b.missing("lead_id")
	}
	if b.accepted == nil && !slices.ContainsFunc(b.errors, func(e fieldError) bool { return e.field == "accepted" }) {
		b.errors = append(b.errors, fieldError{field: "accepted", text: "expected true or false", missing: true})
	}
	if len(b.id) > refBytesMax {
		b.fault("id", "expected at most 255 bytes")
	}
	if len(b.errors) > 0 {
		a.problem(ctx, invalid(b.errors))
		return
	}
	a.TellVerdict(ctx, &engine.Verdict{
		LeadID: b.leadID, BidID: b.bidID, Buyer: c.principal.Buyer.ID, Accepted: *b.accepted, BuyerRef: b.id, By: exchange.SettledByBuyer,
	})
}

// TellVerdict settles an attempt by somebody's word and answers with what became of it.
func (a *API) TellVerdict(ctx *fasthttp.RequestCtx, v *engine.Verdict) {
	settled, view := a.engine.Settle(v)
	field := func(status int, name, text string) {
		a.problem(ctx, problem{status: status, reason: exchange.ReasonInvalidField, detail: text, errors: []fieldError{{field: name, text: text}}})
	}
	switch settled {
	case engine.SettledNow, engine.SettledBefore:
		out := append([]byte(nil), `{"lead_id":"`...)
		out = view.LeadID.Append(out)
		out = append(out, `","accepted":`...)
		out = appendBool(out, v.Accepted)
		out = append(out, `,"repeated":`...)
		out = appendBool(out, settled == engine.SettledBefore)
		a.json(ctx, 200, append(out, '}'))
	case engine.SettledConflict:
		field(409, "accepted", "the opposite verdict stands; the conflict is on record")
	case engine.SettledNotFound:
		field(404, "lead_id", "no such lead was sent to you")
	case engine.SettledAmbiguous:
		field(422, "bid_id", "several legs of this lead are yours; expected the bid_id of one")
	case engine.SettledInFlight:
		ctx.Response.Header.Set(fasthttp.HeaderRetryAfter, "1")
		field(409, "lead_id", "the post is still in flight; ask again")
	default:
		reason := a.engine.Ready()
		if reason == exchange.ReasonNone {
			reason = exchange.ReasonOverloaded
		}
		a.problem(ctx, requestProblem(reason))
	}
}

func (a *API) json(ctx *fasthttp.RequestCtx, status int, body []byte) {
	ctx.SetStatusCode(status)
	ctx.SetContentType("application/json")
	ctx.Response.SetBodyRaw(body)
}

// ParsedLead is a ping's or direct's body as the rooms behind the face see it.
type ParsedLead struct {
	Campaign *exchange.Campaign
	Sale     exchange.SaleKind
	Test     bool
	Consent  exchange.Consent
	Values   []exchange.Value // ping fields only
}

// ParseLead reads a ping's or direct's body without a request around it, for explain. Its error names every field at fault.
func ParseLead(m *exchange.Market, text string) (*ParsedLead, error) {
	return parseLead(m, text, schema.PhasePing)
}

// ParseWholeLead is ParseLead for a direct's body: its Values are all fields, personal ones too.
func ParseWholeLead(m *exchange.Market, text string) (*ParsedLead, error) {
	return parseLead(m, text, schema.PhaseDirect)
}

func parseLead(m *exchange.Market, text string, phase schema.Phase) (*ParsedLead, error) {
	b := &body{text: text}
	if err := b.readJSON(); err != nil {
		return nil, err
	}
	campaign := m.Campaigns[exchange.CampaignID(b.campaign)]
	if campaign == nil {
		return nil, errors.New("campaign: expected one of the config's campaigns")
	}
	values := make([]exchange.Value, len(campaign.Vertical.Fields))
	_, faults := b.read(campaign.Vertical, phase, values)
	var texts []error
	for _, e := range append(b.errors, faults...) {
		texts = append(texts, fmt.Errorf("%s: %s", e.field, e.text))
	}
	if len(texts) > 0 {
		return nil, errors.Join(texts...)
	}
	return &ParsedLead{Campaign: campaign, Sale: b.sale, Test: b.test, Consent: b.consent, Values: values}, nil
}
