package world

import (
	"fmt"
	"sort"
	"strings"

	"vendue/exchange"
)

// Class names one way in which books can disagree.
type Class string

// The classes.
const (
	ToldUnwritten    Class = "told_unwritten"    // a seller was told of a sale, or of a lead, that the journal lacks
	ToldOtherPrice   Class = "told_other_price"  // told a price that is not the journal's payout
	ToldChanged      Class = "told_changed"      // a final answer changed, other than by a verdict on a pending leg
	LeadLost         Class = "lead_lost"         // a lead_id that was told cannot be asked for
	SaleUntold       Class = "sale_untold"       // the journal has a sale, and the seller was told rejected
	SaleUnreceived   Class = "sale_unreceived"   // the journal has a sale that the buyer's receipts lack
	SaleOtherPrice   Class = "sale_other_price"  // the buyer was told another price than the journal's bid
	ReceiptUnwritten Class = "receipt_unwritten" // a buyer has a lead of which the journal knows nothing
	ReceiptDenied    Class = "receipt_denied"    // a buyer accepted, and the journal says it did not
	ReceiptRepeated  Class = "receipt_repeated"  // a buyer got the same leg twice
	SoldTwice        Class = "sold_twice"        // an exclusive lead was accepted by two buyers, or is with one while another may have it; on_unknown: continue allows it
	MoneyWrong       Class = "money_wrong"       // revenue is not payout plus margin, or a margin is negative
	CreditMissing    Class = "credit_missing"    // a sale that an affiliate brought, and no postback
	CreditTwice      Class = "credit_twice"      // one sale told under two conversion ids, or at two amounts
	CreditUnearned   Class = "credit_unearned"   // a postback for what no affiliate sold
	CreditOther      Class = "credit_other"      // a postback with another affiliate or amount than is due
	CreditCount      Class = "credit_count"      // the house counts other credits than the sales that affiliates brought
	CapPassed        Class = "cap_passed"        // more leads than a cap allows
	JournalGap       Class = "journal_gap"       // the journal's sequence is not one by one
	ReturnTwice      Class = "return_twice"      // one leg given back more than once
	ReturnUnsold     Class = "return_unsold"     // a leg given back that was not sold
	ReturnUntold     Class = "return_untold"     // the seller reads another standing of a leg than its return
	CreditKept       Class = "credit_kept"       // a leg given back, and its affiliate did not hear of it
	TestWithMoney    Class = "test_with_money"   // a test lead fired a postback
)

// Disagreement is one finding.
type Disagreement struct {
	Class  Class
	LeadID string
	Text   string
}

// String returns the finding as one line.
func (d Disagreement) String() string {
	if d.LeadID == "" {
		return string(d.Class) + ": " + d.Text
	}
	return string(d.Class) + ": lead " + d.LeadID + ": " + d.Text
}

// Books are everyone's records of one run, from its first lead to its last.
type Books struct {
	Answers  []Answer
	Receipts []Receipt // of all buyers
	Journal  *Journal
	Notices  []Notice // of all trackers

	Asked      bool            // every lead was asked for at the end: Answer.Now counts
	Postbacks  bool            // postbacks are configured for every affiliate and had time to arrive
	Reversals  bool            // and those of returns too
	Idempotent map[string]bool // contracts that may be sent a leg again: they take it as the same
	Caps       map[string]int  // most leads by contract over the whole run
	Credits    int             // what the house counts; below zero: not known
	// Commission returns what an affiliate is due for a leg, nil: amounts are not checked.
	Commission func(payout, bid exchange.Money) exchange.Money
}

// Report is what Reconcile found.
type Report struct {
	Leads, Told, Sold, Rejected, Pending, Unanswered int // by the sellers' last answers
	SaleLegs, DoubtLegs, RejectedLegs, Undelivered   int // by the journal
	Returned                                         int // of the sale legs
	Receipts, Accepting                              int // by the buyers
	Brought, Credits, Notices, Conversions           int // sales that affiliates brought, less returns; what the house credits; what the trackers got
	Events                                           int
	Revenue, Payout, Margin, Commission              exchange.Money
	Faults                                           []Disagreement
}

// faultsMax bounds what a Report lists; a broken run breaks everything.
const faultsMax = 1000

func (r *Report) fault(c Class, lead, format string, args ...any) {
	if len(r.Faults) < faultsMax {
		r.Faults = append(r.Faults, Disagreement{c, lead, fmt.Sprintf(format, args...)})
	}
}

