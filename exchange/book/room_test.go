package book

import (
	"sync"
	"testing"
	"time"

	"vendue/exchange"
)

var noon = time.Date(2026, 1, 31, 12, 0, 0, 0, time.UTC)

func quoteOf(n byte, ref string, lives time.Duration) *Quote {
	c := &exchange.Campaign{ID: "c", Seller: &exchange.Seller{ID: "s"}}
	return &Quote{PingID: exchange.PingID{0: n, 1: 1}, Market: &exchange.Market{}, Campaign: c, Ref: ref, Opened: noon, Expires: noon.Add(lives)}
}

func TestQuotes(t *testing.T) {
	first, second, third := quoteOf(1, "r", time.Minute), quoteOf(2, "r", 2*time.Minute), quoteOf(3, "", time.Hour)
	bytes := func(quotes ...*Quote) (sum int64) {
		for _, quote := range quotes {
			if sum += int64(entryBytes + len(appendQuote(nil, quote))); quote.Ref != "" {
				sum += int64(refBytes + len(quote.Ref))
			}
		}
		return sum
	}
	is := func(got, want *Quote) bool { return got != nil && got.PingID == want.PingID }
	q := NewQuotes(bytes(first, second, third))
	q.Open(first)
	q.Open(second)
	switch {
	case !is(q.Get(first.PingID, noon), first) || !is(q.Get(second.PingID, noon.Add(2*time.Minute-1)), second):
		t.Error("a live quote is not found")
	case q.Get(first.PingID, noon.Add(time.Minute)) != nil:
		t.Error("a quote lives at its very expiry")
	case !is(q.ByRef("s", "r", noon), second) || q.ByRef("other", "r", noon) != nil || q.ByRef("s", "", noon) != nil:
		t.Error("a ref does not find its seller's latest quote")
	case q.Full():
		t.Error("full with two of three quotes")
	}
	q.Open(third)
	if !q.Full() {
		t.Error("not full with three of three quotes")
	}
	q.Use(second.PingID)
	if !q.Used(second.PingID) || q.Used(first.PingID) || q.ByRef("s", "r", noon) != nil || !is(q.Get(second.PingID, noon), second) {
		t.Error("a used quote must be known, and answer no ref")
	}

	q.Sweep(noon.Add(time.Minute)) // the first expires in this very second
	if n, have := q.Size(); n != 3 || have != bytes(first, second, third) {
		t.Errorf("swept too early: %d quotes, %d bytes", n, have)
	}
	q.Sweep(noon.Add(61 * time.Second))
	if n, have := q.Size(); n != 2 || have != bytes(second, third) || q.Full() {
		t.Errorf("after the first sweep %d quotes, %d bytes", n, have)
	}
	q.Use(first.PingID)
	if !q.Used(first.PingID) {
		t.Error("who waited for a quote that is gone takes it for one that nobody posted")
	}
	q.Sweep(noon.Add(2 * time.Hour))
	if n, have := q.Size(); n != 0 || have != 0 || len(q.byRef) != 0 || len(q.pages) != 0 {
		t.Errorf("something is kept for ever: %d quotes, %d bytes, %d refs, %d pages", n, have, len(q.byRef), len(q.pages))
	}
}

func TestClaims(t *testing.T) {
	c := NewClaims()
	key := ClaimOf(ClaimKey, exchange.Fingerprint{1})
	person := ClaimOf(ClaimPerson, exchange.Fingerprint{1})
	if !c.Try(key) || c.Try(key) || !c.Try(person) {
		t.Fatal("a claim is one holder's, and kinds are apart")
	}
	watch, taken := c.TryOrWatch(key)
	again, _ := c.TryOrWatch(key)
	if taken || watch != again {
		t.Fatal("who waits for a claim watches one channel")
	}
	c.Release(key)
	select {
	case <-watch:
	default:
		t.Error("nobody told of the release")
	}
	if _, taken := c.TryOrWatch(key); !taken {
		t.Error("a released claim is not free")
	}
	c.Release(key)
	c.Release(person)
	if len(c.held) != 0 {
		t.Errorf("%d claims are kept", len(c.held))
	}
	defer func() {
		if recover() == nil {
			t.Error("a release of nothing went unnoticed")
		}
	}()
	c.Release(key)
}

// However many wait for one claim, it has one holder at a time, and each gets its turn.
func TestClaimsUnderARace(t *testing.T) {
	c := NewClaims()
	claim := ClaimOf(ClaimPing, exchange.Fingerprint{7})
	var wait sync.WaitGroup
	holders, turns := 0, 0 // under the claim itself: the race detector is the judge
	for range 64 {
		wait.Go(func() {
			for {
				released, taken := c.TryOrWatch(claim)
				if taken {
					break
				}
				<-released
			}
			if holders++; holders != 1 {
				t.Errorf("%d holders", holders)
			}
			turns++
			holders--
			c.Release(claim)
		})
	}
	wait.Wait()
	if turns != 64 {
		t.Errorf("%d turns of 64", turns)
	}
}

