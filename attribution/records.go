package attribution

import (
	"encoding/binary"
	"fmt"

	"vendue/attribution/internal/wire"
	"vendue/exchange"
)

// The keys of the space; those of postback begin with P.
//
//	c                    -> the cursor (the next seq to read) and the totals up to it
//	f offer              -> the offer's terms in force
//	k click(20)          -> click
//	o lead(20)           -> a lead with attempts that have not ended
//	s seq(8)             -> a sold leg and what was decided of it; seq of the event that sold it
//	e lead(20) seq(8)    -> nothing; finds the sales of a lead
//	l seq(8) line(1)     -> one posting of the ledger
const (
	keyState     = "c"
	prefixTerms  = "f"
	prefixClick  = "k"
	prefixOpen   = "o"
	prefixSale   = "s"
	prefixLead   = "e"
	prefixLedger = "l"

	recordVersion = 1
	// openAttemptsMax bounds the attempts of one lead that are in flight or unknown at once.
	openAttemptsMax = 256
	touchesMax      = 16
)

func termsKey(offer exchange.OfferID) []byte { return append([]byte(prefixTerms), offer...) }
func clickKey(id exchange.ClickID) []byte    { return append(key(prefixClick, len(id)), id[:]...) }
func openKey(id exchange.LeadID) []byte      { return append(key(prefixOpen, len(id)), id[:]...) }
func saleKey(seq uint64) []byte              { return binary.BigEndian.AppendUint64(key(prefixSale, 8), seq) }

func leadKey(id exchange.LeadID, seq uint64) []byte {
	return binary.BigEndian.AppendUint64(append(key(prefixLead, len(id)+8), id[:]...), seq)
}

func ledgerKey(seq uint64, line byte) []byte {
	return append(binary.BigEndian.AppendUint64(key(prefixLedger, 8+1), seq), line)
}

// key begins a key that goes on for n bytes.
func key(prefix string, n int) []byte { return append(make([]byte, 0, len(prefix)+n), prefix...) }

func seqOf(key []byte, prefix string) uint64 { return binary.BigEndian.Uint64(key[len(prefix):]) }

// after returns the first key behind all that begin with prefix.
func after(prefix string) []byte {
	b := []byte(prefix)
	b[len(b)-1]++
	return b
}

// terms is what an offer_set said.
type terms struct {
	model      exchange.Model
	windowSec  int64
	commission exchange.Commission
	removed    bool
}

func (t *terms) encode() []byte {
	w := wire.Writer{}
	w.Uint(recordVersion)
	w.Uint(uint64(t.model))
	w.Int(t.windowSec)
	writeCommission(&w, t.commission)
	w.Bool(t.removed)
	return w.B
}

func decodeTerms(b []byte) (t terms, err error) {
	r, err := reader("terms", b)
	if err != nil {
		return t, err
	}
	t.model, t.windowSec = exchange.Model(r.Uint()), r.Int()
	t.commission = readCommission(&r)
	t.removed = r.Bool()
	return t, r.Err()
}

func writeCommission(w *wire.Writer, c exchange.Commission) {
	w.Int(int64(c.Rate))
	w.Uint(uint64(c.Of))
	w.Uint(uint64(c.PaidBy))
}

func readCommission(r *wire.Reader) exchange.Commission {
	return exchange.Commission{
		Rate: exchange.PPM(r.Int()), Of: exchange.CommissionBase(r.Uint()), PaidBy: exchange.CommissionPayer(r.Uint()),
	}
}

// click is a Clicked event in its place.
type click struct {
	seq       uint64
	at        int64
	offer     exchange.OfferID
	affiliate exchange.AffiliateID
	foreign   exchange.Sealed
}

func (c *click) encode() []byte {
	w := wire.Writer{B: make([]byte, 0, 32+len(c.foreign))}
	w.Uint(recordVersion)
	w.Uint(c.seq)
	w.Int(c.at)
	w.Text(string(c.offer))
	w.Text(string(c.affiliate))
	w.Text(string(c.foreign))
	return w.B
}

func decodeClick(b []byte) (c click, err error) {
	r, err := reader("click", b)
	if err != nil {
		return c, err
	}
	c.seq, c.at = r.Uint(), r.Int()
	c.offer, c.affiliate = exchange.OfferID(r.Text()), exchange.AffiliateID(r.Text())
	c.foreign = exchange.Sealed(r.Text())
	return c, r.Err()
}

