package exchange

import (
	"encoding/json"
	"errors"
	"math"
	"math/big"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

func TestParseMoney(t *testing.T) {
	for _, c := range []struct {
		text string
		want Money
		err  error
	}{
		{"0", 0, nil},
		{"-0", 0, nil},
		{"17.20", 17_200_000, nil},
		{"17.2", 17_200_000, nil},
		{"0.000001", 1, nil},
		{"-0.5", -500_000, nil},
		{"007", 7_000_000, nil},
		{"1.0000000", 1_000_000, nil}, // zeros beyond the sixth place change nothing
		{"1000000000", MoneyMax, nil},
		{"-1000000000.000000", -MoneyMax, nil},
		{"1000000000.000001", 0, ErrMoneyRange},
		{"99999999999999999999", 0, ErrMoneyRange},
		{"0.0000001", 0, ErrMoneyPlaces},
		{"", 0, ErrMoneySyntax},
		{"-", 0, ErrMoneySyntax},
		{".5", 0, ErrMoneySyntax},
		{"5.", 0, ErrMoneySyntax},
		{"+5", 0, ErrMoneySyntax},
		{"--5", 0, ErrMoneySyntax},
		{"1e3", 0, ErrMoneySyntax},
		{"1,000", 0, ErrMoneySyntax},
		{"1.2.3", 0, ErrMoneySyntax},
		{" 1", 0, ErrMoneySyntax},
		{"1 ", 0, ErrMoneySyntax},
		{"0x10", 0, ErrMoneySyntax},
		{"NaN", 0, ErrMoneySyntax},
		{"\u0661", 0, ErrMoneySyntax}, // a digit, but not one of ours
	} {
		if got, err := ParseMoney(c.text); got != c.want || !errors.Is(err, c.err) {
			t.Errorf("ParseMoney(%q) = %d, %v; want %d, %v", c.text, got, err, c.want, c.err)
		}
	}
}

func TestMoneyText(t *testing.T) {
	for m, want := range map[Money]string{
		0: "0.00", 17_200_000: "17.20", 1: "0.000001", 100: "0.0001", -500_000: "-0.50", 1_234_567: "1.234567",
		math.MaxInt64: "9223372036854.775807", math.MinInt64: "-9223372036854.775808",
	} {
		if got := m.String(); got != want {
			t.Errorf("%d is written %s, want %s", int64(m), got, want)
		}
	}
}

func TestMoneyComesBackAsItWent(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		m := Money(rapid.Int64Range(int64(-MoneyMax), int64(MoneyMax)).Draw(t, "money"))
		if got, err := ParseMoney(m.String()); err != nil || got != m {
			t.Fatalf("%d is written %s and read as %d, %v", int64(m), m, got, err)
		}
		for _, quote := range []string{"", `"`} {
			var got Money
			if err := json.Unmarshal([]byte(quote+m.String()+quote), &got); err != nil || got != m {
				t.Fatalf("JSON %s%s%s is read as %d, %v", quote, m, quote, got, err)
			}
		}
	})
}

// What is accepted is exact: an arbitrary-precision reading agrees to the last micro-unit.
func FuzzParseMoney(f *testing.F) {
	for _, s := range []string{"17.20", "-0.000001", "1000000000", "1e3", ".5", "0.0000001", "00.10"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		m, err := ParseMoney(s)
		if err != nil {
			if m != 0 {
				t.Errorf("ParseMoney(%q) gives %d with an error", s, m)
			}
			return
		}
		want, ok := new(big.Rat).SetString(s)
		if !ok {
			t.Fatalf("ParseMoney(%q) = %d, but it is no number", s, m)
		}
		if got := big.NewRat(int64(m), int64(Micro)); got.Cmp(want) != 0 {
			t.Errorf("ParseMoney(%q) = %s", s, m)
		}
		if m < -MoneyMax || m > MoneyMax {
			t.Errorf("ParseMoney(%q) = %s is out of range", s, m)
		}
	})
}

func TestMoneyJSONRefusesOtherTypes(t *testing.T) {
	for _, s := range []string{`null`, `true`, `{}`, `[]`, `""`, `"abc"`, `1e2`} {
		var m Money
		if err := json.Unmarshal([]byte(s), &m); err == nil {
			t.Errorf("%s is read as %s", s, m)
		}
	}
}

// Rates and margins against exact fractions.
func TestRatesAreExact(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		m := Money(rapid.Int64Range(0, int64(MoneyMax)).Draw(t, "money"))
		r := PPM(rapid.Int64Range(0, int64(Whole)).Draw(t, "rate"))
		part := new(big.Int).Mul(big.NewInt(int64(m)), big.NewInt(int64(r)))
		down, rest := new(big.Int).DivMod(part, big.NewInt(int64(Whole)), new(big.Int))
		if got := r.Of(m); int64(got) != down.Int64() {
			t.Fatalf("%s of %s = %s, want %s micro-units", r, m, got, down)
		}
		up := down.Int64()
		if rest.Sign() > 0 {
			up++
		}
		fixed := Money(rapid.Int64Range(0, 5_000_000).Draw(t, "fixed"))
		if got := (Margin{Rate: r, Fixed: fixed}).Of(m); int64(got) != up+int64(fixed) {
			t.Fatalf("margin %s and %s of %s = %s, want %d micro-units", r, fixed, m, got, up+int64(fixed))
		}
	})
}

func TestPPMText(t *testing.T) {
	for r, want := range map[PPM]string{0: "0%", 200_000: "20%", 125_000: "12.50%", 1: "0.0001%", Whole: "100%", 333_333: "33.3333%"} {
		if got := r.String(); got != want {
			t.Errorf("%d is written %s, want %s", int64(r), got, want)
		}
	}
}

func TestFloor(t *testing.T) {
	for _, c := range []struct {
		digits  int
		m, want string
	}{
		{0, "17.99", "17"}, {1, "17.99", "17.9"}, {2, "17.209999", "17.20"}, {2, "17.20", "17.20"},
		{3, "0.9879", "0.987"}, {4, "0.00019", "0.0001"}, {2, "0.009999", "0"},
	} {
		m, _ := ParseMoney(c.m)
		want, _ := ParseMoney(c.want)
		if got := (Currency{MinorDigits: c.digits}).Floor(m); got != want {
			t.Errorf("%s with %d places is %s, want %s", c.m, c.digits, got, want)
		}
	}
}

func TestMoneyErrorsSayWhatWasExpected(t *testing.T) {
	for _, err := range []error{ErrMoneySyntax, ErrMoneyPlaces, ErrMoneyRange} {
		if !strings.HasPrefix(err.Error(), "expected ") {
			t.Errorf("%q", err)
		}
	}
}

func TestMoneyDoesNotAllocate(t *testing.T) {
	buf := make([]byte, 0, 32)
	if n := testing.AllocsPerRun(100, func() {
		m, _ := ParseMoney("17.20")
		buf = m.Append(buf[:0])
	}); n != 0 {
		t.Errorf("%v allocations, want 0", n)
	}
}
