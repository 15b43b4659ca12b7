package configs

import (
	"bufio"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"vendue/exchange"
	"vendue/exchange/schema"
)

// errNotRegular is the fault of a list that no file holds, or too large a one.
var errNotRegular = fmt.Errorf("expected a file of at most %d bytes", fileBytesMax)

// listKey names a file as one field reads it: its values are normalised like the field's.
type listKey struct {
	path string
	kind exchange.FieldKind
	enum string // the values of an enum
}

// lists are the files of values that filters name. Each is read once, however
// many contracts name it, and they share what was read.
type lists struct {
	texts map[listKey][]string
	sums  map[string][sha256.Size]byte // by the path as written: what a list says decides, so the config's hash depends on it
}

// fileTexts returns the values of a file for a field: one a line, what follows # is left out.
func (l *loader) fileTexts(n *node, f *exchange.Field) []string {
	name, ok := l.text(n)
	if !ok {
		return nil
	}
	key := listKey{l.path(name), f.Kind, strings.Join(f.Values, "\n")}
	if texts, read := l.lists.texts[key]; read {
		return texts
	}
	if l.lists.texts == nil {
		l.lists.texts = map[listKey][]string{}
	}
	shown := name
	if !filepath.IsAbs(name) {
		shown = filepath.Join(filepath.Dir(l.file), name)
	}
	texts, sum, err := l.readList(key.path, shown, f)
	if err != nil {
		var path *os.PathError
		if errors.As(err, &path) {
			err = path.Err
		}
		l.fault(n.pos, "cannot read the list %q: %s", name, err)
	}
	l.lists.texts[key] = texts
	l.noteSum(n.written, sum)
	return texts
}

// noteSum makes the config's hash depend on what a file holds that stands in it by its name.
func (l *loader) noteSum(written string, sum [sha256.Size]byte) {
	if l.lists.sums == nil {
		l.lists.sums = map[string][sha256.Size]byte{}
	}
	l.lists.sums[written] = sum
}

func (l *loader) readList(path, shown string, f *exchange.Field) (texts []string, sum [sha256.Size]byte, err error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, sum, err
	}
	if !info.Mode().IsRegular() || info.Size() > fileBytesMax {
		return nil, sum, errNotRegular
	}
	file, err := os.Open(path)
	if err != nil {
		return nil, sum, err
	}
	defer func() { _ = file.Close() }()
	hash := sha256.New()
	lines := bufio.NewScanner(io.TeeReader(io.LimitReader(file, fileBytesMax), hash))
	faults := len(l.faults)
	for line := 1; lines.Scan(); line++ {
		text, _, _ := strings.Cut(lines.Text(), "#")
		value := strings.TrimSpace(text)
		if value == "" {
			continue
		}
		at := pos{line, 1 + len([]rune(text[:strings.Index(text, value)]))}
		if texts, err = appendTexts(texts, f, value); err != nil {
			l.faultIn(shown, at, "field %q, value %q: %s", f.Name, value, err)
		}
	}
	switch err = lines.Err(); {
	case err != nil:
		return nil, sum, err
	case len(texts) == 0 && len(l.faults) == faults:
		return nil, sum, errors.New("expected at least one value, each on a line of its own")
	}
	return texts, [sha256.Size]byte(hash.Sum(nil)), nil
}

// appendTexts appends the canonical texts that value stands for: one, or those of a range of zip codes such as 85001-85099.
func appendTexts(dst []string, f *exchange.Field, value string) ([]string, error) {
	if low, high, ranged := strings.Cut(value, "-"); ranged && f.Kind == exchange.FieldZip && len(high) == 5 {
		first, errLow := strconv.ParseUint(low, 10, 32)
		last, errHigh := strconv.ParseUint(high, 10, 32)
		if len(low) != 5 || errLow != nil || errHigh != nil || first > last {
			return dst, errors.New("expected a range of zip codes from the lower to the higher, such as 85001-85099")
		}
		if len(dst)+int(last-first) >= whereValuesMax {
			return dst, errTooMany
		}
		for zip := first; zip <= last; zip++ {
			dst = append(dst, fmt.Sprintf("%05d", zip))
		}
		return dst, nil
	}
	v, err := schema.Normalize(f, schema.Input{Text: value})
	if err != nil {
		return dst, err
	}
	if len(dst) >= whereValuesMax {
		return dst, errTooMany
	}
	return append(dst, v.Text), nil
}

var errTooMany = fmt.Errorf("expected at most %d values in all", whereValuesMax)

// listSums returns what the canonical text does not show of the lists: their contents, in one line each.
func (l *loader) listSums() string {
	lines := make([]string, 0, len(l.lists.sums))
	for name, sum := range l.lists.sums {
		lines = append(lines, fmt.Sprintf("%x %s\n", sum, name))
	}
	slices.Sort(lines)
	return strings.Join(lines, "")
}
