package attribution

import (
	"time"

	"golang.org/x/text/currency"

	"vendue/exchange"
)

// TouchKind says what a touch is evidence of.
type TouchKind uint8

// The kinds, in the order in which their evidence counts.
const (
	TouchClick TouchKind = iota + 1 // a click id of ours in the lead
	TouchNamed                      // the seller named the affiliate
)

var touchWords = [...]string{"", "click", "named"}

// String returns the kind's word.
func (k TouchKind) String() string {
	if int(k) >= len(touchWords) {
		return "invalid"
	}
	return touchWords[k]
}

// MarshalText returns the word.
func (k TouchKind) MarshalText() ([]byte, error) { return []byte(k.String()), nil }

// Why says why a touch earns nothing, or a sold leg no credit. The list is closed.
type Why uint8

// The reasons.
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

	WhyCount // how many there are; not a reason
)

var whyWords = [WhyCount]string{
	"", "direct", "click_forged", "click_unknown", "no_affiliate", "no_offer", "offer_unknown", "offer_removed",
	"outside_window", "after_sale", "weaker_evidence", "outranked",
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
	At        int64                `json:"at,omitempty"` // Unix nanoseconds; of a named affiliate, when the lead came
	Click     exchange.ClickID     `json:"click_id,omitzero"`
	Affiliate exchange.AffiliateID `json:"affiliate,omitempty"`
	Offer     exchange.OfferID     `json:"offer,omitempty"`
	Dropped   Why                  `json:"dropped,omitempty"`
}

// Share is a touch's part of one credit.
type Share struct {
	Touch int          // its place among the touches
	Rate  exchange.PPM // of the commission; the shares of a credit sum to exchange.Whole
}

// within tells whether a touch of kind k at touchAt may earn from a sale at
// saleAt: 0 < sale - touch <= window. A named affiliate stands in the lead
// itself and needs no window.
func within(k TouchKind, touchAt, saleAt, windowSec int64) Why {
	if k == TouchNamed {
		return WhyNone
	}
	switch gap := saleAt - touchAt; {
	case gap <= 0:
		return WhyAfterSale
	case gap > windowSec*int64(time.Second):
		return WhyOutsideWindow
	default:
		return WhyNone
	}
}

// split gives the credit to those touches that were not dropped, by the
// offer's model, and marks the others as outranked. Touches stand in order of
// time. It is pure: models that share a credit among many touches belong here.
func split(model exchange.Model, touches []Touch) []Share {
	winner := -1
	for i := range touches {
		if touches[i].Dropped != WhyNone {
			continue
		}
		if winner < 0 || model == exchange.LastTouch {
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
	return []Share{{Touch: winner, Rate: exchange.Whole}}
}

// commission is what terms give of a sale, rounded down to the currency's minor unit.
func commission(terms exchange.Commission, revenue, payout exchange.Money, code string) exchange.Money {
	base := payout
	switch terms.Of {
	case exchange.OfRevenue:
		base = revenue
	case exchange.OfMargin:
		base = revenue - payout
	}
	return exchange.Currency{Code: code, MinorDigits: minorDigits(code)}.Floor(terms.Rate.Of(max(base, 0)))
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
