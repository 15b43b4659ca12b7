package engine

import (
	"time"

	"vendue/exchange"
	"vendue/exchange/book"
)

// PostRequest is a seller delivering the whole lead of a ping.
type PostRequest struct {
	Snap    *Snapshot
	Seller  *exchange.Seller
	Arrival time.Time
	Key     string // Idempotency-Key, "" if none
	Body    string // the request's body as it came, for the key's clash check
	PingID  string
	BidIDs  []string
	Consent exchange.Consent
	// Decode reads the lead into a slot per field of v, on top of the ping's
	// values, which stand. It returns false if a field is at fault; whose faults they are, it keeps.
	Decode func(v *exchange.Vertical, ping []exchange.Value) ([]exchange.Value, bool)
}

// DirectRequest is a seller asking and delivering at once.
type DirectRequest struct {
	PingRequest
	Key  string
	Body string
}

// Fault says why a post was not worked on. None of them is stored or uses up a quote.
type Fault uint8

// The faults.
const (
	FaultNone     Fault = iota
	FaultReason         // PostAnswer.Reason says it: rate_limited, draining, journal_unavailable, overloaded
	FaultLead           // Decode found fields at fault
	FaultBidID          // a bid_id that is not one of the quote's
	FaultKeyBusy        // the key, or the ping, is being worked on right now
	FaultKeyClash       // the key came before with another body
)

// PostAnswer is what a seller is told of a post: a fault, or the lead as it stands.
type PostAnswer struct {
	Fault  Fault
	Reason exchange.Reason
	View   exchange.LeadView
}

func faulted(reason exchange.Reason) PostAnswer {
	return PostAnswer{Fault: FaultReason, Reason: reason}
}

// Post sells the lead of a quote.
func (e *Engine) Post(req *PostRequest) PostAnswer {
	if reason := e.enter(); reason != exchange.ReasonNone {
		return e.countPost(faulted(reason))
	}
	defer e.leave()
	if req.Key == "" {
		return e.countPost(e.postOnce(req, exchange.LeadFacts{Seller: req.Seller.ID}))
	}
	return e.countPost(e.withKey(req.Seller, req.Key, req.Body, func(facts exchange.LeadFacts) PostAnswer {
		return e.postOnce(req, facts)
	}))
}

// Direct asks the buyers and sells the lead in one go.
func (e *Engine) Direct(req *DirectRequest) PostAnswer {
	if reason := e.enter(); reason != exchange.ReasonNone {
		return e.countPost(faulted(reason))
	}
	defer e.leave()
	if req.Key == "" {
		return e.countPost(e.directOnce(req, exchange.LeadFacts{Seller: req.Campaign.Seller.ID}))
	}
	return e.countPost(e.withKey(req.Campaign.Seller, req.Key, req.Body, func(facts exchange.LeadFacts) PostAnswer {
		return e.directOnce(req, facts)
	}))
}

func (e *Engine) countPost(ans PostAnswer) PostAnswer {
	reason := ans.Reason
	if ans.Fault == FaultNone {
		reason = ans.View.Reason
	}
	e.m.posts[reason].Inc()
	return ans
}

// withKey makes do run at most once per Idempotency-Key: whoever holds the key
// is alone with it, and a repeat is answered from the journal.
func (e *Engine) withKey(seller *exchange.Seller, key, body string, do func(exchange.LeadFacts) PostAnswer) PostAnswer {
	facts := exchange.LeadFacts{
		Seller: seller.ID,
		Idem:   e.deps.Vault.Fingerprint("key", string(seller.ID), key),
		Body:   e.deps.Vault.Fingerprint("body", body),
	}
	claim := book.ClaimOf(book.ClaimKey, facts.Idem)
	if !e.claims.Try(claim) {
		return PostAnswer{Fault: FaultKeyBusy, Reason: exchange.ReasonInvalidField}
	}
	defer e.claims.Release(claim)
	lead, ok, err := e.deps.Store.LeadByKey(facts.Idem)
	if err != nil {
		return e.broke(err)
	}
	if !ok {
		return do(facts)
	}
	var view exchange.LeadView
	if err := e.fold(&view, lead, (*exchange.LeadView).Final); err != nil {
		return e.broke(err)
	}
	switch {
	case e.broken.Load(): // whoever had the key may have failed to write what the store shows
		return faulted(exchange.ReasonJournalUnavailable)
	case e.Now().Sub(time.Unix(0, view.At)) >= e.cfg.KeyKept:
		return do(facts)
	case view.Facts.Body != facts.Body:
		return PostAnswer{Fault: FaultKeyClash, Reason: exchange.ReasonInvalidField}
	}
	return PostAnswer{View: view}
}

