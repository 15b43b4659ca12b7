package bidder

import (
	"testing"
	"testing/synctest"
	"time"

	"vendue/exchange"
)

// An ask that is told that it has enough leaves the others where they stand; their
// answers are drained, counted as late, and given to no later ask.
func TestAskEndsWhenItHasEnough(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cfg, tc := pipeBuyers(t, after(10*time.Millisecond, "30"), after(80*time.Millisecond, "20"), after(5*time.Millisecond, "10"))
		h := newHouse(t, cfg, tc)
		for range 2 {
			a := h.newAsk(200 * time.Millisecond)
			asked := 0
			a.Enough = func() bool {
				asked++
				return a.Answers[0].Bid > 0
			}
			h.Ask(a)
			if took := time.Since(a.Start); took > 20*time.Millisecond || asked != 2 {
				t.Errorf("the ask took %s and asked %d times", took, asked)
			}
			mustReason(t, &a.Answers[0], exchange.ReasonNone, "")
			mustReason(t, &a.Answers[1], exchange.ReasonOutbid, "left before it answered")
			mustReason(t, &a.Answers[2], exchange.ReasonNone, "")
			if a.Answers[0].Bid != 30*exchange.Micro || a.Answers[2].Bid != 10*exchange.Micro {
				t.Errorf("bids %s and %s", a.Answers[0].Bid, a.Answers[2].Bid)
			}
			time.Sleep(time.Second)
		}
		if n := h.count(`vendue_bidder_late_total{contract="c1"}`); n != 2 {
			t.Errorf("%d late answers", n)
		}
	})
}
