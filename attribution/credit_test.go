package attribution

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/VictoriaMetrics/metrics"
	"github.com/cockroachdb/datadriven"
	"github.com/rs/zerolog"

	"vendue/attribution/internal/fake"
	"vendue/exchange"
)

// story is a journal told in short commands.
type story struct {
	t       *testing.T
	journal *fake.Journal
	space   *fake.Space
	room    *Attribution
	minter  *exchange.Minter
	clicks  map[string]exchange.ClickID
	leads   map[string]exchange.LeadID
	shown   uint64
}

func newStory(t *testing.T) *story {
	s := &story{t: t, journal: fake.NewJournal(), space: fake.NewSpace(), minter: fake.NewMinter(),
		clicks: make(map[string]exchange.ClickID), leads: make(map[string]exchange.LeadID)}
	s.room = newRoom(t, s.journal, s.space)
	return s
}

func newRoom(t testing.TB, j Journal, space Space) *Attribution {
	t.Helper()
	a, err := New(Deps{Journal: j, Space: space, Vault: fake.Vault{}, Log: zerolog.Nop(), Metrics: newSet()})
	if err != nil {
		t.Fatal(err)
	}
	return a
}

func newSet() *metrics.Set { return metrics.NewSet() }

var epoch = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

func arg(d *datadriven.TestData, key, fallback string) string {
	for _, a := range d.CmdArgs {
		if a.Key == key && len(a.Vals) > 0 {
			return a.Vals[0]
		}
	}
	return fallback
}

func (s *story) at(d *datadriven.TestData) time.Time {
	after, err := time.ParseDuration(arg(d, "at", "0s"))
	if err != nil {
		s.t.Fatal(err)
	}
	return epoch.Add(after)
}

func (s *story) money(text string) exchange.Money {
	m, err := exchange.ParseMoney(text)
	if err != nil {
		s.t.Fatal(err)
	}
	return m
}

