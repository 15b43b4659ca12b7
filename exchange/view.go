package exchange

// LegStatus is how one leg stands.
type LegStatus uint8

// The statuses.
const (
	LegPending LegStatus = iota
	LegSold
	LegRejected
	LegReturned
)

var legStatusWords = [...]string{"pending", "sold", "rejected", "returned"}

// String returns the word of API.md.
func (s LegStatus) String() string {
	if int(s) >= len(legStatusWords) {
		return "invalid"
	}
	return legStatusWords[s]
}

// LegView is one attempt, as the journal tells it.
type LegView struct {
	PostStarted
	StartedAt   int64 // Unix nanoseconds
	Outcome     Outcome
	Status      LegStatus
	Unknown     bool // ended unknown and is not settled
	Settled     bool
	Conflict    bool // a verdict against the one that stands is on record
	Closed      bool // and someone saw to it
	BuyerRef    Sealed
	RedirectURL Sealed
	SoldAt      int64 // Unix nanoseconds; 0: it never was
	ReturnedAt  int64

	ReturnReason ReturnReason
}

// LeadView is a lead as a fold over its events: what a seller is told of it.
type LeadView struct {
	LeadID    LeadID
	At        int64     // Unix nanoseconds of the first event
	LastSeq   uint64    // of the last event applied
	Facts     LeadFacts // zero until the first event is applied
	Status    LeadStatus
	Reason    Reason
	First     LeadID // with ping_used: the lead that used the ping
	ElapsedMs uint32
	Legs      []LegView // by attempt
}

// Known tells whether the journal holds the lead.
func (v *LeadView) Known() bool { return v.At != 0 }

// Final tells whether nothing is in flight or in doubt.
func (v *LeadView) Final() bool {
	if v.Status == LeadOpen || v.Status == LeadPending {
		return false
	}
	for i := range v.Legs {
		if v.Legs[i].Status == LegPending {
			return false
		}
	}
	return v.Known()
}

// Price sums what the seller gets for the sold legs.
func (v *LeadView) Price() Money {
	var sum Money
	for i := range v.Legs {
		if v.Legs[i].Status == LegSold {
			sum += v.Legs[i].Payout
		}
	}
	return sum
}

// Leg returns the leg of an attempt, nil if there is none.
func (v *LeadView) Leg(attempt uint16) *LegView {
	if attempt == 0 || int(attempt) > len(v.Legs) {
		return nil
	}
	return &v.Legs[attempt-1]
}

// Apply moves the view on by one event of its lead. Events of other kinds or leads leave it as it is.
func (v *LeadView) Apply(e Entry) {
	switch ev := e.Event.(type) {
	case *PostStarted:
		if ev.Lead != nil {
			v.LeadID, v.At, v.Facts = ev.LeadID, e.At, *ev.Lead
		}
		v.Status, v.Reason = LeadOpen, ReasonNone
		v.Legs = append(v.Legs, LegView{PostStarted: *ev, StartedAt: e.At})
	case *LeadRefused:
		v.LeadID, v.At, v.Facts = ev.LeadID, e.At, ev.Lead
		v.Status, v.Reason, v.First, v.ElapsedMs = LeadRejected, ev.Reason, ev.First, ev.ElapsedMs
	case *PostEnded:
		v.applyEnded(e.At, ev)
	case *LegSettled:
		v.applySettled(e.At, ev)
	case *LegGivenBack:
		v.applyReturned(e.At, ev)
	case *LegConflict:
		if leg := v.Leg(ev.Attempt); leg != nil {
			leg.Conflict = true
		}
	case *ConflictClosed:
		if leg := v.Leg(ev.Attempt); leg != nil {
			leg.Closed = true
		}
	default:
		return
	}
	v.LastSeq = e.Seq
}

func (v *LeadView) applyEnded(at int64, ev *PostEnded) {
	leg := v.Leg(ev.Attempt)
	if leg == nil {
		return
	}
	leg.Outcome, leg.BuyerRef, leg.RedirectURL = ev.Outcome, ev.BuyerRef, ev.RedirectURL
	switch ev.Outcome {
	case OutcomeAccepted:
		leg.Status, leg.SoldAt = LegSold, at
	case OutcomeUnknown:
		leg.Unknown = true
	default:
		leg.Status = LegRejected
	}
	v.Status, v.Reason, v.ElapsedMs = ev.Status, ev.LeadReason, ev.ElapsedMs
}

func (v *LeadView) applySettled(at int64, ev *LegSettled) {
	leg := v.Leg(ev.Attempt)
	if leg == nil {
		return
	}
	leg.Unknown, leg.Settled = false, true
	leg.Status = LegRejected
	if ev.Accepted {
		leg.Status, leg.SoldAt = LegSold, at
	}
	if len(ev.BuyerRef) > 0 {
		leg.BuyerRef = ev.BuyerRef
	}
	v.Status, v.Reason = ev.Status, ReasonNone
	if v.Status == LeadRejected {
		v.Reason = ReasonPostRejected
	}
	if v.Status == LeadPending {
		v.Reason = ReasonUnknown
	}
}
