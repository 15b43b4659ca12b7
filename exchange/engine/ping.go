package engine

import (
	"hash/maphash"
	"slices"
	"time"

	"vendue/exchange"
	"vendue/exchange/auction"
	"vendue/exchange/book"
	"vendue/exchange/pingtree"
)

// PingRequest is a seller asking for a price. The engine keeps nothing of it.
type PingRequest struct {
	Snap     *Snapshot
	Campaign *exchange.Campaign
	Arrival  time.Time
	Waited   time.Duration // how much of the time since Arrival it waited to be looked at, because the machine stood still
	Ref      string        // the seller's own id, "" if none
	MinPrice exchange.Money
	MaxWait  time.Duration // 0: no wish
	Sale     exchange.SaleKind
	MaxLegs  int // buyers that may share the lead at most; 0: no wish
	Test     bool
	Source   exchange.Source
	Consent  exchange.Consent
	Values   []exchange.Value // a slot per field, ping fields only
}

// PingAnswer is what a seller is told of a ping.
type PingAnswer struct {
	PingID  exchange.PingID
	Reason  exchange.Reason // ReasonNone: there is a quote. Reasons of a request are faults.
	Quote   *book.Quote
	Cached  bool
	Elapsed time.Duration
}

// terms are what an auction is run on, for a ping or a direct.
type terms struct {
	snap     *Snapshot
	campaign *exchange.Campaign
	pingID   exchange.PingID
	arrival  time.Time
	waited   time.Duration // before it was looked at
	deadline time.Time     // for bids
	minPrice exchange.Money
	sale     exchange.SaleKind
	legsMax  int // of a shared sale
	test     bool
	direct   bool
	script   script
	consent  *exchange.Consent
	lead     exchange.Lead // ping fields only
}

// auctionRun is the working space of one auction, pooled. The legs are its
// result, best first; they are good until it is released.
type auctionRun struct {
	isEnough func() bool // run.enough, bound once
	scratch  pingtree.Scratch
	query    pingtree.Query
	terms    auction.Terms
	ask      exchange.Ask
	asked    time.Duration // time spent waiting for buyers
	bids     []auction.Bid
	took     []time.Duration // by bid: how long the buyer took
	byPlace  []int           // by place in the tier: 1 and the leg that its bid is, 0 if it is none
	legs     []auction.Leg
	ranks    ranking
	known    []exchange.BuyerID // who said that they have the person already: later tiers do not ask them
	tier     int                // of the legs
	sale     exchange.SaleKind  // their kind
	places   int                // how many of them are sold together: one if exclusive
	share    sharing            // working space
	alone    []auction.Bid      // those for a lead that nobody else gets

	shareTerms auction.Terms   // of one leg of a shared sale
	reason     exchange.Reason // why there are no legs
	record     exchange.Auction

	seats []book.Seat          // of a tier that picks by turns
	order []*exchange.Contract // and its contracts in the order of their turns
	one   exchange.Ask         // to the contract whose turn it is
	turn  *book.HeldTurn       // of the first leg, until a quote or a journey has it
}

// Ping asks the buyers and opens a quote.
func (e *Engine) Ping(req *PingRequest) PingAnswer {
	ans := e.ping(req)
	ans.Elapsed = e.Now().Sub(req.Arrival)
	e.m.pings[ans.Reason].Inc()
	return ans
}

func (e *Engine) ping(req *PingRequest) PingAnswer {
	if reason := e.enter(); reason != exchange.ReasonNone {
		return PingAnswer{Reason: reason}
	}
	defer e.leave()
	if !req.Snap.rates[req.Campaign.ID].pings.Allow(req.Campaign.PingsPerSecond, e.steady(req.Arrival)) {
		return PingAnswer{Reason: exchange.ReasonRateLimited}
	}
	if e.quotes.Full() {
		return PingAnswer{Reason: exchange.ReasonOverloaded}
	}
	if req.Ref == "" {
		return e.auctionFor(req, 0)
	}
	return e.pingWithRef(req)
}

