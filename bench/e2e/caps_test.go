package e2e

import (
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"vendue/bench/house"
	"vendue/bench/world"
)

// TestFiftyClientsRaceForACapOfAHundred lets a fifth of the posts be refused,
// expects exactly 100 sales, and none after a kill -9.
func TestFiftyClientsRaceForACapOfAHundred(t *testing.T) {
	s := newScene(t)
	acme := s.buyer("acme", world.Manner{BidMin: dollars(20), RefusePosts: 0.2, PostDelay: world.Delay{Min: time.Millisecond, Max: 5 * time.Millisecond}}, "caps: [{per: total, leads: 100}]")
	s.start()
	var sold, next atomic.Int64
	var wg sync.WaitGroup
	for range 50 {
		wg.Go(func() {
			for range 8 {
				if s.race(uint64(next.Add(1))) == "sold" {
					sold.Add(1)
				}
			}
		})
	}
	wg.Wait()
	if got := len(accepts(acme)); sold.Load() != 100 || got != 100 {
		t.Fatalf("want exactly 100 sales, sellers were told %d, the buyer has %d", sold.Load(), got)
	}
	if acme.Counts().Refused == 0 {
		t.Error("no post was refused: the test proves too little")
	}
	s.proc.Kill()
	s.resume()
	for range 20 {
		if got := s.race(uint64(next.Add(1))); got != "rejected" {
			t.Fatalf("after a crash a lead was %s", got)
		}
	}
	if got := len(accepts(acme)); got != 100 {
		t.Errorf("after a crash the buyer has %d", got)
	}
	r := world.Reconcile(&world.Books{Receipts: acme.Receipts(), Journal: s.journal(), Caps: map[string]int{"acme": 100}, Credits: -1})
	if err := r.Err(); err != nil {
		t.Error(err)
	}
}

// race pings and, at a price, posts lead n; it returns how the lead ended.
func (s *scene) race(n uint64) string {
	l := world.MakeLead(5, n)
	l.State, l.Zip = "AZ", "85001"
	ping, err := s.api.Post("/v1/ping", house.NorthKey, "", pingBody(&l, ""))
	if err != nil {
		s.t.Error(err)
		return ""
	}
	if ping.Get("status").String() != "accepted" {
		return ping.Get("status").String()
	}
	post, err := s.api.Post("/v1/post", house.NorthKey, "", postBody(ping.Get("ping_id").String(), &l))
	if err != nil {
		s.t.Error(err)
		return ""
	}
	return post.Get("status").String()
}

func TestBudgetsAndBuyersCaps(t *testing.T) {
	s := newScene(t)
	s.buyer("spender", bids(20), "caps: [{per: total, spend: 50}]")
	s.start()
	for range 2 {
		p := s.sell("")
		s.is(&p, 200, "status", "sold")
	}
	l := s.lead()
	r := s.ping(&l, "")
	if r.Get("status").String() == "accepted" {
		p := s.post(&r, &l, "")
		s.is(&p, 200, "status", "rejected")
	}
	if got := len(accepts(s.buyers["spender"])); got != 2 {
		t.Errorf("a budget of 50 holds two leads at 20, not %d", got)
	}
}

func TestAHeldUnknownKeepsItsCap(t *testing.T) {
	s := newScene(t)
	s.buyer("acme", world.Manner{BidMin: dollars(20), ResetPosts: 1}, "caps: [{per: total, leads: 1}]")
	s.start()
	p := s.sell("")
	s.is(&p, 202, "status", "pending")
	s.buyers["acme"].SetManner(bids(20))
	l := s.lead()
	r := s.ping(&l, "")
	s.is(&r, 200, "status", "rejected", "reason", "no_eligible_contract")
	s.proc.Kill()
	s.resume()
	r = s.ping(&l, "")
	s.is(&r, 200, "status", "rejected", "reason", "no_eligible_contract")
	o, err := s.api.Post("/v1/buyers/outcome", house.BuyerKey("acme"), "", `{"lead_id":"`+p.Get("lead_id").String()+`","accepted":false}`)
	s.ok(err)
	s.is(&o, 200)
	p = s.sell("")
	s.is(&p, 200, "status", "sold")
}
