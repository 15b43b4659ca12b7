package attribution

import (
	"errors"
	"fmt"
	"maps"
	"net"
	"os"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/valyala/fasthttp"
	"github.com/valyala/fasthttp/fasthttputil"
	"pgregory.net/rapid"

	"vendue/attribution/internal/fake"
	"vendue/attribution/postback"
	"vendue/exchange"
)

// TestMain warms fasthttp outside any bubble: it starts a process-wide goroutine once.
func TestMain(m *testing.M) {
	ln := fasthttputil.NewInmemoryListener()
	go func() { _ = fasthttp.Serve(ln, func(*fasthttp.RequestCtx) {}) }()
	c := fasthttp.HostClient{Addr: "warm", Dial: func(string) (net.Conn, error) { return ln.Dial() }}
	if _, _, err := c.Get(nil, "http://warm/"); err != nil {
		panic(err)
	}
	os.Exit(m.Run())
}

// random draws a journal of posts, clicks, terms and settlements that could
// have happened, and counts the sold legs in the plainest way.
func random(t *rapid.T) (j *fake.Journal, sold uint64) {
	j = fake.NewJournal()
	minter := fake.NewMinter()
	at := epoch.UnixNano()
	var clicks []exchange.ClickID
	type leg struct {
		lead exchange.LeadID
		test bool
	}
	var flying, unknown, over []leg
	affs := rapid.SampledFrom([]exchange.AffiliateID{"", "blog", "site"})
	offers := rapid.SampledFrom([]exchange.OfferID{"", "auto", "home"})
	pick := func(from *[]leg) leg {
		i := rapid.IntRange(0, len(*from)-1).Draw(t, "which")
		l := (*from)[i]
		*from = append((*from)[:i:i], (*from)[i+1:]...)
		return l
	}
	for range rapid.IntRange(1, 120).Draw(t, "events") {
		at += rapid.Int64Range(0, int64(time.Hour)).Draw(t, "gap")
		if rapid.IntRange(0, 199).Draw(t, "quiet") == 77 {
			at += 100 * int64(day)
			for range rapid.IntRange(0, 110).Draw(t, "limits") { // lets clicks leave
				j.Append(at, &exchange.LimitSet{})
			}
		}
		switch do := rapid.IntRange(0, 13).Draw(t, "do"); {
		case do >= 12 && len(over) > 0:
			l := rapid.SampledFrom(over).Draw(t, "returned")
			bid := exchange.Money(rapid.Int64Range(0, 100_000_000).Draw(t, "bid"))
			j.Append(at, &exchange.LegGivenBack{LeadID: l.lead, Attempt: 1, Test: l.test, Buyer: "acme", Contract: "west", Bid: bid, Payout: exchange.PPM(800_000).Of(bid),
				Reason: "other", By: exchange.SettledByBuyer, Status: exchange.LeadReturned})
		case do == 0:
			j.Append(at, randomTerms(t))
		case do == 10 && len(clicks) > 0:
			key := rapid.SampledFrom([]exchange.Fingerprint{{1}, {2}, {3}}).Draw(t, "txid")
			j.Append(at, &exchange.Converted{ClickID: rapid.SampledFrom(clicks).Draw(t, "click"), Event: rapid.SampledFrom([]string{"bought", "bought", "seen"}).Draw(t, "event"),
				Key: key, Amount: exchange.Money(rapid.Int64Range(0, 90_000_000).Draw(t, "amount")), Currency: "USD", Rejected: rapid.IntRange(0, 3).Draw(t, "rejected") == 0})
		case do <= 2:
			id := minter.Click(time.Unix(0, at))
			ev := &exchange.Clicked{ClickID: id, Offer: "auto", Affiliate: affs.Draw(t, "aff"), Foreign: fake.Vault{}.Seal(`{"cid":"c"}`),
				View: rapid.IntRange(0, 3).Draw(t, "view") == 0, Coupon: affs.Draw(t, "coupon")}
			if len(clicks) > 0 && rapid.Bool().Draw(t, "again") {
				ev.Prev = rapid.SampledFrom(clicks).Draw(t, "prev")
			}
			clicks = append(clicks, id)
			j.Append(at, ev)
		case do <= 5 || len(flying) == 0 && len(unknown) == 0:
			l := leg{minter.Lead(time.Unix(0, at)), rapid.IntRange(0, 9).Draw(t, "test") == 0}
			bid := exchange.Money(rapid.Int64Range(0, 100_000_000).Draw(t, "bid"))
			facts := &exchange.LeadFacts{Seller: "north", Currency: "USD", Test: l.test}
			facts.Source = exchange.SourceFacts{Affiliate: affs.Draw(t, "aff"), Offer: offers.Draw(t, "offer")}
			facts.Source.Coupon = affs.Draw(t, "coupon")
			if len(clicks) > 0 && rapid.Bool().Draw(t, "clicked") {
				facts.Source.Click = rapid.SampledFrom(clicks).Draw(t, "click")
			}
			if len(clicks) > 0 && rapid.Bool().Draw(t, "cookied") {
				facts.Source.Cookie = rapid.SampledFrom(clicks).Draw(t, "cookie")
			}
			j.Append(at, &exchange.PostStarted{LeadID: l.lead, Attempt: 1, Lead: facts, Buyer: "acme", Contract: "west", Bid: bid, Payout: exchange.PPM(800_000).Of(bid)})
			flying = append(flying, l)
		case do <= 8 && len(flying) > 0:
			l := pick(&flying)
			outcome := rapid.SampledFrom([]exchange.Outcome{exchange.OutcomeAccepted, exchange.OutcomeAccepted, exchange.OutcomeRejected, exchange.OutcomeNotDelivered, exchange.OutcomeUnknown}).Draw(t, "outcome")
			status := exchange.LeadRejected
			switch outcome {
			case exchange.OutcomeAccepted:
				status = exchange.LeadSold
				over = append(over, l)
				if !l.test {
					sold++
				}
			case exchange.OutcomeUnknown:
				status = exchange.LeadPending
				unknown = append(unknown, l)
			}
			j.Append(at, &exchange.PostEnded{LeadID: l.lead, Attempt: 1, Outcome: outcome, Status: status})
		case len(unknown) > 0:
			l := pick(&unknown)
			ok := rapid.Bool().Draw(t, "accepted")
			status := exchange.LeadRejected
			if ok {
				status = exchange.LeadSold
				over = append(over, l)
				if !l.test {
					sold++
				}
			}
			j.Append(at, &exchange.LegSettled{LeadID: l.lead, Attempt: 1, Accepted: ok, By: exchange.SettledByOperator, Status: status})
		}
	}
	return j, sold
}

