package pingtree

import (
	"cmp"
	"fmt"
	"math"
	"math/bits"
	"slices"
	"sort"

	"vendue/exchange"
)

// set is a set of a tier's contracts, one bit each.
type set []uint64

func newSet(n int) set { return make(set, (n+63)/64) }

func (s set) add(p uint32)  { s[p>>6] |= 1 << (p & 63) }
func (s set) flip(p uint32) { s[p>>6] ^= 1 << (p & 63) }

func (s set) put(p uint32, in bool) {
	if in {
		s.add(p)
	}
}

func (s set) and(other set) {
	other = other[:len(s)]
	for i := range s {
		s[i] &= other[i]
	}
}

func (s set) count() int {
	n := 0
	for _, w := range s {
		n += bits.OnesCount64(w)
	}
	return n
}

// A column holds at most one condition per contract, all on one field: the
// first condition that each contract has on the field stands in the first
// column, a second one in the next. A lead passes the filter of the contracts
// that are in the set of every column.
//
// A set for each value would be simplest, but 10,000 contracts listing 40,000
// zips among them would take 50 MB. So a value keeps only which contracts it
// flips against a base set, and a set of its own once that is the smaller: a
// column never takes more than about twice the memory of the conditions themselves.

// textColumn holds conditions of kinds In and NotIn.
type textColumn struct {
	slot int
	base set // who passes a value that nobody lists; a missing field is such a value
	rows map[string]uint32
	row  []textRow
}

// textRow says who passes one listed value: mask, or if that is nil, base with flips flipped.
type textRow struct {
	mask  set
	flips []uint32
}

// rangeColumn holds conditions of kind Range.
type rangeColumn struct {
	slot   int
	free   set // who has no condition here: they alone pass a missing field
	masks  []set
	points []point // ascending
	flips  []uint32
}

// point is a number at which somebody's range begins or has just ended: from
// here to the next point masks[mask] passes, with flips[from:to] flipped.
type point struct {
	at             int64
	mask, from, to uint32
}

func (c *textColumn) narrow(left set, v *exchange.Value, tmp set) {
	var row textRow
	if v.Set {
		if i, ok := c.rows[v.Text]; ok {
			row = c.row[i]
		}
	}
	mask := row.mask
	if mask == nil {
		mask = flipped(c.base, row.flips, tmp)
	}
	left.and(mask)
}

func (c *rangeColumn) narrow(left set, v *exchange.Value, tmp set) {
	if !v.Set {
		left.and(c.free)
		return
	}
	after := sort.Search(len(c.points), func(i int) bool { return c.points[i].at > v.Num })
	if after == 0 {
		left.and(c.masks[0])
		return
	}
	p := c.points[after-1]
	left.and(flipped(c.masks[p.mask], c.flips[p.from:p.to], tmp))
}

// flipped returns mask with the flips applied, in tmp if there are any.
func flipped(mask set, flips []uint32, tmp set) set {
	if len(flips) == 0 {
		return mask
	}
	copy(tmp, mask)
	for _, p := range flips {
		tmp.flip(p)
	}
	return tmp
}

// draft collects the conditions of one column before it is built.
type draft struct {
	slot  int
	isNum bool
	conds []placed
}

type placed struct {
	pos  uint32
	cond *exchange.Condition
}

