package sim

import (
	"fmt"
	"strings"
	"time"

	"vendue/exchange"
)

// audit folds the journal once more, from the events alone and by the rules of
// DESIGN.md, without the book: what it finds is a fault of the house.
type audit struct {
	zone    *time.Location
	witness *witness
	tally   *tally
	faults  []string
	steady  bool // nobody set the clock

	contracts map[exchange.ContractID]*contract
	booked    map[string]bool // the buyers' own verdicts, by lead and bid_id

	market   int64 // when the first config was accepted, Unix nanoseconds
	limits   map[exchange.CapID]limit
	used     map[capWindow]*usage
	facts    map[exchange.LeadID]*exchange.LeadFacts
	legs     map[exchange.LeadID][]*auditLeg
	people   map[exchange.Fingerprint][]exchange.LeadID
	attempts int
	tests    int

	settledLast map[string]bool // north's leads that a settlement ended
}

type limit struct {
	per    exchange.Window
	unit   exchange.CapUnit
	most   int64
	set    int64 // Unix nanoseconds
	atOnce bool  // with the first config
}

type capWindow struct {
	id    exchange.CapID
	start int64
}

type usage struct{ held, committed int64 }

type auditLeg struct {
	started exchange.PostStarted
	state   exchange.Outcome // None: in flight
	test    bool
	at      int64
	soldAt  int64

	returned bool
}

// taken tells whether the leg's buyer has the lead, or may.
func (l *auditLeg) taken() bool {
	return l.state != exchange.OutcomeRejected && l.state != exchange.OutcomeNotDelivered
}

func newAudit(w *scene) (*audit, error) {
	zone, err := time.LoadLocation("America/New_York")
	a := &audit{
		zone: zone, witness: w.witness, tally: w.tally, steady: w.steady(),
		contracts: make(map[exchange.ContractID]*contract), booked: make(map[string]bool), settledLast: make(map[string]bool),
		limits: make(map[exchange.CapID]limit), used: make(map[capWindow]*usage),
		facts: make(map[exchange.LeadID]*exchange.LeadFacts), legs: make(map[exchange.LeadID][]*auditLeg),
		people: make(map[exchange.Fingerprint][]exchange.LeadID),
	}
	for i := range w.plan.contracts {
		a.contracts[exchange.ContractID(w.plan.contracts[i].name)] = &w.plan.contracts[i]
	}
	for _, b := range w.buyers {
		for _, r := range b.Receipts() {
			a.booked[legOf(&r)] = r.Accepted
		}
	}
	return a, err
}

func (a *audit) wrong(format string, args ...any) {
	a.faults = append(a.faults, fmt.Sprintf(format, args...))
}

// entry takes the journal's next event.
func (a *audit) entry(e exchange.Entry) {
	switch ev := e.Event.(type) {
	case *exchange.ConfigAccepted:
		if a.market == 0 {
			a.market = e.At
		}
	case *exchange.LimitSet:
		a.limits[ev.Cap] = limit{ev.Per, ev.Unit, ev.Limit, e.At, e.At == a.market}
	case *exchange.LeadRefused:
		a.facts[ev.LeadID] = &ev.Lead
	case *exchange.PostStarted:
		a.started(e, ev)
	case *exchange.PostEnded:
		a.ended(e, ev.LeadID, ev.Attempt, ev.Outcome)
	case *exchange.LegSettled:
		outcome := exchange.OutcomeRejected
		if ev.Accepted {
			outcome = exchange.OutcomeAccepted
		}
		a.settlement(e, ev)
		a.ended(e, ev.LeadID, ev.Attempt, outcome)
		a.last(ev)
	case *exchange.LegGivenBack:
		a.givenBack(e, ev)
	}
}

func (a *audit) started(e exchange.Entry, ev *exchange.PostStarted) {
	a.attempts++
	if ev.Lead != nil {
		a.facts[ev.LeadID] = ev.Lead
	}
	facts := a.facts[ev.LeadID]
	if facts == nil {
		a.wrong("I2: event %d: an attempt of lead %s, which never began", e.Seq, ev.LeadID)
		return
	}
	a.together(e, ev)
	for _, leg := range a.legs[ev.LeadID] {
		if leg.started.Sale == exchange.SaleShared && ev.Sale == exchange.SaleShared {
			continue
		}
		doubt := leg.state == exchange.OutcomeUnknown && leg.started.OnUnknown == exchange.OnUnknownContinue
		if leg.taken() && !doubt {
			a.wrong("I1: event %d: lead %s goes to %s while %s has it or may have it (%s)", e.Seq, ev.LeadID, ev.Contract, leg.started.Contract, leg.state)
		}
	}
	a.legs[ev.LeadID] = append(a.legs[ev.LeadID], &auditLeg{started: *ev, test: facts.Test, at: e.At})
	a.price(e, ev, facts)
	if facts.Test {
		a.tests++
		if len(ev.Holds) > 0 {
			a.wrong("event %d: the test lead %s reserves a cap", e.Seq, ev.LeadID)
		}
		return
	}
	a.person(e, ev, facts)
	a.hold(e, ev, facts)
}

