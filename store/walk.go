package store

import (
	"fmt"

	"vendue/exchange"
)

// walkEvent carries e's fields. A field may be added only at the end of an
// event and only with a new record version; the golden bytes in testdata hold
// every kind to that.
func walkEvent(w *wire, e exchange.Event) {
	switch ev := e.(type) {
	case *exchange.ConfigAccepted:
		text(w, &ev.Hash)
		text(w, &ev.Text)
	case *exchange.LimitSet:
		text(w, &ev.Cap)
		unsigned(w, &ev.Per)
		unsigned(w, &ev.Unit)
		signed(w, &ev.Limit)
	case *exchange.OfferSet:
		walkOffer(w, ev)
	case *exchange.PostStarted:
		walkStarted(w, ev)
	case *exchange.PostEnded:
		walkEnded(w, ev)
	case *exchange.LeadRefused:
		fixed(w, ev.LeadID[:])
		walkFacts(w, &ev.Lead)
		unsigned(w, &ev.Reason)
		fixed(w, ev.First[:])
		unsigned(w, &ev.ElapsedMs)
		if w.version >= 2 {
			walkEvidence(w, &ev.Lead.Source)
		}
	case *exchange.LegSettled:
		fixed(w, ev.LeadID[:])
		unsigned(w, &ev.Attempt)
		boolean(w, &ev.Accepted)
		unsigned(w, &ev.By)
		blob(w, &ev.BuyerRef)
		unsigned(w, &ev.Status)
	case *exchange.LegConflict:
		fixed(w, ev.LeadID[:])
		unsigned(w, &ev.Attempt)
		boolean(w, &ev.Accepted)
		unsigned(w, &ev.By)
	case *exchange.ConflictClosed:
		fixed(w, ev.LeadID[:])
		unsigned(w, &ev.Attempt)
		text(w, &ev.Operator)
	case *exchange.Clicked:
		fixed(w, ev.ClickID[:])
		text(w, &ev.Offer)
		text(w, &ev.Affiliate)
		blob(w, &ev.Foreign)
		if w.version >= 2 {
			boolean(w, &ev.View)
			fixed(w, ev.Prev[:])
			text(w, &ev.Coupon)
		}
	case *exchange.Converted:
		walkConverted(w, ev)
	case *exchange.LegGivenBack:
		walkReturned(w, ev)
	default:
		panic(fmt.Sprintf("BUG: the journal has no form for %T", e))
	}
}

func walkOffer(w *wire, ev *exchange.OfferSet) {
	text(w, &ev.Offer)
	unsigned(w, &ev.Model)
	signed(w, &ev.WindowSec)
	signed(w, &ev.Commission.Rate)
	unsigned(w, &ev.Commission.Of)
	unsigned(w, &ev.Commission.PaidBy)
	boolean(w, &ev.Removed)
	if w.version < 2 {
		return
	}
	signed(w, &ev.ViewSec)
	boolean(w, &ev.CouponFirst)
	unsigned(w, &ev.EarnOn)
	boolean(w, &ev.NeedSold)
	text(w, &ev.Event)
	signed(w, &ev.ConfirmSec)
	signed(w, &ev.FlatAmount)
}

func walkConverted(w *wire, ev *exchange.Converted) {
	fixed(w, ev.ClickID[:])
	text(w, &ev.Event)
	fixed(w, ev.Key[:])
	fixed(w, ev.Body[:])
	signed(w, &ev.Amount)
	text(w, &ev.Currency)
	blob(w, &ev.TxID)
	boolean(w, &ev.Rejected)
	boolean(w, &ev.Pixel)
}

// walkEvidence carries what later versions know of a lead's source.
func walkEvidence(w *wire, s *exchange.SourceFacts) {
	fixed(w, s.Cookie[:])
	text(w, &s.Coupon)
}

func walkFacts(w *wire, f *exchange.LeadFacts) {
	fixed(w, f.PingID[:])
	boolean(w, &f.Direct)
	text(w, &f.Seller)
	text(w, &f.Campaign)
	text(w, &f.Vertical)
	text(w, &f.Currency)
	boolean(w, &f.Test)
	fixed(w, f.Idem[:])
	fixed(w, f.Body[:])
	fixed(w, f.Person[:])
	text(w, &f.Source.Affiliate)
	text(w, &f.Source.Offer)
	fixed(w, f.Source.Click[:])
	blob(w, &f.Source.Foreign)
}

func walkStarted(w *wire, ev *exchange.PostStarted) {
	fixed(w, ev.LeadID[:])
	unsigned(w, &ev.Attempt)
	first := ev.Lead != nil
	boolean(w, &first)
	if first {
		if w.decode {
			ev.Lead = new(exchange.LeadFacts)
		}
		walkFacts(w, ev.Lead)
	}
	unsigned(w, &ev.Leg)
	text(w, &ev.Contract)
	text(w, &ev.Buyer)
	unsigned(w, &ev.Sale)
	signed(w, &ev.Bid)
	signed(w, &ev.Payout)
	signed(w, &ev.Margin.Rate)
	signed(w, &ev.Margin.Fixed)
	unsigned(w, &ev.OnUnknown)

	walkHolds(w, &ev.Holds)
	if w.version >= 2 {
		blob(w, &ev.Token)
	}
	if w.version >= 3 && first {
		walkEvidence(w, &ev.Lead.Source)
	}
	if w.version >= 4 {
		text(w, &ev.Turn.Tree)
		unsigned(w, &ev.Turn.Tier)
		unsigned(w, &ev.Turn.Weight)
		unsigned(w, &ev.LegsMax)
	}
}

func walkHolds(w *wire, holds *[]exchange.Hold) {
	const holdBytesMin = 3 // an empty name and two one-byte numbers
	n := count(w, len(*holds), holdBytesMin)
	if w.decode && n > 0 {
		*holds = make([]exchange.Hold, n)
	}
	for i := range *holds {
		text(w, &(*holds)[i].Cap)
		signed(w, &(*holds)[i].Window)
		signed(w, &(*holds)[i].Amount)
	}
}

func walkReturned(w *wire, ev *exchange.LegGivenBack) {
	fixed(w, ev.LeadID[:])
	unsigned(w, &ev.Attempt)
	text(w, &ev.Campaign)
	text(w, &ev.Contract)
	text(w, &ev.Buyer)
	boolean(w, &ev.Test)
	signed(w, &ev.Bid)
	signed(w, &ev.Payout)
	text(w, &ev.Reason)
	blob(w, &ev.Note)
	unsigned(w, &ev.By)
	text(w, &ev.Operator)
	walkHolds(w, &ev.Frees)
	unsigned(w, &ev.Status)
}

func walkEnded(w *wire, ev *exchange.PostEnded) {
	fixed(w, ev.LeadID[:])
	unsigned(w, &ev.Attempt)
	unsigned(w, &ev.Outcome)
	unsigned(w, &ev.Reason)
	unsigned(w, &ev.HTTPStatus)
	boolean(w, &ev.PriceChanged)
	blob(w, &ev.BuyerRef)
	blob(w, &ev.RedirectURL)
	unsigned(w, &ev.Status)
	unsigned(w, &ev.LeadReason)
	unsigned(w, &ev.ElapsedMs)
	if w.version >= 2 {
		boolean(w, &ev.NoTime)
	}
}
