package e2e

import (
	"strings"
	"testing"
	"time"

	"vendue/bench/house"
	"vendue/bench/world"
)

// accepts returns the receipts that a buyer accepted.
func accepts(b *world.Buyer) (out []world.Receipt) {
	for _, r := range b.Receipts() {
		if r.Accepted {
			out = append(out, r)
		}
	}
	return out
}

func TestPingAndPostSellToTheBestBid(t *testing.T) {
	s := newScene(t)
	high, low := s.buyer("high", bids(21.50)), s.buyer("low", bids(12))
	s.start()
	l := s.lead()
	q := s.quote(&l)
	s.is(&q, 200, "price", "17.20", "currency", "USD", "sale", "exclusive", "environment", "live", "bids.#", "1", "bids.0.price", "17.20", "bids.0.sale", "exclusive")
	if !strings.Contains(string(q.Body), `"price":17.20`) {
		t.Errorf("want money as a number with two places: %s", q.Body)
	}
	at, err := time.Parse(time.RFC3339, q.Get("expires_at").String())
	if err != nil || !strings.HasSuffix(q.Get("expires_at").String(), "Z") || q.Get("expires_in").Int() != 300 || time.Until(at) > 5*time.Minute {
		t.Errorf("expires_at, expires_in are off: %s", q.Body)
	}
	p := s.post(&q, &l, "key-1")
	s.is(&p, 200, "status", "sold", "price", "17.20", "currency", "USD", "final", "true", "environment", "live",
		"legs.#", "1", "legs.0.status", "sold", "legs.0.price", "17.20", "legs.0.bid_id", q.Get("bids.0.bid_id").String(),
		"redirect_url", "https://high.example.com/welcome", "legs.0.redirect_url", "https://high.example.com/welcome")
	got := accepts(high)
	if len(got) != 1 || got[0].LeadID != p.Get("lead_id").String() || got[0].Price != dollars(21.50) || got[0].Phone != l.Phone || got[0].BidID != q.Get("bids.0.bid_id").String() {
		t.Errorf("the winner's receipts are off: %+v", got)
	}
	if n := len(low.Receipts()); n != 0 {
		t.Errorf("the loser got %d posts", n)
	}
	now := s.status(p.Get("lead_id").String())
	s.is(&now, 200, "status", "sold", "price", "17.20", "lead_id", p.Get("lead_id").String(), "legs.0.status", "sold", "redirect_url", "https://high.example.com/welcome")
}

func TestDirectSells(t *testing.T) {
	s := newScene(t)
	s.buyer("acme", bids(10))
	s.start()
	l := s.lead()
	r := s.send("/v1/direct", directBody(&l, ""), "d-1")
	s.is(&r, 200, "status", "sold", "price", "8.00", "legs.#", "1")
	l = s.lead()
	r = s.send("/v1/direct", directBody(&l, `,"min_price":8.01`), "")
	s.is(&r, 200, "status", "rejected")
	l = s.lead()
	r = s.send("/v1/direct", directBody(&l, `,"min_price":"8.00"`), "")
	s.is(&r, 200, "status", "sold", "price", "8.00")
}

func TestFloorAndMinPrice(t *testing.T) {
	s := newScene(t)
	s.buyer("acme", bids(6))
	s.start()
	l := s.lead()
	r := s.ping(&l, "")
	s.is(&r, 200, "status", "rejected", "reason", "below_floor")
	if r.Get("ping_id").String() == "" || !r.Get("elapsed_ms").Exists() {
		t.Errorf("a rejected ping has its ping_id and elapsed_ms: %s", r.Body)
	}
	s.buyers["acme"].SetManner(bids(10))
	r = s.ping(&l, `,"min_price":9`)
	s.is(&r, 200, "status", "rejected", "reason", "below_floor")
	r = s.ping(&l, `,"min_price":8`)
	s.is(&r, 200, "status", "accepted", "price", "8.00")
}

