package store

import (
	"encoding/binary"
	"errors"
	"fmt"
	"time"

	"github.com/cockroachdb/pebble/v2"

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
	err := s.scan(leadKey(nil, id, 0), leadKey(nil, id, seqLimit), func(key, _ []byte) error {
		seq, ok := indexSeq(key, nil)
		if !ok {
			return &DamageError{What: fmt.Sprintf("key %x", key), Err: errKey}
		}
		if count++; count > leadEventsMax {
			return &DamageError{Seq: seq, Err: errMany}
		}
		e, err := s.entry(seq)
		if err != nil {
			return err
		}
		dst = append(dst, e)
		return nil
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
	value, closer, err := s.db.Get(key)
	if errors.Is(err, pebble.ErrNotFound) {
		return lead, false, nil
	}
	if err != nil {
		return lead, false, fmt.Errorf("cannot read an index at key %x: %w", key, err)
	}
	if len(value) != idBytes+seqBytes {
		_ = closer.Close()
		return lead, false, &DamageError{What: fmt.Sprintf("key %x", key), Err: errIndex}
	}
	copy(lead[:], value)
	return lead, true, closer.Close()
}

// LeadsByPerson calls fn with the leads of a person that were made at since or
// later and sent to a buyer, newest first, until fn returns false or an error.
func (s *Store) LeadsByPerson(person exchange.Fingerprint, since time.Time, fn func(exchange.LeadID) (bool, error)) error {
	prefix := append([]byte{prefixPerson}, person[:]...)
	from := idTimeBytes(append([]byte(nil), prefix...), since)
	keys := span{db: s.db, what: "the persons' index", lo: from, hi: after(prefix), down: true}
	return keys.each(func(key, _ []byte) (bool, error) {
		if len(key) != len(prefix)+idBytes {
			return false, &DamageError{What: fmt.Sprintf("key %x", key), Err: errKey}
		}
		return fn(exchange.LeadID(key[len(prefix):]))
	})
}

// Click returns the click's event, and false if the journal does not hold it.
func (s *Store) Click(id exchange.ClickID) (exchange.Entry, bool, error) {
	key := append(append(make([]byte, 0, keyBytesMost), prefixClick), id[:]...)
	value, ok, err := s.get(key)
	if err != nil || !ok {
		return exchange.Entry{}, false, err
	}
	seq, ok := indexSeq(key, value)
	if !ok {
		return exchange.Entry{}, false, &DamageError{What: fmt.Sprintf("key %x", key), Err: errIndex}
	}
	e, err := s.entry(seq)
	return e, err == nil, err
}
