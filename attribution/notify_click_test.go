package attribution

import (
	"testing"
	"time"

	"vendue/attribution/internal/fake"
	"vendue/attribution/postback"
	"vendue/exchange"
)

// TestAClickIsTold has a click, a click of nobody's and a sight of a picture: only the first is told of, once.
func TestAClickIsTold(t *testing.T) {
	j, m, vault := fake.NewJournal(), fake.NewMinter(), fake.Vault{}
	at := time.Date(2026, 5, 1, 12, 0, 0, 0, time.UTC)
	click := func(aff exchange.AffiliateID, view bool) {
		j.Append(at.UnixNano(), &exchange.Clicked{
			ClickID: m.Click(at), Offer: "auto", Affiliate: aff, View: view, Foreign: vault.Seal(`{"cid":"their id","subs":["one"]}`),
		})
	}
	click("blog", false)
	click("", false)
	click("blog", true)
	space := fake.NewSpace()
	a, err := New(Deps{Journal: j, Space: space, Vault: vault, Metrics: newSet()})
	if err != nil {
		t.Fatal(err)
	}
	a.Use(Config{Affiliates: []Affiliate{{ID: "blog", Postbacks: []Postback{
		{On: postback.EventClick, URL: "http://t.example/?a={aff_click_id}&c={click_id}&s={sub1}&id={conversion_id}&e={event}&t={click_ts}"},
		{On: postback.EventLeadSold, URL: "http://t.example/?a={aff_click_id}"},
	}}}})
	if n, err := a.step(batchMax); err != nil || n != 3 {
		t.Fatalf("followed %d: %v", n, err)
	}
	list, _, err := a.Postbacks(postback.Filter{})
	if err != nil || len(list) != 1 {
		t.Fatalf("%d jobs, %v", len(list), err)
	}
	url, err := vault.Unseal(list[0].URL)
	first := j.Entries()[0].Event.(*exchange.Clicked).ClickID.String()
	want := "http://t.example/?a=their%20id&c=" + first + "&s=one&id=" + list[0].ConversionID + "&e=click&t=1777636800"
	if err != nil || url != want || len(list[0].ConversionID) != 32 || list[0].Event != "click" || !list[0].Lead.IsZero() {
		t.Errorf("got  %s\nwant %s\n%+v", url, want, list[0])
	}
}
