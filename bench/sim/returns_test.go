package sim

import (
	"context"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"time"

	"vendue/bench/house"
	"vendue/bench/world"
	"vendue/exchange"
)

// drawReturns picks what contracts take back, from a random source of its own.
func (p *plan) drawReturns(seed uint64) {
	r := rand.New(rand.NewPCG(seed, 0x72657475726e))
	for i := range p.contracts {
		c := &p.contracts[i]
		c.frees = r.IntN(2) == 0
		if r.IntN(3) == 0 {
			c.within = time.Duration(1+r.IntN(withinMaxSec)) * time.Second
		}
	}
}

// withinMaxSec is the longest of the short times for returns, in seconds. A
// contract that has none takes them longer than any run lasts.
const withinMaxSec = 8

func (c *contract) returnLines() []string {
	lines := []string{fmt.Sprintf("return_frees: %t", c.frees)}
	if c.within > 0 {
		lines = append(lines, fmt.Sprintf("return_within: %s", c.within))
	}
	return lines
}

// returner has the buyers, and now and then the operator, give legs back: sold
// ones and others, in time and late, twice, at once, and another buyer's.
//
// mu guards given, first, open and faults.
type returner struct {
	buyers map[string]*world.Buyer
	client *world.Client
	tally  *tally
	random *rand.Rand // of the one goroutine that asks

	mu     sync.Mutex
	given  map[string]bool // legs of which an answer said that they are given back
	first  map[string]bool // and not that they were before
	open   map[string]bool // legs of which a request may have been taken
	faults []string
}

func newReturner(w *scene) *returner {
	return &returner{
		buyers: w.buyers, client: w.callers, tally: w.tally, random: rand.New(rand.NewPCG(w.plan.seed, 7)),
		given: make(map[string]bool), first: make(map[string]bool), open: make(map[string]bool),
	}
}

func (g *returner) fault(format string, args ...any) {
	g.mu.Lock()
	g.faults = append(g.faults, fmt.Sprintf(format, args...))
	g.mu.Unlock()
}

// run gives legs back until ctx ends.
func (g *returner) run(ctx context.Context, names []string) {
	var flight sync.WaitGroup
	defer flight.Wait()
	for {
		timer := time.NewTimer(time.Duration(g.random.Int64N(int64(1500 * time.Millisecond))))
		select {
		case <-ctx.Done():
			timer.Stop()
			return
		case <-timer.C:
		}
		receipts := g.buyers[names[g.random.IntN(len(names))]].Receipts()
		if len(receipts) == 0 {
			continue
		}
		r := receipts[g.random.IntN(len(receipts))]
		switch g.random.IntN(8) {
		case 0:
			g.ask(r, house.BuyerKey(otherThan(r.Buyer, names)))
		case 1:
			g.ask(r, house.OpsKey)
		case 2:
			g.tally.add("return asked twice at once", 1)
			for range 2 {
				flight.Go(func() { g.ask(r, house.BuyerKey(r.Buyer)) })
			}
		default:
			g.ask(r, house.BuyerKey(r.Buyer))
		}
	}
}

func otherThan(buyer string, names []string) string {
	i := slices.IndexFunc(names, func(name string) bool { return name != buyer })
	return names[i]
}

// ask gives one leg back under a key, and holds the answer against what it may be. It returns its
// status (0: none came) and whether the leg was given back before.
func (g *returner) ask(r world.Receipt, key string) (status int, before bool) {
	body := fmt.Sprintf(`{"lead_id":%q,"bid_id":%q,"reason":"no_contact"}`, r.LeadID, r.BidID)
	reply, err := g.client.Post("/v1/returns", key, "", body)
	stranger := key != house.OpsKey && key != house.BuyerKey(r.Buyer)
	leg := legOf(&r)
	busy := reply.Status == 409 && reply.RetryAfter != ""
	g.tally.add("return asked", 1)
	g.mu.Lock()
	defer g.mu.Unlock()
	switch {
	case err != nil || reply.Status == 503:
		if !stranger {
			g.open[leg] = true
		}
		return 0, false
	case stranger && reply.Status != 404 && !busy, reply.Status == 404 && !stranger, !slices.Contains([]int{200, 404, 409}, reply.Status):
		g.faults = append(g.faults, fmt.Sprintf("I2: the return of leg %s, which %s has, is answered with %d (a stranger's: %t): %s", r.BidID, r.Buyer, reply.Status, stranger, reply.Body))
	case stranger:
		g.tally.add("return of another buyer's leg", 1)
	case reply.Status == 200:
		before = reply.Get("repeated").Bool()
		if !before && g.first[leg] {
			g.faults = append(g.faults, fmt.Sprintf("I3: leg %s is given back a second time", r.BidID))
		}
		g.first[leg] = g.first[leg] || !before
		if reply.Get("status").Str != "returned" || moneyOf(reply.Get("price")) != r.Price {
			g.faults = append(g.faults, fmt.Sprintf("the return of leg %s at %s is answered with %s", r.BidID, r.Price, reply.Body))
		}
		g.given[leg] = true
		g.tally.add(map[bool]string{false: "return taken", true: "return repeated"}[before], 1)
	case strings.Contains(reply.Get("detail").Str, "time for returns"):
		g.tally.add("late return refused", 1)
	}
	return reply.Status, before
}

