package app

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"net"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/VictoriaMetrics/metrics"
	"github.com/rs/zerolog"
	"github.com/valyala/fasthttp"
	"github.com/valyala/fasthttp/fasthttputil"

	"vendue/attribution"
	"vendue/attribution/postback"
	"vendue/exchange"
	"vendue/store"
)

// openVault seals nothing, so that two stores with keys of their own hold the same bytes.
type openVault struct{}

func (openVault) Seal(text string) exchange.Sealed           { return exchange.Sealed(text) }
func (openVault) Unseal(s exchange.Sealed) (string, error)   { return string(s), nil }
func (openVault) Fingerprint(...string) exchange.Fingerprint { return exchange.Fingerprint{1} }

var creditsBegin = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

// creditable is a journal of all that credits follow from: links that are followed twice, sales, a doubt that is settled,
// events before and after their sale and told twice, one taken back, and legs given back, one of them twice.
func creditable(t *testing.T) (all []exchange.Event) {
	n := uint64(0)
	m, err := exchange.NewMinter([]byte("0123456789abcdef"), 1, func() uint64 { n++; return n })
	if err != nil {
		t.Fatal(err)
	}
	say := func(ev exchange.Event) { all = append(all, ev) }
	clicked := func() (id exchange.ClickID) {
		var first exchange.ClickID
		for range 2 { // the browser has the first one's cookie at the second
			id = m.Click(creditsBegin)
			say(&exchange.Clicked{ClickID: id, Offer: "auto", Affiliate: "blog", Prev: first, Foreign: exchange.Sealed(fmt.Sprintf(`{"cid":"cid-%d"}`, n))})
			first = id
		}
		return id
	}
	posted := func(id exchange.ClickID, outcome exchange.Outcome, status exchange.LeadStatus) exchange.LeadID {
		lead := m.Lead(creditsBegin)
		say(&exchange.PostStarted{LeadID: lead, Attempt: 1, Buyer: "acme", Bid: 20_000_000, Payout: 16_000_000, Lead: &exchange.LeadFacts{Seller: "north", Currency: "USD", Source: exchange.SourceFacts{Click: id}}})
		say(&exchange.PostEnded{LeadID: lead, Attempt: 1, Outcome: outcome, Status: status})
		return lead
	}
	back := func(lead exchange.LeadID) {
		say(&exchange.LegGivenBack{LeadID: lead, Attempt: 1, Buyer: "acme", Bid: 20_000_000, Payout: 16_000_000, Reason: "other", Status: exchange.LeadReturned})
	}
	convert := func(id exchange.ClickID, txid byte, rejected bool) {
		for range 2 {
			say(&exchange.Converted{ClickID: id, Event: "bought", Key: exchange.Fingerprint{txid}, Currency: "USD", Rejected: rejected})
		}
	}
	terms := exchange.OfferSet{Offer: "auto", Model: exchange.LastTouch, WindowSec: 1 << 20, Commission: exchange.Commission{Rate: 250_000, Of: exchange.OfPayout, PaidBy: exchange.PaidBySeller}}
	confirmed := terms
	confirmed.EarnOn, confirmed.Event, confirmed.NeedSold = exchange.EarnConfirmed, "bought", true
	say(&terms)
	plain := posted(clicked(), exchange.OutcomeAccepted, exchange.LeadSold)
	back(plain)
	back(plain)
	doubtful := posted(clicked(), exchange.OutcomeUnknown, exchange.LeadPending)
	say(&exchange.LegSettled{LeadID: doubtful, Attempt: 1, Accepted: true, By: exchange.SettledByBuyer, Status: exchange.LeadSold})
	say(&confirmed)
	early, late, gone := clicked(), clicked(), clicked()
	convert(early, 1, false)
	posted(early, exchange.OutcomeAccepted, exchange.LeadSold)
	posted(late, exchange.OutcomeAccepted, exchange.LeadSold)
	convert(late, 2, false)
	convert(late, 2, true)
	back(posted(gone, exchange.OutcomeAccepted, exchange.LeadSold))
	convert(gone, 3, false)
	return all
}

// told is a tracker that fails every fourth request, and remembers what it took.
type told struct {
	ln  *fasthttputil.InmemoryListener
	srv *fasthttp.Server
	mu  sync.Mutex
	n   int
	ok  map[string]int // by event and conversion id
}

