package engine

import (
	"testing"

	"vendue/exchange"
)

// Of an unnamed return the one sold leg is meant, wherever it stands among those
// that were given back before it.
func TestReturnMeansTheSoldLeg(t *testing.T) {
	const sold, back, not = exchange.LegSold, exchange.LegReturned, exchange.LegRejected
	for _, c := range []struct {
		legs []exchange.LegStatus
		leg  uint16
		done Returned
	}{
		{[]exchange.LegStatus{sold, back, back}, 1, ReturnedNow},
		{[]exchange.LegStatus{back, back, sold}, 3, ReturnedNow},
		{[]exchange.LegStatus{back, sold, back}, 2, ReturnedNow},
		{[]exchange.LegStatus{not, back, not}, 2, ReturnedBefore},
		{[]exchange.LegStatus{back, not, back}, 0, ReturnAmbiguous},
		{[]exchange.LegStatus{sold, back, sold}, 0, ReturnAmbiguous},
		{[]exchange.LegStatus{not, not}, 1, ReturnNotSold},
		{nil, 0, ReturnNotFound},
	} {
		var view exchange.LeadView
		for i, status := range c.legs {
			view.Legs = append(view.Legs, exchange.LegView{PostStarted: exchange.PostStarted{Attempt: uint16(i + 1), Leg: exchange.LegNo(i + 1)}, Status: status})
		}
		leg, done := (&Return{}).leg(&view)
		if (leg == nil) != (c.leg == 0) || leg != nil && leg.Attempt != c.leg || done != c.done {
			t.Errorf("%v: leg %+v, %s", c.legs, leg, done)
		}
	}
}
