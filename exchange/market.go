package exchange

import (
	"errors"
	"slices"
	"time"
)

// Market is one accepted config as the deciding rooms see it. It is immutable
// once built; a reload builds another and swaps one pointer.
type Market struct {
	Hash       string // of the canonical config text
	Currency   Currency
	Zone       *time.Location
	Verticals  map[VerticalID]*Vertical
	Sellers    map[SellerID]*Seller
	Campaigns  map[CampaignID]*Campaign
	Buyers     map[BuyerID]*Buyer
	Contracts  []*Contract // Contract.Index is the place here
	ByName     map[ContractID]*Contract
	Offers     map[OfferID]*Offer
	Affiliates map[AffiliateID]struct{}
	Coupons    map[string]AffiliateID // whose each coupon code is, by the code in lower case
	Keys       map[[32]byte]Principal // by SHA-256 of the key
}

// Principal is whoever a key belongs to: exactly one of the three is set.
type Principal struct {
	Seller   *Seller
	Buyer    *Buyer
	Operator OperatorID
	Test     bool // a seller's test key: every request with it is a test
}

// Seller is a company that sends leads.
type Seller struct {
	ID   SellerID
	Name string
	Caps []Cap
}

// Campaign is one intake of a seller: what it sends, where it goes, on what terms.
type Campaign struct {
	ID              CampaignID
	Seller          *Seller
	Vertical        *Vertical
	Tree            *Tree
	Window          time.Duration
	PostWait        time.Duration
	QuoteTTL        time.Duration
	Floor           Money
	Margin          Margin
	MarginMin       Margin
	MarginBands     MarginRule             // in Margin's stead, where it goes by the size of the bid
	MarginBy        map[BuyerID]MarginRule // for single buyers, whatever their contracts say
	PingsPerSecond  int                    // 0: no limit
	PostsPerSecond  int
	LegsMax         int   // buyers that may share a lead at most; 0: what the seller says, or LegsDefault
	SharedFloor     Money // least price of one leg of a shared sale; 0: Floor
	Attempts        int   // buyers that a lead is posted to at most; 0: as many as fit in the wait
	ShowBuyers      bool  // whether bids carry buyer_name
	ConsentRequired bool
	Caps            []Cap
}

// Buyer is a company that pays for leads.
type Buyer struct {
	ID       BuyerID
	Name     string
	Caps     []Cap
	Suppress []*Suppression // whom it must not be sold

	Prepaid bool // one of the caps is its balance
}

// OnUnknown says what an exclusive lead does after an unknown outcome.
type OnUnknown uint8

// The policies. Hold is the default: nobody else gets the lead while a buyer may have it.
const (
	OnUnknownHold OnUnknown = iota
	OnUnknownContinue
)

// SettleAs says how an attempt still unknown at its contract's deadline is settled.
type SettleAs uint8

// The policies. SettleHold is the default: nothing is assumed, ever.
const (
	SettleHold SettleAs = iota
	SettleSold
	SettleUnsold
)

// Contract is a buyer's standing order.
type Contract struct {
	ID       ContractID
	Index    int
	Buyer    *Buyer
	Vertical *Vertical
	Sale     SaleKind // SaleAny: it sells either way, at a price for each
	LegsMax  int      // the most buyers that it shares a lead with, itself counted; 0: no bound of its own
	Paused   bool
	Where    []Condition
	Hours    Hours
	Caps     []Cap
	Price    Money // a standing price: such a contract is never pinged
	Shared   Money // of SaleAny with a standing price: the price of a place among several
	Pinged   bool  // has a ping of its own; exactly one of Price and Pinged
	CanTest  bool  // the buyer can tell a test from a live lead

	PingTimeout time.Duration
	MaxBid      Money      // 0: not declared; a bid above it is a buyer_error
	Margin      MarginRule // of its bids, in the stead of its campaigns'; nil: theirs
	BidWeight   PPM        // what its bids are ranked at, never what they pay; 0: the whole
	PostTimeout time.Duration
	PostsAtOnce int // posts to it that are in flight at most; 0: no bound
	OnUnknown   OnUnknown

	// How an unknown is resolved when nobody settles it of their own accord.
	Idempotent    bool          // the buyer takes a second post under the same Idempotency-Key as the first
	StatusEvery   time.Duration // between look-ups at the buyer's status URL; 0: it has none
	StatusTimeout time.Duration
	StatusToken   bool           // the status URL needs the bid's token, so the journal keeps it
	Suppress      []*Suppression // beside its buyer's
	ReturnWithin  time.Duration  // a sold leg may be given back so long after the sale; 0: the buyer may not
	ReturnReasons []string       // for one of these; nil: for any of ReturnReasons
	ReturnFrees   bool           // and its caps get back what it took
	SettleAs      SettleAs
	SettleAfter   time.Duration // from the start of the attempt
}

