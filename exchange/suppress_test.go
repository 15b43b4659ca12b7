package exchange

import (
	"crypto/md5"
	"crypto/sha1"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"testing"
)

func suppressionOf(kind SuppressedBy, texts ...string) *Suppression {
	var rows []uint64
	for _, text := range texts {
		m, one, two := md5.Sum([]byte(text)), sha1.Sum([]byte(text)), sha256.Sum256([]byte(text))
		rows = append(rows, binary.BigEndian.Uint64([][]byte{m[:], one[:], two[:]}[kind]))
	}
	return NewSuppression(rows, kind)
}

func someone(phone, email string) *Suspect {
	v := &Vertical{Fields: []Field{{Kind: FieldText}, {Kind: FieldPhone}, {Kind: FieldEmail}, {Kind: FieldPhone}}}
	return SuspectOf(&Lead{Vertical: v, Values: []Value{
		{Text: "6025550143", Set: true}, {Text: phone, Set: phone != ""}, {Text: email, Set: email != ""}, {},
	}})
}

func TestSuppression(t *testing.T) {
	for kind := range suppressedByCount {
		for _, c := range []struct {
			row, phone, email string
			want              bool
		}{
			{row: "+16025550143", phone: "+16025550143", want: true},
			{row: "16025550143", phone: "+16025550143", want: true},
			{row: "6025550143", phone: "+16025550143", want: true},
			{row: "6025550144", phone: "+16025550143"},
			{row: "442071838750", phone: "+442071838750", want: true},
			{row: "2071838750", phone: "+442071838750"},
			{row: "a@b.example", phone: "+16025550143", email: "a@b.example", want: true},
			{row: "A@b.example", email: "a@b.example"},
			{row: "", phone: "+16025550143"}, // a field that is not set is nobody
		} {
			list := suppressionOf(kind, "x", c.row, "y")
			if got := Suppresses([]*Suppression{suppressionOf(kind, "z"), list}, someone(c.phone, c.email)); got != c.want {
				t.Errorf("hash %d of %q names %q %q: %t", kind, c.row, c.phone, c.email, got)
			}
		}
	}
	// A row counts as the hash that its list is made of, and twice the same row is one.
	list := suppressionOf(SuppressedByMD5, "a@b.example", "a@b.example")
	list.by[SuppressedByMD5], list.by[SuppressedBySHA256] = false, true
	if list.Has(someone("", "a@b.example")) || list.Rows() != 1 {
		t.Errorf("%d rows", list.Rows())
	}
}

func BenchmarkSuppression(b *testing.B) {
	rng := rand.New(rand.NewPCG(1, 1))
	rows := make([]uint64, 5_000_000)
	for i := range rows {
		rows[i] = rng.Uint64()
	}
	list := NewSuppression(rows, SuppressedBySHA256)
	b.ReportAllocs()
	n := 0
	for b.Loop() {
		n++
		if list.Has(someone(fmt.Sprintf("+1602%07d", n%10_000_000), "a@b.example")) {
			b.Fatal("a stranger is on the list")
		}
	}
}