// pingWithRef answers a repeat of a ref from its live quote. A repeat that
// comes while the first is still being asked waits for it.
func (e *Engine) pingWithRef(req *PingRequest) PingAnswer {
	seller := req.Campaign.Seller.ID
	claim := book.ClaimOf(book.ClaimRef, e.deps.Vault.Fingerprint("ref", string(seller), req.Ref))
	release, ok := e.claimBy(claim, e.bidDeadline(req.Campaign, req.Arrival, req.MaxWait))
	if !ok {
		return PingAnswer{Reason: exchange.ReasonOverloaded}
	}
	defer release()
	hash := e.hashValues(req.Values)
	if q := e.quotes.ByRef(seller, req.Ref, e.Now()); q != nil && q.LeadHash == hash && q.Test == req.Test && q.Campaign.ID == req.Campaign.ID {
		return PingAnswer{PingID: q.PingID, Quote: q, Cached: true}
	}
	return e.auctionFor(req, hash)
}

// claimBy takes a claim, waiting for whoever holds it until the deadline.
func (e *Engine) claimBy(claim book.Claim, deadline time.Time) (release func(), ok bool) {
	for {
		released, taken := e.claims.TryOrWatch(claim)
		if taken {
			return func() { e.claims.Release(claim) }, true
		}
		timer := time.NewTimer(deadline.Sub(e.Now()))
		select {
		case <-released:
			timer.Stop()
		case <-timer.C:
			return nil, false
		}
	}
}

func (e *Engine) hashValues(values []exchange.Value) uint64 {
	var h maphash.Hash
	h.SetSeed(e.seed)
	for i := range values {
		_, _ = h.WriteString(values[i].Text)
		_ = h.WriteByte(0)
	}
	return h.Sum64()
}

// bidDeadline is the instant the last bid counts: arrival and the shorter of the window and
// the seller's wish, less our own reserve and what auctions miss their end by just now.
func (e *Engine) bidDeadline(c *exchange.Campaign, arrival time.Time, maxWait time.Duration) time.Time {
	wait := c.Window
	if maxWait > 0 && maxWait < wait {
		wait = maxWait
	}
	return arrival.Add(wait - min(e.cfg.Reserve, wait/4) - min(e.late.now(), wait/4))
}

func (e *Engine) auctionFor(req *PingRequest, hash uint64) PingAnswer {
	t := terms{
		snap: req.Snap, campaign: req.Campaign, pingID: e.deps.Minter.Ping(req.Arrival), arrival: req.Arrival, waited: req.Waited,
		deadline: e.bidDeadline(req.Campaign, req.Arrival, req.MaxWait), minPrice: req.MinPrice,
		sale: req.Sale, legsMax: legsMax(req.MaxLegs, req.Campaign.LegsMax), test: req.Test, consent: &req.Consent,
		lead: exchange.Lead{Vertical: req.Campaign.Vertical, Values: req.Values},
	}
	t.script = scriptFor(&t)
	run := e.runs.Get().(*auctionRun)
	defer e.release(run)
	e.runAuction(run, &t)
	ans := PingAnswer{PingID: t.pingID, Reason: run.reason}
	if run.reason == exchange.ReasonNone {
		ans.Quote = e.openQuote(req, &t, run, hash)
	}
	if !t.stale() { // else no bidding was held that could have ended late
		now := e.Now()
		e.late.note(now, now.Sub(t.deadline))
	}
	e.tell(run, &t)
	return ans
}

