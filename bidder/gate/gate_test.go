package gate

import (
	"sync"
	"testing"
	"time"

	"vendue/exchange"
)

var noon = time.Date(2026, 3, 2, 12, 0, 0, 0, time.UTC)

const own = 200 * time.Millisecond

func want(now time.Time) *Want { return &Want{Own: own, Most: own, Now: now} }

// send admits a ping and ends it at once.
func send(s *State, r *Rules, w *Want, a exchange.Answer) exchange.Reason {
	t, _, stop := s.Admit(r, w)
	if t.Admitted {
		s.Ended(&t, w.Buyer, &a, w.Now)
	}
	return stop
}

var (
	bid     = exchange.Answer{Bid: 20 * exchange.Micro, Elapsed: 10 * time.Millisecond}
	noBid   = exchange.Answer{Reason: exchange.ReasonNoBid, Elapsed: 10 * time.Millisecond}
	timeout = exchange.Answer{Reason: exchange.ReasonTimeout, Elapsed: own}
)

// However many ask at once, no limit of the contract or of its buyer is passed.
func TestLimitsHoldForManyAtOnce(t *testing.T) {
	cases := map[string]struct {
		limits, buyer Limits
		admitted      int
		stop          exchange.Reason
	}{
		"a second's":         {Limits{PerSecond: 10}, Limits{}, 10, exchange.ReasonPingLimit},
		"a minute's":         {Limits{PerSecond: 50, PerMinute: 40}, Limits{}, 40, exchange.ReasonPingLimit},
		"a day's":            {Limits{PerDay: 3}, Limits{PerDay: 20}, 3, exchange.ReasonPingLimit},
		"the buyer's":        {Limits{PerSecond: 100}, Limits{PerSecond: 7}, 7, exchange.ReasonPingLimit},
		"at once":            {Limits{AtOnce: 5}, Limits{}, 5, exchange.ReasonConcurrency},
		"at once, the buyer": {Limits{PerDay: 500}, Limits{AtOnce: 6}, 6, exchange.ReasonConcurrency},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			s, buyer := new(State), new(State)
			var mu sync.Mutex
			var wg sync.WaitGroup
			admitted := 0
			for range 64 {
				wg.Go(func() {
					w := want(noon)
					w.Buyer, w.Limits = buyer, &c.buyer
					ticket, _, stop := s.Admit(&Rules{Limits: c.limits}, w)
					mu.Lock()
					defer mu.Unlock()
					if ticket.Admitted {
						admitted++
					} else if stop != c.stop {
						t.Errorf("stopped by %s, want %s", stop, c.stop)
					}
				})
			}
			wg.Wait()
			if admitted != c.admitted {
				t.Errorf("%d admitted, want %d", admitted, c.admitted)
			}
		})
	}
}

func TestLimitsComeBack(t *testing.T) {
	zone, err := time.LoadLocation("America/New_York")
	if err != nil {
		t.Fatal(err)
	}
	s := new(State)
	r := &Rules{Limits: Limits{PerDay: 2, PerSecond: 1, AtOnce: 1}, Zone: zone}
	day := time.Date(2026, 11, 1, 4, 30, 0, 0, time.UTC) // 0:30 of a day with 25 hours
	for _, step := range []struct {
		at   time.Duration
		want exchange.Reason
	}{
		{0, exchange.ReasonNone}, {time.Millisecond, exchange.ReasonPingLimit}, {time.Second, exchange.ReasonNone},
		{time.Hour, exchange.ReasonPingLimit}, {24*time.Hour + 29*time.Minute, exchange.ReasonPingLimit}, {24*time.Hour + 30*time.Minute, exchange.ReasonNone},
	} {
		if got := send(s, r, want(day.Add(step.at)), bid); got != step.want {
			t.Errorf("after %s: %s, want %s", step.at, got, step.want)
		}
	}
}

