package attribution

import (
	"fmt"
	"maps"
	"testing"

	"vendue/attribution/internal/fake"
	"vendue/attribution/internal/wire"
	"vendue/attribution/postback"
	"vendue/exchange"
)

// TestRecordsOfAnEarlierFormAreMadeAnew has a space whose state is of an earlier
// form, with records that nobody could read. All is made again from the journal,
// no notice of what was told then is made a second time, and what comes after is told.
func TestRecordsOfAnEarlierFormAreMadeAnew(t *testing.T) {
	for form := uint64(1); form < recordVersion; form++ {
		t.Run(fmt.Sprint("form ", form), func(t *testing.T) { madeAnew(t, form) })
	}
}

func madeAnew(t *testing.T, form uint64) {
	j := eventful()
	space, told := fake.NewSpace(), uint64(len(j.Entries()))
	a := newRoom(t, j, space)
	a.Use(blogTold())
	for n := 1; n > 0; {
		var err error
		if n, err = a.step(batchMax); err != nil {
			t.Fatal(err)
		}
	}
	golden, jobs := space.Dump(everything), space.Dump("P")
	delete(golden, keyState)
	old := wire.Writer{}
	old.Uint(form)
	if form == 1 {
		old.Uint(told + 1)
	} else { // one that was being made anew itself
		old.Uint(told / 2)
		old.Int(7)
		old.Uint(told + 1)
	}
	space.Put(keyState, string(old.B))
	for key := range space.Dump(prefixSale + prefixClick + prefixTerms) {
		space.Put(key, "\x01 of another form")
	}
	space.Put(prefixOpen+"stray", "\x01 of another form")
	space.Put(prefixOldLedger+"stray", "\x01 of another form")

	a = newRoom(t, j, space)
	a.Use(blogTold())
	if lag := a.Stats().Lag; lag != told {
		t.Errorf("%d entries behind before the first: expected %d", lag, told)
	}
	if n, err := a.step(batchMax); err != nil || n != int(told) {
		t.Fatalf("followed %d: %v", n, err)
	}
	again := space.Dump(everything + prefixOldLedger)
	delete(again, keyState)
	if !maps.Equal(golden, again) || !maps.Equal(jobs, space.Dump("P")) {
		t.Error("what was made anew is not what it was, or was told again")
	}
	lead := fake.NewMinter().Lead(epoch.AddDate(0, 0, 1))
	at := epoch.AddDate(0, 0, 1).UnixNano()
	j.Append(at, &exchange.OfferSet{Offer: "auto", Model: exchange.LastTouch, WindowSec: 60})
	j.Append(at, &exchange.PostStarted{LeadID: lead, Attempt: 1, Buyer: "acme", Bid: 20_000_000, Payout: 16_000_000,
		Lead: &exchange.LeadFacts{Seller: "north", Currency: "USD", Source: exchange.SourceFacts{Affiliate: "blog"}}})
	j.Append(at+1, &exchange.PostEnded{LeadID: lead, Attempt: 1, Outcome: exchange.OutcomeAccepted, Status: exchange.LeadSold})
	a = newRoom(t, j, space) // the quiet ends where it did, also after a restart
	a.Use(blogTold())
	if n, err := a.step(batchMax); err != nil || n != 3 {
		t.Fatalf("followed %d: %v", n, err)
	}
	list, err := postback.JobsOf(space, told+3)
	if err != nil || len(list) != 1 || list[0].Lead != lead {
		t.Errorf("what came after was told %d times: %v", len(list), err)
	}
	if r, err := a.Verify(t.Context()); err != nil || len(r.Faults) > 0 {
		t.Errorf("verify: %v %+v", err, r)
	}
}

func blogTold() Config {
	return Config{Affiliates: []Affiliate{{ID: "blog", Postbacks: []Postback{{On: EventLeadSold, URL: "http://t.example/?c={conversion_id}"}}}}}
}
