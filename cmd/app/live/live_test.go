package live

import (
	"fmt"
	"math/rand/v2"
	"runtime/debug"
	"slices"
	"sync"
	"testing"
	"time"

	"vendue/exchange"
)

// TestEveryLeadCountsOnce tells Live of one lead of each kind.
func TestEveryLeadCountsOnce(t *testing.T) {
	sold := exchange.Attempt{
		Attempt: 1, Contract: "a", Outcome: exchange.OutcomeAccepted, Status: exchange.LeadSold,
		Bid: dollars(20), Payout: dollars(16), Elapsed: millis(100), BuyerTime: millis(90),
	}
	rejected := sold
	rejected.Outcome, rejected.Status, rejected.LeadReason = exchange.OutcomeRejected, exchange.LeadRejected, exchange.ReasonPostRejected
	goesOn := sold
	goesOn.Outcome, goesOn.Status = exchange.OutcomeRejected, exchange.LeadOpen
	pending := sold
	pending.Outcome, pending.Status, pending.LeadReason = exchange.OutcomeUnknown, exchange.LeadPending, exchange.ReasonUnknown
	refused := exchange.Attempt{Status: exchange.LeadRejected, LeadReason: exchange.ReasonDuplicate, Elapsed: millis(1)}
	noBid := exchange.Attempt{Status: exchange.LeadRejected, LeadReason: exchange.ReasonNoBid}
	quoted := exchange.Auction{Price: dollars(16), Elapsed: millis(50)}

	cases := []struct {
		name     string
		auctions []exchange.Auction
		attempts []exchange.Attempt
		want     Counts
		reason   exchange.Reason
		tests    int64
	}{
		{name: "quoted, never posted", auctions: []exchange.Auction{quoted}, want: Counts{Auctions: 1, Quoted: 1}},
		{name: "no price", auctions: []exchange.Auction{{Reason: exchange.ReasonNoBid}}, want: Counts{Auctions: 1, Leads: 1, Unsold: 1}, reason: exchange.ReasonNoBid},
		{name: "sold", auctions: []exchange.Auction{quoted}, attempts: []exchange.Attempt{sold},
			want: Counts{Auctions: 1, Quoted: 1, Leads: 1, Sold: 1, Revenue: dollars(20), Payout: dollars(16)}},
		{name: "sold to the second", auctions: []exchange.Auction{quoted}, attempts: []exchange.Attempt{goesOn, sold},
			want: Counts{Auctions: 1, Quoted: 1, Leads: 1, Sold: 1, Revenue: dollars(20), Payout: dollars(16)}},
		{name: "rejected", attempts: []exchange.Attempt{goesOn, rejected}, want: Counts{Leads: 1, Unsold: 1}, reason: exchange.ReasonPostRejected},
		{name: "pending", attempts: []exchange.Attempt{pending}, want: Counts{Leads: 1, Pending: 1}},
		{name: "refused", attempts: []exchange.Attempt{refused}, want: Counts{Leads: 1, Unsold: 1}, reason: exchange.ReasonDuplicate},
		{name: "direct without a bid", auctions: []exchange.Auction{{Direct: true, Reason: exchange.ReasonNoBid}}, attempts: []exchange.Attempt{noBid},
			want: Counts{Auctions: 1, Leads: 1, Unsold: 1}, reason: exchange.ReasonNoBid},
		{name: "test ping and post", auctions: []exchange.Auction{{Test: true}},
			attempts: []exchange.Attempt{{Test: true, Attempt: 1, Contract: "a", Outcome: exchange.OutcomeAccepted, Status: exchange.LeadSold, Bid: 1}}, tests: 2},
		{name: "test direct", auctions: []exchange.Auction{{Test: true, Direct: true}},
			attempts: []exchange.Attempt{{Test: true, Attempt: 1, Status: exchange.LeadOpen}, {Test: true, Attempt: 2, Status: exchange.LeadSold}}, tests: 1},
		{name: "unheard of reason", attempts: []exchange.Attempt{{Status: exchange.LeadRejected, LeadReason: 250}},
			want: Counts{Leads: 1, Unsold: 1}, reason: exchange.ReasonCount - 1},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			l := New(Sources{Now: newClock().now})
			for i := range c.auctions {
				l.Auction(&c.auctions[i])
			}
			for i := range c.attempts {
				l.Attempt(&c.attempts[i])
			}
			got := l.Summary()
			if got.Counts != c.want || got.Tests != c.tests {
				t.Errorf("got %+v and %d tests, expected %+v and %d", got.Counts, got.Tests, c.want, c.tests)
			}
			if got.Leads != got.Sold+got.Unsold+got.Pending {
				t.Errorf("%d leads are not %d sold, %d unsold and %d pending", got.Leads, got.Sold, got.Unsold, got.Pending)
			}
			if reasons := got.Reasons; c.reason != exchange.ReasonNone && !slices.Equal(reasons, []ReasonCount{{Reason: c.reason, Count: 1}}) {
				t.Errorf("reasons: %v, expected one %s", reasons, c.reason)
			}
			if c.tests > 0 && len(got.Contracts) > 0 {
				t.Errorf("a test is counted for a contract: %+v", got.Contracts)
			}
		})
	}
}

