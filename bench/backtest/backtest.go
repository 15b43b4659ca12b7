package backtest

import (
	"context"
	"fmt"
	"time"

	"vendue/exchange"
	"vendue/store"
)

// Report compares what was with what would have been.
type Report struct {
	From  time.Time `json:"from"`
	Until time.Time `json:"until"`
	Tests int64     `json:"tests"` // auctions of test mode, left out
	Was   Figures   `json:"was"`
	New   Figures   `json:"new"`
	Notes []string  `json:"notes"`
}

// Span is what to replay: [From, Until) of a store's tape.
type Span struct {
	Store       *store.Store
	From, Until time.Time
}

// Run replays the span under a market. The market's caps must be nobody else's:
// they get their places in the replay's own book.
func Run(ctx context.Context, s Span, market *exchange.Market) (*Report, error) {
	p, err := readPast(s.Store, s.From, s.Until)
	if err != nil {
		return nil, err
	}
	out := &Report{From: s.From, Until: s.Until}
	rates := newRates(s.From, p)
	// The first pass counts what was, and with it how often sellers post.
	first := store.TapeReader{Auction: func(a *exchange.Auction) bool {
		if a.Test {
			out.Tests++
			return ctx.Err() == nil
		}
		post := p.byPing[a.PingID]
		out.Was.then(a, post)
		rates.seller(a, post)
		return ctx.Err() == nil
	}}
	if err := s.Store.Tape().ReadSpan(s.From, s.Until, &first); err != nil {
		return nil, fmt.Errorf("cannot read the tape: %w", err)
	}
	r, err := newReplay(market, p, rates)
	if err != nil {
		return nil, err
	}
	second := store.TapeReader{Auction: func(a *exchange.Auction) bool {
		if !a.Test {
			r.play(a)
		}
		return ctx.Err() == nil
	}}
	if err := s.Store.Tape().ReadSpan(s.From, s.Until, &second); err != nil {
		return nil, fmt.Errorf("cannot read the tape: %w", err)
	}
	out.New = r.Figures
	out.Was.close()
	out.New.close()
	out.Notes = notes(out, first.Skipped)
	return out, ctx.Err()
}

func notes(r *Report, skipped int) []string {
	out := []string{
		"Caps begin empty and odds unknown at the span's beginning; persons, named buyers and the sellers' own waits are not on the tape.",
		"Ping limits, breakers and throttling are not replayed; of contracts that sell either way the tape holds the one price that counted.",
		"Equal bids may fall to another; posts follow their pings at once; what was returned later counts as sold in both columns.",
	}
	say := func(n int64, format string) {
		if n > 0 {
			out = append(out, fmt.Sprintf(format, n))
		}
	}
	if r.Was.Auctions == 0 {
		out = append(out, "The tape holds no auction of this span. A copy of a running exchange's directory is a second behind it.")
	}
	say(r.Tests, "Auctions of test mode, left out: %d.")
	say(r.New.NotKnown, "Questions not known: %d. These contracts were not asked about that lead then; the tape has no answer, so each counts as no bid, and what it might have earned is in no figure.")
	say(r.New.EstimatedSold, "Sales estimated: %d. Nobody made them then; whether the buyer takes the lead is drawn by how often it took others.")
	say(r.New.EstimatedPosted, "Posts estimated: %d. Their pings had no price then; whether the seller posts is drawn by how often its campaign does.")
	say(r.New.LowerPrice, "Posts at a lower price than then: %d. The seller is taken to post all the same.")
	say(r.New.NoCampaign, "Auctions of campaigns that this config has not: %d.")
	say(int64(skipped), "Records in the tape's first form, left out: %d.")
	return out
}

// rates are how often things went well in the span.
type rates struct {
	from              time.Time
	house             ratio
	taken             map[exchange.ContractID]*ratio
	quoted            map[exchange.CampaignID]*ratio
	acceptPriorWeight int64
}

type ratio struct{ good, all int64 }

// of returns the rate, leaning on prior as if it had been seen weight times.
func (r *ratio) of(prior exchange.PPM, weight int64) exchange.PPM {
	return exchange.PPM((r.good*int64(exchange.Whole) + weight*int64(prior)) / max(r.all+weight, 1))
}

func newRates(from time.Time, p *past) *rates {
	r := &rates{from: from, taken: map[exchange.ContractID]*ratio{}, quoted: map[exchange.CampaignID]*ratio{}, acceptPriorWeight: 10}
	for _, post := range p.byPing {
		for _, e := range post.endings {
			if e.outcome != exchange.OutcomeAccepted && e.outcome != exchange.OutcomeRejected {
				continue
			}
			t := r.taken[e.contract]
			if t == nil {
				t = new(ratio)
				r.taken[e.contract] = t
			}
			for _, it := range []*ratio{t, &r.house} {
				it.all++
				if e.outcome == exchange.OutcomeAccepted {
					it.good++
				}
			}
		}
	}
	return r
}

// seller counts whether a ping with a price was posted.
func (r *rates) seller(a *exchange.Auction, post *posted) {
	if a.Direct || a.Reason != exchange.ReasonNone {
		return
	}
	q := r.quoted[a.Campaign]
	if q == nil {
		q = new(ratio)
		r.quoted[a.Campaign] = q
	}
	q.all++
	if post != nil {
		q.good++
	}
}

// accepts is how often a contract takes a lead: seven in ten where nothing is known of anybody.
func (r *rates) accepts(c exchange.ContractID) exchange.PPM {
	house := r.house.of(700_000, 1)
	if t := r.taken[c]; t != nil {
		return t.of(house, r.acceptPriorWeight)
	}
	return house
}

// posts is how often a campaign's seller posts what has a price; never where it was never told one.
func (r *rates) posts(c exchange.CampaignID) exchange.PPM {
	if q := r.quoted[c]; q != nil {
		return q.of(0, 0)
	}
	return 0
}
