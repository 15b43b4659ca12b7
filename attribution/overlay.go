package attribution

import (
	"bytes"
	"maps"
	"slices"

	"vendue/exchange"
)

// overlay is the space with the writes of one batch over it. It keeps its memory from batch to batch.
//
// Open leads stand in it as they are: most begin and end within one batch, and
// are never made into bytes.
type overlay struct {
	journal Journal
	space   Space
	writes  map[string]write
	leads   map[exchange.LeadID]leadWrite
	added   []record
	arena   []byte      // what added's slices are cut from
	ranges  [][2][]byte // removed before anything is written
}

type write struct {
	value []byte
	gone  bool
	fresh bool // the space does not hold the key
}

type leadWrite struct {
	lead  *openLead // nil: it is gone
	fresh bool      // the space does not hold it
}

type record struct{ key, value []byte }

func newOverlay(journal Journal, space Space) overlay {
	return overlay{journal: journal, space: space, writes: make(map[string]write), leads: make(map[exchange.LeadID]leadWrite)}
}

// reset forgets the writes.
func (o *overlay) reset() {
	clear(o.writes)
	clear(o.leads)
	o.added, o.arena, o.ranges = o.added[:0], o.arena[:0], nil
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

// add keeps a record without a place to find it by: what a sale leaves is written once, and seldom read.
func (o *overlay) add(key, value []byte) {
	begin := len(o.arena)
	o.arena = append(append(o.arena, key...), value...)
	both := o.arena[begin:]
	o.added = append(o.added, record{both[:len(key):len(key)], both[len(key):]})
}

// del removes a key. One that was created here leaves no trace.
func (o *overlay) del(key []byte) {
	if o.writes[string(key)].fresh {
		delete(o.writes, string(key))
		return
	}
	o.writes[string(key)] = write{gone: true}
}

func (o *overlay) lead(id exchange.LeadID) (*openLead, bool, error) {
	if w, ok := o.leads[id]; ok {
		return w.lead, w.lead != nil, nil
	}
	v, ok, err := o.space.Get(openKey(id))
	if err != nil || !ok {
		return nil, false, err
	}
	lead, err := decodeOpenLead(v)
	return lead, err == nil, err
}

func (o *overlay) setLead(id exchange.LeadID, lead *openLead) {
	o.leads[id] = leadWrite{lead: lead, fresh: o.leads[id].fresh}
}

func (o *overlay) beginLead(id exchange.LeadID, lead *openLead) {
	o.leads[id] = leadWrite{lead: lead, fresh: true}
}

// endLead removes a lead. One that began here leaves no trace.
func (o *overlay) endLead(id exchange.LeadID) {
	if o.leads[id].fresh {
		delete(o.leads, id)
		return
	}
	o.leads[id] = leadWrite{}
}

// delRange removes what was there before this batch; the fold writes nothing into a range that it removes.
func (o *overlay) delRange(lo, hi []byte) {
	o.ranges = append(o.ranges, [2][]byte{lo, hi})
	maps.DeleteFunc(o.writes, func(k string, _ write) bool { return k >= string(lo) && k < string(hi) })
}

// write puts all of it into a batch, each kind in the order of its keys, which is how the space takes it cheapest.
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
	ids := slices.SortedFunc(maps.Keys(o.leads), func(x, y exchange.LeadID) int { return bytes.Compare(x[:], y[:]) })
	for _, id := range ids {
		if lead := o.leads[id].lead; lead == nil {
			b.Delete(openKey(id))
		} else {
			b.Set(openKey(id), lead.encode())
		}
	}
	slices.SortFunc(o.added, func(x, y record) int { return bytes.Compare(x.key, y.key) })
	for _, r := range o.added {
		b.Set(r.key, r.value)
	}
}
