package track

import (
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/VictoriaMetrics/metrics"
	"github.com/rs/zerolog"
	"github.com/valyala/fasthttp"

	"vendue/attribution"
	"vendue/attribution/internal/fake"
	"vendue/exchange"
)

// house is a tracker over a journal that a real attribution follows.
type house struct {
	*bench
	journal *fake.Journal
	room    *attribution.Attribution
	minter  *exchange.Minter
	broken  bool
}

func (h *house) Record(ev exchange.Event) error {
	if h.broken {
		return errors.New("the journal is down")
	}
	h.journal.Append(time.Now().UnixNano(), ev)
	return nil
}

func newHouse(t *testing.T) *house {
	t.Helper()
	h := &house{journal: fake.NewJournal(), minter: fake.NewMinter()}
	var err error
	h.room, err = attribution.New(attribution.Deps{Journal: h.journal, Space: fake.NewSpace(), Vault: vault{}, Log: zerolog.Nop(), Metrics: metrics.NewSet()})
	if err != nil {
		t.Fatal(err)
	}
	h.room.Start()
	t.Cleanup(h.room.Stop)
	h.bench = &bench{set: metrics.NewSet()}
	h.Tracker = New(Deps{Recorder: h, Decider: h.room, Vault: vault{}, Minter: h.minter, Log: zerolog.New(&h.log), Metrics: h.set})
	return h
}

// vault has fingerprints that tell things apart.
type vault struct{ fake.Vault }

func (vault) Fingerprint(parts ...string) exchange.Fingerprint {
	sum := sha256.Sum256([]byte(strings.Join(parts, "\x00")))
	return exchange.Fingerprint(sum[:16])
}

// use sets terms in the journal and in the tracker, as a config would.
func (h *house) use(rules exchange.OfferRules, confirm attribution.Confirm) {
	o := exchange.Offer{ID: "auto", Landing: "https://quotes.example.com/auto", Model: exchange.LastTouch, WindowSec: 3600, CookieSec: 60, OfferRules: rules,
		Commission: exchange.Commission{Rate: 100_000, Of: exchange.OfAmount, PaidBy: exchange.PaidByHouse}}
	h.journal.Append(time.Now().UnixNano(), &exchange.OfferSet{Offer: o.ID, Model: o.Model, WindowSec: o.WindowSec, Commission: o.Commission, OfferRules: rules})
	plain := exchange.Offer{ID: "plain", Landing: "https://quotes.example.com/plain", Model: exchange.LastTouch, WindowSec: 3600}
	h.Use(attribution.Config{
		Affiliates: []attribution.Affiliate{{ID: "blog-42", Token: sha256.Sum256([]byte("theirs"))}, {ID: "other"}}, Offers: []exchange.Offer{o, plain},
		Confirms: map[exchange.OfferID]attribution.Confirm{"auto": confirm}, Currency: exchange.Currency{Code: "USD", MinorDigits: 2},
		Coupons: map[string]exchange.AffiliateID{"save": "other"},
	})
}

func (h *house) clicked(t *testing.T, uri string, headers ...string) string {
	t.Helper()
	ctx := h.do("GET", uri, headers...)
	_, id, ok := strings.Cut(location(ctx), "click_id=")
	if !ok {
		t.Fatalf("no click: %s", location(ctx))
	}
	return id
}

var confirming = exchange.OfferRules{EarnOn: exchange.EarnConfirmed, Event: "bought"}

func offerToken() attribution.Confirm {
	return attribution.Confirm{Token: sha256.Sum256([]byte("s3cret"))}
}

