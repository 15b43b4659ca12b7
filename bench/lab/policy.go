package lab

import (
	"time"

	"vendue/exchange"
	"vendue/exchange/auction"
	"vendue/exchange/book"
)

// Policy is a way to rank bids.
type Policy int

// The policies. Plain is what everybody does; Times is what everybody who thinks
// about it does first; Expected is the exchange's.
const (
	Plain    Policy = iota // the highest bid
	Times                  // the highest bid times accept rate
	Expected               // worth over what a reject leaves, and the best chain of so many attempts
	policies
)

var policyWords = [...]string{"bid", "bid x accept", "expected"}

// String returns the policy's word.
func (p Policy) String() string { return policyWords[p] }

// prior is what is expected of a contract that nobody knows.
var prior = exchange.Odds{Accept: 600_000, Unknown: 10_000, UnknownSold: 500_000, Return: 50_000}

// learner is one policy at work: what it has seen, and what it has earned.
type learner struct {
	policy  Policy
	house   book.Tally
	seen    [contracts]book.Tally
	goOn    book.Tally // after rejects: could another attempt be made
	earned  exchange.Money
	sold    int
	plan    auction.Plan
	chain   []auction.Prospect
	byPlace [contracts]offer
}

// serve sells one lead by the policy.
func (l *learner) serve(m *market, offers []offer, now int64) {
	house := l.house.Odds(prior)
	again := exchange.PPM(0)
	if l.policy == Expected {
		again = l.goOn.Odds(exchange.Odds{Accept: 800_000}).Accept
	}
	l.chain = l.chain[:0]
	for i := range offers {
		o := &offers[i]
		l.byPlace[o.contract] = *o
		p := auction.Prospect{Odds: l.seen[o.contract].Odds(house)}
		p.Contract, p.Place, p.Amount = m.names[o.contract], o.contract, o.bid
		switch l.policy {
		case Plain:
			p.Index = o.bid
		case Times:
			p.Index = p.Odds.Accept.Of(o.bid)
		case Expected:
			p.Index = auction.Index(o.bid, p.Odds, again)
		}
		l.chain = append(l.chain, p)
	}
	auction.Rank(l.chain)
	attempts := min(m.cell.Attempts, len(l.chain))
	if l.policy == Expected {
		attempts = l.plan.Choose(l.chain, attempts, again)
	}
	l.post(m, attempts, now)
}

// post tries the chain in order.
func (l *learner) post(m *market, attempts int, now int64) {
	spent := time.Duration(0)
	for i := range attempts {
		o := &l.byPlace[l.chain[i].Place]
		outcome := exchange.OutcomeRejected
		switch {
		case o.doubtful:
			outcome = exchange.OutcomeUnknown
		case o.takes:
			outcome = exchange.OutcomeAccepted
		}
		for _, t := range [2]*book.Tally{&l.house, &l.seen[o.contract]} {
			t.Ended(now, outcome)
			if o.doubtful {
				t.UnknownSettled(now, o.resolved)
			}
			if o.takes && o.returned {
				t.GivenBack(now)
			}
		}
		if o.takes && !o.returned {
			l.earned += o.bid
			l.sold++
		}
		if outcome != exchange.OutcomeRejected {
			return
		}
		spent += o.took
		inTime := spent+slowPost < m.cell.Wait
		if i+1 < attempts {
			l.goOn.Ended(now, goesOn(inTime))
		}
		if !inTime {
			return
		}
	}
}

func goesOn(yes bool) exchange.Outcome {
	if yes {
		return exchange.OutcomeAccepted
	}
	return exchange.OutcomeRejected
}
