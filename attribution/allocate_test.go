package attribution

import (
	"fmt"
	"testing"

	"pgregory.net/rapid"

	"vendue/exchange"
)

func shares(weights ...uint64) (out []Share) {
	for i, w := range weights {
		out = append(out, Share{Touch: i, Weight: w})
	}
	return out
}

// TestAllocate holds the vectors by which models share: what is left over goes to the largest remainders, the earliest first.
func TestAllocate(t *testing.T) {
	for _, c := range []struct {
		amount, unit exchange.Money
		weights      []uint64
		want         string
	}{
		{1000, 1, []uint64{1, 1, 1}, "[334 333 333]"},
		{100, 1, []uint64{1, 1, 1, 1, 1, 1, 1}, "[15 15 14 14 14 14 14]"},
		{1001, 1, []uint64{2, 1, 2}, "[401 200 400]"},
		{999, 1, []uint64{6, 1, 1, 1, 6}, "[400 67 67 66 399]"},
		{10000, 1, []uint64{3, 1, 3, 1, 2}, "[3000 1000 3000 1000 2000]"},
		{10_000_000, 10_000, []uint64{1, 1, 1}, "[3340000 3330000 3330000]"}, // ten dollars, in cents
		{-1000, 1, []uint64{1, 1, 1}, "[-334 -333 -333]"},
		{12_345_678, 10_000, []uint64{1}, "[12345678]"},
		{5, 10, []uint64{1, 1}, "[5 0]"}, // less than a unit
		{7, 1, []uint64{0, 0}, "[0 0]"},
	} {
		parts := allocate(c.amount, c.unit, shares(c.weights...))
		text := make([]int64, len(parts))
		for i, p := range parts {
			text[i] = int64(p)
		}
		if got := fmt.Sprint(text); got != c.want {
			t.Errorf("%d by %v: %s, want %s", c.amount, c.weights, got, c.want)
		}
	}
}

// TestAllocateIsExact has any amount parted by any weights: the parts sum to
// it, each in whole units and within one unit of its due.
func TestAllocateIsExact(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		unit := exchange.Money(rapid.SampledFrom([]int64{1, 1000, 10_000, 1_000_000}).Draw(t, "unit"))
		amount := unit * exchange.Money(rapid.Int64Range(-1_000_000_000, 1_000_000_000).Draw(t, "units"))
		weights := rapid.SliceOfN(rapid.Uint64Range(0, 1<<40), 1, 20).Draw(t, "weights")
		parts := allocate(amount, unit, shares(weights...))
		var sum exchange.Money
		var whole float64
		for _, w := range weights {
			whole += float64(w)
		}
		for i, p := range parts {
			sum += p
			if p%unit != 0 {
				t.Fatalf("part %d is %d, which is no multiple of %d", i, p, unit)
			}
			due := float64(amount) * float64(weights[i]) / max(whole, 1)
			if diff := float64(p) - due; whole > 0 && (diff > float64(unit)*1.001 || diff < -float64(unit)*1.001) {
				t.Fatalf("part %d is %d, due are %f", i, p, due)
			}
		}
		if whole > 0 && sum != amount {
			t.Fatalf("the parts sum to %d, expected %d", sum, amount)
		}
	})
}