// event reads one command into an event.
func (s *story) event(d *datadriven.TestData) exchange.Event {
	name := d.CmdArgs[0].Key
	at := s.at(d)
	switch d.Cmd {
	case "offer":
		window, _ := time.ParseDuration(arg(d, "window", "720h"))
		rate := int64(250_000)
		d.MaybeScanArgs(s.t, "ppm", &rate)
		of := map[string]exchange.CommissionBase{"payout": exchange.OfPayout, "revenue": exchange.OfRevenue, "margin": exchange.OfMargin, "amount": exchange.OfAmount}
		by := map[string]exchange.CommissionPayer{"seller": exchange.PaidBySeller, "house": exchange.PaidByHouse}
		models := map[string]exchange.Model{"last_touch": exchange.LastTouch, "first_touch": exchange.FirstTouch, "last_non_direct": exchange.LastNonDirect}
		return &exchange.OfferSet{Offer: exchange.OfferID(name), Model: models[arg(d, "model", "last_touch")], OfferRules: s.rules(d), WindowSec: int64(window / time.Second), Removed: d.HasArg("removed"),
			Commission: exchange.Commission{Rate: exchange.PPM(rate), Of: of[arg(d, "of", "payout")], PaidBy: by[arg(d, "by", "seller")]}}
	case "click":
		s.clicks[name] = s.minter.Click(at)
		return &exchange.Clicked{ClickID: s.clicks[name], Offer: exchange.OfferID(arg(d, "offer", "auto")), Affiliate: exchange.AffiliateID(arg(d, "aff", "")),
			Foreign: fake.Vault{}.Seal(`{"cid":"` + arg(d, "cid", "") + `","subs":["one"]}`),
			View:    d.HasArg("view"), Prev: s.clicks[arg(d, "prev", "")], Coupon: exchange.AffiliateID(arg(d, "coupon", ""))}
	case "convert":
		var key exchange.Fingerprint
		copy(key[:], arg(d, "event", "bought")+"/"+arg(d, "txid", ""))
		return &exchange.Converted{ClickID: s.clicks[name], Event: arg(d, "event", "bought"), Key: key, Amount: s.money(arg(d, "amount", "0")),
			Currency: "USD", Rejected: d.HasArg("rejected")}
	case "post":
		attempt := 1
		d.MaybeScanArgs(s.t, "attempt", &attempt)
		ev := &exchange.PostStarted{Attempt: uint16(attempt), Leg: 1, Contract: "west", Buyer: "acme", Sale: exchange.SaleExclusive,
			Bid: s.money(arg(d, "bid", "20")), Payout: s.money(arg(d, "payout", "16"))}
		if attempt == 1 {
			s.leads[name] = s.minter.Lead(at)
			ev.Lead = s.facts(d)
		}
		ev.LeadID = s.leads[name]
		return ev
	case "end":
		attempt := 1
		d.MaybeScanArgs(s.t, "attempt", &attempt)
		outcomes := map[string]exchange.Outcome{"accepted": exchange.OutcomeAccepted, "rejected": exchange.OutcomeRejected, "unknown": exchange.OutcomeUnknown}
		status := map[string]exchange.LeadStatus{"accepted": exchange.LeadSold, "rejected": exchange.LeadOpen, "unknown": exchange.LeadPending}
		how := arg(d, "as", "accepted")
		return &exchange.PostEnded{LeadID: s.leads[name], Attempt: uint16(attempt), Outcome: outcomes[how], Status: status[how]}
	case "return":
		attempt := 1
		d.MaybeScanArgs(s.t, "attempt", &attempt)
		return &exchange.LegGivenBack{LeadID: s.leads[name], Attempt: uint16(attempt), Contract: "west", Buyer: "acme", Test: d.HasArg("test"), Reason: "invalid_phone",
			Bid: s.money(arg(d, "bid", "20")), Payout: s.money(arg(d, "payout", "16")), By: exchange.SettledByBuyer, Status: exchange.LeadReturned}
	case "settle":
		sold := arg(d, "as", "accepted") == "accepted"
		ev := &exchange.LegSettled{LeadID: s.leads[name], Attempt: 1, Accepted: sold, By: exchange.SettledByBuyer, Status: exchange.LeadRejected}
		if sold {
			ev.Status = exchange.LeadSold
		}
		return ev
	}
	s.t.Fatalf("%s: unknown command %s", d.Pos, d.Cmd)
	return nil
}

func (s *story) rules(d *datadriven.TestData) exchange.OfferRules {
	seconds := func(key string) int64 {
		window, err := time.ParseDuration(arg(d, key, "0s"))
		if err != nil {
			s.t.Fatal(err)
		}
		return int64(window / time.Second)
	}
	earn := map[string]exchange.EarnOn{"sold": exchange.EarnSold, "accepted": exchange.EarnAccepted, "confirmed": exchange.EarnConfirmed}
	return exchange.OfferRules{ViewSec: seconds("views"), CouponFirst: d.HasArg("coupon-first"), EarnOn: earn[arg(d, "earn", "sold")],
		NeedSold: d.HasArg("need-sold"), Event: arg(d, "event", ""), ConfirmSec: seconds("confirm"), FlatAmount: s.money(arg(d, "flat", "0"))}
}

func (s *story) facts(d *datadriven.TestData) *exchange.LeadFacts {
	f := &exchange.LeadFacts{Seller: "north", Campaign: "north-auto", Vertical: "auto", Currency: arg(d, "currency", "USD"), Test: d.HasArg("test")}
	f.Source.Affiliate = exchange.AffiliateID(arg(d, "aff", ""))
	f.Source.Offer = exchange.OfferID(arg(d, "offer", ""))
	f.Source.Coupon = exchange.AffiliateID(arg(d, "coupon", ""))
	f.Source.Cookie = s.clicks[arg(d, "cookie", "")]
	switch click := arg(d, "click", ""); {
	case click == "forged":
		text := []byte(s.minter.Click(epoch).String())
		text[31] ^= 1
		f.Source.Foreign = fake.Vault{}.Seal(`{"click_id":"` + string(text) + `"}`)
	case click == "lost":
		f.Source.Click = s.minter.Click(epoch)
	case strings.HasPrefix(click, "their-"):
		f.Source.Foreign = fake.Vault{}.Seal(`{"click_id":"` + click + `","subs":["x"]}`)
	case click != "":
		f.Source.Click = s.clicks[click]
	}
	return f
}

