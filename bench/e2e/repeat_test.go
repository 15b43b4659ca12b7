package e2e

import (
	"bytes"
	"strings"
	"sync"
	"testing"
	"time"

	"vendue/bench/house"
	"vendue/bench/world"
)

func TestTheSameKeyGetsTheSameBytes(t *testing.T) {
	s := newScene(t)
	acme := s.buyer("acme", bids(20))
	s.start()
	l := s.lead()
	q := s.quote(&l)
	first := s.post(&q, &l, "same")
	s.is(&first, 200, "status", "sold")
	again := s.post(&q, &l, "same")
	if !bytes.Equal(first.Body, again.Body) || again.Status != first.Status {
		t.Errorf("want the same bytes:\n%s\n%s", first.Body, again.Body)
	}
	inBody := s.send("/v1/post", strings.TrimSuffix(postBody(q.Get("ping_id").String(), &l), "}")+`,"idempotency_key":"same"}`, "")
	if inBody.Status != 200 && inBody.Status != 422 {
		t.Errorf("the key in the body is the same key: %d %s", inBody.Status, inBody.Body)
	}
	l2 := s.lead()
	other := s.send("/v1/post", postBody(q.Get("ping_id").String(), &l2), "same")
	s.is(&other, 422)
	refused := s.sellDuplicate(&l)
	s.proc.Kill()
	s.resume()
	again = s.post(&q, &l, "same")
	if !bytes.Equal(first.Body, again.Body) {
		t.Errorf("want the same bytes after a crash:\n%s\n%s", first.Body, again.Body)
	}
	again = s.send("/v1/direct", directBody(&l, ""), "dup")
	if !bytes.Equal(refused.Body, again.Body) {
		t.Errorf("want the same refusal after a crash:\n%s\n%s", refused.Body, again.Body)
	}
	if n := len(acme.Receipts()); n != 1 {
		t.Errorf("the buyer got %d posts", n)
	}
	if r, err := s.api.Post("/v1/post", house.SouthKey, "same", postBody(q.Get("ping_id").String(), &l)); err != nil || r.Status == 200 && r.Get("status").String() == "sold" {
		t.Errorf("a key belongs to its seller: %v %s", err, r.Body)
	}
}

func (s *scene) sellDuplicate(l *world.Lead) world.Reply {
	s.t.Helper()
	r := s.send("/v1/direct", directBody(l, ""), "dup")
	s.is(&r, 200, "status", "rejected", "reason", "duplicate")
	return r
}

func TestTheSameKeyAtOnceSellsOnce(t *testing.T) {
	s := newScene(t)
	acme := s.buyer("acme", world.Manner{BidMin: dollars(20), PostDelay: world.Delay{Min: 150 * time.Millisecond}})
	s.start()
	l := s.lead()
	q := s.quote(&l)
	const clients = 8
	replies := make([]world.Reply, clients)
	var wg sync.WaitGroup
	for i := range replies {
		wg.Go(func() {
			r, err := s.api.Post("/v1/post", house.NorthKey, "at-once", postBody(q.Get("ping_id").String(), &l))
			if err != nil {
				t.Error(err)
			}
			replies[i] = r
		})
	}
	wg.Wait()
	var sold []byte
	for i := range replies {
		switch r := &replies[i]; r.Status {
		case 409:
		case 200:
			s.is(r, 200, "status", "sold")
			if sold != nil && !bytes.Equal(sold, r.Body) {
				t.Errorf("two answers under one key:\n%s\n%s", sold, r.Body)
			}
			sold = r.Body
		default:
			t.Errorf("want 200 or 409, got %d %s", r.Status, r.Body)
		}
	}
	if sold == nil || len(acme.Receipts()) != 1 {
		t.Errorf("want one sale: %+v", acme.Receipts())
	}
}

func TestPendingIsToldAsItStandsNow(t *testing.T) {
	s := newScene(t)
	s.buyer("acme", world.Manner{BidMin: dollars(20), ResetPosts: 1})
	s.start()
	l := s.lead()
	q := s.quote(&l)
	p := s.post(&q, &l, "k")
	s.is(&p, 202, "status", "pending")
	id := p.Get("lead_id").String()
	s.proc.Kill()
	s.resume()
	p = s.post(&q, &l, "k")
	s.is(&p, 202, "status", "pending", "lead_id", id)
	r, err := s.api.Post("/v1/buyers/outcome", house.BuyerKey("acme"), "", `{"lead_id":"`+id+`","accepted":true}`)
	s.ok(err)
	s.is(&r, 200)
	p = s.post(&q, &l, "k")
	s.is(&p, 200, "status", "sold", "lead_id", id)
}

func TestAPingServesOnce(t *testing.T) {
	s := newScene(t)
	s.buyer("acme", bids(20))
	s.start()
	l := s.lead()
	q := s.quote(&l)
	p := s.post(&q, &l, "one")
	s.is(&p, 200, "status", "sold")
	l2 := s.lead()
	used := s.post(&q, &l2, "two")
	s.is(&used, 200, "status", "rejected", "reason", "ping_used", "lead_id", p.Get("lead_id").String())
	s.proc.Kill()
	s.resume()
	used = s.post(&q, &l2, "three")
	s.is(&used, 200, "status", "rejected", "reason", "ping_used", "lead_id", p.Get("lead_id").String())
}

func TestPingsGoneAndForged(t *testing.T) {
	s := newScene(t)
	s.buyer("acme", bids(20))
	s.cfg.Campaign = []string{"window: 250ms", "quote_ttl: 1s", "floor: 5.00", "margin: 20%"}
	s.start()
	l := s.lead()
	q := s.quote(&l)
	id := q.Get("ping_id").String()
	forged := "0" + id[1:]
	if id[0] == '0' {
		forged = id[:len(id)-1] + flip(id[len(id)-1])
	}
	for _, unknown := range []string{forged, strings.Repeat("x", 32), "short"} {
		r := s.send("/v1/post", postBody(unknown, &l), "")
		s.is(&r, 200, "status", "rejected", "reason", "ping_unknown")
	}
	s.eventually(5*time.Second, "the quote expires", func() bool { return q.Get("expires_at").Time().Before(time.Now()) })
	r := s.post(&q, &l, "")
	s.is(&r, 200, "status", "rejected", "reason", "ping_expired")
	q = s.quote(&l)
	r, err := s.api.Post("/v1/post", house.SouthKey, "", postBody(q.Get("ping_id").String(), &l))
	s.ok(err)
	if r.Get("status").String() == "sold" {
		t.Errorf("another seller posted to a quote: %s", r.Body)
	}
}

func flip(c byte) string {
	if c == 'z' {
		return "y"
	}
	return "z"
}

func TestARepeatedRefIsCached(t *testing.T) {
	s := newScene(t)
	acme := s.buyer("acme", bids(20))
	s.start()
	l := s.lead()
	first := s.ping(&l, `,"ref":"r-1"`)
	s.is(&first, 200, "status", "accepted", "cached", "")
	again := s.ping(&l, `,"ref":"r-1"`)
	s.is(&again, 200, "status", "accepted", "cached", "true", "ping_id", first.Get("ping_id").String(), "price", "16.00", "expires_at", first.Get("expires_at").String())
	other := s.ping(&l, `,"ref":"r-2"`)
	s.is(&other, 200, "status", "accepted", "cached", "")
	if n := acme.Counts().Pings; n != 2 {
		t.Errorf("want two pings to the buyer, got %d", n)
	}
}
