package e2e

import (
	"bytes"
	"strings"
	"testing"
	"time"

	"vendue/bench/house"
	"vendue/bench/world"
)

// TestThePingsFieldsStand posts a lead whose ping fields have changed: the
// winner gets what it bid on.
func TestThePingsFieldsStand(t *testing.T) {
	s := newScene(t)
	m := bids(20)
	m.Keep = true
	acme := s.buyer("acme", m, "where: {state: [AZ]}")
	s.start()
	l := s.lead()
	q := s.quote(&l)
	l.State, l.Zip, l.Age = "NY", "10001", 88
	p := s.post(&q, &l, "")
	s.is(&p, 200, "status", "sold")
	body := string(acme.Kept()[1])
	for _, want := range []string{`"zip":"85001"`, `"state":"AZ"`, `"age":41`, `"phone":"` + l.Phone + `"`, `"insured":true`, `"price":20.00`} {
		if !strings.Contains(body, want) {
			t.Errorf("the winner's post lacks %s: %s", want, body)
		}
	}
	if n := s.metrics().Sum("vendue_api_changed_fields_total"); n != 3 {
		t.Errorf("want three changed fields counted, got %v", n)
	}
}

// TestValuesAreNormalisedAtTheDoor sends what sellers really send.
func TestValuesAreNormalisedAtTheDoor(t *testing.T) {
	s := newScene(t)
	m := bids(20)
	m.Keep = true
	acme := s.buyer("acme", m, "where: {state: [AZ], insured: true}")
	s.start()
	body := `{"campaign":"north-auto","unheard_of":1,"lead":{"zip":"85001-1234","state":"arizona","age":"41","insured":"Y","credit":"GOOD",
		"first_name":" Ada ","last_name":"O\u0027Neil","phone":"(602) 555-0123","email":"Ada@Example.COM","shoe_size":9}}`
	r := s.send("/v1/direct", body, "")
	s.is(&r, 200, "status", "sold")
	post := string(acme.Kept()[1])
	for _, want := range []string{`"zip":"85001"`, `"state":"AZ"`, `"age":41`, `"insured":true`, `"credit":"good"`, `"first_name":"Ada"`, `"last_name":"O'Neil"`,
		`"phone":"+16025550123"`, `"email":"ada@example.com"`} {
		if !strings.Contains(post, want) {
			t.Errorf("the winner's post lacks %s: %s", want, post)
		}
	}
	if strings.Contains(post, "shoe_size") {
		t.Errorf("an unknown field went through: %s", post)
	}
}

func TestTheBuyersWireFormat(t *testing.T) {
	s := newScene(t)
	m := bids(21.5)
	m.Keep = true
	acme := s.buyer("acme", m)
	s.start()
	l := s.lead()
	q := s.ping(&l, `,"consent":{"captured_at":"2026-01-05T10:00:00Z","page_url":"https://example.com/form"}`)
	s.is(&q, 200, "status", "accepted")
	p := s.post(&q, &l, "")
	s.is(&p, 200, "status", "sold")
	kept := acme.Kept()
	if len(kept) != 2 {
		t.Fatalf("want a ping and a post, got %d", len(kept))
	}
	ping, post := world.Reply{Body: kept[0]}, world.Reply{Body: kept[1]}
	s.is(&ping, 0, "ping_id", q.Get("ping_id").String(), "vertical", "auto", "contract", "acme", "test", "false", "sale", "exclusive", "lead.zip", "85001")
	if tmax := ping.Get("tmax_ms").Int(); tmax < 150 || tmax > 200 {
		t.Errorf("tmax_ms is what is left for this buyer, not %d", tmax)
	}
	s.is(&post, 0, "lead_id", p.Get("lead_id").String(), "ping_id", q.Get("ping_id").String(), "bid_id", q.Get("bids.0.bid_id").String(), "token", "t1",
		"price", "21.50", "vertical", "auto", "contract", "acme", "test", "false", "lead.email", l.Email, "consent.page_url", "https://example.com/form")
	if key := acme.Receipts()[0].Key; strings.HasPrefix(key, "none:") {
		t.Error("the post has no Idempotency-Key")
	}
}

// TestStrangersLearnNothing asks for one seller's lead with others' keys.
func TestStrangersLearnNothing(t *testing.T) {
	s := newScene(t)
	s.buyer("acme", bids(20))
	s.start()
	p := s.sell("")
	s.is(&p, 200, "status", "sold")
	id := p.Get("lead_id").String()
	for _, key := range []string{"", "vd_nobody", house.SouthKey, house.BuyerKey("acme")} {
		r, err := s.api.Fetch("/v1/leads/"+id, key)
		s.ok(err)
		if r.Status != 401 && r.Status != 403 && r.Status != 404 || bytes.Contains(r.Body, []byte("20")) && bytes.Contains(r.Body, []byte("sold")) {
			t.Errorf("key %q: %d %s", key, r.Status, r.Body)
		}
	}
}

func TestBidIDsChooseAmongTheQuotedLegs(t *testing.T) {
	s := newScene(t)
	s.buyer("acme", bids(20))
	s.start()
	l := s.lead()
	q := s.quote(&l)
	ping, bid := q.Get("ping_id").String(), q.Get("bids.0.bid_id").String()
	with := func(bids string) string {
		return strings.Replace(postBody(ping, &l), `"lead"`, `"bid_ids":`+bids+`,"lead"`, 1)
	}
	for _, bad := range []string{`["nonsense"]`, `["` + ping + `-9"]`, `"` + bid + `x"`, `[7]`} {
		r := s.send("/v1/post", with(bad), "")
		if r.Status != 422 || r.Get("errors.0.field").String() != "bid_ids" {
			t.Errorf("bid_ids %s: want 422, got %d %s", bad, r.Status, r.Body)
		}
	}
	r := s.send("/v1/post", with(`["`+bid+`"]`), "")
	s.is(&r, 200, "status", "sold", "legs.0.bid_id", bid)
}

func TestABidsOwnExpiryShortensTheQuote(t *testing.T) {
	s := newScene(t)
	m := bids(20)
	m.ExpiresIn = 2
	s.buyer("acme", m)
	s.start()
	l := s.lead()
	q := s.quote(&l)
	if in := q.Get("expires_in").Int(); in < 1 || in > 2 {
		t.Errorf("the buyer's bid lives 2 s, the quote %d", in)
	}
	s.eventually(5*time.Second, "the bid expires", func() bool { return q.Get("expires_at").Time().Add(10 * time.Millisecond).Before(time.Now()) })
	r := s.post(&q, &l, "")
	s.is(&r, 200, "status", "rejected", "reason", "ping_expired")
}

func TestMaxBidGuardsAgainstAWildBuyer(t *testing.T) {
	s := newScene(t)
	s.buyer("wild", bids(9999))
	s.contract("wild").PingLine = "timeout: 200ms, max_bid: 60"
	s.buyer("tame", bids(10))
	s.start()
	l := s.lead()
	q := s.ping(&l, "")
	s.is(&q, 200, "status", "accepted", "price", "8.00")
}
