package engine

import (
	"context"
	"fmt"
	"testing"

	"pgregory.net/rapid"

	"vendue/exchange"
)

// TestAReturnRefundsTheBalance sells, refuses, doubts, settles and gives back legs of a prepaid buyer in
// any order: what its balance has held and spent is always the bids of what it may have and of what it
// has, whether or not its contracts' returns free caps. Caps get their places back only where they do.
func TestAReturnRefundsTheBalance(t *testing.T) {
	rapid.Check(t, func(r *rapid.T) {
		frees := map[exchange.ContractID]bool{"c1": rapid.Bool().Draw(r, "c1 frees"), "c2": rapid.Bool().Draw(r, "c2 frees")}
		word := func(c exchange.ContractID) string {
			if frees[c] {
				return "return_frees"
			}
			return ""
		}
		w := newWorld(t, `
			seller s
			campaign c seller=s margin=20%
			buyer a prepaid=200
			contract c1 buyer=a bid=20 returns=24h cap=total/leads/1000 `+word("c1")+`
			contract c2 buyer=a bid=13 returns=24h cap=total/leads/1000 `+word("c2")+`
			tier auction c1 c2`)
		w.buyers.onPost = func(*exchange.Delivery) {}
		d := newDisk()
		e, err := openEngine(t, d, w.market, &cycle{world: w}, nil)
		if err != nil {
			r.Fatal(err)
		}
		f := &refunds{r: r, frees: frees}
		for n := range rapid.IntRange(1, 60).Draw(r, "steps") {
			f.step(e, n)
			f.holds(e)
		}
		after, err := openEngine(t, d.crash(), w.market, w.buyers, nil)
		if err != nil {
			r.Fatal(err)
		}
		f.holds(after)
		for _, engine := range []*Engine{e, after} {
			if err := engine.Stop(context.Background()); err != nil {
				r.Fatal(err)
			}
		}
	})
}

// refunds are the leads of one prepaid buyer.
type refunds struct {
	r     *rapid.T
	frees map[exchange.ContractID]bool
	leads []exchange.LeadID
}

func (f *refunds) step(e *Engine, n int) {
	what := rapid.IntRange(0, 3).Draw(f.r, "what")
	if what <= 1 || len(f.leads) == 0 {
		ans := e.Direct(directOf(e, fmt.Sprint("person ", n), ""))
		if ans.Fault != FaultNone {
			f.r.Fatalf("a lead is answered with fault %d", ans.Fault)
		}
		f.leads = append(f.leads, ans.View.LeadID)
		return
	}
	lead := rapid.SampledFrom(f.leads).Draw(f.r, "lead").String()
	if what == 2 {
		e.Settle(&Verdict{LeadID: lead, Buyer: "a", Accepted: rapid.Bool().Draw(f.r, "accepted"), By: exchange.SettledByBuyer})
		return
	}
	back := &Return{LeadID: lead, Buyer: "a", Reason: "no_contact"}
	if rapid.Bool().Draw(f.r, "operator") {
		back.Buyer, back.Operator = "", "ops"
	}
	e.Return(back)
}

// holds holds the balance and the caps against the leads as they stand.
func (f *refunds) holds(e *Engine) {
	var held, spent exchange.Money
	places := map[exchange.ContractID]int64{}
	for _, id := range f.leads {
		view, err := e.Lead("s", id.String())
		if err != nil {
			f.r.Fatal(err)
		}
		for i := range view.Legs {
			leg := &view.Legs[i]
			switch leg.Status {
			case exchange.LegPending:
				held += leg.Bid
			case exchange.LegSold:
				spent += leg.Bid
				places[leg.Contract]++
			case exchange.LegReturned:
				if !f.frees[leg.Contract] {
					places[leg.Contract]++
				}
			}
		}
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	if h, s := e.book.Taken(exchange.BalanceCap("a")); exchange.Money(h) != held || exchange.Money(s) != spent {
		f.r.Fatalf("the balance has %s held and %s spent, want %s and %s", exchange.Money(h), exchange.Money(s), held, spent)
	}
	for c := range f.frees {
		if _, committed := e.book.Taken(exchange.CapID("contract/" + string(c) + "/total/leads")); committed != places[c] {
			f.r.Fatalf("the cap of %s has %d committed, want %d (frees: %t)", c, committed, places[c], f.frees[c])
		}
	}
}
