package attribution

import (
	"vendue/attribution/internal/wire"
	"vendue/exchange"
)

// Trigger says what a decision was about.
type Trigger uint8

// The triggers. TriggerSold is the zero one: a leg was sold.
const (
	TriggerSold      Trigger = iota
	TriggerAccepted          // a lead was taken to a buyer, and its offer pays for that
	TriggerConfirmed         // an offer's owner told of an event
	TriggerReversed          // a credit was taken back
	TriggerReturned          // a buyer gave the leg back
)

var triggerWords = [...]string{"sold", "accepted", "confirmed", "reversed", "returned"}

// String returns the trigger's word.
func (t Trigger) String() string {
	if int(t) >= len(triggerWords) {
		return "invalid"
	}
	return triggerWords[t]
}

// MarshalText returns the word.
func (t Trigger) MarshalText() ([]byte, error) { return []byte(t.String()), nil }

// Credit is one touch's share of a commission. Those of one decision sum to
// what its terms give.
type Credit struct {
	Touch     int                  `json:"touch"` // its place among the touches
	Weight    uint64               `json:"weight"`
	Affiliate exchange.AffiliateID `json:"affiliate"`
	Click     exchange.ClickID     `json:"click_id,omitzero"`
	Amount    exchange.Money       `json:"amount"` // below zero where a credit is taken back
	Foreign   exchange.Sealed      `json:"-"`      // the affiliate's own ids, of the lead or the click
}

// Sale is a sold leg, or an accepted lead or an event that may earn, and what
// attribution decided of it: the credit, or why there is none. It is the
// explain record. Nothing changes it: what comes later is a decision of its own
// that names it.
type Sale struct {
	Seq     uint64  `json:"seq"` // of the event that it follows from
	Trigger Trigger `json:"trigger"`
	// Of is the decision that this one completes or takes back: the sold leg that an event confirms, the event that a sold
	// leg came after, the credit that is reversed.
	Of          uint64               `json:"of,omitempty"`
	Lead        exchange.LeadID      `json:"lead_id,omitzero"`
	Attempt     uint16               `json:"attempt,omitempty"`
	At          int64                `json:"at"` // Unix nanoseconds of the sale, the acceptance or the event
	Seller      exchange.SellerID    `json:"seller,omitempty"`
	Buyer       exchange.BuyerID     `json:"buyer,omitempty"`
	Contract    exchange.ContractID  `json:"contract,omitempty"`
	Currency    string               `json:"currency"`
	Revenue     exchange.Money       `json:"revenue"` // from the buyer
	Payout      exchange.Money       `json:"payout"`  // to the seller
	Event       string               `json:"event,omitempty"`
	EventKey    exchange.Fingerprint `json:"event_key,omitzero"`
	EventAmount exchange.Money       `json:"event_amount,omitempty"`
	EventClick  exchange.ClickID     `json:"event_click_id,omitzero"`
	Touches     []Touch              `json:"touches,omitempty"`
	Offer       exchange.OfferID     `json:"offer,omitempty"`      // whose rule was reached, if one was
	Uncredited  Why                  `json:"uncredited,omitempty"` // WhyNone: somebody is credited
	// Credits stand beside WhyAwaiting too: they are what an event will make good.
	Credits []Credit `json:"credits,omitempty"`
	rule    terms
}

// Rule is the terms by which a decision was made.
type Rule struct {
	Model      exchange.Model      `json:"model"`
	WindowSec  int64               `json:"window_s"`
	Commission exchange.Commission `json:"commission"`
	exchange.OfferRules
}

// Rule returns the terms that were reached; none if the model is 0.
func (s *Sale) Rule() Rule {
	return Rule{Model: s.rule.model, WindowSec: s.rule.windowSec, Commission: s.rule.commission, OfferRules: s.rule.rules}
}

// Credited tells whether somebody earned.
func (s *Sale) Credited() bool { return s.Uncredited == WhyNone }

// Amount is the commission, of all credits together.
func (s *Sale) Amount() (sum exchange.Money) {
	for i := range s.Credits {
		sum += s.Credits[i].Amount
	}
	return sum
}

// IsLeg tells whether a sold leg stands behind the decision.
func (s *Sale) IsLeg() bool { return s.Attempt > 0 }

// IsEvent tells whether an event does.
func (s *Sale) IsEvent() bool { return !s.EventKey.IsZero() }

