package engine

import (
	"bytes"
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"vendue/exchange"
	"vendue/exchange/book"
)

// auditor watches a journal as it grows, under the engine's lock: before each
// append the live book must be what the events so far give (I9), and the
// events themselves must keep the promises of DESIGN.md (I1, I4), recounted plainly.
type auditor struct {
	t      testing.TB
	engine *Engine
	mirror *book.Book
	seen   int

	limits map[exchange.CapID]int64
	taken  map[exchange.Hold]int64 // by cap and window, Amount 0
	busy   map[exchange.LeadID]int // attempts accepted, in flight, or unknown and held
	holds  map[string][]exchange.Hold
}

func newAuditor(t testing.TB) *auditor {
	return &auditor{
		t: t, mirror: book.New(), limits: map[exchange.CapID]int64{}, taken: map[exchange.Hold]int64{},
		busy: map[exchange.LeadID]int{}, holds: map[string][]exchange.Hold{},
	}
}

func (a *auditor) look(entries []exchange.Entry) {
	for _, e := range entries[a.seen:] {
		a.mirror.Apply(e)
		a.count(e.Event)
	}
	a.seen = len(entries)
	if a.engine != nil && !bytes.Equal(a.mirror.Snapshot(), a.engine.book.Snapshot()) {
		a.t.Errorf("at seq %d the live book is not what its journal gives", a.seen)
	}
}

func (a *auditor) count(ev exchange.Event) {
	attempt := func(lead exchange.LeadID, n uint16) string { return fmt.Sprint(lead, n) }
	release := func(lead exchange.LeadID, n uint16) {
		a.busy[lead]--
		for _, h := range a.holds[attempt(lead, n)] {
			a.taken[exchange.Hold{Cap: h.Cap, Window: h.Window}] -= h.Amount
		}
	}
	switch ev := ev.(type) {
	case *exchange.LimitSet:
		a.limits[ev.Cap] = ev.Limit
	case *exchange.PostStarted:
		if a.busy[ev.LeadID]++; a.busy[ev.LeadID] > max(1, int(ev.LegsMax)) {
			a.t.Errorf("lead %s: attempt %d while another may be sold", ev.LeadID, ev.Attempt)
		}
		a.holds[attempt(ev.LeadID, ev.Attempt)] = ev.Holds
		for _, h := range ev.Holds {
			key := exchange.Hold{Cap: h.Cap, Window: h.Window}
			a.taken[key] += h.Amount
			if limit, ok := a.limits[h.Cap]; ok && limit >= 0 && a.taken[key] > limit {
				a.t.Errorf("cap %s: %d of %d", h.Cap, a.taken[key], limit)
			}
		}
	case *exchange.PostEnded:
		if ev.Outcome == exchange.OutcomeRejected || ev.Outcome == exchange.OutcomeNotDelivered {
			release(ev.LeadID, ev.Attempt)
		}
	case *exchange.LegSettled:
		if !ev.Accepted {
			release(ev.LeadID, ev.Attempt)
		}
	}
}

// audited returns an engine on a disk that an auditor watches.
func audited(t testing.TB, w *world) (*Engine, *disk) {
	d := newDisk()
	a := newAuditor(t)
	d.before = func() { a.look(d.entries) }
	w.buyers.onPost = func(del *exchange.Delivery) {
		if !d.startedOnDisk(del) {
			t.Errorf("lead %s left before its post_started was on disk", del.LeadID)
		}
	}
	e, err := openEngine(t, d, w.market, w.buyers, nil)
	if err != nil {
		t.Fatal(err)
	}
	e.mu.Lock()
	a.engine = e
	e.mu.Unlock()
	t.Cleanup(func() {
		if err := e.Stop(context.Background()); err != nil {
			t.Error(err)
		}
		a.look(d.entries)
	})
	return e, d
}

func directOf(e *Engine, phone, key string) *DirectRequest {
	snap := e.Snapshot()
	return &DirectRequest{Key: key, Body: phone, PingRequest: PingRequest{
		Snap: snap, Campaign: snap.Market.Campaigns["c"], Arrival: time.Now(),
		Values: []exchange.Value{{Text: "85001", Set: true}, {}, {Text: phone, Set: phone != ""}},
	}}
}

