package e2e

import (
	"testing"

	"vendue/bench/house"
	"vendue/bench/world"
)

func TestMagicZipsForceAnEnding(t *testing.T) {
	s := newScene(t)
	s.buyer("high", bids(20))
	s.buyer("low", bids(18))
	s.start()
	for _, e := range []ending{
		{1, "00001", "accepted", "", 200, "sold", ""},
		{1, "00002", "rejected", "no_bid", 0, "", ""},
		{1, "00003", "accepted", "", 200, "rejected", "post_rejected"},
		{12, "00004", "accepted", "", 200, "sold", ""},
		{1, "00005", "accepted", "", 202, "pending", "unknown"},
		{1, "00006", "accepted", "", 200, "rejected", "duplicate"},
		{1, "00007", "rejected", "timeout", 0, "", ""},
	} {
		t.Run(e.zip, func(t *testing.T) {
			s.t = t
			for range e.times {
				s.forced(&e)
			}
		})
	}
	s.t = t
	for name, b := range s.buyers {
		if c := b.Counts(); c.Pings+c.Posts != 0 {
			t.Errorf("a forced ending called buyer %s: %+v", name, c)
		}
	}
}

// ending is what a magic zip forces. No post: the ping has no price.
type ending struct {
	times                 int // more than once where chance could hide a fault
	zip, ping, pingReason string
	postStatus            int
	post, postReason      string
}

// forced walks a lead through one magic zip and checks the ending.
func (s *scene) forced(e *ending) {
	s.t.Helper()
	l := s.lead()
	l.Zip = e.zip
	r := s.ping(&l, `,"test":true`)
	s.is(&r, 200, "status", e.ping, "reason", e.pingReason, "environment", "test")
	if e.post == "" {
		return
	}
	p := s.post(&r, &l, "")
	s.is(&p, e.postStatus, "status", e.post, "reason", e.postReason, "environment", "test")
	if e.zip == "00004" {
		s.is(&p, 200, "legs.#(status==\"sold\").status", "sold", "legs.#(status==\"rejected\").bid_id", r.Get("bids.0.bid_id").String())
	}
	now := s.status(p.Get("lead_id").String())
	s.is(&now, e.postStatus, "status", e.post)
}

func TestMagicZipsAreOrdinaryOutsideTests(t *testing.T) {
	s := newScene(t)
	acme := s.buyer("acme", bids(20))
	s.start()
	l := s.lead()
	l.Zip = "00002"
	r := s.ping(&l, "")
	s.is(&r, 200, "status", "accepted", "environment", "live")
	if acme.Counts().Pings != 1 {
		t.Error("the buyer was not asked")
	}
}

func TestTestLeadsTouchNoCapAndPayNobody(t *testing.T) {
	s := newScene(t)
	acme := s.buyer("acme", bids(20), "caps: [{per: day, leads: 1}]")
	tracker := s.tracker("blog-42", world.TrackerManner{})
	s.start()
	for n := range 3 {
		l := s.lead()
		body := directBody(&l, `,"source":{"affiliate":"blog-42","offer":"auto"}`)
		r, err := s.api.Post("/v1/direct", house.NorthTestKey, "", body)
		s.ok(err)
		s.is(&r, 200, "status", "sold", "environment", "test")
		if got := accepts(acme); len(got) != n+1 || !got[n].Test {
			t.Fatalf("the buyer is told that it is a test: %+v", got)
		}
	}
	l := s.lead()
	r := s.send("/v1/direct", directBody(&l, `,"source":{"affiliate":"blog-42","offer":"auto"}`), "")
	s.is(&r, 200, "status", "sold", "environment", "live")
	s.awaitNotices(tracker, 1)
	l = s.lead()
	r = s.send("/v1/direct", directBody(&l, ""), "")
	s.is(&r, 200, "status", "rejected", "reason", "no_eligible_contract")
	if n := tracker.Count(); n != 1 {
		t.Errorf("want one postback, got %d", n)
	}
}
