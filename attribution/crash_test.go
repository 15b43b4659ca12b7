package attribution

import (
	"fmt"
	"maps"
	"net"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/valyala/fasthttp"
	"github.com/valyala/fasthttp/fasthttputil"

	"vendue/attribution/internal/fake"
	"vendue/attribution/postback"
	"vendue/exchange"
)

// eventful is a journal with every kind of event that credits follow from, some
// of them told twice: a link that is followed twice, sales, an event before and
// after its sale, a repeated one, one that is taken back, a settled unknown and returns.
func eventful() *fake.Journal {
	j, m, n := fake.NewJournal(), fake.NewMinter(), int64(0)
	say := func(ev exchange.Event) {
		n++
		j.Append(epoch.Add(time.Duration(n)*time.Minute).UnixNano(), ev)
	}
	terms := &exchange.OfferSet{Offer: "auto", Model: exchange.LastTouch, WindowSec: 1 << 20, Commission: exchange.Commission{Rate: 250_000, Of: exchange.OfPayout, PaidBy: exchange.PaidBySeller}}
	say(terms)
	click := func() exchange.ClickID {
		id := m.Click(epoch)
		say(&exchange.Clicked{ClickID: id, Offer: "auto", Affiliate: "blog", Foreign: fake.Vault{}.Seal(fmt.Sprintf(`{"cid":"cid-%d"}`, n))})
		return id
	}
	again := func(first exchange.ClickID) exchange.ClickID { // by the same consumer, whose browser has the cookie
		id := m.Click(epoch)
		say(&exchange.Clicked{ClickID: id, Offer: "auto", Affiliate: "blog", Prev: first, Foreign: fake.Vault{}.Seal(fmt.Sprintf(`{"cid":"cid-%d"}`, n))})
		return id
	}
	post := func(id exchange.ClickID) exchange.LeadID {
		lead := m.Lead(epoch)
		say(&exchange.PostStarted{LeadID: lead, Attempt: 1, Buyer: "acme", Bid: 20_000_000, Payout: 16_000_000, Lead: &exchange.LeadFacts{Seller: "north", Currency: "USD", Source: exchange.SourceFacts{Click: id}}})
		return lead
	}
	end := func(lead exchange.LeadID, outcome exchange.Outcome, status exchange.LeadStatus) {
		say(&exchange.PostEnded{LeadID: lead, Attempt: 1, Outcome: outcome, Status: status})
	}
	back := func(lead exchange.LeadID) {
		say(&exchange.LegGivenBack{LeadID: lead, Attempt: 1, Buyer: "acme", Bid: 20_000_000, Payout: 16_000_000, Reason: "other", Status: exchange.LeadReturned})
	}
	convert := func(id exchange.ClickID, txid byte, rejected bool) {
		say(&exchange.Converted{ClickID: id, Event: "bought", Key: exchange.Fingerprint{txid}, Currency: "USD", Rejected: rejected})
	}
	plain := post(again(click()))
	end(plain, exchange.OutcomeAccepted, exchange.LeadSold)
	back(plain)
	back(plain)
	doubtful := post(click())
	end(doubtful, exchange.OutcomeUnknown, exchange.LeadPending)
	say(&exchange.LegSettled{LeadID: doubtful, Attempt: 1, Accepted: true, By: exchange.SettledByBuyer, Status: exchange.LeadSold})
	confirmed := *terms
	confirmed.EarnOn, confirmed.Event, confirmed.NeedSold = exchange.EarnConfirmed, "bought", true
	say(&confirmed)
	early, late, gone := click(), click(), click()
	convert(early, 1, false)
	convert(early, 1, false)
	end(post(early), exchange.OutcomeAccepted, exchange.LeadSold)
	end(post(late), exchange.OutcomeAccepted, exchange.LeadSold)
	convert(late, 2, false)
	convert(late, 2, false)
	convert(late, 2, true)
	convert(late, 2, true)
	lead := post(gone)
	end(lead, exchange.OutcomeAccepted, exchange.LeadSold)
	back(lead)
	convert(gone, 3, false)
	return j
}

// hearing is a tracker that remembers what it said to each notice.
type hearing struct {
	ln  *fasthttputil.InmemoryListener
	srv *fasthttp.Server
	mu  sync.Mutex
	n   int
	ok  map[string]int // settled answers by event and conversion id
}