// openQuote turns the legs into a price promise.
func (e *Engine) openQuote(req *PingRequest, t *terms, run *auctionRun, hash uint64) *book.Quote {
	now := e.Now()
	q := &book.Quote{
		PingID: t.pingID, Market: t.snap.Market, Campaign: t.campaign, Ref: req.Ref, LeadHash: hash, Test: t.test, Sale: run.sale, Places: run.places,
		Script: uint8(t.script), Values: t.lead.Values, Source: req.Source, Consent: req.Consent, Tier: run.tier,
		Legs: make([]book.QuoteLeg, len(run.legs)), Price: run.price(), Opened: now,
	}
	life := t.campaign.QuoteTTL
	for i := range run.legs {
		leg := &run.legs[i]
		q.Legs[i] = book.QuoteLeg{Contract: leg.Contract, Bid: leg.Amount, Payout: leg.Payout, Token: leg.Token, ExpiresIn: leg.ExpiresIn}
		if i < q.Places && leg.ExpiresIn > 0 {
			life = min(life, leg.ExpiresIn)
		}
	}
	q.Expires = now.Add(life)
	q.Told = q.Expires.UnixNano()
	q.Turn, run.turn = run.turn, nil
	e.quotes.Open(q)
	return q
}

// runAuction asks tier after tier until one has a leg. It leaves the legs, or the reason there are none, in run.
func (e *Engine) runAuction(run *auctionRun, t *terms) {
	run.record.Candidates, run.known, run.legs = run.record.Candidates[:0], run.known[:0], run.legs[:0]
	run.terms = auction.Terms{
		Ping: t.pingID, Currency: t.snap.Market.Currency, Margins: t.campaign, MarginMin: t.campaign.MarginMin,
		Least: max(t.campaign.Floor, t.minPrice),
	}
	run.shareTerms = shareTerms(t, run.terms)
	run.reason = e.closed(t)
	if run.reason != exchange.ReasonNone {
		return
	}
	run.query = pingtree.Query{
		Lead: &t.lead, Now: t.arrival, Zone: t.snap.Market.Zone, Sale: t.sale, Test: t.test,
		Named: t.consent.NamedBuyers, Caps: e.book,
	}
	run.reason = exchange.ReasonNoEligibleContract
	tree := t.campaign.Tree
	for i := range tree.Tiers {
		contracts := e.eligible(run, t, i)
		run.terms.Method, run.shareTerms.Method = tree.Tiers[i].Method, tree.Tiers[i].Method
		if run.terms.Method.ByTurns() && t.script == scriptNone {
			contracts = e.askInTurn(run, t, i, contracts)
		} else {
			e.askTier(run, t, i, contracts)
		}
		e.clearTier(run, t, &tree.Tiers[i])
		e.noteTier(run, i, len(contracts))
		if len(run.legs) > 0 {
			run.tier, run.reason = i, exchange.ReasonNone
			return
		}
		run.turn.Release() // its price was enough for a place, and all the places together were not for the lead
		run.turn = nil
	}
}

// stale tells whether a lead was looked at so late that half of its buyers' time was gone. It
// fails as overloaded: what few of them could still say would be taken for an answer, and it may come again.
func (t *terms) stale() bool { return t.waited > t.deadline.Sub(t.arrival)/2 }

// closed tells why a campaign takes no lead now, ReasonNone if it does.
func (e *Engine) closed(t *terms) exchange.Reason {
	if t.stale() {
		return exchange.ReasonOverloaded
	}
	if t.campaign.ConsentRequired && !t.consent.Given {
		return exchange.ReasonConsentMissing
	}
	if t.test {
		return exchange.ReasonNone
	}
	day := t.arrival.In(t.snap.Market.Zone).Weekday()
	for _, caps := range [2][]exchange.Cap{t.campaign.Seller.Caps, t.campaign.Caps} {
		for i := range caps {
			if caps[i].Counts(day) && e.book.Used(caps[i].Handle, caps[i].Per.Start(t.arrival, t.snap.Market.Zone)) >= caps[i].Limit {
				return caps[i].Full
			}
		}
	}
	return exchange.ReasonNone
}

func (e *Engine) eligible(run *auctionRun, t *terms, tier int) []*exchange.Contract {
	if t.script != scriptNone {
		if tier > 0 {
			return nil
		}
		return t.script.contracts(t.campaign.Vertical)
	}
	return t.snap.trees[t.campaign.ID].Eligible(tier, &run.query, &run.scratch)
}