// ofClick tells whether the event that led to the decision names a click, and no lead.
func (s *Sale) ofClick() bool { return s.Trigger == TriggerConfirmed || s.Trigger == TriggerReversed }

// What a record of a sale holds beside what all of them do.
const (
	partOf       = 1 << iota
	partLead     // and attempt, seller, buyer and contract
	partEvent    // and its click
	partEvidence // touches, offer, terms, credits
)

func (s *Sale) parts() (parts uint64) {
	if s.Of > 0 {
		parts |= partOf
	}
	if !s.Lead.IsZero() {
		parts |= partLead
	}
	if s.Event != "" || s.IsEvent() || !s.EventClick.IsZero() {
		parts |= partEvent
	}
	if len(s.Touches) > 0 || s.Offer != "" || s.rule != (terms{}) || len(s.Credits) > 0 {
		parts |= partEvidence
	}
	return parts
}

func (s *Sale) append(dst []byte) []byte {
	w, parts := wire.Writer{B: dst}, s.parts()
	w.Uint(recordVersion)
	w.Uint(parts)
	w.Uint(uint64(s.Trigger))
	w.Int(s.At)
	w.Text(s.Currency)
	w.Int(int64(s.Revenue))
	w.Int(int64(s.Payout))
	w.Uint(uint64(s.Uncredited))
	if parts&partOf != 0 {
		w.Uint(s.Of)
	}
	if parts&partLead != 0 {
		w.Raw(s.Lead[:])
		w.Uint(uint64(s.Attempt))
		w.Text(string(s.Seller))
		w.Text(string(s.Buyer))
		w.Text(string(s.Contract))
	}
	if parts&partEvent != 0 {
		w.Text(s.Event)
		w.Raw(s.EventKey[:])
		w.Int(int64(s.EventAmount))
		writeClickID(&w, s.EventClick)
	}
	if parts&partEvidence != 0 {
		s.writeEvidence(&w)
	}
	return w.B
}

func (s *Sale) writeEvidence(w *wire.Writer) {
	w.Uint(uint64(len(s.Touches)))
	for i := range s.Touches {
		s.Touches[i].write(w)
	}
	w.Text(string(s.Offer))
	s.rule.write(w)
	w.Uint(uint64(len(s.Credits)))
	for i := range s.Credits {
		c := &s.Credits[i]
		w.Uint(uint64(c.Touch))
		w.Uint(c.Weight)
		w.Text(string(c.Affiliate))
		writeClickID(w, c.Click)
		w.Int(int64(c.Amount))
		w.Text(string(c.Foreign))
	}
}

func (t *Touch) write(w *wire.Writer) {
	w.Uint(uint64(t.Kind))
	w.Uint(uint64(t.Evidence))
	w.Int(t.At)
	w.Uint(t.Seq)
	writeClickID(w, t.Click)
	w.Text(string(t.Affiliate))
	w.Text(string(t.Offer))
	w.Uint(uint64(t.Dropped))
}

func readTouch(r *wire.Reader) Touch {
	return Touch{
		Kind: TouchKind(r.Uint()), Evidence: Evidence(r.Uint()), At: r.Int(), Seq: r.Uint(), Click: readClickID(r),
		Affiliate: exchange.AffiliateID(r.Text()), Offer: exchange.OfferID(r.Text()), Dropped: Why(r.Uint()),
	}
}

func decodeSale(seq uint64, b []byte) (s Sale, err error) {
	r, err := reader("sale", b)
	if err != nil {
		return s, err
	}
	parts := r.Uint()
	s.Seq, s.Trigger, s.At = seq, Trigger(r.Uint()), r.Int()
	s.Currency, s.Revenue, s.Payout, s.Uncredited = r.Text(), exchange.Money(r.Int()), exchange.Money(r.Int()), Why(r.Uint())
	if parts&partOf != 0 {
		s.Of = r.Uint()
	}
	if parts&partLead != 0 {
		r.Raw(s.Lead[:])
		s.Attempt = uint16(r.Uint())
		s.Seller, s.Buyer, s.Contract = exchange.SellerID(r.Text()), exchange.BuyerID(r.Text()), exchange.ContractID(r.Text())
	}
	if parts&partEvent != 0 {
		s.Event = r.Text()
		r.Raw(s.EventKey[:])
		s.EventAmount, s.EventClick = exchange.Money(r.Int()), readClickID(&r)
	}
	if parts&partEvidence != 0 {
		s.readEvidence(&r)
	}
	return s, r.Err()
}

