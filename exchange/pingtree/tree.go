// Package pingtree answers which contracts may see a lead, and why the others
// may not. It owns the compiled form of a campaign's tree: an index over the
// contracts' filters that narrows thousands of contracts to a ping's
// candidates without looking at each.
//
// It never reads a clock, does I/O, starts a goroutine or changes a cap: time
// and the caps' use enter as values. What it says about a cap is a forecast;
// only the book's reservation at the post is binding.
package pingtree

import (
	"math/bits"
	"time"

	"vendue/exchange"
)

// Tree is a compiled exchange.Tree for one vertical. It is immutable, so any
// number of goroutines may use it, each with a Scratch of its own.
type Tree struct {
	id       exchange.TreeID
	vertical *exchange.Vertical
	tiers    []tier
	listed   map[*exchange.Contract]struct{}
}

// tier holds the contracts of one tier in listed order; bit n of every set
// stands for contract n.
type tier struct {
	contracts []*exchange.Contract
	all       set
	live      set // not paused
	canTest   set
	exclusive set
	shared    set
	standing  set // with a standing price
	home      set // of the tree's vertical: the only ones whose filters are indexed
	buyers    map[string][]uint32
	texts     []textColumn
	ranges    []rangeColumn
}

// CapsView tells how much of a cap is taken. It must be safe to call while
// the book changes; a slightly old answer does no harm.
type CapsView interface {
	// Used returns reserved and committed together, in leads or micro-units,
	// in the window that began at the Unix second window.
	Used(handle int, window int64) int64
	// Bound returns what bounds a cap that Moves at now: its limit, and what of
	// it may be used by now (exchange.Unscheduled: all).
	Bound(c *exchange.Cap, now time.Time) (limit, schedule int64)
}

// Query is one question: who may see this lead?
type Query struct {
	Lead         *exchange.Lead // one value per field of the tree's vertical
	Now          time.Time
	Zone         *time.Location
	Sale         exchange.SaleKind // the seller's wish
	Test         bool
	Named        []string // buyer names the consumer consented to, compared without regard to case and outer space; empty: no bound
	Caps         CapsView // nil: nothing is used yet
	StandingOnly bool     // ask for contracts with a standing price alone; the others are then neither eligible nor counted
}

// Compile builds the index of t for campaigns of vertical v. Contracts of
// other verticals stay listed and are never eligible. A contract listed twice
// in one tier counts once, at its first place.
func Compile(t *exchange.Tree, v *exchange.Vertical) *Tree {
	return CompileGently(t, v, func() {})
}

// CompileGently is Compile beside other work: it calls breathe after every
// contract, for the caller to give way in.
func CompileGently(t *exchange.Tree, v *exchange.Vertical, breathe func()) *Tree {
	out := &Tree{id: t.ID, vertical: v, tiers: make([]tier, len(t.Tiers)), listed: make(map[*exchange.Contract]struct{})}
	for i := range t.Tiers {
		seen := make(map[*exchange.Contract]struct{}, len(t.Tiers[i].Contracts))
		contracts := make([]*exchange.Contract, 0, len(t.Tiers[i].Contracts))
		for _, c := range t.Tiers[i].Contracts {
			breathe()
			if _, twice := seen[c]; !twice {
				contracts = append(contracts, c)
				seen[c], out.listed[c] = struct{}{}, struct{}{}
			}
		}
		out.tiers[i] = compileTier(contracts, v, breathe)
	}
	return out
}

func compileTier(contracts []*exchange.Contract, v *exchange.Vertical, breathe func()) tier {
	n := len(contracts)
	tr := tier{
		contracts: contracts,
		all:       newSet(n), live: newSet(n), canTest: newSet(n), exclusive: newSet(n),
		shared: newSet(n), standing: newSet(n), home: newSet(n),
		buyers: make(map[string][]uint32),
	}
	for i, c := range contracts {
		breathe()
		p := uint32(i)
		tr.all.add(p)
		tr.live.put(p, !c.Paused)
		tr.canTest.put(p, c.CanTest)
		tr.exclusive.put(p, c.Sale != exchange.SaleShared)
		tr.shared.put(p, c.Sale != exchange.SaleExclusive)
		tr.standing.put(p, c.Price > 0)
		tr.home.put(p, c.Vertical == v)
		name := string(appendFolded(nil, c.Buyer.Name))
		tr.buyers[name] = append(tr.buyers[name], p)
	}
	tr.texts, tr.ranges = buildColumns(contracts, v, breathe)
	return tr
}