// buildColumns deals the conditions of v's contracts into columns and builds each.
func buildColumns(contracts []*exchange.Contract, v *exchange.Vertical, breathe func()) ([]textColumn, []rangeColumn) {
	type key struct {
		slot, nth int
		isNum     bool
	}
	type onField struct {
		slot  int
		isNum bool
	}
	var drafts []*draft
	byKey := make(map[key]*draft)
	used := make(map[onField]int)
	for pos, c := range contracts {
		breathe()
		if c.Vertical != v {
			continue
		}
		clear(used)
		for i := range c.Where {
			cond := &c.Where[i]
			mustBeSound(c, cond, v)
			f := onField{cond.Slot, cond.Kind == exchange.ConditionRange}
			k := key{f.slot, used[f], f.isNum}
			used[f]++
			d := byKey[k]
			if d == nil {
				d = &draft{slot: f.slot, isNum: f.isNum}
				byKey[k], drafts = d, append(drafts, d)
			}
			d.conds = append(d.conds, placed{uint32(pos), cond})
		}
	}
	var texts []textColumn
	var ranges []rangeColumn
	for _, d := range drafts {
		if d.isNum {
			ranges = append(ranges, buildRange(d, len(contracts), breathe))
		} else {
			texts = append(texts, buildText(d, len(contracts), breathe))
		}
	}
	return texts, ranges
}

func mustBeSound(c *exchange.Contract, cond *exchange.Condition, v *exchange.Vertical) {
	if cond.Slot < 0 || cond.Slot >= len(v.Fields) || cond.Kind < exchange.ConditionIn || cond.Kind > exchange.ConditionRange {
		panic(fmt.Sprintf("BUG: contract %s has a condition of kind %d on slot %d of %d", c.ID, cond.Kind, cond.Slot, len(v.Fields)))
	}
}

func fullSet(n int) set {
	s := newSet(n)
	for p := range n {
		s.add(uint32(p))
	}
	return s
}

func buildText(d *draft, n int, breathe func()) textColumn {
	col := textColumn{slot: d.slot, base: fullSet(n), rows: make(map[string]uint32)}
	for _, pc := range d.conds {
		breathe()
		if pc.cond.Kind == exchange.ConditionIn {
			col.base.flip(pc.pos)
		}
		for _, text := range pc.cond.Texts {
			i, ok := col.rows[text]
			if !ok {
				i = uint32(len(col.row))
				col.rows[text], col.row = i, append(col.row, textRow{})
			}
			row := &col.row[i]
			if k := len(row.flips); k > 0 && row.flips[k-1] == pc.pos {
				continue // listed twice by one condition: flipping again would undo it
			}
			row.flips = append(row.flips, pc.pos)
		}
	}
	for i := range col.row {
		if row := &col.row[i]; len(row.flips) > len(col.base) {
			mask := slices.Clone(col.base)
			for _, p := range row.flips {
				mask.flip(p)
			}
			*row = textRow{mask: mask}
		}
	}
	return col
}

func buildRange(d *draft, n int, breathe func()) rangeColumn {
	type turn struct {
		at  int64
		pos uint32
	}
	free := fullSet(n)
	for _, pc := range d.conds {
		free.flip(pc.pos)
	}
	now := slices.Clone(free) // who passes, as the number grows from the least
	var turns []turn
	for _, pc := range d.conds {
		breathe()
		c := pc.cond
		if c.HasMin && c.HasMax && c.Min > c.Max {
			continue // no number passes
		}
		if c.HasMin {
			turns = append(turns, turn{c.Min, pc.pos})
		} else {
			now.flip(pc.pos)
		}
		if c.HasMax && c.Max < math.MaxInt64 {
			turns = append(turns, turn{c.Max + 1, pc.pos})
		}
	}
	slices.SortFunc(turns, func(a, b turn) int { return cmp.Compare(a.at, b.at) })

	col := rangeColumn{slot: d.slot, free: free, masks: []set{slices.Clone(now)}}
	from := 0 // where the flips since the last mask begin
	for i := 0; i < len(turns); {
		breathe()
		at := turns[i].at
		for ; i < len(turns) && turns[i].at == at; i++ {
			now.flip(turns[i].pos)
			col.flips = append(col.flips, turns[i].pos)
		}
		if len(col.flips)-from > len(now) {
			col.masks = append(col.masks, slices.Clone(now))
			from = len(col.flips)
		}
		col.points = append(col.points, point{at: at, mask: uint32(len(col.masks) - 1), from: uint32(from), to: uint32(len(col.flips))})
	}
	return col
}
