package gate

import (
	"vendue/exchange"
)

// How likely a ping is to bring a bid.
const (
	chanceSlots  = 128
	chanceLeast  = 300  // answers of a slot before it may count as hopeless
	chanceKept   = 4000 // answers of a slot after which older ones weigh half
	chancePrior  = 20   // the contract's own rate counts as so many answers
	chanceBelow  = exchange.Whole / 100
	exploreOneIn = 50 // of the pings held back, one is sent all the same
)

// chances counts answers and bids by what a lead looks like. Leads that look
// different may share a slot: a hash of 128 values tells no more apart.
type chances struct {
	slots [chanceSlots]struct{ answers, bids uint16 }
	all   struct{ answers, bids uint32 }
	dice  dice
}

func (c *chances) note(slot uint8, bid bool) {
	k := &c.slots[slot]
	k.answers++
	c.all.answers++
	if bid {
		k.bids++
		c.all.bids++
	}
	if k.answers >= chanceKept {
		k.answers, k.bids = k.answers/2, k.bids/2
	}
	if c.all.answers >= chanceSlots*chanceKept {
		c.all.answers, c.all.bids = c.all.answers/2, c.all.bids/2
	}
}

// hopeless tells whether a bid is less likely than below. The slot's rate is
// shrunk towards the contract's, so that a few dozen answers prove nothing.
func (c *chances) hopeless(slot uint8, below exchange.PPM) bool {
	k := &c.slots[slot]
	if k.answers < chanceLeast {
		return false
	}
	if below == 0 {
		below = chanceBelow
	}
	whole := int64(exchange.Whole)
	rate := int64(c.all.bids) * whole / int64(max(c.all.answers, 1))
	return (int64(k.bids)*whole+chancePrior*rate)/(int64(k.answers)+chancePrior) < int64(below)
}

// explore tells whether this ping is sent although it is hopeless.
func (c *chances) explore() bool { return c.dice.oneIn(exploreOneIn) }

// dice picks one in so many. It is no plain count: traffic has periods of its own,
// and a count that falls in with one would never see some of it.
type dice uint32

func (d *dice) oneIn(n uint32) bool {
	*d = *d*1664525 + 1013904223 // a linear congruential generator's usual numbers
	return uint32(*d)>>16%n == 0
}