// price checks a leg against what was quoted and bid.
func (a *audit) price(e exchange.Entry, ev *exchange.PostStarted, facts *exchange.LeadFacts) {
	quote, quoted := a.witness.quotes[facts.PingID.String()]
	const floor = 3 * exchange.Micro
	switch {
	case !facts.Direct && quoted && ev.Sale == exchange.SaleExclusive && ev.Payout != quote:
		a.wrong("event %d: leg %d of lead %s pays %s; its quote is %s", e.Seq, ev.Leg, ev.LeadID, ev.Payout, quote)
	case ev.Payout < floor || ev.Payout > ev.Bid:
		a.wrong("event %d: leg %d of lead %s pays %s of a bid of %s", e.Seq, ev.Leg, ev.LeadID, ev.Payout, ev.Bid)
	}
	if bids := a.witness.bids[bidKey{facts.PingID.String(), string(ev.Contract)}]; bids != nil && !bids[ev.Bid] {
		a.wrong("event %d: %s bid %v on ping %s; the leg says %s", e.Seq, ev.Contract, bids, facts.PingID, ev.Bid)
	}
}

// person checks that nobody else has the same person, or may have.
func (a *audit) person(e exchange.Entry, ev *exchange.PostStarted, facts *exchange.LeadFacts) {
	if facts.Person.IsZero() || ev.Lead == nil {
		return
	}
	for _, other := range a.people[facts.Person] {
		for _, leg := range a.legs[other] {
			// Who gave a person back is not sold it again; everybody else may be.
			if leg.taken() && (leg.started.Sale == exchange.SaleExclusive && !leg.returned || leg.started.Buyer == ev.Buyer) {
				a.wrong("event %d: lead %s is sent while lead %s of the same person is %s with %s", e.Seq, ev.LeadID, other, leg.state, leg.started.Contract)
			}
		}
	}
	a.people[facts.Person] = append(a.people[facts.Person], ev.LeadID)
}

// hold checks the caps that an attempt reserves, and those that it should.
func (a *audit) hold(e exchange.Entry, ev *exchange.PostStarted, facts *exchange.LeadFacts) {
	held := make(map[exchange.CapID]bool)
	for _, h := range ev.Holds {
		held[h.Cap] = true
		l := a.limits[h.Cap]
		need := int64(1)
		if l.unit == exchange.CapSpend {
			need = int64(ev.Bid)
		}
		if start := l.per.Start(time.Unix(0, e.At), a.zone); h.Window != start || h.Amount != need {
			a.wrong("I4: event %d: holds %d of %s from %d, want %d from %d", e.Seq, h.Amount, h.Cap, h.Window, need, start)
		}
		u := a.usage(h)
		u.held += h.Amount
		if l.most >= 0 && u.held+u.committed > l.most {
			a.wrong("I4: event %d: cap %s has %d of %d", e.Seq, h.Cap, u.held+u.committed, l.most)
		}
	}
	for id, l := range a.limits {
		owner, _, _ := strings.Cut(strings.TrimSuffix(string(id), "/"+l.unit.String()), "/"+l.per.String())
		concerns := owner == "contract/"+string(ev.Contract) || owner == "buyer/"+string(ev.Buyer) ||
			owner == "campaign/"+string(facts.Campaign) || owner == "seller/"+string(facts.Seller)
		if concerns && l.most >= 0 && !held[id] && (l.atOnce || e.At-l.set > int64(time.Minute)) {
			a.wrong("I4: event %d: the attempt does not count in cap %s", e.Seq, id)
		}
	}
}

func (a *audit) usage(h exchange.Hold) *usage {
	k := capWindow{h.Cap, h.Window}
	if a.used[k] == nil {
		a.used[k] = new(usage)
	}
	return a.used[k]
}

func (a *audit) ended(e exchange.Entry, lead exchange.LeadID, attempt uint16, outcome exchange.Outcome) {
	_, settled := e.Event.(*exchange.LegSettled)
	legs := a.legs[lead]
	if attempt < 1 || int(attempt) > len(legs) {
		a.wrong("I2: attempt %d of lead %s ends and never started", attempt, lead)
		return
	}
	leg := legs[attempt-1]
	if was := leg.state; was != exchange.OutcomeNone && (was != exchange.OutcomeUnknown || !settled) {
		a.wrong("attempt %d of lead %s ends as %s after %s", attempt, lead, outcome, was)
	}
	leg.state, leg.soldAt = outcome, e.At
	if outcome == exchange.OutcomeUnknown || leg.test {
		return
	}
	for _, h := range leg.started.Holds {
		u := a.usage(h)
		u.held -= h.Amount
		if outcome == exchange.OutcomeAccepted {
			u.committed += h.Amount
		}
	}
}

// last notes a settlement that ended a lead of the seller who has a webhook.
func (a *audit) last(ev *exchange.LegSettled) {
	if ev.Status == exchange.LeadOpen || ev.Status == exchange.LeadPending {
		return
	}
	for _, leg := range a.legs[ev.LeadID] {
		if leg.state == exchange.OutcomeNone || leg.state == exchange.OutcomeUnknown {
			return
		}
	}
	if a.facts[ev.LeadID].Seller == "north" {
		a.settledLast[ev.LeadID.String()] = true
	}
}

// done checks what must hold when all has come to rest.
func (a *audit) done() {
	for lead, legs := range a.legs {
		var sold []*auditLeg
		for _, leg := range legs {
			if leg.state == exchange.OutcomeNone {
				a.wrong("an attempt of lead %s with %s never ended", lead, leg.started.Contract)
			}
			if leg.state == exchange.OutcomeAccepted {
				sold = append(sold, leg)
			}
		}
		for i := range sold {
			if i > 0 && sold[i].started.Sale == exchange.SaleExclusive && sold[i-1].started.OnUnknown != exchange.OnUnknownContinue {
				a.wrong("I1: lead %s is sold to %s and to %s", lead, sold[i-1].started.Contract, sold[i].started.Contract)
			}
		}
	}
}
