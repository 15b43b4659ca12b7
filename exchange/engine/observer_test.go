package engine

import (
	"testing"
	"testing/synctest"

	"vendue/exchange"
)

// curious asks the engine something whenever it is told something.
type curious struct {
	engine *Engine
	told   []exchange.LeadStatus
}

func (c *curious) Auction(*exchange.Auction) { _, _ = c.engine.InDoubt() }

func (c *curious) Attempt(a *exchange.Attempt) {
	_, _ = c.engine.InDoubt()
	c.told = append(c.told, a.Status)
}

// Whoever watches is told after the disk, of every attempt, and never under the
// lock: a slow log line must not hold up the house, and one that asks back must not stop it.
func TestObserverIsToldOutsideTheLock(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, faultMarket)
		watch := new(curious)
		e, err := openEngine(t, newDisk(), w.market, w.buyers, func(_ *Config, d *Deps) { d.Observer = watch })
		if err != nil {
			t.Fatal(err)
		}
		watch.engine = e
		e.Direct(directOf(e, "1", "")) // falls back, then sold
		e.Direct(directOf(e, "1", "")) // duplicate
		want := []exchange.LeadStatus{exchange.LeadOpen, exchange.LeadSold, exchange.LeadRejected}
		if len(watch.told) != len(want) {
			t.Fatalf("told %v, want %v", watch.told, want)
		}
		for i := range want {
			if watch.told[i] != want[i] {
				t.Errorf("told %v, want %v", watch.told, want)
			}
		}
	})
}
