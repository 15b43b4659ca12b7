package world

import (
	"fmt"
	"testing"

	"vendue/exchange"
)

const returnLine = `{"seq":%d,"at":"2026-01-06T10:00:00Z","type":"leg_returned","lead_id":"L1","attempt":%d,"bid":19.00,"payout":16.00,"reason":"no_contact","by":"buyer",` +
	`"frees":[{"cap":"contract/zen/day/leads","window":1,"amount":1}],"status":"returned"}`

// returnedBooks are sound books in which zen then gave L1 back.
func returnedBooks(t *testing.T) *Books {
	t.Helper()
	b := soundBooks(t)
	addLine(t, b, fmt.Sprintf(returnLine, 15, 2))
	b.Credits, b.Reversals = 1, true
	b.Answers[0].Now = Verdict{HTTP: 200, Status: "returned", Legs: []TheirLeg{{BidID: pingA + "-2", Price: usd(t, "16"), Status: "returned"}}}
	b.Notices = append(b.Notices, Notice{LeadID: "L1", Conversion: "v1", Affiliate: "blog-42", Amount: usd(t, "-4.00"), Event: eventReturned})
	return b
}

func addLine(t *testing.T, b *Books, line string) {
	t.Helper()
	if err := b.Journal.AddLines([]byte(line)); err != nil {
		t.Fatal(err)
	}
}

func TestAReturnTakesMoneyCreditAndCapBack(t *testing.T) {
	b := returnedBooks(t)
	b.Caps["zen"] = 1 // L4 alone counts in it
	r := Reconcile(b)
	if err := r.Err(); err != nil {
		t.Fatal(err)
	}
	if r.SaleLegs != 3 || r.Returned != 1 || r.Brought != 1 || r.Revenue != usd(t, "12") || r.Payout != usd(t, "9.60") || r.Commission != usd(t, "2.40") {
		t.Errorf("counts or money are off: %+v", r)
	}
}

// TestEachSpoiledReturnIsCaught spoils the books of a return in one way at a time.
func TestEachSpoiledReturnIsCaught(t *testing.T) {
	for _, tc := range []struct {
		name  string
		spoil func(t *testing.T, b *Books)
		want  Class
	}{
		{"given back twice", func(t *testing.T, b *Books) { addLine(t, b, fmt.Sprintf(returnLine, 16, 2)) }, ReturnTwice},
		{"given back unsold", func(t *testing.T, b *Books) { addLine(t, b, fmt.Sprintf(returnLine, 16, 1)) }, ReturnUnsold},
		{"still read as sold", func(_ *testing.T, b *Books) { b.Answers[0].Now = b.Answers[0].Told }, ReturnUntold},
		{"read as returned, and nobody gave it back", func(_ *testing.T, b *Books) { b.Answers[3].Now.Legs[0].Status = "returned" }, ReturnUntold},
		{"sold became rejected", func(_ *testing.T, b *Books) { b.Answers[0].Now.Status = "rejected" }, ToldChanged},
		{"returned became pending", func(_ *testing.T, b *Books) {
			b.Answers[0].Told, b.Answers[0].Now = b.Answers[0].Now, Verdict{HTTP: 202, Status: "pending"}
		}, ToldChanged},
		{"the price stands", func(t *testing.T, b *Books) { b.Answers[0].Now.Price = usd(t, "16") }, ToldOtherPrice},
		{"the house keeps the credit", func(_ *testing.T, b *Books) { b.Credits = 2 }, CreditCount},
		{"the affiliate never heard", func(_ *testing.T, b *Books) { b.Notices = b.Notices[:3] }, CreditKept},
		{"under another id", func(_ *testing.T, b *Books) { b.Notices[3].Conversion = "v9" }, CreditOther},
		{"at another amount", func(_ *testing.T, b *Books) { b.Notices[3].Amount = -exchange.Micro }, CreditOther},
		{"taken back twice", func(t *testing.T, b *Books) {
			b.Notices = append(b.Notices, Notice{LeadID: "L1", Conversion: "v8", Affiliate: "blog-42", Amount: usd(t, "-4.00"), Event: eventReturned})
		}, CreditTwice},
		{"a sale that stands is taken back", func(t *testing.T, b *Books) {
			b.Notices = append(b.Notices, Notice{LeadID: "L4", Conversion: "v4", Affiliate: "social-7", Amount: usd(t, "-2.40"), Event: eventReturned})
		}, CreditTwice},
		{"its place in the cap is counted on", func(_ *testing.T, b *Books) { b.Journal.Leads["L1"].Legs[1].Freed = false; b.Caps["zen"] = 1 }, CapPassed},
	} {
		t.Run(tc.name, func(t *testing.T) {
			b := returnedBooks(t)
			tc.spoil(t, b)
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