// giveBack has some of the legs given back once all is calm, when what must be answered is known: no doubt
// is settled any more, and every short time for returns is over.
func (g *returner) giveBack(w *scene) {
	time.Sleep((withinMaxSec + 1) * time.Second)
	w.readJournal()
	j := world.NewJournal()
	if err := j.AddLines(w.lines); err != nil {
		w.wrong("the journal as it is printed cannot be read: %v", err)
		return
	}
	steady := w.steady()
	for _, id := range slices.Sorted(maps.Keys(j.Leads)) {
		lead := j.Leads[id]
		for i := range lead.Legs {
			leg := &lead.Legs[i]
			if g.random.IntN(4) > 0 {
				continue
			}
			r := world.Receipt{Buyer: leg.Buyer, LeadID: id, BidID: fmt.Sprintf("%s-%d", lead.PingID, leg.Leg), Price: leg.Bid}
			within := w.plan.contract(leg.Contract).within
			byOperator := g.random.IntN(2) == 0
			switch {
			case !leg.Accepted():
				g.want(&r, house.BuyerKey(leg.Buyer), 409, false)
			case leg.Returned():
				g.want(&r, house.BuyerKey(leg.Buyer), 200, true)
			case byOperator:
				g.want(&r, house.OpsKey, 200, false)
				g.want(&r, house.BuyerKey(leg.Buyer), 200, true)
			case within == 0:
				g.want(&r, house.BuyerKey(leg.Buyer), 200, false)
				g.want(&r, house.OpsKey, 200, true)
			case steady:
				g.want(&r, house.BuyerKey(leg.Buyer), 409, false)
			}
		}
	}
}

func (g *returner) want(r *world.Receipt, key string, status int, before bool) {
	if got, was := g.ask(*r, key); got != status || was != before {
		g.fault("the return of leg %s is answered with %d (repeated: %t), want %d (%t)", r.BidID, got, was, status, before)
	}
}

// check holds the answers against the journal: what was told stands there, and nothing else does.
func (g *returner) check(j *world.Journal) {
	for _, lead := range j.Leads {
		for i := range lead.Legs {
			leg := &lead.Legs[i]
			key := fmt.Sprintf("%s %s-%d", lead.ID, lead.PingID, leg.Leg)
			if leg.Returned() && !g.given[key] && !g.open[key] {
				g.fault("leg %s is given back, and nobody asked for it", key)
			}
			if g.given[key] && !leg.Returned() {
				g.fault("I3: leg %s was told to be given back; the journal lacks it", key)
			}
			delete(g.given, key)
		}
	}
	for key := range g.given {
		g.fault("I3: leg %s was told to be given back; the journal lacks the leg", key)
	}
}

// contract finds one of the plan's contracts.
func (p *plan) contract(name string) *contract {
	i := slices.IndexFunc(p.contracts, func(c contract) bool { return c.name == name })
	return &p.contracts[i]
}

// steady tells whether nobody set the clock.
func (w *scene) steady() bool {
	return w.tally.count(turnNames[stepClock])+w.tally.count("clock set while down") == 0
}

// returned tells whether any leg of a lead was given back.
func (a *audit) returned(lead string) bool {
	for id, legs := range a.legs {
		if id.String() == lead {
			return slices.ContainsFunc(legs, func(l *auditLeg) bool { return l.returned })
		}
	}
	return false
}

// givenBack checks one leg_returned: of a sold leg, once, in time, and with the caps that it should free.
func (a *audit) givenBack(e exchange.Entry, ev *exchange.LegGivenBack) {
	legs := a.legs[ev.LeadID]
	if ev.Attempt < 1 || int(ev.Attempt) > len(legs) {
		a.wrong("I2: event %d: attempt %d of lead %s is given back and never started", e.Seq, ev.Attempt, ev.LeadID)
		return
	}
	leg := legs[ev.Attempt-1]
	c := a.contracts[leg.started.Contract]
	switch {
	case leg.state != exchange.OutcomeAccepted || leg.returned:
		a.wrong("I2: event %d: attempt %d of lead %s is given back while it is %s (given back before: %t)", e.Seq, ev.Attempt, ev.LeadID, leg.state, leg.returned)
	case ev.Bid != leg.started.Bid || ev.Payout != leg.started.Payout:
		a.wrong("I7: event %d: a leg of %s and %s is given back at %s and %s", e.Seq, leg.started.Bid, leg.started.Payout, ev.Bid, ev.Payout)
	case ev.By == exchange.SettledByBuyer && a.steady && c.within > 0 && time.Duration(e.At-leg.soldAt) > c.within:
		a.wrong("event %d: %s took a leg back %s after its sale, want %s at most", e.Seq, c.name, time.Duration(e.At-leg.soldAt), c.within)
	}
	leg.returned = true
	var frees []exchange.Hold
	if c.frees {
		frees = leg.started.Holds
		if len(frees) > 0 {
			a.tally.add("return that frees caps", 1)
		}
	}
	if !slices.Equal(ev.Frees, frees) {
		a.wrong("I4: event %d: a return frees %v, want %v", e.Seq, ev.Frees, frees)
	}
	for _, h := range frees {
		a.usage(h).committed -= h.Amount
	}
	a.tally.add("returned by "+ev.By.String(), 1)
}