// step follows the journal to its end.
func (s *story) step(size int) {
	for {
		n, err := s.room.step(size)
		if err != nil {
			s.t.Fatal(err)
		}
		if n == 0 {
			return
		}
	}
}

// told writes the sales that are new, with their ledger.
func (s *story) told() string {
	var b strings.Builder
	err := s.room.Sales(s.shown+1, func(sale Sale) bool {
		s.shown = sale.Seq
		trigger := ""
		if sale.Trigger != TriggerSold || sale.Of > 0 {
			trigger = fmt.Sprintf(" %s of=%d", sale.Trigger, sale.Of)
		}
		if !sale.Credited() {
			fmt.Fprintf(&b, "uncredited seq=%d %s%s\n", sale.Seq, sale.Uncredited, trigger)
		}
		for i := range sale.Credits {
			c := &sale.Credits[i]
			own := valuesOf(fake.Vault{}, &sale, c, EventLeadSold)
			word := "credit"
			if !sale.Credited() {
				word = "pending"
			}
			fmt.Fprintf(&b, "%s seq=%d %s offer=%s %s %s theirs=%s%s\n", word, sale.Seq, c.Affiliate, sale.Offer, c.Amount, sale.rule.model, own[1], trigger)
		}
		if events := eventsOf(&sale); len(events) > 0 && sale.Trigger != TriggerSold || sale.Uncredited == WhyAwaiting {
			fmt.Fprintf(&b, "  tells %s\n", strings.Join(events, " "))
		}
		for _, t := range sale.Touches {
			fmt.Fprintf(&b, "  touch %s affiliate=%s offer=%s %s\n", t.Kind, t.Affiliate, t.Offer, t.Dropped)
		}
		_ = s.room.Ledger(sale.Seq, func(p Posting) bool {
			if p.Seq == sale.Seq {
				fmt.Fprintf(&b, "  %s %s %s\n", p.Account, p.Name, p.Amount)
			}
			return p.Seq == sale.Seq
		})
		return true
	})
	if err != nil {
		s.t.Fatal(err)
	}
	if b.Len() == 0 {
		return "nothing\n"
	}
	return b.String()
}

func TestCredits(t *testing.T) {
	datadriven.Walk(t, "testdata/credits", func(t *testing.T, path string) {
		s := newStory(t)
		datadriven.RunTest(t, path, func(t *testing.T, d *datadriven.TestData) string {
			s.t = t
			if d.Cmd == "stats" {
				st := s.room.Stats()
				more := ""
				if st.Events.Told+st.Accepted.Told+st.Reversed+st.Returned > 0 {
					more = fmt.Sprintf("events=%d/%d accepted=%d/%d reversed=%d awaited=%d\n", st.Events.Credited, st.Events.Told,
						st.Accepted.Credited, st.Accepted.Told, st.Reversed, len(s.space.Dump(prefixAwaited)))
				}
				if st.Returned > 0 {
					more += fmt.Sprintf("returned=%d revenue=%s payout=%s\n", st.Returned, st.Revenue, st.Payout)
				}
				return fmt.Sprintf("sold=%d credits=%d commission=%s cursor=%d open=%d\n%s", st.Sold, st.Credits, st.Commission, st.Cursor, len(s.space.Dump(prefixOpen)), more)
			}
			if d.Cmd == "idle" {
				n := 0
				d.ScanArgs(t, "events", &n)
				for range n {
					s.journal.Append(s.at(d).UnixNano(), &exchange.LimitSet{})
				}
				s.step(7)
				return s.told()
			}
			if d.Cmd == "kept" {
				return fmt.Sprintf("%d clicks\n", len(s.space.Dump(prefixClick)))
			}
			s.journal.Append(s.at(d).UnixNano(), s.event(d))
			s.step(batchMax)
			return s.told()
		})
		if report, err := s.room.Verify(t.Context()); err != nil || len(report.Faults) > 0 {
			t.Fatalf("verify: %v %v", err, report)
		}
	})
}

