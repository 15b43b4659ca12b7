package app

import (
	"time"

	"vendue/cmd/app/live"
	"vendue/exchange"
	"vendue/store"
)

// watcher tells everyone who watches what finished: the tape, the live page and the log.
type watcher struct{ a *App }

// Auction is told of a finished ping or direct.
func (w *watcher) Auction(r *exchange.Auction) {
	w.a.live.Auction(r)
	w.a.store.Tape().Record(r)
	line := w.a.log.Info()
	if line == nil {
		return
	}
	var bids, timeouts int
	for i := range r.Candidates {
		if r.Candidates[i].Bid > 0 {
			bids++
		}
		if r.Candidates[i].Reason == exchange.ReasonTimeout {
			timeouts++
		}
	}
	text := make([]byte, 0, exchange.IDTextBytes) // each value is copied into the line before the next
	line.Str("event", "auction").Bytes("ping_id", r.PingID.Append(text)).Str("seller", string(r.Seller)).Str("campaign", string(r.Campaign)).
		Bool("test", r.Test).Bool("direct", r.Direct).Int("candidates", len(r.Candidates)).Int("bids", bids).Int("timeouts", timeouts).
		Str("reason", r.Reason.String()).Bytes("price", r.Price.Append(text)).RawJSON("elapsed_ms", r.Elapsed.Append(text)).Send()
}

// Attempt is told of a finished attempt to post, or of a refused lead.
func (w *watcher) Attempt(r *exchange.Attempt) {
	w.a.live.Attempt(r)
	if r.Attempt > 0 {
		w.a.store.Tape().RecordAttempt(&store.Attempt{
			LeadID: r.LeadID, PingID: r.PingID, At: r.At, Number: r.Attempt, Contract: r.Contract, Outcome: r.Outcome,
			Reason: r.Reason, Status: r.HTTPStatus, Elapsed: time.Duration(r.BuyerTime), Detail: r.Detail,
		})
	}
	line := w.a.log.Info()
	if line == nil {
		return
	}
	text := make([]byte, 0, exchange.IDTextBytes) // each value is copied into the line before the next
	line.Str("event", "post").Bytes("lead_id", r.LeadID.Append(text)).Str("seller", string(r.Seller)).Str("campaign", string(r.Campaign)).
		Bool("test", r.Test).Uint16("attempt", r.Attempt).Str("contract", string(r.Contract)).Bytes("bid", r.Bid.Append(text)).Bytes("payout", r.Payout.Append(text)).
		Str("outcome", r.Outcome.String()).Str("reason", r.Reason.String()).Int("http_status", r.HTTPStatus).Str("detail", r.Detail).
		Str("status", r.Status.String()).Str("lead_reason", r.LeadReason.String()).
		RawJSON("buyer_ms", r.BuyerTime.Append(text)).RawJSON("elapsed_ms", r.Elapsed.Append(text)).Send()
}

// sources is where the live page gets what it does not count itself.
func (a *App) sources() live.Sources {
	return live.Sources{
		Caps: func() []live.Cap {
			uses := a.engine.CapsNow()
			out := make([]live.Cap, len(uses))
			for i := range uses {
				out[i] = capOf(&uses[i])
			}
			return out
		},
		InDoubt:  func() (int, exchange.Money) { return a.engine.InDoubt() },
		Doubtful: func() (time.Duration, int) { return a.engine.Doubtful() },
		Postbacks: func() live.Postbacks {
			s := a.attribution.Stats()
			return live.Postbacks{Waiting: int64(s.Postbacks.Waiting), Delivered: int64(s.Postbacks.Delivered), Dead: int64(s.Postbacks.Dead),
				NotSent: int64(s.Postbacks.NotSent), Disabled: int64(a.attribution.Sender().DisabledCount()), Unbalanced: a.attribution.Balance().Off(),
				Credits: int64(s.Credits), Commission: s.Commission}
		},
		Journal: func() live.Journal { return live.Journal{Seq: a.store.Seq(), Durable: a.store.Durable()} },
		Config: func() live.Config {
			cfg := a.cfg.Load()
			if cfg == nil {
				return live.Config{}
			}
			out := live.Config{Hash: cfg.Hash, Currency: cfg.Market.Currency.Code}
			for _, c := range cfg.Market.Contracts {
				out.Contracts = append(out.Contracts, live.ContractInfo{ID: c.ID, Buyer: c.Buyer.ID})
			}
			return out
		},
		Ready: func() string { return a.engine.Ready().String() },
	}
}
