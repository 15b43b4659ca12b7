package engine

import (
	"slices"
	"time"

	"vendue/exchange"
	"vendue/exchange/book"
)

// Doubt is one attempt whose outcome nobody knows.
type Doubt struct {
	LeadID   exchange.LeadID
	PingID   exchange.PingID
	Leg      exchange.LegNo
	Contract exchange.ContractID
	Buyer    exchange.BuyerID
	Bid      exchange.Money
	Since    time.Time // of its post_started
	Conflict bool      // an open conflict stands on another attempt of the lead
}

// Conflict is a verdict against one that stands, which nobody has closed.
type Conflict struct {
	LeadID   exchange.LeadID
	PingID   exchange.PingID
	Leg      exchange.LegNo
	Contract exchange.ContractID
	Buyer    exchange.BuyerID
	Bid      exchange.Money
	Stands   exchange.LegStatus // the verdict that stands
	Accepted bool               // the one that came late
	By       exchange.Settler
	At       time.Time
}

// Doubtful tells how old the oldest attempt in doubt is, 0 if there is none, and how many conflicts are open.
func (e *Engine) Doubtful() (oldest time.Duration, conflicts int) {
	e.mu.Lock()
	since, conflicts := e.book.OldestDoubt(), e.book.OpenConflicts()
	e.mu.Unlock()
	if since != 0 {
		oldest = max(0, e.Now().Sub(time.Unix(0, since)))
	}
	return oldest, conflicts
}

// Doubts returns the attempts in doubt, of tests or of all else, the oldest first
// and at most most of them, and how many there are in all.
func (e *Engine) Doubts(tests bool, most int) (list []Doubt, total int, err error) {
	e.mu.Lock()
	legs := slices.DeleteFunc(e.book.Doubts(), func(l book.OpenLeg) bool { return l.Test != tests })
	conflicts := make(map[exchange.LeadID]bool)
	for _, c := range e.book.Conflicts() {
		conflicts[c.LeadID] = true
	}
	e.mu.Unlock()
	for i := range legs[:min(most, len(legs))] {
		leg := &legs[i]
		view, seen, err := e.attempt(book.LegKey{LeadID: leg.LeadID, Attempt: leg.Attempt})
		if err != nil {
			return nil, 0, err
		}
		if seen == nil {
			continue // not on disk yet
		}
		list = append(list, Doubt{
			LeadID: leg.LeadID, PingID: view.Facts.PingID, Leg: seen.Leg, Contract: leg.Contract, Buyer: leg.Buyer, Bid: leg.Bid,
			Since: time.Unix(0, leg.Since).UTC(), Conflict: conflicts[leg.LeadID],
		})
	}
	return list, len(legs), nil
}

// attempt folds a lead and returns one attempt of it, nil if it is not on disk yet.
func (e *Engine) attempt(key book.LegKey) (view exchange.LeadView, leg *exchange.LegView, err error) {
	if err = e.fold(&view, key.LeadID, nil); err != nil {
		return view, nil, err
	}
	return view, view.Leg(key.Attempt), nil
}

// Conflicts returns the open conflicts, the oldest first and at most most of
// them, and how many there are in all.
func (e *Engine) Conflicts(most int) (list []Conflict, total int, err error) {
	e.mu.Lock()
	open := e.book.Conflicts()
	e.mu.Unlock()
	for _, c := range open[:min(most, len(open))] {
		view, leg, err := e.attempt(c.LegKey)
		if err != nil {
			return nil, 0, err
		}
		if leg == nil {
			continue
		}
		list = append(list, Conflict{
			LeadID: c.LeadID, PingID: view.Facts.PingID, Leg: leg.Leg, Contract: leg.Contract, Buyer: leg.Buyer, Bid: leg.Bid,
			Stands: leg.Status, Accepted: c.Accepted, By: c.By, At: time.Unix(0, c.At).UTC(),
		})
	}
	return list, len(open), nil
}

// Closed is what became of closing a conflict.
type Closed uint8