func randomTerms(t *rapid.T) *exchange.OfferSet {
	ev := &exchange.OfferSet{
		Offer: rapid.SampledFrom([]exchange.OfferID{"auto", "auto", "home"}).Draw(t, "offer"), Model: exchange.Model(rapid.IntRange(1, 3).Draw(t, "model")),
		WindowSec: rapid.Int64Range(0, 7200).Draw(t, "window"), Removed: rapid.IntRange(0, 9).Draw(t, "removed") == 0,
		Commission: exchange.Commission{Rate: exchange.PPM(rapid.Int64Range(0, 1_000_000).Draw(t, "rate")),
			Of: exchange.CommissionBase(rapid.IntRange(1, 4).Draw(t, "of")), PaidBy: exchange.CommissionPayer(rapid.IntRange(1, 2).Draw(t, "by"))},
	}
	ev.ViewSec, ev.CouponFirst = rapid.Int64Range(0, 3600).Draw(t, "views"), rapid.Bool().Draw(t, "coupon first")
	switch ev.EarnOn = exchange.EarnOn(rapid.IntRange(0, 2).Draw(t, "earn")); ev.EarnOn {
	case exchange.EarnAccepted:
		ev.FlatAmount = 1_250_000
	case exchange.EarnConfirmed:
		ev.Event, ev.NeedSold, ev.ConfirmSec = "bought", rapid.Bool().Draw(t, "need sold"), rapid.Int64Range(0, 7200).Draw(t, "confirm")
	}
	return ev
}

