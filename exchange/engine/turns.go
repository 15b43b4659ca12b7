package engine

import (
	"slices"
	"time"

	"vendue/exchange"
	"vendue/exchange/auction"
	"vendue/exchange/book"
)

// notItsTurn is what the tape says of contracts that were not asked because another's turn came first.
const notItsTurn = "not its turn"

// askInTurn goes through a tier that picks by turns: the contract whose turn it
// is has its standing price taken or is asked, and if it does not bid enough the
// next one is. The turn of the first that does is held, in run.turn. Standing
// prices after it are bids too: they may serve the quote if it refuses the lead.
//
// It returns the contracts in the order of their turns, which the bids' places count in.
func (e *Engine) askInTurn(run *auctionRun, t *terms, tier int, contracts []*exchange.Contract) []*exchange.Contract {
	tree := t.campaign.Tree
	run.bids, run.took = run.bids[:0], run.took[:0]
	run.ask.Contracts, run.ask.Answers = run.ask.Contracts[:0], run.ask.Answers[:0]
	run.order, run.seats = run.order[:0], run.seats[:0]
	for place, c := range contracts {
		if price := standing(c); !c.Pinged && !run.pays(t, c, &price) {
			run.bidInTurn(tier, c, &price)
			continue
		}
		run.seats = append(run.seats, book.Seat{Contract: c.ID, Place: place, Weight: int64(tree.Turn(tier, c.ID).Weight)})
	}
	end := t.deadline
	if w := tree.Tiers[tier].Window; w > 0 && e.Now().Add(w).Before(end) {
		end = e.Now().Add(w)
	}
	for left := run.seats; len(left) > 0; left = left[1:] {
		run.turn = e.book.SortTurns(tree.ID, tier, left, !t.test)
		if c := contracts[left[0].Place]; e.takesTurn(run, t, tier, c, end) {
			e.restInTurn(run, tier, contracts, left[1:])
			break
		}
		run.turn.Release()
		run.turn = nil
	}
	return run.order
}

// takesTurn asks the contract whose turn it is, and tells whether it has a price that is enough.
func (e *Engine) takesTurn(run *auctionRun, t *terms, tier int, c *exchange.Contract, end time.Time) bool {
	if !c.Pinged {
		price := standing(c)
		run.bidInTurn(tier, c, &price)
		return true
	}
	if slices.Contains(run.known, c.Buyer.ID) {
		run.scratch.Excluded[exchange.ReasonDuplicate]++
		return false
	}
	if len(run.ask.Contracts) == e.cfg.FanOutMax {
		run.scratch.Excluded[exchange.ReasonThrottled]++
		return false
	}
	run.ask.Contracts, run.ask.Answers = append(run.ask.Contracts, c), append(run.ask.Answers, exchange.Answer{})
	n := len(run.ask.Contracts)
	run.one = exchange.Ask{
		PingID: t.pingID, Campaign: t.campaign.ID, Lead: &t.lead, Sale: t.sale, Test: t.test, Start: e.Now(), Deadline: end,
		Contracts: run.ask.Contracts[n-1 : n], Answers: run.ask.Answers[n-1 : n],
	}
	a := &run.ask.Answers[n-1]
	if end.Sub(run.one.Start) < time.Millisecond {
		a.Reason = exchange.ReasonNoTime
		return false
	}
	t.snap.Bidders.Ask(&run.one)
	run.asked += e.Now().Sub(run.one.Start)
	if a.Reason == exchange.ReasonDuplicate {
		run.known = append(run.known, c.Buyer.ID)
	}
	run.afford(c, a)
	if a.Reason != exchange.ReasonNone {
		return false
	}
	run.bidInTurn(tier, c, a)
	return run.pays(t, c, a)
}

// standing is a contract's standing price as the answer to a question.
func standing(c *exchange.Contract) exchange.Answer {
	return exchange.Answer{Bid: c.Price, Shared: c.Shared}
}

// pays tells whether a bid, of the kind that the seller wishes, leaves the seller enough.
func (run *auctionRun) pays(t *terms, c *exchange.Contract, a *exchange.Answer) bool {
	bid, terms := a.Bid, run.termsOf(c)
	if c.Sale == exchange.SaleAny && t.sale == exchange.SaleShared {
		bid, terms = a.Shared, &run.shareTerms
	}
	_, enough := terms.Payout(c, bid)
	return enough
}

// bidInTurn notes a bid as the next in the order of turns.
func (run *auctionRun) bidInTurn(tier int, c *exchange.Contract, a *exchange.Answer) {
	run.bids = append(run.bids, auction.Bid{Contract: c, Tier: tier, Place: len(run.order), Amount: a.Bid, Shared: a.Shared, Token: a.Token, ExpiresIn: a.ExpiresIn})
	run.took = append(run.took, a.Elapsed)
	run.order = append(run.order, c)
}

// restInTurn puts those behind the one that has the turn: standing prices as further bids, the others as not asked.
func (e *Engine) restInTurn(run *auctionRun, tier int, contracts []*exchange.Contract, seats []book.Seat) {
	for i := range seats {
		c := contracts[seats[i].Place]
		if !c.Pinged {
			price := standing(c)
			run.bidInTurn(tier, c, &price)
			continue
		}
		if len(run.ask.Contracts) == e.cfg.FanOutMax {
			run.scratch.Excluded[exchange.ReasonOutbid]++
			continue
		}
		run.ask.Contracts = append(run.ask.Contracts, c)
		run.ask.Answers = append(run.ask.Answers, exchange.Answer{Reason: exchange.ReasonOutbid, Detail: notItsTurn})
	}
}

// inTurn sorts a later tier's standing prices by whose turn it is.
func (e *Engine) inTurn(tree *exchange.Tree, tier int, contracts []*exchange.Contract) []*exchange.Contract {
	if !tree.Tiers[tier].Method.ByTurns() {
		return contracts
	}
	seats := make([]book.Seat, len(contracts))
	for i, c := range contracts {
		seats[i] = book.Seat{Contract: c.ID, Place: i, Weight: int64(tree.Turn(tier, c.ID).Weight)}
	}
	e.book.SortTurns(tree.ID, tier, seats, false)
	order := make([]*exchange.Contract, len(contracts))
	for i := range seats {
		order[i] = contracts[seats[i].Place]
	}
	return order
}

// turnOf is the turn that an attempt takes; a test takes none.
func (j *journey) turnOf(c *candidate) exchange.Turn {
	if j.facts.Test || j.script != scriptNone {
		return exchange.Turn{}
	}
	return c.tree.Turn(c.tier, c.contract.ID)
}
