package engine

import (
	"encoding/json"
	"reflect"
	"slices"
	"strings"
	"time"

	"vendue/exchange"
	"vendue/exchange/auction"
	"vendue/exchange/book"
	"vendue/exchange/pingtree"
)

// journey is one lead on its way from the post to its end. It belongs to one request.
type journey struct {
	e        *Engine
	snap     *Snapshot
	campaign *exchange.Campaign
	arrival  time.Time
	waitEnd  time.Time
	leadID   exchange.LeadID
	pingID   exchange.PingID
	script   script
	lead     exchange.Lead
	pinged   []exchange.Value // ping fields only; what filters see
	consent  exchange.Consent
	named    []string // the ping's named buyers: they bind as well as the post's
	sale     exchange.SaleKind
	facts    exchange.LeadFacts
	direct   *terms // a direct's auction is part of the journey; nil for a post

	promise exchange.Money // no leg pays less
	fixed   bool           // every leg pays exactly the promise: it was quoted
	tier    int            // of the candidates; the standing prices of later ones are the last resort
	later   bool           // and they were looked up

	suspect *exchange.Suspect // the lead's person, as suppression lists know it; nil until one is looked into
	places  []place           // of a shared sale, those still to be filled
	legsMax int               // and how many there are in all

	candidates []candidate
	next       int
	nextLeg    exchange.LegNo // the highest number given
	blocked    []exchange.BuyerID
	skipped    exchange.Reason // the furthest reason a candidate was passed over for
	waited     time.Duration   // for buyers
	turn       *book.HeldTurn  // of the first candidate, until something is posted
	view       exchange.LeadView
}

// candidate is a bid that may still win.
type candidate struct {
	contract   *exchange.Contract
	leg        exchange.LegNo
	bid        exchange.Money
	payout     exchange.Money
	token      string
	suppressed bool           // its buyer must not be sold this person
	place      int            // of a shared sale: the one that was quoted it, below 0: any
	used       bool           // and it was posted to
	tree       *exchange.Tree // it was found in
	tier       int
	margin     exchange.Margin // the rule behind it
}

// setFacts fills what the lead's first event says of it.
func (j *journey) setFacts(source exchange.Source) {
	j.facts.PingID, j.facts.Campaign, j.facts.Vertical = j.pingID, j.campaign.ID, j.campaign.Vertical.ID
	j.facts.Currency = j.snap.Market.Currency.Code
	j.facts.Source = j.e.sourceFacts(j.snap.Market, source)
	if j.facts.Test {
		return // a test is nobody
	}
	rule := &j.campaign.Vertical.Duplicate
	if len(rule.Fields) == 0 {
		return
	}
	parts := make([]string, 1, len(rule.Fields)+1)
	parts[0] = "person/" + string(j.campaign.Vertical.ID)
	for _, slot := range rule.Fields {
		if !j.lead.Values[slot].Set {
			return // an empty value is not a person
		}
		parts = append(parts, j.lead.Values[slot].Text)
	}
	j.facts.Person = j.e.deps.Vault.Fingerprint(parts...)
}

// sourceFacts keeps of a source what the journal may hold.
func (e *Engine) sourceFacts(market *exchange.Market, s exchange.Source) (f exchange.SourceFacts) {
	if s.IsZero() {
		return f
	}
	f.Coupon = market.Coupons[strings.ToLower(strings.TrimSpace(s.Coupon))] // as a link's is read
	if s.Cookie != "" {
		f.Cookie, _ = e.deps.Minter.ParseClick(s.Cookie)
	}
	foreign := struct {
		ClickID string    `json:"click_id,omitempty"`
		Subs    [5]string `json:"subs"`
	}{Subs: s.Subs}
	if s.ClickID != "" {
		click, ours := e.deps.Minter.ParseClick(s.ClickID)
		switch {
		case ours:
			f.Click = click
		case exchange.LooksLikeClick(s.ClickID):
			return exchange.SourceFacts{} // forged: it earns nobody credit
		default:
			foreign.ClickID = s.ClickID
		}
	}
	if _, known := market.Affiliates[exchange.AffiliateID(s.Affiliate)]; known {
		f.Affiliate = exchange.AffiliateID(s.Affiliate)
	}
	if market.Offers[exchange.OfferID(s.Offer)] != nil {
		f.Offer = exchange.OfferID(s.Offer)
	}
	if foreign.ClickID != "" || foreign.Subs != [5]string{} {
		text, err := json.Marshal(foreign)
		if err != nil {
			panic("BUG: cannot encode a source: " + err.Error())
		}
		f.Foreign = e.deps.Vault.Seal(string(text))
	}
	return f
}