func newTold() *told {
	h := &told{ln: fasthttputil.NewInmemoryListener(), ok: make(map[string]int)}
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

func (h *told) heard() map[string]int {
	h.mu.Lock()
	defer h.mu.Unlock()
	return maps.Clone(h.ok)
}

func (h *told) close() {
	_ = h.srv.Shutdown()
	time.Sleep(2 * time.Minute) // fasthttp's cleaners end by the clock
}

// creditLife is attribution over a store, from a start to its end.
type creditLife struct {
	t     *testing.T
	store *store.Store
	space space
	room  *attribution.Attribution
}

func liveOn(t *testing.T, disk *store.SimDisk, h *told) *creditLife {
	t.Helper()
	s, err := store.Open(store.Config{Dir: "data", FS: disk.FS(), Log: zerolog.Nop(), TapeDays: 1})
	if err != nil {
		t.Fatal(err)
	}
	l := &creditLife{t: t, store: s, space: space{s.Space("attribution")}}
	l.room, err = attribution.New(attribution.Deps{Journal: s, Space: l.space, Vault: openVault{}, Log: zerolog.Nop(), Metrics: metrics.NewSet()})
	if err != nil {
		t.Fatal(err)
	}
	blog := attribution.Affiliate{ID: "blog"}
	for _, event := range attribution.FiredEvents() {
		blog.Postbacks = append(blog.Postbacks, attribution.Postback{On: event, URL: "http://t.example/pb?e={event}&id={conversion_id}"})
	}
	l.room.Use(attribution.Config{Affiliates: []attribution.Affiliate{blog}, Dial: func(string, string, time.Duration) (net.Conn, error) { return h.ln.Dial() }})
	l.room.Start()
	return l
}

// journal has events on disk, a minute after each other.
func (l *creditLife) journal(events []exchange.Event) {
	l.t.Helper()
	for _, ev := range events {
		at := creditsBegin.Add(time.Duration(l.store.Seq()+1) * time.Minute)
		_, ticket, err := l.store.Append(at.UnixNano(), ev)
		if err == nil {
			err = ticket.Wait()
		}
		if err != nil {
			l.t.Fatal(err)
		}
	}
}

func (l *creditLife) end() {
	l.room.Stop()
	if err := l.store.Close(); err != nil {
		l.t.Error(err)
	}
}

// records are all that was decided: everything but the postbacks, whose keys begin with P.
func (l *creditLife) records() map[string]string {
	l.t.Helper()
	out := make(map[string]string)
	err := l.space.Scan(nil, nil, func(k, v []byte) (bool, error) {
		if k[0] != 'P' {
			out[string(k)] = string(v)
		}
		return true, nil
	})
	if err != nil {
		l.t.Fatal(err)
	}
	return out
}

// warm starts fasthttp's process-wide date goroutine, which would keep a bubble that it began in from ending.
func warm(t *testing.T) {
	ln := fasthttputil.NewInmemoryListener()
	srv := &fasthttp.Server{Handler: func(*fasthttp.RequestCtx) {}}
	go func() { _ = srv.Serve(ln) }()
	c := fasthttp.HostClient{Addr: "warm", Dial: func(string) (net.Conn, error) { return ln.Dial() }}
	if _, _, err := c.Get(nil, "http://warm/"); err != nil {
		t.Fatal(err)
	}
	c.CloseIdleConnections()
	if err := srv.Shutdown(); err != nil {
		t.Fatal(err)
	}
}

// TestPowerLostAtEveryRecord loses the power after every event of a journal, with the notices of it delivered and with
// them still on their way, and keeps none, some or all of what was not synced. The credits are the same bytes as without,
// each notice is heard at least once, and none again whose settled answer is on disk.
func TestPowerLostAtEveryRecord(t *testing.T) {
	warm(t)
	all := creditable(t)
	var golden map[string]string
	synctest.Test(t, func(t *testing.T) {
		h := newTold()
		l := liveOn(t, store.NewSimDisk(), h)
		l.journal(all)
		time.Sleep(5 * time.Minute)
		golden = l.records()
		if st := l.room.Stats(); st.Credits != 2 || st.Reversed != 1 || st.Returned != 2 || st.Events.Told != 3 {
			t.Errorf("the journal tells something else: %+v", st)
		}
		l.end()
		h.close()
	})
	for cut := range len(all) {
		for _, settled := range []bool{true, false} {
			t.Run(fmt.Sprintf("event %d, settled %t", cut+1, settled), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) { losePower(t, all, cut, settled, golden) })
			})
		}
	}
}

func losePower(t *testing.T, all []exchange.Event, cut int, settled bool, golden map[string]string) {
	h, disk := newTold(), store.NewSimDisk()
	l := liveOn(t, disk, h)
	l.journal(all[:cut+1])
	if settled {
		time.Sleep(5 * time.Minute)
	} else {
		synctest.Wait()
	}
	before, done := h.heard(), l.room.Stats().Postbacks
	after := disk.Crash([...]int{0, 50, 100}[cut%3], rand.New(rand.NewPCG(uint64(cut), 1)))
	l.end() // on a disk that nobody sees again
	if settled && done.Waiting > 0 {
		t.Errorf("%d notices still wait", done.Waiting)
	}
	l = liveOn(t, after, h)
	if got := l.store.Seq(); got != uint64(cut+1) {
		t.Errorf("%d events are left of %d", got, cut+1)
	}
	l.journal(all[cut+1:])
	time.Sleep(10 * time.Minute)
	if !maps.Equal(l.records(), golden) {
		t.Error("the loss changed what was decided")
	}
	if r, err := l.room.Verify(t.Context()); err != nil || len(r.Faults) > 0 {
		t.Errorf("verify: %v %+v", err, r)
	}
	l.holds(h, before, settled)
	l.end()
	h.close()
}

// holds checks the notices: each is delivered and was heard, and none of those that were settled before was heard again.
func (l *creditLife) holds(h *told, before map[string]int, settled bool) {
	jobs, _, err := l.room.Postbacks(postback.Filter{})
	if err != nil || len(jobs) == 0 {
		l.t.Fatalf("%d jobs, %v", len(jobs), err)
	}
	ok, known := h.heard(), make(map[string]bool)
	for i := range jobs {
		key := jobs[i].Event + " " + jobs[i].ConversionID
		known[key] = true
		if ok[key] == 0 || jobs[i].State != postback.Delivered {
			l.t.Errorf("%s was never heard: %s", key, jobs[i].State)
		}
		if settled && before[key] > 0 && ok[key] > before[key] {
			l.t.Errorf("%s was settled before the loss, and told %d times more", key, ok[key]-before[key])
		}
	}
	for key := range ok {
		if !known[key] {
			l.t.Errorf("%s was heard under an id that nobody has", key)
		}
	}
}
