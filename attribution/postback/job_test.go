package postback

import (
	"reflect"
	"testing"

	"vendue/attribution/internal/wire"
	"vendue/exchange"
)

// TestJobsOfTheFirstVersionStand reads a postback as it was written before webhooks were, and writes it anew with all that came since.
func TestJobsOfTheFirstVersionStand(t *testing.T) {
	lead := exchange.LeadID{1, 2, 3}
	w := wire.Writer{}
	w.Uint(1)
	w.Uint(uint64(Waiting))
	w.Text("blog")
	w.Raw(lead[:])
	for _, text := range []string{"lead.sold", "c0ffee", "http://t.example"} {
		w.Text(text)
	}
	w.Uint(99)
	w.Text("sealed")
	w.Int(5)
	w.Int(6)
	w.Text("")
	w.Uint(1)
	w.Int(7)
	w.Uint(500)
	w.Text("")
	// Its attempts say what they meant.
	want := Job{Tries: 1, Key: Key{Seq: 4}, State: Waiting, Affiliate: "blog", Lead: lead, Event: "lead.sold", ConversionID: "c0ffee", Endpoint: "http://t.example",
		Notice: 99, URL: exchange.Sealed("sealed"), Created: 5, Due: 6, Attempts: []Attempt{{At: 7, Status: 500, Verdict: VerdictRetry}}}
	got, err := decodeJob(Key{Seq: 4}, w.B)
	if err != nil || !reflect.DeepEqual(got, want) {
		t.Fatalf("read %+v, %v", got, err)
	}
	got.Attempts[0].Said, got.Revived, got.Tries = exchange.Sealed("what it said"), 9, 0
	for _, seller := range []exchange.SellerID{"", "north"} {
		if got.Seller = seller; seller != "" {
			got.Affiliate = ""
		}
		if again, err := decodeJob(Key{Seq: 4}, got.encode()); err != nil || !reflect.DeepEqual(again, got) {
			t.Errorf("written anew: read %+v, %v", again, err)
		}
	}
	w.B[0] = 5
	if _, err := decodeJob(Key{Seq: 4}, w.B); err == nil {
		t.Error("a version to come was read")
	}
}
