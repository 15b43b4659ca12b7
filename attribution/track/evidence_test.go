package track

import (
	"net/url"
	"testing"
	"time"

	"vendue/attribution/internal/fake"
	"vendue/exchange"
)

// TestWhichCookieAClickLeadsBackTo gives a click every mix of cookies: the newest that the house made counts, whichever
// of the two it stands in, and what the house did not make leads nowhere.
func TestWhichCookieAClickLeadsBackTo(t *testing.T) {
	m := fake.NewMinter()
	at := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	old, young := m.Click(at), m.Click(at.Add(time.Hour))
	forged := young.String()[:31] + map[bool]string{true: "1", false: "0"}[young.String()[31] == '0']
	for cookies, want := range map[string]exchange.ClickID{
		"":                       {},
		"vd_cid=" + old.String(): old,
		"vd_vid=" + old.String(): old,
		"vd_cid=" + old.String() + "; vd_vid=" + young.String(): young,
		"vd_cid=" + young.String() + "; vd_vid=" + old.String(): young,
		"vd_cid=" + forged + "; vd_vid=" + old.String():         old,
		"vd_cid=" + old.String() + "; vd_vid=" + forged:         old,
		"vd_cid=" + forged:                   {},
		"vd_cid=":                            {},
		"vd_cid=" + m.Lead(at).String():      {}, // an id of ours, and of no click
		"vd_cid=" + old.String() + "0":       {},
		"cid=" + old.String():                {},
		"other=1; vd_cid=" + old.String():    old,
		"vd_cid=" + m.Ping(at).String():      {},
		"VD_CID=" + old.String():             {},
		"vd_cid=\"" + old.String() + "\"":    old, // quotes are no part of a value
		"vd_cid=" + string(make([]byte, 32)): {},
	} {
		b := newBench()
		ctx := b.do("GET", "/c/auto?aff=blog-42", "Cookie", cookies)
		if ctx.Response.StatusCode() != 302 || len(b.rec.clicks) != 1 {
			t.Errorf("%q: %d, %d clicks", cookies, ctx.Response.StatusCode(), len(b.rec.clicks))
			continue
		}
		if got := b.rec.clicks[0].Prev; got != want {
			t.Errorf("%q leads back to %s, want %s", cookies, got, want)
		}
	}
}

// TestALinksCoupon gives a link codes under every name: whose they are is journaled, the code itself only sealed.
func TestALinksCoupon(t *testing.T) {
	for query, want := range map[string]exchange.AffiliateID{
		"code=save":                "other",
		"coupon=SAVE":              "other",
		"coupon_code=Save":         "other",
		"promo_code=%20save%09":    "other",
		"code=&coupon=save":        "other",
		"code=nobodys&coupon=save": "",
		"code=savex":               "",
		"code=":                    "",
		"CODE=save":                "",
		"aff=blog-42&code=save":    "other", // of another than the link's own affiliate
		"aff=nobody&code=save":     "other",
		"code=save%00":             "",
	} {
		h := newHouse(t)
		h.use(exchange.OfferRules{ViewSec: 60}, offerToken())
		h.clicked(t, "/c/auto?"+query)
		for _, e := range h.journal.Entries() {
			ev, ok := e.Event.(*exchange.Clicked)
			if !ok {
				continue
			}
			if ev.Coupon != want {
				t.Errorf("%s: the coupon is %q's, want %q", query, ev.Coupon, want)
			}
			args, err := url.ParseQuery(query)
			if err != nil {
				t.Fatal(err)
			}
			text, err := vault{}.Unseal(ev.Foreign)
			if err != nil || args.Get("code") == "nobodys" && text != `{"code":"nobodys"}` {
				t.Errorf("%s: sealed %s, %v", query, text, err)
			}
		}
	}
}

// TestASightBearsNoCoupon has a picture with a code: seeing it earns no coupon.
func TestASightBearsNoCoupon(t *testing.T) {
	h := newHouse(t)
	h.use(exchange.OfferRules{ViewSec: 60}, offerToken())
	h.do("GET", "/p.gif?offer=auto&aff=blog-42&code=save")
	entries := h.journal.Entries()
	if ev, ok := entries[len(entries)-1].Event.(*exchange.Clicked); !ok || !ev.View || ev.Coupon != "" || ev.Affiliate != "blog-42" {
		t.Errorf("journaled %+v", entries[len(entries)-1].Event)
	}
}
