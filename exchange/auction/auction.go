// Package auction decides money: what a seller gets for a bid, which bids are
// enough, in which order they win, and whether a lesser bid may still serve a
// promise. It is arithmetic on values.
//
// It never knows a lead, a seller or a cap, never reads a clock, does I/O or
// starts a goroutine; the same bids give the same legs, always.
package auction

import (
	"cmp"
	"slices"
	"time"

	"vendue/exchange"
)

// Terms is what one tier's bids are held against.
type Terms struct {
	Ping      exchange.PingID // seeds the tie-break
	Method    exchange.Method
	Currency  exchange.Currency
	Margin    exchange.Margin    // the house's part, rate at most 100%
	Margins   *exchange.Campaign // whose rules say it by bid and buyer; nil: Margin is that of all
	MarginMin exchange.Margin    // what the house keeps at least when a fallback serves a promise
	Least     exchange.Money     // max(floor, min_price): the least payout
}

// Bid is a buyer's price, or a contract's standing price.
type Bid struct {
	Contract  *exchange.Contract
	Tier      int
	Place     int // in the tier's listed order
	Amount    exchange.Money
	Shared    exchange.Money // of a contract that sells either way: its price for a place among several
	Token     string
	ExpiresIn time.Duration
}

// Leg is a bid that is enough, and what the seller gets for it.
type Leg struct {
	Bid
	Payout exchange.Money
}

// Payout returns what the seller gets for a contract's bid: the bid less the house's
// margin, rounded down to the currency's minor unit, and whether that is
// enough: at least t.Least and more than nothing. The house's part is all the
// rest of the bid. A payout is never negative; a bid that the margin eats up pays 0.
func (t *Terms) Payout(c *exchange.Contract, bid exchange.Money) (payout exchange.Money, ok bool) {
	if bid <= 0 {
		return 0, false
	}
	margin := t.Margin
	if t.Margins != nil {
		margin = t.Margins.MarginFor(c, bid)
	}
	payout = t.Currency.Floor(max(bid-margin.Of(bid), 0))
	return payout, payout > 0 && payout >= t.Least
}

// Clear appends to dst a leg for every bid whose payout is enough, best first.
// The bids that it leaves out are below_floor; Terms.Payout tells what they would have paid.
//
// An earlier tier goes before a later one. Within a tier an auction ranks by
// amount, and equal amounts by a hash of the auction and the contract: no
// contract wins ties more often than another, yet a replay decides alike.
// Priority ranks by place. Clear does not allocate if dst has room.
func Clear(t *Terms, bids []Bid, dst []Leg) []Leg {
	first := len(dst)
	for i := range bids {
		payout, ok := t.Payout(bids[i].Contract, bids[i].Amount)
		if !ok {
			continue
		}
		dst = append(dst, Leg{Bid: bids[i], Payout: payout})
		if len(bids) <= insertMax {
			t.insertLast(dst[first:])
		}
	}
	if len(bids) > insertMax {
		slices.SortFunc(dst[first:], func(a, b Leg) int { return t.compare(&a, &b) })
	}
	return dst
}

// insertMax is the most bids that are put in order as they come. Legs are large,
// and a general sort moves and copies each of a few several times; of many it moves fewer.
const insertMax = 24

// insertLast moves the last of legs, the others of which are in order, to its place.
func (t *Terms) insertLast(legs []Leg) {
	last := len(legs) - 1
	at := last
	for at > 0 && t.compare(&legs[last], &legs[at-1]) < 0 {
		at--
	}
	if at < last {
		leg := legs[last]
		copy(legs[at+1:], legs[at:last])
		legs[at] = leg
	}
}

// Covers tells whether a fallback bid may serve a promise to the seller, who
// is paid exactly what was promised: what is left of the bid must be at least
// the least margin.
func Covers(t *Terms, bid, promised exchange.Money) bool {
	return bid > 0 && bid >= promised && bid-promised >= t.MarginMin.Of(bid)
}

// compare orders legs best first. It is total: two legs of one tier never share a place.
func (t *Terms) compare(a, b *Leg) int {
	if a.Tier != b.Tier {
		return cmp.Compare(a.Tier, b.Tier)
	}
	if t.Method == exchange.MethodAuction {
		if x, y := Weighed(a.Contract, a.Amount), Weighed(b.Contract, b.Amount); x != y {
			return cmp.Compare(y, x)
		}
		if x, y := lot(&t.Ping, a.Contract.ID), lot(&t.Ping, b.Contract.ID); x != y {
			return cmp.Compare(y, x)
		}
	}
	return cmp.Compare(a.Place, b.Place)
}

// lot is the number that a contract draws in an auction's ties: FNV-1a over
// both names, then two rounds of multiply and shift, because FNV leaves the
// high bits, which decide a comparison, too alike for names that differ only at the end.
func lot(ping *exchange.PingID, contract exchange.ContractID) uint64 {
	const offset, prime = 14695981039346656037, 1099511628211
	h := uint64(offset)
	for _, b := range ping {
		h = (h ^ uint64(b)) * prime
	}
	for i := range len(contract) {
		h = (h ^ uint64(contract[i])) * prime
	}
	h = (h ^ h>>33) * 0xff51afd7ed558ccd
	h = (h ^ h>>33) * 0xc4ceb9fe1a85ec53
	return h ^ h>>33
}
