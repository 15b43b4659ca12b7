package schema

import (
	"math/rand/v2"
	"net/url"
	"strings"
	"testing"
	"time"
	"unsafe"

	"github.com/nyaruka/phonenumbers"
	"pgregory.net/rapid"

	"vendue/exchange"
)

// fault marks an input that must be refused.
const fault = "\x00fault"

type normalCase struct {
	in   Input
	want string
	num  int64
}

// fieldCases are the inputs of one field.
type fieldCases struct {
	field exchange.Field
	cases []normalCase
}

func plainField(kind exchange.FieldKind) exchange.Field {
	return exchange.Field{Name: "f", Kind: kind}
}

func textCases() []fieldCases {
	name := exchange.Field{Name: "name", Kind: exchange.FieldText, HasMax: true, Max: 5}
	return []fieldCases{
		{name, []normalCase{
			{str(" Ann "), "Ann", 0}, {str("żółćę"), "żółćę", 0}, {str("żółćęx"), fault, 0}, {str("a\tb"), "a b", 0},
			{str("a\r\nb"), "a b", 0}, {str("a\x00"), fault, 0}, {str("a\x7f"), fault, 0}, {str("a\u0085b"), fault, 0},
			{str("\xff"), fault, 0}, {num("12"), "12", 0}, {boolean("true"), fault, 0}, {str(" "), fault, 0},
		}},
		{plainField(exchange.FieldText), []normalCase{
			{str(strings.Repeat("é", 2000)), strings.Repeat("é", 2000), 0}, {str(strings.Repeat("a", 2001)), fault, 0},
		}},
		{plainField(exchange.FieldZip), []normalCase{
			{str("85001"), "85001", 0}, {str("02134"), "02134", 0}, {str("85001-1234"), "85001", 0}, {str("850011234"), "85001", 0},
			{num("2134"), "02134", 0}, {num("501"), "00501", 0}, {num("1"), "00001", 0}, {num("21341234"), "02134", 0}, {num("5011234"), "00501", 0},
			{num("850011234"), "85001", 0}, {num("850011"), fault, 0}, {str("2134"), fault, 0}, {str("8500-1234"), fault, 0}, {str("85001-"), fault, 0},
			{str("850011-234"), fault, 0}, {num("-85001"), fault, 0}, {num("85001.0"), fault, 0}, {str("8500a"), fault, 0}, {boolean("true"), fault, 0},
		}},
		{plainField(exchange.FieldState), []normalCase{
			{str("AZ"), "AZ", 0}, {str("az"), "AZ", 0}, {str(" new york "), "NY", 0}, {str("DISTRICT OF COLUMBIA"), "DC", 0},
			{str("Puerto Rico"), "PR", 0}, {str("ZZ"), fault, 0}, {str("Ontario"), fault, 0}, {str("1@"), fault, 0}, {num("4"), fault, 0},
		}},
		{plainField(exchange.FieldCity), []normalCase{
			{str(" phoenix "), "PHOENIX", 0}, {str("St.  Paul"), "ST. PAUL", 0}, {str("Coeur d'Alene"), "COEUR D'ALENE", 0}, {str("Montréal"), "MONTRÉAL", 0},
			{str("a\tb"), "A B", 0}, {str("85001"), fault, 0}, {str("-"), fault, 0}, {str("a\x00"), fault, 0}, {str("\xff"), fault, 0},
			{str(strings.Repeat("é", 100)), strings.Repeat("É", 100), 0}, {str(strings.Repeat("a", 101)), fault, 0}, {boolean("true"), fault, 0},
		}},
		{plainField(exchange.FieldRegion), []normalCase{{str("Maricopa county"), "MARICOPA COUNTY", 0}, {num("4"), fault, 0}}},
		{plainField(exchange.FieldPhone), []normalCase{
			{str("+16025550143"), "+16025550143", 0}, {str("6025550143"), "+16025550143", 0}, {num("6025550143"), "+16025550143", 0},
			{str("(602) 555-0143"), "+16025550143", 0}, {str("1-602-555-0143"), "+16025550143", 0}, {str("602.555.0143 ext 7"), "+16025550143", 0},
			{str("+44 20 7946 0958"), "+442079460958", 0}, {str("+6025550143"), fault, 0}, {str("1602555014"), fault, 0}, {str("0025550143"), fault, 0},
			{str("9115550143"), fault, 0}, {str("6021550143"), fault, 0}, {str("+16021550143"), fault, 0}, {str("555"), fault, 0}, {str("none"), fault, 0},
			{str("+16025550143+16025550143+16025550143+16025550143"), fault, 0}, {str("60255501430"), fault, 0},
		}},
		{plainField(exchange.FieldEmail), []normalCase{
			{str("Ann.Lee+x@Example.COM"), "ann.lee+x@example.com", 0}, {str(" a@b.co "), "a@b.co", 0}, {str("a@b"), fault, 0}, {str("@b.co"), fault, 0},
			{str("a@"), fault, 0}, {str("a b@c.de"), fault, 0}, {str("a@b..co"), fault, 0}, {str("a@-b.co"), fault, 0}, {str("a@b-.co"), fault, 0},
			{str("a..b@c.de"), fault, 0}, {str(".a@c.de"), fault, 0}, {str("a@b.12"), fault, 0}, {str("a@b@c.de"), fault, 0}, {str("a@b.c"), fault, 0},
			{str(strings.Repeat("a", 65) + "@b.co"), fault, 0}, {str("a@" + strings.Repeat("b", 64) + ".co"), fault, 0},
			{str("a@" + strings.Repeat("b", 63) + ".co"), "a@" + strings.Repeat("b", 63) + ".co", 0}, {str("a@" + strings.Repeat("b.", 130) + "co"), fault, 0}, {str("é@b.co"), fault, 0},
		}},
		{plainField(exchange.FieldURL), []normalCase{
			{str("https://cert.trustedform.com/abc?x=1"), "https://cert.trustedform.com/abc?x=1", 0}, {str("HTTP://Example.com"), "http://Example.com", 0},
			{str("http://h:81/a%20b#c"), "http://h:81/a%20b#c", 0}, {str("http://[::1]/"), "http://[::1]/", 0}, {str("ftp://x.y/"), fault, 0}, {str("//x.y/"), fault, 0}, {str("http:///x"), fault, 0},
			{str("http://u:p@x.y/"), fault, 0}, {str("http://x.y/a b"), fault, 0}, {str("http://x.y/%zz"), fault, 0}, {str("https://x.y/" + strings.Repeat("a", 2048)), fault, 0}, {str("http:x.y"), fault, 0},
		}},
		{plainField(exchange.FieldIP), []normalCase{
			{str("192.0.2.1"), "192.0.2.1", 0}, {str("2001:DB8:0::1"), "2001:db8::1", 0}, {str("::ffff:192.0.2.1"), "192.0.2.1", 0}, {str("192.0.2.256"), fault, 0},
			{str("fe80::1%eth0"), fault, 0}, {str("192.0.2.1:80"), fault, 0}, {str("010.0.0.1"), fault, 0},
		}},
	}
}

