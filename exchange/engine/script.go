package engine

import (
	"time"

	"vendue/exchange"
	"vendue/exchange/auction"
)

// script is a forced ending of test mode. A scripted test walks the whole way
// with the real code; only the two buyers at its end are made up.
type script uint8

// The scripts, by the zip that asks for each.
const (
	scriptNone      script = iota
	scriptSold             // 00001
	scriptNoBid            // 00002
	scriptRejected         // 00003
	scriptSecond           // 00004: rejected by the first buyer, sold to the second
	scriptUnknown          // 00005
	scriptDuplicate        // 00006
	scriptTimeout          // 00007
)

// scriptFor returns the script that a test lead's zip asks for.
func scriptFor(t *terms) script {
	if !t.test {
		return scriptNone
	}
	for i := range t.lead.Vertical.Fields {
		if t.lead.Vertical.Fields[i].Kind != exchange.FieldZip {
			continue
		}
		if zip := t.lead.Values[i].Text; len(zip) == 5 && zip[:4] == "0000" && zip[4] >= '1' && zip[4] <= '7' {
			return script(zip[4] - '0')
		}
	}
	return scriptNone
}

const scriptPostTimeout = 100 * time.Millisecond

// contracts returns the made-up contracts of a scripted test.
func (s script) contracts(v *exchange.Vertical) []*exchange.Contract {
	buyer := &exchange.Buyer{ID: "test", Name: "Test Buyer"}
	make1 := func(id exchange.ContractID) *exchange.Contract {
		return &exchange.Contract{
			ID: id, Index: -1, Buyer: buyer, Vertical: v, Sale: exchange.SaleExclusive, Pinged: true, CanTest: true,
			PingTimeout: time.Second, PostTimeout: scriptPostTimeout,
		}
	}
	return []*exchange.Contract{make1("test-first"), make1("test-second")}
}

// ask answers as the made-up buyers do: both bid the same, enough for any floor and margin.
func (s script) ask(a *exchange.Ask, t *auction.Terms) {
	for i := range a.Answers {
		switch s {
		case scriptNoBid:
			a.Answers[i].Reason = exchange.ReasonNoBid
		case scriptTimeout:
			a.Answers[i].Reason = exchange.ReasonTimeout
		default:
			a.Answers[i].Bid = scriptBid(t, a.Contracts[i])
		}
	}
	if s == scriptTimeout {
		time.Sleep(a.Deadline.Sub(a.Start))
	}
}

// scriptBid is the least round bid whose payout is enough.
func scriptBid(t *auction.Terms, c *exchange.Contract) exchange.Money {
	bid := 20 * exchange.Micro
	for range 20 {
		if _, ok := t.Payout(c, bid); ok {
			return bid
		}
		bid = min(2*bid, exchange.MoneyMax)
	}
	return bid
}

// post answers an attempt as the made-up buyers do.
func (s script) post(d *exchange.Delivery) exchange.Receipt {
	first := d.Leg == 1 // whichever of the two the tie-break put first
	switch {
	case s == scriptUnknown:
		return exchange.Receipt{Outcome: exchange.OutcomeUnknown, Reason: exchange.ReasonTimeout}
	case s == scriptRejected, s == scriptSecond && first:
		return exchange.Receipt{Outcome: exchange.OutcomeRejected, Reason: exchange.ReasonPostRejected}
	default:
		return exchange.Receipt{Outcome: exchange.OutcomeAccepted, BuyerRef: "test", RedirectURL: "https://test.example/thanks"}
	}
}
