package attribution

import (
	"encoding/binary"
	"fmt"

	"vendue/attribution/internal/wire"
	"vendue/exchange"
)

// The keys of the space; those of postback begin with P.
//
//	c                    -> the cursor (the next seq to read), the horizon and the totals up to it
//	f offer              -> the offer's terms in force
//	k click(20)          -> click
//	o lead(20)           -> a lead with attempts that have not ended
//	s seq(8)             -> a sold leg, an accepted lead or an event, and what was decided of it; the ledger follows from it
//	e lead(20) seq(8)    -> nothing; finds those of a lead's decisions that follow from an event of a click, which names no lead
//	w click(20)          -> sold legs that await an event, and events that await a sold leg
//	x click(20) key(16)  -> an event that was told
//
// Those of a click (k, w, x) sort by the time at which it was made, and leave by day: see gone.
const (
	keyState      = "c"
	prefixTerms   = "f"
	prefixClick   = "k"
	prefixOpen    = "o"
	prefixSale    = "s"
	prefixLead    = "e"
	prefixAwaited = "w"
	prefixTold    = "x"
	// prefixOldLedger is where the ledger stood before version 3.
	prefixOldLedger = "l"

	// recordVersion 2: chains of touches, several credits of one sale, events. 3: one record per sold leg, from
	// which the ledger follows, and in which what it lacks takes no place.
	recordVersion = 3
	// openAttemptsMax bounds the attempts of one lead that are in flight or unknown at once.
	openAttemptsMax = 256
	touchesMax      = 64
	creditsMax      = 64
	// awaitedMax bounds what awaits its other half at one click.
	awaitedMax = 64
)

func termsKey(offer exchange.OfferID) []byte { return append([]byte(prefixTerms), offer...) }
func clickKey(id exchange.ClickID) []byte    { return append(key(prefixClick, len(id)), id[:]...) }
func openKey(id exchange.LeadID) []byte      { return append(key(prefixOpen, len(id)), id[:]...) }
func saleKey(seq uint64) []byte              { return appendSaleKey(nil, seq) }
func awaitedKey(id exchange.ClickID) []byte  { return append(key(prefixAwaited, len(id)), id[:]...) }

func appendSaleKey(dst []byte, seq uint64) []byte {
	return binary.BigEndian.AppendUint64(append(dst, prefixSale...), seq)
}

func toldKey(id exchange.ClickID, event exchange.Fingerprint) []byte {
	return append(append(key(prefixTold, len(id)+len(event)), id[:]...), event[:]...)
}

// madeBefore is the first key under prefix of a click made at ms, Unix milliseconds, or later.
func madeBefore(prefix string, ms int64) []byte {
	var b [8]byte
	binary.BigEndian.PutUint64(b[:], uint64(max(ms, 0))<<16)
	return append([]byte(prefix), b[:6]...)
}

func leadKey(id exchange.LeadID, seq uint64) []byte {
	return binary.BigEndian.AppendUint64(append(key(prefixLead, len(id)+8), id[:]...), seq)
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
	rules      exchange.OfferRules
}

func (t *terms) encode() []byte {
	w := wire.Writer{}
	w.Uint(recordVersion)
	t.write(&w)
	return w.B
}

func (t *terms) write(w *wire.Writer) {
	w.Uint(uint64(t.model))
	w.Int(t.windowSec)
	w.Int(int64(t.commission.Rate))
	w.Uint(uint64(t.commission.Of))
	w.Uint(uint64(t.commission.PaidBy))
	w.Bool(t.removed)
	w.Int(t.rules.ViewSec)
	w.Bool(t.rules.CouponFirst)
	w.Uint(uint64(t.rules.EarnOn))
	w.Bool(t.rules.NeedSold)
	w.Text(t.rules.Event)
	w.Int(t.rules.ConfirmSec)
	w.Int(int64(t.rules.FlatAmount))
}

