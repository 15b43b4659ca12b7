package engine

import (
	"cmp"
	"slices"
	"time"

	"vendue/exchange"
	"vendue/exchange/auction"
	"vendue/exchange/book"
)

// legsMax is how many buyers may share a lead at most, by what its seller and its campaign say.
func legsMax(asked, campaign int) int {
	switch {
	case asked == 0 && campaign == 0:
		return exchange.LegsDefault
	case asked == 0 || campaign == 0:
		return max(asked, campaign)
	}
	return min(asked, campaign)
}

// sharing is the working space of a tier that may sell its lead to several buyers.
type sharing struct {
	bids  []auction.Bid
	legs  []auction.Leg
	ranks ranking
}

func (s *sharing) reset() {
	clear(s.bids)
	clear(s.legs[:cap(s.legs)])
	s.bids = s.bids[:0]
	s.ranks.reset()
	s.ranks.plan.Reset()
}

// price is what the seller is promised: what the legs pay that are sold together.
func (run *auctionRun) price() (sum exchange.Money) {
	for i := range run.legs[:run.places] {
		sum += run.legs[i].Payout
	}
	return sum
}

// termsOf returns what a contract's bid is held against: one that only shares
// leads need not reach the floor of a whole one.
func (run *auctionRun) termsOf(c *exchange.Contract) *auction.Terms {
	if c.Sale == exchange.SaleShared {
		return &run.shareTerms
	}
	return &run.terms
}

// shareTerms are the terms of one leg of a shared sale. A ping's price promises
// the sum of its legs; a direct promises that whatever is sold reaches min_price,
// so each leg has to.
func shareTerms(t *terms, whole auction.Terms) auction.Terms {
	whole.Least = cmp.Or(t.campaign.SharedFloor, t.campaign.Floor)
	if t.direct {
		whole.Least = max(whole.Least, t.minPrice)
	}
	return whole
}

// clearTier turns a tier's bids into legs: one exclusive leg and those that may
// serve in its stead, or as many shared legs as earn the most and those that may
// refill them, whichever is worth more.
//
// By bid, a shared sale is worth the sum of its bids; by expectation both are
// worth what the whole chain is. A tier with an order of its own takes the kind
// that its first sells.
func (e *Engine) clearTier(run *auctionRun, t *terms, tier *exchange.Tier) {
	run.sale, run.places = exchange.SaleExclusive, 1
	bids := run.exclusives(t)
	run.legs = auction.Clear(&run.terms, bids, run.legs[:0])
	run.ranks.reset()
	if tier.Rank == exchange.RankExpected {
		run.ranks.reorder(e.book, t, run.legs)
	}
	s := &run.share
	s.legs = auction.Clear(&run.shareTerms, s.bids, s.legs[:0])
	if len(s.legs) == 0 {
		run.places = min(run.places, len(run.legs))
		return
	}
	if tier.Method != exchange.MethodAuction && len(run.legs) > 0 && run.legs[0].Place <= s.legs[0].Place {
		return
	}
	again := s.ranks.expect(e.book, t, tier, s.legs)
	chosen, places, worth := s.ranks.plan.Share(s.ranks.prospects, t.legsMax, t.campaign.Attempts, again, run.terms.Least)
	if places == 0 && len(run.legs) == 0 {
		run.reason = exchange.ReasonBelowFloor // all of them together are not enough
	}
	if places == 0 || (tier.Method == exchange.MethodAuction && len(run.legs) > 0 && worth <= e.worthOf(run, t, tier, again)) {
		run.places = min(run.places, len(run.legs))
		return
	}
	run.sale, run.places = exchange.SaleShared, places
	run.legs = run.legs[:0]
	run.ranks.reset()
	for i := range chosen {
		run.legs = append(run.legs, chosen[i].Leg)
		if tier.Rank == exchange.RankExpected {
			run.ranks.prospects = append(run.ranks.prospects, chosen[i])
		}
	}
}