func TestWithin(t *testing.T) {
	const second = int64(time.Second)
	for _, c := range []struct {
		touch, sale, window int64
		want                Why
	}{
		{0, 10 * second, 10, WhyNone}, // exactly the window
		{0, 10*second + 1, 10, WhyOutsideWindow},
		{5, 5, 10, WhyAfterSale},
		{6, 5, 10, WhyAfterSale},
		{5, 6, 10, WhyNone},
		{0, 1, 0, WhyOutsideWindow},
	} {
		touch := Touch{Kind: TouchClick, At: c.touch}
		if got := within(&touch, c.sale, &terms{windowSec: c.window}); got != c.want {
			t.Errorf("touch %d, sale %d, window %ds: %q, want %q", c.touch, c.sale, c.window, got, c.want)
		}
	}
}

func TestSplitByModel(t *testing.T) {
	touches := func() []Touch { return []Touch{{Dropped: WhyOutsideWindow}, {}, {}, {Dropped: WhyNoOffer}} }
	for model, want := range map[exchange.Model]int{exchange.FirstTouch: 1, exchange.LastTouch: 2} {
		ts := touches()
		shares := split(model, ts)
		if len(shares) != 1 || shares[0].Touch != want || shares[0].Weight == 0 || ts[3-want].Dropped != WhyOutranked {
			t.Errorf("%s: %+v, %+v", model, shares, ts)
		}
	}
	if shares := split(exchange.LastTouch, touches()[:1]); shares != nil {
		t.Errorf("a dropped touch earned %+v", shares)
	}
}

func TestCommissionIsRoundedDownToTheMinorUnit(t *testing.T) {
	for _, c := range []struct {
		of       exchange.CommissionBase
		ppm      exchange.PPM
		currency string
		want     string
		text     string
	}{
		{exchange.OfPayout, 250_000, "USD", "3.33", "3.33"}, // of 13.35: 3.3375
		{exchange.OfRevenue, 250_000, "USD", "4.99", "4.99"},
		{exchange.OfMargin, 250_000, "USD", "1.66", "1.66"},
		{exchange.OfPayout, 250_000, "JPY", "3.00", "3"},
		{exchange.OfPayout, 250_000, "KWD", "3.337", "3.337"},
		{exchange.OfPayout, 0, "USD", "0.00", "0.00"},
		{exchange.OfPayout, exchange.Whole, "USD", "13.35", "13.35"},
	} {
		rule := terms{commission: exchange.Commission{Rate: c.ppm, Of: c.of}}
		got := rule.pays(base{revenue: 19_990_000, payout: 13_350_000}, c.currency)
		if got.String() != c.want || decimal(got, minorDigits(c.currency)) != c.text {
			t.Errorf("%s of %s in %s: %s, %s", c.ppm, c.of, c.currency, got, decimal(got, minorDigits(c.currency)))
		}
	}
}

func TestOnlyIdsOfOurShapeAreForgeries(t *testing.T) {
	m := fake.NewMinter()
	at := epoch.UnixNano()
	for text, want := range map[string]bool{
		m.Click(epoch).String():            true,
		m.Lead(epoch).String():             false,
		"86b8f0d1c2e34a5b9c7d6e5f4a3b2c1d": false, // a tracker's own 32 hexadecimal digits
		"abc":                              false,
		"":                                 false,
		strings.Repeat("!", 32):            false,
		m.Click(epoch.Add(72 * time.Hour)).String(): false, // from the future
	} {
		if looksOurs(text, at) != want {
			t.Errorf("%q: want %v", text, want)
		}
	}
}
