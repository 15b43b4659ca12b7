package engine

import (
	"context"
	"fmt"
	"slices"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"vendue/exchange"
)

const faultMarket = `
	seller s
	campaign c seller=s margin=20% cap=day/leads/100
	buyer a
	buyer b
	contract c1 buyer=a bid=20 post=reject,reject,unknown,accept
	contract c2 buyer=b bid=19 post=accept
	tier auction c1 c2
	duplicate 720h`

// told is one answer and when the journal must hold it.
type told struct {
	word string
	lead exchange.LeadID
}

// tryEverything walks the ways in which the engine writes.
func tryEverything(e *Engine) (out []told) {
	post := func(ans PostAnswer) exchange.LeadID {
		out = append(out, told{wordOf(ans), ans.View.LeadID})
		return ans.View.LeadID
	}
	ping := e.Ping(pingOf(e, ""))
	if ping.Reason == exchange.ReasonNone {
		post(e.Post(postOf(e, ping.PingID, "1", "k1"))) // falls back
		post(e.Post(postOf(e, ping.PingID, "1", "k1"))) // the key's repeat
		post(e.Post(postOf(e, ping.PingID, "2", "")))   // ping_used
	}
	post(e.Direct(directOf(e, "3", "k2")))          // falls back
	post(e.Direct(directOf(e, "3", "")))            // duplicate
	doubt := post(e.Direct(directOf(e, "4", "k3"))) // unknown
	verdict := &Verdict{LeadID: doubt.String(), Accepted: true, By: exchange.SettledByOperator}
	if settled, view := e.Settle(verdict); settled == SettledNow {
		out = append(out, told{view.Status.String(), doubt})
	}
	_ = e.Record(&exchange.Clicked{Offer: "offer"})
	return out
}

// Whichever append or sync fails, and however slow the disk is: nobody is told
// what is not on disk (I2, I3), no lead leaves the house before its
// post_started is there, the house stops, and says so once.
func TestFailingJournal(t *testing.T) {
	for _, way := range []string{"append", "wait"} {
		for n := 2; ; n++ { // the first is the market's
			failed := false
			synctest.Test(t, func(t *testing.T) { failed = failAt(t, way, n) })
			if !failed {
				if n < 10 {
					t.Errorf("%s: only %d steps were tried", way, n-2)
				}
				break
			}
		}
	}
}

func failAt(t *testing.T, way string, n int) (failed bool) {
	d := newDisk()
	d.syncTakes = time.Millisecond
	if way == "append" {
		d.failAppend = n
	} else {
		d.failWait = n
	}
	w := newWorld(t, faultMarket)
	w.buyers.onPost = func(del *exchange.Delivery) {
		if !d.startedOnDisk(del) {
			t.Errorf("%s %d: a lead left before its post_started was on disk", way, n)
		}
	}
	faults := 0
	e, err := openEngine(t, d, w.market, w.buyers, func(_ *Config, deps *Deps) { deps.OnFault = func(error) { faults++ } })
	if err != nil {
		t.Fatal(err)
	}
	e.Start()
	answers := tryEverything(e)
	after := d.crash()
	for _, a := range answers {
		if a.word == "sold" && statusOnDisk(after, a.lead) != exchange.LeadSold {
			t.Errorf("%s %d: told sold, but the journal does not hold it", way, n)
		}
		if a.word == "pending" && len(leadOnDisk(after, a.lead)) == 0 {
			t.Errorf("%s %d: told of a lead that the journal does not hold", way, n)
		}
	}
	if failed = faults > 0; failed {
		for _, a := range tryEverything(e) {
			if a.word != fmt.Sprintf("fault %d %s", FaultReason, exchange.ReasonJournalUnavailable) {
				t.Errorf("%s %d: after the fault: %s", way, n, a.word)
			}
		}
		if reason := e.Ready(); reason != exchange.ReasonJournalUnavailable {
			t.Errorf("%s %d: ready says %s", way, n, reason)
		}
	}
	if faults > 1 {
		t.Errorf("%s %d: OnFault was called %d times", way, n, faults)
	}
	if err := e.Stop(context.Background()); err != nil {
		t.Errorf("%s %d: %v", way, n, err)
	}
	if _, err := openEngine(t, after, w.market, w.buyers, nil); err != nil {
		t.Errorf("%s %d: what was left does not open: %v", way, n, err)
	}
	return failed
}