// exclusives returns the bids for a lead that nobody else gets, and leaves those
// for a place among several buyers in run.share.
func (run *auctionRun) exclusives(t *terms) []auction.Bid {
	run.share.bids = run.share.bids[:0]
	if t.script != scriptNone || (t.sale != exchange.SaleShared && allExclusive(run.bids)) {
		return run.bids
	}
	alone := run.alone[:0]
	for i := range run.bids {
		b := run.bids[i]
		if b.Contract.Sale != exchange.SaleShared && t.sale != exchange.SaleShared {
			alone = append(alone, b)
		}
		if b.Contract.Sale == exchange.SaleAny {
			b.Amount = b.Shared
		}
		if b.Contract.Sale != exchange.SaleExclusive && t.sale != exchange.SaleExclusive && b.Amount > 0 {
			run.share.bids = append(run.share.bids, b)
		}
	}
	run.alone = alone
	return alone
}

// allExclusive tells whether every bid is for a lead that nobody else gets.
func allExclusive(bids []auction.Bid) bool {
	for i := range bids {
		if bids[i].Contract.Sale != exchange.SaleExclusive {
			return false
		}
	}
	return true
}

// expect makes prospects of legs: with the odds of their contracts in a tier
// that goes by them, else as if every bid were sure. It returns how likely
// another attempt is possible after a reject.
func (r *ranking) expect(b *book.Book, t *terms, tier *exchange.Tier, legs []auction.Leg) exchange.PPM {
	r.reset()
	r.odds = r.odds[:0]
	again := exchange.Whole
	if tier.Rank == exchange.RankExpected {
		for i := range legs {
			r.names = append(r.names, legs[i].Contract.ID)
		}
		r.odds, again = b.Expect(t.campaign.ID, t.arrival.UnixNano(), r.names, r.odds)
	}
	for i := range legs {
		c := auction.Prospect{Leg: legs[i], Odds: exchange.Odds{Accept: exchange.Whole}}
		if tier.Rank == exchange.RankExpected {
			c.Odds = r.odds[i]
			c.Index = auction.Index(auction.Weighed(c.Contract, c.Amount), c.Odds, again)
		}
		r.prospects = append(r.prospects, c)
	}
	if tier.Rank == exchange.RankExpected {
		auction.Rank(r.prospects)
	}
	return again
}

// worthOf is what the exclusive legs are worth, by what their tier goes by.
func (e *Engine) worthOf(run *auctionRun, t *terms, tier *exchange.Tier, again exchange.PPM) exchange.Money {
	if tier.Rank == exchange.RankExpected {
		return run.share.ranks.plan.Worth(run.ranks.prospects, 1, t.campaign.Attempts, again)
	}
	return run.legs[0].Amount
}

// place is room for one buyer of a shared sale.
type place struct {
	no      int            // of the leg that was quoted for it
	promise exchange.Money // what the seller gets for it at least; if it was quoted, exactly
}

// shareQuote makes a journey of a shared quote: a place for each leg that is
// named, all if none is, and behind them those bids that nobody was promised.
func (j *journey) shareQuote(quote *book.Quote, req *PostRequest) {
	for i := range quote.Legs {
		leg := &quote.Legs[i]
		c := candidate{
			contract: leg.Contract, leg: exchange.LegNo(i + 1), bid: leg.Bid, payout: leg.Payout, token: leg.Token, place: -1,
			tree: j.campaign.Tree, tier: quote.Tier, margin: j.campaign.MarginFor(leg.Contract, leg.Bid),
		}
		if i < quote.Places {
			named := func(id string) bool { no, _ := exchange.ParseBidID(id, quote.PingID); return no == c.leg }
			if len(req.BidIDs) > 0 && !slices.ContainsFunc(req.BidIDs, named) {
				continue
			}
			c.place = i
			j.places = append(j.places, place{no: i, promise: leg.Payout})
		}
		if !quote.Lapsed(leg, req.Arrival) {
			j.candidates = append(j.candidates, c)
		}
	}
	j.shareOut()
}

// shareDirect makes places of a direct's shared legs. Nobody was promised any of them.
func (j *journey) shareDirect(run *auctionRun) {
	if run.sale != exchange.SaleShared {
		return
	}
	for i := range j.candidates {
		j.candidates[i].place = -1
	}
	j.promise = run.shareTerms.Least
	for i := range run.places {
		j.places = append(j.places, place{no: i, promise: j.promise})
	}
	j.shareOut()
}

// shareOut notes how many buyers there may be, the dearest place first.
func (j *journey) shareOut() {
	j.legsMax = len(j.places)
	slices.SortStableFunc(j.places, func(a, b place) int { return cmp.Compare(b.promise, a.promise) })
	if j.fixed {
		j.promise = j.places[len(j.places)-1].promise // what a later tier's price has to cover at least
	}
}

