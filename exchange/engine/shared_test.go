package engine

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"vendue/exchange"
)

// sharedWorld is a market of contracts that share, that do not, and that do either.
const sharedWorld = `
	seller s
	campaign c seller=s margin=20% legs=5 cap=day/leads/300
	buyer a cap=day/leads/120
	buyer b
	buyer x
	buyer y
	contract s1 buyer=a bid=12 sale=shared legs=4 cap=day/spend/1300
	contract s2 buyer=b bid=11 sale=shared
	contract s3 buyer=x bid=10 sale=shared legs=3
	contract s4 buyer=y bid=9/8 sale=any
	contract s5 buyer=a bid=10 sale=shared
	contract alone buyer=b bid=30 cap=day/leads/20
	contract last buyer=y price=8 sale=shared
	tier auction s1 s2 s3 s4 s5 alone
	tier priority last
	duplicate 720h`

// sharedRace is what a race of shared sales knows of its leads.
type sharedRace struct {
	mu    sync.Mutex
	asked map[exchange.LeadID]int // legs at most, 0: an exclusive sale was asked for
	least map[exchange.LeadID]exchange.Money
	cuts  []int // where the journal may end: a batch is on disk whole or not at all
}

// wanted holds a lead against what was asked for: its buyers are different ones,
// no more than allowed, and each pays what was promised at least.
func (r *sharedRace) wanted(t *testing.T, v *exchange.LeadView, over bool) {
	have := map[exchange.BuyerID]bool{}
	most, known := r.asked[v.LeadID]
	for i := range v.Legs {
		leg := &v.Legs[i]
		if leg.Status == exchange.LegRejected {
			continue
		}
		if have[leg.Buyer] {
			t.Errorf("lead %s: buyer %s has it twice", v.LeadID, leg.Buyer)
		}
		have[leg.Buyer] = true
		if leg.Payout < r.least[v.LeadID] {
			t.Errorf("lead %s: a leg pays %s of %s promised", v.LeadID, leg.Payout, r.least[v.LeadID])
		}
		if leg.Sale == exchange.SaleExclusive && len(v.Legs) > 1 && len(have) > 1 {
			t.Errorf("lead %s: an exclusive leg beside another", v.LeadID)
		}
	}
	if known && len(have) > max(1, most) {
		t.Errorf("lead %s: %d buyers of %d", v.LeadID, len(have), most)
	}
	if over && v.Status == exchange.LeadOpen {
		t.Errorf("lead %s is open, and nothing of it is in flight", v.LeadID)
	}
}

// Sixty-four at a time sell leads to several buyers each, posted and direct,
// while posts are refused, undelivered, in doubt and duplicates at random. The
// auditor recounts every cap and every lead's buyers before each event; then the
// house starts over from every kind of prefix that a crash may leave.
func TestLegsHoldUnderARace(t *testing.T) {
	w := newWorld(t, sharedWorld)
	rng := rand.New(rand.NewPCG(7, 7))
	for _, script := range w.buyers.scripts {
		for range 2000 {
			script.posts = append(script.posts, []string{"accept", "accept", "accept", "reject", "unknown", "undelivered", "duplicate"}[rng.IntN(7)])
		}
	}
	e, d := audited(t, w)
	race := &sharedRace{asked: map[exchange.LeadID]int{}, least: map[exchange.LeadID]exchange.Money{}}
	d.mu.Lock()
	look := d.before
	d.before = func() {
		race.cuts = append(race.cuts, len(d.entries))
		look()
	}
	d.mu.Unlock()
	for round := range 5 {
		atOnce(64, func(i int) string {
			req := directOf(e, fmt.Sprint(round, "-", i), "")
			req.MaxLegs, req.Sale = 1+(i+round)%6, exchange.SaleKind(i%3)
			ans, least := PostAnswer{}, exchange.Money(0)
			if i%2 == 0 {
				ans = e.Direct(req)
			} else {
				ping := e.Ping(&req.PingRequest)
				if ping.Quote == nil {
					return "none"
				}
				least = ping.Quote.Price
				for k := range ping.Quote.Legs[:ping.Quote.Places] {
					least = min(least, ping.Quote.Legs[k].Payout)
				}
				ans = e.Post(postOf(e, ping.PingID, fmt.Sprint(round, "-", i), ""))
			}
			race.mu.Lock()
			defer race.mu.Unlock()
			race.asked[ans.View.LeadID], race.least[ans.View.LeadID] = min(5, req.MaxLegs), least
			race.wanted(t, &ans.View, true)
			return wordOf(ans)
		})
	}
	race.afterCrashes(t, w, d, rng)
}

// afterCrashes opens a house over prefixes of the journal and looks at its leads.
func (r *sharedRace) afterCrashes(t *testing.T, w *world, d *disk, rng *rand.Rand) {
	several := 0
	for n := range 40 {
		cut := newDisk()
		end := r.cuts[1+rng.IntN(len(r.cuts)-1)]
		for _, entry := range d.entries[:end] {
			cut.add(entry)
		}
		cut.synced = uint64(end)
		after, err := openEngine(t, cut, w.market, w.buyers, func(_ *Config, d *Deps) { d.Minter = testMinter(t, uint64(n+2)<<40) })
		if err != nil {
			t.Fatal(err)
		}
		seen := map[exchange.LeadID]bool{}
		for _, entry := range cut.entries {
			id := leadOf(entry.Event)
			if id.IsZero() || seen[id] {
				continue
			}
			seen[id] = true
			view, err := after.LeadAt(id, uint64(len(cut.entries)))
			if err != nil {
				t.Fatal(err)
			}
			r.wanted(t, &view, true)
			if view.Status == exchange.LeadSold && len(view.Legs) > 1 {
				several++
			}
		}
	}
	if several == 0 {
		t.Error("no lead had several legs")
	}
}

// The journal fails while three posts are under way: the house stops, waits for
// them, and none is told to be sold.
func TestJournalFailsDuringASharedSale(t *testing.T) {
	for fail := 2; fail < 9; fail++ {
		w := newWorld(t, strings.Replace(sharedWorld, "sale=shared legs=4", "sale=shared post=reject", 1))
		d := newDisk()
		e, err := openEngine(t, d, w.market, w.buyers, nil)
		if err != nil {
			t.Fatal(err)
		}
		d.mu.Lock()
		d.failAppend = d.appends + fail
		d.mu.Unlock()
		req := directOf(e, "1", "")
		req.Sale = exchange.SaleShared
		ans := e.Direct(req)
		if failed := d.appends >= d.failAppend; failed != (ans.Fault == FaultReason) {
			t.Errorf("append %d fails: fault %d %s, lead %s", fail, ans.Fault, ans.Reason, ans.View.Status)
		}
	}
}

// Three buyers who take 100 ms each are done in 100 ms.
func TestSharedLegsArePostedTogether(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, strings.ReplaceAll(sharedWorld, " sale=", " post_takes=100ms sale="))
		e, err := openEngine(t, newDisk(), w.market, w.buyers, nil)
		if err != nil {
			t.Fatal(err)
		}
		req := directOf(e, "1", "")
		req.Sale, req.MaxLegs = exchange.SaleShared, 3
		began := time.Now()
		ans := e.Direct(req)
		if took := time.Since(began); wordOf(ans) != "sold" || len(ans.View.Legs) != 3 || took != 100*time.Millisecond {
			t.Errorf("%s with %d legs after %s", wordOf(ans), len(ans.View.Legs), took)
		}
	})
}
