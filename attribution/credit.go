package attribution

import (
	"math/bits"
	"slices"
	"time"

	"golang.org/x/text/currency"

	"vendue/exchange"
)

// TouchKind says what a touch is.
type TouchKind uint8

// The kinds.
const (
	TouchClick  TouchKind = iota + 1 // a visit through an affiliate's link
	TouchNamed                       // the seller named the affiliate
	TouchView                        // a sight of the offer's picture
	TouchCoupon                      // a coupon code that is the affiliate's
)

var touchWords = [...]string{"", "click", "named", "view", "coupon"}

// String returns the kind's word.
func (k TouchKind) String() string {
	if int(k) >= len(touchWords) {
		return "invalid"
	}
	return touchWords[k]
}

// MarshalText returns the word.
func (k TouchKind) MarshalText() ([]byte, error) { return []byte(k.String()), nil }

// Evidence says how the house knows of a touch.
type Evidence uint8

// The evidence, in the order in which it counts. An offer may have coupons count first.
const (
	ByClickID Evidence = iota + 1 // a click id of ours in the lead, and what came before that click
	ByCookie                      // the consumer's cookie, and what came before its click
	ByCoupon                      // a coupon code in the lead, or in the link
	ByName                        // the affiliate's name in the lead
)

var evidenceWords = [...]string{"", "click_id", "cookie", "coupon", "name"}

// String returns the evidence's word.
func (e Evidence) String() string {
	if int(e) >= len(evidenceWords) {
		return "invalid"
	}
	return evidenceWords[e]
}

// MarshalText returns the word.
func (e Evidence) MarshalText() ([]byte, error) { return []byte(e.String()), nil }

// Why says why a touch earns nothing, or a sold leg no credit. The list is closed.
type Why uint8

// The reasons. Their numbers stand in records.
const (
	WhyNone          Why = iota
	WhyDirect            // nobody is named
	WhyClickForged       // shaped like a click id of ours, and not one
	WhyClickUnknown      // a genuine id of a click that the journal does not hold
	WhyNoAffiliate       // the click names no affiliate that is known
	WhyNoOffer           // no offer is named, and there is not exactly one
	WhyOfferUnknown      // the offer has no terms
	WhyOfferRemoved      // the offer's terms were withdrawn before the sale
	WhyOutsideWindow     // the sale came too late after the touch
	WhyAfterSale         // the touch is not older than the sale
	WhyWeaker            // better evidence decided
	WhyOutranked         // the model credits another touch
	WhyOtherOffer        // the touch is of another offer than the one that was reached last
	WhyAwaiting          // the offer's owner has not confirmed the sale yet
	WhyNotSold           // the event confirms a sale that has not come yet
	WhyOnAccept          // the offer pays for accepted leads: see the lead's acceptance
	WhyOnEvent           // the offer pays for events, not for sales
	WhyEvent             // the offer does not pay for this event
	WhyConfirmLate       // the event came too late after the sale
	WhyReversed          // credited once, and taken back
	WhyOnSale            // the offer does not pay for acceptance
	WhyReturned          // the buyer gave the leg back

	WhyCount // how many there are; not a reason
)

var whyWords = [WhyCount]string{
	"", "direct", "click_forged", "click_unknown", "no_affiliate", "no_offer", "offer_unknown", "offer_removed",
	"outside_window", "after_sale", "weaker_evidence", "outranked", "other_offer", "awaiting_confirmation", "not_sold",
	"earned_on_accept", "earned_on_event", "event_not_counted", "confirmed_late", "reversed", "earned_on_sale", "returned",
}

// String returns the reason's word, empty for WhyNone.
func (w Why) String() string {
	if w >= WhyCount {
		return "invalid"
	}
	return whyWords[w]
}

// MarshalText returns the word.
func (w Why) MarshalText() ([]byte, error) { return []byte(w.String()), nil }

// Touch is one thing that could earn credit, and why it did not.
type Touch struct {
	Kind      TouchKind            `json:"kind"`
	Evidence  Evidence             `json:"evidence"`
	At        int64                `json:"at,omitempty"`  // Unix nanoseconds; of a named affiliate or a lead's coupon, when the lead came
	Seq       uint64               `json:"seq,omitempty"` // of the click's event
	Click     exchange.ClickID     `json:"click_id,omitzero"`
	Affiliate exchange.AffiliateID `json:"affiliate,omitempty"` // empty: a direct visit
	Offer     exchange.OfferID     `json:"offer,omitempty"`
	Dropped   Why                  `json:"dropped,omitempty"`
}

// inLead tells whether the touch stands in the lead itself, and needs no window.
func (t *Touch) inLead() bool {
	return t.Kind == TouchNamed || t.Kind == TouchCoupon && t.Click.IsZero()
}

