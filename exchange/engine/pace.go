package engine

import (
	"time"

	"vendue/exchange"
)

// evenCaps calls fn with every cap of a contract or buyer that is to be spread
// over its day, and the contract's hours; nil: a buyer's.
func evenCaps(m *exchange.Market, fn func(c *exchange.Cap, hours *exchange.Hours)) {
	for _, contract := range m.Contracts {
		for i := range contract.Caps {
			if contract.Caps[i].Even {
				fn(&contract.Caps[i], &contract.Hours)
			}
		}
	}
	for _, buyer := range m.Buyers {
		for i := range buyer.Caps {
			if buyer.Caps[i].Even {
				fn(&buyer.Caps[i], nil)
			}
		}
	}
}

// planDay plans the day for every cap that is to be spread and has no plan for it yet.
func (e *Engine) planDay(snap *Snapshot) {
	if snap == nil || !snap.paced {
		return
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	now, zone := e.Now(), snap.Market.Zone
	evenCaps(snap.Market, func(c *exchange.Cap, hours *exchange.Hours) {
		var open func(time.Time) bool
		if hours != nil && hours.Set {
			open = func(t time.Time) bool { return hours.Open(t, zone) }
		}
		e.book.Replan(c, now, zone, open)
	})
}

// ahead tells whether a cap of the contract or its buyer is ahead of its day's plan. The engine's lock is held.
func (j *journey) ahead(c *exchange.Contract, now time.Time) bool {
	zone := j.snap.Market.Zone
	for _, caps := range [2][]exchange.Cap{c.Caps, c.Buyer.Caps} {
		for i := range caps {
			if caps[i].Even && caps[i].Counts(now.In(zone).Weekday()) && j.e.book.Ahead(&caps[i], caps[i].Per.Start(now, zone), now) {
				return true
			}
		}
	}
	return false
}

// balanceHolds returns what of a sale's holds was taken of a prepaid balance.
func balanceHolds(holds []exchange.Hold) (out []exchange.Hold) {
	for _, h := range holds {
		if h.Cap.IsBalance() {
			out = append(out, h)
		}
	}
	return out
}

// Balance is how a buyer's prepaid balance stands.
type Balance struct {
	Buyer exchange.BuyerID
	Paid  exchange.Money // all that it ever paid in
	Held  exchange.Money // for posts in flight or in doubt
	Spent exchange.Money
}

// PaidIn says how a payment was taken.
type PaidIn uint8

// The ways. PaidElse: another amount stands as paid in than the caller thinks.
const (
	PaidDone PaidIn = iota
	PaidNobody
	PaidElse
	PaidBelow // more would be taken out than is left
	PaidFailed
)

// Pay adds an amount to a prepaid buyer's balance, or takes it out if it is below
// zero, and returns when that is on disk. If before is not below zero, it is what the
// caller thinks stands as paid in so far: a repeat of the same call then changes nothing.
func (e *Engine) Pay(buyer exchange.BuyerID, amount, before exchange.Money) (Balance, PaidIn, error) {
	if reason := e.enter(); reason != exchange.ReasonNone {
		return Balance{}, PaidFailed, ErrNotReady
	}
	defer e.leave()
	b := e.snap.Load().Market.Buyers[buyer]
	if b == nil || !b.Prepaid {
		return Balance{}, PaidNobody, nil
	}
	id := exchange.BalanceCap(buyer)
	e.mu.Lock()
	stands := Balance{Buyer: buyer, Paid: exchange.Money(max(e.book.Limit(id), 0))}
	held, committed := e.book.Taken(id)
	stands.Held, stands.Spent = exchange.Money(held), exchange.Money(committed)
	next := stands.Paid + amount
	switch {
	case before >= 0 && before != stands.Paid:
		e.mu.Unlock()
		return stands, PaidElse, nil
	case next < stands.Held+stands.Spent || next > balanceMax:
		e.mu.Unlock()
		return stands, PaidBelow, nil
	}
	w, err := e.appendLocked(e.Now(), &exchange.LimitSet{Cap: id, Per: exchange.PerTotal, Unit: exchange.CapSpend, Limit: int64(next)})
	e.mu.Unlock()
	if err == nil {
		err = e.wait(w)
	}
	if err != nil {
		return stands, PaidFailed, err
	}
	stands.Paid = next
	return stands, PaidDone, nil
}

// balanceMax is the most that one buyer may ever have paid in: a billion.
const balanceMax = 1_000_000_000 * exchange.Micro
