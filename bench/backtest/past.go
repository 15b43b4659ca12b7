package backtest

import (
	"fmt"
	"time"

	"vendue/exchange"
)

// postsMax bounds the posts of one backtest: each takes about 300 bytes.
const postsMax = 5_000_000

// postsLater is how long after a ping its post may still come: the longest that a quote may live.
const postsLater = 24 * time.Hour

// ending is how one attempt ended, settled if it was.
type ending struct {
	contract    exchange.ContractID
	bid, payout exchange.Money
	outcome     exchange.Outcome
}

// posted is what became of a post or direct.
type posted struct {
	refused exchange.Reason // before any attempt
	endings []ending
}

// ending returns how an attempt at a contract ended, nil if there was none at this bid.
func (p *posted) ending(contract exchange.ContractID, bid exchange.Money) *ending {
	if p == nil {
		return nil
	}
	for i := range p.endings {
		if p.endings[i].contract == contract && p.endings[i].bid == bid {
			return &p.endings[i]
		}
	}
	return nil
}

// past is what the journal tells of the span's leads.
type past struct {
	byPing map[exchange.PingID]*posted
	byLead map[exchange.LeadID]*posted
}

// Journal is the part of the store that tells how posts ended.
type Journal interface {
	Read(from uint64, most int, fn func(exchange.Entry) error) (next uint64, err error)
}

// readPast reads the posts that began in [from, until and a day).
func readPast(j Journal, from, until time.Time) (*past, error) {
	p := &past{byPing: map[exchange.PingID]*posted{}, byLead: map[exchange.LeadID]*posted{}}
	lo, hi := from.UnixNano(), until.Add(postsLater).UnixNano()
	for seq := uint64(1); ; {
		next, err := j.Read(seq, 4096, func(e exchange.Entry) error { return p.apply(e, lo, hi) })
		if err != nil {
			return nil, fmt.Errorf("cannot read the journal: %w", err)
		}
		if next == seq {
			return p, nil
		}
		seq = next
	}
}

func (p *past) apply(e exchange.Entry, lo, hi int64) error {
	switch ev := e.Event.(type) {
	case *exchange.PostStarted:
		if ev.Lead != nil {
			if e.At < lo || e.At >= hi || ev.Lead.Test {
				return nil
			}
			if len(p.byLead) == postsMax {
				return fmt.Errorf("more than %d posts in the span; expected a shorter one", postsMax)
			}
			p.byLead[ev.LeadID] = p.of(ev.Lead.PingID)
		}
		if lead := p.byLead[ev.LeadID]; lead != nil {
			lead.endings = append(lead.endings, ending{contract: ev.Contract, bid: ev.Bid, payout: ev.Payout, outcome: exchange.OutcomeUnknown})
		}
	case *exchange.PostEnded:
		p.end(ev.LeadID, ev.Attempt, ev.Outcome)
	case *exchange.LegSettled:
		outcome := exchange.OutcomeRejected
		if ev.Accepted {
			outcome = exchange.OutcomeAccepted
		}
		p.end(ev.LeadID, ev.Attempt, outcome)
	case *exchange.LeadRefused:
		if e.At >= lo && e.At < hi && !ev.Lead.Test && !ev.Lead.PingID.IsZero() && ev.First.IsZero() {
			p.of(ev.Lead.PingID).refused = ev.Reason
		}
	}
	return nil
}

// of returns the post of a ping, made if need be.
func (p *past) of(ping exchange.PingID) *posted {
	it := p.byPing[ping]
	if it == nil {
		it = new(posted)
		p.byPing[ping] = it
	}
	return it
}

func (p *past) end(lead exchange.LeadID, attempt uint16, outcome exchange.Outcome) {
	if it := p.byLead[lead]; it != nil && int(attempt) <= len(it.endings) && attempt > 0 {
		it.endings[attempt-1].outcome = outcome
	}
}