// within tells whether a touch may earn from a sale at saleAt:
// 0 < sale - touch <= window, with the window of the touch's kind.
func within(t *Touch, saleAt int64, rule *terms) Why {
	if t.inLead() {
		return WhyNone
	}
	window := rule.windowSec
	if t.Kind == TouchView {
		window = rule.rules.ViewSec
	}
	switch gap := saleAt - t.At; {
	case gap <= 0:
		return WhyAfterSale
	case gap > min(window, windowSecMax)*int64(time.Second):
		return WhyOutsideWindow
	default:
		return WhyNone
	}
}

// Share is a touch's part of one credit, by weight among the others.
type Share struct {
	Touch  int // its place among the touches
	Weight uint64
}

// split gives the credit to those touches that were not dropped, by the
// offer's model, and marks the others as outranked. Touches stand in order of
// time. It is pure: models that share a credit among many touches belong here,
// and say no more than weights; allocate makes money of them. The touch of a
// direct visit may win: then nobody earns.
func split(model exchange.Model, touches []Touch) []Share {
	winner := -1
	for i := range touches {
		if touches[i].Dropped != WhyNone {
			continue
		}
		switch {
		case winner < 0, model == exchange.LastTouch:
			winner = i
		case model == exchange.LastNonDirect && (touches[i].Affiliate != "" || touches[winner].Affiliate == ""):
			winner = i
		}
	}
	if winner < 0 {
		return nil
	}
	for i := range touches {
		if i != winner && touches[i].Dropped == WhyNone {
			touches[i].Dropped = WhyOutranked
		}
	}
	return []Share{{Touch: winner, Weight: 1}}
}

// preferClicks drops the views of a path in which a click may earn: who was
// followed goes before who was seen.
func preferClicks(touches []Touch) {
	clicked := slices.ContainsFunc(touches, func(t Touch) bool {
		return t.Kind == TouchClick && t.Dropped == WhyNone && t.Affiliate != ""
	})
	for i := range touches {
		if clicked && touches[i].Kind == TouchView && touches[i].Dropped == WhyNone {
			touches[i].Dropped = WhyWeaker
		}
	}
}

// allocate parts an amount of whole units by weights, exactly: each part is
// rounded down to a unit, and the units left over go to the largest remainders,
// among equals to the earliest. What no unit divides goes to the first part. A
// negative amount is parted like its opposite.
func allocate(amount, unit exchange.Money, shares []Share) []exchange.Money {
	parts := make([]exchange.Money, len(shares))
	if amount < 0 {
		for i, part := range allocate(-amount, unit, shares) {
			parts[i] = -part
		}
		return parts
	}
	var whole uint64
	for _, s := range shares {
		whole += s.Weight
	}
	if whole == 0 {
		return parts
	}
	units := uint64(amount / unit)
	left := units
	remainders := make([]uint64, len(shares))
	for i, s := range shares {
		// units*weight/whole fits: weight is at most whole.
		hi, lo := bits.Mul64(units, s.Weight)
		part, rest := bits.Div64(hi, lo, whole)
		parts[i], remainders[i] = exchange.Money(part)*unit, rest
		left -= part
	}
	for range left {
		most := 0
		for i, r := range remainders {
			if r > remainders[most] {
				most = i
			}
		}
		parts[most] += unit
		remainders[most] = 0
	}
	parts[0] += amount % unit
	return parts
}

// base is the money that a commission may be a rate of.
type base struct {
	revenue, payout exchange.Money // of the sold leg, if there is one
	amount          exchange.Money // of the confirmed event, if there is one
}

// commission is what a rule gives, rounded down to the currency's minor unit.
func (t *terms) pays(of base, code string) exchange.Money {
	house := exchange.Currency{Code: code, MinorDigits: minorDigits(code)}
	if t.rules.FlatAmount > 0 {
		return house.Floor(t.rules.FlatAmount)
	}
	money := of.payout
	switch t.commission.Of {
	case exchange.OfRevenue:
		money = of.revenue
	case exchange.OfMargin:
		money = of.revenue - of.payout
	case exchange.OfAmount:
		money = of.amount
	}
	return house.Floor(t.commission.Rate.Of(max(money, 0)))
}

// minorUnit is the currency's least coin.
func minorUnit(code string) exchange.Money {
	unit := exchange.Micro
	for range minorDigits(code) {
		unit /= 10
	}
	return max(unit, 1)
}

// minorDigits is how many decimals the currency's minor unit has. Events carry
// the currency's code only, and credits are a function of the journal, so the
// digits come from the table that configs uses, not from a config.
func minorDigits(code string) int {
	unit, err := currency.ParseISO(code)
	if err != nil {
		return 2
	}
	digits, _ := currency.Standard.Rounding(unit)
	return digits
}
