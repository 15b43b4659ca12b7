package engine

import (
	"container/heap"
	"sync"
	"time"

	"vendue/exchange"
	"vendue/exchange/book"
)

// Limits of looking after attempts in doubt.
const (
	resolversMax    = 64               // look-ups, re-posts and assumptions at once
	resolversBuyer  = 8                // of them with one buyer: a dead one must not stop the others'
	stepPause       = time.Second      // before the next step about one doubt, or with a buyer at its limit
	repostFor       = 10 * time.Minute // how long a whole lead is kept for a re-post
	keptLeadBytes   = 256              // of a kept lead, beside its texts
	resolverIdleMax = time.Hour        // between two looks at an empty plan
)

// resolver looks after the attempts in doubt whose contracts say how.
//
// The plan is derived: at each start and reload from the book and the config, in
// between from the events as they are journaled. So nothing of it is stored, and
// a crash in the middle of a look-up costs that look-up. What to do and when is
// book.NextStep's to say; each verdict goes the way of everybody's, by settle.
//
// A re-post needs the whole lead, whose personal fields no disk holds. It is
// kept in memory from the attempt's end until it is settled, for repostFor at
// most and within the engine's bounds; what does not fit, or was before a
// restart, is resolved by the other ways.
//
// One goroutine, run, owns the plan's clock; each step is a goroutine of its
// own, which run waits for. A doubt is in one place: queued, or running.
// A goroutine per doubt was simpler, but a buyer's bad day would be 100,000 of them.
//
// mu guards all below it. The engine's lock may be held when it is taken, never the other way round.
type resolver struct {
	e    *Engine
	wake chan struct{}

	mu        sync.Mutex
	doubts    map[book.LegKey]*doubt
	queue     doubtQueue
	running   int
	busy      map[exchange.BuyerID]int
	kept      int
	keptBytes int64
}

// doubt is one attempt that is looked after.
type doubt struct {
	leg   book.OpenLeg // as the book had it
	tries book.Tries
	step  book.Step
	at    time.Time
	place int // in the queue, -1: it is not there

	running bool
	lead    *exchange.Delivery // kept for a re-post, nil: it is not at hand
	bytes   int64
	until   time.Time // when the lead is let go
}

func newResolver(e *Engine) *resolver {
	return &resolver{e: e, wake: make(chan struct{}, 1), doubts: map[book.LegKey]*doubt{}, busy: map[exchange.BuyerID]int{}}
}

func keyOf(leg *book.OpenLeg) book.LegKey {
	return book.LegKey{LeadID: leg.LeadID, Attempt: leg.Attempt}
}

// note follows the journal: what became unknown is planned for, what was
// settled is forgotten. The engine's lock is held, and the book has the event.
func (r *resolver) note(ev exchange.Event, now time.Time) {
	switch ev := ev.(type) {
	case *exchange.PostEnded:
		if ev.Outcome != exchange.OutcomeUnknown {
			return
		}
		leg := r.e.book.Doubt(book.LegKey{LeadID: ev.LeadID, Attempt: ev.Attempt})
		r.mu.Lock()
		r.plan(r.add(leg, now), now)
		r.mu.Unlock()
	case *exchange.LegSettled:
		r.mu.Lock()
		if d := r.doubts[book.LegKey{LeadID: ev.LeadID, Attempt: ev.Attempt}]; d != nil {
			r.forget(d)
		}
		r.mu.Unlock()
	}
}

// replan makes the plan anew for a market. The engine's lock is held.
func (r *resolver) replan(now time.Time) {
	legs := r.e.book.Doubts()
	r.mu.Lock()
	defer r.mu.Unlock()
	for i := range legs {
		r.plan(r.add(&legs[i], now), now)
	}
}

