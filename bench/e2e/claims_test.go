package e2e

import (
	"fmt"
	"sync"
	"testing"
	"time"

	"vendue/bench/house"
	"vendue/bench/world"
)

// atOnce sends n requests at the same instant, each with an Idempotency-Key of
// its own, and counts the answers by status and reason.
func (s *scene) atOnce(n int, path string, body func(i int) string) map[string]int {
	s.t.Helper()
	var mu sync.Mutex
	counts := make(map[string]int)
	gate := make(chan struct{})
	var wg sync.WaitGroup
	for i := range n {
		wg.Go(func() {
			<-gate
			r, err := s.api.Post(path, house.NorthKey, fmt.Sprintf("%d-%d", s.nextOne, i), body(i))
			if err != nil {
				s.t.Error(err)
				return
			}
			mu.Lock()
			counts[fmt.Sprintf("%d %s %s", r.Status, r.Get("status"), r.Get("reason"))]++
			mu.Unlock()
		})
	}
	close(gate)
	wg.Wait()
	return counts
}

// TestOnePingPostedByManyAtOnceSellsOnce gives each post a key of its own, so
// that only the ping itself stands between them.
func TestOnePingPostedByManyAtOnceSellsOnce(t *testing.T) {
	s := newScene(t)
	acme := s.buyer("acme", world.Manner{BidMin: dollars(20), PostDelay: world.Delay{Min: 50 * time.Millisecond}})
	s.start()
	for range 5 {
		l := s.lead()
		q := s.quote(&l)
		before := len(accepts(acme))
		persons := make([]world.Lead, 16)
		for i := range persons {
			persons[i] = s.lead()
		}
		counts := s.atOnce(len(persons), "/v1/post", func(i int) string { return postBody(q.Get("ping_id").String(), &persons[i]) })
		if counts["200 sold "] != 1 || len(accepts(acme)) != before+1 {
			t.Fatalf("want one sale of one ping, got %v and %d receipts", counts, len(accepts(acme))-before)
		}
	}
	r := world.Reconcile(&world.Books{Receipts: acme.Receipts(), Journal: s.journal(), Credits: -1})
	if err := r.Err(); err != nil {
		t.Error(err)
	}
}

// TestOnePersonSentByManyAtOnceIsSoldOnce races the duplicate rule through
// both doors, with a buyer that takes its time and one that fails now and then.
func TestOnePersonSentByManyAtOnceIsSoldOnce(t *testing.T) {
	s := newScene(t)
	acme := s.buyer("acme", world.Manner{BidMin: dollars(20), PostDelay: world.Delay{Min: 30 * time.Millisecond}})
	doubt := s.buyer("doubt", world.Manner{BidMin: dollars(19), ResetPosts: 0.5})
	s.start()
	for n := range 10 {
		l := s.lead()
		if n%2 == 1 {
			acme.SetManner(world.Manner{}) // only the doubtful one bids
		}
		counts := s.atOnce(12, "/v1/direct", func(int) string { return directBody(&l, "") })
		if sold := counts["200 sold "] + counts["202 pending unknown"]; sold != 1 || counts["200 rejected duplicate"] != 11 {
			t.Fatalf("round %d: want one sale or doubt and eleven duplicates, got %v", n, counts)
		}
		acme.SetManner(world.Manner{BidMin: dollars(20), PostDelay: world.Delay{Min: 30 * time.Millisecond}})
	}
	r := world.Reconcile(&world.Books{Receipts: append(acme.Receipts(), doubt.Receipts()...), Journal: s.journal(), Credits: -1})
	if err := r.Err(); err != nil {
		t.Error(err)
	}
}

// TestARefusedPersonMayBeSentAgain shows that a claim ends with its lead.
func TestARefusedPersonMayBeSentAgain(t *testing.T) {
	s := newScene(t)
	acme := s.buyer("acme", world.Manner{BidMin: dollars(20), RefusePosts: 1})
	s.start()
	l := s.lead()
	r := s.send("/v1/direct", directBody(&l, ""), "")
	s.is(&r, 200, "status", "rejected", "reason", "post_rejected")
	acme.SetManner(bids(20))
	r = s.send("/v1/direct", directBody(&l, ""), "")
	s.is(&r, 200, "status", "sold")
}