// broke is the answer when the store cannot be read or written.
func (e *Engine) broke(err error) PostAnswer {
	e.fail(err)
	return faulted(exchange.ReasonJournalUnavailable)
}

// fold reads a lead's events into view, up to where stop says, or all of them that are on disk.
func (e *Engine) fold(view *exchange.LeadView, lead exchange.LeadID, stop func(*exchange.LeadView) bool) error {
	return e.foldTo(view, lead, e.synced.Load(), stop) // a crash could still take the rest back
}

// foldTo is fold as far as the event seq.
func (e *Engine) foldTo(view *exchange.LeadView, lead exchange.LeadID, seq uint64, stop func(*exchange.LeadView) bool) error {
	entries, err := e.deps.Store.LeadEntries(lead, nil)
	if err != nil {
		return err
	}
	for _, entry := range entries {
		if entry.Seq > seq {
			return nil
		}
		view.Apply(entry)
		if stop != nil && stop(view) {
			return nil
		}
	}
	return nil
}

// straysPerSecond bounds a seller's posts that have no live quote. Each is an
// event on disk, and a loop in somebody's code must not fill it.
const straysPerSecond = 500

func (e *Engine) strayed(req *PostRequest) bool {
	rate := req.Snap.strays[req.Seller.ID]
	return rate != nil && !rate.Allow(straysPerSecond, e.steady(req.Arrival))
}

// postOnce finds the quote and posts its lead.
func (e *Engine) postOnce(req *PostRequest, facts exchange.LeadFacts) PostAnswer {
	ping, ours := e.deps.Minter.ParsePing(req.PingID)
	if !ours {
		if e.strayed(req) {
			return faulted(exchange.ReasonRateLimited)
		}
		return e.refuse(req, facts, exchange.ReasonPingUnknown, exchange.LeadID{})
	}
	facts.PingID = ping
	claim := book.Claim{Kind: book.ClaimPing, Text: ping}
	quote := e.quotes.Get(ping, req.Arrival)
	wait := 10 * time.Second
	if quote != nil {
		wait = quote.Campaign.PostWait
	}
	// Another post of the same ping may be in flight: what became of it decides what this one is told.
	release, ok := e.claimBy(claim, req.Arrival.Add(wait))
	if !ok {
		return PostAnswer{Fault: FaultKeyBusy, Reason: exchange.ReasonInvalidField}
	}
	defer release()
	if quote == nil || e.quotes.Used(ping) {
		if e.strayed(req) {
			return faulted(exchange.ReasonRateLimited)
		}
		return e.postWithoutQuote(req, facts)
	}
	if quote.Campaign.Seller.ID != req.Seller.ID {
		facts.PingID = exchange.PingID{}
		return e.refuse(req, facts, exchange.ReasonPingUnknown, exchange.LeadID{})
	}
	return e.postQuote(req, facts, quote)
}