// Err returns nil if all books agree, else the first few findings.
func (r *Report) Err() error {
	if len(r.Faults) == 0 {
		return nil
	}
	const shown = 10
	lines := make([]string, 0, shown)
	for i := range r.Faults[:min(shown, len(r.Faults))] {
		lines = append(lines, r.Faults[i].String())
	}
	return fmt.Errorf("the books disagree in %d places:\n  %s", len(r.Faults), strings.Join(lines, "\n  "))
}

// legKey names one leg: the bid_id's number within its lead.
type legKey struct {
	lead string
	leg  int64
}

// legNumber returns the number at the end of a bid_id, 0 if there is none.
func legNumber(bidID string) (n int64) {
	_, digits, ok := strings.Cut(bidID, "-")
	if !ok {
		return 0
	}
	if _, err := fmt.Sscanf(digits, "%d", &n); err != nil {
		return 0
	}
	return n
}

// Reconcile compares the books, each pair in both directions.
func Reconcile(b *Books) *Report {
	r := &Report{Events: b.Journal.Events, Receipts: len(b.Receipts), Notices: len(b.Notices), Credits: b.Credits}
	for _, gap := range b.Journal.Gaps {
		r.fault(JournalGap, "", "%s", gap)
	}
	receipts := make(map[legKey]*Receipt, len(b.Receipts))
	for i := range b.Receipts {
		r.receipt(b, &b.Receipts[i], receipts)
	}
	told := make(map[string]*Answer, len(b.Answers))
	for i := range b.Answers {
		r.answer(b, &b.Answers[i], told)
	}
	ids := make([]string, 0, len(b.Journal.Leads))
	for id := range b.Journal.Leads {
		ids = append(ids, id)
	}
	sort.Strings(ids)
	held := make(map[string]int)
	for _, id := range ids {
		r.lead(b.Journal.Leads[id], told[id], receipts, held)
	}
	r.caps(b, held)
	r.credits(b, ids)
	if r.Revenue != r.Payout+r.Margin {
		r.fault(MoneyWrong, "", "revenue %s is not payout %s plus margin %s", r.Revenue, r.Payout, r.Margin)
	}
	return r
}

// receipt checks one buyer's record against the journal.
func (r *Report) receipt(b *Books, rc *Receipt, all map[legKey]*Receipt) {
	key := legKey{rc.LeadID, legNumber(rc.BidID)}
	if all[key] != nil || (rc.Repeats > 0 && !b.Idempotent[rc.Contract]) {
		r.fault(ReceiptRepeated, rc.LeadID, "buyer %s got leg %s more than once", rc.Buyer, rc.BidID)
	}
	all[key] = rc
	if rc.Accepted {
		r.Accepting++
	}
	leg := b.Journal.Leads[rc.LeadID].leg(key.leg)
	switch {
	case leg == nil:
		r.fault(ReceiptUnwritten, rc.LeadID, "buyer %s has leg %s, which the journal lacks", rc.Buyer, rc.BidID)
	case rc.Accepted && !leg.Accepted() && !leg.Doubt() && leg.Conflicts == 0 && !leg.assumed():
		r.fault(ReceiptDenied, rc.LeadID, "buyer %s accepted leg %s; the journal says %s%s", rc.Buyer, rc.BidID, leg.Outcome, leg.Settled)
	case rc.Price != leg.Bid:
		r.fault(SaleOtherPrice, rc.LeadID, "buyer %s was told %s; the journal's bid is %s", rc.Buyer, rc.Price, leg.Bid)
	}
}

// answer checks what one seller was told against the journal and against what it is told now.
func (r *Report) answer(b *Books, a *Answer, told map[string]*Answer) {
	r.Leads++
	last := a.Last()
	switch {
	case a.NoAnswer && a.Now.HTTP == 0:
		r.Unanswered++
	case last.Status == "sold":
		r.Sold++
	case last.Status == "pending":
		r.Pending++
	case last.Status == "rejected":
		r.Rejected++
	}
	if a.LeadID == "" {
		return
	}
	r.Told++
	told[a.LeadID] = a
	lead := b.Journal.Leads[a.LeadID]
	if lead == nil {
		r.fault(ToldUnwritten, a.LeadID, "the seller was told %s; the journal lacks the lead", last.Status)
		return
	}
	if b.Asked {
		r.stands(a, lead)
		r.standsBack(lead, &a.Now)
	}
	for _, v := range []*Verdict{&a.Told, &a.Now} {
		r.verdict(lead, v)
	}
}