// What may become of it.
const (
	ClosedNow       Closed = iota
	ClosedBefore           // somebody closed it already
	ClosedNotFound         // no such lead or leg, or no conflict on it
	ClosedAmbiguous        // several conflicts, and none named
	ClosedBusy             // the lead is being worked on; try again
	ClosedFailed           // the journal cannot be written
)

// CloseConflict takes a conflict off the list: someone saw to it. The verdict
// that stood stands. bid is a bid_id, "" if the lead has one conflict.
func (e *Engine) CloseConflict(lead, bid string, operator exchange.OperatorID) Closed {
	if e.enter() != exchange.ReasonNone {
		return ClosedFailed
	}
	defer e.leave()
	id, ours := e.deps.Minter.ParseLead(lead)
	if !ours {
		return ClosedNotFound
	}
	release, ok := e.claimBy(book.Claim{Kind: book.ClaimLead, Text: id}, e.Now().Add(time.Second))
	if !ok {
		return ClosedBusy
	}
	defer release()
	if e.broken.Load() {
		return ClosedFailed
	}
	var view exchange.LeadView
	if err := e.fold(&view, id, nil); err != nil {
		e.fail(err)
		return ClosedFailed
	}
	attempt, found := conflictOf(&view, bid)
	if found != ClosedNow {
		return found
	}
	if done, _ := e.journal(&view, &exchange.ConflictClosed{LeadID: id, Attempt: attempt, Operator: operator}, SettledNow); done != SettledNow {
		return ClosedFailed
	}
	return ClosedNow
}

// conflictOf finds the attempt whose conflict is to be closed; if it is not ClosedNow, why there is none.
func conflictOf(view *exchange.LeadView, bid string) (attempt uint16, found Closed) {
	found = ClosedNotFound
	number, named := exchange.ParseBidID(bid, view.Facts.PingID)
	if bid != "" && !named {
		return 0, found
	}
	for i := range view.Legs {
		leg := &view.Legs[i]
		switch {
		case !leg.Conflict || (named && leg.Leg != number):
		case leg.Closed && found == ClosedNotFound:
			found = ClosedBefore
		case leg.Closed:
		case found == ClosedNow:
			return 0, ClosedAmbiguous
		default:
			attempt, found = leg.Attempt, ClosedNow
		}
	}
	return attempt, found
}

// assumedAtOnce bounds the attempts that one AssumeUnsold settles.
const assumedAtOnce = 1000

// AssumeUnsold settles as unsold a buyer's attempts that are in doubt and were
// started before a time: the rest of a list of what the buyer accepted. It
// returns how many it settled, and how many are left for another call.
func (e *Engine) AssumeUnsold(buyer exchange.BuyerID, before time.Time) (settled, left int, ok bool) {
	e.mu.Lock()
	legs := e.book.Doubts()
	e.mu.Unlock()
	for i := range legs {
		leg := &legs[i]
		if leg.Buyer != buyer || leg.Since >= before.UnixNano() {
			continue
		}
		if settled == assumedAtOnce {
			left++
			continue
		}
		done := e.assumeUnsold(leg)
		switch done {
		case SettledNow:
			settled++
		case SettledInFlight:
			left++
		case SettledFailed:
			return settled, left, false
		}
	}
	return settled, left, true
}

func (e *Engine) assumeUnsold(leg *book.OpenLeg) Settled {
	if e.enter() != exchange.ReasonNone {
		return SettledFailed
	}
	defer e.leave()
	view, seen, err := e.attempt(book.LegKey{LeadID: leg.LeadID, Attempt: leg.Attempt})
	if err != nil {
		e.fail(err)
		return SettledFailed
	}
	if seen == nil {
		return SettledInFlight
	}
	settled, _ := e.settle(leg.LeadID, &Verdict{
		BidID: string(exchange.AppendBidID(nil, view.Facts.PingID, seen.Leg)), By: exchange.SettledByReconciliation, Assumed: true,
	})
	return settled
}
