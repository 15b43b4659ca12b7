package store

import (
	"bytes"
	"encoding/hex"
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/cespare/xxhash/v2"
	"pgregory.net/rapid"

	"vendue/exchange"
)

var rewrite = flag.Bool("rewrite-golden", false, "write the golden bytes anew; a changed one needs a reason and a new record version")

var kinds = []exchange.EventKind{
	exchange.KindConfigAccepted, exchange.KindLimitSet, exchange.KindOfferSet,
	exchange.KindPostStarted, exchange.KindPostEnded, exchange.KindLeadRefused,
	exchange.KindLegSettled, exchange.KindLegConflict, exchange.KindClicked,
	exchange.KindConflictClosed, exchange.KindConverted, exchange.KindLegReturned,
}

// filled returns an event of kind k in which every field has a value of its own.
func filled(k exchange.EventKind) exchange.Event {
	ev, n := newEvent(k), uint64(0)
	fill(reflect.ValueOf(ev).Elem(), &n)
	return ev
}

func fill(v reflect.Value, n *uint64) {
	*n++
	switch v.Kind() {
	case reflect.Struct:
		for i := range v.NumField() {
			if name := v.Type().Field(i).Name; name == "Cookie" || name == "Coupon" && v.Type() == reflect.TypeFor[exchange.SourceFacts]() {
				later := *n + 100 // the fields behind it keep the values that older records have
				fill(v.Field(i), &later)
				continue
			}
			fill(v.Field(i), n)
		}
	case reflect.Pointer:
		v.Set(reflect.New(v.Type().Elem()))
		fill(v.Elem(), n)
	case reflect.Slice:
		v.Set(reflect.MakeSlice(v.Type(), 2, 2))
		fallthrough
	case reflect.Array:
		for i := range v.Len() {
			fill(v.Index(i), n)
		}
	case reflect.String:
		v.SetString(fmt.Sprintf("text-%d", *n))
	case reflect.Bool:
		v.SetBool(true)
	case reflect.Int64:
		v.SetInt(int64(*n) * 1_000_003)
	default:
		v.SetUint(*n % 251)
	}
}

func encode(t interface{ Fatal(...any) }, e exchange.Entry) []byte {
	var w wire
	rec, err := appendRecord(&w, nil, e)
	if err != nil {
		t.Fatal(err)
	}
	return rec
}

// TestEveryFieldSurvives fails when a field is added to an event and not to its walk.
func TestEveryFieldSurvives(t *testing.T) {
	for _, k := range kinds {
		want := exchange.Entry{Seq: 7, At: 1_700_000_000_123_456_789, Event: filled(k)}
		got, err := decodeRecord(7, encode(t, want))
		if err != nil {
			t.Fatalf("%s: %v", k, err)
		}
		if !reflect.DeepEqual(got, want) {
			t.Errorf("%s: got %+v, want %+v", k, got.Event, want.Event)
		}
	}
}

