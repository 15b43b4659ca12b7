package reconcile

import (
	"fmt"
	"testing"
	"time"

	"pgregory.net/rapid"

	"vendue/exchange"
)

var (
	from   = time.Date(2026, 10, 1, 0, 0, 0, 0, time.UTC)
	until  = time.Date(2026, 11, 1, 0, 0, 0, 0, time.UTC)
	window = Window{From: from, Until: until, Edge: 14 * time.Hour}
)

func day(n int) time.Time { return from.AddDate(0, 0, n-1).Add(12 * time.Hour) }

func dollars(n int64) exchange.Money { return exchange.Money(n) * exchange.Micro }

// TestEachClass has one row of every class, and none is anywhere else.
func TestEachClass(t *testing.T) {
	sold := func(id string, at time.Time, told string) Ours {
		return Ours{ConversionID: id, LeadID: "lead-" + id, AffClickID: "cid-" + id, At: at, ToldAt: at, Amount: dollars(4), Status: Approved, Told: told}
	}
	reversed := sold("returned", day(9), ToldAccepted)
	reversed.Status = Reversed
	gone := sold("both", day(9), ToldAccepted)
	gone.Status = Reversed
	late := sold("late", day(30), ToldAccepted)
	late.ToldAt = until.Add(20 * time.Hour)
	ours := []Ours{
		sold("m", day(2), ToldAccepted), sold("a", day(3), ToldAccepted), sold("s", day(4), ToldAccepted), sold("none", day(5), ToldNot),
		sold("waits", day(5), ToldWaiting), sold("dead", day(6), ToldDead), sold("absent", day(7), ToldAccepted), late,
		sold("edge", until.Add(-time.Hour), ToldAccepted), reversed, gone, sold("before", from.Add(-48*time.Hour), ToldAccepted),
		sold("after", until.Add(time.Hour), ToldAccepted), sold("nobody", until.Add(time.Hour), ToldAccepted),
	}
	theirs := []Theirs{
		{Line: 2, IDs: []string{"M"}, Amount: dollars(4), Status: Approved}, {Line: 3, IDs: []string{"x", "cid-a"}, Amount: dollars(5)},
		{Line: 4, IDs: []string{"lead-s"}, Amount: dollars(4), Status: Reversed}, {Line: 5, IDs: []string{"m"}, Amount: dollars(4)},
		{Line: 6, IDs: []string{"whose"}, Amount: dollars(7)}, {Line: 7, IDs: []string{"returned"}, Amount: dollars(4), Status: Approved},
		{Line: 8, IDs: []string{"before"}, Amount: dollars(4)}, {Line: 9, IDs: []string{"after"}, Amount: dollars(4)},
	}
	r := Match(window, ours, theirs)
	want := map[Class]Sum{
		Matched: {Rows: 2, Ours: dollars(4), Theirs: dollars(4)}, AmountDiffers: {Rows: 1, Ours: dollars(4), Theirs: dollars(5), Difference: dollars(1)},
		StatusDiffers: {Rows: 1, Ours: dollars(4), Difference: -dollars(4)}, OursNotSent: {Rows: 2, Ours: dollars(8), Difference: -dollars(8)},
		OursRefused: {Rows: 1, Ours: dollars(4), Difference: -dollars(4)}, OursAbsent: {Rows: 1, Ours: dollars(4), Difference: -dollars(4)},
		OursOutsideWindow: {Rows: 1, Ours: dollars(4), Difference: -dollars(4)}, OursTimezoneEdge: {Rows: 1, Ours: dollars(4), Difference: -dollars(4)},
		TheirsUnknown: {Rows: 1, Theirs: dollars(7), Difference: dollars(7)}, TheirsDuplicate: {Rows: 1, Theirs: dollars(4), Difference: dollars(4)},
		TheirsAfterReturn: {Rows: 1, Theirs: dollars(4), Difference: dollars(4)}, TheirsOutsideWindow: {Rows: 1, Theirs: dollars(4), Difference: dollars(4)},
		TheirsTimezoneEdge: {Rows: 1, Theirs: dollars(4), Difference: dollars(4)},
	}
	for c, sum := range want {
		if sum.Class = c; r.Classes[c] != sum {
			t.Errorf("%s: got %+v, want %+v", c, r.Classes[c], sum)
		}
	}
	if r.Ours != dollars(36) || r.Theirs != dollars(32) || r.Difference != -dollars(4) || r.Conversions != 11 || r.Lines != 8 || r.Agrees() {
		t.Errorf("got %+v", r)
	}
}

