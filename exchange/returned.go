package exchange

import (
	"slices"
	"time"
)

// ReturnWithinDefault is how long after a sale a contract takes returns that says nothing of it.
const ReturnWithinDefault = 30 * 24 * time.Hour

// ReturnReason says in one word why a buyer gave a leg back.
type ReturnReason string

// ReturnReasons are the words that a contract takes if it names none of its own.
func ReturnReasons() []string {
	return []string{
		"disconnected", "duplicate", "fake", "incomplete", "invalid_address", "invalid_email", "invalid_phone", "no_consent", "no_contact", "no_intent",
		"not_interested", "opted_out", "other", "out_of_area", "suppressed", "underage", "wrong_number", "wrong_person", "wrong_vertical",
	}
}

// TakesReason tells whether a contract takes a return for a reason.
func (c *Contract) TakesReason(reason ReturnReason) bool {
	words := c.ReturnReasons
	if len(words) == 0 {
		words = ReturnReasons()
	}
	return slices.Contains(words, string(reason))
}

// LegGivenBack says that a buyer gave a sold leg back: it pays nothing for it,
// and the seller gets nothing. It names what it takes back, so that folds need no look-up.
type LegGivenBack struct {
	LeadID   LeadID       `json:"lead_id"`
	Attempt  uint16       `json:"attempt"`
	Campaign CampaignID   `json:"campaign"`
	Contract ContractID   `json:"contract"`
	Buyer    BuyerID      `json:"buyer"`
	Test     bool         `json:"test,omitempty"`
	Bid      Money        `json:"bid"`    // the buyer need not pay
	Payout   Money        `json:"payout"` // the seller does not get
	Reason   ReturnReason `json:"reason"`
	Note     Sealed       `json:"note,omitempty"`
	By       Settler      `json:"by"`                 // buyer or operator
	Operator OperatorID   `json:"operator,omitempty"` // who, if an operator
	Frees    []Hold       `json:"frees,omitempty"`    // what its caps get back, in the windows that it counts in
	Status   LeadStatus   `json:"status"`             // of the lead, after it
}

// Kind returns the event's kind.
func (*LegGivenBack) Kind() EventKind { return KindLegReturned }

// StatusWith returns how the lead stands if the leg of an attempt has a status: sold if any leg
// is, else pending if any may be, else returned if any was sold.
func (v *LeadView) StatusWith(attempt uint16, status LegStatus) LeadStatus {
	var any [LegReturned + 1]bool
	for i := range v.Legs {
		if leg := &v.Legs[i]; leg.Attempt != attempt {
			any[leg.Status] = true
		}
	}
	any[status] = true
	switch {
	case any[LegSold]:
		return LeadSold
	case any[LegPending]:
		return LeadPending
	case any[LegReturned]:
		return LeadReturned
	default:
		return LeadRejected
	}
}

func (v *LeadView) applyReturned(at int64, ev *LegGivenBack) {
	leg := v.Leg(ev.Attempt)
	if leg == nil {
		return
	}
	leg.Status, leg.ReturnedAt, leg.ReturnReason = LegReturned, at, ev.Reason
	v.Status, v.Reason = ev.Status, ReasonNone
}
