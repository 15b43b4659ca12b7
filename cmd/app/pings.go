package app

import (
	"github.com/valyala/fasthttp"

	"vendue/bidder"
	"vendue/exchange"
)

// PingList is the answer of GET /api/pings: which pings are worth sending, contract by contract, in the config's order.
type PingList struct {
	Contracts []PingRow `json:"contracts"`
}

// PingRow is one pinged contract. What throttling would do is counted since the start.
type PingRow struct {
	Contract      string          `json:"contract"`
	Buyer         string          `json:"buyer"`
	Breaker       string          `json:"breaker"`       // closed, open or half_open
	BreakerOpens  int64           `json:"breaker_opens"` // since the start
	Ended         int             `json:"ended"`         // pings of the last 30 s
	Faults        int             `json:"faults"`        // of those
	AtOnce        int             `json:"at_once"`       // in flight
	Today         int             `json:"today"`         // counted only under a limit per day
	Wait          exchange.Millis `json:"wait_ms"`       // that an answer is worth; 0: not known yet, so the contract's timeout
	Throttled     int64           `json:"throttled"`     // held back
	WouldThrottle int64           `json:"would_throttle"`
	WouldLose     int64           `json:"would_lose"` // bids that answered those
	WouldLoseSum  exchange.Money  `json:"would_lose_sum"`
}

func (a *App) tellPings(ctx *fasthttp.RequestCtx) {
	out := PingList{Contracts: []PingRow{}}
	if bidders, ok := a.engine.Snapshot().Bidders.(*bidder.Bidder); ok {
		for _, p := range bidders.Pings() {
			out.Contracts = append(out.Contracts, PingRow{
				Contract: string(p.Contract), Buyer: string(p.Buyer), Breaker: p.Breaker.String(), BreakerOpens: p.Opens, Ended: p.Asked, Faults: p.Faults,
				AtOnce: p.AtOnce, Today: p.Today, Wait: exchange.Millis(p.Wait),
				Throttled: p.Held.Pings, WouldThrottle: p.Held.Would, WouldLose: p.Held.LostBids, WouldLoseSum: p.Held.Lost,
			})
		}
	}
	tellJSON(ctx, out)
}