// askTier gathers one tier's bids: live ones from the buyers, standing prices as they are.
func (e *Engine) askTier(run *auctionRun, t *terms, tier int, contracts []*exchange.Contract) {
	run.bids, run.took = run.bids[:0], run.took[:0]
	ask := &run.ask
	ask.Contracts, ask.Answers = ask.Contracts[:0], ask.Answers[:0]
	for place, c := range contracts {
		if !c.Pinged {
			run.bids = append(run.bids, auction.Bid{Contract: c, Tier: tier, Place: place, Amount: c.Price, Shared: c.Shared})
			run.took = append(run.took, 0)
			continue
		}
		if slices.Contains(run.known, c.Buyer.ID) {
			run.scratch.Excluded[exchange.ReasonDuplicate]++
			continue
		}
		if len(ask.Contracts) == e.cfg.FanOutMax {
			run.scratch.Excluded[exchange.ReasonThrottled]++
			continue
		}
		ask.Contracts = append(ask.Contracts, c)
		ask.Answers = append(ask.Answers, exchange.Answer{})
	}
	if len(ask.Contracts) == 0 {
		return
	}
	ask.PingID, ask.Campaign, ask.Lead, ask.Sale, ask.Test = t.pingID, t.campaign.ID, &t.lead, t.sale, t.test
	ask.Start, ask.Deadline = e.Now(), t.deadline
	if w := t.campaign.Tree.Tiers[tier].Window; w > 0 && ask.Start.Add(w).Before(ask.Deadline) {
		ask.Deadline = ask.Start.Add(w)
	}
	if ask.Enough = nil; run.mayEnd(t, &t.campaign.Tree.Tiers[tier]) {
		ask.Enough = run.isEnough
	}
	switch {
	case ask.Deadline.Sub(ask.Start) < time.Millisecond:
		for i := range ask.Answers {
			ask.Answers[i].Reason = exchange.ReasonNoTime
		}
	case t.script != scriptNone:
		t.script.ask(ask, &run.terms)
	default:
		t.snap.Bidders.Ask(ask)
		run.asked += e.Now().Sub(ask.Start)
	}
	for i, place := 0, 0; i < len(ask.Contracts); i, place = i+1, place+1 {
		for contracts[place] != ask.Contracts[i] {
			place++
		}
		a := &ask.Answers[i]
		if run.afford(ask.Contracts[i], a); a.Reason == exchange.ReasonNone {
			run.bids = append(run.bids, auction.Bid{
				Contract: ask.Contracts[i], Tier: tier, Place: place, Amount: a.Bid, Shared: a.Shared, Token: a.Token, ExpiresIn: a.ExpiresIn,
			})
			run.took = append(run.took, a.Elapsed)
		}
	}
}

// reached ranks how far a contract came towards a sale; a lead's reason is the
// furthest. If no contract came further than to find our own connections to it
// taken, nobody was asked: that says nothing of the lead, so the request fails as overloaded.
func reached(r exchange.Reason) int {
	switch r {
	case exchange.ReasonNoTime:
		return 1
	case exchange.ReasonOverloaded:
		return 2
	case exchange.ReasonBelowFloor:
		return 5
	case exchange.ReasonTimeout:
		return 4
	case exchange.ReasonNoEligibleContract:
		return 0
	default:
		return 3
	}
}

