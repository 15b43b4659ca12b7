package engine

import (
	"time"

	"vendue/exchange"
	"vendue/exchange/book"
)

// deliver takes the lead from candidate to candidate until one has it, one may
// have it, or none is left. Each turn: decide under the lock, wait for disk, and
// only then let personal data leave.
func (j *journey) deliver() PostAnswer {
	e := j.e
	claim := book.Claim{Kind: book.ClaimLead, Text: j.leadID}
	if !e.claims.Try(claim) {
		panic("BUG: two journeys of lead " + j.leadID.String())
	}
	defer e.claims.Release(claim)
	if j.legsMax > 0 {
		return j.share()
	}
	c, w, err := j.start()
	if err != nil {
		return faulted(exchange.ReasonJournalUnavailable)
	}
	if c == nil {
		return j.refuse(j.skipped, exchange.LeadID{})
	}
	if err := e.wait(w); err != nil {
		return faulted(exchange.ReasonJournalUnavailable)
	}
	for {
		delivery := j.delivery(c)
		receipt := j.post(&delivery)
		next, ended, w, err := j.end(c, &receipt)
		if err == nil {
			err = e.wait(w)
		}
		if err != nil {
			return faulted(exchange.ReasonJournalUnavailable)
		}
		if receipt.Outcome == exchange.OutcomeUnknown && c.contract.Idempotent && j.script == scriptNone {
			e.resolver.keep(&delivery, j.view.Leg(ended.Attempt), e.Now())
		}
		j.tell(c, &receipt, ended)
		if next == nil {
			e.m.postOwn.Update((e.Now().Sub(j.arrival) - j.waited).Seconds())
			return PostAnswer{View: j.view}
		}
		e.m.fallback.Inc()
		c = next
	}
}

// start journals the first attempt. No candidate: c is nil.
func (j *journey) start() (c *candidate, w written, err error) {
	e := j.e
	for {
		e.mu.Lock()
		now := e.Now()
		picked, started := j.pick(now)
		if picked != nil {
			e.book.Posting(j.turn)
			w, err = j.appendLocked(now, started)
			e.unlock(now)
			return picked, w, err
		}
		e.unlock(now)
		if j.later {
			return nil, written{}, nil
		}
		j.addLater()
	}
}

// end journals how an attempt ended and, if the lead goes on, the next one, in
// one batch: a lead is never between two buyers on disk.
func (j *journey) end(c *candidate, r *exchange.Receipt) (next *candidate, ended *exchange.PostEnded, w written, err error) {
	e := j.e
	ended = &exchange.PostEnded{
		LeadID: j.leadID, Attempt: uint16(len(j.view.Legs)), Outcome: r.Outcome, Reason: r.Reason, HTTPStatus: uint16(r.Status),
		PriceChanged: r.PriceChanged, BuyerRef: e.deps.Vault.Seal(r.BuyerRef), RedirectURL: e.deps.Vault.Seal(r.RedirectURL),
	}
	goesOn := r.Outcome == exchange.OutcomeRejected || r.Outcome == exchange.OutcomeNotDelivered ||
		(r.Outcome == exchange.OutcomeUnknown && c.contract.OnUnknown == exchange.OnUnknownContinue)
	if r.Outcome == exchange.OutcomeRejected && r.Reason == exchange.ReasonDuplicate {
		j.blocked = append(j.blocked, c.contract.Buyer.ID) // the buyer has the person: none of its contracts wants the lead
	}
	if goesOn && !j.later {
		j.addLater() // now, for the lock is no place for it: those still listed may all be passed over under it
	}
	e.mu.Lock()
	now := e.Now()
	defer e.unlock(now)
	ended.ElapsedMs = uint32(now.Sub(j.arrival).Milliseconds())
	var started *exchange.PostStarted
	if goesOn {
		next, started = j.pick(now)
		ended.NoTime = next == nil && j.skipped == exchange.ReasonNoTime
	}
	if next != nil {
		ended.Status = exchange.LeadOpen
		w, err = j.appendLocked(now, ended, started)
	} else {
		ended.Status, ended.LeadReason = j.status(r.Outcome)
		w, err = j.appendLocked(now, ended)
	}
	return next, ended, w, err
}