// sell takes the lead to its end: alone with its person, past the duplicates,
// through the auction if it is a direct, from buyer to buyer.
func (j *journey) sell() PostAnswer {
	if err := j.e.deps.Fence(j.facts.Seller, j.facts.Idem, j.pingID); err != nil {
		return faulted(exchange.ReasonOverloaded)
	}
	if j.script == scriptDuplicate {
		return j.refuse(exchange.ReasonDuplicate, exchange.LeadID{})
	}
	if j.script == scriptNone && j.onList(j.neverSold()) {
		j.e.m.suppressed.Inc()
		return j.refuse(exchange.ReasonSuppressed, exchange.LeadID{})
	}
	if !j.facts.Person.IsZero() {
		claim := book.ClaimOf(book.ClaimPerson, j.facts.Person)
		if !j.e.claims.Try(claim) {
			return j.refuse(exchange.ReasonDuplicate, exchange.LeadID{})
		}
		defer j.e.claims.Release(claim)
		duplicate, err := j.findDuplicates()
		if err != nil {
			return j.e.broke(err)
		}
		if duplicate {
			return j.refuse(exchange.ReasonDuplicate, exchange.LeadID{})
		}
	}
	if j.direct != nil {
		switch reason := j.runAuction(); reason {
		case exchange.ReasonNone:
		case exchange.ReasonOverloaded:
			return faulted(reason) // not a word on the lead: it may come again
		default:
			return j.refuse(reason, exchange.LeadID{})
		}
	}
	j.screen(0)
	return j.deliver()
}

// findDuplicates looks for earlier leads of the same person that are sold or
// may be. It tells whether they stop any sale; buyers that have the person are noted as blocked.
func (j *journey) findDuplicates() (stop bool, err error) {
	rule := &j.campaign.Vertical.Duplicate
	since := j.arrival.Add(-time.Duration(rule.Within) * time.Second)
	read := 0
	since = since.Truncate(time.Millisecond) // ids tell time by the millisecond
	err = j.e.deps.Store.LeadsByPerson(j.facts.Person, since, func(id exchange.LeadID) (bool, error) {
		var view exchange.LeadView
		if err := j.e.fold(&view, id, nil); err != nil {
			return false, err
		}
		for i := range view.Legs {
			leg := &view.Legs[i]
			if leg.Status == exchange.LegRejected {
				continue
			}
			// Who gave a person back is not sold it again; everybody else may be.
			if leg.Status != exchange.LegReturned && leg.Sale == exchange.SaleExclusive && rule.Scope == exchange.ScopeAnyone {
				stop = true
				return false, nil
			}
			j.blocked = append(j.blocked, leg.Buyer)
		}
		read++
		stop = read == j.e.cfg.PersonLeadsRead // what lies beyond is not looked at, so nothing is sold on top of it
		return !stop, nil
	})
	return stop, err
}

// runAuction is a direct's ping: its legs become the candidates.
func (j *journey) runAuction() exchange.Reason {
	e := j.e
	run := e.runs.Get().(*auctionRun)
	defer e.release(run)
	e.runAuction(run, j.direct)
	j.waited += run.asked
	j.tier = run.tier
	j.turn, run.turn = run.turn, nil
	j.candidates = make([]candidate, 0, len(run.legs))
	for i := range run.legs {
		leg := &run.legs[i]
		j.candidates = append(j.candidates, candidate{
			contract: leg.Contract, leg: exchange.LegNo(i + 1), bid: leg.Amount, payout: leg.Payout, token: leg.Token,
			tree: j.campaign.Tree, tier: run.tier, margin: j.campaign.MarginFor(leg.Contract, leg.Amount),
		})
	}
	j.nextLeg = exchange.LegNo(len(run.legs))
	if run.reason == exchange.ReasonNone {
		j.sale = run.sale
		j.shareDirect(run)
	}
	e.tell(run, j.direct)
	return run.reason
}

