package schema

import (
	"encoding/json"
	"fmt"
	"iter"
	"reflect"
	"strings"
	"testing"

	"github.com/tidwall/gjson"
	"pgregory.net/rapid"

	"vendue/exchange"
)

// auto is the vertical of the example config, less a few fields.
func auto() *exchange.Vertical {
	const need, may = exchange.NeedRequired, exchange.NeedOptional
	v := &exchange.Vertical{ID: "auto", Slots: map[string]int{}, Fields: []exchange.Field{
		{Name: "zip", Kind: exchange.FieldZip, Ping: need},
		{Name: "state", Kind: exchange.FieldState, Ping: need},
		{Name: "age", Kind: exchange.FieldInt, Ping: need, HasMin: true, Min: 16, HasMax: true, Max: 110},
		{Name: "insured", Kind: exchange.FieldBool, Ping: may},
		{Name: "note", Kind: exchange.FieldText, Post: may},
		{Name: "first_name", Kind: exchange.FieldText, Post: need, Personal: true, HasMax: true, Max: 80},
		{Name: "phone", Kind: exchange.FieldPhone, Post: need, Personal: true},
		{Name: "email", Kind: exchange.FieldEmail, Post: may, Personal: true},
	}}
	for i := range v.Fields {
		v.Slots[v.Fields[i].Name] = i
	}
	return v
}

const wholeLead = `{"zip":"85001","state":"AZ","age":41,"insured":true,"note":"x","first_name":"Ann","phone":"+16025550143","email":"ann@example.com"}`

// show renders what was read as one line: set values, counts, faults.
func show(v *exchange.Vertical, values []exchange.Value, counts Counts, faults []Fault) string {
	var b strings.Builder
	b.Write(AppendJSON(nil, &exchange.Lead{Vertical: v, Values: values}, nil))
	if counts != (Counts{}) {
		fmt.Fprintf(&b, " unknown=%d personal=%d changed=%d", counts.Unknown, counts.PersonalDropped, counts.Changed)
	}
	for _, f := range faults {
		fmt.Fprintf(&b, " | %s missing=%t %s", f.Field, f.Missing, f.Text)
	}
	return b.String()
}

