package world

import (
	"errors"
	"regexp"
	"testing"
	"time"

	"vendue/exchange"
)

func startBuyer(t *testing.T, m Manner) (*Buyer, *Client) {
	t.Helper()
	ln, err := Listen()
	if err != nil {
		t.Fatal(err)
	}
	b := NewBuyer("acme", 7, m)
	b.Start(ln)
	t.Cleanup(b.Close)
	c := NewClient(ln.Addr().String(), nil)
	t.Cleanup(c.Close)
	return b, c
}

const onePost = `{"lead_id":"L1","ping_id":"P1","bid_id":"P1-1","price":21.50,"contract":"acme-west","lead":{"phone":"+16025550100"}}`

func TestBuyerManners(t *testing.T) {
	for _, tc := range []struct {
		name       string
		manner     Manner
		path       string
		wantStatus int // 0: no answer
		wantBody   string
		wantTold   Told
		wantAccept bool
	}{
		{"bids", Manner{BidMin: cents(1000), BidMax: cents(1000), ExpiresIn: 60}, "/ping", 200, `{"bid":10.00,"expires_in":60,"token":"t1"}`, "", false},
		{"never bids", Manner{}, "/ping", 204, "", "", false},
		{"declines", Manner{BidMin: cents(1000), NoBid: 1}, "/ping", 204, "", "", false},
		{"garbles a ping", Manner{BidMin: cents(1000), GarblePings: 1}, "/ping", 200, "<html><body>Service is busy</body></html>", "", false},
		{"hangs on a ping", Manner{BidMin: cents(1000), HangPings: 1}, "/ping", 0, "", "", false},
		{"is down", Manner{BidMin: cents(1000), Up: 1, Down: time.Hour}, "/ping", 503, "", "", false},
		{"accepts", Manner{}, "/post", 200, `{"accepted":true,"id":"acme-P1-1","redirect_url":"https://acme.example.com/welcome"}`, ToldAnswer, true},
		{"refuses", Manner{RefusePosts: 1}, "/post", 200, `{"accepted":false,"reason":"not_wanted"}`, ToldAnswer, false},
		{"resets after the body", Manner{ResetPosts: 1}, "/post", 0, "", ToldReset, true},
		{"hangs on a post", Manner{HangPosts: 1}, "/post", 0, "", ToldHang, true},
		{"garbles a post", Manner{GarblePosts: 1}, "/post", 200, "<html><body>Thank you!</body></html>", ToldGarbage, true},
		{"is down for posts", Manner{Up: 1, Down: time.Hour, DownStatus: 429}, "/post", 429, "", ToldDown, false},
	} {
		t.Run(tc.name, func(t *testing.T) {
			b, c := startBuyer(t, tc.manner)
			reply, err := c.Do(Call{Method: "POST", Path: tc.path, Idem: "k1", Body: []byte(onePost), Timeout: 300 * time.Millisecond})
			if (err != nil) != (tc.wantStatus == 0) || reply.Status != tc.wantStatus || string(reply.Body) != tc.wantBody {
				t.Fatalf("got %d %s, error %v", reply.Status, reply.Body, err)
			}
			if err != nil && !errors.Is(err, ErrNoAnswer) {
				t.Errorf("want ErrNoAnswer, got %v", err)
			}
			if tc.path == "/ping" {
				return
			}
			want := Receipt{Buyer: "acme", Contract: "acme-west", LeadID: "L1", BidID: "P1-1", Key: "k1", Price: cents(2150), Accepted: tc.wantAccept, Told: tc.wantTold, Phone: "+16025550100"}
			if got := b.Receipts(); len(got) != 1 || got[0] != want {
				t.Errorf("got receipts %+v", got)
			}
		})
	}
}

func cents(n int64) exchange.Money { return exchange.Money(n) * exchange.Micro / 100 }