// PriceAs returns a contract's standing price in a kind of sale, 0 if it has none.
func (c *Contract) PriceAs(sale SaleKind) Money {
	if c.Sale == SaleAny && sale == SaleShared {
		return c.Shared
	}
	return c.Price
}

// ConditionKind is the shape of a filter's test.
type ConditionKind uint8

// The kinds. A field that the lead lacks matches NotIn only.
const (
	ConditionIn ConditionKind = iota + 1
	ConditionNotIn
	ConditionRange
)

// Condition is one test of a contract's filter; a filter matches if all its tests do.
type Condition struct {
	Slot   int
	Kind   ConditionKind
	Texts  []string // In, NotIn: canonical values
	Min    int64    // Range: as Value.Num, both ends included
	Max    int64
	HasMin bool
	HasMax bool
}

// CapUnit says what a cap counts.
type CapUnit uint8

// The units.
const (
	CapLeads CapUnit = iota + 1
	CapSpend         // micro-units of the bid
)

var capUnitWords = [...]string{"", "leads", "spend"}

// String returns the word the config uses.
func (u CapUnit) String() string {
	if int(u) >= len(capUnitWords) {
		return "invalid"
	}
	return capUnitWords[u]
}

// MarshalText returns the word.
func (u CapUnit) MarshalText() ([]byte, error) { return []byte(u.String()), nil }

// Cap bounds how many leads, or how much spend, a window may hold.
type Cap struct {
	ID     CapID
	Per    Window
	Days   Days // the weekdays that it counts and bounds, of an hour's or a day's cap; zero: all
	Unit   CapUnit
	Limit  int64  // leads, or micro-units
	Full   Reason // what a contract or lead stopped by it is told: cap_contract, cap_buyer, budget, cap_seller, cap_campaign
	Handle int    // the book's place for it; set when the market is installed

	Even    bool // of a day's cap: what it holds is spread over the day
	Prepaid bool // a buyer's balance: Limit is only what it opens with, the book knows what was paid in since
}

// Need returns how much of the cap one sale at bid takes.
func (c *Cap) Need(bid Money) int64 {
	if c.Unit == CapSpend {
		return int64(bid)
	}
	return 1
}

// Method is how one tier picks among its contracts.
type Method uint8

// The methods.
const (
	MethodAuction    Method = iota + 1 // the highest bid
	MethodPriority                     // the first in the listed order that bids enough
	MethodWeighted                     // each contract in turn, as often as its weight says
	MethodRoundRobin                   // each contract in turn, all alike
)

var methodWords = [...]string{"", "auction", "priority", "weighted", "round_robin"}

// String returns the word the config uses.
func (m Method) String() string {
	if int(m) >= len(methodWords) {
		return "invalid"
	}
	return methodWords[m]
}

// ByTurns tells whether the method goes by whose turn it is.
func (m Method) ByTurns() bool { return m == MethodWeighted || m == MethodRoundRobin }

// RankBy is what an auction ranks bids by.
type RankBy uint8

// The ways. RankBid is the default: nothing is guessed.
const (
	RankBid      RankBy = iota // the bid
	RankExpected               // what the bid is worth, by how earlier posts to its contract ended
)

// Tree is a campaign's ordered tiers.
type Tree struct {
	ID    TreeID
	Tiers []Tier
}

// Tier is one step of a tree.
type Tier struct {
	Method    Method
	Rank      RankBy        // what an auction goes by
	Window    time.Duration // 0: all that is left
	Contracts []*Contract
	Weights   map[ContractID]uint32 // with MethodWeighted: a turn's share, 1 or more
}

// Turn returns the turn that a post to the tier's contract takes.
func (t *Tree) Turn(tier int, contract ContractID) Turn {
	at := &t.Tiers[tier]
	switch at.Method {
	case MethodWeighted:
		return Turn{Tree: t.ID, Tier: uint16(tier), Weight: at.Weights[contract]}
	case MethodRoundRobin:
		return Turn{Tree: t.ID, Tier: uint16(tier), Weight: 1}
	}
	return Turn{}
}

// CommissionBase says what a commission is a share of.
type CommissionBase uint8

// The bases. OfAmount: of what the confirmed event was told to be worth.
const (
	OfPayout CommissionBase = iota + 1
	OfRevenue
	OfMargin
	OfAmount
)

var baseWords = [...]string{"", "payout", "revenue", "margin", "amount"}

// String returns the word the config uses.
func (b CommissionBase) String() string {
	if int(b) >= len(baseWords) {
		return "invalid"
	}
	return baseWords[b]
}

