package configs

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
)

// faultsMax bounds how many faults one load tells.
const faultsMax = 1000

// Fault is one thing wrong with a file, and where.
type Fault struct {
	File string
	Line int // from 1
	Col  int // from 1, in characters
	Text string
}

// String returns FILE:LINE:COL: text.
func (f Fault) String() string {
	return fmt.Sprintf("%s:%d:%d: %s", f.File, f.Line, f.Col, f.Text)
}

// pos is a place in the file.
type pos struct{ line, col int }

// fault notes that something is wrong at p.
func (l *loader) fault(p pos, format string, args ...any) {
	l.faultIn(l.file, p, format, args...)
}

// faultIn notes that something is wrong in a file that the config names.
func (l *loader) faultIn(file string, p pos, format string, args ...any) {
	if len(l.faults) < faultsMax {
		l.faults = append(l.faults, Fault{File: file, Line: p.line, Col: p.col, Text: fmt.Sprintf(format, args...)})
	}
}

// sorted returns the faults in the order of the file and then of those it names, each once.
func (l *loader) sorted() []Fault {
	slices.SortStableFunc(l.faults, func(a, b Fault) int {
		if mine := a.File == l.file; mine != (b.File == l.file) {
			if mine {
				return -1
			}
			return 1
		}
		return cmp.Or(cmp.Compare(a.File, b.File), cmp.Compare(a.Line, b.Line), cmp.Compare(a.Col, b.Col), cmp.Compare(a.Text, b.Text))
	})
	return slices.Compact(l.faults)
}

// didYouMean returns the end of a fault's text: the nearest of the valid
// words, or a few of them if none is near.
func didYouMean(word string, valid []string) string {
	best, bestDistance := "", max(1, len(word)/3)+1
	for _, candidate := range valid {
		if d := distance(strings.ToLower(word), strings.ToLower(candidate), bestDistance); d < bestDistance {
			best, bestDistance = candidate, d
		}
	}
	if best != "" {
		return fmt.Sprintf("; did you mean %q?", best)
	}
	const shown = 12
	if len(valid) == 0 {
		return "; there are none"
	}
	if len(valid) > shown {
		return fmt.Sprintf("; expected one of %s and %d more", strings.Join(valid[:shown], ", "), len(valid)-shown)
	}
	return "; expected one of " + strings.Join(valid, ", ")
}

// distance returns the edit distance of a and b, a swap of neighbours counting
// as one, or limit if it is no less.
func distance(a, b string, limit int) int {
	if len(a)-len(b) >= limit || len(b)-len(a) >= limit {
		return limit
	}
	before, last, row := make([]int, len(b)+1), make([]int, len(b)+1), make([]int, len(b)+1)
	for j := range last {
		last[j] = j
	}
	for i := range len(a) {
		row[0] = i + 1
		for j := range len(b) {
			cost := 1
			if a[i] == b[j] {
				cost = 0
			}
			row[j+1] = min(last[j]+cost, last[j+1]+1, row[j]+1)
			if i > 0 && j > 0 && a[i] == b[j-1] && a[i-1] == b[j] {
				row[j+1] = min(row[j+1], before[j-1]+1)
			}
		}
		before, last, row = last, row, before
	}
	return min(last[len(b)], limit)
}