func TestARefusedPostFallsToTheNextBidThatCoversThePromise(t *testing.T) {
	s := newScene(t)
	first := s.buyer("first", world.Manner{BidMin: dollars(20), BidMax: dollars(20), RefusePosts: 1})
	second := s.buyer("second", bids(17))
	third := s.buyer("third", bids(15.99))
	s.start()
	l := s.lead()
	q := s.quote(&l)
	s.is(&q, 200, "price", "16.00")
	p := s.post(&q, &l, "")
	s.is(&p, 200, "status", "sold", "price", "16.00", "final", "true")
	if len(first.Receipts()) != 1 || len(accepts(second)) != 1 || len(third.Receipts()) != 0 {
		t.Errorf("want one refusal and one sale: %+v %+v %+v", first.Receipts(), second.Receipts(), third.Receipts())
	}
	if got := accepts(second)[0]; got.Price != dollars(17) || got.BidID == q.Get("bids.0.bid_id").String() {
		t.Errorf("a fallback leg has its own bid_id and the fallback's bid: %+v", got)
	}
	second.SetManner(world.Manner{BidMin: dollars(17), BidMax: dollars(17), RefusePosts: 1})
	p = s.sell("")
	s.is(&p, 200, "status", "rejected", "reason", "post_rejected")
	if len(third.Receipts()) != 0 {
		t.Error("a bid below the promise got the lead")
	}
}

func TestStandingPriceServesWhenNobodyBids(t *testing.T) {
	s := newScene(t)
	live := s.buyer("live", world.Manner{})
	fixed := s.buyer("fixed", world.Manner{})
	s.contract("fixed").Price = "7.00"
	s.start()
	l := s.lead()
	q := s.quote(&l)
	s.is(&q, 200, "price", "5.60")
	p := s.post(&q, &l, "")
	s.is(&p, 200, "status", "sold", "price", "5.60")
	if c := fixed.Counts(); c.Pings != 0 || c.Accepted != 1 || live.Counts().Pings != 1 {
		t.Errorf("a standing price is never pinged: %+v, live %+v", c, live.Counts())
	}
	live.SetManner(world.Manner{BidMin: dollars(8), BidMax: dollars(8), RefusePosts: 1})
	l = s.lead()
	q = s.quote(&l)
	s.is(&q, 200, "price", "6.40")
	p = s.post(&q, &l, "")
	s.is(&p, 200, "status", "sold", "price", "6.40")
	if c := fixed.Counts(); c.Accepted != 2 {
		t.Errorf("a later tier's standing price covers the promise: %+v", c)
	}
}

func TestUnknownIsPendingUntilTheBuyerSays(t *testing.T) {
	for _, m := range []struct {
		name   string
		manner world.Manner
	}{
		{"reset", world.Manner{ResetPosts: 1}},
		{"hang", world.Manner{HangPosts: 1}},
		{"garbage", world.Manner{GarblePosts: 1}},
	} {
		t.Run(m.name, func(t *testing.T) {
			s := newScene(t)
			m.manner.BidMin, m.manner.BidMax = dollars(20), dollars(20)
			acme := s.buyer("acme", m.manner)
			other := s.buyer("other", bids(19))
			s.contract("acme").PostLine = "timeout: 400ms"
			s.start()
			p := s.sell("k")
			s.is(&p, 202, "status", "pending", "reason", "unknown")
			id := p.Get("lead_id").String()
			now := s.status(id)
			s.is(&now, 202, "status", "pending", "lead_id", id)
			if len(other.Receipts()) != 0 {
				t.Fatal("a lead in doubt was offered to another buyer")
			}
			key := house.BuyerKey("acme")
			for range 2 {
				r, err := s.api.Post("/v1/buyers/outcome", key, "", `{"lead_id":"`+id+`","accepted":true,"id":"A-1"}`)
				s.ok(err)
				s.is(&r, 200)
			}
			r, err := s.api.Post("/v1/buyers/outcome", key, "", `{"lead_id":"`+id+`","accepted":false}`)
			s.ok(err)
			s.is(&r, 409)
			now = s.status(id)
			s.is(&now, 200, "status", "sold", "price", "16.00", "final", "true")
			for _, other := range []string{house.BuyerKey("other"), house.SouthKey, ""} {
				r, err := s.api.Post("/v1/buyers/outcome", other, "", `{"lead_id":"`+id+`","accepted":true}`)
				s.ok(err)
				if r.Status != 401 && r.Status != 403 && r.Status != 404 {
					t.Errorf("a stranger settled a lead: %d %s", r.Status, r.Body)
				}
			}
			if len(accepts(acme)) != 1 {
				t.Errorf("receipts: %+v", acme.Receipts())
			}
		})
	}
}