// TestContractRow adds up one contract's part in auctions and posts.
func TestContractRow(t *testing.T) {
	l := New(Sources{Now: newClock().now})
	for _, c := range []exchange.Candidate{
		bidOf(live1, exchange.ReasonNone, dollars(20), 40), bidOf(live1, exchange.ReasonOutbid, dollars(10), 60),
		bidOf(live1, exchange.ReasonBelowFloor, dollars(3), 50), noBidOf(live1, exchange.ReasonNoBid, 30),
		noBidOf(live1, exchange.ReasonTimeout, 200), noBidOf(live1, exchange.ReasonBuyerError, 5),
		noBidOf(live1, exchange.ReasonNoTime, 0), noBidOf(live1, exchange.ReasonConcurrency, 0),
		bidOf(standing, exchange.ReasonOutbid, dollars(7), 0),
	} {
		l.Auction(&exchange.Auction{Candidates: []exchange.Candidate{c}})
	}
	for _, o := range []exchange.Outcome{exchange.OutcomeAccepted, exchange.OutcomeRejected, exchange.OutcomeNotDelivered, exchange.OutcomeUnknown} {
		l.Attempt(&exchange.Attempt{
			Attempt: 1, Contract: live1.ID, Outcome: o, Bid: dollars(20), Payout: dollars(16), BuyerTime: millis(100),
			PriceChanged: o == exchange.OutcomeAccepted, Status: exchange.LeadOpen,
		})
	}
	rows := l.Summary().Contracts
	got := rowNamed(t, rows, live1.ID)
	want := ContractRow{
		Contract: live1.ID, Gone: true, Pings: 6, Bids: 3, Wins: 1, Posts: 4, Accepts: 1, Rejects: 1, Unknown: 1, Timeouts: 1, Errors: 2,
		PriceChanged: 1, Revenue: dollars(20), Payout: dollars(16), BidSum: dollars(33), PingP95: got.PingP95, PostP95: got.PostP95,
	}
	if got != want {
		t.Errorf("got  %+v\nwant %+v", got, want)
	}
	if got.AvgBid() != dollars(11) {
		t.Errorf("average bid %v, expected 11.00", got.AvgBid())
	}
	if off := (got.PingP95 - 60*time.Millisecond).Abs(); off > 2*time.Millisecond {
		t.Errorf("p95 of answers to pings: %v, expected 60 ms; a timeout is no answer", got.PingP95)
	}
	if row := rowNamed(t, rows, standing.ID); row.Pings != 0 || row.Bids != 1 || row.PingP95 != noTime {
		t.Errorf("a standing price was never pinged: %+v", row)
	}
}