func numberCases() []fieldCases {
	age := exchange.Field{Name: "age", Kind: exchange.FieldInt, HasMin: true, Min: 16, HasMax: true, Max: 110}
	loan := exchange.Field{Name: "loan", Kind: exchange.FieldDecimal, HasMax: true, Max: 5_000_500_000}
	credit := exchange.Field{Name: "credit", Kind: exchange.FieldEnum, Values: []string{"good", "Poor", "1"}}
	born := exchange.Field{Name: "born", Kind: exchange.FieldDate, HasMin: true, Min: -25567} // 1900-01-01
	return []fieldCases{
		{age, []normalCase{
			{num("41"), "41", 41}, {str("041"), "41", 41}, {num("41.0"), "41", 41}, {num("41.5"), fault, 0}, {num("4.1e1"), fault, 0},
			{num("15"), fault, 0}, {num("111"), fault, 0}, {str("16"), "16", 16}, {str("110"), "110", 110}, {boolean("true"), fault, 0}, {str("+41"), fault, 0},
		}},
		{plainField(exchange.FieldInt), []normalCase{
			{num("-0"), "0", 0}, {num("-7"), "-7", -7}, {str("-007"), "-7", -7}, {num("9223372036854775807"), "9223372036854775807", 9223372036854775807},
			{num("9223372036854775808"), fault, 0}, {str("1,000"), fault, 0}, {str("-"), fault, 0}, {str("."), fault, 0}, {str("1."), fault, 0}, {str("0x1f"), fault, 0},
		}},
		{loan, []normalCase{
			{num("12.50"), "12.5", 12_500_000}, {num("12"), "12", 12_000_000}, {num("12.00"), "12", 12_000_000}, {str("012.5"), "12.5", 12_500_000},
			{num("0.000001"), "0.000001", 1}, {num("-0.5"), "-0.5", -500_000}, {str("-00.50"), "-0.5", -500_000}, {num("-0.0"), "0", 0}, {num("-120"), "-120", -120_000_000},
			{num("0.0000001"), fault, 0}, {num("1e3"), fault, 0}, {num("5000.5"), "5000.5", 5_000_500_000}, {num("5000.51"), fault, 0}, {str(".5"), fault, 0},
		}},
		{plainField(exchange.FieldBool), []normalCase{
			{boolean("true"), "true", 1}, {boolean("false"), "false", 0}, {str("Yes"), "true", 1}, {str("N"), "false", 0}, {num("1"), "true", 1},
			{str("0"), "false", 0}, {str("T"), "true", 1}, {str("f"), "false", 0}, {str("ON"), "true", 1}, {str("off"), "false", 0}, {num("2"), fault, 0}, {str("maybe"), fault, 0},
		}},
		{credit, []normalCase{
			{str("GOOD"), "good", 0}, {str("poor"), "Poor", 1}, {num("1"), "1", 2}, {str("bad"), fault, 0}, {boolean("true"), fault, 0},
		}},
		{born, []normalCase{
			{str("1985-02-28"), "1985-02-28", 5537}, {str("02/28/1985"), "1985-02-28", 5537}, {str("2/28/1985"), "1985-02-28", 5537}, {num("19850228"), "1985-02-28", 5537},
			{str("1985-02-28T23:59:59-07:00"), "1985-02-28", 5537}, {str("1970-01-01"), "1970-01-01", 0}, {str("1985-02-29"), fault, 0}, {str("1984-02-29"), "1984-02-29", 5172},
			{str("28/02/1985"), fault, 0}, {str("1899-12-31"), fault, 0}, {str("1985-2-28"), fault, 0}, {str("1985-02-28Z"), fault, 0}, {str("85-02-28"), fault, 0}, {str("2/28/85"), fault, 0},
			{str("1985-02-28T25:00:00Z"), fault, 0}, {str("0000-01-01"), fault, 0},
		}},
	}
}

