package engine

import (
	"time"

	"vendue/exchange"
	"vendue/exchange/book"
)

// Return is a buyer's wish, or an operator's for one, to give a sold leg back.
type Return struct {
	LeadID   string
	BidID    string           // "" if one sold leg is meant beyond doubt
	Buyer    exchange.BuyerID // only this buyer's legs; "" for an operator, whom the contract's time does not bind
	Operator exchange.OperatorID
	Reason   exchange.ReturnReason
	Note     string
}

// Returned is what became of a return.
type Returned uint8

// What may become of it.
const (
	ReturnedNow     Returned = iota
	ReturnedBefore           // the leg was given back already; what was said then stands
	ReturnNotFound           // no such lead, or no leg of it with this buyer
	ReturnAmbiguous          // several sold legs, and none named
	ReturnInDoubt            // nobody knows yet whether the leg is sold
	ReturnNotSold            // it is not
	ReturnReason             // the contract takes no return for this reason
	ReturnLate               // the contract's time for returns is over
	ReturnBusy               // the lead is being worked on; try again
	ReturnFailed             // the journal cannot be written
)

var returnedWords = [...]string{"now", "before", "not_found", "ambiguous", "in_doubt", "not_sold", "reason", "late", "busy", "failed"}

// String returns the word that the metrics use.
func (r Returned) String() string {
	if int(r) >= len(returnedWords) {
		return "invalid"
	}
	return returnedWords[r]
}

// Return takes a sold leg back: the buyer owes nothing for it and the seller
// gets nothing. It is once per leg. The leg is nil where none was found.
func (e *Engine) Return(r *Return) (Returned, exchange.LeadView, *exchange.LegView) {
	done, view, leg := e.takeBack(r)
	e.m.returns[done].Inc()
	return done, view, leg
}

func (e *Engine) takeBack(r *Return) (done Returned, view exchange.LeadView, leg *exchange.LegView) {
	if e.enter() != exchange.ReasonNone {
		return ReturnFailed, view, nil
	}
	defer e.leave()
	id, ours := e.deps.Minter.ParseLead(r.LeadID)
	if !ours {
		return ReturnNotFound, view, nil
	}
	release, ok := e.claimBy(book.Claim{Kind: book.ClaimLead, Text: id}, e.Now().Add(time.Second))
	if !ok {
		return ReturnBusy, view, nil
	}
	defer release()
	if e.broken.Load() {
		return ReturnFailed, view, nil // whoever had the claim may have failed to write what the store shows
	}
	if err := e.fold(&view, id, nil); err != nil {
		e.fail(err)
		return ReturnFailed, view, nil
	}
	leg, done = r.leg(&view)
	if done != ReturnedNow {
		return done, view, leg
	}
	ev, done := e.returnOf(r, &view, leg)
	if done != ReturnedNow {
		return done, view, leg
	}
	if settled, after := e.journal(&view, ev, SettledNow); settled == SettledNow {
		return ReturnedNow, after, after.Leg(leg.Attempt)
	}
	return ReturnFailed, view, leg
}

// leg finds the leg that is meant: a sold one goes before one that was given back, and that before any other.
func (r *Return) leg(view *exchange.LeadView) (meant *exchange.LegView, done Returned) {
	number, named := exchange.ParseBidID(r.BidID, view.Facts.PingID)
	if r.BidID != "" && !named {
		return nil, ReturnNotFound
	}
	several := false
	done = ReturnNotFound
	for i := range view.Legs {
		leg := &view.Legs[i]
		if (r.Buyer != "" && leg.Buyer != r.Buyer) || (named && leg.Leg != number) {
			continue
		}
		found := [...]Returned{
			exchange.LegSold: ReturnedNow, exchange.LegReturned: ReturnedBefore, exchange.LegPending: ReturnInDoubt, exchange.LegRejected: ReturnNotSold,
		}[leg.Status]
		switch {
		case meant == nil || rankOf(found) < rankOf(done):
			meant, done, several = leg, found, false
		case found == done:
			several = done == ReturnedNow || done == ReturnedBefore
		}
	}
	if several {
		return nil, ReturnAmbiguous
	}
	return meant, done
}

// rankOf orders what may be found of a leg.
func rankOf(found Returned) int {
	return [...]int{ReturnedNow: 0, ReturnedBefore: 1, ReturnInDoubt: 2, ReturnNotSold: 3, ReturnNotFound: 4}[found]
}

// returnOf makes the event of a return, or says why there is none. A contract
// that the config knows no more takes returns as one that says nothing of them.
func (e *Engine) returnOf(r *Return, view *exchange.LeadView, leg *exchange.LegView) (*exchange.LegGivenBack, Returned) {
	c := e.contractOf(&book.OpenLeg{Contract: leg.Contract, Buyer: leg.Buyer})
	if c == nil {
		c = &exchange.Contract{ReturnWithin: exchange.ReturnWithinDefault}
	}
	if !c.TakesReason(r.Reason) {
		return nil, ReturnReason
	}
	if r.Buyer != "" && e.Now().Sub(time.Unix(0, leg.SoldAt)) > c.ReturnWithin {
		return nil, ReturnLate
	}
	ev := &exchange.LegGivenBack{
		LeadID: view.LeadID, Attempt: leg.Attempt, Campaign: view.Facts.Campaign, Contract: leg.Contract, Buyer: leg.Buyer, Test: view.Facts.Test,
		Bid: leg.Bid, Payout: leg.Payout, Reason: r.Reason, Note: e.deps.Vault.Seal(r.Note), By: exchange.SettledByBuyer, Operator: r.Operator,
		Status: view.StatusWith(leg.Attempt, exchange.LegReturned),
	}
	if r.Buyer == "" {
		ev.By = exchange.SettledByOperator
	}
	if c.ReturnFrees {
		ev.Frees = leg.Holds
	} else {
		ev.Frees = balanceHolds(leg.Holds)
	}
	return ev, ReturnedNow
}