func TestBreakerOpensAndCloses(t *testing.T) {
	s, r, now := new(State), new(Rules), noon
	for range leastAsked - 4 {
		send(s, r, want(now), bid)
	}
	for range 3 {
		send(s, r, want(now), timeout)
	}
	if v := s.View(now); v.Breaker != PhaseClosed || v.Faults != 3 {
		t.Fatalf("below the least number: %+v", v)
	}
	send(s, r, want(now), bid)
	send(s, r, want(now), timeout) // 4 of 21
	if v := s.View(now); v.Breaker != PhaseOpen || v.Opens != 1 {
		t.Fatalf("at 19%% faults: %+v", v)
	}
	if got := send(s, r, want(now.Add(openFirst-1)), bid); got != exchange.ReasonBreaker {
		t.Errorf("open: %s", got)
	}
	now = now.Add(openFirst)
	probe, _, stop := s.Admit(r, want(now))
	if stop != exchange.ReasonNone {
		t.Fatalf("half open: %s", stop)
	}
	if got := send(s, r, want(now), bid); got != exchange.ReasonBreaker {
		t.Errorf("a second probe: %s", got)
	}
	s.Ended(&probe, nil, &timeout, now)
	if got := send(s, r, want(now.Add(2*openFirst-1)), bid); got != exchange.ReasonBreaker {
		t.Errorf("a failed probe opens for twice as long: %s", got)
	}
	now = now.Add(2 * openFirst)
	for range probesGood {
		if got := send(s, r, want(now), noBid); got != exchange.ReasonNone {
			t.Fatalf("a probe: %s", got)
		}
	}
	if v := s.View(now); v.Breaker != PhaseClosed || v.Asked != 0 {
		t.Errorf("after good probes: %+v", v)
	}
}

// A probe that a limit stops, or that an impatient seller cuts short, leaves the place to the next.
func TestBreakerForgetsProbesThatProveNothing(t *testing.T) {
	s, r, now := new(State), &Rules{Limits: Limits{PerSecond: 30}}, noon
	for range 20 {
		send(s, r, want(now), timeout)
	}
	now = now.Add(openFirst)
	hasty := want(now)
	hasty.Most = time.Millisecond
	for range 30 {
		if got := send(s, r, hasty, timeout); got != exchange.ReasonNone {
			t.Fatalf("a probe: %s", got)
		}
	}
	if got := send(s, r, want(now), bid); got != exchange.ReasonPingLimit {
		t.Fatalf("beyond the limit: %s", got)
	}
	if got := send(s, r, want(now.Add(time.Second)), bid); got != exchange.ReasonNone {
		t.Errorf("the next probe: %s", got)
	}
}

func TestTimeoutsOfImpatientSellersAreNoFaults(t *testing.T) {
	s, r := new(State), new(Rules)
	hasty := want(noon)
	hasty.Most = own/2 - 1
	for range 100 {
		send(s, r, hasty, timeout)
	}
	if v := s.View(noon); v.Breaker != PhaseClosed || v.Faults != 0 {
		t.Errorf("got %+v", v)
	}
	for range 100 {
		send(s, &Rules{NoBreaker: true}, want(noon), timeout)
	}
	if got := send(s, &Rules{NoBreaker: true}, want(noon), bid); got != exchange.ReasonNone {
		t.Errorf("without a breaker: %s", got)
	}
}

func TestWaitFollowsTheBidsThatCome(t *testing.T) {
	s, r := new(State), new(Rules)
	play := func(pings int, slowPct int) (full int) {
		for n := range pings {
			ticket, wait, _ := s.Admit(r, want(noon))
			a := bid
			if n*slowPct%100 < slowPct {
				a.Elapsed = 90 * time.Millisecond
			}
			if wait == own {
				full++
			}
			if a.Elapsed > wait {
				a = exchange.Answer{Reason: exchange.ReasonTimeout, Elapsed: wait}
			}
			s.Ended(&ticket, nil, &a, noon)
		}
		return full
	}
	if full := play(waitLeast, 0); full != waitLeast {
		t.Errorf("%d of %d pings had all the time before anything was known", full, waitLeast)
	}
	full := play(2000, 0)
	if w := s.View(noon).Wait; w < 40*time.Millisecond || w > 45*time.Millisecond {
		t.Errorf("bids take 10 ms, waits for %s", w)
	}
	if full < 2000/waitFull/2 || full > 2000/waitFull*2 {
		t.Errorf("%d of 2000 pings had all the time", full)
	}
	s.breaker = breaker{}
	play(4000, 4) // a 25th of the bids is slow now; only the full waits can see it
	if w := s.View(noon).Wait; w < 90*time.Millisecond {
		t.Errorf("4%% of bids take 90 ms, waits for %s", w)
	}
	if _, wait, _ := s.Admit(&Rules{FullWait: true}, want(noon)); wait != own {
		t.Errorf("adaptive is off, waits for %s", wait)
	}
}

