package exchange

import (
	"crypto/md5"  //nolint:gosec // what buyers' lists are made of; nothing is kept safe by it
	"crypto/sha1" //nolint:gosec // likewise
	"crypto/sha256"
	"encoding/binary"
	"slices"
	"strings"
)

// SuppressedBy is what the rows of a suppression list are.
type SuppressedBy uint8

// The hashes, by their length in hexadecimal digits: 32, 40 and 64.
const (
	SuppressedByMD5 SuppressedBy = iota
	SuppressedBySHA1
	SuppressedBySHA256
	suppressedByCount
)

// Suppression is a list of hashed phones and e-mail addresses of people who must
// not be sold. It keeps the first eight bytes of each hash, sorted: 8 bytes a row.
// Of ten million rows a stranger meets one by chance once in 1.8 million million
// look-ups, and then a sale is lost; nobody on the list is ever passed over.
// It is immutable and safe for concurrent use.
type Suppression struct {
	rows []uint64
	by   [suppressedByCount]bool
}

// NewSuppression makes a list of rows, which it keeps and sorts, and of the hashes that they are.
func NewSuppression(rows []uint64, by ...SuppressedBy) *Suppression {
	slices.Sort(rows)
	s := &Suppression{rows: slices.Clip(slices.Compact(rows))}
	for _, kind := range by {
		s.by[kind] = true
	}
	return s
}

// Rows returns how many different rows the list has.
func (s *Suppression) Rows() int { return len(s.rows) }

// Suspect is whom a lead is of, as suppression lists know people.
type Suspect struct {
	rows [suppressedByCount][]uint64
}

// SuspectOf hashes a whole lead's phones and e-mail addresses, in each spelling
// that lists are made of: an address in small letters; a number as +16025550143,
// 16025550143 and, in the North American plan, 6025550143.
func SuspectOf(lead *Lead) *Suspect {
	s := &Suspect{}
	for i := range lead.Values {
		v := &lead.Values[i]
		if !v.Set {
			continue
		}
		switch lead.Vertical.Fields[i].Kind {
		case FieldEmail:
			s.add(v.Text)
		case FieldPhone:
			s.add(v.Text)
			digits := strings.TrimPrefix(v.Text, "+")
			s.add(digits)
			if national, nanp := strings.CutPrefix(digits, "1"); nanp && len(national) == 10 {
				s.add(national)
			}
		}
	}
	return s
}

func (s *Suspect) add(text string) {
	m, one, two := md5.Sum([]byte(text)), sha1.Sum([]byte(text)), sha256.Sum256([]byte(text)) //nolint:gosec // see above
	for kind, sum := range [...][]byte{m[:], one[:], two[:]} {
		s.rows[kind] = append(s.rows[kind], binary.BigEndian.Uint64(sum))
	}
}

// Has tells whether the list names the suspect.
func (s *Suppression) Has(who *Suspect) bool {
	for kind, rows := range who.rows {
		if !s.by[kind] {
			continue
		}
		for _, row := range rows {
			if _, found := slices.BinarySearch(s.rows, row); found {
				return true
			}
		}
	}
	return false
}

// Suppresses tells whether one of the lists names the suspect.
func Suppresses(lists []*Suppression, who *Suspect) bool {
	return slices.ContainsFunc(lists, func(s *Suppression) bool { return s.Has(who) })
}