func TestConversionTellsTheTruth(t *testing.T) {
	h := newHouse(t)
	h.use(confirming, offerToken())
	id, plain := h.clicked(t, "/c/auto?aff=blog-42&cid=X"), h.clicked(t, "/c/plain?aff=blog-42")
	old := h.minter.Click(time.Now().Add(-100 * 24 * time.Hour)).String()
	stale := h.minter.Click(time.Now().Add(-2 * time.Hour))
	h.journal.Append(time.Now().Add(-2*time.Hour).UnixNano(), &exchange.Clicked{ClickID: stale, Offer: "auto", Affiliate: "blog-42"})
	others := h.clicked(t, "/c/auto?aff=other")
	for _, c := range []struct {
		query  string
		status int
		says   string
	}{
		{"", 400, "click_id"},
		{"click_id=marker-77", 404, "no such click"},
		{"click_id=" + id[:31] + "!", 404, "no such click"},
		{"click_id=" + h.minter.Click(time.Now()).String(), 404, "no such click"},
		{"click_id=" + old, 410, "too old"},
		{"click_id=" + stale.String() + "&event=bought&token=s3cret", 410, "too old"},
		{"click_id=" + plain + "&event=bought&token=s3cret", 422, "does not pay for events"},
		{"click_id=" + id + "&event=bought", 401, "token"},
		{"click_id=" + id + "&event=bought&token=guess", 401, "token"},
		{"click_id=" + others + "&event=bought&token=theirs", 401, "token"},
		{"click_id=" + id + "&event=marker-77&token=s3cret", 422, "event"},
		{"click_id=" + id + "&event=bought&token=s3cret&amount=1,50", 422, "amount"},
		{"click_id=" + id + "&event=bought&token=s3cret&amount=-1", 422, "amount"},
		{"click_id=" + id + "&event=bought&token=s3cret&currency=EUR", 422, "currency"},
		{"click_id=" + id + "&event=bought&token=s3cret&status=maybe", 422, "status"},
		{"click_id=" + id + "&event=bought&token=s3cret&txid=" + strings.Repeat("x", 256), 422, "txid"},
		{"click_id=" + id + "&event=bought&token=s3cret&txid=1&status=rejected", 404, "never told"},
		{"click_id=" + id + "&event=bought&token=s3cret&txid=1&amount=49.99", 200, `"result":"accepted"`},
		{"click_id=" + id + "&event=bought&token=s3cret&txid=1&amount=49.99&currency=usd", 200, `"result":"duplicate"`},
		{"click_id=" + id + "&event=bought&token=s3cret&txid=1&amount=50", 409, "told before"},
		{"cid=" + id + "&goal=bought&ptoken=theirs&order_id=2&sum=10", 200, `"credited":true`},
		{"click_id=" + id + "&event=bought&token=s3cret&txid=1&amount=49.99&status=rejected", 200, `"result":"reversed"`},
		{"click_id=" + id + "&event=bought&token=s3cret&txid=1&status=rejected", 200, `"result":"duplicate"`},
		{"click_id=" + id + "&event=bought&token=guess&compat=200", 200, `"status":401`},
	} {
		ctx := h.do("GET", "/conversion?"+c.query)
		if body := string(ctx.Response.Body()); ctx.Response.StatusCode() != c.status || !strings.Contains(body, c.says) || !json.Valid([]byte(body)) {
			t.Errorf("%s: %d %s, want %d %s", c.query, ctx.Response.StatusCode(), body, c.status, c.says)
		}
		if bytes.Contains(ctx.Response.Body(), []byte("marker-77")) {
			t.Errorf("%s was echoed", c.query)
		}
	}
	st := h.room.Stats()
	if st.Events.Told != 2 || st.Events.Credited != 1 || st.Reversed != 1 || st.Commission != 1_000_000 {
		t.Errorf("stats: %+v", st)
	}
	if n := h.metric(`conversions_total{result="duplicate"}`); n != "2" {
		t.Errorf("%s duplicates were counted", n)
	}
}

// TestManyTellTheSameAtOnce has one event told by many at once: it is credited once, and each is told so.
func TestManyTellTheSameAtOnce(t *testing.T) {
	h := newHouse(t)
	h.use(confirming, offerToken())
	id := h.clicked(t, "/c/auto?aff=blog-42")
	var wg sync.WaitGroup
	for range 32 {
		wg.Go(func() {
			if ctx := h.do("POST", "/conversion?click_id="+id+"&event=bought&token=s3cret&txid=1&amount=10"); ctx.Response.StatusCode() != 200 {
				t.Errorf("%d %s", ctx.Response.StatusCode(), ctx.Response.Body())
			}
		})
	}
	wg.Wait()
	if st := h.room.Stats(); st.Events.Told != 1 || st.Events.Credited != 1 || st.Commission != 1_000_000 {
		t.Errorf("stats: %+v", st)
	}
}

func TestAJournalThatIsDownIsNoAcceptance(t *testing.T) {
	h := newHouse(t)
	h.use(confirming, offerToken())
	id := h.clicked(t, "/c/auto?aff=blog-42")
	h.broken = true
	ctx := h.do("GET", "/conversion?click_id="+id+"&event=bought&token=s3cret")
	if ctx.Response.StatusCode() != 503 || string(ctx.Response.Header.Peek("Retry-After")) != "1" {
		t.Errorf("%d %s", ctx.Response.StatusCode(), ctx.Response.Body())
	}
}

