package attribution

import (
	"bytes"
	"maps"
	"slices"
)

// overlay is the space with the writes of one batch over it. It keeps its memory from batch to batch.
type overlay struct {
	space  Space
	writes map[string]write
	added  []record
	ranges [][2][]byte // removed before anything is written
}

type write struct {
	value []byte
	gone  bool
	fresh bool // the space does not hold the key
}

type record struct{ key, value []byte }

func newOverlay(space Space) overlay { return overlay{space: space, writes: make(map[string]write)} }

// reset forgets the writes.
func (o *overlay) reset() {
	clear(o.writes)
	clear(o.added)
	o.added = o.added[:0]
	o.ranges = nil
}

func (o *overlay) get(key []byte) ([]byte, bool, error) {
	if w, ok := o.writes[string(key)]; ok {
		return w.value, !w.gone, nil
	}
	return o.space.Get(key)
}

func (o *overlay) set(key, value []byte) {
	o.writes[string(key)] = write{value: value, fresh: o.writes[string(key)].fresh}
}

func (o *overlay) create(key, value []byte) {
	o.writes[string(key)] = write{value: value, fresh: true}
}

// add keeps a record without a place to find it by: half of what a sale leaves is written once, and seldom read.
func (o *overlay) add(key, value []byte) { o.added = append(o.added, record{key, value}) }

// del removes a key. One that was created here leaves no trace: most leads begin and end within one batch.
func (o *overlay) del(key []byte) {
	if o.writes[string(key)].fresh {
		delete(o.writes, string(key))
		return
	}
	o.writes[string(key)] = write{gone: true}
}

// delRange removes what was there before this batch; the fold writes nothing into a range that it removes.
func (o *overlay) delRange(lo, hi []byte) {
	o.ranges = append(o.ranges, [2][]byte{lo, hi})
	maps.DeleteFunc(o.writes, func(k string, _ write) bool { return k >= string(lo) && k < string(hi) })
}

// write puts all of it into a batch, in the order of the keys, which is how the space takes it cheapest.
func (o *overlay) write(b Batch) {
	for _, r := range o.ranges {
		b.DeleteRange(r[0], r[1])
	}
	for _, key := range slices.Sorted(maps.Keys(o.writes)) {
		if w := o.writes[key]; w.gone {
			b.Delete([]byte(key))
		} else {
			b.Set([]byte(key), w.value)
		}
	}
	slices.SortFunc(o.added, func(x, y record) int { return bytes.Compare(x.key, y.key) })
	for _, r := range o.added {
		b.Set(r.key, r.value)
	}
}
