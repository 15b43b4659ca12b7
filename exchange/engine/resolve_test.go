package engine

import (
	"context"
	"strconv"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"vendue/exchange"
)

// crowd counts how many look-ups run at once with each buyer.
type crowd struct {
	*buyers
	mu      sync.Mutex
	now     map[exchange.BuyerID]int
	most    map[exchange.BuyerID]int
	settled map[exchange.BuyerID]time.Time
}

func (c *crowd) Status(q *exchange.Inquiry) exchange.Finding {
	buyer := q.Contract.Buyer.ID
	c.mu.Lock()
	c.now[buyer]++
	c.most[buyer] = max(c.most[buyer], c.now[buyer])
	c.mu.Unlock()
	f := c.buyers.Status(q)
	c.mu.Lock()
	c.now[buyer]--
	c.settled[buyer] = time.Now()
	c.mu.Unlock()
	return f
}

// A buyer whose status URL hangs has its own few places; the others' doubts end as if it were not there.
func TestADeadStatusURLStopsNobody(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, `
	seller s
	campaign c seller=s margin=20%
	buyer a
	buyer b
	contract c1 buyer=a bid=20 post=unknown status=hang
	contract c2 buyer=b bid=30,none post=unknown status=accept
	tier auction c1 c2`)
		c := &crowd{buyers: w.buyers, now: map[exchange.BuyerID]int{}, most: map[exchange.BuyerID]int{}, settled: map[exchange.BuyerID]time.Time{}}
		e, err := openEngine(t, newDisk(), w.market, c, nil)
		if err != nil {
			t.Fatal(err)
		}
		e.Start()
		defer func() {
			if err := e.Stop(context.Background()); err != nil {
				t.Error(err)
			}
		}()
		start := time.Now()
		for i := range 200 {
			e.Direct(directOf(e, strconv.Itoa(i), ""))
		}
		time.Sleep(5 * time.Second)
		synctest.Wait()
		doubts, total, err := e.Doubts(false, 1000)
		if err != nil || total != 199 {
			t.Fatalf("%d in doubt: %v", total, err)
		}
		for _, d := range doubts {
			if d.Buyer != "a" {
				t.Fatalf("%s is in doubt still", d.Contract)
			}
		}
		c.mu.Lock()
		defer c.mu.Unlock()
		if c.most["a"] != resolversBuyer || c.settled["b"].Sub(start) > 2*time.Second {
			t.Errorf("%d look-ups at once, b's ended after %s", c.most["a"], c.settled["b"].Sub(start))
		}
	})
}

// What is kept for re-posts is bounded in leads and in bytes, and let go when it is settled.
func TestKeptLeadsAreBounded(t *testing.T) {
	for name, change := range map[string]func(*Config){
		"leads": func(c *Config) { c.RepostLeadsMax = 3 },
		"bytes": func(c *Config) { c.RepostBytesMax = 3*(keptLeadBytes+3*48+20) + 100 },
	} {
		synctest.Test(t, func(t *testing.T) {
			w := newWorld(t, `
	seller s
	campaign c seller=s margin=20%
	buyer a
	contract c1 buyer=a bid=20 post=unknown idempotent
	tier auction c1`)
			e, err := openEngine(t, newDisk(), w.market, w.buyers, func(c *Config, _ *Deps) { change(c) })
			if err != nil {
				t.Fatal(err)
			}
			var leads []exchange.LeadID
			for i := range 5 {
				leads = append(leads, e.Direct(directOf(e, strconv.Itoa(i), "")).View.LeadID)
			}
			kept, bytes := e.resolver.size()
			if kept != 3 || bytes > e.cfg.RepostBytesMax || e.m.notKept.Get() != 2 {
				t.Errorf("%s: %d leads of %d bytes are kept, %d not", name, kept, bytes, e.m.notKept.Get())
			}
			for _, id := range leads {
				if done, _ := e.Settle(&Verdict{LeadID: id.String(), Accepted: true, By: exchange.SettledByOperator}); done != SettledNow {
					t.Fatalf("%s: %d", name, done)
				}
			}
			if kept, bytes := e.resolver.size(); kept != 0 || bytes != 0 || len(e.resolver.queue) != 0 || len(e.resolver.doubts) != 0 {
				t.Errorf("%s: %d leads of %d bytes are kept of settled attempts", name, kept, bytes)
			}
			if n := e.m.settled[exchange.SettledByOperator][1].Get(); n != 5 {
				t.Errorf("%s: %d settlements are counted", name, n)
			}
		})
	}
}

// An assumption that comes too late contradicts nobody.
func TestAnAssumptionIsNoVerdict(t *testing.T) {
	w := newWorld(t, `
	seller s
	campaign c seller=s margin=20%
	buyer a
	contract c1 buyer=a bid=20 post=unknown
	tier auction c1`)
	e, _ := audited(t, w)
	id := e.Direct(directOf(e, "1", "")).View.LeadID
	for i, v := range []Verdict{
		{Accepted: true, By: exchange.SettledByBuyer},
		{Accepted: false, By: exchange.SettledByDeadline, Assumed: true},
		{Accepted: true, By: exchange.SettledByDeadline, Assumed: true},
	} {
		v.LeadID = id.String()
		want := SettledBefore
		if i == 0 {
			want = SettledNow
		}
		if done, view := e.Settle(&v); done != want || view.Status != exchange.LeadSold {
			t.Errorf("%d: got %d, lead %s", i, done, view.Status)
		}
	}
	if _, open := e.Doubtful(); open != 0 {
		t.Errorf("%d conflicts", open)
	}
}

// A house that drains begins nothing new, and stops in time though a buyer hangs.
func TestDrainBeginsNoLookUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, `
	seller s
	campaign c seller=s margin=20%
	buyer a
	contract c1 buyer=a bid=20 post=unknown status=hang
	tier auction c1`)
		e, err := openEngine(t, newDisk(), w.market, w.buyers, nil)
		if err != nil {
			t.Fatal(err)
		}
		e.Start()
		e.Direct(directOf(e, "1", ""))
		time.Sleep(2 * time.Second) // the first look-up hangs
		e.Direct(directOf(e, "2", ""))
		start := time.Now()
		if err := e.Stop(context.Background()); err != nil {
			t.Error(err)
		}
		if took := time.Since(start); took > 4*time.Second || len(w.buyers.looked) != 1 {
			t.Errorf("stopped after %s and %d look-ups", took, len(w.buyers.looked))
		}
	})
}