// sharedLeg is one attempt of a shared sale that is under way, or over.
type sharedLeg struct {
	candidate candidate
	place     place
	attempt   uint16
	delivery  exchange.Delivery
	receipt   exchange.Receipt
}

// share sells the lead to as many buyers as it has places, all at once. Whoever
// refuses is followed by the next that may have the place; one in doubt keeps it.
//
// One goroutine, the request's, decides; each post is a goroutine that only hands
// the lead over, and share waits for all of them. On disk there is, at any
// instant, an open attempt or the lead's end. The simpler way, one buyer after
// another, was as sure and k times as slow: it would not fit in a seller's wait.
func (j *journey) share() PostAnswer {
	legs, err := j.fill(nil, 0)
	switch {
	case err != nil:
		return faulted(exchange.ReasonJournalUnavailable)
	case len(legs) == 0:
		return j.refuse(j.skipped, exchange.LeadID{})
	}
	ends := make(chan *sharedLeg, j.legsMax)
	flying := 0
	launch := func(legs []*sharedLeg) {
		for _, leg := range legs {
			flying++
			leg.delivery = j.delivery(&leg.candidate)
			go func() {
				leg.receipt = j.hand(&leg.delivery)
				ends <- leg
			}()
		}
	}
	launch(legs)
	for flying > 0 {
		since := j.e.Now()
		leg := <-ends
		j.waited += j.e.Now().Sub(since)
		flying--
		if legs, err = j.ended(leg, flying); err != nil {
			for ; flying > 0; flying-- {
				<-ends // they read what is the request's
			}
			return faulted(exchange.ReasonJournalUnavailable)
		}
		launch(legs)
	}
	j.e.m.postOwn.Update((j.e.Now().Sub(j.arrival) - j.waited).Seconds())
	return PostAnswer{View: j.view}
}

// ended journals how an attempt ended, and starts those that follow it.
func (j *journey) ended(leg *sharedLeg, flying int) ([]*sharedLeg, error) {
	r := &leg.receipt
	end := &exchange.PostEnded{
		LeadID: j.leadID, Attempt: leg.attempt, Outcome: r.Outcome, Reason: r.Reason, HTTPStatus: uint16(r.Status),
		PriceChanged: r.PriceChanged, BuyerRef: j.e.deps.Vault.Seal(r.BuyerRef), RedirectURL: j.e.deps.Vault.Seal(r.RedirectURL),
	}
	if r.Outcome == exchange.OutcomeRejected || r.Outcome == exchange.OutcomeNotDelivered {
		j.places = append(j.places, leg.place)
		slices.SortStableFunc(j.places, func(a, b place) int { return cmp.Compare(b.promise, a.promise) })
		if !j.later {
			j.addLater()
		}
	}
	if r.Outcome == exchange.OutcomeRejected && r.Reason == exchange.ReasonDuplicate {
		j.blocked = append(j.blocked, leg.candidate.contract.Buyer.ID)
	}
	next, err := j.fill(end, flying)
	if err != nil {
		return nil, err
	}
	if r.Outcome == exchange.OutcomeUnknown && leg.candidate.contract.Idempotent {
		j.e.resolver.keep(&leg.delivery, j.view.Leg(leg.attempt), j.e.Now())
	}
	j.tell(&leg.candidate, r, end)
	for range next {
		j.e.m.fallback.Inc()
	}
	return next, nil
}

// fill starts an attempt for every place that somebody may have, and waits until
// that is on disk. The end of an attempt, if there is one, goes before the first
// of them, in one batch; if none follows it says how the lead stands.
func (j *journey) fill(end *exchange.PostEnded, flying int) (legs []*sharedLeg, err error) {
	e := j.e
	for again := true; again; {
		var batches []written
		e.mu.Lock()
		now := e.Now()
		legs, batches, err = j.fillLocked(end, flying, now, legs)
		e.unlock(now)
		for _, w := range batches { // each: a ticket that nobody waits for is never let go
			if waited := e.wait(w); err == nil {
				err = waited
			}
		}
		if again = err == nil && end == nil && len(j.places) > 0 && !j.later; again {
			j.addLater()
		}
	}
	return legs, err
}

