package attribution

import (
	"fmt"

	"vendue/attribution/postback"
	"vendue/exchange"
)

// Decision is what was decided of a lead, and the notices that it led to.
type Decision struct {
	Sale
	Jobs []postback.Job
}

// Decided is all that attribution knows of a lead.
type Decided struct {
	Decisions []Decision // in the order of the journal
	Open      int        // attempts that have not ended, or are in doubt
}

// DecidedOf finds what was decided of a lead. It reads only, so it may run
// beside the follower, or without one. Nothing is found of a lead of which no
// leg was sold, unless an offer pays for acceptance.
func DecidedOf(journal Journal, space Space, lead exchange.LeadID) (d Decided, err error) {
	a := &Attribution{deps: Deps{Journal: journal, Space: space}}
	sales, err := a.Explain(lead)
	if err != nil {
		return d, fmt.Errorf("cannot read the decisions: %w", err)
	}
	for i := range sales {
		jobs, err := postback.JobsOf(space, sales[i].Seq)
		if err != nil {
			return d, fmt.Errorf("cannot read the postbacks: %w", err)
		}
		d.Decisions = append(d.Decisions, Decision{sales[i], jobs})
	}
	v, ok, err := space.Get(openKey(lead))
	if err != nil || !ok {
		return d, err
	}
	o, err := decodeOpenLead(v)
	if err != nil {
		return d, err
	}
	d.Open = len(o.attempts)
	return d, nil
}

// Decided is DecidedOf over the room's own space.
func (a *Attribution) Decided(lead exchange.LeadID) (Decided, error) {
	return DecidedOf(a.deps.Journal, a.deps.Space, lead)
}
