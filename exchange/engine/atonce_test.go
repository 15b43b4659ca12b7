package engine

import (
	"fmt"
	"runtime"
	"sync/atomic"
	"testing"

	"vendue/exchange"
)

// throng counts the posts that are with a buyer at once.
type throng struct {
	cycle
	now, most atomic.Int64
}

// Post takes a few turns of the scheduler, so that others come meanwhile.
func (c *throng) Post(d *exchange.Delivery) exchange.Receipt {
	now := c.now.Add(1)
	defer c.now.Add(-1)
	for most := c.most.Load(); now > most && !c.most.CompareAndSwap(most, now); most = c.most.Load() {
	}
	for range 20 {
		runtime.Gosched()
	}
	return c.cycle.Post(d)
}

// Sixty-four at a time race for the five places of a contract, of which a fifth are refused and a seventh stay in doubt.
func TestPostsAtOnceHoldUnderARace(t *testing.T) {
	const most = 5
	w := newWorld(t, fmt.Sprintf(`
		seller s
		campaign c seller=s margin=20%%
		buyer a
		contract c1 buyer=a bid=20 at_once=%d
		tier auction c1`, most))
	e, _ := audited(t, w)
	buyer := &throng{cycle: cycle{world: w}}
	if err := e.Install(w.market, buyer, "again"); err != nil {
		t.Fatal(err)
	}
	sold := 0
	for round := range 10 {
		sold += atOnce(64, func(i int) string { return wordOf(e.Direct(directOf(e, fmt.Sprint(round, "-", i), ""))) })["sold"]
	}
	if got := buyer.most.Load(); got > most || got < 2 {
		t.Errorf("%d were with the buyer at once, want 2 to %d", got, most)
	}
	if sold < 10 {
		t.Errorf("only %d were sold", sold)
	}
	if e.with("c1") != 0 {
		t.Errorf("%d posts are in flight at the end", e.with("c1"))
	}
}

func (e *Engine) with(c exchange.ContractID) int {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.book.InFlight(c)
}
