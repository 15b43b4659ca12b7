package exchange

import (
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
	PingsPerSecond  int // 0: no limit
	PostsPerSecond  int
	ShowBuyers      bool // whether bids carry buyer_name
	ConsentRequired bool
	Caps            []Cap
}

// Buyer is a company that pays for leads.
type Buyer struct {
	ID   BuyerID
	Name string
	Caps []Cap
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
	Sale     SaleKind
	Paused   bool
	Where    []Condition
	Hours    Hours
	Caps     []Cap
	Price    Money // a standing price: such a contract is never pinged
	Pinged   bool  // has a ping of its own; exactly one of Price and Pinged
	CanTest  bool  // the buyer can tell a test from a live lead

	PingTimeout time.Duration
	MaxBid      Money // 0: not declared; a bid above it is a buyer_error
	PostTimeout time.Duration
	OnUnknown   OnUnknown

	// How an unknown is resolved when nobody settles it of their own accord.
	Idempotent    bool          // the buyer takes a second post under the same Idempotency-Key as the first
	StatusEvery   time.Duration // between look-ups at the buyer's status URL; 0: it has none
	StatusTimeout time.Duration
	StatusToken   bool // the status URL needs the bid's token, so the journal keeps it
	SettleAs      SettleAs
	SettleAfter   time.Duration // from the start of the attempt
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
	Unit   CapUnit
	Limit  int64  // leads, or micro-units
	Full   Reason // what a contract or lead stopped by it is told: cap_contract, cap_buyer, budget, cap_seller, cap_campaign
	Handle int    // the book's place for it; set when the market is installed
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
	MethodAuction  Method = iota + 1 // the highest bid
	MethodPriority                   // the first in the listed order that bids enough
)

var methodWords = [...]string{"", "auction", "priority"}

// String returns the word the config uses.
func (m Method) String() string {
	if int(m) >= len(methodWords) {
		return "invalid"
	}
	return methodWords[m]
}

// Tree is a campaign's ordered tiers.
type Tree struct {
	ID    TreeID
	Tiers []Tier
}

// Tier is one step of a tree.
type Tier struct {
	Method    Method
	Window    time.Duration // 0: all that is left
	Contracts []*Contract
}

// CommissionBase says what a commission is a share of.
type CommissionBase uint8

// The bases.
const (
	OfPayout CommissionBase = iota + 1
	OfRevenue
	OfMargin
)

var baseWords = [...]string{"", "payout", "revenue", "margin"}

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
)

var modelWords = [...]string{"", "last_touch", "first_touch"}

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
	Landing    string
	Model      Model
	WindowSec  int64 // how long after a touch a sale still earns credit
	Commission Commission
}

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