func pingOf(e *Engine, ref string) *PingRequest {
	req := directOf(e, "", "").PingRequest
	req.Ref = ref
	return &req
}

func postOf(e *Engine, ping exchange.PingID, phone, key string) *PostRequest {
	snap := e.Snapshot()
	return &PostRequest{
		Snap: snap, Seller: snap.Market.Sellers["s"], Arrival: time.Now(), Key: key, Body: phone, PingID: ping.String(),
		Decode: func(_ *exchange.Vertical, ping []exchange.Value) ([]exchange.Value, bool) {
			out := append([]exchange.Value(nil), ping...)
			out[slotPhone] = exchange.Value{Text: phone, Set: true}
			return out, true
		},
	}
}

// atOnce runs n calls of do at the same time and counts what they return.
func atOnce(n int, do func(i int) string) map[string]int {
	var mu sync.Mutex
	var wait sync.WaitGroup
	counts := map[string]int{}
	start := make(chan struct{})
	for i := range n {
		wait.Go(func() {
			<-start
			word := do(i)
			mu.Lock()
			counts[word]++
			mu.Unlock()
		})
	}
	close(start)
	wait.Wait()
	return counts
}

func wordOf(ans PostAnswer) string {
	if ans.Fault != FaultNone {
		return fmt.Sprintf("fault %d %s", ans.Fault, ans.Reason)
	}
	return ans.View.Status.String()
}

// Sixty-four at a time race for caps that contracts, a buyer and a campaign
// share, while a fifth of the posts are refused and a seventh stay in doubt.
func TestCapsHoldUnderARace(t *testing.T) {
	w := newWorld(t, `
		seller s
		campaign c seller=s margin=20% cap=day/spend/1500
		buyer a cap=day/leads/40 cap=total/spend/1000
		buyer b
		contract c1 buyer=a bid=20 cap=day/leads/30
		contract c2 buyer=a bid=19
		contract c3 buyer=b bid=18 cap=hour/leads/25
		tier auction c1 c2 c3`)
	outcomes := &cycle{world: w}
	e, _ := audited(t, w)
	if err := e.Install(w.market, outcomes, "again"); err != nil {
		t.Fatal(err)
	}
	total := map[string]int{}
	for round := range 6 {
		for word, n := range atOnce(64, func(i int) string { return wordOf(e.Direct(directOf(e, fmt.Sprint(round, "-", i), ""))) }) {
			total[word] += n
		}
	}
	if n := total["sold"] + total["pending"]; n != 65 {
		t.Errorf("%v: 65 were to be taken: 40 of buyer a, 25 of buyer b", total)
	}
	sum := exchange.Money(0)
	for _, use := range e.Caps() {
		if use.Held+use.Committed > use.Limit {
			t.Errorf("%s: %d + %d of %d", use.Cap, use.Held, use.Committed, use.Limit)
		}
		if use.Unit == exchange.CapSpend && use.Cap == "campaign/c/day/spend" {
			sum = exchange.Money(use.Held + use.Committed)
		}
	}
	if sum == 0 {
		t.Error("nothing was spent")
	}
}

// cycle gives posts their outcomes in turn.
type cycle struct {
	*world
	n atomic.Int64
}

func (c *cycle) Ask(a *exchange.Ask) { c.buyers.Ask(a) }

func (c *cycle) Status(*exchange.Inquiry) exchange.Finding { return exchange.Finding{} }

func (c *cycle) Post(d *exchange.Delivery) exchange.Receipt {
	c.buyers.onPost(d)
	switch n := c.n.Add(1); {
	case n%5 == 0:
		return exchange.Receipt{Outcome: exchange.OutcomeRejected, Reason: exchange.ReasonPostRejected}
	case n%7 == 0:
		return exchange.Receipt{Outcome: exchange.OutcomeUnknown, Reason: exchange.ReasonTimeout}
	}
	return exchange.Receipt{Outcome: exchange.OutcomeAccepted}
}

