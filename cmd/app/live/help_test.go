package live

import (
	"math/rand/v2"
	"sync"
	"time"

	"vendue/exchange"
)

// fakeClock is a wall clock without a monotonic part, as a test sets it.
type fakeClock struct {
	mu sync.Mutex
	t  time.Time
}

func newClock() *fakeClock { return &fakeClock{t: time.Date(2026, 3, 2, 14, 0, 0, 0, time.UTC)} }

func (c *fakeClock) now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.t
}

func (c *fakeClock) step(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.t = c.t.Add(d)
}

func dollars(f float64) exchange.Money { return exchange.Money(f*100) * exchange.Micro / 100 }

func millis(f float64) exchange.Millis { return exchange.Millis(f * float64(time.Millisecond)) }

var (
	live1    = &exchange.Contract{ID: "acme-west", Pinged: true}
	live2    = &exchange.Contract{ID: "zenith-us", Pinged: true}
	live3    = &exchange.Contract{ID: "orbit-night", Pinged: true}
	standing = &exchange.Contract{ID: "zenith-fixed", Price: 7 * exchange.Micro}
)

// bidOf is a candidate that answered with a bid.
func bidOf(c *exchange.Contract, reason exchange.Reason, bid exchange.Money, took float64) exchange.Candidate {
	return exchange.Candidate{Contract: c, Name: c.ID, Reason: reason, Bid: bid, Elapsed: millis(took)}
}

func noBidOf(c *exchange.Contract, reason exchange.Reason, took float64) exchange.Candidate {
	return exchange.Candidate{Contract: c, Name: c.ID, Reason: reason, Elapsed: millis(took)}
}

// market feeds a house with believable traffic.
type market struct {
	l   *Live
	rnd *rand.Rand
}

// lead is one ping and, if there is a price, most often its post.
func (m *market) lead() {
	r := m.rnd
	lognormal := func(middle, spread float64) float64 {
		f := r.NormFloat64() * spread
		return middle * (1 + f*f/2 + f)
	}
	acme, zenith := lognormal(38, 0.3), lognormal(64, 0.25)
	bid := dollars(12 + 14*r.Float64())
	auction := &exchange.Auction{Elapsed: millis(max(acme, zenith) + 1.2), Price: bid * 8 / 10}
	auction.Candidates = []exchange.Candidate{
		bidOf(live1, exchange.ReasonNone, bid, acme), bidOf(live2, exchange.ReasonOutbid, bid*9/10, zenith),
		noBidOf(live3, exchange.ReasonNoBid, 22), bidOf(standing, exchange.ReasonOutbid, standing.Price, 0),
	}
	winner := live1
	switch n := r.IntN(100); {
	case n < 9:
		auction.Candidates[0] = noBidOf(live1, exchange.ReasonTimeout, 200)
		auction.Candidates[1].Reason, winner, bid = exchange.ReasonNone, live2, bid*9/10
		auction.Elapsed = millis(201 + 3*r.Float64())
	case n < 14:
		auction.Candidates[2] = noBidOf(live3, exchange.ReasonBuyerError, 9)
	case n < 33:
		auction.Candidates[0], auction.Candidates[1] = noBidOf(live1, exchange.ReasonNoBid, acme), noBidOf(live2, exchange.ReasonNoBid, zenith)
		auction.Candidates, auction.Reason, auction.Price = auction.Candidates[:3], exchange.ReasonNoBid, 0
	case n < 37:
		auction.Candidates, auction.Reason, auction.Price = nil, exchange.ReasonNoEligibleContract, 0
	}
	m.l.Auction(auction)
	if auction.Reason != exchange.ReasonNone || r.IntN(20) == 0 {
		return
	}
	m.post(winner, bid, lognormal(120, 0.3))
}

func (m *market) post(winner *exchange.Contract, bid exchange.Money, took float64) {
	a := &exchange.Attempt{
		Attempt: 1, Contract: winner.ID, Bid: bid, Payout: bid * 8 / 10, BuyerTime: millis(took), Elapsed: millis(took + 2),
		Outcome: exchange.OutcomeAccepted, Status: exchange.LeadSold,
	}
	switch n := m.rnd.IntN(100); {
	case n < 8:
		a.Outcome, a.Status = exchange.OutcomeRejected, exchange.LeadOpen
		m.l.Attempt(a)
		a.Attempt, a.Contract, a.Bid, a.Payout = 2, standing.ID, standing.Price, standing.Price*8/10
		a.Outcome, a.Status, a.Elapsed = exchange.OutcomeAccepted, exchange.LeadSold, a.Elapsed*2
	case n < 10:
		a.Outcome, a.Status, a.LeadReason = exchange.OutcomeRejected, exchange.LeadRejected, exchange.ReasonPostRejected
	case n < 13:
		a = &exchange.Attempt{Status: exchange.LeadRejected, LeadReason: exchange.ReasonDuplicate, Elapsed: millis(1.4)}
	case n == 13 && m.rnd.IntN(4) == 0:
		a.Outcome, a.Status, a.LeadReason = exchange.OutcomeUnknown, exchange.LeadPending, exchange.ReasonUnknown
		a.Elapsed = millis(3000)
	}
	m.l.Attempt(a)
}
