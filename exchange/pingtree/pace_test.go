package pingtree

import (
	"testing"
	"time"

	"vendue/exchange"
)

// dueCaps is a CapsView in which so much of every cap is due by now.
type dueCaps struct {
	usedCaps
	due int64
}

func (d dueCaps) Bound(c *exchange.Cap, _ time.Time) (int64, int64) { return c.Limit, d.due }

// Who is ahead of its plan waits for it; who has used up the day is told so, though it is no less ahead.
func TestAFullCapIsNoMatterOfPace(t *testing.T) {
	v := &exchange.Vertical{ID: "auto"}
	c := &exchange.Contract{
		ID: "even", Vertical: v, Buyer: &exchange.Buyer{Name: "Acme"},
		Caps: []exchange.Cap{{ID: "cap", Per: exchange.PerDay, Unit: exchange.CapLeads, Limit: 10, Full: exchange.ReasonCapContract, Even: true}},
	}
	tree := Compile(&exchange.Tree{Tiers: []exchange.Tier{{Contracts: []*exchange.Contract{c}}}}, v)
	for _, step := range []struct {
		used, due int64
		want      exchange.Reason
	}{
		{3, 5, exchange.ReasonNone}, {5, 5, exchange.ReasonPacing}, {7, 5, exchange.ReasonPacing},
		{10, 10, exchange.ReasonCapContract}, {10, 5, exchange.ReasonCapContract},
	} {
		q := &Query{Lead: &exchange.Lead{Vertical: v}, Now: time.Unix(0, 0), Zone: time.UTC, Caps: dueCaps{usedCaps{0: step.used}, step.due}}
		if got, detail := tree.Why(c, q); got != step.want {
			t.Errorf("%d of 10 used, %d due: %s (%s), want %s", step.used, step.due, got, detail, step.want)
		}
	}
}
