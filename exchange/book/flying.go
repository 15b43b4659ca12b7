package book

import "vendue/exchange"

// flying counts the attempts in flight by contract. One in doubt is in flight no
// more: nobody waits for its answer. Tests take no place.
type flying map[exchange.ContractID]int

// add counts n more attempts like leg.
func (f flying) add(leg *OpenLeg, n int) {
	if leg.Unknown || leg.Test {
		return
	}
	if f[leg.Contract] += n; f[leg.Contract] == 0 {
		delete(f, leg.Contract)
	}
}

// InFlight returns how many posts to a contract are in flight.
func (b *Book) InFlight(contract exchange.ContractID) int { return b.flying[contract] }
