package store

import (
	"encoding/binary"
	"errors"
	"fmt"
	"time"

	"github.com/cockroachdb/pebble/v2"
)

const (
	// keysKept is how long what was made of an Idempotency-Key and of a ping can be
	// found at least: the key is promised for a day, a quote lives for a day at most.
	keysKept = 2 * day
	// personsKeptMin is how long a person's leads can be found at least, whatever
	// the config says: a rule about duplicates that comes later finds that much.
	personsKeptMin = 90 * day
	day            = 24 * time.Hour

	// indexGoneKey holds what may have left the index: two times in Unix
	// milliseconds, of the keyspaces i and g, and of p. The keys of ids made before them may be gone.
	indexGoneKey = "n"

	// A sweep looks at a quarter as many keys as a generation has events, and then
	// pauses, so that it takes no core from a sale.
	sweepPart  = 4
	sweepPause = 20 * time.Millisecond
)

// gone is what may have left the index, in Unix milliseconds of the ids.
type gone struct {
	keys    uint64 // before it: of Idempotency-Keys and pings
	persons uint64 // before it: of persons
}

// excuses tells whether an index key may be missing.
func (g gone) excuses(key, value []byte) bool {
	made, limit := g.age(key, value)
	return made < limit
}

// age returns when the id that tells a key's age was made, and up to when such keys may be gone.
func (g gone) age(key, value []byte) (made, limit uint64) {
	var id []byte
	switch key[0] {
	case prefixPing:
		id, limit = key[1:], g.keys
	case prefixIdem:
		id, limit = value, g.keys
	case prefixPerson:
		id, limit = key[groupBytes(key):], g.persons
	}
	if len(id) < idBytes {
		return 0, 0
	}
	return binary.BigEndian.Uint64(id) >> 16, limit
}

// goneOf reads what may have left an index.
func goneOf(index pebble.Reader) (g gone, err error) {
	value, ok, err := getFrom(index, []byte(indexGoneKey))
	switch {
	case err != nil:
		return g, err
	case !ok:
		return g, nil
	case len(value) != 16:
		return g, errIndexMark
	}
	return gone{binary.BigEndian.Uint64(value), binary.BigEndian.Uint64(value[8:])}, nil
}

// sweep lets the index keys leave that can no longer matter, a day of them each
// day: those of Idempotency-Keys and pings after two, those of persons after
// what KeepPersons says. The keys of leads stay.
//
// It goes by the journal's own time, and by the least that a whole generation
// tells, so that one entry of a clock gone wrong empties nothing. What is gone is
// marked before it goes, for verify; the database keeps the order. Only the
// indexer's goroutine uses it, so no key it deletes can have been written anew.
//
// Pings sort by their time and leave at once. The other two sort by what they
// are looked up by: all of them are looked at, a stretch at a time.
type sweep struct {
	gone gone
	from []byte // where the next stretch begins, nil if no sweep is under way
}

// due begins a sweep if a day has gone by. oldest is the least time of the last generation's events.
func (x *indexer) due(oldest int64) error {
	today := time.Unix(0, oldest).Truncate(day)
	before := func(kept time.Duration) uint64 { return uint64(max(today.Add(-kept).UnixMilli(), 0)) }
	next := gone{keys: max(x.sweep.gone.keys, before(keysKept)), persons: x.sweep.gone.persons}
	if kept := time.Duration(x.s.personsKept.Load()); kept > 0 { // else the config has not said yet how long
		next.persons = max(next.persons, before(kept+day-1))
	}
	if next == x.sweep.gone {
		return nil
	}
	batch := x.db.NewBatch()
	mark := binary.BigEndian.AppendUint64(binary.BigEndian.AppendUint64(nil, next.keys), next.persons)
	pings := idTimeBytes([]byte{prefixPing}, time.UnixMilli(int64(next.keys)))
	if err := errors.Join(batch.Set([]byte(indexGoneKey), mark, nil), batch.DeleteRange([]byte{prefixPing}, pings, nil)); err != nil {
		return x.s.fault.fail(fmt.Errorf("cannot mark what leaves the index: %w", err))
	}
	if err := x.commit(batch); err != nil {
		return err
	}
	x.sweep.gone, x.sweep.from = next, []byte{prefixIdem}
	return nil
}

// sweepOn goes on with a sweep for one stretch.
func (x *indexer) sweepOn() error {
	batch, left, seen := x.db.NewBatch(), 0, 0
	from := x.sweep.from
	x.sweep.from = nil
	last := from[0] == prefixPerson
	keys := span{db: x.db, what: "the index", lo: from, hi: []byte{from[0] + 1}}
	err := keys.each(func(key, value []byte) (bool, error) {
		if seen++; seen > max(x.size/sweepPart, 1) {
			x.sweep.from = append([]byte(nil), key...)
			return false, nil
		}
		if !x.sweep.gone.excuses(key, value) {
			return true, nil
		}
		left++
		return true, batch.Delete(key, nil)
	})
	if err != nil {
		return errors.Join(x.s.fault.fail(err), batch.Close())
	}
	if x.sweep.from == nil && !last {
		x.sweep.from = []byte{prefixPerson}
	}
	x.s.indexSwept.Add(uint64(left))
	return x.commit(batch)
}

// commit puts a batch into the database. It is on disk no later than what is committed after it.
func (x *indexer) commit(batch *pebble.Batch) error {
	if err := x.s.fault.guard(func() error { return batch.Commit(pebble.NoSync) }); err != nil {
		return err // the batch may still be in Pebble's hands
	}
	return batch.Close()
}

// KeepPersons sets how long a person's leads can be found at least, 90 days if
// that is more; until it is called all of them can. It may be called while the
// engine runs; what has left does not come back.
func (s *Store) KeepPersons(d time.Duration) { s.personsKept.Store(int64(max(d, personsKeptMin))) }