func TestReadJSON(t *testing.T) {
	ping := map[string]string{"zip": "85001", "state": "AZ", "age": "41"}
	tests := []struct {
		name  string
		phase Phase
		ping  map[string]string
		raw   string
		want  string
	}{
		{"a ping", PhasePing, nil, `{"zip":"85001-1111","state":"arizona","age":"41","insured":"Y"}`,
			`{"zip":"85001","state":"AZ","age":41,"insured":true}`},
		{"a ping with more than it may have", PhasePing, nil, wholeLead[:len(wholeLead)-1] + `,"color":"red","x":{"zip":[1]}}`,
			`{"zip":"85001","state":"AZ","age":41,"insured":true} unknown=2 personal=3 changed=0`},
		{"null and blank are absent", PhasePing, nil, `{"zip":null,"state":"","age":" ","insured":null,"phone":null}`,
			`{} | zip missing=true ` + errZip.Error() + ` | state missing=true ` + errState.Error() + ` | age missing=true ` + errInt.Error()},
		{"faults come in the order of the fields", PhasePing, nil, `{"age":12,"insured":"maybe","zip":"x"}`,
			`{} | zip missing=false ` + errZip.Error() + ` | state missing=true ` + errState.Error() +
				` | age missing=false expected at least 16 | insured missing=false ` + errBool.Error()},
		{"a compound is no scalar", PhasePing, nil, `{"zip":["85001"],"state":{"a":1},"age":41}`,
			`{"age":41} | zip missing=false ` + errZip.Error() + `, not an array or object | state missing=false ` + errState.Error() + `, not an array or object`},
		{"a field twice", PhasePing, nil, `{"zip":"85001","zip":"10001","state":"AZ","age":41}`,
			`{"zip":"85001","state":"AZ","age":41} | zip missing=false expected once, given more than once`},
		{"a field twice by escape", PhasePing, nil, `{"zip":"85001","z\u0069p":null,"state":"AZ","age":41}`,
			`{"zip":"85001","state":"AZ","age":41} | zip missing=false expected once, given more than once`},
		{"no object", PhasePing, nil, `[1]`, `{} | lead missing=false expected an object of fields`},
		{"nothing", PhasePing, nil, ``, `{} | lead missing=true expected an object of fields`},
		{"a direct", PhaseDirect, nil, wholeLead, wholeLead},
		{"a direct lacks both kinds", PhaseDirect, nil, `{"zip":"85001","state":"AZ","phone":"6025550143"}`,
			`{"zip":"85001","state":"AZ","phone":"+16025550143"} | age missing=true ` + errInt.Error() + ` | first_name missing=true ` + errText.Error()},
		{"a post without the ping's fields", PhasePost, ping, `{"first_name":"Ann","phone":"6025550143"}`,
			`{"zip":"85001","state":"AZ","age":41,"first_name":"Ann","phone":"+16025550143"}`},
		{"a post repeats the ping in other spellings", PhasePost, ping, `{"zip":85001,"state":"Arizona","age":"41","first_name":"Ann","phone":"6025550143"}`,
			`{"zip":"85001","state":"AZ","age":41,"first_name":"Ann","phone":"+16025550143"}`},
		{"a post changes the ping", PhasePost, ping, `{"zip":"10001","state":"??","age":[],"insured":false,"first_name":"Ann","phone":"6025550143"}`,
			`{"zip":"85001","state":"AZ","age":41,"insured":false,"first_name":"Ann","phone":"+16025550143"} unknown=0 personal=0 changed=3`},
		{"a post lacks what it must have", PhasePost, ping, `{"email":"x"}`,
			`{"zip":"85001","state":"AZ","age":41} | first_name missing=true ` + errText.Error() + ` | phone missing=true ` + errPhone.Error() + ` | email missing=false ` + errEmail.Error()},
		{"escapes are decoded", PhasePost, ping, `{"first_name":"\u00c9lo\u00efse \"\ud83d\ude00\" \\n","phone":"\u002b16025550143"}`,
			`{"zip":"85001","state":"AZ","age":41,"first_name":"Éloïse \"😀\" \\n","phone":"+16025550143"}`},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			v := auto()
			values := make([]exchange.Value, len(v.Fields))
			for name, text := range test.ping {
				slot := v.Slots[name]
				values[slot], _ = Normalize(&v.Fields[slot], str(text))
			}
			counts, faults := ReadJSON(v, test.raw, test.phase, values)
			if got := show(v, values, counts, faults); got != test.want {
				t.Errorf("got\n%s\nwant\n%s", got, test.want)
			}
		})
	}
}

func pairs(kv ...string) iter.Seq2[string, string] {
	return func(yield func(string, string) bool) {
		for i := 0; i+1 < len(kv) && yield(kv[i], kv[i+1]); i += 2 {
		}
	}
}

func TestReadForm(t *testing.T) {
	v := auto()
	values := make([]exchange.Value, len(v.Fields))
	counts, faults := ReadForm(v, pairs("campaign", "c", "sub1", "s", "zip", "85001", "state", "az", "color", "red", "age", "", "age", "41", "phone", "x"), PhasePing, values)
	want := `{"zip":"85001","state":"AZ"} unknown=1 personal=1 changed=0 | age missing=false expected once, given more than once`
	if got := show(v, values, counts, faults); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}