func TestPixels(t *testing.T) {
	h := newHouse(t)
	gifs := func(ctx *fasthttp.RequestCtx) string {
		if ctx.Response.StatusCode() != 200 || len(ctx.Response.Body()) != 43 || string(ctx.Response.Header.ContentType()) != "image/gif" ||
			string(ctx.Response.Header.Peek("Cache-Control")) != "no-store" {
			t.Errorf("%s", ctx.Response.String())
		}
		return string(ctx.Response.Header.PeekCookie(cookieView))
	}
	rules := confirming
	h.use(rules, attribution.Confirm{Token: sha256.Sum256([]byte("s3cret"))})
	gifs(h.do("GET", "/p.gif?offer=auto&aff=blog-42")) // sights earn nothing here, so none is kept
	id := h.clicked(t, "/c/auto?aff=blog-42")
	gifs(h.do("GET", "/p.gif?offer=auto&event=bought&cid="+id)) // nor is a browser's word taken
	rules.ViewSec = 60
	h.use(rules, attribution.Confirm{Pixel: true})
	if gifs(h.do("GET", "/p.gif?offer=auto")) != "" || gifs(h.do("HEAD", "/p.gif?offer=auto&aff=blog-42")) != "" ||
		gifs(h.do("GET", "/p.gif?offer=auto&aff=blog-42", "Purpose", "prefetch")) != "" {
		t.Error("what nobody saw, or nobody could earn by, got a cookie")
	}
	cookie := gifs(h.do("GET", "/p.gif?offer=auto&aff=blog-42&cid=V", "Cookie", "vd_cid="+id))
	if !strings.HasPrefix(cookie, "vd_vid=") {
		t.Fatalf("cookie: %s", cookie)
	}
	gifs(h.do("GET", "/p.gif?offer=auto&event=bought&amount=99&txid=7", "Cookie", "vd_cid="+id))
	gifs(h.do("GET", "/p.gif?offer=plain&event=bought&txid=8", "Cookie", "vd_cid="+id))
	var views, events []string
	for _, e := range h.journal.Entries() {
		switch ev := e.Event.(type) {
		case *exchange.Clicked:
			if ev.View {
				views = append(views, ev.Prev.String())
			}
		case *exchange.Converted:
			events = append(events, ev.Event+" "+ev.Amount.String())
		}
	}
	if len(views) != 1 || views[0] != id || len(events) != 1 || events[0] != "bought 0.00" {
		t.Errorf("views %v, events %v", views, events)
	}
}

func TestAClickLeadsBackAndBearsACoupon(t *testing.T) {
	h := newHouse(t)
	h.use(exchange.OfferRules{ViewSec: 60}, attribution.Confirm{})
	first := h.clicked(t, "/c/auto?aff=blog-42&gclid=G")
	second := h.clicked(t, "/c/auto?aff=other&code=SAVE", "Cookie", "vd_cid="+first)
	h.clicked(t, "/c/auto", "Cookie", "vd_cid="+second[:31]+"!")
	var prev, coupon []string
	for _, e := range h.journal.Entries() {
		if ev, ok := e.Event.(*exchange.Clicked); ok {
			prev, coupon = append(prev, ev.Prev.String()), append(coupon, string(ev.Coupon))
		}
	}
	none := exchange.ClickID{}.String()
	if len(prev) != 3 || prev[0] != none || prev[1] != first || prev[2] != none || strings.Join(coupon, ",") != ",other," {
		t.Errorf("before %v, coupons %v", prev, coupon)
	}
}

func TestLandingPages(t *testing.T) {
	b := newBench()
	b.Use(attribution.Config{
		Affiliates: []attribution.Affiliate{{ID: "blog-42"}},
		Offers: []exchange.Offer{{ID: "auto", Landing: "https://q.example/{affiliate_id}/{offer_id}?c={aff_click_id}&s={sub2}",
			Landings: map[string]string{"long": "https://long.example/?x={click_id}"}}},
	})
	for uri, want := range map[string]string{
		"/c/auto?aff=blog-42&cid=%2F%3F%26%23..%0d%0aSet-Cookie:x&sub2=%C3%A9": "https://q.example/blog-42/auto?c=%2F%3F%26%23..%0D%0ASet-Cookie%3Ax&s=%C3%A9&click_id=ID",
		"/c/auto?aff=nobody":                          "https://q.example//auto?c=&s=&click_id=ID",
		"/c/auto?aff=blog-42&lp=long":                 "https://long.example/?x=ID",
		"/c/auto?aff=blog-42&lp=https://evil.example": "https://q.example/blog-42/auto?c=&s=&click_id=ID",
	} {
		b.rec.clicks = nil
		ctx := b.do("GET", uri)
		if want = strings.Replace(want, "ID", b.rec.clicks[0].ClickID.String(), 1); location(ctx) != want {
			t.Errorf("%s\n got %s\nwant %s", uri, location(ctx), want)
		}
		if ctx.Response.Header.PeekCookie(cookieClick) != nil {
			t.Error("an offer without a cookie's life set one")
		}
	}
	ctx := b.do("GET", "/c/auto?aff=blog-42&lp=long&noredirect=1")
	var got struct{ ClickID, URL string }
	if err := json.Unmarshal(bytes.Replace(ctx.Response.Body(), []byte("click_id"), []byte("ClickID"), 1), &got); err != nil ||
		ctx.Response.StatusCode() != 200 || got.URL != "https://long.example/?x="+got.ClickID || got.ClickID == "" {
		t.Errorf("%d %s", ctx.Response.StatusCode(), ctx.Response.Body())
	}
}

func TestLandingFaults(t *testing.T) {
	for url, want := range map[string]string{
		"https://{sub1}.example/":     "before the path",
		"{sub1}://x.example/":         "before the path",
		"https://x.example:{sub1}/":   "before the path",
		"https://x.example{sub1}/":    "before the path",
		"https://x.example/{clickid}": "unknown macro {clickid}",
		"https://x.example/{sub1":     "without its }",
	} {
		if _, err := attribution.ParseLanding(url); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %s", url, err, want)
		}
	}
}