// everything is what credits and ledger stand in, and what they follow from.
const everything = keyState + prefixTerms + prefixClick + prefixOpen + prefixSale + prefixLead + prefixAwaited + prefixTold

// follow follows to the end in batches drawn at random, with crashes and disk faults between and inside them.
func follow(t *rapid.T, j *fake.Journal, troubled bool) (*Attribution, *fake.Space) {
	space := fake.NewSpace()
	fresh := func() *Attribution {
		a, err := New(Deps{Journal: j, Space: space, Vault: fake.Vault{}, Metrics: newSet()})
		if err != nil {
			t.Fatal(err)
		}
		a.Use(Config{Affiliates: []Affiliate{{ID: "blog", Postbacks: []Postback{
			{On: EventLeadSold, URL: "http://t.example/?a={aff_click_id?none}&c={conversion_id}"}, {On: postback.EventLeadReturned, URL: "http://t.example/r?c={conversion_id}"},
		}}}})
		return a
	}
	a := fresh()
	for {
		if troubled {
			switch rapid.IntRange(0, 19).Draw(t, "trouble") {
			case 0:
				space = space.Crash()
				a = fresh()
			case 1:
				space.Fail(true)
				if _, err := a.step(rapid.IntRange(1, 20).Draw(t, "size")); err != nil && !errors.Is(err, fake.ErrDisk) {
					t.Fatal(err)
				}
				space.Fail(false)
			}
		}
		size := batchMax
		if troubled {
			size = rapid.IntRange(1, 40).Draw(t, "size")
		}
		n, err := a.step(size)
		if err != nil {
			t.Fatal(err)
		}
		if n == 0 {
			return a, space
		}
	}
}

// TestAReplayGivesTheSameBytes holds I7: credits and ledger are a function of
// the journal, however it is cut and whatever crashed; debits equal credits;
// every sold leg is credited or says why not, once.
func TestAReplayGivesTheSameBytes(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		j, sold := random(t)
		a, plain := follow(t, j, false)
		b, troubled := follow(t, j, true)
		if !maps.Equal(plain.Dump(everything), troubled.Dump(everything)) {
			t.Fatal("crashes and batches changed what was decided")
		}
		st := b.Stats()
		uncredited := uint64(0)
		for _, n := range st.Uncredited {
			uncredited += n
		}
		if st.Sold != sold || st.Sold != st.Credits+uncredited || st.Uncredited[WhyNone] != 0 || st.Accepted.open() != 0 || st.Events.open() != 0 || st.Cursor != uint64(len(j.Entries())) {
			t.Fatalf("%d legs were sold: %+v", sold, st)
		}
		if ja, jb := jobs(t, a), jobs(t, b); len(ja) != len(jb) {
			t.Fatalf("%d jobs, after crashes %d", len(ja), len(jb))
		}
		balances(t, b, st)
		if off := b.Balance(); off.Off() != 0 || st.balance() != off {
			t.Fatalf("out of balance: %+v", off)
		}
		if r, err := b.Verify(t.Context()); err != nil || len(r.Faults) > 0 || r.Totals != st.Totals || r.Entries != st.Cursor {
			t.Fatalf("verify: %v %+v", err, r)
		}
	})
}

