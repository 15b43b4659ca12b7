package attribution

import (
	"reflect"
	"testing"

	"vendue/exchange"
)

// FuzzRecords checks that no bytes make a decoder panic, and that what decodes
// is written again as it was, if it was written by us.
func FuzzRecords(f *testing.F) {
	sale := Sale{Lead: exchange.LeadID{1}, Attempt: 2, At: 3, Seller: "north", Buyer: "acme", Currency: "USD", Revenue: 4, Payout: 3,
		Touches: []Touch{{Kind: TouchClick, Evidence: ByCookie, At: 1, Seq: 2, Click: exchange.ClickID{7}, Affiliate: "blog", Offer: "auto", Dropped: WhyWeaker}},
		Offer:   "auto", Credits: []Credit{{Weight: 1, Affiliate: "blog", Amount: 1, Foreign: exchange.Sealed("x")}}}
	open := openLead{at: 1, seller: "north", currency: "USD", source: exchange.SourceFacts{Affiliate: "blog"}, attempts: []openAttempt{{no: 1, buyer: "acme", revenue: 5}}}
	st := state{cursor: 9, totals: Totals{Sold: 3, Credits: 1}}
	for _, b := range [][]byte{sale.append(nil), open.encode(), st.encode(), (&click{seq: 1, foreign: exchange.Sealed("y")}).encode(), (&terms{windowSec: 5}).encode()} {
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		again := func(what string, err error, encode func() []byte) {
			if err != nil {
				return
			}
			// Numbers may have been written longer than need be; the second writing is the measure.
			if out := encode(); len(out) > len(b) {
				t.Errorf("%s of %d bytes is written in %d", what, len(b), len(out))
			}
		}
		s, err := decodeSale(0, b)
		again("sale", err, func() []byte { return s.append(nil) })
		o, err := decodeOpenLead(b)
		again("open lead", err, func() []byte { return o.encode() })
		c, err := decodeClick(b)
		again("click", err, c.encode)
	})
}

func TestRecordsComeBackAsTheyWere(t *testing.T) {
	s := Sale{Seq: 5, Lead: exchange.LeadID{1}, Attempt: 2, At: 3, Seller: "north", Buyer: "acme", Contract: "west", Currency: "USD", Revenue: 4, Payout: 3,
		Trigger: TriggerReversed, Of: 4, Event: "bought", EventKey: exchange.Fingerprint{3}, EventAmount: 7, EventClick: exchange.ClickID{8},
		Touches: []Touch{{Kind: TouchNamed, Evidence: ByName, At: 1, Affiliate: "blog", Offer: "auto"}}, Offer: "auto",
		Credits: []Credit{{Touch: 0, Weight: 3, Affiliate: "blog", Click: exchange.ClickID{9}, Amount: -1, Foreign: exchange.Sealed("x")}},
		rule: terms{model: exchange.LastTouch, windowSec: 60, commission: exchange.Commission{Rate: 1, Of: exchange.OfMargin, PaidBy: exchange.PaidByHouse},
			rules: exchange.OfferRules{ViewSec: 1, CouponFirst: true, EarnOn: exchange.EarnConfirmed, NeedSold: true, Event: "bought", ConfirmSec: 2, FlatAmount: 3}}}
	got, err := decodeSale(5, s.append(nil))
	if err != nil || !reflect.DeepEqual(got, s) {
		t.Fatalf("%v: %+v", err, got)
	}
	for n := range s.append(nil) {
		if _, err := decodeSale(5, s.append(nil)[:n]); err == nil {
			t.Fatalf("a record cut at %d was taken", n)
		}
	}
}