func (j *journey) fillLocked(end *exchange.PostEnded, flying int, now time.Time, legs []*sharedLeg) ([]*sharedLeg, []written, error) {
	var batches []written
	add := func(events ...exchange.Event) error {
		w, err := j.appendLocked(now, events...)
		if err == nil {
			batches = append(batches, w)
		}
		return err
	}
	if end != nil {
		end.ElapsedMs = uint32(now.Sub(j.arrival).Milliseconds())
	}
	for i := 0; i < len(j.places); {
		c, holds := j.pickFor(j.places[i], end, now)
		if c == nil {
			i++
			continue
		}
		started := j.begin(c, holds)
		events := []exchange.Event{started}
		if end != nil {
			end.Status, events, end = exchange.LeadOpen, []exchange.Event{end, started}, nil
		}
		j.e.book.Posting(j.turn)
		if err := add(events...); err != nil {
			return legs, batches, err
		}
		j.turn, c.used = nil, true
		legs = append(legs, &sharedLeg{candidate: *c, place: j.places[i], attempt: started.Attempt})
		j.places = slices.Delete(j.places, i, i+1)
	}
	if end == nil {
		return legs, batches, nil
	}
	end.Status, end.LeadReason = j.standsAfter(end, flying)
	end.NoTime = flying == 0 && end.Status == exchange.LeadRejected && j.skipped == exchange.ReasonNoTime
	return legs, batches, add(end)
}

// standsAfter is how the lead stands after the end of an attempt that nobody follows.
func (j *journey) standsAfter(end *exchange.PostEnded, flying int) (exchange.LeadStatus, exchange.Reason) {
	if flying > 0 {
		return exchange.LeadOpen, exchange.ReasonNone
	}
	leg := exchange.LegRejected
	switch end.Outcome {
	case exchange.OutcomeAccepted:
		leg = exchange.LegSold
	case exchange.OutcomeUnknown:
		leg = exchange.LegPending
	}
	switch status := j.view.StatusWith(end.Attempt, leg); status {
	case exchange.LeadPending:
		return status, exchange.ReasonUnknown
	case exchange.LeadRejected:
		return status, exchange.ReasonPostRejected
	default:
		return status, exchange.ReasonNone
	}
}

// pickFor returns the next candidate that may have a place now, and what to hold
// for it. A quoted place is its own bidder's first; whoever takes another's
// stead pays the seller what was promised for it. The engine's lock is held.
func (j *journey) pickFor(p place, end *exchange.PostEnded, now time.Time) (*candidate, []exchange.Hold) {
	if j.campaign.Attempts > 0 && len(j.view.Legs) >= j.campaign.Attempts {
		return nil, nil
	}
	for i := range j.candidates {
		c := &j.candidates[i]
		own := c.place == p.no
		if c.used || (c.place >= 0 && !own) {
			continue
		}
		payout := c.payout
		if j.fixed {
			payout = p.promise
		}
		if j.fixed && !own && !j.covers(c.bid, payout) || payout < p.promise {
			continue
		}
		reason, holds := j.admit(c, now)
		if j.has(c.contract.Buyer.ID, end) { // whose contract it is now
			continue
		}
		if reason == exchange.ReasonNone && c.contract.LegsMax > 0 && c.contract.LegsMax < j.legsMax {
			reason = exchange.ReasonSaleType
		}
		if reason != exchange.ReasonNone {
			j.skip(reason)
			continue
		}
		c.payout = payout
		return c, holds
	}
	return nil, nil
}

// has tells whether a buyer has the lead or may have it. The attempt whose end is being journaled is over.
func (j *journey) has(buyer exchange.BuyerID, end *exchange.PostEnded) bool {
	for i := range j.view.Legs {
		leg := &j.view.Legs[i]
		over := end != nil && end.Attempt == leg.Attempt && end.Outcome != exchange.OutcomeUnknown && end.Outcome != exchange.OutcomeAccepted
		if leg.Buyer == buyer && leg.Status != exchange.LegRejected && !over {
			return true
		}
	}
	return false
}

// restOfShared amends what a crash makes of an attempt: other legs of its lead may be sold.
func (e *Engine) restOfShared(ended *exchange.PostEnded) error {
	var view exchange.LeadView
	if err := e.fold(&view, ended.LeadID, nil); err != nil {
		return err
	}
	if view.StatusWith(ended.Attempt, exchange.LegPending) == exchange.LeadSold {
		ended.Status, ended.LeadReason = exchange.LeadSold, exchange.ReasonNone
	}
	return nil
}