// TestReadersAgree reads the same pairs as a form and as JSON.
func TestReadersAgree(t *testing.T) {
	v := auto()
	rapid.Check(t, func(t *rapid.T) {
		keys := rapid.SliceOfN(rapid.SampledFrom([]string{"zip", "state", "age", "insured", "note", "first_name", "phone", "email", "other"}), 0, 9).Draw(t, "keys")
		phase := Phase(rapid.IntRange(int(PhasePing), int(PhaseDirect)).Draw(t, "phase"))
		var kv []string
		raw := []byte("{")
		for i, key := range keys {
			value := rapid.SampledFrom([]string{"", "85001", "AZ", "yes", "41", "6025550143", "a@b.co", "Zoë \"\\\n"}).Draw(t, "value")
			kv = append(kv, key, value)
			if i > 0 {
				raw = append(raw, ',')
			}
			raw = AppendString(append(AppendString(raw, key), ':'), value)
		}
		fromForm, fromJSON := make([]exchange.Value, len(v.Fields)), make([]exchange.Value, len(v.Fields))
		formCounts, formFaults := ReadForm(v, pairs(kv...), phase, fromForm)
		jsonCounts, jsonFaults := ReadJSON(v, string(append(raw, '}')), phase, fromJSON)
		if formCounts != jsonCounts || !reflect.DeepEqual(formFaults, jsonFaults) || !reflect.DeepEqual(fromForm, fromJSON) {
			t.Fatalf("form %s\njson %s", show(v, fromForm, formCounts, formFaults), show(v, fromJSON, jsonCounts, jsonFaults))
		}
		if phase == PhasePing {
			for i := range v.Fields {
				if v.Fields[i].Personal && fromJSON[i].Set {
					t.Fatalf("a ping took personal field %s", v.Fields[i].Name)
				}
			}
		}
	})
}

// TestReadJSONAllocations is the hot path's budget: a canonical lead costs nothing.
func TestReadJSONAllocations(t *testing.T) {
	v := auto()
	values := make([]exchange.Value, len(v.Fields))
	n := testing.AllocsPerRun(200, func() {
		clear(values)
		if _, faults := ReadJSON(v, wholeLead, PhaseDirect, values); faults != nil {
			t.Fatal(faults)
		}
	})
	if n != 0 {
		t.Errorf("%v allocations for a canonical lead, want none", n)
	}
	buf := make([]byte, 0, 1024)
	lead := &exchange.Lead{Vertical: v, Values: values}
	if n := testing.AllocsPerRun(200, func() { buf = AppendJSON(buf[:0], lead, nil) }); n != 0 {
		t.Errorf("%v allocations for writing a lead, want none", n)
	}
}

func TestAppendJSON(t *testing.T) {
	v := auto()
	values := make([]exchange.Value, len(v.Fields))
	if _, faults := ReadJSON(v, wholeLead, PhaseDirect, values); faults != nil {
		t.Fatal(faults)
	}
	lead := &exchange.Lead{Vertical: v, Values: values}
	got := string(AppendJSON([]byte("x"), lead, func(f *exchange.Field) bool { return f.Ping != exchange.NeedNot }))
	if want := `x{"zip":"85001","state":"AZ","age":41,"insured":true}`; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

func FuzzReadJSON(f *testing.F) {
	f.Add(wholeLead, uint8(PhasePing))
	f.Add(wholeLead, uint8(PhaseDirect))
	f.Add(`{"first_name":"\ud800\u0000","note":"\u2028\t","age":1e9}`, uint8(PhasePost))
	f.Add(`{"zip":`, uint8(1))
	v := auto()
	f.Fuzz(func(t *testing.T, raw string, phase uint8) {
		values := make([]exchange.Value, len(v.Fields))
		_, faults := ReadJSON(v, raw, Phase(phase%3+1), values) // not valid JSON either: it must not panic
		if !gjson.Valid(raw) || faults != nil {
			return
		}
		out := AppendJSON(nil, &exchange.Lead{Vertical: v, Values: values}, nil)
		if !json.Valid(out) {
			t.Fatalf("wrote invalid JSON %q", out)
		}
		again := make([]exchange.Value, len(v.Fields))
		phaseAgain := Phase(phase%3 + 1)
		if _, faults := ReadJSON(v, string(out), phaseAgain, again); faults != nil || !reflect.DeepEqual(values, again) {
			t.Fatalf("read %+v, wrote %s, read %+v with %v", values, out, again, faults)
		}
	})
}

func BenchmarkReadJSON(b *testing.B) {
	v := auto()
	values := make([]exchange.Value, len(v.Fields))
	b.ReportAllocs()
	for b.Loop() {
		clear(values)
		ReadJSON(v, wholeLead, PhaseDirect, values)
	}
}