// stands checks that the lead can be asked for, and that a final answer stayed, but for what was given back.
func (r *Report) stands(a *Answer, lead *JournalLead) {
	var back exchange.Money
	for i := range lead.Legs {
		if lead.Legs[i].Returned() {
			back += lead.Legs[i].Payout
		}
	}
	soldStays := a.Now.Status == "sold" || back > 0 && (a.Now.Status == "returned" || a.Now.Status == "pending")
	switch {
	case a.Now.HTTP == 0 || a.Now.HTTP >= 400:
		r.fault(LeadLost, a.LeadID, "asked for, status %d", a.Now.HTTP)
	case a.Told.Status == "sold" && (!soldStays || a.Now.Price < a.Told.Price-back),
		(a.Told.Status == "rejected" || a.Told.Status == "returned") && a.Now.Status != a.Told.Status:
		r.fault(ToldChanged, a.LeadID, "told %s at %s, now %s at %s", a.Told.Status, a.Told.Price, a.Now.Status, a.Now.Price)
	}
}

// standsBack checks that the legs told as given back are those that were.
func (r *Report) standsBack(lead *JournalLead, now *Verdict) {
	for i := range now.Legs {
		theirs := &now.Legs[i]
		if leg := lead.leg(legNumber(theirs.BidID)); leg != nil && leg.Returned() != (theirs.Status == "returned") {
			r.fault(ReturnUntold, lead.ID, "leg %s reads as %s; returns of it: %d", theirs.BidID, theirs.Status, leg.Returns)
		}
	}
}

// verdict checks each leg told as sold against the journal.
func (r *Report) verdict(lead *JournalLead, v *Verdict) {
	if v.Status != "sold" && v.Status != "returned" {
		return
	}
	var sum exchange.Money
	for i := range v.Legs {
		theirs := &v.Legs[i]
		if theirs.Status != "sold" {
			continue
		}
		sum += theirs.Price
		leg := lead.leg(legNumber(theirs.BidID))
		switch {
		case leg == nil || !leg.Accepted():
			r.fault(ToldUnwritten, lead.ID, "told leg %s sold; the journal has no such sale", theirs.BidID)
		case leg.Payout != theirs.Price:
			r.fault(ToldOtherPrice, lead.ID, "told %s for leg %s; the journal's payout is %s", theirs.Price, theirs.BidID, leg.Payout)
		}
	}
	if sum != v.Price || (sum == 0) != (v.Status == "returned") {
		r.fault(ToldOtherPrice, lead.ID, "told %s in all; its sold legs sum to %s", v.Price, sum)
	}
}

// lead checks one lead of the journal against receipts and answers, and sums its money.
func (r *Report) lead(lead *JournalLead, told *Answer, receipts map[legKey]*Receipt, held map[string]int) {
	exclusive, sold := 0, false
	for i := range lead.Legs {
		leg := &lead.Legs[i]
		receipt := receipts[legKey{lead.ID, leg.Leg}]
		taken := leg.Accepted() || (leg.Doubt() && !leg.Continues)
		if taken && leg.Sale != "shared" && !leg.Continues {
			exclusive++
		}
		if taken && !lead.Test && !leg.Freed {
			held[leg.Contract]++
		}
		switch {
		case leg.Returns > 1:
			r.fault(ReturnTwice, lead.ID, "leg %d was given back %d times", leg.Leg, leg.Returns)
		case leg.Unsold:
			r.fault(ReturnUnsold, lead.ID, "%s gave leg %d back, which was not sold", leg.Contract, leg.Leg)
		}
		switch {
		case leg.Accepted():
			sold = true
			r.SaleLegs++
			if leg.Returned() {
				r.Returned++
			}
			if (receipt == nil || !receipt.Accepted) && !leg.assumed() {
				r.fault(SaleUnreceived, lead.ID, "the journal says that %s accepted leg %d; its receipts do not", leg.Contract, leg.Leg)
			}
			r.money(lead, leg)
		case leg.Doubt():
			r.DoubtLegs++
		case leg.Outcome == "not_delivered":
			r.Undelivered++
		default:
			r.RejectedLegs++
		}
	}
	if exclusive > 1 {
		r.fault(SoldTwice, lead.ID, "%d buyers have it or may have it, and it is exclusive", exclusive)
	}
	if sold && told != nil && told.Last().Status == "rejected" {
		r.fault(SaleUntold, lead.ID, "the journal says sold; the seller was told rejected, %s", told.Last().Reason)
	}
}

func (r *Report) money(lead *JournalLead, leg *JournalLeg) {
	margin := leg.Bid - leg.Payout
	if margin < 0 || leg.Payout <= 0 {
		r.fault(MoneyWrong, lead.ID, "leg %d: bid %s, payout %s", leg.Leg, leg.Bid, leg.Payout)
	}
	if lead.Test || leg.Returned() {
		return
	}
	r.Revenue += leg.Bid
	r.Payout += leg.Payout
	r.Margin += margin
}

