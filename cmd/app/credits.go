package app

import (
	"errors"
	"strings"
	"time"

	"github.com/valyala/fasthttp"

	"vendue/attribution"
	"vendue/exchange"
	"vendue/store"
)

// CreditReport is what was decided of a lead's credit, and why: the answer of GET /api/credits/{lead_id}.
type CreditReport struct {
	LeadID       string           `json:"lead_id"`
	OpenAttempts int              `json:"open_attempts,omitempty"` // not ended, or in doubt: a decision may follow
	Decisions    []CreditDecision `json:"decisions"`               // in the order of the journal
}

// CreditDecision is one decision: what it was about, all that could earn, what
// was dropped and why, the rule, the result and the notices.
type CreditDecision struct {
	Seq         uint64         `json:"seq"`
	Trigger     string         `json:"trigger"`      // sold, accepted, confirmed, reversed, returned
	Of          uint64         `json:"of,omitempty"` // the decision that it completes or takes back
	Leg         uint16         `json:"leg,omitempty"`
	At          time.Time      `json:"at"`
	Seller      string         `json:"seller,omitempty"`
	Buyer       string         `json:"buyer,omitempty"`
	Contract    string         `json:"contract,omitempty"`
	Currency    string         `json:"currency"`
	Revenue     exchange.Money `json:"revenue"`
	Payout      exchange.Money `json:"payout"`
	Event       string         `json:"event,omitempty"`
	EventAmount exchange.Money `json:"event_amount,omitempty"`
	EventClick  string         `json:"event_click_id,omitempty"`
	Touches     []CreditTouch  `json:"touches"` // considered, the strongest evidence first
	Offer       string         `json:"offer,omitempty"`
	Rule        *CreditRule    `json:"rule,omitempty"` // none if no offer's terms were reached
	Result      string         `json:"result"`         // credited, reversed, returned, or the reason why nobody is
	Why         string         `json:"why,omitempty"`  // that reason, in a clause
	Commission  exchange.Money `json:"commission"`
	Credits     []CreditPart   `json:"credits,omitempty"`
	Postbacks   []Postback     `json:"postbacks,omitempty"`
}

// CreditRule is the terms by which a decision was made.
type CreditRule struct {
	Model       string         `json:"model"`
	WindowSec   int64          `json:"window_s"`
	ViewSec     int64          `json:"view_window_s,omitempty"`
	CouponFirst bool           `json:"coupon_first,omitempty"`
	EarnOn      string         `json:"earn_on"`
	RequireSold bool           `json:"require_sold,omitempty"`
	Event       string         `json:"event,omitempty"`
	ConfirmSec  int64          `json:"confirm_window_s,omitempty"`
	Percent     string         `json:"percent,omitempty"` // of what of says
	Of          string         `json:"of,omitempty"`
	FlatAmount  exchange.Money `json:"flat_amount,omitempty"` // the commission, where it is no rate
	PaidBy      string         `json:"paid_by"`
}

// CreditTouch is something that could have earned.
type CreditTouch struct {
	Kind      string     `json:"kind"`     // click, named, view, coupon
	Evidence  string     `json:"evidence"` // click_id, cookie, coupon, name
	At        *time.Time `json:"at,omitempty"`
	Seq       uint64     `json:"seq,omitempty"`
	ClickID   string     `json:"click_id,omitempty"`
	Affiliate string     `json:"affiliate,omitempty"`
	Offer     string     `json:"offer,omitempty"`
	Result    string     `json:"result"` // credited, or why it was dropped
	Why       string     `json:"why,omitempty"`
}

// CreditPart is one affiliate's part.
type CreditPart struct {
	Affiliate    string         `json:"affiliate"`
	Touch        int            `json:"touch"` // its place among the touches, from 0
	Weight       uint64         `json:"weight"`
	ClickID      string         `json:"click_id,omitempty"`
	Amount       exchange.Money `json:"amount"`
	ConversionID string         `json:"conversion_id"`
}

const resultCredited = "credited"

// handleCredits serves what operators ask about credits. It tells whether the path was one of its own.
func (a *App) handleCredits(ctx *fasthttp.RequestCtx, path string, trusted bool) bool {
	if path == "/api/conversions" {
		a.tellConversions(ctx, trusted)
		return true
	}
	text, ok := strings.CutPrefix(path, "/api/credits/")
	if !ok {
		return false
	}
	lead, ok := a.minter.ParseLead(text)
	if !ok {
		a.api.WriteProblem(ctx, fasthttp.StatusNotFound, errNoLead.Error())
		return true
	}
	decided, err := a.attribution.Decided(lead)
	if err != nil {
		a.unreadable(ctx, err)
		return true
	}
	tellJSON(ctx, creditReport(lead, &decided, a.opener(ctx, trusted)))
	return true
}