// Tiers returns how many tiers there are.
func (t *Tree) Tiers() int { return len(t.tiers) }

// Eligible returns tier i's eligible contracts in listed order and counts the
// others by reason in s.Excluded. What it returns is good until s.Reset, also
// across further calls. A contract excluded from two tiers is counted in each.
// It does not allocate once s has grown to the tree's size.
func (t *Tree) Eligible(i int, q *Query, s *Scratch) []*exchange.Contract {
	tr := &t.tiers[i]
	s.clock.set(q)
	start := len(s.list)
	for w, word := range tr.narrow(q, s) {
		for ; word != 0; word &= word - 1 {
			c := tr.contracts[w<<6|bits.TrailingZeros64(word)]
			if !c.Hours.OpenAt(s.clock.day, s.clock.minute) {
				s.Excluded[exchange.ReasonHours]++
			} else if stop, full := fullCap(c, q, &s.clock); full {
				s.Excluded[stop.reason()]++
			} else {
				s.list = append(s.list, c)
			}
		}
	}
	return s.list[start:len(s.list):len(s.list)]
}

// narrow applies everything that the index knows. The order of the steps is
// the order of the reasons: a contract is counted for the first that stops it.
func (tr *tier) narrow(q *Query, s *Scratch) set {
	left := s.leftFor(len(tr.all))
	if q.StandingOnly {
		copy(left, tr.standing)
	} else {
		copy(left, tr.all)
	}
	s.keep(left, tr.live, exchange.ReasonPaused)
	if q.Test {
		s.keep(left, tr.canTest, exchange.ReasonTest)
	}
	switch q.Sale {
	case exchange.SaleExclusive:
		s.keep(left, tr.exclusive, exchange.ReasonSaleType)
	case exchange.SaleShared:
		s.keep(left, tr.shared, exchange.ReasonSaleType)
	}
	if len(q.Named) > 0 {
		s.keep(left, tr.named(q.Named, s), exchange.ReasonNotNamed)
	}
	before := left.count()
	left.and(tr.home)
	for i := range tr.texts {
		tr.texts[i].narrow(left, &q.Lead.Values[tr.texts[i].slot], s.mask)
	}
	for i := range tr.ranges {
		tr.ranges[i].narrow(left, &q.Lead.Values[tr.ranges[i].slot], s.mask)
	}
	s.Excluded[exchange.ReasonFiltered] += before - left.count()
	return left
}

// named returns the contracts of the named buyers, in s.mask.
func (tr *tier) named(names []string, s *Scratch) set {
	clear(s.mask)
	for _, name := range names {
		s.name = appendFolded(s.name[:0], name)
		for _, p := range tr.buyers[string(s.name)] {
			s.mask.add(p)
		}
	}
	return s.mask
}

// stop is a cap that stops a contract.
type stop struct {
	cap      *exchange.Cap
	used     int64
	limit    int64
	schedule int64 // what of it may be used by now; exchange.Unscheduled: all
}

// reason is what the contract is told.
func (s *stop) reason() exchange.Reason {
	if s.used >= s.schedule && s.used < s.limit {
		return exchange.ReasonPacing
	}
	return s.cap.Full
}

// fullCap returns the first cap, the contract's own before its buyer's, that
// has no room for one more sale, or is ahead of its schedule; none if all have room
// or the lead is a test. A live bid is not known yet: it needs a spend cap
// that is not used up, and the book sees at the post whether it fits.
func fullCap(c *exchange.Contract, q *Query, k *clock) (stop, bool) {
	if q.Test {
		return stop{}, false
	}
	if s, full := firstFull(c.Caps, c.Price, q, k); full {
		return s, true
	}
	return firstFull(c.Buyer.Caps, c.Price, q, k)
}

func firstFull(caps []exchange.Cap, price exchange.Money, q *Query, k *clock) (stop, bool) {
	for i := range caps {
		c := &caps[i]
		if !c.Counts(k.day) {
			continue
		}
		s := stop{cap: c, limit: c.Limit, schedule: exchange.Unscheduled}
		if q.Caps != nil {
			s.used = q.Caps.Used(c.Handle, k.windowStart(c.Per))
			if c.Moves() {
				s.limit, s.schedule = q.Caps.Bound(c, q.Now)
			}
		}
		if need := max(c.Need(price), 1); s.used > s.limit-need || s.used >= s.schedule {
			return s, true
		}
	}
	return stop{}, false
}
