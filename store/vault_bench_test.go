package store

import (
	"bytes"
	"testing"
)

func BenchmarkSeal(b *testing.B) {
	v, err := newVault(bytes.Repeat([]byte{1}, 32), make([]byte, 32))
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		v.Seal("https://buyer.example/thanks/1234567890")
	}
}
