package attribution

import (
	"time"

	"github.com/VictoriaMetrics/metrics"
)

// Balance is by how much our own sums disagree. Each is zero, always: anything
// else is a bug of ours, which the log, a metric and the live page tell of.
type Balance struct {
	Legs      int64 `json:"legs"`      // sold legs less credits and uncredited by reason
	Accepted  int64 `json:"accepted"`  // accepted leads, likewise
	Events    int64 `json:"events"`    // events, likewise
	Postbacks int64 `json:"postbacks"` // created less waiting, delivered, dead and not sent
}

// Off is how much is out of balance, without sign.
func (b Balance) Off() (n int64) {
	for _, part := range [...]int64{b.Legs, b.Accepted, b.Events, b.Postbacks} {
		n += max(part, -part)
	}
	return n
}

// Balance returns what the follower found after its last batch. Between batches a job may end an instant before it is counted.
func (a *Attribution) Balance() Balance {
	if b := a.balance.Load(); b != nil {
		return *b
	}
	return Balance{}
}

func (s *Stats) balance() Balance {
	legs, p := s.legs(), &s.Postbacks
	return Balance{
		Legs: legs.open(), Accepted: s.Accepted.open(), Events: s.Events.open(),
		Postbacks: int64(p.Created - p.Waiting - p.Delivered - p.Dead - p.NotSent),
	}
}

// balanceMetrics shows how the sold legs stand and what is out of balance. The gauges outlive a restart: they are of all time.
func balanceMetrics(set *metrics.Set, a *Attribution) {
	set.NewGauge("vendue_attribution_sold_legs", func() float64 { return float64(a.Stats().Sold) })
	set.NewGauge(`vendue_attribution_legs{result="credited"}`, func() float64 { return float64(a.Stats().Credits) })
	for w := WhyNone + 1; w < WhyCount; w++ {
		set.NewGauge(`vendue_attribution_legs{result="`+w.String()+`"}`, func() float64 { return float64(a.Stats().Uncredited[w]) })
	}
	for of, part := range map[string]func(Balance) int64{
		"legs":      func(b Balance) int64 { return b.Legs },
		"accepted":  func(b Balance) int64 { return b.Accepted },
		"events":    func(b Balance) int64 { return b.Events },
		"postbacks": func(b Balance) int64 { return b.Postbacks },
	} {
		set.NewGauge(`vendue_attribution_unbalanced{of="`+of+`"}`, func() float64 { return float64(part(a.Balance())) })
	}
}

// weigh holds our own sums against each other and tells the log if they disagree. The follower calls it when what it did is counted.
func (a *Attribution) weigh() {
	s := a.Stats()
	b := s.balance()
	a.balance.Store(&b)
	if b.Off() == 0 {
		return
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if time.Since(a.lastUneven) >= logEvery {
		a.lastUneven = time.Now()
		a.log.Error().Uint64("seq", s.Cursor).Interface("off", b).Msg("credits and postbacks do not balance; vendue verify tells more")
	}
}
