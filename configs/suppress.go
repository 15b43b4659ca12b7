package configs

import (
	"bufio"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"vendue/exchange"
)

// Bounds of the suppression lists of one config.
const (
	suppressRowsMax   = 20_000_000 // of all files together: 160 MB while they are in force, and as much again during a reload
	suppressFaultsMax = 20         // told of one file: one of another kind has them in every line
)

// suppressions are the files that were read, each once however many name it.
type suppressions struct {
	lists map[string]*exchange.Suppression
	rows  int
}

// suppress reads the files of hashes that n names: one, or a list of them.
func (l *loader) suppress(n *node) (out []*exchange.Suppression) {
	if n == nil {
		return nil
	}
	items := []*node{n}
	if n.shape == shapeList {
		items = l.list(n)
	}
	for _, item := range items {
		if name, ok := l.text(item); ok {
			if list := l.suppression(item, name); list != nil {
				out = append(out, list)
			}
		}
	}
	return out
}

func (l *loader) suppression(n *node, name string) *exchange.Suppression {
	path := l.path(name)
	if list, read := l.suppressed.lists[path]; read {
		return list
	}
	if l.suppressed.lists == nil {
		l.suppressed.lists = map[string]*exchange.Suppression{}
	}
	shown := name
	if !filepath.IsAbs(name) {
		shown = filepath.Join(filepath.Dir(l.file), name)
	}
	list, sum, err := l.readSuppression(path, shown)
	if err != nil {
		var fault *os.PathError
		if errors.As(err, &fault) {
			err = fault.Err
		}
		l.fault(n.pos, "cannot read the suppression list %q: %s", name, err)
	}
	l.suppressed.lists[path] = list
	l.noteSum(n.written, sum)
	return list
}

var (
	errSuppressFile = errors.New("expected a file")
	errSuppressRows = fmt.Errorf("expected at most %d rows in all lists together", suppressRowsMax)
	errSuppressNone = errors.New("expected at least one row, each on a line of its own")
)

func (l *loader) readSuppression(path, shown string) (list *exchange.Suppression, sum [sha256.Size]byte, err error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, sum, err
	}
	if !info.Mode().IsRegular() {
		return nil, sum, errSuppressFile
	}
	file, err := os.Open(path)
	if err != nil {
		return nil, sum, err
	}
	defer func() { _ = file.Close() }()
	hash := sha256.New()
	r := rowReader{l: l, shown: shown, rows: make([]uint64, 0, min(info.Size()/65+1, suppressRowsMax))}
	lines := bufio.NewScanner(io.TeeReader(file, hash))
	lines.Buffer(make([]byte, 0, 256<<10), 256<<10)
	for r.line = 1; lines.Scan() && err == nil; r.line++ {
		err = r.take(lines.Bytes())
	}
	if err == nil {
		err = lines.Err()
	}
	if err == nil && len(r.rows) == 0 && r.faults == 0 {
		err = errSuppressNone
	}
	if err != nil || r.faults > 0 {
		return nil, sum, err
	}
	list = exchange.NewSuppression(r.rows, r.kinds()...)
	return list, [sha256.Size]byte(hash.Sum(nil)), nil
}

// rowReader reads one list line by line.
type rowReader struct {
	l      *loader
	shown  string
	line   int
	rows   []uint64
	by     [exchange.SuppressedBySHA256 + 1]bool
	faults int
}

// take reads one line: a hash in hexadecimal, perhaps with space or a comment
// after it. The fault of another never shows the line: it may be a plain number.
func (r *rowReader) take(line []byte) error {
	first := 0
	for first < len(line) && (line[first] == ' ' || line[first] == '\t') {
		first++
	}
	end := first
	for end < len(line) && line[end] != ' ' && line[end] != '\t' && line[end] != '\r' && line[end] != '#' {
		end++
	}
	row := line[first:end]
	if len(row) == 0 && (end == len(line) || line[end] == '#' || line[end] == '\r') {
		return nil
	}
	var digest [sha256.Size]byte
	kind, known := exchange.SuppressedBySHA256, true
	switch len(row) {
	case 32:
		kind = exchange.SuppressedByMD5
	case 40:
		kind = exchange.SuppressedBySHA1
	case 64:
	default:
		known = false
	}
	if known {
		_, err := hex.Decode(digest[:], row)
		known = err == nil
	}
	if !known {
		if r.faults++; r.faults <= suppressFaultsMax {
			r.l.faultIn(r.shown, pos{r.line, first + 1}, "expected the MD5, SHA-1 or SHA-256 of a phone or an e-mail address: 32, 40 or 64 hexadecimal digits")
		}
		return nil
	}
	if r.l.suppressed.rows++; r.l.suppressed.rows > suppressRowsMax {
		return errSuppressRows
	}
	r.by[kind] = true
	r.rows = append(r.rows, binary.BigEndian.Uint64(digest[:]))
	return nil
}

func (r *rowReader) kinds() (out []exchange.SuppressedBy) {
	for kind, met := range r.by {
		if met {
			out = append(out, exchange.SuppressedBy(kind))
		}
	}
	return out
}
