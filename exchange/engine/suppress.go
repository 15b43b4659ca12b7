package engine

import "vendue/exchange"

// onList tells whether one of the lists names the lead's person. A test is nobody.
func (j *journey) onList(lists []*exchange.Suppression) bool {
	if len(lists) == 0 || j.facts.Test {
		return false
	}
	if j.suspect == nil {
		j.suspect = exchange.SuspectOf(&j.lead)
	}
	return exchange.Suppresses(lists, j.suspect)
}

// neverSold returns the lists of those whom nobody may be sold, as the market has them now.
func (j *journey) neverSold() []*exchange.Suppression {
	if v := j.snap.Market.Verticals[j.campaign.Vertical.ID]; v != nil {
		return v.Suppress
	}
	return j.campaign.Vertical.Suppress
}

// screen notes the candidates from a place on whose buyers must not be sold the
// lead's person, by the lists of the market that the request came with. It looks
// into lists of millions, so the engine's lock is not held.
func (j *journey) screen(from int) {
	if j.script != scriptNone {
		return
	}
	for i := from; i < len(j.candidates); i++ {
		c := &j.candidates[i]
		current := j.snap.Market.ByName[c.contract.ID]
		if current == nil {
			continue // it is passed over for that
		}
		if c.suppressed = j.onList(current.Suppress) || j.onList(current.Buyer.Suppress); c.suppressed {
			j.e.m.suppressed.Inc()
		}
	}
}
