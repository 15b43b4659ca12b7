package store

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"math/bits"
	"slices"

	"github.com/cespare/xxhash/v2"

	"vendue/exchange"
)

// generation is the index keys of a run of events that are not in the index's
// database yet: the bytes that will go there, in the order they came, and a
// chained hash table of fixed size that finds them by their group. It holds no
// pointers, so the collector has nothing to walk, and it is emptied to be
// filled again. (Go's map took twice the time, most of it growing.)
//
// A key that comes is only put down, since that happens under the lock that
// decides; the table learns of it later (link), at the latest when somebody looks.
//
// A group is the part of a key that look-ups go by: the lead, the person, or
// the whole key where only the last one counts.
type generation struct {
	data   []byte
	items  []pendingKey
	linked int     // so many items are in their chains
	chains []int32 // by hash: one more than the newest item of the chain, 0 if it is empty
	keys   indexKeys
	events int
	last   uint64 // seq of the last event
	oldest int64  // the least time of an event
	sum    uint64 // checksum of its record
}

// pendingKey is one index key and its value inside a generation.
type pendingKey struct {
	at         uint32 // of the key in data; the value follows it
	key, value uint8  // their sizes
	older      int32  // one more than the item before it in its chain, 0 if there is none; set by link
}

// newGeneration returns an empty one for about so many events.
func newGeneration(events int) *generation {
	return &generation{chains: make([]int32, 1<<bits.Len(uint(4*events)))}
}

func (g *generation) reset() {
	g.data, g.items, g.events, g.last, g.sum = g.data[:0], g.items[:0], 0, 0, 0
	g.linked = 0
	clear(g.chains)
}

func (g *generation) chain(group []byte) *int32 {
	return &g.chains[xxhash.Sum64(group)&uint64(len(g.chains)-1)]
}

// groupBytes is how much of a key is its group.
func groupBytes(key []byte) int {
	switch key[0] {
	case prefixLead:
		return 1 + idBytes
	case prefixPerson:
		return 1 + len(exchange.Fingerprint{})
	default:
		return len(key)
	}
}

// add takes in the index keys of e, whose record has the checksum sum.
func (g *generation) add(e exchange.Entry, sum uint64) {
	_ = g.keys.each(e, g.put) // put never fails
	if g.oldest = min(g.oldest, e.At); g.events == 0 {
		g.oldest = e.At
	}
	g.events++
	g.last, g.sum = e.Seq, sum
}

func (g *generation) put(key, value []byte) error {
	g.items = append(g.items, pendingKey{at: uint32(len(g.data)), key: uint8(len(key)), value: uint8(len(value))})
	g.data = append(append(g.data, key...), value...)
	return nil
}

// link puts at most most items into their chains, and tells whether there are more.
func (g *generation) link(most int) (more bool) {
	until := min(len(g.items), g.linked+most)
	for ; g.linked < until; g.linked++ {
		key, _ := g.pair(int32(g.linked))
		chain := g.chain(key[:groupBytes(key)])
		g.items[g.linked].older, *chain = *chain, int32(g.linked)+1
	}
	return until < len(g.items)
}

// pair returns the key and value of an item. They are valid until reset.
func (g *generation) pair(i int32) (key, value []byte) {
	it := &g.items[i]
	split, end := it.at+uint32(it.key), it.at+uint32(it.key)+uint32(it.value)
	return g.data[it.at:split:split], g.data[split:end:end]
}

// find calls fn with the pairs of a group, the newest first, until fn returns false.
func (g *generation) find(group []byte, fn func(key, value []byte) (more bool)) {
	g.link(len(g.items))
	for i := *g.chain(group); i > 0; i = g.items[i-1].older {
		key, value := g.pair(i - 1)
		if bytes.HasPrefix(key, group) && !fn(key, value) {
			return
		}
	}
}

// keyPlace is an item and the first bytes of its key within its keyspace, which settle most comparisons without a look at the key.
type keyPlace struct {
	head uint64
	item int32
}

// sorted appends to dst the items in the order of their keys; of equal keys the newest comes last.
//
// Each keyspace is sorted by itself: half of the keys begin with a time, come in
// nearly in order and cost next to nothing then.
func (g *generation) sorted(dst []keyPlace) []keyPlace {
	from := len(dst)
	for _, prefix := range []byte(indexPrefixes) {
		for i := range g.items {
			if g.data[g.items[i].at] == prefix {
				key, _ := g.pair(int32(i))
				dst = append(dst, keyPlace{binary.BigEndian.Uint64(key[1:]), int32(i)})
			}
		}
		g.sortPart(dst[from:])
		from = len(dst)
	}
	return dst
}

// sortPart sorts keys of one keyspace, by their first bytes if those tell.
func (g *generation) sortPart(part []keyPlace) {
	slices.SortFunc(part, func(a, b keyPlace) int {
		if a.head != b.head {
			if a.head < b.head {
				return -1
			}
			return 1
		}
		left, _ := g.pair(a.item)
		right, _ := g.pair(b.item)
		if c := bytes.Compare(left, right); c != 0 {
			return c
		}
		return cmp.Compare(a.item, b.item)
	})
}