func newHearing() *hearing {
	h := &hearing{ln: fasthttputil.NewInmemoryListener(), ok: make(map[string]int)}
	h.srv = &fasthttp.Server{Handler: func(ctx *fasthttp.RequestCtx) {
		h.mu.Lock()
		defer h.mu.Unlock()
		if h.n++; h.n%4 == 0 {
			ctx.SetStatusCode(fasthttp.StatusServiceUnavailable)
			return
		}
		h.ok[string(ctx.QueryArgs().Peek("e"))+" "+string(ctx.QueryArgs().Peek("id"))]++
	}}
	go func() { _ = h.srv.Serve(h.ln) }()
	return h
}

func (h *hearing) config() Config {
	var orders []Postback
	for _, event := range FiredEvents() {
		orders = append(orders, Postback{On: event, URL: "http://t.example/pb?e={event}&id={conversion_id}"})
	}
	return Config{
		Affiliates: []Affiliate{{ID: "blog", Postbacks: orders}},
		Dial:       func(string, string, time.Duration) (net.Conn, error) { return h.ln.Dial() },
	}
}

// TestACrashAtEveryRecord crashes the room after every event of the journal,
// with its notices delivered and with them still on their way. The records are
// the same whatever happened, each notice is heard at least once under its id,
// and none again whose settled answer is on disk.
func TestACrashAtEveryRecord(t *testing.T) {
	j := eventful()
	whole := newRoom(t, j, fake.NewSpace())
	for {
		if n, err := whole.step(batchMax); err != nil {
			t.Fatal(err)
		} else if n == 0 {
			break
		}
	}
	golden := whole.deps.Space.(*fake.Space).Dump(everything)
	if st := whole.Stats(); st.Credits != 2 || st.Reversed != 1 || st.Returned != 2 || st.Events.Told != 3 {
		t.Fatalf("the journal tells something else: %+v", st)
	}
	all := j.Entries()
	for crashAt := range len(all) {
		for _, settled := range []bool{true, false} {
			t.Run(fmt.Sprintf("event %d, settled %t", crashAt+1, settled), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) { crashAtRecord(t, all, crashAt, settled, golden) })
			})
		}
	}
}

func crashAtRecord(t *testing.T, all []exchange.Entry, crashAt int, settled bool, golden map[string]string) {
	h := newHearing()
	defer func() {
		_ = h.srv.Shutdown()
		time.Sleep(2 * time.Minute) // fasthttp's cleaners end by the clock
	}()
	j, space := fake.NewJournal(), fake.NewSpace()
	for _, e := range all[:crashAt+1] {
		j.Append(e.At, e.Event)
	}
	a := newRoom(t, j, space)
	a.Use(h.config())
	a.Start()
	if settled {
		time.Sleep(10 * time.Minute)
	} else {
		synctest.Wait()
	}
	before := maps.Clone(h.ok)
	done := a.Stats().Postbacks.Delivered
	after := space.Crash()
	space.Fail(true) // what the dying process still does is lost
	a.Stop()
	space = after
	for _, e := range all[crashAt+1:] {
		j.Append(e.At, e.Event)
	}
	a = newRoom(t, j, space)
	a.Use(h.config())
	a.Start()
	time.Sleep(20 * time.Minute)
	defer a.Stop()
	if !maps.Equal(space.Dump(everything), golden) {
		t.Error("the crash changed what was decided")
	}
	if r, err := a.Verify(t.Context()); err != nil || len(r.Faults) > 0 {
		t.Errorf("verify: %v %+v", err, r)
	}
	jobs, _, err := a.Postbacks(postback.Filter{})
	if err != nil || len(jobs) == 0 {
		t.Fatalf("%d jobs, %v", len(jobs), err)
	}
	ids := make(map[string]bool)
	for i := range jobs {
		key := jobs[i].Event + " " + jobs[i].ConversionID
		ids[key] = true
		if h.ok[key] == 0 || jobs[i].State != postback.Delivered {
			t.Errorf("%s was never heard: %s", key, jobs[i].State)
		}
		if settled && done > 0 && before[key] > 0 && h.ok[key] > before[key] {
			t.Errorf("%s was settled before the crash, and told %d times more", key, h.ok[key]-before[key])
		}
	}
	for key := range h.ok {
		if !ids[key] {
			t.Errorf("%s was heard under an id that nobody has", key)
		}
	}
}