// MarshalText returns the word.
func (b CommissionBase) MarshalText() ([]byte, error) { return []byte(b.String()), nil }

// CommissionPayer says from whose part a commission comes.
type CommissionPayer uint8

// The payers.
const (
	PaidBySeller CommissionPayer = iota + 1
	PaidByHouse
)

var payerWords = [...]string{"", "seller", "house"}

// String returns the word the config uses.
func (p CommissionPayer) String() string {
	if int(p) >= len(payerWords) {
		return "invalid"
	}
	return payerWords[p]
}

// MarshalText returns the word.
func (p CommissionPayer) MarshalText() ([]byte, error) { return []byte(p.String()), nil }

// Model is the rule that turns touches into credit.
type Model uint8

// The models.
const (
	LastTouch Model = iota + 1
	FirstTouch
	LastNonDirect
)

var modelWords = [...]string{"", "last_touch", "first_touch", "last_non_direct"}

// String returns the word the config uses.
func (m Model) String() string {
	if int(m) >= len(modelWords) {
		return "invalid"
	}
	return modelWords[m]
}

// MarshalText returns the word.
func (m Model) MarshalText() ([]byte, error) { return []byte(m.String()), nil }

// Offer is what affiliates promote and on what terms.
type Offer struct {
	ID         OfferID
	Landing    string            // where a click leads that names no other
	Landings   map[string]string // where else, by the name that a link gives
	CookieSec  int64             // how long a browser keeps the click's cookie; 0: it gets none
	Model      Model
	WindowSec  int64 // how long after a click a sale still earns credit
	Commission Commission
	OfferRules
}

// OfferRules are the finer terms of an offer. The zero value is an offer that
// pays for sales, and for clicks alone.
type OfferRules struct {
	ViewSec     int64  `json:"view_window_s,omitempty"`    // how long after a sight of the offer's picture a sale still earns; 0: it never does
	CouponFirst bool   `json:"coupon_first,omitempty"`     // a coupon counts before a click
	EarnOn      EarnOn `json:"earn_on,omitempty"`          // what earns
	NeedSold    bool   `json:"need_sold,omitempty"`        // with EarnConfirmed: the lead must be sold too
	Event       string `json:"event,omitempty"`            // with EarnConfirmed: the event that counts
	ConfirmSec  int64  `json:"confirm_window_s,omitempty"` // how long after the sale an event still confirms it
	FlatAmount  Money  `json:"flat_amount,omitempty"`      // the commission, where it is no rate of anything
}

// EarnOn says what earns a commission.
type EarnOn uint8

// What earns. EarnSold is the default.
const (
	EarnSold      EarnOn = iota // a sold leg
	EarnAccepted                // a lead that was taken to a buyer, sold or not
	EarnConfirmed               // an event that the offer's owner tells
)

var earnWords = [...]string{"sold", "accepted", "confirmed_event"}

// String returns the word the config uses.
func (e EarnOn) String() string {
	if int(e) >= len(earnWords) {
		return "invalid"
	}
	return earnWords[e]
}

// MarshalText returns the word.
func (e EarnOn) MarshalText() ([]byte, error) { return []byte(e.String()), nil }

// UnmarshalText reads the word.
func (e *EarnOn) UnmarshalText(text []byte) error {
	i := slices.Index(earnWords[:], string(text))
	if i < 0 {
		return ErrEarnOn
	}
	*e = EarnOn(i)
	return nil
}

// ErrEarnOn is the fault of a word that is none of EarnOn's.
var ErrEarnOn = errors.New("expected sold, accepted or confirmed_event")

// Commission is a rate of a base, from the part of one payer.
type Commission struct {
	Rate   PPM             `json:"rate_ppm"`
	Of     CommissionBase  `json:"of"`
	PaidBy CommissionPayer `json:"paid_by"`
}

// Matches tells whether the lead passes every condition; if not, slot is the field that failed.
// It is the plain scan: the oracle of any index over conditions.
func Matches(where []Condition, lead *Lead) (slot int, ok bool) {
	for i := range where {
		if !where[i].Matches(&lead.Values[where[i].Slot]) {
			return where[i].Slot, false
		}
	}
	return 0, true
}

// Matches tells whether v passes the condition.
func (c *Condition) Matches(v *Value) bool {
	switch {
	case !v.Set:
		return c.Kind == ConditionNotIn
	case c.Kind == ConditionRange:
		return (!c.HasMin || v.Num >= c.Min) && (!c.HasMax || v.Num <= c.Max)
	default:
		return slices.Contains(c.Texts, v.Text) == (c.Kind == ConditionIn)
	}
}
