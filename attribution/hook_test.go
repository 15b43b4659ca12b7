package attribution

import (
	"fmt"
	"net"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rs/zerolog"
	"github.com/valyala/fasthttp"
	"github.com/valyala/fasthttp/fasthttputil"

	"vendue/attribution/internal/fake"
	"vendue/attribution/postback"
	"vendue/exchange"
)

// seller is a webhook that fails every third request, and the leads it heard of.
type seller struct {
	ln  *fasthttputil.InmemoryListener
	srv *fasthttp.Server
	mu  sync.Mutex
	n   int
	ids map[string]string // by lead
	got map[string]int
	bad []string
}

func newSeller() *seller {
	s := &seller{ln: fasthttputil.NewInmemoryListener(), ids: make(map[string]string), got: make(map[string]int)}
	s.srv = &fasthttp.Server{Handler: s.handle}
	go func() { _ = s.srv.Serve(s.ln) }()
	return s
}

func (s *seller) handle(ctx *fasthttp.RequestCtx) {
	s.mu.Lock()
	defer s.mu.Unlock()
	lead, id := string(ctx.PostBody()), string(ctx.Request.Header.Peek("webhook-id"))
	if known, ok := s.ids[lead]; id == "" || ok && known != id {
		s.bad = append(s.bad, fmt.Sprintf("%s under %q and %q", lead, known, id))
	}
	s.ids[lead] = id
	if s.n++; s.n%3 == 0 {
		ctx.SetStatusCode(500)
		return
	}
	s.got[lead]++
}

func (s *seller) room(t *testing.T, j Journal, space Space) *Attribution {
	t.Helper()
	a, err := New(Deps{Journal: j, Space: space, Vault: fake.Vault{}, Log: zerolog.Nop(), Metrics: newSet(),
		Answer: func(lead exchange.LeadID, _ uint64) ([]byte, error) { return []byte(lead.String()), nil }})
	if err != nil {
		t.Fatal(err)
	}
	a.Use(Config{
		Hooks: []postback.Hook{{Seller: "north", URL: "http://north.example/leads", Secret: []byte("s")}},
		Dial:  func(string, string, time.Duration) (net.Conn, error) { return s.ln.Dial() },
	})
	return a
}

// pending journals leads of every end, a step after each event, and returns those whose seller waits to hear.
func pending(j *fake.Journal, step func()) (told map[string]bool) {
	told = make(map[string]bool)
	minter := fake.NewMinter()
	add := func(ev exchange.Event) {
		j.Append(epoch.UnixNano(), ev)
		step()
	}
	start := func(seller exchange.SellerID, test bool, first exchange.Outcome, status exchange.LeadStatus) exchange.LeadID {
		id := minter.Lead(epoch)
		add(&exchange.PostStarted{LeadID: id, Attempt: 1, Buyer: "acme", Bid: 20_000_000, Payout: 16_000_000,
			Lead: &exchange.LeadFacts{Seller: seller, Currency: "USD", Test: test}})
		add(&exchange.PostEnded{LeadID: id, Attempt: 1, Outcome: first, Status: status})
		return id
	}
	settled := func(id exchange.LeadID, accepted bool) {
		status := exchange.LeadRejected
		if accepted {
			status = exchange.LeadSold
		}
		add(&exchange.LegSettled{LeadID: id, Attempt: 1, Accepted: accepted, By: exchange.SettledByBuyer, Status: status})
	}
	for i := range 4 {
		id := start("north", i == 2, exchange.OutcomeUnknown, exchange.LeadPending)
		settled(id, i%2 == 0)
		told[id.String()] = true
	}
	start("north", false, exchange.OutcomeAccepted, exchange.LeadSold)                  // told at once
	start("north", false, exchange.OutcomeUnknown, exchange.LeadPending)                // nobody knows yet
	settled(start("south", false, exchange.OutcomeUnknown, exchange.LeadPending), true) // has no webhook
	id := start("north", false, exchange.OutcomeUnknown, exchange.LeadPending)          // two legs in doubt: told after the second
	add(&exchange.PostStarted{LeadID: id, Attempt: 2, Buyer: "zen", Bid: 1, Payout: 1})
	add(&exchange.PostEnded{LeadID: id, Attempt: 2, Outcome: exchange.OutcomeUnknown, Status: exchange.LeadPending})
	settled(id, true)
	add(&exchange.LegSettled{LeadID: id, Attempt: 2, By: exchange.SettledByBuyer, Status: exchange.LeadSold})
	told[id.String()] = true
	id = start("north", false, exchange.OutcomeAccepted, exchange.LeadOpen) // one sold and one in doubt; what was sold comes back first
	add(&exchange.PostStarted{LeadID: id, Attempt: 2, Buyer: "zen", Bid: 1, Payout: 1})
	add(&exchange.PostEnded{LeadID: id, Attempt: 2, Outcome: exchange.OutcomeUnknown, Status: exchange.LeadSold})
	add(&exchange.LegGivenBack{LeadID: id, Attempt: 1, Buyer: "acme", Bid: 20_000_000, Payout: 16_000_000, By: exchange.SettledByBuyer, Status: exchange.LeadPending})
	add(&exchange.LegSettled{LeadID: id, Attempt: 2, By: exchange.SettledByBuyer, Status: exchange.LeadReturned})
	told[id.String()] = true
	return told
}

// TestACrashAtEveryBatchLosesNoHook crashes the room after every number of
// commits: the seller hears of each lead that was pending at least once, under
// one id, and of no other; there is one job a lead.
func TestACrashAtEveryBatchLosesNoHook(t *testing.T) {
	for crashAt := range 24 {
		t.Run(fmt.Sprint("commit ", crashAt), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				hook := newSeller()
				j, space := fake.NewJournal(), fake.NewSpace()
				a := hook.room(t, j, space)
				a.Start()
				want := pending(j, func() {
					time.Sleep(50 * time.Millisecond)
					if space.Commits() < crashAt {
						return
					}
					crashAt = 1 << 30
					after := space.Crash()
					space.Fail(true) // what the dying process still does is lost
					a.Stop()
					space = after
					a = hook.room(t, j, space)
					a.Start()
				})
				time.Sleep(10 * time.Minute)
				st := a.Stats()
				if n := uint64(len(want)); st.Postbacks.Created != n || st.Postbacks.Delivered != n || st.Lag != 0 {
					t.Errorf("stats: %+v", st)
				}
				hook.mu.Lock()
				for lead := range want {
					if hook.got[lead] == 0 {
						t.Errorf("the seller never heard of %s", lead)
					}
				}
				if len(hook.got) != len(want) || len(hook.bad) > 0 {
					t.Errorf("the seller heard of %d leads, want %d; %v", len(hook.got), len(want), hook.bad)
				}
				hook.mu.Unlock()
				if r, err := a.Verify(t.Context()); err != nil || len(r.Faults) > 0 {
					t.Errorf("verify: %v %+v", err, r)
				}
				a.Stop()
				_ = hook.srv.Shutdown()
				time.Sleep(2 * time.Minute) // fasthttp's cleaners end by the clock
			})
		})
	}
}