// openLead is a lead with attempts whose end is not known yet.
type openLead struct {
	at       int64 // when the lead came
	seller   exchange.SellerID
	currency string
	test     bool
	source   exchange.SourceFacts
	attempts []openAttempt
}

type openAttempt struct {
	no       uint16
	at       int64
	contract exchange.ContractID
	buyer    exchange.BuyerID
	revenue  exchange.Money
	payout   exchange.Money
}

func (o *openLead) encode() []byte {
	w := wire.Writer{B: make([]byte, 0, 128+len(o.source.Foreign))}
	w.Uint(recordVersion)
	w.Int(o.at)
	w.Text(string(o.seller))
	w.Text(o.currency)
	w.Bool(o.test)
	w.Text(string(o.source.Affiliate))
	w.Text(string(o.source.Offer))
	w.Raw(o.source.Click[:])
	w.Text(string(o.source.Foreign))
	w.Uint(uint64(len(o.attempts)))
	for i := range o.attempts {
		a := &o.attempts[i]
		w.Uint(uint64(a.no))
		w.Int(a.at)
		w.Text(string(a.contract))
		w.Text(string(a.buyer))
		w.Int(int64(a.revenue))
		w.Int(int64(a.payout))
	}
	return w.B
}

func decodeOpenLead(b []byte) (o openLead, err error) {
	r, err := reader("open lead", b)
	if err != nil {
		return o, err
	}
	o.at, o.seller, o.currency, o.test = r.Int(), exchange.SellerID(r.Text()), r.Text(), r.Bool()
	o.source.Affiliate, o.source.Offer = exchange.AffiliateID(r.Text()), exchange.OfferID(r.Text())
	r.Raw(o.source.Click[:])
	o.source.Foreign = exchange.Sealed(r.Text())
	for range min(r.Count(), openAttemptsMax) {
		o.attempts = append(o.attempts, openAttempt{
			no: uint16(r.Uint()), at: r.Int(), contract: exchange.ContractID(r.Text()), buyer: exchange.BuyerID(r.Text()),
			revenue: exchange.Money(r.Int()), payout: exchange.Money(r.Int()),
		})
	}
	return o, r.Err()
}

// Sale is a sold leg and what attribution decided of it: the credit, or why
// there is none. It is the explain record of the leg.
type Sale struct {
	Seq        uint64               `json:"seq"` // of the event that sold it
	Lead       exchange.LeadID      `json:"lead_id"`
	Attempt    uint16               `json:"attempt"`
	At         int64                `json:"at"` // Unix nanoseconds of the sale
	Seller     exchange.SellerID    `json:"seller"`
	Buyer      exchange.BuyerID     `json:"buyer"`
	Contract   exchange.ContractID  `json:"contract"`
	Currency   string               `json:"currency"`
	Revenue    exchange.Money       `json:"revenue"` // from the buyer
	Payout     exchange.Money       `json:"payout"`  // to the seller
	Touches    []Touch              `json:"touches,omitempty"`
	Model      exchange.Model       `json:"model,omitempty"`      // the rule, if one was reached
	WindowSec  int64                `json:"window_s,omitempty"`   // of the rule
	Terms      exchange.Commission  `json:"commission,omitzero"`  // of the rule
	Uncredited Why                  `json:"uncredited,omitempty"` // WhyNone: the leg is credited
	Affiliate  exchange.AffiliateID `json:"affiliate,omitempty"`  // credited
	Offer      exchange.OfferID     `json:"offer,omitempty"`      // credited
	Click      exchange.ClickID     `json:"click_id,omitzero"`    // of the credited touch
	Amount     exchange.Money       `json:"amount,omitempty"`     // the commission
	Foreign    exchange.Sealed      `json:"-"`                    // the affiliate's own ids, of the lead
}

// Credited tells whether somebody earned from the leg.
func (s *Sale) Credited() bool { return s.Uncredited == WhyNone }

func (s *Sale) encode() []byte {
	w := wire.Writer{B: make([]byte, 0, 256+len(s.Foreign))}
	w.Uint(recordVersion)
	w.Raw(s.Lead[:])
	w.Uint(uint64(s.Attempt))
	w.Int(s.At)
	w.Text(string(s.Seller))
	w.Text(string(s.Buyer))
	w.Text(string(s.Contract))
	w.Text(s.Currency)
	w.Int(int64(s.Revenue))
	w.Int(int64(s.Payout))
	w.Uint(uint64(len(s.Touches)))
	for i := range s.Touches {
		t := &s.Touches[i]
		w.Uint(uint64(t.Kind))
		w.Int(t.At)
		w.Raw(t.Click[:])
		w.Text(string(t.Affiliate))
		w.Text(string(t.Offer))
		w.Uint(uint64(t.Dropped))
	}
	w.Uint(uint64(s.Model))
	w.Int(s.WindowSec)
	writeCommission(&w, s.Terms)
	w.Uint(uint64(s.Uncredited))
	w.Text(string(s.Affiliate))
	w.Text(string(s.Offer))
	w.Raw(s.Click[:])
	w.Int(int64(s.Amount))
	w.Text(string(s.Foreign))
	return w.B
}

