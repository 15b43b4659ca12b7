package adapters

import (
	"testing"
	"time"

	"github.com/cockroachdb/datadriven"
)

// bodies are answers that are plain, and those that look so and are not.
var bodies = []string{
	`{"bid":21.50}`, `{"bid":0}`, ` { "bid" : -1.5 , "token":"a b","expires_in":null } `, "{\"bid\":1}\n", `{"token":"é","bid":"12.50"}`,
	`{}`, `{"bid":1,}`, `{"bid":01}`, `{"bid":1.}`, `{"bid":-}`, `{"bid":.5}`, `{"bid":1e2}`, `{"bid":1}x`, `{"bid":1}}`, "{\"bid\":1}\x00",
	`{"bid":1,"bid":1}`, `{"bid":1,"bid":2}`, `{"x":1,"x":2,"bid":3}`, `{"":1,"bid":3}`, `{"bid":true,"token":false}`, `{"bid":tru}`, `{"bid":nul`,
	`{"token":"a\"b","bid":1}`, `{"bi\u0064":1}`, "{\"token\":\"a\nb\",\"bid\":1}", `{"seat":{"bid":2},"bid":1}`, `{"bid":[1]}`, `{"bid":1`, `{"bid"`, `{"bid":`, `{`,
	`[{"bid":1}]`, `"bid"`, `1`, ``, `{"bid" 1}`, `{bid:1}`, `{"token":"","bid":1}`, `{"bid":--1}`, `{"bid":-01}`, `{"bid":null,"bid":1}`,
}

// FuzzFlat: what the quick reader reads, it reads as the one that judges every body does.
func FuzzFlat(f *testing.F) {
	for _, b := range bodies {
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, text string) {
		quick := flat{text: text}
		var got values
		if !quick.read(&pingNames, &got) {
			return
		}
		want, fault := readAny(text, &pingNames)
		for i := range want {
			if fault != "" || got[i] != want[i] {
				t.Fatalf("%q: %s is %+v, expected %+v %s", text, pingNames[i], got[i], want[i], fault)
			}
		}
	})
}

// The quick reader reads what buyers say; else it would be there for nothing.
func TestFlatReads(t *testing.T) {
	for _, text := range bodies[:5] {
		if !(&flat{text: text}).read(&pingNames, new(values)) {
			t.Errorf("%q is left to the slow reader", text)
		}
	}
}

func BenchmarkReadObject(b *testing.B) {
	body := []byte(`{"status":"accepted","bid":21.50,"bid_id":"b1-8f14e45fceea167a","expires_in":30,"exclusive":false}`)
	b.Run("flat", func(b *testing.B) {
		for b.Loop() {
			readObject(body, &pingNames)
		}
	})
	b.Run("any", func(b *testing.B) {
		for b.Loop() {
			readAny(string(body), &pingNames)
		}
	})
}

func BenchmarkNative(b *testing.B) {
	a, _ := New("", vertical)
	ask, terms := question(&datadriven.TestData{})
	p := &Ping{Ask: ask, Terms: terms, Tmax: 180 * time.Millisecond}
	b.Run("ten pings", func(b *testing.B) {
		var shared, body []byte
		for b.Loop() {
			shared = a.AppendShared(shared[:0], ask)
			for range 10 {
				body = a.AppendPing(body[:0], shared, p)
			}
		}
	})
	r := &Reply{Status: 200, Body: []byte(`{"status":"accepted","bid":21.50,"bid_id":"b1-8f14e45fceea167a","expires_in":30,"exclusive":false}`)}
	b.Run("a bid", func(b *testing.B) {
		for b.Loop() {
			a.ReadPing(r, terms)
		}
	})
}