// TestGoldenBytes holds the format still: a journal written today must be readable for ever.
func TestGoldenBytes(t *testing.T) {
	for _, k := range kinds {
		path := filepath.Join("testdata", k.String()+".hex")
		for name, ev := range map[string]exchange.Event{"filled": filled(k), "zero": newEvent(k)} {
			path := strings.Replace(path, ".hex", "-"+name+".hex", 1)
			got := hex.EncodeToString(encode(t, exchange.Entry{Seq: 258, At: 1_700_000_000_000_000_001, Event: ev})) + "\n"
			if *rewrite {
				if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			if got != string(want) {
				t.Errorf("%s: the bytes changed\n got %s want %s", path, got, want)
			}
		}
	}
}

// TestOlderRecords reads what earlier versions wrote: all that they held, and zero for what came later.
func TestOlderRecords(t *testing.T) {
	evidence := func(s *exchange.SourceFacts) { s.Cookie, s.Coupon = exchange.ClickID{}, "" }
	started := filled(exchange.KindPostStarted).(*exchange.PostStarted)
	evidence(&started.Lead.Source)
	third := *started
	third.Lead = filled(exchange.KindPostStarted).(*exchange.PostStarted).Lead
	third.Turn, started.Turn = exchange.Turn{}, exchange.Turn{}
	third.LegsMax, started.LegsMax = 0, 0
	first := *started
	first.Token = nil
	refused := filled(exchange.KindLeadRefused).(*exchange.LeadRefused)
	evidence(&refused.Lead.Source)
	offer := filled(exchange.KindOfferSet).(*exchange.OfferSet)
	offer.OfferRules = exchange.OfferRules{}
	click := filled(exchange.KindClicked).(*exchange.Clicked)
	click.View, click.Prev, click.Coupon = false, exchange.ClickID{}, ""
	ended := filled(exchange.KindPostEnded).(*exchange.PostEnded)
	ended.NoTime = false
	for file, want := range map[string]exchange.Event{
		"post_ended-1": ended, "post_started-1": &first, "post_started-2": started, "post_started-3": &third, "lead_refused-1": refused, "offer_set-1": offer, "click-1": click,
	} {
		text, err := os.ReadFile(filepath.Join("testdata", file+"-filled.hex"))
		if err != nil {
			t.Fatal(err)
		}
		rec, err := hex.DecodeString(strings.TrimSpace(string(text)))
		if err != nil {
			t.Fatal(err)
		}
		got, err := decodeRecord(258, rec)
		if err != nil {
			t.Fatal(err)
		}
		if !reflect.DeepEqual(got.Event, want) {
			t.Errorf("%s: got %+v, want %+v", file, got.Event, want)
		}
	}
}

func TestRoundTrip(t *testing.T) {
	any := rapid.OneOf(
		rapid.Custom(func(t *rapid.T) exchange.Event { v := rapid.Make[exchange.ConfigAccepted]().Draw(t, "e"); return &v }),
		rapid.Custom(func(t *rapid.T) exchange.Event { v := rapid.Make[exchange.LimitSet]().Draw(t, "e"); return &v }),
		rapid.Custom(func(t *rapid.T) exchange.Event { v := rapid.Make[exchange.OfferSet]().Draw(t, "e"); return &v }),
		rapid.Custom(func(t *rapid.T) exchange.Event { v := rapid.Make[exchange.PostStarted]().Draw(t, "e"); return &v }),
		rapid.Custom(func(t *rapid.T) exchange.Event { v := rapid.Make[exchange.PostEnded]().Draw(t, "e"); return &v }),
		rapid.Custom(func(t *rapid.T) exchange.Event { v := rapid.Make[exchange.LeadRefused]().Draw(t, "e"); return &v }),
		rapid.Custom(func(t *rapid.T) exchange.Event { v := rapid.Make[exchange.LegSettled]().Draw(t, "e"); return &v }),
		rapid.Custom(func(t *rapid.T) exchange.Event { v := rapid.Make[exchange.LegConflict]().Draw(t, "e"); return &v }),
		rapid.Custom(func(t *rapid.T) exchange.Event { v := rapid.Make[exchange.Clicked]().Draw(t, "e"); return &v }),
		rapid.Custom(func(t *rapid.T) exchange.Event { v := rapid.Make[exchange.ConflictClosed]().Draw(t, "e"); return &v }),
		rapid.Custom(func(t *rapid.T) exchange.Event { v := rapid.Make[exchange.LegGivenBack]().Draw(t, "e"); return &v }),
	)
	rapid.Check(t, func(t *rapid.T) {
		want := exchange.Entry{Seq: rapid.Uint64().Draw(t, "seq"), At: rapid.Int64().Draw(t, "at"), Event: any.Draw(t, "event")}
		rec := encode(t, want)
		got, err := decodeRecord(want.Seq, rec)
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(encode(t, got), rec) {
			t.Fatalf("the bytes changed: %+v, then %+v", want.Event, got.Event)
		}
	})
}

func TestDecodeRefuses(t *testing.T) {
	rec := encode(t, exchange.Entry{Seq: 9, At: 1, Event: filled(exchange.KindPostStarted)})
	resum := func(change func(b []byte) []byte) []byte {
		b := change(bytes.Clone(rec))
		sum := xxhash.Sum64(b[recordSumBytes:])
		for i := range recordSumBytes {
			b[i] = byte(sum >> (8 * i))
		}
		return b
	}
	for _, c := range []struct {
		name string
		rec  []byte
		want error
	}{
		{"empty", nil, errTruncated},
		{"short", rec[:recordHeaderBytes-1], errTruncated},
		{"one bit", append(bytes.Clone(rec[:len(rec)-1]), rec[len(rec)-1]^1), errChecksum},
		{"cut off", rec[:len(rec)-1], errChecksum},
		{"cut off with a sum", resum(func(b []byte) []byte { return b[:len(b)-1] }), errTruncated},
		{"a byte more", resum(func(b []byte) []byte { return append(b, 0) }), errTrailing},
		{"newer", resum(func(b []byte) []byte { b[8]++; return b }), errVersion},
		{"no such kind", resum(func(b []byte) []byte { b[9] = 200; return b }), errKind},
		{"strayed", resum(func(b []byte) []byte { b[17]++; return b }), errSeq},
		{"lying length", resum(func(b []byte) []byte {
			return append(b[:recordHeaderBytes], 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f)
		}), errTruncated},
	} {
		if _, err := decodeRecord(9, c.rec); !errors.Is(err, c.want) {
			t.Errorf("%s: got %v, want %v", c.name, err, c.want)
		}
	}
}

func TestEncodeAllocatesNothing(t *testing.T) {
	for _, k := range kinds {
		e := exchange.Entry{Seq: 1, At: 1, Event: filled(k)}
		w, buf := new(wire), make([]byte, 0, 4096)
		if n := testing.AllocsPerRun(100, func() { buf, _ = appendRecord(w, buf[:0], e) }); n > 0 {
			t.Errorf("%s: %v allocations to encode, expected none", k, n)
		}
	}
}

func TestEventTooLarge(t *testing.T) {
	var w wire
	_, err := appendRecord(&w, nil, exchange.Entry{Event: &exchange.ConfigAccepted{Text: strings.Repeat("x", recordBytesMax)}})
	if !errors.Is(err, errTooLarge) {
		t.Errorf("got %v, want %v", err, errTooLarge)
	}
}

// FuzzDecode: whatever stands in a payload, decoding it never panics and
// allocates no more than a small multiple of it; what decodes encodes to something that decodes to the same.
func FuzzDecode(f *testing.F) {
	for _, k := range kinds {
		f.Add(byte(k), encode(f, exchange.Entry{Seq: 1, Event: filled(k)})[recordHeaderBytes:])
	}
	f.Fuzz(func(t *testing.T, kind byte, payload []byte) {
		rec := append([]byte{0, 0, 0, 0, 0, 0, 0, 0, versionOf(exchange.EventKind(kind)), kind, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0}, payload...)
		sum := xxhash.Sum64(rec[recordSumBytes:])
		for i := range recordSumBytes {
			rec[i] = byte(sum >> (8 * i))
		}
		e, err := decodeRecord(1, rec)
		if err != nil {
			return
		}
		again, err := decodeRecord(1, encode(t, e))
		if err != nil || !reflect.DeepEqual(again, e) {
			t.Fatalf("%v: got %+v, want %+v", err, again.Event, e.Event)
		}
		if line := AppendJSON(nil, e); len(line) == 0 {
			t.Fatal("no line")
		}
	})
}
