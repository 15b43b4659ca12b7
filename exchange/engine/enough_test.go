package engine

import (
	"fmt"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"vendue/exchange"
	"vendue/exchange/auction"
)

// Whatever has come when the house has enough: with all the other answers the
// auction would have the same winner at the same promise, and no further bid that could stand in for it.
func TestEnoughChangesNothing(t *testing.T) {
	ended := 0
	rapid.Check(t, func(t *rapid.T) {
		campaign := &exchange.Campaign{
			Margin: exchange.Margin{Rate: exchange.PPM(rapid.IntRange(0, 40).Draw(t, "margin")) * exchange.Whole / 100}, MarginBy: map[exchange.BuyerID]exchange.MarginRule{},
			MarginMin: exchange.Margin{Rate: exchange.PPM(rapid.IntRange(0, 5).Draw(t, "margin_min")) * exchange.Whole / 100},
			Tree:      &exchange.Tree{Tiers: []exchange.Tier{{Method: exchange.MethodAuction}}},
		}
		run := &auctionRun{terms: auction.Terms{
			Method: exchange.MethodAuction, Currency: exchange.Currency{Code: "USD", MinorDigits: 2}, Margins: campaign, MarginMin: campaign.MarginMin,
			Least: exchange.Money(rapid.IntRange(0, 10).Draw(t, "floor")) * exchange.Micro,
		}}
		var all []auction.Bid
		for i := range rapid.IntRange(1, 6).Draw(t, "contracts") {
			buyer := &exchange.Buyer{ID: exchange.BuyerID(fmt.Sprint("b", i))}
			if rapid.Bool().Draw(t, "own margin") {
				campaign.MarginBy[buyer.ID] = exchange.MarginRule{{Margin: exchange.Margin{Rate: exchange.PPM(rapid.IntRange(0, 60).Draw(t, "of buyer")) * exchange.Whole / 100}}}
			}
			c := &exchange.Contract{
				ID: exchange.ContractID(fmt.Sprint("c", i)), Buyer: buyer, Sale: exchange.SaleExclusive,
				BidWeight: exchange.PPM(rapid.SampledFrom([]int{0, 0, 50, 90}).Draw(t, "weight")) * exchange.Whole / 100,
			}
			amount := exchange.Money(rapid.IntRange(0, 40).Draw(t, "bid")) * exchange.Micro
			b := auction.Bid{Contract: c, Place: i, Amount: amount}
			switch rapid.IntRange(0, 3).Draw(t, "state") {
			case 0: // a standing price
				c.Price = max(amount, 1)
				b.Amount = c.Price
				run.bids = append(run.bids, b)
			case 1: // it has answered
				a := exchange.Answer{Bid: amount}
				if amount == 0 {
					a.Reason = exchange.ReasonNoBid
				}
				run.ask.Contracts, run.ask.Answers = append(run.ask.Contracts, c), append(run.ask.Answers, a)
			default: // it will
				c.MaxBid = amount + exchange.Money(rapid.IntRange(0, 3).Draw(t, "beyond"))*exchange.Micro
				run.ask.Contracts, run.ask.Answers = append(run.ask.Contracts, c), append(run.ask.Answers, exchange.Answer{})
			}
			all = append(all, b)
		}
		if !run.mayEnd(&terms{campaign: campaign}, &campaign.Tree.Tiers[0]) {
			t.Fatal("an auction of exclusive bids")
		}
		if !run.enough() {
			return
		}
		ended++
		inHand := slices.Clone(run.bids)
		for i, c := range run.ask.Contracts {
			if bid := run.ask.Answers[i].Bid; bid > 0 {
				inHand = append(inHand, all[slices.IndexFunc(all, func(b auction.Bid) bool { return b.Contract == c })])
			}
		}
		useful := func(bids []auction.Bid) (legs []auction.Leg) {
			legs = auction.Clear(&run.terms, bids, nil)
			promise := legs[0].Payout
			return slices.DeleteFunc(legs, func(l auction.Leg) bool {
				return l.Contract != legs[0].Contract && !auction.Covers(&run.terms, l.Amount, promise)
			})
		}
		if now, later := useful(inHand), useful(all); !slices.Equal(now, later) {
			t.Fatalf("with what has come %v, with all %v", now, later)
		}
	})
	if ended < 5 {
		t.Errorf("only %d auctions ended early", ended)
	}
}