func TestNormalize(t *testing.T) {
	for _, test := range append(textCases(), numberCases()...) {
		for _, c := range test.cases {
			got, err := Normalize(&test.field, c.in)
			switch {
			case c.want == fault && err == nil:
				t.Errorf("%s %q: got %q, want a fault", test.field.Kind, c.in.Text, got.Text)
			case c.want == fault:
				if got != (exchange.Value{}) || !strings.HasPrefix(err.Error(), "expected ") {
					t.Errorf("%s %q: got %+v and fault %q", test.field.Kind, c.in.Text, got, err)
				}
			case err != nil:
				t.Errorf("%s %q: got fault %q, want %q", test.field.Kind, c.in.Text, err, c.want)
			case got != exchange.Value{Text: c.want, Num: c.num, Set: true}:
				t.Errorf("%s %q: got %+v, want %q %d", test.field.Kind, c.in.Text, got, c.want, c.num)
			}
		}
	}
}

func str(s string) Input     { return Input{Text: s} }
func num(s string) Input     { return Input{Text: s, Kind: Number} }
func boolean(s string) Input { return Input{Text: s, Kind: Bool} }

// TestStatesAreTheFiftyAndMore guards the table against a slip of the hand.
func TestStatesAreTheFiftyAndMore(t *testing.T) {
	codes := map[string]bool{}
	for _, s := range states {
		codes[s.code] = true
		for _, spelling := range []string{s.name, strings.ToUpper(s.name), strings.ToLower(s.code)} {
			if got, err := normalState(spelling); err != nil || got != s.code {
				t.Errorf("%q: got %q, %v", spelling, got, err)
			}
		}
	}
	if len(codes) != 50+1+5+3 {
		t.Errorf("got %d codes, want 50 states, the district, 5 territories and 3 of the armed forces", len(codes))
	}
}

// TestFaultsNeverRepeatTheValue plants a marker in values that every kind refuses.
func TestFaultsNeverRepeatTheValue(t *testing.T) {
	const marker = "Zx7Qmarker"
	for kind := exchange.FieldText; kind <= exchange.FieldIP; kind++ {
		f := exchange.Field{Name: "f", Kind: kind, Values: []string{"a"}, HasMax: true, Max: 3, HasMin: true, Min: 2}
		for _, text := range []string{marker, marker + "\x00", "1" + marker, "+1602" + marker, "http://" + marker + "@x/%zz", marker + "@@", "1985-02-28T" + marker} {
			if _, err := Normalize(&f, str(text)); err == nil || strings.Contains(err.Error(), marker) {
				t.Errorf("%s: got error %v for a value holding the marker", kind, err)
			}
		}
	}
}