func TestBuyerRepeatsItsVerdict(t *testing.T) {
	b, c := startBuyer(t, Manner{RefusePosts: 0.5})
	for n := range 20 {
		idem := "k" + string(rune('a'+n))
		first, err := c.Post("/post", "", idem, onePost)
		if err != nil {
			t.Fatal(err)
		}
		again, err := c.Post("/post", "", idem, onePost)
		if err != nil || string(again.Body) != string(first.Body) {
			t.Fatalf("key %s: first %s, then %s, error %v", idem, first.Body, again.Body, err)
		}
	}
	counts := b.Counts()
	if counts.Posts != 40 || counts.Accepted+counts.Refused != 20 || counts.Accepted == 0 || counts.Refused == 0 {
		t.Errorf("got %+v", counts)
	}
	reply, err := c.Fetch("/receipts", "")
	if err != nil {
		t.Fatal(err)
	}
	lines, err := ReadLines[Receipt](reply.Body)
	if err != nil || len(lines) != 20 || lines[0] != b.Receipts()[0] || lines[0].Repeats != 1 {
		t.Errorf("got %d lines, error %v", len(lines), err)
	}
}

func TestTrackerKeepsWhatItRefused(t *testing.T) {
	ln, err := Listen()
	if err != nil {
		t.Fatal(err)
	}
	tr := NewTracker(1, TrackerManner{Flaky: 1})
	tr.Start(ln)
	t.Cleanup(tr.Close)
	c := NewClient(ln.Addr().String(), nil)
	t.Cleanup(c.Close)
	const path = "/postback?conv=v1&lead=L1&cid=x%2Fy&aff=blog-42&amount=4.30&event=lead.sold"
	for _, want := range []int{503, 200} {
		reply, err := c.Fetch(path, "")
		if err != nil || reply.Status != want {
			t.Fatalf("want %d, got %d, error %v", want, reply.Status, err)
		}
	}
	want := Notice{Path: "/postback", Conversion: "v1", LeadID: "L1", ClickID: "x/y", Affiliate: "blog-42", Event: "lead.sold", Amount: cents(430), Status: 503}
	if got := tr.Notices(); len(got) != 2 || got[0] != want || tr.Accepted() != 1 || tr.Count() != 2 {
		t.Errorf("got %+v", got)
	}
}

func TestPhonesNeverRepeat(t *testing.T) {
	valid := regexp.MustCompile(`^\+1[2-9]\d\d[2-9]\d{6}$`)
	seen := make(map[string]bool)
	for n := range uint64(200_000) {
		l := MakeLead(42, n)
		if seen[l.Phone] || (n%1000 == 0 && !valid.MatchString(l.Phone)) {
			t.Fatalf("lead %d has phone %s: repeated or no number", n, l.Phone)
		}
		seen[l.Phone] = true
	}
	if first, again := MakeLead(42, 5), MakeLead(42, 5); first != again || first == MakeLead(43, 5) {
		t.Error("a lead is not a function of its seed and number")
	}
}

func TestMetricsSum(t *testing.T) {
	m := ReadMetrics([]byte("# HELP x y\nx{a=\"1\",b=\"2\"} 3\nx{a=\"1\",b=\"4\"} 5\nx_total 7\nnonsense\n"))
	if m.Sum("x", `a="1"`) != 8 || m.Sum("x", `b="2"`) != 3 || m.Sum("x_total") != 7 || m.Sum("y") != 0 {
		t.Errorf("got %v", m)
	}
	m = ReadMetrics([]byte("s_bucket{c=\"a\",vmrange=\"1.0e-03...1.1e-03\"} 90\ns_bucket{c=\"a\",vmrange=\"2.0e-03...2.2e-03\"} 10\ns_bucket{c=\"b\",vmrange=\"5.0e-01...6.0e-01\"} 100\n"))
	if m.Quantile("s", 0.5, `c="a"`) != 0.0011 || m.Quantile("s", 0.95, `c="a"`) != 0.0022 || m.Quantile("s", 0.99) != 0.6 || m.Quantile("t", 0.5) != 0 {
		t.Errorf("quantiles are off: %v", m)
	}
}