func (j *journey) auctionTerms() auction.Terms {
	return auction.Terms{
		Ping: j.pingID, Method: exchange.MethodAuction, Currency: j.snap.Market.Currency,
		Margins: j.campaign, MarginMin: j.campaign.MarginMin, Least: j.promise,
	}
}

// covers tells whether a bid may serve the quoted price in another's stead.
func (j *journey) covers(bid, promise exchange.Money) bool {
	t := j.auctionTerms()
	return auction.Covers(&t, bid, promise)
}

// addLater makes candidates of the later tiers' standing prices that cover the promise. It holds no lock.
func (j *journey) addLater() {
	j.later = true
	campaign, tree := j.snap.Market.Campaigns[j.campaign.ID], j.snap.trees[j.campaign.ID]
	if j.script != scriptNone || tree == nil || !sameFields(campaign.Vertical, j.campaign.Vertical) {
		return // a reload since the ping may have taken the campaign away, or given its fields other slots
	}
	lead := exchange.Lead{Vertical: j.campaign.Vertical, Values: j.pinged}
	query := pingtree.Query{
		Lead: &lead, Now: j.arrival, Zone: j.snap.Market.Zone, Sale: j.sale, Test: j.facts.Test,
		Named: j.consent.NamedBuyers, Caps: j.e.book, StandingOnly: true,
	}
	defer j.screen(len(j.candidates))
	t := j.auctionTerms()
	var scratch pingtree.Scratch
	for tier := j.tier + 1; tier < tree.Tiers(); tier++ {
		var bids []auction.Bid
		for place, c := range j.e.inTurn(campaign.Tree, tier, tree.Eligible(tier, &query, &scratch)) {
			if !slices.ContainsFunc(j.candidates, func(have candidate) bool { return have.contract.ID == c.ID }) {
				bids = append(bids, auction.Bid{Contract: c, Tier: tier, Place: place, Amount: c.PriceAs(j.sale)})
			}
		}
		if j.fixed {
			bids = slices.DeleteFunc(bids, func(b auction.Bid) bool { return !auction.Covers(&t, b.Amount, j.promise) })
			t.Margins, t.Least = nil, 0 // the quote is the price; only the order is wanted
		}
		t.Method = campaign.Tree.Tiers[tier].Method
		for _, leg := range auction.Clear(&t, bids, nil) {
			j.nextLeg++
			payout := leg.Payout
			if j.fixed {
				payout = j.promise
			}
			j.candidates = append(j.candidates, candidate{contract: leg.Contract, leg: j.nextLeg, bid: leg.Amount, payout: payout, place: -1, tree: campaign.Tree, tier: tier, margin: j.campaign.MarginFor(leg.Contract, leg.Amount)})
		}
	}
}

// sameFields tells whether values of one vertical may stand in the other's slots.
func sameFields(a, b *exchange.Vertical) bool {
	return a == b || reflect.DeepEqual(a.Fields, b.Fields)
}

// pick returns the next candidate that may have the lead now, with the event
// that starts its attempt. The engine's lock is held.
func (j *journey) pick(now time.Time) (*candidate, *exchange.PostStarted) {
	if j.campaign.Attempts > 0 && len(j.view.Legs) >= j.campaign.Attempts {
		return nil, nil
	}
	for ; j.next < len(j.candidates); j.next++ {
		c := &j.candidates[j.next]
		reason, holds := j.admit(c, now)
		if reason != exchange.ReasonNone {
			j.skip(reason)
			continue
		}
		j.next++
		return c, j.begin(c, holds)
	}
	return nil, nil
}

// begin returns the event that starts the next attempt, at a candidate.
func (j *journey) begin(c *candidate, holds []exchange.Hold) *exchange.PostStarted {
	started := &exchange.PostStarted{
		LeadID: j.leadID, Attempt: uint16(len(j.view.Legs) + 1), Leg: c.leg, Contract: c.contract.ID, Buyer: c.contract.Buyer.ID,
		Sale: j.sale, Bid: c.bid, Payout: c.payout, Margin: c.margin, OnUnknown: c.contract.OnUnknown, Holds: holds,
		Turn: j.turnOf(c), LegsMax: uint16(j.legsMax),
	}
	if c.contract.StatusToken {
		started.Token = j.e.deps.Vault.Seal(c.token)
	}
	if started.Attempt == 1 {
		started.Lead = &j.facts
	}
	return started
}

