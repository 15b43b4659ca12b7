package engine

import (
	"time"

	"vendue/exchange"
	"vendue/exchange/book"
)

// Verdict is somebody's word on an attempt whose outcome is, or was, unknown.
type Verdict struct {
	LeadID   string
	BidID    string           // "" if one leg is meant beyond doubt
	Buyer    exchange.BuyerID // only this buyer's legs; "" for an operator
	Accepted bool
	BuyerRef string
	By       exchange.Settler
	Assumed  bool // nobody said so: it settles an unknown and contradicts no verdict that stands
}

// Settled is what became of a verdict.
type Settled uint8

// What may become of it.
const (
	SettledNow       Settled = iota // the unknown is resolved
	SettledBefore                   // the same verdict stands already
	SettledConflict                 // the opposite one stands; the conflict is journaled
	SettledNotFound                 // no such lead, or no leg of it with this buyer
	SettledAmbiguous                // several legs, and none named
	SettledInFlight                 // the attempt is still being made
	SettledFailed                   // the journal cannot be written
)

// Settle resolves an unknown attempt, or holds a verdict against the one that stands.
func (e *Engine) Settle(v *Verdict) (Settled, exchange.LeadView) {
	if e.enter() != exchange.ReasonNone {
		return SettledFailed, exchange.LeadView{}
	}
	defer e.leave()
	id, ours := e.deps.Minter.ParseLead(v.LeadID)
	if !ours {
		return SettledNotFound, exchange.LeadView{}
	}
	return e.settle(id, v)
}

// settle is Settle for a lead of ours, by someone who has entered.
func (e *Engine) settle(id exchange.LeadID, v *Verdict) (Settled, exchange.LeadView) {
	release, ok := e.claimBy(book.Claim{Kind: book.ClaimLead, Text: id}, e.Now().Add(time.Second))
	if !ok {
		return SettledInFlight, exchange.LeadView{}
	}
	defer release()
	if e.broken.Load() {
		return SettledFailed, exchange.LeadView{} // whoever had the claim may have failed to write what the store shows
	}
	var view exchange.LeadView
	if err := e.fold(&view, id, nil); err != nil {
		e.fail(err)
		return SettledFailed, view
	}
	leg, found := v.leg(&view)
	if leg == nil {
		return found, view
	}
	return e.settleLeg(v, &view, leg)
}

// leg finds the leg that a verdict means; if it is nil, why.
func (v *Verdict) leg(view *exchange.LeadView) (*exchange.LegView, Settled) {
	var meant *exchange.LegView
	number, named := exchange.ParseBidID(v.BidID, view.Facts.PingID)
	if v.BidID != "" && !named {
		return nil, SettledNotFound
	}
	for i := range view.Legs {
		leg := &view.Legs[i]
		if (v.Buyer != "" && leg.Buyer != v.Buyer) || (named && leg.Leg != number) {
			continue
		}
		if meant != nil {
			return nil, SettledAmbiguous
		}
		meant = leg
	}
	return meant, SettledNotFound
}

func (e *Engine) settleLeg(v *Verdict, view *exchange.LeadView, leg *exchange.LegView) (Settled, exchange.LeadView) {
	switch {
	case leg.Unknown:
		settled := &exchange.LegSettled{
			LeadID: view.LeadID, Attempt: leg.Attempt, Accepted: v.Accepted, By: v.By,
			BuyerRef: e.deps.Vault.Seal(v.BuyerRef), Status: view.StatusWith(leg.Attempt, settledAs(v.Accepted)),
		}
		return e.journal(view, settled, SettledNow)
	case v.Assumed && leg.Outcome != exchange.OutcomeNone:
		return SettledBefore, *view
	case leg.Outcome == exchange.OutcomeNone:
		return SettledInFlight, *view
	case (leg.Status == exchange.LegSold || leg.Status == exchange.LegReturned) == v.Accepted:
		return SettledBefore, *view
	case leg.Conflict:
		return SettledConflict, *view
	default:
		e.m.conflict.Inc()
		e.deps.Log.Warn().Stringer("lead_id", view.LeadID).Uint16("attempt", leg.Attempt).Bool("accepted", v.Accepted).
			Stringer("by", v.By).Msg("a verdict contradicts the one that stands")
		return e.journal(view, &exchange.LegConflict{LeadID: view.LeadID, Attempt: leg.Attempt, Accepted: v.Accepted, By: v.By}, SettledConflict)
	}
}

// settledAs is the status of a leg once a verdict stands.
func settledAs(accepted bool) exchange.LegStatus {
	if accepted {
		return exchange.LegSold
	}
	return exchange.LegRejected
}

// journal writes one event of a lead and waits for disk.
func (e *Engine) journal(view *exchange.LeadView, ev exchange.Event, done Settled) (Settled, exchange.LeadView) {
	e.mu.Lock()
	now := e.Now()
	w, err := e.appendLocked(now, ev)
	e.unlock(now)
	if err == nil {
		err = e.wait(w)
	}
	if err != nil {
		return SettledFailed, *view
	}
	view.Apply(exchange.Entry{Seq: w.first, At: now.UnixNano(), Event: ev})
	if settled, ok := ev.(*exchange.LegSettled); ok {
		e.m.settled[settled.By][boolIndex(settled.Accepted)].Inc()
	}
	return done, *view
}
