package bidder

import (
	"fmt"
	"time"

	"vendue/bidder/gate"
	"vendue/exchange"
)

// gateOf returns what is known of a contract or a buyer, and whether it was made
// just now. Like hosts they are never forgotten: there are as many as names since the start.
func (t *Transport) gateOf(name string) (s *gate.State, fresh bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	s = t.gates[name]
	if s == nil {
		s, fresh = new(gate.State), true
		t.gates[name] = s
	}
	return s, fresh
}

// keepGate finds what was learnt of the contract under earlier configs. One that is not pinged has none.
func (c *contract) keepGate(from *Contract, t *Transport) {
	if !from.Terms.Pinged {
		return
	}
	var fresh bool
	c.rules, c.limits = &from.Pings, &from.Buyer
	c.gate, fresh = t.gateOf("contract/" + string(from.Terms.ID))
	if from.Buyer != (gate.Limits{}) {
		c.buyer, _ = t.gateOf("buyer/" + string(from.Terms.Buyer.ID))
	}
	if fresh {
		gateMetrics(t, c.gate, from.Terms.ID)
	}
}

// gateMetrics makes the series of one contract's gate, once in the transport's life.
func gateMetrics(t *Transport, state *gate.State, id exchange.ContractID) {
	gauge := func(name string, value func(*gate.View) float64) {
		t.set.GetOrCreateGauge(fmt.Sprintf("vendue_bidder_%s{contract=%q}", name, id), func() float64 {
			v := state.View(t.now())
			return value(&v)
		})
	}
	gauge("breaker_phase", func(v *gate.View) float64 { return float64(v.Breaker) })
	gauge("breaker_opens_total", func(v *gate.View) float64 { return float64(v.Opens) })
	gauge("wait_seconds", func(v *gate.View) float64 { return v.Wait.Seconds() })
	gauge("throttle_would_total", func(v *gate.View) float64 { return float64(v.Held.Would) })
	gauge("throttle_would_lose_bids_total", func(v *gate.View) float64 { return float64(v.Held.LostBids) })
	gauge("throttle_would_lose_value", func(v *gate.View) float64 { return float64(v.Held.Lost) / float64(exchange.Micro) })
}

// admit tells whether t's ping is worth sending, and how long its answer is worth
// waiting for. Tests are always sent: they go where nothing is learnt from them.
func (f *fanOut) admit(t *target, since time.Duration, now time.Time) bool {
	if f.ask.Test {
		return true
	}
	want := gate.Want{
		Buyer: t.c.buyer, Limits: t.c.limits, Features: f.likes, Own: t.c.terms.PingTimeout, Most: t.deadline - since, Now: now,
	}
	ticket, wait, stop := t.c.gate.Admit(t.c.rules, &want)
	if stop != exchange.ReasonNone {
		f.finish(t, exchange.Answer{Reason: stop, Unasked: true}, now)
		return false
	}
	t.ticket, t.deadline = ticket, since+wait
	return true
}

// featuresOf hashes what the chance of a bid may hang on: the campaign, and the
// lead's values of few kinds. Personal fields are no part of an ask.
func featuresOf(ask *exchange.Ask) uint64 {
	const offset, prime = 14695981039346656037, 1099511628211 // of FNV-1a
	h := uint64(offset)
	mix := func(text string) {
		for i := range len(text) {
			h = (h ^ uint64(text[i])) * prime
		}
		h = (h ^ 0xff) * prime
	}
	mix(string(ask.Campaign))
	fields := ask.Lead.Vertical.Fields
	for i := range fields {
		switch fields[i].Kind {
		case exchange.FieldState, exchange.FieldEnum, exchange.FieldBool:
			mix(ask.Lead.Values[i].Text)
		}
	}
	return h ^ h>>32
}

// PingsOf is how the pings to one contract stand.
type PingsOf struct {
	Contract exchange.ContractID
	Buyer    exchange.BuyerID
	Rules    gate.Rules
	gate.View
}

// Pings returns how the pings to every pinged contract stand, in the config's order.
func (b *Bidder) Pings() []PingsOf {
	now := b.t.now()
	out := make([]PingsOf, 0, len(b.contracts))
	for _, c := range b.contracts {
		if c.terms.Pinged {
			p := PingsOf{Contract: c.terms.ID, Buyer: c.terms.Buyer.ID, Rules: *c.rules, View: c.gate.View(now)}
			if p.Rules.Limits.PerDay == 0 {
				p.Today = 0 // nobody turned its days
			}
			out = append(out, p)
		}
	}
	return out
}