// TestPhoneAgreesWithLibrary holds the shortcut to the library: what the
// library calls a valid American number passes here, as the same E.164.
func TestPhoneAgreesWithLibrary(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	valid := 0
	for range 20_000 {
		digits := make([]byte, 10)
		for i := range digits {
			digits[i] = byte('0' + r.IntN(10))
		}
		spelled := string(digits)
		switch r.IntN(3) {
		case 0:
			spelled = "+1" + spelled
		case 1:
			spelled = "(" + spelled[:3] + ") " + spelled[3:6] + "-" + spelled[6:]
		}
		number, err := phonenumbers.Parse(spelled, "US")
		if err != nil || !phonenumbers.IsValidNumber(number) {
			continue
		}
		valid++
		want := phonenumbers.Format(number, phonenumbers.E164)
		if got, err := normalPhone(spelled); err != nil || got != want {
			t.Fatalf("%q: got %q, %v; the library says %q", spelled, got, err, want)
		}
	}
	if valid < 2000 {
		t.Fatalf("only %d of 20000 numbers were valid: the test tests little", valid)
	}
}

// TestPhoneSlowWayAgrees feeds the shortcut's own answers through the library's parser.
func TestPhoneSlowWayAgrees(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := rapid.StringMatching(`(\+?1[ -]?)?\(?[2-9][0-9]{2}\)?[ .-]?[2-9][0-9]{2}[ .-]?[0-9]{4}`).Draw(t, "phone")
		got, plain := plainNANP(s)
		if !plain {
			return
		}
		number, err := phonenumbers.Parse(s, "US")
		if err != nil || phonenumbers.Format(number, phonenumbers.E164) != got {
			t.Fatalf("%q: the shortcut says %q, the library %v %v", s, got, number, err)
		}
	})
}

// TestDateAgreesWithTime walks every day of two leap cycles and the edges.
func TestDateAgreesWithTime(t *testing.T) {
	for d := time.Date(1896, 1, 1, 0, 0, 0, 0, time.UTC); d.Year() < 2105; d = d.AddDate(0, 0, 1) {
		for _, layout := range []string{"2006-01-02", "01/02/2006", "1/2/2006", "20060102"} {
			v, err := normalDate(d.Format(layout))
			if err != nil || v.Text != d.Format("2006-01-02") || v.Num*86400 != d.Unix() {
				t.Fatalf("%s: got %+v, %v", d.Format(layout), v, err)
			}
		}
	}
}

// TestCanonicalValuesAreNotCopied checks what the hot path lives from.
func TestCanonicalValuesAreNotCopied(t *testing.T) {
	canonical := map[exchange.FieldKind]string{
		exchange.FieldText: "Ann Lee", exchange.FieldZip: "85001", exchange.FieldPhone: "+16025550143", exchange.FieldEmail: "ann@example.com",
		exchange.FieldInt: "-41", exchange.FieldDecimal: "-12.5", exchange.FieldDate: "1985-02-28", exchange.FieldURL: "https://example.com/x?y=z", exchange.FieldIP: "192.0.2.1",
	}
	for kind, s := range canonical {
		f := exchange.Field{Name: "f", Kind: kind}
		v, err := Normalize(&f, str(s))
		if err != nil || v.Text != s || unsafe.StringData(v.Text) != unsafe.StringData(s) {
			t.Errorf("%s: got %q, %v; want part of the input", kind, v.Text, err)
		}
		if n := testing.AllocsPerRun(100, func() { _, _ = Normalize(&f, str(s)) }); n != 0 {
			t.Errorf("%s: %v allocations, want none", kind, n)
		}
	}
}

func FuzzNormalize(f *testing.F) {
	for _, s := range []string{"85001", "AZ", "+16025550143", "a@b.co", "41", "-00.50", "yes", "good", "02/28/1985", "http://x.y/", "::1", "a\r\nb"} {
		f.Add(s, false)
	}
	fields := make([]exchange.Field, 0, 12)
	for kind := exchange.FieldText; kind <= exchange.FieldIP; kind++ {
		fields = append(fields, exchange.Field{Name: "f", Kind: kind, Values: []string{"good", "Poor"}})
	}
	f.Fuzz(func(t *testing.T, s string, number bool) {
		for i := range fields {
			in := str(s)
			if number {
				in.Kind = Number
			}
			v, err := Normalize(&fields[i], in)
			if err != nil {
				continue
			}
			again, err := Normalize(&fields[i], str(v.Text))
			if err != nil || again != v {
				t.Errorf("%s %q: %+v, and again %+v, %v", fields[i].Kind, s, v, again, err)
			}
			if fields[i].Kind == exchange.FieldURL {
				if u, err := url.Parse(v.Text); err != nil || u.Hostname() == "" || u.User != nil {
					t.Errorf("url %q passed, but net/url says %v", v.Text, err)
				}
			}
		}
	})
}
