package store

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"time"

	"vendue/exchange"
)

// leadEventsMax bounds what is read of one lead. A lead has a handful of
// attempts; conflicts can be told again and again by a buyer.
const leadEventsMax = 10_000

var (
	errKey   = errors.New("a key of a form that is never written")
	errIndex = errors.New("an index value of a form that is never written")
	errMany  = errors.New("more events than one lead can have")
)

func eventSeq(key []byte) (uint64, bool) {
	if len(key) != 1+seqBytes {
		return 0, false
	}
	return binary.BigEndian.Uint64(key[1:]), true
}

// LeadEntries appends every event of the lead to dst, in order. A lead that the
// journal does not hold has none. They may be not yet durable: WaitDurable
// before what they say is told.
func (s *Store) LeadEntries(id exchange.LeadID, dst []exchange.Entry) ([]exchange.Entry, error) {
	count := 0
	keys := group{lo: leadKey(nil, id, 0), hi: leadKey(nil, id, seqLimit)}
	err := s.index.each(keys, func(key []byte) (bool, error) {
		seq, ok := indexSeq(key, nil)
		if !ok {
			return false, &DamageError{What: fmt.Sprintf("key %x", key), Err: errKey}
		}
		if count++; count > leadEventsMax {
			return false, &DamageError{Seq: seq, Err: errMany}
		}
		e, err := s.entry(seq)
		if err != nil {
			return false, err
		}
		dst = append(dst, e)
		return true, nil
	})
	return dst, err
}

// LeadByKey returns the lead that the last post under an Idempotency-Key made.
func (s *Store) LeadByKey(idem exchange.Fingerprint) (exchange.LeadID, bool, error) {
	return s.leadAt(append(append(make([]byte, 0, keyBytesMost), prefixIdem), idem[:]...))
}

// LeadByPing returns the lead that used the ping.
func (s *Store) LeadByPing(ping exchange.PingID) (exchange.LeadID, bool, error) {
	return s.leadAt(append(append(make([]byte, 0, keyBytesMost), prefixPing), ping[:]...))
}

func (s *Store) leadAt(key []byte) (lead exchange.LeadID, ok bool, err error) {
	value, ok, err := s.index.get(make([]byte, 0, idBytes+seqBytes), key)
	if err != nil || !ok {
		return lead, false, err
	}
	if len(value) != idBytes+seqBytes {
		return lead, false, &DamageError{What: fmt.Sprintf("key %x", key), Err: errIndex}
	}
	copy(lead[:], value)
	return lead, true, nil
}

// LeadsByPerson calls fn with the leads of a person that were made at since or
// later and sent to a buyer, newest first, until fn returns false or an error.
func (s *Store) LeadsByPerson(person exchange.Fingerprint, since time.Time, fn func(exchange.LeadID) (bool, error)) error {
	prefix := append([]byte{prefixPerson}, person[:]...)
	keys := group{lo: idTimeBytes(append([]byte(nil), prefix...), since), hi: after(prefix), down: true}
	return s.index.each(keys, func(key []byte) (bool, error) {
		if len(key) != len(prefix)+idBytes {
			return false, &DamageError{What: fmt.Sprintf("key %x", key), Err: errKey}
		}
		return fn(exchange.LeadID(key[len(prefix):]))
	})
}

// group is the index keys in [lo, hi), which all are of one group: lo begins with it.
type group struct {
	lo, hi []byte
	down   bool // from the highest key to the lowest
}

// each calls fn with the keys of a group in order, whether they are in the
// database or not, until fn returns false or an error. A key is valid only during the call.
func (x *indexer) each(g group, fn func(key []byte) (more bool, err error)) error {
	pending := x.pending(g)
	order := bytes.Compare
	if g.down {
		order = func(a, b []byte) int { return bytes.Compare(b, a) }
	}
	stopped := false
	visit := func(key []byte) (bool, error) {
		more, err := fn(key)
		stopped = err != nil || !more
		return !stopped, err
	}
	keys := span{db: x.db, what: "the index", lo: g.lo, hi: g.hi, down: g.down}
	err := keys.each(func(key, _ []byte) (bool, error) {
		for len(pending) > 0 && order(pending[0], key) <= 0 {
			next := pending[0]
			if pending = pending[1:]; bytes.Equal(next, key) {
				continue // it came into the database meanwhile
			}
			if more, err := visit(next); err != nil || !more {
				return more, err
			}
		}
		return visit(key)
	})
	for ; err == nil && !stopped && len(pending) > 0; pending = pending[1:] {
		_, err = visit(pending[0])
	}
	return err
}

// pending returns the keys of a group that are not in the database, in order.
func (x *indexer) pending(g group) (keys [][]byte) {
	x.find(g.lo[:groupBytes(g.lo)], func(key, _ []byte) bool {
		if bytes.Compare(key, g.lo) >= 0 && (g.hi == nil || bytes.Compare(key, g.hi) < 0) {
			keys = append(keys, bytes.Clone(key))
		}
		return true
	})
	slices.SortFunc(keys, bytes.Compare)
	if g.down {
		slices.Reverse(keys)
	}
	return slices.CompactFunc(keys, bytes.Equal)
}