func jobs(t *rapid.T, a *Attribution) []postback.Job {
	all, _, err := a.Postbacks(postback.Filter{})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

// balances checks that the ledger sums to zero at every seq, and that its accounts agree with the totals.
func balances(t *rapid.T, a *Attribution, st Stats) {
	sums := make(map[uint64]exchange.Money)
	accounts := make(map[AccountKind]exchange.Money)
	err := a.Ledger(0, func(p Posting) bool {
		sums[p.Seq] += p.Amount
		accounts[p.Account] += p.Amount
		return true
	})
	if err != nil {
		t.Fatal(err)
	}
	for seq, sum := range sums {
		if sum != 0 {
			t.Fatalf("seq %d sums to %s", seq, sum)
		}
	}
	if accounts[AccountBuyer] != st.Revenue || accounts[AccountAffiliate] != -st.Commission ||
		accounts[AccountSeller]+accounts[AccountHouse] != st.Commission-st.Revenue {
		t.Fatalf("accounts %v, totals %+v", accounts, st)
	}
}

func TestVerifyFindsWhatWasTamperedWith(t *testing.T) {
	build := func() (*Attribution, *fake.Space, map[string]string) {
		s := newStory(t)
		id := s.minter.Lead(epoch)
		s.journal.Append(1, &exchange.OfferSet{Offer: "auto", Model: exchange.LastTouch, WindowSec: 60,
			Commission: exchange.Commission{Rate: 250_000, Of: exchange.OfPayout, PaidBy: exchange.PaidBySeller}})
		s.journal.Append(2, &exchange.PostStarted{LeadID: id, Attempt: 1, Buyer: "acme", Bid: 20_000_000, Payout: 16_000_000,
			Lead: &exchange.LeadFacts{Seller: "north", Currency: "USD", Source: exchange.SourceFacts{Affiliate: "blog"}}})
		s.journal.Append(3, &exchange.PostEnded{LeadID: id, Attempt: 1, Outcome: exchange.OutcomeAccepted, Status: exchange.LeadSold})
		s.step(batchMax)
		if sales, err := s.room.Explain(id); err != nil || len(sales) != 1 || sales[0].Amount() != 4_000_000 {
			t.Fatalf("explain: %v %+v", err, sales)
		}
		return s.room, s.space, s.space.Dump(prefixSale)
	}
	tampered := func(what string, change func(space *fake.Space, records map[string]string)) {
		a, space, records := build()
		change(space, records)
		if r, err := a.Verify(t.Context()); err != nil || len(r.Faults) == 0 {
			t.Errorf("%s went unseen: %v %+v", what, err, r)
		}
	}
	tampered("a changed amount", func(space *fake.Space, records map[string]string) {
		s, err := decodeSale(3, []byte(records[string(saleKey(3))]))
		if err != nil {
			t.Fatal(err)
		}
		s.Credits[0].Amount = 5_000_000
		space.Put(string(saleKey(3)), string(s.append(nil)))
	})
	tampered("a sale that is gone", func(space *fake.Space, _ map[string]string) {
		if err := space.Commit(true, func(b Batch) { b.Delete(saleKey(3)) }); err != nil {
			t.Fatal(err)
		}
	})
	tampered("a sale too many", func(space *fake.Space, records map[string]string) {
		space.Put(string(saleKey(2)), records[string(saleKey(3))])
	})
	tampered("a sale credited to another", func(space *fake.Space, records map[string]string) {
		space.Put(string(saleKey(3)), strings.Replace(records[string(saleKey(3))], "blog", "glob", 2))
	})
	tampered("a job that no total counts", func(space *fake.Space, _ map[string]string) {
		space.Put("Pj\x00\x00\x00\x00\x00\x00\x00\x03\x00\x00", "\x01\x02\x00"+strings.Repeat("\x00", len(exchange.LeadID{})+10))
	})
	tampered("a line of a job that is not there", func(space *fake.Space, _ map[string]string) {
		space.Put("Pd"+strings.Repeat("\x00", 26), "")
	})
	tampered("an end of a job that is not there", func(space *fake.Space, _ map[string]string) {
		space.Put("Px"+strings.Repeat("\x00", 10), "")
	})
	tampered("changed totals", func(space *fake.Space, _ map[string]string) {
		st := state{cursor: 4, totals: Totals{Sold: 1}}
		space.Put(keyState, string(st.encode()))
	})
	tampered("a cursor beyond the journal", func(space *fake.Space, _ map[string]string) {
		st, _ := readState(space)
		st.cursor = 9
		space.Put(keyState, string(st.encode()))
	})
	if a, _, _ := build(); func() int { r, _ := a.Verify(t.Context()); return len(r.Faults) }() != 0 {
		t.Error("sound records were doubted")
	}
}

// TestALateClickEarnsNothing has a click journaled after the sale it is named
// in. A replay, which finds the click in the space already, must see it so too.
func TestALateClickEarnsNothing(t *testing.T) {
	s := newStory(t)
	click, lead := s.minter.Click(epoch), s.minter.Lead(epoch)
	s.journal.Append(1, &exchange.OfferSet{Offer: "auto", Model: exchange.LastTouch, WindowSec: 60})
	s.journal.Append(2, &exchange.PostStarted{LeadID: lead, Attempt: 1, Buyer: "acme", Bid: 20_000_000, Payout: 16_000_000,
		Lead: &exchange.LeadFacts{Seller: "north", Currency: "USD", Source: exchange.SourceFacts{Click: click}}})
	s.journal.Append(3, &exchange.PostEnded{LeadID: lead, Attempt: 1, Outcome: exchange.OutcomeAccepted, Status: exchange.LeadSold})
	s.journal.Append(2, &exchange.Clicked{ClickID: click, Offer: "auto", Affiliate: "blog"})
	s.step(batchMax)
	if st := s.room.Stats(); st.Uncredited[WhyClickUnknown] != 1 {
		t.Errorf("stats: %+v", st)
	}
	if r, err := s.room.Verify(t.Context()); err != nil || len(r.Faults) > 0 {
		t.Errorf("verify: %v %+v", err, r)
	}
}

// TestACrashAtEveryBatchLosesNoPostback runs the whole room against a tracker
// and crashes it after every number of commits: the tracker hears of each
// credit at least once, always under the same id, and the credits are the same.
func TestACrashAtEveryBatchLosesNoPostback(t *testing.T) {
	const leads = 12
	var golden map[string]string
	for crashAt := range 20 {
		t.Run(fmt.Sprint("commit ", crashAt), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				tr := newTracker()
				defer tr.close()
				j, space := fake.NewJournal(), fake.NewSpace()
				a := newRoom(t, j, space)
				a.Use(tr.config())
				a.Start()
				want := tell(j, leads, func() {
					time.Sleep(50 * time.Millisecond)
					if space.Commits() < crashAt || crashAt < 0 {
						return
					}
					crashAt = 1 << 30
					after := space.Crash()
					space.Fail(true) // what the dying process still does is lost
					a.Stop()
					space = after
					a = newRoom(t, j, space)
					a.Use(tr.config())
					a.Start()
				})
				time.Sleep(10 * time.Minute)
				st := a.Stats()
				if st.Credits != leads || st.Postbacks.Delivered != leads || st.Postbacks.Waiting != 0 || st.Lag != 0 {
					t.Errorf("stats: %+v", st)
				}
				if r, err := a.Verify(t.Context()); err != nil || len(r.Faults) > 0 || r.Postbacks != st.Postbacks {
					t.Errorf("verify: %v %+v", err, r)
				}
				got := tr.ids()
				for i, id := range want {
					if got[id] == 0 {
						t.Errorf("the tracker never heard of lead %d", i)
					}
				}
				if len(got) != leads {
					t.Errorf("the tracker heard of %d conversions, want %d", len(got), leads)
				}
				if dump := space.Dump(prefixSale); golden == nil {
					golden = dump
				} else if !maps.Equal(dump, golden) {
					t.Error("the crash changed credits or ledger")
				}
				a.Stop()
			})
		})
	}
}

