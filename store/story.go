package store

import (
	"vendue/exchange"
)

// story follows one lead through its events and says where they cannot have
// happened in that order. It holds I1 (at most one attempt of an exclusive lead
// is accepted, or unknown and unresolved) and I2 (no sale without its
// post_started) over what is on disk.
type story struct {
	lead  exchange.LeadID
	view  exchange.LeadView
	begun bool
	ended []bool // by attempt
	lax   []bool // by attempt: it was unknown under a contract that lets the lead go on
}

func storyOf(lead exchange.LeadID) story { return story{lead: lead} }

// next moves the story on by one event of the lead.
func (t *story) next(e exchange.Entry, r *Report) {
	fault := func(format string, args ...any) {
		r.fault(e.Seq, "lead %s: "+format, append([]any{t.lead}, args...)...)
	}
	switch ev := e.Event.(type) {
	case *exchange.PostStarted:
		t.started(ev, fault)
	case *exchange.LeadRefused:
		if t.begun {
			fault("refused after it had begun")
		}
	case *exchange.PostEnded:
		t.post(ev, fault)
	case *exchange.LegSettled:
		if leg := t.view.Leg(ev.Attempt); leg == nil {
			fault("attempt %d was settled and never started", ev.Attempt)
		} else if !leg.Unknown {
			fault("attempt %d was settled and was not unknown", ev.Attempt)
		}
	case *exchange.LegConflict:
		if t.view.Leg(ev.Attempt) == nil {
			fault("attempt %d has a conflict and never started", ev.Attempt)
		}
	case *exchange.ConflictClosed:
		if leg := t.view.Leg(ev.Attempt); leg == nil || !leg.Conflict || leg.Closed {
			fault("attempt %d had no open conflict to close", ev.Attempt)
		}
	case *exchange.LegGivenBack:
		t.givenBack(ev, fault)
	}
	t.begun = true
	t.view.Apply(e)
	t.invariant(fault)
}

func (t *story) started(ev *exchange.PostStarted, fault func(string, ...any)) {
	if want := len(t.view.Legs) + 1; int(ev.Attempt) != want {
		fault("attempt %d started where attempt %d was next", ev.Attempt, want)
	}
	if (ev.Lead != nil) != (ev.Attempt == 1) {
		fault("attempt %d: the lead's facts belong to attempt 1, and to it alone", ev.Attempt)
	}
	if n := len(t.ended); n > 0 && !t.ended[n-1] && ev.Sale == exchange.SaleExclusive {
		fault("attempt %d of an exclusive lead started while attempt %d was in flight", ev.Attempt, n)
	}
	if t.begun && len(t.view.Legs) == 0 {
		fault("attempt %d started after the lead was refused", ev.Attempt)
	}
	t.ended, t.lax = append(t.ended, false), append(t.lax, false)
}

func (t *story) post(ev *exchange.PostEnded, fault func(string, ...any)) {
	leg := t.view.Leg(ev.Attempt)
	switch {
	case leg == nil:
		fault("attempt %d ended and never started", ev.Attempt)
		return
	case t.ended[ev.Attempt-1]:
		fault("attempt %d ended twice", ev.Attempt)
	case ev.Outcome == exchange.OutcomeNone:
		fault("attempt %d ended without an outcome", ev.Attempt)
	}
	t.ended[ev.Attempt-1] = true
	t.lax[ev.Attempt-1] = ev.Outcome == exchange.OutcomeUnknown && leg.OnUnknown == exchange.OnUnknownContinue
}

// shared checks that a lead never has more buyers than its sale allows, and none twice.
func (t *story) shared(fault func(string, ...any)) {
	have, most := 0, 0
	for i := range t.view.Legs {
		leg := &t.view.Legs[i]
		if leg.Sale != exchange.SaleShared || leg.LegsMax == 0 || leg.Status == exchange.LegRejected {
			continue
		}
		have++
		most = int(leg.LegsMax)
		for k := range i {
			if other := &t.view.Legs[k]; other.Buyer == leg.Buyer && other.Status != exchange.LegRejected {
				fault("buyer %s has attempts %d and %d", leg.Buyer, other.Attempt, leg.Attempt)
			}
		}
	}
	if have > most {
		fault("%d buyers have the lead or may, of %d at most", have, most)
	}
}

func (t *story) givenBack(ev *exchange.LegGivenBack, fault func(string, ...any)) {
	switch leg := t.view.Leg(ev.Attempt); {
	case leg == nil || leg.Status != exchange.LegSold:
		fault("attempt %d was given back and was not sold", ev.Attempt)
	case leg.Bid != ev.Bid || leg.Payout != ev.Payout || leg.Contract != ev.Contract || leg.Buyer != ev.Buyer:
		fault("attempt %d was given back on other terms than it was sold", ev.Attempt)
	case t.view.StatusWith(ev.Attempt, exchange.LegReturned) != ev.Status:
		fault("attempt %d was given back and left the lead %s", ev.Attempt, ev.Status)
	}
}

// invariant checks what must hold after every event.
func (t *story) invariant(fault func(string, ...any)) {
	held, sold := 0, 0
	for i := range t.view.Legs {
		leg := &t.view.Legs[i]
		if leg.Status == exchange.LegSold {
			sold++
		}
		if leg.Sale == exchange.SaleExclusive && !t.lax[i] && (leg.Status == exchange.LegSold || leg.Unknown) {
			held++
		}
	}
	if held > 1 {
		fault("exclusive, and %d attempts are sold or in doubt", held)
	}
	t.shared(fault)
	if t.view.Status == exchange.LeadSold && sold == 0 {
		fault("sold, and no attempt is")
	}
}
