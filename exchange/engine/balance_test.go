package engine

import (
	"context"
	"fmt"
	"testing"

	"vendue/exchange"
)

// Sixty-four at a time race for a balance while it is paid into and taken from,
// a fifth of the posts are refused and a seventh stay in doubt, and the house
// crashes in between: more than was paid in is never held and spent.
func TestBalanceHoldsUnderARace(t *testing.T) {
	w := newWorld(t, `
		seller s
		campaign c seller=s margin=20%
		buyer a prepaid=300 cap=day/leads/90/even
		contract c1 buyer=a bid=20
		contract c2 buyer=a bid=19 cap=hour/spend/700
		tier auction c1 c2`)
	e, d := audited(t, w)
	outcomes := &cycle{world: w}
	if err := e.Install(w.market, outcomes, "again"); err != nil {
		t.Fatal(err)
	}
	id := exchange.BalanceCap("a")
	spent := func(e *Engine) (paid, taken int64) {
		e.mu.Lock()
		defer e.mu.Unlock()
		held, committed := e.book.Taken(id)
		return e.book.Limit(id), held + committed
	}
	sold := 0
	for round := range 6 {
		counts := atOnce(64, func(i int) string {
			if i%16 == 0 {
				if _, _, err := e.Pay("a", exchange.Money(i-20)*exchange.Micro, -1); err != nil {
					return err.Error()
				}
				return "paid"
			}
			return wordOf(e.Direct(directOf(e, fmt.Sprint(round, "-", i), "")))
		})
		sold += counts["sold"] + counts["pending"]
		if paid, taken := spent(e); taken > paid {
			t.Fatalf("%d of %d", taken, paid)
		}
	}
	if sold < 10 {
		t.Errorf("only %d were taken", sold)
	}
	paid, taken := spent(e)
	after, err := openEngine(t, d.crash(), w.market, w.buyers, nil)
	if err != nil {
		t.Fatal(err)
	}
	if p, s := spent(after); p != paid || s != taken {
		t.Errorf("after a crash %d of %d, before %d of %d", s, p, taken, paid)
	}
	if err := after.Stop(context.Background()); err != nil {
		t.Error(err)
	}
}
