package attribution

import (
	"bytes"
	"fmt"
	"maps"
	"slices"

	"vendue/exchange"
)

// view is the keyspace as the fold sees it, with what the fold wrote itself.
type view interface {
	get(key []byte) (value []byte, ok bool, err error)
	set(key, value []byte)
	create(key, value []byte) // set of a key that the space does not hold
	add(key, value []byte)    // the same of one that the fold reads again only among a lead's decisions; it keeps neither slice
	del(key []byte)
	// delRange removes the keys from lo up to, not including, hi. The fold never asks for them again.
	delRange(lo, hi []byte)
	// lead returns a lead that has attempts which have not ended. Whoever changes it says so with setLead or endLead.
	lead(id exchange.LeadID) (o *openLead, ok bool, err error)
	setLead(id exchange.LeadID, o *openLead)
	beginLead(id exchange.LeadID, o *openLead) // setLead of one that the space does not hold
	endLead(id exchange.LeadID)
	// decisions calls fn for those about a lead of a seq below before, in the order of the journal.
	decisions(lead exchange.LeadID, before uint64, fn func(*Sale)) error
}

// fold turns events into records. It is deterministic: the same journal and an
// empty space give the same records, however the journal is cut into batches.
type fold struct {
	view    view
	vault   exchange.Vault
	terms   map[exchange.OfferID]terms // replaced, never changed: a batch that fails goes back to the old map
	horizon int64                      // Unix milliseconds: clicks made before it have left
	orphans int                        // events of attempts whose start the journal did not tell
	sale    Sale                       // the latest sold leg: what apply returns is valid until the next call
	key     []byte                     // scratch of keep
	value   []byte                     // the same
	// settled, if not nil, hears of each lead whose last unknown attempt was settled: its seller was told pending.
	settled func(seq uint64, seller exchange.SellerID, lead exchange.LeadID)
}

// loadTerms reads the offers' terms from the space.
func loadTerms(space Space) (map[exchange.OfferID]terms, error) {
	all := make(map[exchange.OfferID]terms)
	err := space.Scan([]byte(prefixTerms), after(prefixTerms), func(k, v []byte) (bool, error) {
		t, err := decodeTerms(v)
		all[exchange.OfferID(k[len(prefixTerms):])] = t
		return true, err
	})
	if err != nil {
		return nil, fmt.Errorf("cannot read the offers' terms: %w", err)
	}
	return all, nil
}

// apply moves the records on by one event. It returns the decision that the event led to, if any: valid until it is called again.
func (f *fold) apply(e exchange.Entry) (*Sale, error) {
	f.advance(e.At)
	switch ev := e.Event.(type) {
	case *exchange.OfferSet:
		f.offerSet(ev)
	case *exchange.Clicked:
		f.clicked(e, ev)
	case *exchange.Converted:
		return f.converted(e, ev)
	case *exchange.PostStarted:
		return f.started(e, ev)
	case *exchange.PostEnded:
		if ev.Outcome == exchange.OutcomeUnknown {
			return nil, nil // it stays open until a leg_settled
		}
		return f.ended(end{e.Seq, e.At, ev.LeadID, ev.Attempt, ev.Outcome == exchange.OutcomeAccepted, ev.Status})
	case *exchange.LegGivenBack:
		return f.returned(e, ev)
	case *exchange.LegSettled:
		return f.ended(end{e.Seq, 0, ev.LeadID, ev.Attempt, ev.Accepted, ev.Status})
	}
	return nil, nil
}

func (f *fold) offerSet(ev *exchange.OfferSet) {
	t := terms{model: ev.Model, windowSec: ev.WindowSec, commission: ev.Commission, removed: ev.Removed, rules: ev.OfferRules}
	f.terms = maps.Clone(f.terms)
	f.terms[ev.Offer] = t
	f.view.set(termsKey(ev.Offer), t.encode())
}

func (f *fold) clicked(e exchange.Entry, ev *exchange.Clicked) {
	if f.gone(ev.ClickID) {
		return // its clock was far behind the journal's
	}
	f.view.set(clickKey(ev.ClickID), clickOf(e, ev).encode())
}

func clickOf(e exchange.Entry, ev *exchange.Clicked) *click {
	return &click{
		seq: e.Seq, at: e.At, offer: ev.Offer, affiliate: ev.Affiliate, foreign: ev.Foreign, view: ev.View, prev: ev.Prev, coupon: ev.Coupon,
	}
}

func (f *fold) started(e exchange.Entry, ev *exchange.PostStarted) (*Sale, error) {
	attempt := openAttempt{no: ev.Attempt, at: e.At, contract: ev.Contract, buyer: ev.Buyer, revenue: ev.Bid, payout: ev.Payout}
	if ev.Lead != nil { // the lead's first event: nothing is known of it
		o := &openLead{
			at: e.At, seller: ev.Lead.Seller, currency: ev.Lead.Currency, test: ev.Lead.Test, source: ev.Lead.Source,
			attempts: []openAttempt{attempt},
		}
		f.view.beginLead(ev.LeadID, o)
		return f.accepted(e, ev.LeadID, o)
	}
	o, known, err := f.view.lead(ev.LeadID)
	if err != nil {
		return nil, err
	}
	if !known || len(o.attempts) >= openAttemptsMax {
		f.orphans++
		return nil, nil
	}
	o.attempts = append(o.attempts, attempt)
	f.view.setLead(ev.LeadID, o)
	return nil, nil
}