var errNoLead = errors.New("expected the id of a lead of this house")

// Credit tells of a lead's credit from a store that is open for reading.
func Credit(s *store.Store, text string) (*CreditReport, error) {
	minter, err := exchange.NewMinter(s.IDKey(), 0, func() uint64 { return 0 })
	if err != nil {
		return nil, err
	}
	lead, ok := minter.ParseLead(text)
	if !ok {
		return nil, errNoLead
	}
	decided, err := attribution.DecidedOf(s, space{s.Space("attribution")}, lead)
	if err != nil {
		return nil, err
	}
	return creditReport(lead, &decided, s.Vault()), nil
}

func creditReport(lead exchange.LeadID, d *attribution.Decided, vault exchange.Vault) *CreditReport {
	r := &CreditReport{LeadID: lead.String(), OpenAttempts: d.Open, Decisions: make([]CreditDecision, len(d.Decisions))}
	for i := range d.Decisions {
		r.Decisions[i] = creditDecision(&d.Decisions[i], vault)
	}
	return r
}

func creditDecision(d *attribution.Decision, vault exchange.Vault) CreditDecision {
	out := CreditDecision{
		Seq: d.Seq, Trigger: d.Trigger.String(), Of: d.Of, Leg: d.Attempt, At: time.Unix(0, d.At).UTC(), Seller: string(d.Seller), Buyer: string(d.Buyer),
		Contract: string(d.Contract), Currency: d.Currency, Revenue: d.Revenue, Payout: d.Payout, Event: d.Event, EventAmount: d.EventAmount,
		Offer: string(d.Offer), Touches: make([]CreditTouch, len(d.Touches)),
		Result: d.Uncredited.String(), Why: d.Uncredited.Meaning(), Commission: d.Amount(),
	}
	if d.Credited() {
		if out.Result = resultCredited; d.Trigger == attribution.TriggerReversed || d.Trigger == attribution.TriggerReturned {
			out.Result = d.Trigger.String()
		}
	}
	if rule := d.Rule(); rule.Model != 0 {
		out.Rule = creditRule(&rule)
	}
	if !d.EventClick.IsZero() {
		out.EventClick = d.EventClick.String()
	}
	for i := range d.Touches {
		out.Touches[i] = creditTouch(&d.Touches[i])
	}
	for i := range d.Credits {
		c := &d.Credits[i]
		part := CreditPart{Affiliate: string(c.Affiliate), Touch: c.Touch, Weight: c.Weight, Amount: c.Amount, ConversionID: attribution.ConversionID(&d.Sale, c)}
		if !c.Click.IsZero() {
			part.ClickID = c.Click.String()
		}
		out.Credits = append(out.Credits, part)
	}
	for i := range d.Jobs {
		out.Postbacks = append(out.Postbacks, postbackOf(&d.Jobs[i], vault))
	}
	return out
}

func creditRule(r *attribution.Rule) *CreditRule {
	out := &CreditRule{
		Model: r.Model.String(), WindowSec: r.WindowSec, ViewSec: r.ViewSec, CouponFirst: r.CouponFirst, EarnOn: r.EarnOn.String(),
		RequireSold: r.NeedSold, Event: r.Event, ConfirmSec: r.ConfirmSec, FlatAmount: r.FlatAmount, PaidBy: r.Commission.PaidBy.String(),
	}
	if r.FlatAmount == 0 {
		out.Percent, out.Of = r.Commission.Rate.String(), r.Commission.Of.String()
	}
	return out
}

func creditTouch(t *attribution.Touch) CreditTouch {
	out := CreditTouch{
		Kind: t.Kind.String(), Evidence: t.Evidence.String(), Seq: t.Seq, Affiliate: string(t.Affiliate), Offer: string(t.Offer),
		Result: t.Dropped.String(), Why: t.Dropped.Meaning(),
	}
	if t.Dropped == attribution.WhyNone {
		out.Result = "stands"
	}
	if t.At != 0 {
		at := time.Unix(0, t.At).UTC()
		out.At = &at
	}
	if !t.Click.IsZero() {
		out.ClickID = t.Click.String()
	}
	return out
}