func readTerms(r *wire.Reader) (t terms) {
	t.model, t.windowSec = exchange.Model(r.Uint()), r.Int()
	t.commission = exchange.Commission{
		Rate: exchange.PPM(r.Int()), Of: exchange.CommissionBase(r.Uint()), PaidBy: exchange.CommissionPayer(r.Uint()),
	}
	t.removed = r.Bool()
	t.rules = exchange.OfferRules{
		ViewSec: r.Int(), CouponFirst: r.Bool(), EarnOn: exchange.EarnOn(r.Uint()), NeedSold: r.Bool(), Event: r.Text(),
		ConfirmSec: r.Int(), FlatAmount: exchange.Money(r.Int()),
	}
	return t
}

func decodeTerms(b []byte) (t terms, err error) {
	r, err := reader("terms", b)
	if err != nil {
		return t, err
	}
	t = readTerms(&r)
	return t, r.Err()
}

// click is a Clicked event in its place.
type click struct {
	seq       uint64
	at        int64
	offer     exchange.OfferID
	affiliate exchange.AffiliateID
	foreign   exchange.Sealed
	view      bool
	prev      exchange.ClickID
	coupon    exchange.AffiliateID
}

func (c *click) encode() []byte {
	w := wire.Writer{B: make([]byte, 0, 64+len(c.foreign))}
	w.Uint(recordVersion)
	w.Uint(c.seq)
	w.Int(c.at)
	w.Text(string(c.offer))
	w.Text(string(c.affiliate))
	w.Text(string(c.foreign))
	w.Bool(c.view)
	writeClickID(&w, c.prev)
	w.Text(string(c.coupon))
	return w.B
}

func decodeClick(b []byte) (c click, err error) {
	r, err := reader("click", b)
	if err != nil {
		return c, err
	}
	c.seq, c.at = r.Uint(), r.Int()
	c.offer, c.affiliate = exchange.OfferID(r.Text()), exchange.AffiliateID(r.Text())
	c.foreign, c.view, c.prev = exchange.Sealed(r.Text()), r.Bool(), readClickID(&r)
	c.coupon = exchange.AffiliateID(r.Text())
	return c, r.Err()
}

// writeClickID spends one byte on the zero id, which most records hold.
func writeClickID(w *wire.Writer, id exchange.ClickID) {
	w.Bool(!id.IsZero())
	if !id.IsZero() {
		w.Raw(id[:])
	}
}