func decodeSale(seq uint64, b []byte) (s Sale, err error) {
	r, err := reader("sale", b)
	if err != nil {
		return s, err
	}
	s.Seq = seq
	r.Raw(s.Lead[:])
	s.Attempt, s.At = uint16(r.Uint()), r.Int()
	s.Seller, s.Buyer, s.Contract = exchange.SellerID(r.Text()), exchange.BuyerID(r.Text()), exchange.ContractID(r.Text())
	s.Currency, s.Revenue, s.Payout = r.Text(), exchange.Money(r.Int()), exchange.Money(r.Int())
	for range min(r.Count(), touchesMax) {
		t := Touch{Kind: TouchKind(r.Uint()), At: r.Int()}
		r.Raw(t.Click[:])
		t.Affiliate, t.Offer, t.Dropped = exchange.AffiliateID(r.Text()), exchange.OfferID(r.Text()), Why(r.Uint())
		s.Touches = append(s.Touches, t)
	}
	s.Model, s.WindowSec = exchange.Model(r.Uint()), r.Int()
	s.Terms = readCommission(&r)
	s.Uncredited = Why(r.Uint())
	s.Affiliate, s.Offer = exchange.AffiliateID(r.Text()), exchange.OfferID(r.Text())
	r.Raw(s.Click[:])
	s.Amount, s.Foreign = exchange.Money(r.Int()), exchange.Sealed(r.Text())
	return s, r.Err()
}

// Totals sum up the sales. Sold = Credits + the sum of Uncredited.
type Totals struct {
	Sold       uint64           `json:"sold_legs"`
	Credits    uint64           `json:"credits"`
	Commission exchange.Money   `json:"commission"`
	Revenue    exchange.Money   `json:"revenue"`
	Payout     exchange.Money   `json:"payout"`
	Uncredited [WhyCount]uint64 `json:"-"` // by Why
}

func (t *Totals) add(s *Sale) {
	t.Sold++
	t.Revenue += s.Revenue
	t.Payout += s.Payout
	if !s.Credited() {
		t.Uncredited[s.Uncredited]++
		return
	}
	t.Credits++
	t.Commission += s.Amount
}

// state is how far the follower is. It is one record, so that a reader never
// sees totals of another cursor.
type state struct {
	cursor uint64 // the next seq to read, from 1
	totals Totals
}

func (s *state) encode() []byte {
	w, t := wire.Writer{}, &s.totals
	w.Uint(recordVersion)
	w.Uint(s.cursor)
	w.Uint(t.Sold)
	w.Uint(t.Credits)
	w.Int(int64(t.Commission))
	w.Int(int64(t.Revenue))
	w.Int(int64(t.Payout))
	w.Uint(uint64(WhyCount))
	for _, n := range t.Uncredited {
		w.Uint(n)
	}
	return w.B
}

// readState returns the state in the space, or that of an empty one.
func readState(space Space) (s state, err error) {
	b, ok, err := space.Get([]byte(keyState))
	if err != nil || !ok {
		return state{cursor: 1}, err
	}
	r, err := reader("state", b)
	if err != nil {
		return s, err
	}
	t := &s.totals
	s.cursor, t.Sold, t.Credits = r.Uint(), r.Uint(), r.Uint()
	t.Commission, t.Revenue, t.Payout = exchange.Money(r.Int()), exchange.Money(r.Int()), exchange.Money(r.Int())
	// A later version may know more reasons; an earlier one wrote fewer.
	for i := range r.Count() {
		if n := r.Uint(); i < int(WhyCount) {
			t.Uncredited[i] = n
		}
	}
	return s, r.Err()
}

func reader(what string, b []byte) (wire.Reader, error) {
	r := wire.Reader{B: b}
	if v := r.Uint(); v != recordVersion {
		return r, fmt.Errorf("attribution's %s record: version %d, expected %d", what, v, recordVersion)
	}
	return r, nil
}