// One ping, one key, one person: however many come at once, one is sold.
func TestOneSaleHoweverManyAsk(t *testing.T) {
	w := newWorld(t, "seller s\ncampaign c seller=s margin=20%\nbuyer a\ncontract c1 buyer=a bid=20\ntier auction c1\nduplicate 720h")
	e, _ := audited(t, w)

	ping := e.Ping(pingOf(e, "ref"))
	leads := sync.Map{}
	got := atOnce(100, func(i int) string {
		if i%2 == 1 { // a repeat of the ref looks at the quote that the posts use up
			return e.Ping(pingOf(e, "ref")).Reason.String()
		}
		ans := e.Post(postOf(e, ping.PingID, fmt.Sprint("a", i), ""))
		told := ans.View.LeadID
		if ans.View.Reason == exchange.ReasonPingUsed {
			told = ans.View.First
		}
		leads.Store(told, true)
		return wordOf(ans) + " " + ans.View.Reason.String()
	})
	if got["sold "] != 1 || got["rejected ping_used"] != 49 {
		t.Errorf("50 posts of one ping: %v", got)
	}
	count := 0
	leads.Range(func(any, any) bool { count++; return true })
	if count != 1 {
		t.Errorf("50 posts of one ping were told of %d leads", count)
	}

	keyed := map[exchange.LeadID]bool{}
	var mu sync.Mutex
	got = atOnce(50, func(int) string {
		for {
			ans := e.Direct(directOf(e, "b", "key"))
			if ans.Fault == FaultKeyBusy {
				continue
			}
			mu.Lock()
			keyed[ans.View.LeadID] = true
			mu.Unlock()
			return wordOf(ans)
		}
	})
	if got["sold"] != 50 || len(keyed) != 1 {
		t.Errorf("50 of one key: %v, %d leads", got, len(keyed))
	}

	got = atOnce(50, func(int) string {
		ans := e.Direct(directOf(e, "c", ""))
		return wordOf(ans) + " " + ans.View.Reason.String()
	})
	if got["sold "] != 1 || got["rejected duplicate"] != 49 {
		t.Errorf("50 leads of one person: %v", got)
	}
}

// Repeats of a ref that come while the first is being asked wait for it: the buyers are asked once.
func TestManyPingsOfOneRef(t *testing.T) {
	w := newWorld(t, "seller s\ncampaign c seller=s window=10s\nbuyer a\ncontract c1 buyer=a bid=20\ntier auction c1")
	e, _ := audited(t, w)
	ids := atOnce(50, func(int) string { return e.Ping(pingOf(e, "ref")).PingID.String() })
	if len(ids) != 1 || w.buyers.asked != 1 {
		t.Errorf("%d pings, %d asked", len(ids), w.buyers.asked)
	}
}

// A cap of 100, a fifth refused: exactly 100 sold, and none after a crash.
func TestExactlyTheCapIsSold(t *testing.T) {
	w := newWorld(t, "seller s\ncampaign c seller=s margin=20%\nbuyer a\ncontract c1 buyer=a bid=20 post=reject,accept,accept,accept,accept,accept cap=total/leads/100\ntier auction c1")
	e, d := audited(t, w)
	sold := 0
	for range 5 {
		sold += atOnce(50, func(i int) string { return wordOf(e.Direct(directOf(e, "", ""))) })["sold"]
	}
	if sold != 100 {
		t.Errorf("sold %d", sold)
	}
	after, err := openEngine(t, d.crash(), w.market, w.buyers, func(_ *Config, d *Deps) { d.Minter = testMinter(t, 1<<40) })
	if err != nil {
		t.Fatal(err)
	}
	if ans := after.Direct(directOf(after, "", "")); wordOf(ans) != "rejected" || ans.View.Reason != exchange.ReasonNoEligibleContract {
		t.Errorf("after the crash: %s %s", wordOf(ans), ans.View.Reason)
	}
}
