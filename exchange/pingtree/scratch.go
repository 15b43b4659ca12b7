package pingtree

import (
	"bytes"
	"time"
	"unicode"
	"unicode/utf8"

	"vendue/exchange"
)

// Scratch is the working memory of one request. The caller pools it, and
// calls Reset before each request. It is not safe for concurrent use.
type Scratch struct {
	Excluded [exchange.ReasonCount]int // contracts that may not see the lead, by reason, over all tiers asked since Reset

	list  []*exchange.Contract
	left  set
	mask  set
	name  []byte
	clock clock
}

// Reset forgets the last request. Slices that Eligible returned are void.
func (s *Scratch) Reset() {
	s.Excluded = [exchange.ReasonCount]int{}
	clear(s.list) // a pooled scratch must not keep a market alive that a reload has replaced
	s.list = s.list[:0]
}

// AppendExcluded appends the counts that are not zero, by reason.
func (s *Scratch) AppendExcluded(dst []exchange.Excluded) []exchange.Excluded {
	for r, n := range s.Excluded {
		if n > 0 {
			dst = append(dst, exchange.Excluded{Reason: exchange.Reason(r), Count: n})
		}
	}
	return dst
}

func (s *Scratch) leftFor(words int) set {
	if cap(s.left) < words {
		s.left, s.mask = make(set, words), make(set, words)
	}
	s.left, s.mask = s.left[:words], s.mask[:words]
	return s.left
}

// keep drops from left whatever is not in mask, and counts it for reason.
func (s *Scratch) keep(left, mask set, reason exchange.Reason) {
	before := left.count()
	left.and(mask)
	s.Excluded[reason] += before - left.count()
}

// clock is one instant in one zone, taken apart once for all contracts.
type clock struct {
	now    time.Time
	zone   *time.Location
	day    time.Weekday
	minute int
	starts [exchange.PerTotal + 1]int64
	known  [exchange.PerTotal + 1]bool
}

func (k *clock) set(q *Query) {
	if k.zone == q.Zone && k.now.Equal(q.Now) { // the same instant gives the same parts
		return
	}
	local := q.Now.In(q.Zone)
	*k = clock{now: q.Now, zone: q.Zone, day: local.Weekday(), minute: local.Hour()*60 + local.Minute()}
}

func (k *clock) windowStart(w exchange.Window) int64 {
	if !k.known[w] {
		k.starts[w], k.known[w] = w.Start(k.now, k.zone), true
	}
	return k.starts[w]
}

// appendFolded appends name without outer space and such that names differing only in case become equal.
func appendFolded(dst []byte, name string) []byte {
	start := len(dst)
	for _, r := range name {
		dst = utf8.AppendRune(dst, foldRune(r))
	}
	trimmed := bytes.TrimSpace(dst[start:])
	return dst[:start+copy(dst[start:], trimmed)]
}

// foldRune returns the least rune that equals r but for case, as strings.EqualFold counts equal.
func foldRune(r rune) rune {
	if r < utf8.RuneSelf { // k and s have equals beyond ASCII, but the capital is the least of them too
		if 'a' <= r && r <= 'z' {
			return r - 'a' + 'A'
		}
		return r
	}
	least := r
	for f := unicode.SimpleFold(r); f != r; f = unicode.SimpleFold(f) {
		least = min(least, f)
	}
	return least
}