func leadOnDisk(d *disk, id exchange.LeadID) []exchange.Entry {
	entries, _ := d.LeadEntries(id, nil)
	return entries
}

func statusOnDisk(d *disk, id exchange.LeadID) exchange.LeadStatus {
	var view exchange.LeadView
	for _, e := range leadOnDisk(d, id) {
		view.Apply(e)
	}
	return view.Status
}

// Whoever waits for a key or a ping while its holder's sync fails must not be told what the store shows.
func TestNobodyIsToldOfWhatAFailedSyncLeft(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, faultMarket)
		d := newDisk()
		e, err := openEngine(t, d, w.market, w.buyers, nil)
		if err != nil {
			t.Fatal(err)
		}
		d.syncTakes, d.failWait = time.Second, d.waits+3 // post_started and the fallback's are synced, the sale is not
		ping := e.Ping(pingOf(e, ""))
		words := make(chan string, 2)
		post := func(key string) { words <- wordOf(e.Post(postOf(e, ping.PingID, "1", key))) }
		go post("k")
		synctest.Wait()
		go post("") // waits for the ping
		var lead exchange.LeadID
		for range 40 {
			time.Sleep(100 * time.Millisecond)
			lead = d.lastLead()
			view, err := e.Lead("s", lead.String())
			if err != nil || view.Status == exchange.LeadSold {
				t.Errorf("the lead's status is %v, %v before anything is on disk", view.Status, err)
			}
		}
		for range 2 {
			if word := <-words; word != "fault 1 journal_unavailable" {
				t.Errorf("told %q", word)
			}
		}
		if statusOnDisk(d, lead) != exchange.LeadSold {
			t.Error("the case does not reach the sale")
		}
	})
}

// gatedVault holds up whoever asks for a key's fingerprint while it is armed.
type gatedVault struct {
	plainVault
	armed atomic.Bool
	gate  chan struct{}
}

func (v *gatedVault) Fingerprint(parts ...string) exchange.Fingerprint {
	if parts[0] == "key" && v.armed.Load() {
		<-v.gate
	}
	return v.plainVault.Fingerprint(parts...)
}

// A repeat that was let in before the fault, and finds the key free after it, must not be told the unsynced sale.
func TestARepeatAfterAFailedSync(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, faultMarket)
		d := newDisk()
		v := &gatedVault{gate: make(chan struct{})}
		e, err := openEngine(t, d, w.market, w.buyers, func(_ *Config, deps *Deps) { deps.Vault = v })
		if err != nil {
			t.Fatal(err)
		}
		d.syncTakes, d.failWait = time.Second, d.waits+3
		first, repeat := make(chan string, 1), make(chan string, 1)
		go func() { first <- wordOf(e.Direct(directOf(e, "1", "k"))) }()
		synctest.Wait()
		v.armed.Store(true)
		go func() { repeat <- wordOf(e.Direct(directOf(e, "1", "k"))) }()
		const refused = "fault 1 journal_unavailable"
		if word := <-first; word != refused {
			t.Errorf("the first was told %q", word)
		}
		close(v.gate)
		if word := <-repeat; word != refused {
			t.Errorf("the repeat was told %q", word)
		}
	})
}

