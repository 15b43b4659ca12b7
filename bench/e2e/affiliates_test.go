package e2e

import (
	"net/url"
	"strings"
	"testing"
	"time"

	"vendue/bench/house"
	"vendue/bench/world"
)

func (s *scene) awaitNotices(tr *world.Tracker, n int) {
	s.t.Helper()
	s.eventually(15*time.Second, "the postbacks arrive", func() bool { return tr.Accepted() >= n })
}

// click walks through an offer's link and returns our click id.
func (s *scene) click(query string) string {
	s.t.Helper()
	r, err := s.api.Fetch("/c/auto?"+query, "")
	s.ok(err)
	s.is(&r, 302)
	to, err := url.Parse(r.Location)
	s.ok(err)
	if to.Host != "quotes.example.com" || to.Query().Get("from") != "vendue" || to.Query().Get("click_id") == "" {
		s.t.Fatalf("the landing page is off: %s", r.Location)
	}
	if !strings.Contains(r.Cookie, to.Query().Get("click_id")) || !strings.Contains(r.Cookie, "HttpOnly") {
		s.t.Errorf("want a first-party cookie with the click id, got %q", r.Cookie)
	}
	return to.Query().Get("click_id")
}

func TestASaleThroughAClickIsToldOnce(t *testing.T) {
	s := newScene(t)
	s.buyer("acme", bids(21.50))
	tracker := s.tracker("blog-42", world.TrackerManner{Flaky: 1})
	s.start()
	l := s.lead()
	id := s.click("aff=blog-42&cid=their%2Fclick&sub1=a")
	r := s.send("/v1/direct", directBody(&l, `,"source":{"click_id":"`+id+`"}`), "k")
	s.is(&r, 200, "status", "sold", "price", "17.20")
	s.awaitNotices(tracker, 1)
	got := tracker.Notices()
	if len(got) != 2 || got[0].Conversion != got[1].Conversion || got[0].Conversion == "" {
		t.Fatalf("want a refused postback and its repeat under one id: %+v", got)
	}
	n := got[1]
	if n.ClickID != "their/click" || n.Amount != dollars(4.30) || n.Affiliate != "blog-42" || n.Event != "lead.sold" || n.LeadID != r.Get("lead_id").String() {
		t.Errorf("the postback says %+v", n)
	}
	s.proc.Kill()
	s.resume()
	l = s.lead()
	r = s.send("/v1/direct", directBody(&l, `,"source":{"affiliate":"blog-42","offer":"auto","click_id":"own-2"}`), "k2")
	s.is(&r, 200, "status", "sold")
	s.awaitNotices(tracker, 2)
	report := world.Reconcile(&world.Books{
		Journal: s.journal(), Receipts: s.buyers["acme"].Receipts(), Notices: tracker.Notices(), Postbacks: true, Credits: -1,
	})
	if err := report.Err(); err != nil || report.Brought != 2 || report.Conversions != 2 {
		t.Errorf("error %v, report %+v", err, report)
	}
}

// TestOddClicksNeverStopASale also shows that an affiliate without an offer
// earns by the only offer there is.
func TestOddClicksNeverStopASale(t *testing.T) {
	s := newScene(t)
	acme := s.buyer("acme", bids(20))
	tracker := s.tracker("blog-42", world.TrackerManner{})
	s.start()
	ours := s.click("aff=blog-42&cid=x")
	forged := ours[:len(ours)-1] + flip(ours[len(ours)-1])
	for _, source := range []string{
		`{"click_id":"` + forged + `"}`, `{"affiliate":"nobody","offer":"auto"}`, `{"click_id":"` + s.click("aff=nobody&cid=x") + `"}`,
		`{"affiliate":"blog-42"}`, `{"click_id":"` + ours + `"}`,
	} {
		l := s.lead()
		r := s.send("/v1/direct", directBody(&l, `,"source":`+source), "")
		s.is(&r, 200, "status", "sold")
	}
	s.awaitNotices(tracker, 2)
	report := world.Reconcile(&world.Books{Journal: s.journal(), Receipts: acme.Receipts(), Notices: tracker.Notices(), Postbacks: true, Credits: -1})
	if err := report.Err(); err != nil || report.SaleLegs != 5 || report.Brought != 2 || report.Conversions != 2 {
		t.Errorf("want five sales and two credits, got %+v, error %v", report, err)
	}
}

func TestClicksAndPixels(t *testing.T) {
	s := newScene(t)
	s.buyer("acme", bids(20))
	s.start()
	r, err := s.api.Fetch("/c/nothing?aff=x", "")
	s.ok(err)
	s.is(&r, 404)
	r, err = s.api.Fetch("/p.gif?offer=auto&event=view", "")
	s.ok(err)
	s.is(&r, 200)
	if len(r.Body) != 43 || !strings.HasPrefix(r.Type, "image/gif") {
		t.Errorf("want 43 bytes of GIF, got %d of %s", len(r.Body), r.Type)
	}
	r, err = s.api.Fetch("/conversion?click_id=nonsense&event=sale&txid=1", "")
	s.ok(err)
	if r.Status < 400 || r.Status >= 500 {
		t.Errorf("want a 4xx for an unknown click, got %d %s", r.Status, r.Body)
	}
}

func TestAPendingSaleIsCreditedWhenItIsSettled(t *testing.T) {
	s := newScene(t)
	s.buyer("acme", world.Manner{BidMin: dollars(20), ResetPosts: 1})
	tracker := s.tracker("blog-42", world.TrackerManner{})
	s.start()
	l := s.lead()
	r := s.send("/v1/direct", directBody(&l, `,"source":{"affiliate":"blog-42","offer":"auto"}`), "")
	s.is(&r, 202, "status", "pending")
	if tracker.Count() != 0 {
		t.Error("a lead in doubt was told as sold")
	}
	n, err := world.Settle(s.api, house.BuyerKey("acme"), world.Untold(s.buyers["acme"].Receipts()))
	if err != nil || n != 1 {
		t.Fatalf("settled %d, error %v", n, err)
	}
	s.awaitNotices(tracker, 1)
	if got := tracker.Notices(); len(got) != 1 || got[0].Amount != dollars(4) {
		t.Errorf("got %+v", got)
	}
}