// status is how the lead stands when an attempt with this outcome was the last.
func (j *journey) status(last exchange.Outcome) (exchange.LeadStatus, exchange.Reason) {
	if last == exchange.OutcomeAccepted {
		return exchange.LeadSold, exchange.ReasonNone
	}
	if last == exchange.OutcomeUnknown {
		return exchange.LeadPending, exchange.ReasonUnknown
	}
	for i := range j.view.Legs {
		if j.view.Legs[i].Unknown {
			return exchange.LeadPending, exchange.ReasonUnknown
		}
	}
	return exchange.LeadRejected, exchange.ReasonPostRejected
}

// delivery is the whole lead for one buyer. A slow disk may have used up some of
// the time that the attempt was admitted with: the seller's wait ends it all the same.
func (j *journey) delivery(c *candidate) exchange.Delivery {
	deadline := j.e.Now().Add(j.timeout(c.contract))
	if deadline.After(j.waitEnd) {
		deadline = j.waitEnd
	}
	return exchange.Delivery{
		LeadID: j.leadID, PingID: j.pingID, Leg: c.leg, Contract: c.contract, Token: c.token, Price: c.bid, Sale: j.sale,
		Lead: &j.lead, Consent: &j.consent, Test: j.facts.Test, Deadline: deadline,
	}
}

// post hands the lead over.
func (j *journey) post(d *exchange.Delivery) exchange.Receipt {
	if j.script != scriptNone {
		return j.script.post(d)
	}
	r := j.hand(d)
	j.waited += r.Elapsed
	return r
}

// hand hands the lead over, and changes nothing of the journey: several may at once.
func (j *journey) hand(d *exchange.Delivery) exchange.Receipt {
	r := j.snap.Bidders.Post(d)
	if r.Outcome == exchange.OutcomeNone {
		panic("BUG: an attempt ended without an outcome")
	}
	return r
}

// refuse ends a lead that no buyer was sent.
func (j *journey) refuse(reason exchange.Reason, first exchange.LeadID) PostAnswer {
	e := j.e
	if reason == exchange.ReasonNone {
		reason = exchange.ReasonNoEligibleContract
	}
	e.mu.Lock()
	now := e.Now()
	refused := &exchange.LeadRefused{
		LeadID: j.leadID, Lead: j.facts, Reason: reason, First: first, ElapsedMs: uint32(now.Sub(j.arrival).Milliseconds()),
	}
	w, err := j.appendLocked(now, refused)
	e.unlock(now)
	j.turn.Release()
	if err == nil {
		err = e.wait(w)
	}
	if err != nil {
		return faulted(exchange.ReasonJournalUnavailable)
	}
	e.deps.Observer.Attempt(&exchange.Attempt{
		LeadID: j.leadID, PingID: j.facts.PingID, At: j.arrival, Seller: j.facts.Seller, Campaign: j.facts.Campaign, Test: j.facts.Test,
		Status: exchange.LeadRejected, LeadReason: reason, Elapsed: exchange.Millis(now.Sub(j.arrival)),
	})
	return PostAnswer{View: j.view}
}

// appendLocked journals the lead's next events and moves its view on. The engine's lock is held.
func (j *journey) appendLocked(now time.Time, events ...exchange.Event) (written, error) {
	w, err := j.e.appendLocked(now, events...)
	if err != nil {
		return written{}, err
	}
	for i, ev := range events {
		j.view.Apply(exchange.Entry{Seq: w.first + uint64(i), At: now.UnixNano(), Event: ev})
	}
	return w, nil
}

// tell hands the record of a finished attempt to whoever watches.
func (j *journey) tell(c *candidate, r *exchange.Receipt, ended *exchange.PostEnded) {
	j.e.deps.Observer.Attempt(&exchange.Attempt{
		LeadID: j.leadID, PingID: j.pingID, At: j.arrival, Seller: j.facts.Seller, Campaign: j.facts.Campaign, Test: j.facts.Test,
		Attempt: ended.Attempt, Contract: c.contract.ID, Buyer: c.contract.Buyer.ID, Bid: c.bid, Payout: c.payout,
		Outcome: r.Outcome, Reason: r.Reason, HTTPStatus: r.Status, PriceChanged: r.PriceChanged, Detail: r.Detail,
		BuyerTime: exchange.Millis(r.Elapsed), Status: ended.Status, LeadReason: ended.LeadReason,
		Elapsed: exchange.Millis(j.e.Now().Sub(j.arrival)),
	})
}

// unlock gives the lock back and notes how long it was held.
func (e *Engine) unlock(since time.Time) {
	e.mu.Unlock()
	e.m.lockHeld.Update(e.Now().Sub(since).Seconds())
}