func (s *Sale) readEvidence(r *wire.Reader) {
	for range min(r.Count(), touchesMax) {
		s.Touches = append(s.Touches, readTouch(r))
	}
	s.Offer, s.rule = exchange.OfferID(r.Text()), readTerms(r)
	for range min(r.Count(), creditsMax) {
		s.Credits = append(s.Credits, Credit{
			Touch: int(r.Uint()), Weight: r.Uint(), Affiliate: exchange.AffiliateID(r.Text()), Click: readClickID(r),
			Amount: exchange.Money(r.Int()), Foreign: exchange.Sealed(r.Text()),
		})
	}
}

// Tally counts decisions of one kind. Told = Credited + the sum of Uncredited.
type Tally struct {
	Told       uint64           `json:"told"`
	Credited   uint64           `json:"credited"`
	Uncredited [WhyCount]uint64 `json:"-"` // by Why
}

func (t *Tally) add(why Why) {
	t.Told++
	if why == WhyNone {
		t.Credited++
		return
	}
	t.Uncredited[why]++
}

// move takes one from a reason to another.
func (t *Tally) move(from, to Why) {
	if from == WhyNone {
		t.Credited--
	} else {
		t.Uncredited[from]--
	}
	t.Told--
	t.add(to)
}

// open is how many are neither credited nor uncredited for a reason: always zero. A
// reason that fell below none would hide in the sum, and counts as one that is open.
func (t *Tally) open() int64 {
	for _, n := range append(t.Uncredited[:], t.Credited) {
		if n > t.Told {
			return 1
		}
	}
	sum := t.Credited
	for _, n := range t.Uncredited {
		sum += n
	}
	return int64(t.Told - sum)
}

// Totals sum up the decisions. Sold = Credits + the sum of Uncredited: a leg
// that an event confirms moves from the one to the other.
type Totals struct {
	Sold       uint64           `json:"sold_legs"`
	Credits    uint64           `json:"credits"`
	Commission exchange.Money   `json:"commission"` // less what was reversed
	Revenue    exchange.Money   `json:"revenue"`
	Payout     exchange.Money   `json:"payout"`
	Uncredited [WhyCount]uint64 `json:"-"`        // sold legs, by Why
	Reversed   uint64           `json:"reversed"` // credits that were taken back, other than by a return
	Returned   uint64           `json:"returned"` // legs that were given back; Revenue and Payout are less theirs
	Accepted   Tally            `json:"accepted"` // accepted leads of offers that pay for them
	Events     Tally            `json:"events"`   // events that offers' owners told
}

// legs gives the sold legs as a tally.
func (t *Totals) legs() Tally {
	return Tally{Told: t.Sold, Credited: t.Credits, Uncredited: t.Uncredited}
}

func (t *Totals) setLegs(y Tally) { t.Sold, t.Credits, t.Uncredited = y.Told, y.Credited, y.Uncredited }

func (t *Totals) add(s *Sale) {
	legs := t.legs()
	switch s.Trigger {
	case TriggerSold:
		t.Revenue += s.Revenue
		t.Payout += s.Payout
		legs.add(s.Uncredited)
		if s.Of > 0 {
			t.Events.move(WhyNotSold, WhyNone)
		}
	case TriggerAccepted:
		t.Accepted.add(s.Uncredited)
	case TriggerConfirmed:
		t.Events.add(s.Uncredited)
		if s.Of > 0 {
			legs.move(WhyAwaiting, WhyNone)
		}
	case TriggerReturned:
		t.Returned++
		t.Revenue -= s.Revenue
		t.Payout -= s.Payout
		switch {
		case s.Uncredited == WhyReturned:
			legs.move(WhyAwaiting, WhyReturned)
		case s.Credited():
			legs.move(WhyNone, WhyReturned)
			if s.IsEvent() {
				t.Events.move(WhyNone, WhyReturned)
			}
		}
	case TriggerReversed:
		t.Reversed++
		switch {
		case s.IsLeg():
			legs.move(WhyNone, WhyReversed)
		case !s.IsEvent():
			t.Accepted.move(WhyNone, WhyReversed)
		}
		if s.IsEvent() {
			t.Events.move(WhyNone, WhyReversed)
		}
	}
	t.setLegs(legs)
	if s.Credited() {
		t.Commission += s.Amount()
	}
}
