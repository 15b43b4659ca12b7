package sim

import (
	"math/rand/v2"

	"vendue/exchange"
)

// drawShared makes some of the contracts sell shared, from a random source of
// its own: what else a seed draws stays.
func (p *plan) drawShared(seed uint64) {
	r := rand.New(rand.NewPCG(seed, 0x736861726564))
	if r.IntN(2) == 0 {
		return
	}
	for i := range p.contracts {
		if r.IntN(3) > 0 {
			p.contracts[i].legsMax = 1 + r.IntN(4)
		}
	}
}

// together checks an attempt of a shared sale against the others of its lead: no
// more buyers than the sale allows have it or may have it, and none of them twice.
func (a *audit) together(e exchange.Entry, ev *exchange.PostStarted) {
	if ev.Sale != exchange.SaleShared {
		return
	}
	have := 1
	for _, leg := range a.legs[ev.LeadID] {
		if !leg.taken() {
			continue
		}
		have++
		if leg.started.Buyer == ev.Buyer {
			a.wrong("event %d: lead %s goes to %s, which has it or may have it", e.Seq, ev.LeadID, ev.Buyer)
		}
	}
	if have > 1 {
		a.tally.add("shared by several", 1)
	}
	if have > int(ev.LegsMax) {
		a.wrong("I1: event %d: lead %s goes to %d buyers of %d", e.Seq, ev.LeadID, have, ev.LegsMax)
	}
}
