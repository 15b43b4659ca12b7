package store

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"slices"

	"github.com/cespare/xxhash/v2"

	"vendue/exchange"
)

// generation is the index keys of a run of events that are not in the index's
// database yet: the bytes that will go there, in the order they came, and a
// table that finds them by their group. It holds no pointers per key, so the
// collector has nothing to walk, and it is emptied to be filled again.
//
// A group is the part of a key that look-ups go by: the lead, the person, or
// the whole key where only the last one counts.
type generation struct {
	data   []byte
	items  []pendingKey
	newest map[uint64]int32 // the newest item of each group, by the group's hash
	keys   indexKeys
	events int
	last   uint64 // seq of the last event
	sum    uint64 // checksum of its record
}

// pendingKey is one index key and its value inside a generation.
type pendingKey struct {
	sort       uint64 // the key's first bytes, which settle most comparisons
	at         uint32 // of the key in data; the value follows it
	key, value uint8  // their sizes
	older      int32  // the item before it under the same hash, -1 if there is none
}

func newGeneration() *generation { return &generation{newest: make(map[uint64]int32)} }

func (g *generation) reset() {
	g.data, g.items, g.events, g.last, g.sum = g.data[:0], g.items[:0], 0, 0, 0
	clear(g.newest)
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
	g.events++
	g.last, g.sum = e.Seq, sum
}

func (g *generation) put(key, value []byte) error {
	hash := xxhash.Sum64(key[:groupBytes(key)])
	older, ok := g.newest[hash]
	if !ok {
		older = -1
	}
	g.newest[hash] = int32(len(g.items))
	g.items = append(g.items, pendingKey{
		sort: binary.BigEndian.Uint64(key), at: uint32(len(g.data)), key: uint8(len(key)), value: uint8(len(value)), older: older,
	})
	g.data = append(append(g.data, key...), value...)
	return nil
}

// pair returns the key and value of an item. They are valid until reset.
func (g *generation) pair(i int32) (key, value []byte) {
	it := &g.items[i]
	split, end := it.at+uint32(it.key), it.at+uint32(it.key)+uint32(it.value)
	return g.data[it.at:split:split], g.data[split:end:end]
}

// find calls fn with the pairs of a group, the newest first, until fn returns false.
func (g *generation) find(group []byte, fn func(key, value []byte) (more bool)) {
	i, ok := g.newest[xxhash.Sum64(group)]
	for ok && i >= 0 {
		key, value := g.pair(i)
		if bytes.HasPrefix(key, group) && !fn(key, value) {
			return
		}
		i = g.items[i].older
	}
}

// sorted returns the items in the order of their keys; of equal keys the newest comes last.
func (g *generation) sorted() []int32 {
	order := make([]int32, len(g.items))
	for i := range order {
		order[i] = int32(i)
	}
	slices.SortFunc(order, func(a, b int32) int {
		if c := cmp.Compare(g.items[a].sort, g.items[b].sort); c != 0 {
			return c
		}
		left, _ := g.pair(a)
		right, _ := g.pair(b)
		if c := bytes.Compare(left, right); c != 0 {
			return c
		}
		return cmp.Compare(a, b)
	})
	return order
}