// A snapshot is never of more than what is on disk, and a restart from one goes on where the house was.
func TestSnapshotWaitsForTheDisk(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, faultMarket)
		d := newDisk()
		e, err := openEngine(t, d, w.market, w.buyers, func(c *Config, _ *Deps) { c.SnapshotEvery = 1 })
		if err != nil {
			t.Fatal(err)
		}
		d.syncTakes = 10 * time.Second
		done := make(chan string)
		go func() { done <- wordOf(e.Direct(directOf(e, "1", ""))) }()
		synctest.Wait()
		if err := e.snapshotIfDue(); err != nil {
			t.Error(err)
		}
		if d.savedSeq == 0 {
			t.Error("no snapshot was saved")
		}
		<-done
		d.syncTakes = 0
		if err := e.Stop(context.Background()); err != nil {
			t.Error(err)
		}
		again, err := openEngine(t, d, w.market, w.buyers, nil)
		if err != nil {
			t.Fatal(err)
		}
		if d.savedSeq != again.book.Seq() || !slices.Equal(e.book.Snapshot(), again.book.Snapshot()) {
			t.Error("the restored book is another")
		}
	})
}

// The disk is at its limits long before the journal's batches are.
func TestMoreInFlightThanOneBatchTakes(t *testing.T) {
	const inFlight = 2500
	d := newDisk()
	minter := testMinter(t, 1<<50)
	for range inFlight {
		_, ticket, err := d.Append(1, &exchange.PostStarted{LeadID: minter.Lead(time.Now()), Attempt: 1, Lead: &exchange.LeadFacts{Seller: "s"}, Sale: exchange.SaleExclusive, Bid: 5})
		if err != nil {
			t.Fatal(err)
		}
		_ = ticket.Wait()
	}
	text := "seller s\nbuyer a\ncampaign c seller=s\n"
	for i := range inFlight {
		text += fmt.Sprintf("contract c%d buyer=a bid=1 cap=day/leads/1\n", i)
	}
	w := newWorld(t, text)
	e, err := openEngine(t, d, w.market, w.buyers, nil)
	if err != nil {
		t.Fatal(err)
	}
	if n, _ := e.InDoubt(); n != inFlight || len(e.Caps()) != inFlight {
		t.Errorf("%d in doubt, %d caps; want %d of both", n, len(e.Caps()), inFlight)
	}
}

// The clock of a restarted house may show an earlier day. Its caps and keys go on.
func TestClockSteppingBack(t *testing.T) {
	w := newWorld(t, "seller s\ncampaign c seller=s margin=20%\nbuyer a\ncontract c1 buyer=a bid=20 cap=day/leads/1 cap=total/leads/3\ntier auction c1")
	d := newDisk()
	sell := func(e *Engine, key string) string {
		ans := e.Direct(directOf(e, "", key))
		return wordOf(ans) + " " + ans.View.LeadID.String()
	}
	var first string
	open := func(t *testing.T, from uint64) *Engine {
		e, err := openEngine(t, d, w.market, w.buyers, func(_ *Config, deps *Deps) { deps.Minter = testMinter(t, from) })
		if err != nil {
			t.Fatal(err)
		}
		return e
	}
	synctest.Test(t, func(t *testing.T) {
		e := open(t, 1<<32)
		time.Sleep(50 * time.Hour)
		first = sell(e, "k")
	})
	synctest.Test(t, func(t *testing.T) { // begins where the first bubble began
		e := open(t, 2<<32)
		if got := sell(e, "k"); got != first {
			t.Errorf("the key: %s, first %s", got, first)
		}
		if got := sell(e, ""); got[:4] != "sold" {
			t.Errorf("the earlier day has a cap of its own: %s", got)
		}
		if got := sell(e, ""); got[:8] != "rejected" {
			t.Errorf("and it is full: %s", got)
		}
		time.Sleep(50 * time.Hour)
		if got := sell(e, ""); got[:8] != "rejected" {
			t.Errorf("the later day is still full: %s", got)
		}
	})
}

