package configs

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

var trailing = regexp.MustCompile(`(?m) +$`)

// checkPlain holds the fast reader against the library, and tells whether it took the text.
func checkPlain(t interface{ Errorf(string, ...any) }, text string) bool {
	fast, slow := newLoader("f.yaml", ".", env), newLoader("f.yaml", ".", env)
	got, ok := fast.readPlain([]byte(text))
	if !ok {
		if len(fast.faults) > 0 {
			t.Errorf("declined and told faults\n%s\n%v", text, fast.faults)
		}
		return false
	}
	// Behind a value that spaces follow, the library counts those into its column.
	want := slow.parseAny([]byte(trailing.ReplaceAllString(text, "")))
	if !reflect.DeepEqual(fast.faults, slow.faults) {
		t.Errorf("%q\n%s\ngot faults %v, want %v", text, text, fast.faults, slow.faults)
	}
	if want == nil || showNode(got) != showNode(want) {
		t.Errorf("%q\n%s\ngot\n%s\nwant\n%s", text, text, showNode(got), showNode(want))
	}
	return true
}

// showNode writes a tree with the place of each value.
func showNode(n *node) string {
	var b strings.Builder
	var show func(n *node, indent string)
	show = func(n *node, indent string) {
		fmt.Fprintf(&b, " %d:%d shape %d %q %q\n", n.line, n.col, n.shape, n.text, n.written)
		for _, item := range n.items {
			b.WriteString(indent + "-")
			show(item, indent+"  ")
		}
		for _, e := range n.entries {
			fmt.Fprintf(&b, "%s%q %d:%d:", indent, e.key, e.line, e.col)
			show(e.value, indent+"  ")
		}
	}
	if n != nil {
		show(n, "")
	}
	return b.String()
}

// Every text of the house is read alike; most of them by the fast reader.
func TestPlainReadsTheHouse(t *testing.T) {
	texts := map[string]string{}
	for _, glob := range []string{"*.yaml", "testdata/*.yaml", "../bench/*/testdata/*.yaml"} {
		paths, err := filepath.Glob(glob)
		if err != nil {
			t.Fatal(err)
		}
		for _, path := range paths {
			text, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			texts[path] = string(text)
		}
	}
	if err := fs.WalkDir(shippedFiles, ".", func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		text, err := fs.ReadFile(shippedFiles, path)
		texts[path] = string(text)
		return err
	}); err != nil {
		t.Fatal(err)
	}
	var declined []string
	for path, text := range texts {
		if !checkPlain(t, text) {
			declined = append(declined, path)
		}
	}
	slices.Sort(declined)
	want := []string{"anchors", "documents", "duplicate_key", "empty", "not_a_table", "syntax", "syntax_tab"}
	for i := range want {
		want[i] = "testdata/" + want[i] + ".yaml"
	}
	if !slices.Equal(declined, want) {
		t.Errorf("left to the library: %v, want %v", declined, want)
	}
}

// tenThousand is a config with so many contracts, half of them written on one line.
func tenThousand() string {
	var b strings.Builder
	b.WriteString("listen: 127.0.0.1:8080\ndata: ./data\ncurrency: USD\ntime_zone: UTC\nverticals:\n  auto:\n    fields:\n      state: {type: state, ping: required}\n" +
		"      phone: {type: phone, post: required, personal: true}\nsellers: {}\nbuyers:\n  many:\n    contracts:\n")
	for i := range 5_000 {
		fmt.Fprintf(&b, "      a%d: {vertical: auto, where: {state: [CA, AZ]}, ping: {url: \"http://127.0.0.1:9101/ping\"}, post: {url: \"http://127.0.0.1:9101/post\"}}\n", i)
		fmt.Fprintf(&b, "      b%d:\n        vertical: auto\n        where:\n          state: [NV, TX] # both\n        price: 2.50\n        post:\n          url: http://127.0.0.1:9101/post\n", i)
	}
	b.WriteString("trees:\n  auto:\n    - contracts: [a0, b0]\n")
	return b.String()
}

// The file of ten thousand contracts costs little garbage: the collector runs beside pings too.
func TestPlainAllocatesLittle(t *testing.T) {
	text := []byte(tenThousand())
	if !checkPlain(t, string(text)) {
		t.Fatal("the reader declined")
	}
	const most = 12 * 10_000 // the library: 400 a contract
	if n := testing.AllocsPerRun(1, func() { newLoader("f.yaml", ".", env).parse(text) }); n > most {
		t.Errorf("%.0f allocations, want at most %d", n, most)
	}
}

func BenchmarkLoadTenThousand(b *testing.B) {
	text := []byte(tenThousand())
	b.ReportAllocs()
	for b.Loop() {
		if _, faults := LoadBytes("f.yaml", text, env); len(faults) > 0 {
			b.Fatal(faults)
		}
	}
}

func FuzzPlain(f *testing.F) {
	paths, err := filepath.Glob("testdata/*.yaml")
	if err != nil {
		f.Fatal(err)
	}
	for _, path := range paths {
		text, err := os.ReadFile(path)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(string(text))
	}
	f.Fuzz(func(t *testing.T, text string) { checkPlain(t, text) })
}

