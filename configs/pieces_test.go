package configs

import (
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// checkCut holds what pieces of every size say against the library's tree of the
// whole text, and tells whether the text was cut. The pieces of the text before
// are known already, and were used.
func checkCut(t interface{ Errorf(string, ...any) }, before, text string) bool {
	whole := newLoader("f.yaml", ".", env)
	want := whole.parseAny([]byte(text))
	cut := true
	for _, most := range []int{1, 64, pieceBytesMost} {
		pieces := &Pieces{}
		l := newLoader("f.yaml", ".", env)
		l.pieces = pieces
		if root, ok := l.cut(before, most); ok {
			hide(root)
			pieces.accept()
		}
		pieces.end()
		l = newLoader("f.yaml", ".", env)
		l.pieces = pieces
		got, ok := l.cut(text, most)
		cut = cut && ok
		if !ok {
			if len(l.faults) > 0 {
				t.Errorf("gave up and told faults\n%s\n%v", text, l.faults)
			}
			continue
		}
		if !reflect.DeepEqual(l.faults, whole.faults) {
			t.Errorf("%q in pieces of %d\n%s\ngot faults %v, want %v", text, most, text, l.faults, whole.faults)
		}
		if want == nil || showNode(got) != showNode(want) {
			t.Errorf("%q in pieces of %d\n%s\ngot\n%s\nwant\n%s", text, most, text, showNode(got), showNode(want))
		}
	}
	return cut
}

// hide marks a whole tree as whoever reads it marks some of it.
func hide(n *node) {
	n.secret = true
	for _, item := range n.items {
		hide(item)
	}
	for _, e := range n.entries {
		hide(e.value)
	}
	move(n, pos{99, 99})
}

// showNode writes a tree with the place of each value.
func showNode(n *node) string {
	var b strings.Builder
	var show func(n *node, indent string)
	show = func(n *node, indent string) {
		fmt.Fprintf(&b, " %d:%d shape %d %q %q %t\n", n.line, n.col, n.shape, n.text, n.written, n.secret || n.preset)
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

// Every text of the house says the same in pieces; nearly all can be cut.
func TestPiecesReadTheHouse(t *testing.T) {
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
	var whole []string
	for path, text := range texts {
		if !checkCut(t, strings.Replace(text, "a", "b", 1), text) {
			whole = append(whole, path)
		}
	}
	slices.Sort(whole)
	want := []string{"anchors", "documents", "duplicate_key", "empty", "environment_missing", "not_a_table", "syntax", "syntax_tab"}
	for i := range want {
		want[i] = "testdata/" + want[i] + ".yaml"
	}
	if !slices.Equal(whole, want) {
		t.Errorf("read as a whole: %v, want %v", whole, want)
	}
}

// Where some values stand the library tells by what follows them, which a piece does not have.
func TestPiecesTellPlacesAsTheWhole(t *testing.T) {
	for _, text := range []string{
		"k:\n  - -\n", "k:\n  - -\nk1: a\n", "k:\n  j:#\n    - a\n\n\nk1: a\n", "k:\n  j:#\n    - a\n\n", "k:\n , - ${GONE}\nk1: a\n",
		"k: 1", "k:\n  j:", "k:\n\n# note\n", "k: |+\n  a\n\n\nj: >\n  b\n\n", "k:\n- a\n- b\nj: 1\n", "  k: 1\n  j:\n    i: 2\n", "k:   \nj: \"a\n  b\"   \ni:\n  {a: 1,\n  b: 2}\n",
	} {
		checkCut(t, strings.Replace(text, "a", "b", 1), text)
	}
}

// What looks like a key can stand inside of a value: a cut there is given up.
func TestPiecesGiveUp(t *testing.T) {
	for _, text := range []string{
		"a: \"b\nc: d\"\n", "a: 'b\nc: d'\n", "a: {b: 1,\nc: 2}\n", "a: [b,\nc: d]\n",
		"a:\n  \"b\n  c: d\"\ne: 1\n", "a:\n  b\n  c\n",
		"a: 1\na: 2\n", "a:\n  b: 1\nc: 2\na:\n  b: 1\n", "a:\n    b: 1\n  c: 2\n", "a: 1\n---\nb: 2\n", "a: 1\n...\n", "%YAML 1.2\na: 1\n",
		"- a\n", "a", "", "# nothing\n", "a: &x 1\nb: *x\n", "a: !!str 1\n", "<<: {a: 1}\n", "? a\n: b\n", "a:\n\tb: 1\n", "a: 1\r\nb: 2\r\n", "a: ${B C}\n", "[a]: 1\n",
	} {
		if checkCut(t, "a: 1\n", text) {
			t.Errorf("%q was cut", text)
		}
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

// tenThousandEdited is tenThousand after an edit of one line.
func tenThousandEdited() string {
	const line = "a4000: {vertical: auto, where: {state: ["
	return strings.Replace(tenThousand(), line+"CA", line+"WA", 1)
}

// A reading has the library read what changed alone, expands it by the environment
// of now, and keeps no more than it used; one with faults changes nothing of that.
func TestPiecesOfAReload(t *testing.T) {
	pieces := &Pieces{}
	var cfg *Config
	load := func(text, price string) (faults []Fault) {
		cfg, faults = loadBytes("f.yaml", []byte(text), func(string) (string, bool) { return price, price != "" }, pieces, func() {})
		return faults
	}
	text := tenThousand()
	text = text[:strings.Index(text, "      a5:")] + "trees:\n  auto:\n    - contracts: [a0, b0]\n"
	text = strings.Replace(text, "price: 2.50", "price: ${PRICE}", 1)
	if faults := load(text, "2.50"); len(faults) > 0 {
		t.Fatal(faults)
	}
	first := maps.Clone(pieces.last)
	if faults := load(strings.Replace(text, "b1:", "b 1:", 1), "2.50"); len(faults) != 1 || pieces.now != nil || !maps.Equal(pieces.last, first) {
		t.Fatalf("a wrong name: got %v, want one fault and nothing kept of that text", faults)
	}
	if faults := load(text, ""); len(faults) == 0 || faults[0].Line != 19 || faults[0].Col != 16 {
		t.Fatalf("an environment without the price: got %v, want a fault at the price", faults)
	}
	if faults := load("# a line more\n"+strings.Replace(text, "b3:", "b33:", 1), "3.50"); len(faults) > 0 {
		t.Fatal(faults)
	}
	if got := cfg.Market.ByName["b0"].Price; got != 3_500_000 {
		t.Errorf("got the price %d, want that of the environment of now", got)
	}
	fresh := 0
	for k := range pieces.last {
		if _, old := first[k]; !old {
			fresh++
		}
	}
	if fresh != 1 || len(pieces.last) != len(first) {
		t.Errorf("%d pieces are new of %d, want 1 of %d", fresh, len(pieces.last), len(first))
	}
}

// A reload of ten thousand contracts of which one changed costs little garbage: the collector runs beside pings too.
func TestReloadAllocatesLittle(t *testing.T) {
	texts := [][]byte{[]byte(tenThousand()), []byte(tenThousandEdited())}
	pieces, n := &Pieces{}, 0
	read := func() {
		l := newLoader("f.yaml", ".", env)
		l.pieces = pieces
		if l.parse(texts[n%2]) == nil {
			t.Fatal(l.faults)
		}
		pieces.accept()
		pieces.end()
		n++
	}
	read()
	const most = 12 * 10_000 // the library takes 400 for a contract
	if got := testing.AllocsPerRun(1, read); got > most {
		t.Errorf("%.0f allocations, want at most %d", got, most)
	}
}

func BenchmarkLoadTenThousand(b *testing.B) {
	texts := [][]byte{[]byte(tenThousand()), []byte(tenThousandEdited())}
	for _, known := range []bool{false, true} {
		b.Run(fmt.Sprintf("known=%t", known), func(b *testing.B) {
			pieces, n := &Pieces{}, 0
			load := func() {
				if !known {
					pieces = &Pieces{}
				}
				if _, faults := loadBytes("f.yaml", texts[n%2], env, pieces, func() {}); len(faults) > 0 {
					b.Fatal(faults)
				}
				n++
			}
			load()
			b.ReportAllocs()
			for b.Loop() {
				load()
			}
		})
	}
}

func FuzzPieces(f *testing.F) {
	paths, err := filepath.Glob("testdata/*.yaml")
	if err != nil {
		f.Fatal(err)
	}
	for _, path := range paths {
		text, err := os.ReadFile(path)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(string(text), 10, "x")
	}
	f.Fuzz(func(t *testing.T, text string, at int, slip string) {
		at = max(0, min(at, len(text)))
		checkCut(t, text, text[:at]+slip+text[at:])
	})
}

// Random texts near to what an operator writes, and slips of the hand in them.
func TestPiecesAgreeWithTheWhole(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		text := handText(t, "", 0)
		before := text
		for range rapid.IntRange(0, 3).Draw(t, "slips") {
			before = text
			at := rapid.IntRange(0, len(text)).Draw(t, "at")
			until := min(len(text), at+rapid.IntRange(0, 2).Draw(t, "cut"))
			slip := rapid.SampledFrom([]string{"", " ", "  ", "\n", "- ", "-", ":", ": ", "#", " #", ",", "[", "]", "{", "}", "'", "\"", "x", "~", "|", "&a", "*a", "!", "?", "é", "<<", "<", "=", ">", "\\", ".", "0", "\"a\\\"b\""}).Draw(t, "slip")
			text = text[:at] + slip + text[until:]
		}
		checkCut(t, before, text)
	})
}

var handWords = []string{"a", "b1", "true", "null", "~", "Null", "12", "-3", "0x1f", "0o17", "017", "1_000", "1.50", "20%", "1e3", "2026-11-21", "09:00", "a b", "a  b", "http://x.y/z?a=b&c", "it's", "a#b",
	"a,b", "x-y_z", "é", "yes", "\"q\"", "'s'", "\"\"", "''", "\"a # b\"", "'a: b'", "\"{p}\"", "$${x}", "${PORT}", "${GONE}", "env:HOOK", "+5", ".5", "-.inf", "a:b", "-x", "a]", "a}", "a{b", "a[b", "a\"b", "a'b", "/p", "(x)", "a!", "a&b", "a*b", "a|b", "a>b", "a%b", "a@b", "=", "\\", "a\\b", "1:2", "null x", "-", "--", "---", "...", "a ", "5m", "[]", "{}", "_"}

func handText(t *rapid.T, indent string, depth int) string {
	var b strings.Builder
	for i := range rapid.IntRange(1, 4).Draw(t, "keys") {
		key := rapid.SampledFrom([]string{"k", "\"k\"", "'k'", "a-b", "1", "1.5", "true", "x.y", "_", "k k", "é"}).Draw(t, "key")
		if rapid.IntRange(0, 5).Draw(t, "own") > 0 && !strings.HasSuffix(key, "\"") && !strings.HasSuffix(key, "'") {
			key += fmt.Sprint(i)
		}
		b.WriteString(indent + key + ":" + handValue(t, indent, depth))
		if rapid.IntRange(0, 5).Draw(t, "empty") == 0 {
			b.WriteString(rapid.SampledFrom([]string{"\n", "# note\n", "   # note\n", "  \n", "\n\n"}).Draw(t, "note"))
		}
	}
	return b.String()
}

func handValue(t *rapid.T, indent string, depth int) string {
	comment := rapid.SampledFrom([]string{"\n", "\n", "\n", " # note\n", "  \n", "#\n"}).Draw(t, "comment")
	deeper := indent + rapid.SampledFrom([]string{"  ", " ", "    "}).Draw(t, "deeper")
	switch kind := rapid.IntRange(0, 11).Draw(t, "kind"); {
	case kind == 10:
		mark := rapid.SampledFrom([]string{"|", ">", "|-", "|+", ">+"}).Draw(t, "mark")
		return " " + mark + "\n" + deeper + "some\n\n" + deeper + rapid.SampledFrom([]string{"# text\n", "k: v\n\n", " more"}).Draw(t, "text") + comment
	case kind == 11:
		next := rapid.SampledFrom([]string{deeper, indent, ""}).Draw(t, "next")
		return " " + rapid.SampledFrom([]string{"'a\n" + next + "k9: b'", "\"a:\n" + next + "k9: b\"", "{a: b,\n" + next + "k9: c}", "a\n" + next + " b"}).Draw(t, "lines") + comment
	case kind < 4 || depth > 3:
		return " " + rapid.SampledFrom(handWords).Draw(t, "word") + comment
	case kind < 6:
		return " " + handFlow(t, deeper, depth+1) + comment
	case kind == 6:
		return comment
	case kind == 7:
		return comment + handText(t, deeper, depth+1)
	default:
		out := comment
		if rapid.Bool().Draw(t, "same") {
			deeper = indent
		}
		for range rapid.IntRange(1, 3).Draw(t, "items") {
			if rapid.Bool().Draw(t, "table") {
				text := handText(t, deeper+"  ", depth+1)
				out += deeper + "- " + text[len(deeper)+2:]
			} else {
				out += deeper + "-" + handValue(t, deeper, 9)
			}
		}
		return out
	}
}

func handFlow(t *rapid.T, indent string, depth int) string {
	gap := rapid.SampledFrom([]string{"", "", "", " ", "\n" + indent, "\n", "\n" + indent[:len(indent)-1]})
	n := rapid.IntRange(0, 3).Draw(t, "n")
	var parts []string
	isTable := rapid.Bool().Draw(t, "table")
	for i := range n {
		v := rapid.SampledFrom(handWords).Draw(t, "word")
		if depth < 3 && rapid.IntRange(0, 3).Draw(t, "nest") == 0 {
			v = handFlow(t, indent, depth+1)
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