// keep takes a copy of a lead in doubt that may be posted again. The caller has the claim on the lead.
func (r *resolver) keep(d *exchange.Delivery, leg *exchange.LegView, now time.Time) {
	r.mu.Lock()
	defer r.mu.Unlock()
	bytes := leadBytes(d)
	if r.kept >= r.e.cfg.RepostLeadsMax || r.keptBytes+bytes > r.e.cfg.RepostBytesMax {
		r.e.m.notKept.Inc()
		return
	}
	doubt := r.add(&book.OpenLeg{
		LeadID: d.LeadID, Attempt: leg.Attempt, Contract: leg.Contract, Buyer: leg.Buyer, Since: leg.StartedAt,
	}, now)
	doubt.lead, doubt.bytes, doubt.until = cloneDelivery(d), bytes, now.Add(repostFor)
	r.kept++
	r.keptBytes += bytes
	r.plan(doubt, now)
}

// add returns the doubt of an attempt, made if need be.
func (r *resolver) add(leg *book.OpenLeg, now time.Time) *doubt {
	key := keyOf(leg)
	if r.doubts[key] == nil {
		r.doubts[key] = &doubt{leg: *leg, tries: book.Tries{Last: now}, place: -1}
	}
	return r.doubts[key]
}

func (r *resolver) forget(d *doubt) {
	r.letGo(d)
	if d.place >= 0 {
		heap.Remove(&r.queue, d.place)
	}
	delete(r.doubts, keyOf(&d.leg))
}

// letGo drops a kept lead.
func (r *resolver) letGo(d *doubt) {
	if d.lead != nil {
		d.lead = nil
		r.kept--
		r.keptBytes -= d.bytes
	}
}

// plan puts a doubt in its place of the queue, or forgets it if there is
// nothing to be done. now is also the earliest that the step may come.
func (r *resolver) plan(d *doubt, now time.Time) {
	c := r.e.contractOf(&d.leg)
	if d.lead != nil && (c == nil || !c.Idempotent || c.Paused || !now.Before(d.until) || !sameFields(c.Vertical, d.lead.Lead.Vertical)) {
		r.letGo(d)
	}
	if d.running {
		return // it is planned again when that ends
	}
	d.step = book.StepNone
	if c != nil {
		d.tries.Kept = d.lead != nil
		d.step, d.at = book.NextStep(&d.leg, &d.tries, c)
	}
	// An instant of this process from here on: whoever steps the clock moves no step that is planned.
	d.at = now.Add(max(0, d.at.Sub(now)))
	switch {
	case d.step == book.StepNone:
		r.forget(d)
	case d.place >= 0:
		heap.Fix(&r.queue, d.place)
	default:
		heap.Push(&r.queue, d)
	}
	if d.place == 0 {
		select {
		case r.wake <- struct{}{}:
		default:
		}
	}
}

// contractOf returns the contract of an attempt as the config has it now, nil if it is gone or another buyer's.
func (e *Engine) contractOf(leg *book.OpenLeg) *exchange.Contract {
	snap := e.snap.Load()
	if snap == nil {
		return nil
	}
	if c := snap.Market.ByName[leg.Contract]; c != nil && c.Buyer.ID == leg.Buyer {
		return c
	}
	return nil
}

// run takes the steps as they come due, until the engine stops.
func (r *resolver) run() {
	var steps sync.WaitGroup
	defer steps.Wait()
	timer := time.NewTimer(resolverIdleMax)
	defer timer.Stop()
	for {
		timer.Reset(r.launch(r.e.Now(), &steps))
		select {
		case <-r.e.stop.Done():
			return
		case <-r.wake:
		case <-timer.C:
		}
	}
}

// launch starts every step that is due and returns how long nothing will change by itself.
func (r *resolver) launch(now time.Time, steps *sync.WaitGroup) time.Duration {
	r.mu.Lock()
	defer r.mu.Unlock()
	for len(r.queue) > 0 && r.e.Ready() == exchange.ReasonNone {
		d := r.queue[0]
		if wait := d.at.Sub(now); wait > 0 {
			return min(wait, resolverIdleMax)
		}
		if r.running == resolversMax {
			break // the end of one wakes
		}
		if d.step != book.StepAssume && r.busy[d.leg.Buyer] == resolversBuyer {
			d.at = now.Add(stepPause)
			heap.Fix(&r.queue, 0)
			continue
		}
		heap.Pop(&r.queue)
		d.running = true
		r.running++
		r.busy[d.leg.Buyer]++
		step, lead := d.step, d.lead
		steps.Go(func() {
			r.take(d, step, lead)
			r.done(d)
		})
	}
	return resolverIdleMax
}