func TestUnknownSettledAsUnsoldEndsTheLead(t *testing.T) {
	s := newScene(t)
	s.buyer("acme", world.Manner{BidMin: dollars(20), BidMax: dollars(20), ResetPosts: 1})
	s.start()
	p := s.sell("")
	s.is(&p, 202, "status", "pending")
	id := p.Get("lead_id").String()
	r, err := s.api.Post("/v1/buyers/outcome", house.BuyerKey("acme"), "", `{"lead_id":"`+id+`","accepted":false}`)
	s.ok(err)
	s.is(&r, 200)
	now := s.status(id)
	s.is(&now, 200, "status", "rejected", "reason", "post_rejected")
	r, err = s.api.Post("/v1/buyers/outcome", house.BuyerKey("acme"), "", `{"lead_id":"`+id+`","accepted":true}`)
	s.ok(err)
	s.is(&r, 409)
	lead := s.journal().Leads[id]
	if lead == nil || lead.Status != "rejected" || lead.Legs[0].Conflicts != 1 {
		t.Errorf("the conflict stands in the journal: %+v", lead)
	}
}

func TestDuplicatesOfASaleAreRefused(t *testing.T) {
	s := newScene(t)
	s.buyer("acme", bids(20))
	s.start()
	l := s.lead()
	q := s.quote(&l)
	p := s.post(&q, &l, "")
	s.is(&p, 200, "status", "sold")
	q = s.quote(&l)
	l.Phone = "(" + l.Phone[2:5] + ") " + l.Phone[5:8] + "-" + l.Phone[8:]
	p = s.post(&q, &l, "")
	s.is(&p, 200, "status", "rejected", "reason", "duplicate")
	if now := s.status(p.Get("lead_id").String()); now.Get("reason").String() != "duplicate" {
		t.Errorf("a refused lead can be asked for: %s", now.Body)
	}
	r := s.send("/v1/direct", directBody(&l, ""), "")
	s.is(&r, 200, "status", "rejected", "reason", "duplicate")
}

func TestConsentBoundsTheBuyers(t *testing.T) {
	s := newScene(t)
	s.buyer("high", bids(20))
	low := s.buyer("low", bids(10))
	s.start()
	l := s.lead()
	q := s.ping(&l, `,"consent":{"named_buyers":["LOW"]}`)
	s.is(&q, 200, "status", "accepted", "price", "8.00")
	p := s.post(&q, &l, "")
	s.is(&p, 200, "status", "sold", "price", "8.00")
	if len(accepts(low)) != 1 {
		t.Error("the named buyer has no lead")
	}
}

func TestFiltersAndHours(t *testing.T) {
	s := newScene(t)
	s.buyer("young", bids(30), "where: {age: {max: 30}}")
	s.buyer("nevada", bids(29), "where: {state: [NV]}")
	s.buyer("closed", bids(28), "hours: "+closedNow())
	s.buyer("paused", bids(27), "paused: true")
	s.start()
	l := s.lead()
	r := s.ping(&l, "")
	s.is(&r, 200, "status", "rejected", "reason", "no_eligible_contract")
	for name, b := range s.buyers {
		if b.Counts().Pings != 0 {
			t.Errorf("%s was pinged", name)
		}
	}
	l.State, l.Zip = "NV", "89101"
	r = s.ping(&l, "")
	s.is(&r, 200, "status", "accepted", "price", "23.20")
	l.Age = 25
	r = s.ping(&l, "")
	s.is(&r, 200, "status", "accepted", "price", "24.00")
}

// closedNow is hours that are over or far: half a day away, in the house's zone.
func closedNow() string {
	zone, err := time.LoadLocation("America/New_York")
	if err != nil {
		panic("BUG: no time zones on this machine: " + err.Error())
	}
	h := (time.Now().In(zone).Hour() + 12) % 23
	clock := func(h int) string { return `"` + string([]byte{byte('0' + h/10), byte('0' + h%10)}) + `:00"` }
	return "{days: [mon, tue, wed, thu, fri, sat, sun], from: " + clock(h) + ", to: " + clock(h+1) + "}"
}

func TestReasonsOfAPing(t *testing.T) {
	s := newScene(t)
	acme := s.buyer("acme", world.Manner{})
	s.start()
	l := s.lead()
	r := s.ping(&l, "")
	s.is(&r, 200, "status", "rejected", "reason", "no_bid")
	acme.SetManner(world.Manner{BidMin: dollars(9), GarblePings: 1})
	r = s.ping(&l, "")
	s.is(&r, 200, "status", "rejected", "reason", "no_bid")
	acme.SetManner(world.Manner{BidMin: dollars(9), HangPings: 1})
	r = s.ping(&l, "")
	s.is(&r, 200, "status", "rejected", "reason", "timeout")
}
