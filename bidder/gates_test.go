package bidder

import (
	"bytes"
	"net"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tidwall/gjson"

	"vendue/bidder/gate"
	"vendue/exchange"
)

// A buyer that hangs is asked no more after a while, and the ask no longer waits for it; once it
// answers again it is asked again. What was learnt outlives a reload.
func TestBreakerKeepsFromABuyerThatHangs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var well atomic.Bool
		var asked atomic.Int64
		sick := func(nc net.Conn, r *seen) bool {
			asked.Add(1)
			if !well.Load() {
				return hang(nc, r)
			}
			return ok(`{"bid":30}`)(nc, r)
		}
		cfg, tc := pipeBuyers(t, after(10*time.Millisecond, "20"), sick)
		for i := range cfg.Contracts {
			cfg.Contracts[i].Terms.Buyer = &exchange.Buyer{ID: "b"}
		}
		cfg.Contracts[1].Terms.PingTimeout = 150 * time.Millisecond // at most half of a timeout is an impatient seller's
		h := newHouse(t, cfg, tc)
		for range 30 {
			h.ask(100 * time.Millisecond)
		}
		a := h.ask(100 * time.Millisecond)
		mustReason(t, &a.Answers[0], exchange.ReasonNone, "")
		mustReason(t, &a.Answers[1], exchange.ReasonBreaker, "")
		if took := time.Since(a.Start); !a.Answers[1].Unasked || took > 15*time.Millisecond {
			t.Errorf("the ask took %s, unasked %t", took, a.Answers[1].Unasked)
		}
		if asked.Load() > 20 || h.count(`vendue_bidder_answers_total{contract="c1",result="breaker"}`) != uint64(31-asked.Load()) {
			t.Errorf("asked %d times", asked.Load())
		}
		again, err := New(cfg, h.t)
		if err != nil {
			t.Fatal(err)
		}
		h.Bidder = again
		if p := h.Pings()[1]; p.Breaker != gate.PhaseOpen || p.Opens != 1 {
			t.Errorf("after a reload: %+v", p.View)
		}
		well.Store(true)
		time.Sleep(time.Minute)
		for range 3 {
			a = h.ask(100 * time.Millisecond)
			mustReason(t, &a.Answers[1], exchange.ReasonNone, "")
		}
		if p := h.Pings()[1]; p.Breaker != gate.PhaseClosed {
			t.Errorf("after three good answers: %+v", p.View)
		}
	})
}

// The buyer is told the time that is left, which is what its bids are known to take and a margin.
func TestWaitIsToldToTheBuyer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var told []string
		manner := func(nc net.Conn, r *seen) bool {
			told = append(told, r.body)
			return after(10*time.Millisecond, "20")(nc, r)
		}
		cfg, tc := pipeBuyers(t, manner)
		cfg.Contracts[0].Terms.PingTimeout = 200 * time.Millisecond
		h := newHouse(t, cfg, tc)
		for range 400 {
			h.ask(150 * time.Millisecond)
		}
		short, full := 0, 0
		for _, body := range told[300:] {
			switch tmax := gjson.Get(body, "tmax_ms").Int(); {
			case tmax >= 40 && tmax <= 45:
				short++
			case tmax == 150:
				full++
			default:
				t.Fatalf("told %d ms", tmax)
			}
		}
		if short < 80 || full == 0 {
			t.Errorf("%d short waits, %d full ones", short, full)
		}
	})
}

// A contract that had a standing price and is pinged from a reload on has its series too.
func TestGateOfAContractThatIsPingedLater(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cfg, tc := pipeBuyers(t, after(time.Millisecond, "20"))
		cfg.Contracts[0].Terms.Pinged = false
		h := newHouse(t, cfg, tc)
		cfg.Contracts[0].Terms.Pinged = true
		if _, err := New(cfg, h.t); err != nil {
			t.Fatal(err)
		}
		var out bytes.Buffer
		h.ms.WritePrometheus(&out)
		if !bytes.Contains(out.Bytes(), []byte("vendue_bidder_breaker_phase{contract=\"c0\"}")) {
			t.Error("no series of the contract's gate")
		}
	})
}

func TestLimitsHoldPingsBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cfg, tc := pipeBuyers(t, after(time.Millisecond, "20"), after(time.Millisecond, "21"))
		buyer := &exchange.Buyer{ID: "b"}
		for i := range cfg.Contracts {
			c := &cfg.Contracts[i]
			c.Terms.Buyer, c.Terms.CanTest, c.Buyer = buyer, true, gate.Limits{PerMinute: 3}
		}
		cfg.Contracts[1].Pings.Limits.PerSecond = 1
		h := newHouse(t, cfg, tc)
		time.Sleep(time.Minute - time.Duration(time.Now().UnixNano())%time.Minute) // limits count in whole minutes
		for n, want := range [][2]exchange.Reason{{0, 0}, {0, exchange.ReasonPingLimit}, {exchange.ReasonPingLimit, exchange.ReasonPingLimit}} {
			a := h.ask(100 * time.Millisecond)
			for i := range want {
				if a.Answers[i].Reason != want[i] || a.Answers[i].Unasked != (want[i] != exchange.ReasonNone) {
					t.Errorf("ask %d of c%d: %s, want %s", n, i, a.Answers[i].Reason, want[i])
				}
			}
		}
		test := h.newAsk(100 * time.Millisecond)
		test.Test = true
		h.Ask(test)
		mustReason(t, &test.Answers[0], exchange.ReasonNone, "")
	})
}