// Two legs of one click: the list names only the click, and each line takes the leg of its amount.
func TestOneClickOfTwoConversions(t *testing.T) {
	ours := []Ours{
		{ConversionID: "1", AffClickID: "k", At: day(2), Amount: dollars(4), Status: Approved}, {ConversionID: "2", AffClickID: "k", At: day(2), Amount: dollars(3), Status: Approved},
	}
	r := Match(window, ours, []Theirs{{IDs: []string{"k"}, Amount: dollars(3)}, {IDs: []string{"k"}, Amount: dollars(4)}})
	if r.Classes[Matched].Rows != 2 || !r.Agrees() {
		t.Errorf("got %+v", r)
	}
}

// TestTheClassesSumToTheDifference holds whatever is on either side: each conversion in the window and each line is in
// exactly one row, and the rows and classes sum to what a plain sum of both sides says.
func TestTheClassesSumToTheDifference(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		id := rapid.Custom(func(t *rapid.T) string { return fmt.Sprint("id", rapid.IntRange(0, 12).Draw(t, "id")) })
		amount := rapid.Custom(func(t *rapid.T) exchange.Money { return exchange.Money(rapid.Int64Range(-5, 5).Draw(t, "amount")) })
		at := rapid.Custom(func(t *rapid.T) time.Time {
			return from.Add(time.Duration(rapid.IntRange(-72, 31*24+72).Draw(t, "hour")) * time.Hour)
		})
		ours := rapid.SliceOfN(rapid.Custom(func(t *rapid.T) Ours {
			return Ours{ConversionID: id.Draw(t, "conversion"), AffClickID: id.Draw(t, "click"), At: at.Draw(t, "at"), ToldAt: at.Draw(t, "told at"), Amount: amount.Draw(t, "ours"),
				Status: rapid.SampledFrom([]string{Pending, Approved, Reversed}).Draw(t, "status"),
				Told:   rapid.SampledFrom([]string{ToldNot, ToldNotSent, ToldWaiting, ToldDead, ToldAccepted}).Draw(t, "told")}
		}), 0, 12).Draw(t, "all ours")
		theirs := rapid.SliceOfN(rapid.Custom(func(t *rapid.T) Theirs {
			return Theirs{IDs: rapid.SliceOfN(id, 1, 3).Draw(t, "ids"), Amount: amount.Draw(t, "theirs"), Status: rapid.SampledFrom([]string{"", Pending, Approved, Reversed}).Draw(t, "status")}
		}), 0, 12).Draw(t, "all theirs")
		var want exchange.Money
		seenOurs, seenTheirs := map[*Ours]int{}, map[*Theirs]int{}
		for i := range ours {
			if o := &ours[i]; window.has(o.At) {
				seenOurs[o] = 0
				if o.Status != Reversed {
					want -= o.Amount
				}
			}
		}
		for i := range theirs {
			seenTheirs[&theirs[i]] = 0
			if theirs[i].Status != Reversed {
				want += theirs[i].Amount
			}
		}
		r := Match(window, ours, theirs)
		var classes, rows exchange.Money
		for _, c := range r.Classes {
			classes += c.Difference
			if c.Difference != c.Theirs-c.Ours {
				t.Fatalf("%s: %+v", c.Class, c)
			}
		}
		for i := range r.Rows {
			rows += r.Rows[i].Difference
			if r.Rows[i].Theirs != nil {
				seenTheirs[r.Rows[i].Theirs]++
			}
			if o := r.Rows[i].Ours; o != nil && window.has(o.At) {
				seenOurs[o]++
			}
		}
		if r.Difference != want || classes != want || rows != want {
			t.Fatalf("the difference is %s; said %s, classes %s, rows %s", want, r.Difference, classes, rows)
		}
		for o, n := range seenOurs {
			if n != 1 {
				t.Fatalf("%+v is in %d rows", o, n)
			}
		}
		for l, n := range seenTheirs {
			if n != 1 {
				t.Fatalf("%+v is in %d rows", l, n)
			}
		}
	})
}