// tell journals sales of one affiliate, a step between each, and returns the click ids a tracker must hear of.
func tell(j *fake.Journal, leads int, step func()) (cids []string) {
	minter := fake.NewMinter()
	at := func(i int) int64 { return epoch.Add(time.Duration(i) * time.Minute).UnixNano() }
	j.Append(at(0), &exchange.OfferSet{Offer: "auto", Model: exchange.LastTouch, WindowSec: 1 << 30,
		Commission: exchange.Commission{Rate: 250_000, Of: exchange.OfPayout, PaidBy: exchange.PaidBySeller}})
	for i := range leads {
		cids = append(cids, fmt.Sprint("cid-", i))
		click, lead := minter.Click(epoch), minter.Lead(epoch)
		j.Append(at(i), &exchange.Clicked{ClickID: click, Offer: "auto", Affiliate: "blog", Foreign: fake.Vault{}.Seal(`{"cid":"` + cids[i] + `"}`)})
		step()
		j.Append(at(i)+1, &exchange.PostStarted{LeadID: lead, Attempt: 1, Buyer: "acme", Bid: 20_000_000, Payout: 16_000_000,
			Lead: &exchange.LeadFacts{Seller: "north", Currency: "USD", Source: exchange.SourceFacts{Click: click}}})
		step()
		j.Append(at(i)+2, &exchange.PostEnded{LeadID: lead, Attempt: 1, Outcome: exchange.OutcomeAccepted, Status: exchange.LeadSold})
		step()
	}
	return cids
}

