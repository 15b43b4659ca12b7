package live

import (
	"cmp"
	"slices"
	"time"

	"vendue/exchange"
)

// ContractRow is how one contract did since the start.
type ContractRow struct {
	Contract     exchange.ContractID `json:"contract"`
	Buyer        exchange.BuyerID    `json:"buyer,omitempty"`
	Gone         bool                `json:"gone,omitempty"` // not in the config that decides now
	Pings        int64               `json:"pings"`          // sent; none for a standing price
	Bids         int64               `json:"bids"`           // live bids and standing prices that were ranked
	Wins         int64               `json:"wins"`           // auctions in which it came first
	Posts        int64               `json:"posts"`
	Accepts      int64               `json:"accepts"`
	Rejects      int64               `json:"rejects"`
	Unknown      int64               `json:"unknown"`
	Timeouts     int64               `json:"timeouts"` // of pings; a post that timed out is unknown or an error
	Errors       int64               `json:"errors"`   // pings answered unreadably or not sent, posts not delivered
	PriceChanged int64               `json:"price_changed"`
	Revenue      exchange.Money      `json:"revenue"`
	Payout       exchange.Money      `json:"payout"`
	BidSum       exchange.Money      `json:"bid_sum"`
	PingP95      time.Duration       `json:"-"` // of readable answers to pings; negative: none
	PostP95      time.Duration       `json:"-"` // of posts, however they ended; negative: none
}

// AvgBid is the mean of the bids, 0 if there was none.
func (r *ContractRow) AvgBid() exchange.Money {
	if r.Bids == 0 {
		return 0
	}
	return r.BidSum / exchange.Money(r.Bids)
}

// row is a contract's counters. Live's lock guards it.
type row struct {
	ContractRow
	ping hist
	post hist
}

// candidate counts what came of the contract in one auction.
func (r *row) candidate(c *exchange.Candidate) {
	live := c.Contract == nil || c.Contract.Pinged
	switch c.Reason {
	case exchange.ReasonNoTime, exchange.ReasonConcurrency:
		return // it was never asked
	case exchange.ReasonOutbid:
		if c.Bid == 0 {
			return // it was not its turn
		}
	case exchange.ReasonTimeout:
		r.Timeouts++
	case exchange.ReasonBuyerError:
		r.Errors++
	case exchange.ReasonNone:
		r.Wins++
	}
	if live {
		r.Pings++
		if c.Reason != exchange.ReasonTimeout && c.Reason != exchange.ReasonBuyerError {
			r.ping.add(time.Duration(c.Elapsed))
		}
	}
	if c.Bid > 0 {
		r.Bids++
		r.BidSum += c.Bid
	}
}

// attempt counts one post to the contract.
func (r *row) attempt(a *exchange.Attempt) {
	r.Posts++
	r.post.add(time.Duration(a.BuyerTime))
	if a.PriceChanged {
		r.PriceChanged++
	}
	switch a.Outcome {
	case exchange.OutcomeAccepted:
		r.Accepts++
		r.Revenue += a.Bid
		r.Payout += a.Payout
	case exchange.OutcomeRejected:
		r.Rejects++
	case exchange.OutcomeUnknown:
		r.Unknown++
	default:
		r.Errors++
	}
}

// contractRows returns a row for every contract of the config and every other
// that was seen, by name. It takes the lock for a row at a time: thousands of
// quantiles in one hold would be felt by those who count.
func (l *Live) contractRows(config *Config) []ContractRow {
	buyers := make(map[exchange.ContractID]exchange.BuyerID, len(config.Contracts))
	for _, info := range config.Contracts {
		buyers[info.ID] = info.Buyer
	}
	l.mu.Lock()
	seen := l.seen
	l.mu.Unlock()
	out := make([]ContractRow, 0, len(seen)+len(buyers))
	for _, r := range seen {
		l.mu.Lock()
		v := r.view()
		l.mu.Unlock()
		buyer, known := buyers[v.Contract]
		v.Buyer, v.Gone = buyer, !known && v.Contract != othersRow
		delete(buyers, v.Contract)
		out = append(out, v)
	}
	for id, buyer := range buyers {
		out = append(out, ContractRow{Contract: id, Buyer: buyer, PingP95: noTime, PostP95: noTime})
	}
	slices.SortFunc(out, func(x, y ContractRow) int { return cmp.Compare(x.Contract, y.Contract) })
	return out
}

func (r *row) view() ContractRow {
	v := r.ContractRow
	v.PingP95, v.PostP95 = r.ping.quantile(0.95), r.post.quantile(0.95)
	return v
}