// admit tells whether a candidate may have the lead now, and what to hold for it.
func (j *journey) admit(c *candidate, now time.Time) (exchange.Reason, []exchange.Hold) {
	if j.script == scriptNone {
		current := j.snap.Market.ByName[c.contract.ID]
		if current == nil || current.Paused {
			return exchange.ReasonPaused, nil
		}
		if current.Sale != exchange.SaleAny && current.Sale != j.sale {
			return exchange.ReasonSaleType, nil
		}
		c.contract = current
	}
	switch {
	case slices.Contains(j.blocked, c.contract.Buyer.ID):
		return exchange.ReasonDuplicate, nil
	case c.suppressed:
		return exchange.ReasonSuppressed, nil
	case j.script == scriptNone && !j.allows(c.contract.Buyer.Name):
		return exchange.ReasonNotNamed, nil
	case now.Add(j.timeout(c.contract)).After(j.waitEnd):
		return exchange.ReasonNoTime, nil
	}
	if j.facts.Test {
		return exchange.ReasonNone, nil
	}
	if most := c.contract.PostsAtOnce; most > 0 && j.e.book.InFlight(c.contract.ID) >= most {
		return exchange.ReasonConcurrency, nil
	}
	holds := j.holds(c, now)
	if i, ok := j.e.book.CanHold(holds); !ok {
		return j.fullReason(c, holds[i].Cap), nil
	}
	if j.ahead(c.contract, now) {
		return exchange.ReasonPacing, nil
	}
	return exchange.ReasonNone, holds
}

// timeout is how long an attempt may take: the contract's own time, or nine
// tenths of a campaign's wait that could never hold it.
func (j *journey) timeout(c *exchange.Contract) time.Duration {
	if c.PostTimeout >= j.campaign.PostWait {
		return j.campaign.PostWait * 9 / 10
	}
	return c.PostTimeout
}

// allows tells whether both consents, the ping's and the post's, let a buyer of this name have the lead.
func (j *journey) allows(name string) bool {
	asked := exchange.Consent{NamedBuyers: j.named}
	return j.consent.Allows(name) && asked.Allows(name)
}

// holds lists what a sale to the candidate takes of every cap it counts in.
func (j *journey) holds(c *candidate, now time.Time) []exchange.Hold {
	lists := j.capLists(c)
	n := 0
	for _, caps := range lists {
		n += len(caps)
	}
	if n == 0 {
		return nil
	}
	out := make([]exchange.Hold, 0, n)
	day := now.In(j.snap.Market.Zone).Weekday()
	for _, caps := range lists {
		for i := range caps {
			if !caps[i].Counts(day) {
				continue
			}
			out = append(out, exchange.Hold{
				Cap: caps[i].ID, Window: caps[i].Per.Start(now, j.snap.Market.Zone), Amount: caps[i].Need(c.bid),
			})
		}
	}
	return out
}

func (j *journey) capLists(c *candidate) [4][]exchange.Cap {
	return [4][]exchange.Cap{c.contract.Caps, c.contract.Buyer.Caps, j.campaign.Caps, j.campaign.Seller.Caps}
}

func (j *journey) fullReason(c *candidate, id exchange.CapID) exchange.Reason {
	for _, caps := range j.capLists(c) {
		for i := range caps {
			if caps[i].ID == id {
				return caps[i].Full
			}
		}
	}
	return exchange.ReasonCapContract
}

// skip notes why a candidate was passed over, as the lead's reason puts it: the furthest stage counts.
func (j *journey) skip(reason exchange.Reason) {
	switch reason {
	case exchange.ReasonDuplicate, exchange.ReasonSuppressed, exchange.ReasonNoTime, exchange.ReasonCapCampaign, exchange.ReasonCapSeller:
	default:
		reason = exchange.ReasonNoEligibleContract
	}
	rank := func(r exchange.Reason) int {
		return slices.Index([]exchange.Reason{exchange.ReasonNone, exchange.ReasonNoEligibleContract, exchange.ReasonCapSeller,
			exchange.ReasonCapCampaign, exchange.ReasonSuppressed, exchange.ReasonDuplicate, exchange.ReasonNoTime}, r)
	}
	if rank(reason) > rank(j.skipped) {
		j.skipped = reason
	}
}