// accepted decides the credit of a lead that goes to its first buyer. Where any
// offer pays for that, each lead's decision is kept: Verify could not tell
// otherwise, once its clicks have left, that there was none.
func (f *fold) accepted(e exchange.Entry, lead exchange.LeadID, o *openLead) (*Sale, error) {
	pays := false
	for _, t := range f.terms {
		pays = pays || t.rules.EarnOn == exchange.EarnAccepted
	}
	if !pays || o.test {
		return nil, nil
	}
	s := &Sale{Seq: e.Seq, Trigger: TriggerAccepted, Lead: lead, At: e.At, Seller: o.seller, Currency: o.currency}
	if err := f.decide(s, o); err != nil {
		return nil, err
	}
	if s.Credited() && s.rule.rules.EarnOn != exchange.EarnAccepted {
		s.Uncredited, s.Credits = WhyOnSale, nil
	}
	s.pay()
	f.keep(s)
	return s, nil
}

// end is how an attempt was resolved.
type end struct {
	seq      uint64
	at       int64 // 0: it was an unknown one, which counts as sold when it was posted
	lead     exchange.LeadID
	attempt  uint16
	accepted bool
	status   exchange.LeadStatus // of the lead, after it
}

func (f *fold) ended(e end) (*Sale, error) {
	o, known, err := f.view.lead(e.lead)
	if err != nil {
		return nil, err
	}
	i := -1
	if known {
		i = slices.IndexFunc(o.attempts, func(a openAttempt) bool { return a.no == e.attempt })
	}
	if i < 0 {
		f.orphans++
		return nil, nil
	}
	attempt := o.attempts[i]
	o.attempts = slices.Delete(o.attempts, i, i+1)
	if len(o.attempts) == 0 && e.status != exchange.LeadOpen && e.status != exchange.LeadPending {
		f.view.endLead(e.lead)
		if e.at == 0 && f.settled != nil {
			f.settled(e.seq, o.seller, e.lead)
		}
	} else {
		f.view.setLead(e.lead, o)
	}
	if !e.accepted || o.test {
		return nil, nil
	}
	return f.sold(e, o, &attempt)
}

// sold decides the credit of a sold leg and books it.
func (f *fold) sold(e end, o *openLead, attempt *openAttempt) (*Sale, error) {
	s := &f.sale
	*s = Sale{
		Seq: e.seq, Lead: e.lead, Attempt: e.attempt, At: e.at, Seller: o.seller, Buyer: attempt.buyer,
		Contract: attempt.contract, Currency: o.currency, Revenue: attempt.revenue, Payout: attempt.payout,
	}
	if s.At == 0 {
		s.At = attempt.at
	}
	if err := f.decide(s, o); err != nil {
		return nil, err
	}
	if s.Credited() {
		switch rules := &s.rule.rules; {
		case rules.EarnOn == exchange.EarnAccepted:
			s.Uncredited, s.Credits = WhyOnAccept, nil
		case rules.EarnOn == exchange.EarnConfirmed && !rules.NeedSold:
			s.Uncredited, s.Credits = WhyOnEvent, nil
		case rules.EarnOn == exchange.EarnConfirmed:
			s.Uncredited = WhyAwaiting
			if err := f.await(s, o.clicked()); err != nil {
				return nil, err
			}
		}
	}
	s.pay()
	f.keep(s)
	return s, nil
}

// clicked is the click that an event would name to confirm the lead's sale.
func (o *openLead) clicked() exchange.ClickID {
	if o.source.Click.IsZero() {
		return o.source.Cookie
	}
	return o.source.Click
}

// pay parts the commission among the credits.
func (s *Sale) pay() {
	if len(s.Credits) == 0 {
		return
	}
	shares := make([]Share, len(s.Credits))
	for i := range s.Credits {
		shares[i] = Share{Touch: s.Credits[i].Touch, Weight: s.Credits[i].Weight}
	}
	sum := s.rule.pays(base{revenue: s.Revenue, payout: s.Payout, amount: s.EventAmount}, s.Currency)
	for i, part := range allocate(sum, minorUnit(s.Currency), shares) {
		s.Credits[i].Amount = part
	}
}

// keep writes a decision. The ledger follows from it; the journal tells which lead it is of, unless an event of a click led to it.
func (f *fold) keep(s *Sale) {
	f.key, f.value = appendSaleKey(f.key[:0], s.Seq), s.append(f.value[:0])
	if s.IsEvent() || s.Uncredited == WhyAwaiting {
		f.view.create(bytes.Clone(f.key), bytes.Clone(f.value)) // what it awaits, or its reversal, reads it
	} else {
		f.view.add(f.key, f.value)
	}
	if s.ofClick() && !s.Lead.IsZero() {
		f.view.add(leadKey(s.Lead, s.Seq), nil)
	}
}

// kept returns the decision of an earlier seq.
func (f *fold) kept(seq uint64) (*Sale, error) {
	v, ok, err := f.view.get(saleKey(seq))
	if err != nil {
		return nil, err
	}
	if !ok {
		return nil, fmt.Errorf("attribution's record of seq %d is not there", seq)
	}
	s, err := decodeSale(seq, v)
	return &s, err
}