// noteTier writes a tier's candidates into the record and moves the lead's reason on.
func (e *Engine) noteTier(run *auctionRun, tier, places int) {
	for i := range run.ask.Answers {
		a, contract := &run.ask.Answers[i], run.ask.Contracts[i]
		if a.Reason == exchange.ReasonNone {
			continue
		}
		if a.Reason == exchange.ReasonDuplicate {
			run.known = append(run.known, contract.Buyer.ID)
		}
		c := run.candidate(contract, tier)
		if c.Reason = a.Reason; a.Unasked {
			continue // it came no further than those that cannot see the lead
		}
		c.Elapsed, c.Detail = exchange.Millis(a.Elapsed), a.Detail
		run.reach(c.Reason)
	}
	run.byPlace = slices.Grow(run.byPlace[:0], places)[:places]
	clear(run.byPlace)
	for i := range run.legs {
		run.byPlace[run.legs[i].Place] = i + 1
	}
	for i := range run.bids {
		b := &run.bids[i]
		c := run.candidate(b.Contract, tier)
		c.Elapsed = exchange.Millis(run.took[i])
		if leg := run.byPlace[b.Place]; leg > 0 {
			run.noteLeg(c, leg-1)
			continue
		}
		payout, enough := run.termsOf(b.Contract).Payout(b.Contract, b.Amount)
		if c.Bid, c.Payout, c.Reason = b.Amount, payout, exchange.ReasonOutbid; !enough {
			c.Reason = exchange.ReasonBelowFloor
		}
		run.reach(c.Reason)
	}
}

// noteLeg writes into a candidate which leg it is, at the price that counted if it sells either way.
func (run *auctionRun) noteLeg(c *exchange.Candidate, leg int) {
	if len(run.ranks.prospects) > 0 {
		c.Index, c.Odds = run.ranks.prospects[leg].Index, run.ranks.prospects[leg].Odds
	}
	c.Bid, c.Payout = run.legs[leg].Amount, run.legs[leg].Payout
	if c.Leg = exchange.LegNo(leg + 1); leg >= run.places {
		c.Reason = exchange.ReasonOutbid
	}
}

// candidate appends a candidate to the record.
func (run *auctionRun) candidate(contract *exchange.Contract, tier int) *exchange.Candidate {
	run.record.Candidates = append(run.record.Candidates, exchange.Candidate{Contract: contract, Name: contract.ID, Tier: tier})
	return &run.record.Candidates[len(run.record.Candidates)-1]
}

// reach moves the lead's reason on to how far one of its candidates came, if that is further.
func (run *auctionRun) reach(reason exchange.Reason) {
	switch reason {
	case exchange.ReasonTimeout, exchange.ReasonNoTime, exchange.ReasonBelowFloor:
	case exchange.ReasonConcurrency:
		reason = exchange.ReasonOverloaded
	default:
		reason = exchange.ReasonNoBid // whatever the buyer calls it
	}
	if reached(reason) > reached(run.reason) {
		run.reason = reason
	}
}

// tell hands the record of a finished auction to whoever watches.
func (e *Engine) tell(run *auctionRun, t *terms) {
	elapsed := e.Now().Sub(t.arrival)
	r := &run.record
	r.PingID, r.At, r.ConfigHash = t.pingID, t.arrival, t.snap.Market.Hash
	r.Seller, r.Campaign, r.Test, r.Direct = t.campaign.Seller.ID, t.campaign.ID, t.test, t.direct
	r.Lead, r.Sale, r.MinPrice, r.Reason = &t.lead, t.sale, t.minPrice, run.reason
	r.Price = 0
	if run.reason == exchange.ReasonNone {
		r.Price = run.price()
	}
	r.Excluded = run.scratch.AppendExcluded(r.Excluded[:0])
	r.Elapsed = exchange.Millis(elapsed)
	e.m.asked.Update(run.asked.Seconds())
	e.m.pingOwn.Update((elapsed - run.asked).Seconds())
	e.deps.Observer.Auction(r)
}

// release clears what a run points to and pools it.
func (e *Engine) release(run *auctionRun) {
	run.scratch.Reset()
	clear(run.ask.Contracts)
	clear(run.ask.Answers)
	clear(run.bids)
	clear(run.legs[:cap(run.legs)])
	run.ranks.reset()
	run.share.reset()
	clear(run.alone)
	clear(run.record.Candidates)
	run.turn.Release()
	clear(run.order)
	run.turn, run.one = nil, exchange.Ask{}
	run.query, run.ask.Lead, run.record.Lead, run.asked = pingtree.Query{}, nil, nil, 0
	e.runs.Put(run)
}
