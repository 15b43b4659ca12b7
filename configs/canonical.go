package configs

import (
	"crypto/sha256"
	"encoding/hex"
	"io"
	"slices"
	"strconv"
	"strings"
)

// canonical renders the tree: keys sorted, no comments, each scalar in one
// spelling, nothing of the environment, no secret. Two files that differ in
// layout alone give the same text.
func canonical(n *node, breathe func()) string {
	b := page{breathe: breathe}
	b.table(n, 0)
	return b.String()
}

// page is a canonical text being written.
type page struct {
	strings.Builder
	breathe func()
}

func (b *page) table(n *node, indent int) {
	b.breathe()
	entries := slices.Clone(n.entries)
	slices.SortFunc(entries, func(x, y entry) int { return strings.Compare(x.key, y.key) })
	for _, e := range entries {
		b.indent(indent)
		b.WriteString(quoted(e.key))
		b.WriteByte(':')
		b.value(e.value, indent)
	}
}

// value writes what stands after "key:" or "-".
func (b *page) value(n *node, indent int) {
	switch {
	case n.shape == shapeScalar && n.secret:
		b.WriteString(" (hidden)\n")
	case n.shape == shapeScalar:
		b.WriteString(" " + quoted(n.written) + "\n")
	case n.shape == shapeList && len(n.items) > 0:
		b.WriteByte('\n')
		for _, item := range n.items {
			b.indent(indent + 1)
			b.WriteByte('-')
			b.value(item, indent+1)
		}
	case n.shape == shapeTable && len(n.entries) > 0:
		b.WriteByte('\n')
		b.table(n, indent+1)
	case n.shape == shapeList:
		b.WriteString(" []\n")
	case n.shape == shapeTable:
		b.WriteString(" {}\n")
	default:
		b.WriteByte('\n')
	}
}

func (b *page) indent(levels int) {
	for range levels {
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
	l.cfg.Text = canonical(root, l.breathe)
	hash := sha256.New()
	for _, text := range [...]string{l.cfg.Text, l.listSums(), l.presetSums()} {
		const piece = 64 << 10
		for len(text) > 0 {
			n := min(piece, len(text))
			_, _ = io.WriteString(hash, text[:n]) // a hash never fails
			text = text[n:]
			l.breathe()
		}
	}
	l.cfg.Hash = hex.EncodeToString(hash.Sum(nil))
	l.cfg.Market.Hash = l.cfg.Hash
}
