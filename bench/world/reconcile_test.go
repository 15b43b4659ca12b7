package world

import (
	"strings"
	"testing"

	"vendue/exchange"
)

const (
	pingA = "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
	pingB = "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb"
)

// sound is a journal in which L1 was refused by one buyer and sold to the next,
// L2 is in doubt, L3 was a duplicate, L4 was in doubt and settled as sold, L5 is a test.
const sound = `{"seq":1,"at":"2026-01-05T10:00:00Z","type":"config_accepted","hash":"h"}
{"seq":2,"at":"2026-01-05T10:00:01Z","type":"click","click_id":"c1","offer":"auto","affiliate":"blog-42"}
{"seq":3,"at":"2026-01-05T10:00:02Z","type":"post_started","lead_id":"L1","attempt":1,"lead":{"seller":"north","campaign":"n","source":{"click_id":"c1"}},"leg":1,"contract":"acme","buyer":"acme","sale":"exclusive","bid":20.00,"payout":16.00}
{"seq":4,"at":"2026-01-05T10:00:02Z","type":"post_ended","lead_id":"L1","attempt":1,"outcome":"rejected","reason":"post_rejected","status":"open"}
{"seq":5,"at":"2026-01-05T10:00:02Z","type":"post_started","lead_id":"L1","attempt":2,"leg":2,"contract":"zen","buyer":"zen","sale":"exclusive","bid":19.00,"payout":16.00}
{"seq":6,"at":"2026-01-05T10:00:03Z","type":"post_ended","lead_id":"L1","attempt":2,"outcome":"accepted","status":"sold"}
{"seq":7,"at":"2026-01-05T10:00:04Z","type":"post_started","lead_id":"L2","attempt":1,"lead":{"seller":"north","campaign":"n","source":{"affiliate":"blog-42","offer":"auto"}},"leg":1,"contract":"acme","buyer":"acme","sale":"exclusive","bid":10.00,"payout":8.00}
{"seq":8,"at":"2026-01-05T10:00:05Z","type":"post_ended","lead_id":"L2","attempt":1,"outcome":"unknown","reason":"buyer_error","status":"pending","lead_reason":"unknown"}
{"seq":9,"at":"2026-01-05T10:00:06Z","type":"lead_refused","lead_id":"L3","lead":{"seller":"north","campaign":"n"},"reason":"duplicate"}
{"seq":10,"at":"2026-01-05T10:00:07Z","type":"post_started","lead_id":"L4","attempt":1,"lead":{"seller":"north","campaign":"n","source":{"affiliate":"social-7","offer":"auto"}},"leg":1,"contract":"zen","buyer":"zen","sale":"exclusive","bid":12.00,"payout":9.60}
{"seq":11,"at":"2026-01-05T10:00:08Z","type":"post_ended","lead_id":"L4","attempt":1,"outcome":"unknown","status":"pending","lead_reason":"unknown"}
{"seq":12,"at":"2026-01-05T10:00:09Z","type":"leg_settled","lead_id":"L4","attempt":1,"accepted":true,"by":"buyer","status":"sold"}
{"seq":13,"at":"2026-01-05T10:00:10Z","type":"post_started","lead_id":"L5","attempt":1,"lead":{"seller":"north","campaign":"n","test":true,"source":{"affiliate":"blog-42","offer":"auto"}},"leg":1,"contract":"acme","buyer":"acme","sale":"exclusive","bid":10.00,"payout":8.00}
{"seq":14,"at":"2026-01-05T10:00:10Z","type":"post_ended","lead_id":"L5","attempt":1,"outcome":"accepted","status":"sold"}
`