// Random texts near to what an operator writes, and slips of the hand in them.
func TestPlainAgreesWithTheLibrary(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		text := plainText(t, "", 0)
		for range rapid.IntRange(0, 3).Draw(t, "slips") {
			at := rapid.IntRange(0, len(text)).Draw(t, "at")
			until := min(len(text), at+rapid.IntRange(0, 2).Draw(t, "cut"))
			slip := rapid.SampledFrom([]string{"", " ", "  ", "\n", "- ", "-", ":", ": ", "#", " #", ",", "[", "]", "{", "}", "'", "\"", "x", "~", "|", "&a", "*a", "!", "?", "é", "<<", "<", "=", ">", "\\", ".", "0", "\"a\\\"b\""}).Draw(t, "slip")
			text = text[:at] + slip + text[until:]
		}
		checkPlain(t, text)
	})
}

var plainWords = []string{"a", "b1", "true", "null", "~", "Null", "12", "-3", "0x1f", "0o17", "017", "1_000", "1.50", "20%", "1e3", "2026-11-21", "09:00", "a b", "a  b", "http://x.y/z?a=b&c", "it's", "a#b",
	"a,b", "x-y_z", "é", "yes", "\"q\"", "'s'", "\"\"", "''", "\"a # b\"", "'a: b'", "\"{p}\"", "$${x}", "${PORT}", "${GONE}", "env:HOOK", "+5", ".5", "-.inf", "a:b", "-x", "a]", "a}", "a{b", "a[b", "a\"b", "a'b", "/p", "(x)", "a!", "a&b", "a*b", "a|b", "a>b", "a%b", "a@b", "=", "\\", "a\\b", "1:2", "null x", "-", "--", "---", "...", "a ", "5m", "[]", "{}", "_"}

func plainText(t *rapid.T, indent string, depth int) string {
	var b strings.Builder
	for i := range rapid.IntRange(1, 4).Draw(t, "keys") {
		key := rapid.SampledFrom([]string{"k", "\"k\"", "'k'", "a-b", "1", "1.5", "true", "x.y", "_", "k k", "é"}).Draw(t, "key")
		if rapid.IntRange(0, 5).Draw(t, "own") > 0 && !strings.HasSuffix(key, "\"") && !strings.HasSuffix(key, "'") {
			key += fmt.Sprint(i)
		}
		b.WriteString(indent + key + ":" + plainValue(t, indent, depth))
		if rapid.IntRange(0, 5).Draw(t, "empty") == 0 {
			b.WriteString(rapid.SampledFrom([]string{"\n", "# note\n", "   # note\n", "  \n", "\n\n"}).Draw(t, "note"))
		}
	}
	return b.String()
}

func plainValue(t *rapid.T, indent string, depth int) string {
	comment := rapid.SampledFrom([]string{"\n", "\n", "\n", " # note\n", "  \n", "#\n"}).Draw(t, "comment")
	deeper := indent + rapid.SampledFrom([]string{"  ", " ", "    "}).Draw(t, "deeper")
	switch kind := rapid.IntRange(0, 9).Draw(t, "kind"); {
	case kind < 4 || depth > 3:
		return " " + rapid.SampledFrom(plainWords).Draw(t, "word") + comment
	case kind < 6:
		return " " + plainFlow(t, deeper, depth+1) + comment
	case kind == 6:
		return comment
	case kind == 7:
		return comment + plainText(t, deeper, depth+1)
	default:
		out := comment
		if rapid.Bool().Draw(t, "same") {
			deeper = indent
		}
		for range rapid.IntRange(1, 3).Draw(t, "items") {
			if rapid.Bool().Draw(t, "table") {
				text := plainText(t, deeper+"  ", depth+1)
				out += deeper + "- " + text[len(deeper)+2:]
			} else {
				out += deeper + "-" + plainValue(t, deeper, 9)
			}
		}
		return out
	}
}

func plainFlow(t *rapid.T, indent string, depth int) string {
	gap := rapid.SampledFrom([]string{"", "", "", " ", "\n" + indent, "\n", "\n" + indent[:len(indent)-1]})
	n := rapid.IntRange(0, 3).Draw(t, "n")
	var parts []string
	isTable := rapid.Bool().Draw(t, "table")
	for i := range n {
		v := rapid.SampledFrom(plainWords).Draw(t, "word")
		if depth < 3 && rapid.IntRange(0, 3).Draw(t, "nest") == 0 {
			v = plainFlow(t, indent, depth+1)
		}
		if isTable {
			v = rapid.SampledFrom([]string{"k", "\"k\"", "'k'", "x.y", "1"}).Draw(t, "key") + fmt.Sprint(i) + ": " + v
		}
		parts = append(parts, gap.Draw(t, "gap")+v+gap.Draw(t, "gap"))
	}
	open, end := "[", "]"
	if isTable {
		open, end = "{", "}"
	}
	return open + strings.Join(parts, ", ") + gap.Draw(t, "gap") + end
}