func TestRate(t *testing.T) {
	allowed := func(r *Rate, perSecond int, at time.Duration, tries int) (n int) {
		for range tries {
			if r.Allow(perSecond, at) {
				n++
			}
		}
		return n
	}
	var r Rate
	for _, c := range []struct {
		at   time.Duration
		want int
	}{
		{0, 10},                       // a burst of one second's worth
		{50 * time.Millisecond, 0},    // then one each tenth
		{100 * time.Millisecond, 1},   //
		{1100 * time.Millisecond, 10}, // idle time is saved up to a second
		{3 * time.Hour, 10},           // and no more
	} {
		if got := allowed(&r, 10, c.at, 50); got != c.want {
			t.Errorf("at %v: %d allowed, want %d", c.at, got, c.want)
		}
	}
	if allowed(new(Rate), 0, 0, 1000) != 1000 {
		t.Error("no rate is no limit")
	}
	if got := allowed(new(Rate), 1, 0, 5); got != 1 {
		t.Errorf("one per second: %d", got)
	}
}

// A book that is given what cannot follow says so instead of going on with wrong money.
func TestImpossibleEvents(t *testing.T) {
	started := func(lead byte, attempt uint16) *exchange.PostStarted {
		return &exchange.PostStarted{LeadID: exchange.LeadID{lead}, Attempt: attempt, Sale: exchange.SaleExclusive, Bid: 1,
			Holds: []exchange.Hold{{Cap: "cap", Amount: 1}}}
	}
	limit := &exchange.LimitSet{Cap: "cap", Per: exchange.PerTotal, Unit: exchange.CapLeads, Limit: 1}
	for name, events := range map[string][]exchange.Event{
		"a second attempt beside one in flight": {started(1, 1), started(1, 2)},
		"an end without a start":                {&exchange.PostEnded{LeadID: exchange.LeadID{1}, Attempt: 1, Outcome: exchange.OutcomeAccepted}},
		"a verdict without a start":             {&exchange.LegSettled{LeadID: exchange.LeadID{1}, Attempt: 1}},
		"an end of another attempt":             {started(1, 1), &exchange.PostEnded{LeadID: exchange.LeadID{1}, Attempt: 2, Outcome: exchange.OutcomeUnknown}},
		"a cap passed":                          {limit, started(1, 1), started(2, 1)},
	} {
		t.Run(name, func(t *testing.T) {
			b := New()
			last := len(events) - 1
			for i, ev := range events[:last] {
				b.Apply(exchange.Entry{Seq: uint64(i + 1), Event: ev})
			}
			defer func() {
				if recover() == nil {
					t.Error("it went on")
				}
			}()
			b.Apply(exchange.Entry{Seq: uint64(last + 1), Event: events[last]})
		})
	}
}

// Windows long past are forgotten unless something is held in them.
func TestWindowsAreBounded(t *testing.T) {
	b := New()
	seq := uint64(0)
	apply := func(ev exchange.Event) {
		seq++
		b.Apply(exchange.Entry{Seq: seq, Event: ev})
	}
	for day := range int64(1000) {
		lead := exchange.LeadID{byte(day >> 8), byte(day), 1}
		apply(&exchange.PostStarted{LeadID: lead, Attempt: 1, Sale: exchange.SaleExclusive, Holds: []exchange.Hold{{Cap: "cap", Window: day + 1, Amount: 1}}})
		if day != 3 { // this one stays in flight
			apply(&exchange.PostEnded{LeadID: lead, Attempt: 1, Outcome: exchange.OutcomeAccepted})
		}
	}
	windows := b.cap("cap").windows
	if len(windows) != windowsKept+1 || windows[0].Start != 4 || windows[0].Held != 1 {
		t.Errorf("kept %v", windows)
	}
	if got := b.Used(b.Handle("cap"), 1000); got != 1 {
		t.Errorf("the latest window shows %d", got)
	}
}

// A clock set back into a window whose counts are forgotten finds the cap full,
// also after a restart: nobody knows how much of it is taken.
func TestForgottenWindowsAreFull(t *testing.T) {
	b := New()
	seq := uint64(0)
	apply := func(ev exchange.Event) {
		seq++
		b.Apply(exchange.Entry{Seq: seq, Event: ev})
	}
	apply(&exchange.LimitSet{Cap: "cap", Per: exchange.PerHour, Unit: exchange.CapLeads, Limit: 1})
	holds := func(hour int64) []exchange.Hold { return []exchange.Hold{{Cap: "cap", Window: hour, Amount: 1}} }
	for hour := int64(1); hour <= windowsKept+2; hour++ {
		if _, ok := b.CanHold(holds(hour)); !ok {
			t.Fatalf("hour %d is full before anything counts in it", hour)
		}
		lead := exchange.LeadID{byte(hour)}
		apply(&exchange.PostStarted{LeadID: lead, Attempt: 1, Sale: exchange.SaleExclusive, Holds: holds(hour)})
		apply(&exchange.PostEnded{LeadID: lead, Attempt: 1, Outcome: exchange.OutcomeAccepted})
	}
	again, err := Restore(b.Snapshot())
	if err != nil {
		t.Fatal(err)
	}
	for name, b := range map[string]*Book{"live": b, "restored": again} {
		for hour := int64(1); hour <= windowsKept+2; hour++ {
			if _, ok := b.CanHold(holds(hour)); ok {
				t.Errorf("%s: hour %d takes a lead beyond its cap", name, hour)
			}
		}
		if _, ok := b.CanHold(holds(windowsKept + 3)); !ok {
			t.Errorf("%s: the next hour is full", name)
		}
	}
}