func usd(t *testing.T, s string) exchange.Money {
	t.Helper()
	m, err := exchange.ParseMoney(s)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// soundBooks returns books that agree.
func soundBooks(t *testing.T) *Books {
	t.Helper()
	j := NewJournal()
	if err := j.AddLines([]byte(sound)); err != nil {
		t.Fatal(err)
	}
	sold := func(bid, price string) Verdict {
		return Verdict{HTTP: 200, Status: "sold", Price: usd(t, price), Legs: []TheirLeg{{BidID: bid, Price: usd(t, price), Status: "sold"}}}
	}
	pending := Verdict{HTTP: 202, Status: "pending", Reason: "unknown"}
	duplicate := Verdict{HTTP: 200, Status: "rejected", Reason: "duplicate"}
	return &Books{
		Journal: j, Asked: true, Postbacks: true, Credits: 2, Caps: map[string]int{"acme": 1, "zen": 2},
		Answers: []Answer{
			{LeadID: "L1", Affiliate: "blog-42", Told: sold(pingA+"-2", "16.00"), Now: sold(pingA+"-2", "16.00")},
			{LeadID: "L2", Affiliate: "blog-42", Told: pending, Now: pending},
			{LeadID: "L3", Told: duplicate, Now: duplicate},
			{LeadID: "L4", Affiliate: "social-7", Told: pending, Now: sold(pingB+"-1", "9.60")},
			{LeadID: "L5", Told: sold(pingB+"-1", "8.00"), Now: sold(pingB+"-1", "8.00")},
			{Told: Verdict{HTTP: 200, Status: "rejected", Reason: "no_bid"}},
		},
		Receipts: []Receipt{
			{Buyer: "acme", LeadID: "L1", BidID: pingA + "-1", Price: usd(t, "20"), Told: ToldAnswer},
			{Buyer: "zen", LeadID: "L1", BidID: pingA + "-2", Price: usd(t, "19"), Told: ToldAnswer, Accepted: true},
			{Buyer: "acme", LeadID: "L2", BidID: pingA + "-1", Price: usd(t, "10"), Told: ToldReset, Accepted: true},
			{Buyer: "zen", LeadID: "L4", BidID: pingB + "-1", Price: usd(t, "12"), Told: ToldReset, Accepted: true},
			{Buyer: "acme", LeadID: "L5", BidID: pingB + "-1", Price: usd(t, "10"), Told: ToldAnswer, Accepted: true, Test: true},
		},
		Notices: []Notice{
			{LeadID: "L1", Conversion: "v1", Affiliate: "blog-42", Amount: usd(t, "4.00")},
			{LeadID: "L1", Conversion: "v1", Affiliate: "blog-42", Amount: usd(t, "4.00")},
			{LeadID: "L4", Conversion: "v4", Affiliate: "social-7", Amount: usd(t, "2.40")},
		},
		Commission: func(payout, _ exchange.Money) exchange.Money { return (exchange.Whole / 4).Of(payout) },
	}
}

func TestSoundBooksAgree(t *testing.T) {
	r := Reconcile(soundBooks(t))
	if err := r.Err(); err != nil {
		t.Fatal(err)
	}
	if r.Sold != 3 || r.Pending != 1 || r.SaleLegs != 3 || r.DoubtLegs != 1 || r.Brought != 2 || r.Conversions != 2 {
		t.Errorf("counts are off: %+v", r)
	}
	if r.Revenue != usd(t, "31") || r.Payout != usd(t, "25.60") || r.Margin != usd(t, "5.40") || r.Commission != usd(t, "6.40") {
		t.Errorf("money is off: %+v", r)
	}
}

// TestEachDisagreementIsCaught spoils sound books in one way at a time.
func TestEachDisagreementIsCaught(t *testing.T) {
	for _, tc := range []struct {
		name  string
		spoil func(b *Books)
		want  Class
	}{
		{"told a lead that was never written", func(b *Books) { b.Answers[0].LeadID = "L9" }, ToldUnwritten},
		{"told a leg that is no sale", func(b *Books) { b.Answers[0].Told.Legs[0].BidID = pingA + "-1" }, ToldUnwritten},
		{"told more than the payout", func(b *Books) { b.Answers[0].Told.Legs[0].Price++; b.Answers[0].Told.Price++ }, ToldOtherPrice},
		{"told a sum that is not its legs'", func(b *Books) { b.Answers[0].Told.Price++ }, ToldOtherPrice},
		{"sold became rejected", func(b *Books) { b.Answers[0].Now = Verdict{HTTP: 200, Status: "rejected"} }, ToldChanged},
		{"rejected became sold", func(b *Books) { b.Answers[2].Now.Status = "sold" }, ToldChanged},
		{"a told lead is gone", func(b *Books) { b.Answers[2].Now = Verdict{HTTP: 404} }, LeadLost},
		{"a told lead was not asked for", func(b *Books) { b.Answers[2].Now = Verdict{} }, LeadLost},
		{"a sale told as rejected", func(b *Books) { b.Answers[3].Now.Status = "rejected" }, SaleUntold},
		{"a sale without receipt", func(b *Books) { b.Receipts = b.Receipts[2:] }, SaleUnreceived},
		{"a sale that the buyer refused", func(b *Books) { b.Receipts[1].Accepted = false }, SaleUnreceived},
		{"a sale at another price", func(b *Books) { b.Receipts[1].Price++ }, SaleOtherPrice},
		{"a receipt of an unknown lead", func(b *Books) { b.Receipts[0].LeadID = "L9" }, ReceiptUnwritten},
		{"a receipt of an unknown leg", func(b *Books) { b.Receipts[0].BidID = pingA + "-7" }, ReceiptUnwritten},
		{"accepted, and the journal says refused", func(b *Books) { b.Receipts[0].Accepted = true }, ReceiptDenied},
		{"the same leg posted twice", func(b *Books) { b.Receipts[1].Repeats = 1 }, ReceiptRepeated},
		{"the same leg under another key", func(b *Books) { b.Receipts = append(b.Receipts, b.Receipts[1]) }, ReceiptRepeated},
		{"two buyers have an exclusive lead", func(b *Books) { b.Journal.Leads["L1"].Legs[0].Outcome = "accepted" }, SoldTwice},
		{"sold while another may have it", func(b *Books) { b.Journal.Leads["L1"].Legs[0].Outcome = "unknown" }, SoldTwice},
		{"a payout above the bid", func(b *Books) { b.Journal.Leads["L4"].Legs[0].Payout = 13 * exchange.Micro }, MoneyWrong},
		{"no postback", func(b *Books) { b.Notices = b.Notices[:2] }, CreditMissing},
		{"two conversion ids", func(b *Books) { b.Notices[1].Conversion = "v9" }, CreditTwice},
		{"a postback for a lead in doubt", func(b *Books) { b.Notices[2].LeadID = "L2" }, CreditUnearned},
		{"a postback for an unknown lead", func(b *Books) { b.Notices[2].LeadID = "L9" }, CreditUnearned},
		{"another affiliate's sale", func(b *Books) { b.Notices[2].Affiliate = "blog-42" }, CreditOther},
		{"another commission", func(b *Books) { b.Notices[2].Amount++ }, CreditOther},
		{"more credits than sales", func(b *Books) { b.Credits = 3 }, CreditCount},
		{"a test fires a postback", func(b *Books) { b.Notices[2].LeadID = "L5" }, TestWithMoney},
		{"a cap is passed", func(b *Books) { b.Caps["zen"] = 1 }, CapPassed},
		{"a gap in the journal", func(b *Books) { _ = b.Journal.AddLines([]byte(`{"seq":16,"type":"limit_set"}`)) }, JournalGap},
	} {
		t.Run(tc.name, func(t *testing.T) {
			b := soundBooks(t)
			tc.spoil(b)
			r := Reconcile(b)
			for _, f := range r.Faults {
				if f.Class == tc.want {
					return
				}
			}
			t.Errorf("want a finding of class %s, got %v", tc.want, r.Faults)
		})
	}
}

func TestConflictIsNoDenial(t *testing.T) {
	b := soundBooks(t)
	b.Receipts[0].Accepted = true
	line := `{"seq":15,"type":"conflict","lead_id":"L1","attempt":1,"accepted":true,"by":"buyer"}`
	if err := b.Journal.AddLines([]byte(line)); err != nil {
		t.Fatal(err)
	}
	if err := Reconcile(b).Err(); err != nil {
		t.Error(err)
	}
}

// A contract with on_unknown: continue may turn out to be a second buyer, whose sale earns credit of its own.
func TestAContinuingContractMaySellTwice(t *testing.T) {
	b := soundBooks(t)
	leg := &b.Journal.Leads["L1"].Legs[0]
	leg.Outcome, leg.Settled, leg.Continues = "unknown", "accepted", true
	leg.At = b.Journal.Leads["L1"].Legs[1].At
	leg.Payout, b.Receipts[0].Accepted, b.Credits, b.Caps["acme"] = usd(t, "16"), true, 3, 2
	if err := Reconcile(b).Err(); err == nil {
		t.Error("a credit is missing, and nothing is found")
	}
	b.Notices = append(b.Notices, Notice{LeadID: "L1", Conversion: "v2", Affiliate: "blog-42", Amount: usd(t, "4.00")})
	if err := Reconcile(b).Err(); err != nil {
		t.Error(err)
	}
}

func TestBrokenJournalsAreRefused(t *testing.T) {
	for _, tc := range []struct{ line, want string }{
		{`{"seq":15,"type":"post_ended","lead_id":"L9","attempt":1}`, "never started"},
		{`{"seq":15,"type":"post_started","lead_id":"L1","attempt":4}`, "out of order"},
		{`{"seq":15,"type":"post_started","lead_id":"L1","attempt":1,"lead":{}}`, "begins twice"},
		{`{"type":"click"}`, "expected seq and type"},
	} {
		b := soundBooks(t)
		if err := b.Journal.AddLines([]byte(tc.line)); err == nil || !strings.Contains(err.Error(), tc.want) {
			t.Errorf("%s: want an error with %q, got %v", tc.line, tc.want, err)
		}
	}
}

// TestEntriesReadLikeLines gives the journal the house's own entries.
func TestEntriesReadLikeLines(t *testing.T) {
	j := NewJournal()
	lead := exchange.LeadID{1}
	for i, ev := range []exchange.Event{
		&exchange.PostStarted{LeadID: lead, Attempt: 1, Lead: &exchange.LeadFacts{Seller: "north", Campaign: "n", Source: exchange.SourceFacts{Affiliate: "blog-42", Offer: "auto"}},
			Leg: 3, Contract: "acme", Buyer: "acme", Sale: exchange.SaleExclusive, Bid: 20 * exchange.Micro, Payout: 16 * exchange.Micro, OnUnknown: exchange.OnUnknownContinue},
		&exchange.PostEnded{LeadID: lead, Attempt: 1, Outcome: exchange.OutcomeUnknown, Status: exchange.LeadPending, LeadReason: exchange.ReasonUnknown},
		&exchange.LegSettled{LeadID: lead, Attempt: 1, Accepted: true, By: exchange.SettledByBuyer, Status: exchange.LeadSold},
	} {
		if err := j.AddEntry(exchange.Entry{Seq: uint64(i + 1), At: 1, Event: ev}); err != nil {
			t.Fatal(err)
		}
	}
	got := j.Leads[lead.String()]
	if got == nil || !got.Sold() || got.Status != "sold" || got.Affiliate != "blog-42" || j.LastSeq != 3 {
		t.Fatalf("got %+v", got)
	}
	if leg := got.leg(3); leg == nil || leg.Bid != 20*exchange.Micro || leg.Payout != 16*exchange.Micro || !leg.Continues || leg.Sale != "exclusive" {
		t.Errorf("got leg %+v", got.Legs)
	}
}