// A drain lets what is in flight end and takes nothing new; events from outside the journey count as in flight.
func TestDrain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, "seller s\ncampaign c seller=s\nbuyer a\ncontract c1 buyer=a bid=20 post_takes=2s\ntier auction c1")
		d := newDisk()
		d.syncTakes = time.Second
		e, err := openEngine(t, d, w.market, w.buyers, nil)
		if err != nil {
			t.Fatal(err)
		}
		e.Start()
		sold, recorded := make(chan string, 1), make(chan error, 1)
		go func() { sold <- wordOf(e.Direct(directOf(e, "1", ""))) }()
		go func() { recorded <- e.Record(&exchange.Clicked{Offer: "offer"}) }()
		synctest.Wait()
		ctx, cancel := context.WithTimeout(context.Background(), time.Second/2)
		defer cancel()
		if err := e.Stop(ctx); err == nil {
			t.Error("stopped with requests in flight")
		}
		if got := wordOf(e.Direct(directOf(e, "2", ""))); got != "fault 1 draining" {
			t.Errorf("while draining: %s", got)
		}
		if err := e.Record(&exchange.Clicked{Offer: "offer"}); err == nil {
			t.Error("recorded while draining")
		}
		if err := e.Stop(context.Background()); err != nil {
			t.Error(err)
		}
		if got := <-sold; got != "sold" {
			t.Errorf("in flight: %s", got)
		}
		if err := <-recorded; err != nil {
			t.Error(err)
		}
	})
}

// Leads of one person beyond those looked at count as sold: what is not seen is not sold over.
func TestTooManyLeadsOfOnePerson(t *testing.T) {
	w := newWorld(t, "seller s\ncampaign c seller=s\nbuyer a\ncontract c1 buyer=a bid=20 post=reject\ntier auction c1\nduplicate 720h")
	e, err := openEngine(t, newDisk(), w.market, w.buyers, func(c *Config, _ *Deps) { c.PersonLeadsRead = 3 })
	if err != nil {
		t.Fatal(err)
	}
	want := []exchange.Reason{exchange.ReasonPostRejected, exchange.ReasonPostRejected, exchange.ReasonPostRejected, exchange.ReasonDuplicate}
	for i, reason := range want {
		if ans := e.Direct(directOf(e, "1", "")); ans.View.Reason != reason {
			t.Errorf("lead %d: %s, want %s", i+1, ans.View.Reason, reason)
		}
	}
}

// A reload may give the fields other slots and the tree more tiers. A post of an older ping keeps to its own.
func TestReloadBetweenPingAndPost(t *testing.T) {
	text := "seller s\ncampaign c seller=s margin=20%\nbuyer a\ncontract c1 buyer=a bid=20 post=reject\ntier auction c1\n"
	w := newWorld(t, text)
	e, err := openEngine(t, newDisk(), w.market, w.buyers, nil)
	if err != nil {
		t.Fatal(err)
	}
	first, second := e.Ping(pingOf(e, "")), e.Ping(pingOf(e, ""))
	next := newWorld(t, text+"contract c2 buyer=a price=19\ntier auction c2\ntier auction c2\n")
	if err := e.Install(next.market, next.buyers, ""); err != nil {
		t.Fatal(err)
	}
	if ans := e.Post(postOf(e, first.PingID, "1", "")); wordOf(ans) != "sold" {
		t.Errorf("a tier that is new: %s", wordOf(ans))
	}
	other := newWorld(t, text+"contract c2 buyer=a price=19\ntier auction c2\n")
	v := other.market.Verticals["auto"]
	v.Fields = append(v.Fields, exchange.Field{Name: "new", Kind: exchange.FieldText, Ping: exchange.NeedOptional})
	other.market.ByName["c2"].Where = []exchange.Condition{{Slot: slotCount, Kind: exchange.ConditionNotIn, Texts: []string{"x"}}}
	if err := e.Install(other.market, other.buyers, ""); err != nil {
		t.Fatal(err)
	}
	if ans := e.Post(postOf(e, second.PingID, "2", "")); ans.View.Reason != exchange.ReasonPostRejected {
		t.Errorf("a field that is new: %s %s", wordOf(ans), ans.View.Reason)
	}
}