// postWithoutQuote tells a ping that was used from one that is gone.
func (e *Engine) postWithoutQuote(req *PostRequest, facts exchange.LeadFacts) PostAnswer {
	first, used, err := e.deps.Store.LeadByPing(facts.PingID)
	if err != nil {
		return e.broke(err)
	}
	if !used {
		return e.refuse(req, facts, exchange.ReasonPingExpired, exchange.LeadID{})
	}
	var view exchange.LeadView
	if err := e.fold(&view, first, nil); err != nil {
		return e.broke(err)
	}
	if view.Facts.Seller != req.Seller.ID {
		facts.PingID = exchange.PingID{}
		return e.refuse(req, facts, exchange.ReasonPingUnknown, exchange.LeadID{})
	}
	facts.Campaign, facts.Vertical, facts.Test = view.Facts.Campaign, view.Facts.Vertical, view.Facts.Test
	return e.refuse(req, facts, exchange.ReasonPingUsed, first)
}

// refuse ends a post that has no live quote.
func (e *Engine) refuse(req *PostRequest, facts exchange.LeadFacts, reason exchange.Reason, first exchange.LeadID) PostAnswer {
	facts.Currency = req.Snap.Market.Currency.Code
	j := &journey{e: e, snap: req.Snap, facts: facts, arrival: req.Arrival, leadID: e.deps.Minter.Lead(req.Arrival)}
	return j.refuse(reason, first)
}

func (e *Engine) postQuote(req *PostRequest, facts exchange.LeadFacts, quote *book.Quote) PostAnswer {
	campaign := quote.Campaign
	if rates := req.Snap.rates[campaign.ID]; rates != nil && !rates.posts.Allow(campaign.PostsPerSecond, e.steady(req.Arrival)) {
		return faulted(exchange.ReasonRateLimited)
	}
	values, ok := req.Decode(campaign.Vertical, quote.Values) // first, so that all bad fields come at once
	if !namesLegs(req.BidIDs, quote) {
		return PostAnswer{Fault: FaultBidID, Reason: exchange.ReasonInvalidField}
	}
	if !ok {
		return PostAnswer{Fault: FaultLead, Reason: exchange.ReasonInvalidField}
	}
	consent := req.Consent
	if !consent.Given {
		consent = quote.Consent
	}
	j := &journey{
		e: e, snap: req.Snap, campaign: campaign, arrival: req.Arrival, waitEnd: req.Arrival.Add(campaign.PostWait),
		leadID: e.deps.Minter.Lead(req.Arrival), pingID: quote.PingID, script: script(quote.Script),
		lead: exchange.Lead{Vertical: campaign.Vertical, Values: values}, pinged: quote.Values, consent: consent, named: quote.Consent.NamedBuyers, sale: quote.Sale,
		promise: quote.Price, fixed: true, tier: quote.Tier, facts: facts, nextLeg: exchange.LegNo(len(quote.Legs)),
		turn: quote.Turn,
	}
	j.facts.Test = quote.Test
	j.setFacts(quote.Source)
	if quote.Sale == exchange.SaleShared {
		j.shareQuote(quote, req)
		return j.sellQuote(quote)
	}
	j.candidates = make([]candidate, 0, len(quote.Legs))
	for i := range quote.Legs {
		leg := &quote.Legs[i]
		c := candidate{contract: leg.Contract, leg: exchange.LegNo(i + 1), bid: leg.Bid, payout: leg.Payout, token: leg.Token, tree: campaign.Tree, tier: quote.Tier, margin: campaign.MarginFor(leg.Contract, leg.Bid)}
		if quote.Lapsed(leg, req.Arrival) {
			continue
		}
		if i > 0 && c.payout != quote.Price {
			if !j.covers(leg.Bid, j.promise) {
				continue
			}
			c.payout = quote.Price
		}
		j.candidates = append(j.candidates, c)
	}
	return j.sellQuote(quote)
}

// sellQuote sells the lead and uses the quote up, if the post was worked on.
func (j *journey) sellQuote(quote *book.Quote) PostAnswer {
	ans := j.sell()
	if ans.Fault == FaultNone {
		j.e.quotes.Use(quote.PingID)
	}
	return ans
}