func (r *Report) caps(b *Books, held map[string]int) {
	for contract, limit := range b.Caps {
		if held[contract] > limit {
			r.fault(CapPassed, "", "contract %s has %d leads, its cap is %d", contract, held[contract], limit)
		}
	}
}

// credits checks the trackers' records against the sales that affiliates brought.
func (r *Report) credits(b *Books, ids []string) {
	byLead := make(map[string][]*Notice)
	distinct := make(map[string]bool)
	for i := range b.Notices {
		n := &b.Notices[i]
		byLead[n.LeadID] = append(byLead[n.LeadID], n)
		distinct[n.Conversion] = true
		if b.Journal.Leads[n.LeadID] == nil {
			r.fault(CreditUnearned, n.LeadID, "conversion %s of a lead that the journal lacks", n.Conversion)
		}
	}
	r.Conversions = len(distinct)
	for _, id := range ids {
		lead := b.Journal.Leads[id]
		affiliate, sales, returned := b.Journal.broughtBy(lead)
		d := due{affiliate: affiliate}
		if affiliate != "" && !lead.Test {
			d.sales, d.returned = sales, returned
		}
		r.Brought += d.sales - d.returned
		r.notices(b, lead, d, byLead[id])
	}
	if b.Credits >= 0 && b.Credits != r.Brought {
		r.fault(CreditCount, "", "the house counts %d credits; affiliates brought %d sales that stand", b.Credits, r.Brought)
	}
}

// due is what an affiliate is to hear of a lead.
type due struct {
	affiliate       string
	sales, returned int
}

// eventReturned is the event of a postback that takes a sale back.
const eventReturned = "lead.returned"

// notices checks the postbacks of one lead.
func (r *Report) notices(b *Books, lead *JournalLead, d due, notices []*Notice) {
	switch {
	case lead.Test && len(notices) > 0:
		r.fault(TestWithMoney, lead.ID, "a test lead fired %d postbacks", len(notices))
		return
	case d.sales == 0 && len(notices) > 0:
		r.fault(CreditUnearned, lead.ID, "%d postbacks, and no affiliate sold it", len(notices))
		return
	}
	told, back := make(map[string]*Notice, d.sales), make(map[string]*Notice, d.returned)
	for _, n := range notices {
		firsts := told
		if n.Event == eventReturned {
			firsts = back
		}
		first := firsts[n.Conversion]
		if first == nil {
			firsts[n.Conversion] = n
			r.commission(b, lead, d.affiliate, n)
		} else if n.Amount != first.Amount {
			r.fault(CreditTwice, lead.ID, "conversion %s told at %s and at %s", n.Conversion, first.Amount, n.Amount)
		}
	}
	switch {
	case len(told) > d.sales:
		r.fault(CreditTwice, lead.ID, "%d sales told as %d conversions", d.sales, len(told))
	case len(told) < d.sales && b.Postbacks:
		r.fault(CreditMissing, lead.ID, "affiliate %s brought %d sales, and %d conversions were told", d.affiliate, d.sales, len(told))
	}
	r.takenBack(b, lead, d, told, back)
}

// takenBack checks that each return was told once, under the sale's own id and at its amount.
func (r *Report) takenBack(b *Books, lead *JournalLead, d due, told, back map[string]*Notice) {
	switch {
	case len(back) > d.returned:
		r.fault(CreditTwice, lead.ID, "%d returns told as %d conversions", d.returned, len(back))
	case len(back) < d.returned && b.Reversals:
		r.fault(CreditKept, lead.ID, "%d legs were given back, and %d conversions were told to be", d.returned, len(back))
	}
	for id, n := range back {
		if sale := told[id]; sale != nil && n.Amount != -sale.Amount || sale == nil && b.Postbacks {
			r.fault(CreditOther, lead.ID, "the return of conversion %s is told at %s", id, n.Amount)
		}
	}
}

// commission checks the first postback of one event of a conversion, and sums its amount.
func (r *Report) commission(b *Books, lead *JournalLead, affiliate string, n *Notice) {
	if n.Conversion == "" || n.Affiliate != affiliate {
		r.fault(CreditOther, lead.ID, "conversion %q for affiliate %q; %s brought it", n.Conversion, n.Affiliate, affiliate)
	}
	r.Commission += n.Amount
	if b.Commission == nil || n.Event == eventReturned {
		return // a return is held against its sale
	}
	for i := range lead.Legs {
		if leg := &lead.Legs[i]; leg.Accepted() && n.Amount == b.Commission(leg.Payout, leg.Bid) {
			return
		}
	}
	r.fault(CreditOther, lead.ID, "commission %s told; no sale of the lead gives that", n.Amount)
}