// A buyer who is slower from one ping to the next, but well within its contract's time, loses a few bids
// to the learnt wait and is not taken for one that fails. One that hangs is.
func TestWaitIsDoubtedWhenABuyerBecomesSlower(t *testing.T) {
	s, r := new(State), new(Rules)
	now := noon
	play := func(pings int, takes time.Duration) (lost int) {
		for range pings {
			ticket, wait, stop := s.Admit(r, want(now))
			if stop != exchange.ReasonNone {
				return lost
			}
			a := bid
			if a.Elapsed = takes; takes > wait {
				a, lost = timeout, lost+1
			}
			s.Ended(&ticket, nil, &a, now)
		}
		return lost
	}
	play(1000, 2*time.Millisecond)
	now = now.Add(time.Minute) // the good ones are out of the breaker's window
	if w := s.View(now).Wait; w > 40*time.Millisecond {
		t.Fatalf("the wait is %s", w)
	}
	if lost := play(500, 80*time.Millisecond); lost > 2*waitDoubt {
		t.Errorf("%d of 500 bids were lost", lost)
	}
	if v := s.View(now); v.Opens != 0 || v.Wait < 80*time.Millisecond {
		t.Errorf("the breaker opened %d times, the wait is %s", v.Opens, v.Wait)
	}
	now = now.Add(time.Minute)
	if play(100, time.Hour); s.View(now).Opens != 1 {
		t.Error("a buyer that hangs is asked 100 times")
	}
}

func TestWaitBucketsHoldTheirTimes(t *testing.T) {
	for us := int64(0); us < 8_000_000; us += 1 + us/50 {
		took := time.Duration(us) * time.Microsecond
		bound := waitBound(waitBucket(took))
		if bound <= took || bound > took+took/8+128*time.Microsecond {
			t.Fatalf("%s stands in a bucket up to %s", took, bound)
		}
	}
}

func TestThrottling(t *testing.T) {
	play := func(r *Rules) (sent int, v View) {
		s, rare := new(State), want(noon)
		rare.Features = 1
		for range 1000 {
			send(s, r, want(noon), bid)
		}
		for n := range 10_000 {
			a := noBid
			if n%2000 == 1999 {
				a = bid
			}
			if send(s, r, rare, a) == exchange.ReasonNone {
				sent++
			}
		}
		if got := send(s, r, want(noon), bid); got != exchange.ReasonNone {
			t.Errorf("leads of the other kind: %s", got)
		}
		return sent, s.View(noon)
	}
	if sent, v := play(&Rules{Throttle: ThrottleOff}); sent != 10_000 || v.Held != (Held{}) {
		t.Errorf("off: %d sent, %+v", sent, v.Held)
	}
	sent, v := play(&Rules{})
	if sent != 10_000 || v.Held.Pings != 0 || v.Held.Would < 8000 || v.Held.LostBids < 3 || v.Held.Lost != exchange.Money(v.Held.LostBids)*20*exchange.Micro {
		t.Errorf("report: %d sent, %+v", sent, v.Held)
	}
	sent, v = play(&Rules{Throttle: ThrottleOn})
	if held := int64(10_000 - sent); held != v.Held.Pings || held < 8000 || v.Held.Would != 0 {
		t.Errorf("on: %d sent, %+v", sent, v.Held)
	} else if explored := held / exploreOneIn / 2; int64(sent) < chanceLeast+explored {
		t.Errorf("%d sent, %d held back: fewer than %d were explored", sent, held, explored)
	}
}