// tracker hears postbacks, and fails every third request.
type tracker struct {
	ln  *fasthttputil.InmemoryListener
	srv *fasthttp.Server
	mu  sync.Mutex
	n   int
	got map[string]int
	ok  map[string]string // cid to conversion id
	bad []string
}

func newTracker() *tracker {
	tr := &tracker{ln: fasthttputil.NewInmemoryListener(), got: make(map[string]int), ok: make(map[string]string)}
	tr.srv = &fasthttp.Server{Handler: tr.handle}
	go func() { _ = tr.srv.Serve(tr.ln) }()
	return tr
}

func (tr *tracker) handle(ctx *fasthttp.RequestCtx) {
	tr.mu.Lock()
	defer tr.mu.Unlock()
	cid, conv := string(ctx.QueryArgs().Peek("cid")), string(ctx.QueryArgs().Peek("conv"))
	if known, ok := tr.ok[cid]; ok && known != conv || string(ctx.QueryArgs().Peek("amount")) != "4.00" || conv == "" {
		tr.bad = append(tr.bad, string(ctx.RequestURI()))
	}
	tr.ok[cid] = conv
	if tr.n++; tr.n%3 == 0 {
		ctx.SetStatusCode(500)
		return
	}
	tr.got[cid]++
}

func (tr *tracker) ids() map[string]int {
	tr.mu.Lock()
	defer tr.mu.Unlock()
	if len(tr.bad) > 0 {
		return map[string]int{"conversion ids changed: " + tr.bad[0]: 1}
	}
	return maps.Clone(tr.got)
}

func (tr *tracker) config() Config {
	return Config{
		Affiliates: []Affiliate{{ID: "blog", Postbacks: []Postback{
			{On: EventLeadSold, URL: "http://t.example/pb?cid={aff_click_id}&conv={conversion_id}&amount={payout}"},
			{On: postback.EventLeadReturned, URL: "http://t.example/never"},
		}}},
		Dial: func(string, string, time.Duration) (net.Conn, error) { return tr.ln.Dial() },
	}
}

func (tr *tracker) close() {
	_ = tr.srv.Shutdown()
	time.Sleep(2 * time.Minute) // fasthttp's cleaners end by the clock
}
