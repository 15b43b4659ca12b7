package configs

import (
	"crypto/sha256"
	"encoding/hex"
	"slices"
	"strconv"
	"strings"
)

// canonical renders the tree: keys sorted, no comments, each scalar in one
// spelling, nothing of the environment, no secret. Two files that differ in
// layout alone give the same text.
func canonical(n *node) string {
	var b strings.Builder
	writeTable(&b, n, 0)
	return b.String()
}

func writeTable(b *strings.Builder, n *node, indent int) {
	entries := slices.Clone(n.entries)
	slices.SortFunc(entries, func(x, y entry) int { return strings.Compare(x.key, y.key) })
	for _, e := range entries {
		writeIndent(b, indent)
		b.WriteString(quoted(e.key))
		b.WriteByte(':')
		writeValue(b, e.value, indent)
	}
}

// writeValue writes what stands after "key:" or "-".
func writeValue(b *strings.Builder, n *node, indent int) {
	switch {
	case n.shape == shapeScalar && n.secret:
		b.WriteString(" (hidden)\n")
	case n.shape == shapeScalar:
		b.WriteString(" " + quoted(n.written) + "\n")
	case n.shape == shapeList && len(n.items) > 0:
		b.WriteByte('\n')
		for _, item := range n.items {
			writeIndent(b, indent+1)
			b.WriteByte('-')
			writeValue(b, item, indent+1)
		}
	case n.shape == shapeTable && len(n.entries) > 0:
		b.WriteByte('\n')
		writeTable(b, n, indent+1)
	case n.shape == shapeList:
		b.WriteString(" []\n")
	case n.shape == shapeTable:
		b.WriteString(" {}\n")
	default:
		b.WriteByte('\n')
	}
}

func writeIndent(b *strings.Builder, indent int) {
	for range indent {
		b.WriteString("  ")
	}
}

// quoted leaves what can stand plain and quotes the rest.
func quoted(s string) string {
	plain := s != "" && s != "null" && s != "Null" && s != "NULL"
	for i := range len(s) {
		c := s[i]
		word := c == '_' || c == '.' || c == '/' || (c >= '0' && c <= '9') || (c|0x20 >= 'a' && c|0x20 <= 'z')
		if !word && (i == 0 || i == len(s)-1 || (c != '-' && c != ':')) && (c != '%' || i == 0) {
			plain = false
		}
	}
	if plain {
		return s
	}
	return strconv.Quote(s)
}

// seal gives the config its text and hash.
func (l *loader) seal(root *node) {
	l.cfg.Text = canonical(root)
	sum := sha256.Sum256([]byte(l.cfg.Text + l.listSums() + l.presetSums()))
	l.cfg.Hash = hex.EncodeToString(sum[:])
	l.cfg.Market.Hash = l.cfg.Hash
}
