package reconcile

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	utf "golang.org/x/text/encoding/unicode"
)

func TestMoney(t *testing.T) {
	for text, want := range map[string]string{
		"12.5": "12.50", "$1,234.50": "1234.50", "1.234,50 €": "1234.50", "USD 12": "12.00", "(5.00)": "-5.00", "-5": "-5.00", "\u22125,5": "-5.50",
		"1'234.5": "1234.50", "1 234,5": "1234.50", "1\u00a0234,5": "1234.50", "1,234,567": "1234567.00", "1.234.567,8": "1234567.80", "0.125": "0.125", "1234.125": "1234.125",
		"": "!", "abc": "!", "1,23,456": "!", "12e5": "!", "1.2.3": "!", "1,234": "!either", "1.234": "!either", "--5": "!", "12,34.5.6": "!", "5-": "!",
	} {
		m, err := Money(text, 0)
		got := m.String()
		if err != nil {
			if got = "!"; errors.Is(err, errAmbiguous) {
				got = "!either"
			}
		}
		if got != want {
			t.Errorf("%q: got %s, %v, want %s", text, got, err, want)
		}
	}
	for decimal, want := range map[byte]string{'.': "1234.00", ',': "1.234"} {
		if m, err := Money("1,234", decimal); err != nil || m.String() != want {
			t.Errorf("%c: got %s, %v", decimal, m, err)
		}
	}
}

func TestRead(t *testing.T) {
	wide, err := utf.UTF16(utf.LittleEndian, utf.UseBOM).NewEncoder().String("Sub1\tPayout\r\nk\t4.00\r\n")
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		text, want string
		columns    string
	}{
		"commas":       {"conversion_id,payout,status,currency\nc1,4.00,Approved,usd\n\nc2,\"1,000.50\",Rejected,\n", "2 [c1] 4.00 approved|4 [c2] 1000.50 reversed", ""},
		"bom":          {"\ufeffTransaction ID;Status;Payout\nc1;hold;\"4,5\"\n", "2 [c1] 4.50 pending", ""},
		"utf-16":       {wide, "2 [k] 4.00 ", ""},
		"bars":         {"click id|sum\nk|$4\n", "2 [k] 4.00 ", ""},
		"preamble":     {"Report of October\nmade, today\nconversion id,click id,amount\nc1,k1,4\n", "4 [c1 k1] 4.00 ", ""},
		"own columns":  {"a,b,c,status\nk,4,x,who knows\n", "2 [x k] 4.00 ", "id=C+A,amount=B,status=-"},
		"bad lines":    {"txid,payout,status,currency\n,4,,\nc2,x,,\nc3,4,odd,\nc4,4,,EUR\nc5\nc6,4,,\n", "7 [c6] 4.00 !2:1 an id!3:2 an amount!4:3 a status!5:4 the currency!6:1 an amount", ""},
		"total":        {"txid,payout\nc1,4\nTotal of all,\n", "2 [c1] 4.00 !3:2 an amount", ""},
		"two amounts":  {"txid,payout,revenue\nc1,4,5\n", "columns 2 and 3 could both be the amount", ""},
		"no head":      {"1,2,3\n4,5,6\n", "names the columns", ""},
		"empty":        {"", "names the columns", ""},
		"lost columns": {"txid,payout\nc1,4\n", "no column \"nowhere\"", "status=nowhere"},
	} {
		columns, err := ParseColumns(c.columns)
		if err != nil {
			t.Fatal(err)
		}
		list, faults, err := Read(strings.NewReader(c.text), Options{Currency: "USD", Columns: columns})
		var lines []string
		for _, l := range list {
			lines = append(lines, fmt.Sprintf("%d %v %s %s", l.Line, l.IDs, l.Amount, l.Status))
		}
		got := strings.Join(lines, "|")
		for _, f := range faults {
			words := strings.Fields(strings.TrimPrefix(f.Text, "expected "))
			got += fmt.Sprintf("!%d:%d %s %s", f.Line, f.Column, words[0], words[1])
		}
		if err != nil {
			got = err.Error()
		}
		if err == nil && got != c.want || err != nil && !strings.Contains(got, c.want) {
			t.Errorf("%s: got %q, want %q", name, got, c.want)
		}
	}
	for _, text := range []string{"x", "id=", "who=x"} {
		if _, err := ParseColumns(text); err == nil {
			t.Errorf("%q was taken", text)
		}
	}
}

// FuzzRead checks that no list stops the reading, and that every line that is taken has an id and its place.
func FuzzRead(f *testing.F) {
	f.Add("conversion_id,payout\nc1,4.00\n", byte(0))
	f.Add("\xff\xfeS\x00", byte('.'))
	f.Add("a;payout;txid\n\"x;1,2;3\n", byte(','))
	f.Fuzz(func(t *testing.T, text string, decimal byte) {
		if decimal != '.' && decimal != ',' {
			decimal = 0
		}
		list, faults, err := Read(strings.NewReader(text), Options{Currency: "USD", Decimal: decimal})
		if err != nil && len(list)+len(faults) > 0 {
			t.Fatal("a list that cannot be read was read")
		}
		for _, l := range list {
			if len(l.IDs) == 0 || l.Line < 1 {
				t.Fatalf("got %+v", l)
			}
		}
		for _, f := range faults {
			if f.Line < 1 || f.Column < 1 || f.Text == "" {
				t.Fatalf("got %+v", f)
			}
		}
	})
}