// done ends a step. If the doubt still stands it is planned for again.
func (r *resolver) done(d *doubt) {
	now := r.e.Now()
	r.mu.Lock()
	d.running = false
	r.running--
	if r.busy[d.leg.Buyer]--; r.busy[d.leg.Buyer] == 0 {
		delete(r.busy, d.leg.Buyer)
	}
	if r.doubts[keyOf(&d.leg)] == d {
		d.tries.Count, d.tries.Last = d.tries.Count+1, now
		r.plan(d, now.Add(stepPause)) // a step that cannot be taken just now must not be tried in a circle
	}
	r.mu.Unlock()
	select {
	case r.wake <- struct{}{}:
	default:
	}
}

// take makes one step. Its verdict, if there is one, is settled like anybody's.
func (r *resolver) take(d *doubt, step book.Step, lead *exchange.Delivery) {
	e := r.e
	if e.enter() != exchange.ReasonNone {
		return // the house stops: the next start plans anew
	}
	defer e.leave()
	c := e.contractOf(&d.leg)
	var view exchange.LeadView
	if err := e.fold(&view, d.leg.LeadID, nil); err != nil {
		e.fail(err)
		return
	}
	leg := view.Leg(d.leg.Attempt)
	if c == nil || leg == nil || !leg.Unknown {
		return // what made it unknown is not on disk yet, or somebody was faster
	}
	v := &Verdict{BidID: string(exchange.AppendBidID(nil, view.Facts.PingID, leg.Leg))}
	known := false
	switch step {
	case book.StepAsk:
		known = e.ask(v, c, &view, leg)
	case book.StepRepost:
		known = e.repost(v, c, lead)
	case book.StepAssume:
		v.Accepted, v.By, v.Assumed, known = c.SettleAs == exchange.SettleSold, exchange.SettledByDeadline, true, true
	}
	if known {
		e.settle(view.LeadID, v) // whatever became of it, the doubt is gone or planned again
	}
}

// ask looks an attempt up at its buyer.
func (e *Engine) ask(v *Verdict, c *exchange.Contract, view *exchange.LeadView, leg *exchange.LegView) bool {
	token, err := e.deps.Vault.Unseal(leg.Token)
	if err != nil {
		e.deps.Log.Error().Err(err).Stringer("lead_id", view.LeadID).Msg("cannot unseal a bid's token")
	}
	snap := e.snap.Load()
	if snap.Market.ByName[c.ID] != c {
		return false // a reload came between; the next turn sees it
	}
	f := snap.Bidders.Status(&exchange.Inquiry{
		LeadID: view.LeadID, PingID: view.Facts.PingID, Leg: leg.Leg, Contract: c, Token: token, Test: view.Facts.Test,
		Deadline: e.Now().Add(c.StatusTimeout),
	})
	v.Accepted, v.BuyerRef, v.By = f.Accepted, f.BuyerRef, exchange.SettledByStatusURL
	return f.Known
}

// repost posts a lead again to a buyer that takes it as the same. Only a
// readable answer of 2xx counts: a 409 or a duplicate may speak of the first
// post being worked on, and tells nothing of how that ends.
func (e *Engine) repost(v *Verdict, c *exchange.Contract, lead *exchange.Delivery) bool {
	snap := e.snap.Load()
	if lead == nil || snap.Market.ByName[c.ID] != c {
		return false
	}
	d := *lead
	d.Contract, d.Deadline = c, e.Now().Add(c.PostTimeout)
	receipt := snap.Bidders.Post(&d)
	v.Accepted, v.BuyerRef, v.By = receipt.Outcome == exchange.OutcomeAccepted, receipt.BuyerRef, exchange.SettledByRepost
	said := receipt.Status >= 200 && receipt.Status <= 299 && receipt.Reason == exchange.ReasonPostRejected
	return v.Accepted || (receipt.Outcome == exchange.OutcomeRejected && said)
}