// TestRowsAreBounded shows more contracts than are kept: the rest share one row, and nothing is lost.
func TestRowsAreBounded(t *testing.T) {
	l := New(Sources{Now: newClock().now, Config: func() Config { return Config{Contracts: []ContractInfo{{ID: "idle", Buyer: "b"}}} }})
	for i := range contractsMax + 50 {
		l.Attempt(&exchange.Attempt{Attempt: 1, Contract: exchange.ContractID(fmt.Sprint("c", i)), Status: exchange.LeadOpen})
	}
	rows := l.Summary().Contracts
	if len(rows) != contractsMax+2 {
		t.Errorf("%d rows, expected %d, one for the others and one idle", len(rows), contractsMax)
	}
	if others := rowNamed(t, rows, othersRow); others.Posts != 50 || others.Gone {
		t.Errorf("the others: %+v, expected 50 posts", others)
	}
	if idle := rowNamed(t, rows, "idle"); idle.Buyer != "b" || idle.Gone {
		t.Errorf("a contract without traffic: %+v", idle)
	}
}

func soldOne() *exchange.Attempt {
	return &exchange.Attempt{Attempt: 1, Contract: "a", Outcome: exchange.OutcomeAccepted, Status: exchange.LeadSold, Bid: dollars(10), Payout: dollars(8)}
}

// TestRingAgainstList counts random leads at random times, with gaps longer
// than the ring and steps back, and compares the last ten minutes with a plain list.
func TestRingAgainstList(t *testing.T) {
	for seed := range uint64(20) {
		rnd := rand.New(rand.NewPCG(seed, 7))
		clock := newClock()
		l := New(Sources{Now: clock.now})
		var at []int64 // seconds of house time
		var house time.Duration
		for range 3000 {
			step := time.Duration(rnd.ExpFloat64() * 2 * float64(time.Second))
			switch n := rnd.IntN(1000); {
			case n == 0:
				step = 15 * time.Minute
			case n < 5:
				step = -step * 100 // house time stands still
			}
			clock.step(step)
			house += max(step, 0)
			l.Attempt(soldOne())
			at = append(at, int64(house/time.Second))
		}
		compareRing(t, l, at, int64(house/time.Second))
		if t.Failed() {
			t.Fatalf("seed %d", seed)
		}
	}
}

func compareRing(t *testing.T, l *Live, at []int64, now int64) {
	t.Helper()
	var a answer
	l.fillFigures(&a, &Config{})
	between := func(from, to int64) (n int64) {
		for _, s := range at {
			if s >= from && s < to {
				n++
			}
		}
		return n
	}
	if a.UptimeS != now {
		t.Errorf("up %d s, expected %d", a.UptimeS, now)
	}
	if want := between(now-60, now); a.Minute.Sold != want {
		t.Errorf("last minute: %d sold, expected %d", a.Minute.Sold, want)
	}
	if a.Total.Sold != int64(len(at)) || a.Total.Revenue != dollars(10)*exchange.Money(len(at)) {
		t.Errorf("since the start: %d sold for %v, expected %d", a.Total.Sold, a.Total.Revenue, len(at))
	}
	end := now - a.Series.EndAgo
	if end%a.Series.StepS != 0 {
		t.Errorf("the last step ends at %d s, no multiple of %d", end, a.Series.StepS)
	}
	for i, got := range a.Series.Sold {
		from := end - int64(len(a.Series.Sold)-i)*a.Series.StepS
		if want := between(from, from+a.Series.StepS); got != want {
			t.Errorf("step from second %d: %d sold, expected %d", from, got, want)
		}
	}
}