// namesLegs tells whether bid_ids name what the quote shows: one bid if it is
// exclusive, so that naming none or that one is all the choice there is.
func namesLegs(bidIDs []string, quote *book.Quote) bool {
	for _, text := range bidIDs {
		if leg, ok := exchange.ParseBidID(text, quote.PingID); !ok || leg < 1 || int(leg) > quote.Places {
			return false
		}
	}
	return true
}

func (e *Engine) directOnce(req *DirectRequest, facts exchange.LeadFacts) PostAnswer {
	c := req.Campaign
	rates := req.Snap.rates[c.ID]
	if !rates.pings.Allow(c.PingsPerSecond, e.steady(req.Arrival)) || !rates.posts.Allow(c.PostsPerSecond, e.steady(req.Arrival)) {
		return faulted(exchange.ReasonRateLimited)
	}
	wait := c.Window + c.PostWait
	if req.MaxWait > 0 {
		wait = min(wait, req.MaxWait)
	}
	pinged := pingValues(c.Vertical, req.Values)
	t := terms{
		snap: req.Snap, campaign: c, pingID: e.deps.Minter.Ping(req.Arrival), arrival: req.Arrival, waited: req.Waited,
		deadline: e.bidDeadline(c, req.Arrival, req.MaxWait), minPrice: req.MinPrice, sale: req.Sale, legsMax: legsMax(req.MaxLegs, c.LegsMax), test: req.Test,
		direct: true, consent: &req.Consent, lead: exchange.Lead{Vertical: c.Vertical, Values: pinged},
	}
	t.script = scriptFor(&t)
	j := &journey{
		e: e, snap: req.Snap, campaign: c, arrival: req.Arrival, waitEnd: req.Arrival.Add(wait),
		leadID: e.deps.Minter.Lead(req.Arrival), pingID: t.pingID, script: t.script,
		lead: exchange.Lead{Vertical: c.Vertical, Values: req.Values}, pinged: pinged, consent: req.Consent, sale: req.Sale,
		promise: max(c.Floor, req.MinPrice), facts: facts, direct: &t,
	}
	j.facts.Direct, j.facts.PingID, j.facts.Test = true, t.pingID, req.Test
	j.setFacts(req.Source)
	return j.sell()
}

// pingValues returns a copy of values with only what a ping may show.
func pingValues(v *exchange.Vertical, values []exchange.Value) []exchange.Value {
	out := make([]exchange.Value, len(values))
	for i := range values {
		if f := &v.Fields[i]; f.Ping != exchange.NeedNot && !f.Personal {
			out[i] = values[i]
		}
	}
	return out
}

// Quoted returns the vertical and the values of a seller's live ping, so that the
// faults of a post that goes no further can be told with those of its lead; nil if there is none. named tells whether it has the legs of bidIDs.
func (e *Engine) Quoted(seller exchange.SellerID, ping string, bidIDs []string) (v *exchange.Vertical, values []exchange.Value, named bool) {
	id, ours := e.deps.Minter.ParsePing(ping)
	quote := e.quotes.Get(id, e.Now())
	if !ours || quote == nil || quote.Campaign.Seller.ID != seller {
		return nil, nil, false
	}
	return quote.Campaign.Vertical, quote.Values, namesLegs(bidIDs, quote)
}

// Lead returns a lead of a seller as it stands now; Known is false if the seller has no such lead.
func (e *Engine) Lead(seller exchange.SellerID, text string) (view exchange.LeadView, err error) {
	id, ours := e.deps.Minter.ParseLead(text)
	if !ours {
		return view, nil
	}
	if err := e.fold(&view, id, nil); err != nil {
		return view, err
	}
	if view.Facts.Seller != seller {
		return exchange.LeadView{}, nil
	}
	return view, nil
}

// LeadAt returns a lead as it stood after the event seq, whoever its seller is.
// Every event up to seq is on disk, as the caller knows from the journal, perhaps
// before the engine does.
func (e *Engine) LeadAt(id exchange.LeadID, seq uint64) (view exchange.LeadView, err error) {
	e.raiseSynced(seq)
	err = e.foldTo(&view, id, seq, nil)
	return view, err
}
