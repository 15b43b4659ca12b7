package attribution

import (
	"encoding/base32"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"time"

	"vendue/exchange"
)

// view is the keyspace as the fold sees it, with what the fold wrote itself.
type view interface {
	get(key []byte) (value []byte, ok bool, err error)
	set(key, value []byte)
	create(key, value []byte) // set of a key that the space does not hold
	add(key, value []byte)    // the same of one that the fold never reads again
	del(key []byte)
}

// fold turns events into records. It is deterministic: the same journal and an
// empty space give the same records, however the journal is cut into batches.
type fold struct {
	view    view
	vault   exchange.Vault
	terms   map[exchange.OfferID]terms // replaced, never changed: a batch that fails goes back to the old map
	orphans int                        // events of attempts whose start the journal did not tell
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

// apply moves the records on by one event. It returns the sale if the event is one.
func (f *fold) apply(e exchange.Entry) (*Sale, error) {
	switch ev := e.Event.(type) {
	case *exchange.OfferSet:
		f.offerSet(ev)
	case *exchange.Clicked:
		c := click{seq: e.Seq, at: e.At, offer: ev.Offer, affiliate: ev.Affiliate, foreign: ev.Foreign}
		f.view.set(clickKey(ev.ClickID), c.encode())
	case *exchange.PostStarted:
		return nil, f.started(e.At, ev)
	case *exchange.PostEnded:
		if ev.Outcome == exchange.OutcomeUnknown {
			return nil, nil // it stays open until a leg_settled
		}
		return f.ended(end{e.Seq, e.At, ev.LeadID, ev.Attempt, ev.Outcome == exchange.OutcomeAccepted, ev.Status})
	case *exchange.LegSettled:
		return f.ended(end{e.Seq, 0, ev.LeadID, ev.Attempt, ev.Accepted, ev.Status})
	}
	return nil, nil
}

func (f *fold) offerSet(ev *exchange.OfferSet) {
	t := terms{model: ev.Model, windowSec: ev.WindowSec, commission: ev.Commission, removed: ev.Removed}
	f.terms = maps.Clone(f.terms)
	f.terms[ev.Offer] = t
	f.view.set(termsKey(ev.Offer), t.encode())
}

func (f *fold) started(at int64, ev *exchange.PostStarted) error {
	attempt := openAttempt{no: ev.Attempt, at: at, contract: ev.Contract, buyer: ev.Buyer, revenue: ev.Bid, payout: ev.Payout}
	if ev.Lead != nil { // the lead's first event: nothing is known of it
		o := openLead{
			at: at, seller: ev.Lead.Seller, currency: ev.Lead.Currency, test: ev.Lead.Test, source: ev.Lead.Source,
			attempts: []openAttempt{attempt},
		}
		f.view.create(openKey(ev.LeadID), o.encode())
		return nil
	}
	o, known, err := f.open(ev.LeadID)
	if err != nil {
		return err
	}
	if !known || len(o.attempts) >= openAttemptsMax {
		f.orphans++
		return nil
	}
	o.attempts = append(o.attempts, attempt)
	f.view.set(openKey(ev.LeadID), o.encode())
	return nil
}

func (f *fold) open(id exchange.LeadID) (o openLead, ok bool, err error) {
	v, ok, err := f.view.get(openKey(id))
	if err != nil || !ok {
		return o, false, err
	}
	o, err = decodeOpenLead(v)
	return o, err == nil, err
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
	o, known, err := f.open(e.lead)
	if err != nil {
		return nil, err
	}
	i := slices.IndexFunc(o.attempts, func(a openAttempt) bool { return a.no == e.attempt })
	if !known || i < 0 {
		f.orphans++
		return nil, nil
	}
	attempt := o.attempts[i]
	o.attempts = slices.Delete(o.attempts, i, i+1)
	if len(o.attempts) == 0 && (e.status == exchange.LeadSold || e.status == exchange.LeadRejected) {
		f.view.del(openKey(e.lead))
		if e.at == 0 && f.settled != nil {
			f.settled(e.seq, o.seller, e.lead)
		}
	} else {
		f.view.set(openKey(e.lead), o.encode())
	}
	if !e.accepted || o.test {
		return nil, nil
	}
	return f.sold(e, &o, &attempt)
}

// sold decides the credit of a sold leg and books it.
func (f *fold) sold(e end, o *openLead, attempt *openAttempt) (*Sale, error) {
	s := &Sale{
		Seq: e.seq, Lead: e.lead, Attempt: e.attempt, At: e.at, Seller: o.seller, Buyer: attempt.buyer,
		Contract: attempt.contract, Currency: o.currency, Revenue: attempt.revenue, Payout: attempt.payout,
	}
	if s.At == 0 {
		s.At = attempt.at
	}
	foreigns, err := f.touch(s, o)
	if err != nil {
		return nil, err
	}
	f.decide(s, foreigns)
	f.view.add(saleKey(s.Seq), s.encode())
	f.view.add(leadKey(s.Lead, s.Seq), nil)
	for _, p := range postingsOf(s) {
		f.view.add(ledgerKey(p.Seq, p.Line), p.encode())
	}
	return s, nil
}

// touch gathers what could earn credit, the strongest evidence first, and
// beside each touch the affiliate's own ids. A click id in the lead speaks
// alone: where it is forged, unknown or too old, nobody else steps in.
func (f *fold) touch(s *Sale, o *openLead) (foreigns []exchange.Sealed, err error) {
	var spoken bool
	named := Touch{Kind: TouchNamed, At: o.at, Affiliate: o.source.Affiliate, Offer: o.source.Offer}
	switch {
	case !o.source.Click.IsZero():
		t := Touch{Kind: TouchClick, At: o.source.Click.Time().UnixNano(), Click: o.source.Click, Dropped: WhyClickUnknown}
		c, ok, err := f.click(o.source.Click, s.Seq)
		if err != nil {
			return nil, err
		}
		if ok {
			t.At, t.Affiliate, t.Offer, t.Dropped = c.at, c.affiliate, c.offer, WhyNone
		}
		if ok && c.affiliate == "" {
			t.Dropped = WhyNoAffiliate
			if named.Offer == "" {
				named.Offer = c.offer
			}
		}
		spoken = t.Dropped != WhyNoAffiliate
		s.Touches, foreigns = append(s.Touches, t), append(foreigns, c.foreign)
	case looksOurs(foreignID(f.vault, o.source.Foreign), o.at):
		s.Touches, foreigns = append(s.Touches, Touch{Kind: TouchClick, Dropped: WhyClickForged}), append(foreigns, nil)
		spoken = true
	}
	if named.Affiliate != "" {
		if spoken {
			named.Dropped = WhyWeaker
		}
		s.Touches, foreigns = append(s.Touches, named), append(foreigns, o.source.Foreign)
	}
	return foreigns, nil
}

// click returns a click that the journal told of before seq.
func (f *fold) click(id exchange.ClickID, seq uint64) (c click, ok bool, err error) {
	v, ok, err := f.view.get(clickKey(id))
	if err != nil || !ok {
		return c, false, err
	}
	c, err = decodeClick(v)
	return c, err == nil && c.seq < seq, err
}

// decide drops the touches that the offers' terms exclude and gives the credit.
func (f *fold) decide(s *Sale, foreigns []exchange.Sealed) {
	var rule terms
	for i := range s.Touches {
		t := &s.Touches[i]
		if t.Dropped != WhyNone {
			continue
		}
		if t.Offer == "" {
			t.Offer = f.onlyOffer()
		}
		found, ok := f.terms[t.Offer]
		switch {
		case t.Offer == "":
			t.Dropped = WhyNoOffer
		case !ok:
			t.Dropped = WhyOfferUnknown
		case found.removed:
			t.Dropped = WhyOfferRemoved
		default:
			t.Dropped = within(t.Kind, t.At, s.At, found.windowSec)
			rule = found
			s.Model, s.WindowSec, s.Terms = rule.model, rule.windowSec, rule.commission
		}
	}
	shares := split(rule.model, s.Touches)
	if len(shares) == 0 {
		s.Uncredited = reasonOf(s.Touches)
		return
	}
	won := &s.Touches[shares[0].Touch]
	s.Affiliate, s.Offer, s.Click, s.Foreign = won.Affiliate, won.Offer, won.Click, foreigns[shares[0].Touch]
	s.Amount = commission(s.Terms, s.Revenue, s.Payout, s.Currency)
}

// reasonOf is why nobody earned: what became of the last touch that was heard.
func reasonOf(touches []Touch) Why {
	why := WhyDirect
	for i := range touches {
		if touches[i].Dropped != WhyWeaker {
			why = touches[i].Dropped
		}
	}
	return why
}

// onlyOffer is the offer of a lead that names none, if there is no choice.
func (f *fold) onlyOffer() (only exchange.OfferID) {
	for id, t := range f.terms {
		if t.removed {
			continue
		}
		if only != "" {
			return ""
		}
		only = id
	}
	return only
}

// foreign is what was sealed of a click or a lead: the other side's ids.
type foreign struct {
	CID     string   `json:"cid"`      // of a click
	ClickID string   `json:"click_id"` // of a lead
	Subs    []string `json:"subs"`
}

// unseal opens foreign text. What cannot be opened or read is as if it was not there.
func unseal(v exchange.Vault, sealed exchange.Sealed) (f foreign) {
	text, err := v.Unseal(sealed)
	if err != nil || text == "" || json.Unmarshal([]byte(text), &f) != nil {
		return foreign{}
	}
	return f
}

func foreignID(v exchange.Vault, sealed exchange.Sealed) string {
	if len(sealed) == 0 {
		return ""
	}
	return unseal(v, sealed).ClickID
}

// looksOurs tells whether text, which this house did not make, was shaped to
// pass for a click id of ours. The length alone would not do: trackers of
// others use 32 hexadecimal digits too. The time and the kind inside tell them
// apart, but for one in twenty thousand.
func looksOurs(text string, at int64) bool {
	if len(text) != exchange.IDTextBytes {
		return false
	}
	b, err := base32.NewEncoding("0123456789abcdefghjkmnpqrstvwxyz").WithPadding(base32.NoPadding).DecodeString(text)
	if err != nil {
		return false
	}
	head := binary.BigEndian.Uint64(b)
	made := time.UnixMilli(int64(head >> 16))
	earliest := time.Date(2020, 1, 1, 0, 0, 0, 0, time.UTC)
	return exchange.IDKind(head>>12&15) == exchange.KindClick && made.After(earliest) && made.Before(time.Unix(0, at).Add(24*time.Hour))
}