// TestScaleGrowsWithTheHouse checks that a plot always has room for every step since the start, up to ten minutes.
func TestScaleGrowsWithTheHouse(t *testing.T) {
	clock := newClock()
	l := New(Sources{Now: clock.now})
	for second := range int64(700) {
		var all [exchange.ReasonCount]int64
		s := l.seriesUntil(second, &all)
		want := min(second-second%s.StepS, s.SpanS) / s.StepS
		if int64(len(s.Sold)) != want || len(s.PostP99) != len(s.Sold) || len(s.Payout) != len(s.Sold) {
			t.Fatalf("after %d s: %d steps of %d s, expected %d", second, len(s.Sold), s.StepS, want)
		}
		if want*s.StepS < min(second, 600)-s.StepS {
			t.Fatalf("after %d s: only %d s are shown", second, want*s.StepS)
		}
	}
}

// busyAuction is an auction of ten live contracts.
func busyAuction() *exchange.Auction {
	a := &exchange.Auction{Price: dollars(16), Elapsed: millis(50)}
	for i := range 10 {
		c := &exchange.Contract{ID: exchange.ContractID(fmt.Sprintf("contract-%d", i)), Pinged: true}
		a.Candidates = append(a.Candidates, bidOf(c, exchange.ReasonOutbid, dollars(float64(10+i)), float64(20+i)))
	}
	a.Candidates[9].Reason = exchange.ReasonNone
	return a
}

// TestHotPathAllocatesNothing holds Auction and Attempt to their budget.
func TestHotPathAllocatesNothing(t *testing.T) {
	defer debug.SetGCPercent(debug.SetGCPercent(-1))
	l := New(Sources{})
	auction, attempt := busyAuction(), soldOne()
	if n := testing.AllocsPerRun(1000, func() { l.Auction(auction) }); n != 0 {
		t.Errorf("Auction allocates %v times, expected none", n)
	}
	if n := testing.AllocsPerRun(1000, func() { l.Attempt(attempt) }); n != 0 {
		t.Errorf("Attempt allocates %v times, expected none", n)
	}
}

// TestTogether counts from many goroutines while others look on; no count is lost and every look is consistent.
func TestTogether(t *testing.T) {
	const writers, each = 8, 500
	l := New(Sources{Config: func() Config { return Config{Currency: "USD"} }})
	var writing, reading sync.WaitGroup
	for range writers {
		writing.Go(func() {
			for range each {
				l.Auction(busyAuction())
				l.Attempt(soldOne())
			}
		})
	}
	stop := make(chan struct{})
	reading.Go(func() {
		for {
			s := l.Summary()
			if s.Leads != s.Sold || s.Revenue != dollars(10)*exchange.Money(s.Sold) {
				t.Errorf("an inconsistent look: %+v", s.Counts)
				return
			}
			if _, err := l.json(); err != nil {
				t.Error(err)
				return
			}
			select {
			case <-stop:
				return
			default:
			}
		}
	})
	writing.Wait()
	close(stop)
	reading.Wait()
	if s := l.Summary(); s.Sold != writers*each || s.Auctions != writers*each || rowNamed(t, s.Contracts, "contract-9").Wins != writers*each {
		t.Errorf("counted %+v, expected %d of each", s.Counts, writers*each)
	}
}

func BenchmarkAuctionOfTen(b *testing.B) {
	l, a := New(Sources{}), busyAuction()
	b.ReportAllocs()
	for b.Loop() {
		l.Auction(a)
	}
}

func BenchmarkAttempt(b *testing.B) {
	l, a := New(Sources{}), soldOne()
	b.ReportAllocs()
	for b.Loop() {
		l.Attempt(a)
	}
}

// BenchmarkAnswer is what the page costs: one step of a plot holds the lock, the whole answer does not.
func BenchmarkAnswer(b *testing.B) {
	clock := newClock()
	l := New(fullSources(clock))
	feed(l, clock, 11*time.Minute)
	b.Run("step", func(b *testing.B) {
		for b.Loop() {
			var t tally
			l.gather(&t, 300, 305)
		}
	})
	b.Run("whole", func(b *testing.B) {
		for b.Loop() {
			clock.step(answerKept)
			if _, err := l.json(); err != nil {
				b.Fatal(err)
			}
		}
	})
}
