package pingtree

import (
	"testing"

	"vendue/exchange"
)

// Every contract is a place to give way at, in each step of the compilation.
func TestCompileGentlyBreathesForEachContract(t *testing.T) {
	v := &exchange.Vertical{Fields: []exchange.Field{{Name: "state", Kind: exchange.FieldText}, {Name: "age", Kind: exchange.FieldInt}}}
	buyer := &exchange.Buyer{Name: "B"}
	const n = 100
	tree := &exchange.Tree{Tiers: make([]exchange.Tier, 1)}
	for range n {
		tree.Tiers[0].Contracts = append(tree.Tiers[0].Contracts, &exchange.Contract{Vertical: v, Buyer: buyer, Where: []exchange.Condition{
			{Slot: 0, Kind: exchange.ConditionIn, Texts: []string{"CA"}}, {Slot: 1, Kind: exchange.ConditionRange, Min: 18, HasMin: true},
		}})
	}
	breaths := 0
	CompileGently(tree, v, func() { breaths++ })
	const steps = 5 // listed, sorted by kind, dealt to columns, one column of texts, one of ranges
	if breaths < steps*n {
		t.Errorf("%d breaths for %d contracts, want at least %d", breaths, n, steps*n)
	}
}
