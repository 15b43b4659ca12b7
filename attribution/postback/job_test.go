package postback

import (
	"reflect"
	"testing"

	"vendue/attribution/internal/wire"
	"vendue/exchange"
)

// TestJobsOfTheFirstVersionStand reads a postback as it was written before webhooks were, and checks that it is still written so.
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
	want := Job{Key: Key{Seq: 4}, State: Waiting, Affiliate: "blog", Lead: lead, Event: "lead.sold", ConversionID: "c0ffee", Endpoint: "http://t.example",
		Notice: 99, URL: exchange.Sealed("sealed"), Created: 5, Due: 6, Attempts: []Attempt{{At: 7, Status: 500}}}
	got, err := decodeJob(Key{Seq: 4}, w.B)
	if err != nil || !reflect.DeepEqual(got, want) {
		t.Fatalf("read %+v, %v", got, err)
	}
	if string(got.encode()) != string(w.B) {
		t.Error("it is written in another way")
	}
	got.Affiliate, got.Seller = "", "north"
	if again, err := decodeJob(Key{Seq: 4}, got.encode()); err != nil || !reflect.DeepEqual(again, got) {
		t.Errorf("a webhook's job: read %+v, %v", again, err)
	}
	w.B[0] = 3
	if _, err := decodeJob(Key{Seq: 4}, w.B); err == nil {
		t.Error("a version to come was read")
	}
}