func readClickID(r *wire.Reader) (id exchange.ClickID) {
	if r.Bool() {
		r.Raw(id[:])
	}
	return id
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
	writeClickID(&w, o.source.Click)
	w.Text(string(o.source.Foreign))
	writeClickID(&w, o.source.Cookie)
	w.Text(string(o.source.Coupon))
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

func decodeOpenLead(b []byte) (*openLead, error) {
	r, err := reader("open lead", b)
	if err != nil {
		return nil, err
	}
	o := &openLead{}
	o.at, o.seller, o.currency, o.test = r.Int(), exchange.SellerID(r.Text()), r.Text(), r.Bool()
	o.source.Affiliate, o.source.Offer = exchange.AffiliateID(r.Text()), exchange.OfferID(r.Text())
	o.source.Click, o.source.Foreign = readClickID(&r), exchange.Sealed(r.Text())
	o.source.Cookie, o.source.Coupon = readClickID(&r), exchange.AffiliateID(r.Text())
	for range min(r.Count(), openAttemptsMax) {
		o.attempts = append(o.attempts, openAttempt{
			no: uint16(r.Uint()), at: r.Int(), contract: exchange.ContractID(r.Text()), buyer: exchange.BuyerID(r.Text()),
			revenue: exchange.Money(r.Int()), payout: exchange.Money(r.Int()),
		})
	}
	return o, r.Err()
}

// awaited is what awaits its other half at one click: the seqs of sold legs,
// and of events, in the order of the journal.
type awaited struct{ legs, events []uint64 }

func (a *awaited) encode() []byte {
	w := wire.Writer{}
	w.Uint(recordVersion)
	for _, list := range [...][]uint64{a.legs, a.events} {
		w.Uint(uint64(len(list)))
		for _, seq := range list {
			w.Uint(seq)
		}
	}
	return w.B
}

func decodeAwaited(b []byte) (a awaited, err error) {
	r, err := reader("awaited", b)
	if err != nil {
		return a, err
	}
	for _, list := range [...]*[]uint64{&a.legs, &a.events} {
		for range min(r.Count(), awaitedMax) {
			*list = append(*list, r.Uint())
		}
	}
	return a, r.Err()
}

// told is an event of a click that was told once.
type told struct {
	seq      uint64
	body     exchange.Fingerprint
	credit   uint64 // seq of the decision that it earned; 0: none
	rejected bool   // it was taken back
}

func (t *told) encode() []byte {
	w := wire.Writer{}
	w.Uint(recordVersion)
	w.Uint(t.seq)
	w.Raw(t.body[:])
	w.Uint(t.credit)
	w.Bool(t.rejected)
	return w.B
}

func decodeTold(b []byte) (t told, err error) {
	r, err := reader("event", b)
	if err != nil {
		return t, err
	}
	t.seq = r.Uint()
	r.Raw(t.body[:])
	t.credit, t.rejected = r.Uint(), r.Bool()
	return t, r.Err()
}

// state is how far the follower is. It is one record, so that a reader never
// sees totals of another cursor.
type state struct {
	cursor  uint64 // the next seq to read, from 1
	horizon int64  // Unix milliseconds: clicks made before it have left
	// quiet is the cursor of records of an earlier form, which are made anew: what was due up to it was seen to then.
	quiet  uint64
	totals Totals
}

func (s *state) encode() []byte {
	w, t := wire.Writer{}, &s.totals
	w.Uint(recordVersion)
	w.Uint(s.cursor)
	w.Int(s.horizon)
	w.Uint(s.quiet)
	w.Uint(t.Sold)
	w.Uint(t.Credits)
	w.Int(int64(t.Commission))
	w.Int(int64(t.Revenue))
	w.Int(int64(t.Payout))
	w.Uint(t.Reversed)
	for _, y := range [...]*Tally{&t.Accepted, &t.Events} {
		w.Uint(y.Told)
		w.Uint(y.Credited)
	}
	w.Uint(uint64(WhyCount))
	for why := range WhyCount {
		w.Uint(t.Uncredited[why])
		w.Uint(t.Accepted.Uncredited[why])
		w.Uint(t.Events.Uncredited[why])
	}
	w.Uint(t.Returned)
	return w.B
}

// readState returns the state in the space, or that of an empty one. That of
// an earlier form says only how far it was: it begins anew, quietly.
func readState(space Space) (s state, err error) {
	b, ok, err := space.Get([]byte(keyState))
	if err != nil || !ok {
		return state{cursor: 1}, err
	}
	switch old := (wire.Reader{B: b}); old.Uint() {
	case 1:
		return state{cursor: 1, quiet: old.Uint()}, nil
	case 2:
		cursor, _, quiet := old.Uint(), old.Int(), old.Uint()
		return state{cursor: 1, quiet: max(cursor, quiet)}, nil
	}
	r, err := reader("state", b)
	if err != nil {
		return s, err
	}
	t := &s.totals
	s.cursor, s.horizon, s.quiet = r.Uint(), r.Int(), r.Uint()
	t.Sold, t.Credits = r.Uint(), r.Uint()
	t.Commission, t.Revenue, t.Payout = exchange.Money(r.Int()), exchange.Money(r.Int()), exchange.Money(r.Int())
	t.Reversed = r.Uint()
	for _, y := range [...]*Tally{&t.Accepted, &t.Events} {
		y.Told, y.Credited = r.Uint(), r.Uint()
	}
	// A later version may know more reasons; an earlier one wrote fewer.
	for why := range r.Count() {
		n := [...]uint64{r.Uint(), r.Uint(), r.Uint()}
		if why < int(WhyCount) {
			t.Uncredited[why], t.Accepted.Uncredited[why], t.Events.Uncredited[why] = n[0], n[1], n[2]
		}
	}
	if len(r.B) > 0 { // none was returned when it was not written
		t.Returned = r.Uint()
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
