package backtest

import (
	"cmp"
	"slices"

	"vendue/exchange"
)

// Figures are what some leads brought: as it was, or as it would have been.
// What is estimated is part of the sums, and told apart beside them.
type Figures struct {
	Auctions int64 `json:"auctions"`
	Asked    int64 `json:"asked"`   // questions to buyers
	Priced   int64 `json:"priced"`  // auctions with a price for the seller
	Posted   int64 `json:"posted"`  // of those and of directs, with an attempt to deliver
	Sold     int64 `json:"sold"`    // leads
	Pending  int64 `json:"pending"` // leads in doubt

	Revenue exchange.Money `json:"revenue"`
	Payout  exchange.Money `json:"payout"`
	Margin  exchange.Money `json:"margin"`

	NotKnown         int64          `json:"not_known"`         // questions of Asked that the tape has no answer to: taken as no bid
	EstimatedPosted  int64          `json:"estimated_posted"`  // posts of pings that had no price then
	EstimatedSold    int64          `json:"estimated_sold"`    // sales that nobody made then
	EstimatedRevenue exchange.Money `json:"estimated_revenue"` // and what they bring
	EstimatedMargin  exchange.Money `json:"estimated_margin"`
	LowerPrice       int64          `json:"lower_price"`   // posts whose seller is quoted less than then, and is taken to post all the same
	NoCampaign       int64          `json:"no_campaign"`   // auctions of campaigns that the config has not
	PostRefused      int64          `json:"posts_refused"` // posts that were refused before any attempt, as duplicates are, and are again

	Contracts []Row `json:"contracts"`
	rows      map[exchange.ContractID]*Row
}

// Row is one contract's part.
type Row struct {
	Contract  exchange.ContractID `json:"contract"`
	Asked     int64               `json:"asked"`
	NotKnown  int64               `json:"not_known"`
	Posts     int64               `json:"posts"`
	Sold      int64               `json:"sold"`
	Estimated int64               `json:"estimated"` // of the sold
	Revenue   exchange.Money      `json:"revenue"`
}

func (f *Figures) row(id exchange.ContractID) *Row {
	if f.rows == nil {
		f.rows = map[exchange.ContractID]*Row{}
	}
	r := f.rows[id]
	if r == nil {
		r = &Row{Contract: id}
		f.rows[id] = r
	}
	return r
}

// attempt counts one post to one contract.
func (f *Figures) attempt(contract exchange.ContractID, outcome exchange.Outcome, bid, payout exchange.Money, estimated bool) {
	r := f.row(contract)
	r.Posts++
	if outcome != exchange.OutcomeAccepted {
		return
	}
	r.Sold++
	r.Revenue += bid
	f.Revenue += bid
	f.Payout += payout
	if estimated {
		r.Estimated++
		f.EstimatedSold++
		f.EstimatedRevenue += bid
		f.EstimatedMargin += bid - payout
	}
}

// close sums what is left to be summed.
func (f *Figures) close() {
	f.Margin = f.Revenue - f.Payout
	f.Contracts = make([]Row, 0, len(f.rows))
	for _, r := range f.rows {
		f.Contracts = append(f.Contracts, *r)
	}
	slices.SortFunc(f.Contracts, func(x, y Row) int { return cmp.Compare(x.Contract, y.Contract) })
}

// wasAsked tells whether a candidate of the tape was asked for a bid, and whether the tape knows what it said.
func wasAsked(c *exchange.Candidate) (asked, known bool) {
	switch c.Reason {
	case exchange.ReasonNoTime, exchange.ReasonConcurrency, exchange.ReasonThrottled, exchange.ReasonBreaker, exchange.ReasonPingLimit:
		return false, false
	case exchange.ReasonNone, exchange.ReasonOutbid, exchange.ReasonBelowFloor:
		return c.Elapsed > 0, c.Elapsed > 0 && c.Bid > 0 // a standing price took no time
	default:
		return true, true
	}
}

// then counts an auction and its post as they were.
func (f *Figures) then(a *exchange.Auction, post *posted) {
	f.Auctions++
	for i := range a.Candidates {
		if asked, _ := wasAsked(&a.Candidates[i]); asked {
			f.Asked++
			f.row(a.Candidates[i].Name).Asked++
		}
	}
	if a.Reason == exchange.ReasonNone {
		f.Priced++
	}
	if post == nil || len(post.endings) == 0 {
		if post != nil && post.refused != exchange.ReasonNone && a.Reason == exchange.ReasonNone {
			f.PostRefused++
		}
		return
	}
	f.Posted++
	sold, doubt := false, false
	for _, e := range post.endings {
		f.attempt(e.contract, e.outcome, e.bid, e.payout, false)
		sold, doubt = sold || e.outcome == exchange.OutcomeAccepted, doubt || e.outcome == exchange.OutcomeUnknown
	}
	switch {
	case sold:
		f.Sold++
	case doubt:
		f.Pending++
	}
}
