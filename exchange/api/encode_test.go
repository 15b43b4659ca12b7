package api

import (
	"testing"
	"time"

	"pgregory.net/rapid"
)

const instantLayout = "2006-01-02T15:04:05.000Z"

func TestAppendInstant(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		at := time.Unix(rapid.Int64Range(0, 253402300799).Draw(t, "second"), rapid.Int64Range(0, 999_999_999).Draw(t, "ns")).UTC()
		if got, want := string(appendInstant(nil, at)), at.Format(instantLayout); got != want {
			t.Fatalf("got %s, want %s", got, want)
		}
	})
}

func BenchmarkInstant(b *testing.B) {
	at := time.Date(2026, 11, 21, 19, 31, 4, 250_000_000, time.UTC)
	var dst []byte
	b.Run("ours", func(b *testing.B) {
		for b.Loop() {
			dst = appendInstant(dst[:0], at)
		}
	})
	b.Run("AppendFormat", func(b *testing.B) {
		for b.Loop() {
			dst = at.AppendFormat(dst[:0], instantLayout)
		}
	})
}
