package store

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/cockroachdb/pebble/v2"

	"vendue/exchange"
)

// appendEventsMax bounds the events of one Append.
const appendEventsMax = 1024

// ticket is one Append's events on their way to the disk.
type ticket struct {
	s     *Store
	pack  *pack
	began time.Time
}

// Append gives the events the next sequence numbers and puts them into the
// journal's order as one batch: after a crash all of them are there or none.
// It does not wait for the disk; the ticket does, and until then nothing that
// follows from the events may leave the house. It waits only where the disk is
// so far behind that the events or their index keys no longer fit in memory.
//
// at is in Unix nanoseconds. last is the seq of the last event. The events are
// read before Append returns and not kept. One caller at a time: whoever holds
// the lock that decides. Reads by key see the events at once; Read, and
// everything that follows the journal, sees them when they are durable.
//
// An error other than ErrBroken means that the journal is as it was.
func (s *Store) Append(at int64, events ...exchange.Event) (last uint64, t exchange.Ticket, err error) {
	if !s.appending.CompareAndSwap(false, true) {
		panic("BUG: two callers inside store.Append: it belongs under the lock that decides")
	}
	defer s.appending.Store(false)
	if err := s.writable(); err != nil {
		return 0, nil, err
	}
	if n := len(events); n == 0 || n > appendEventsMax {
		return 0, nil, fmt.Errorf("cannot append %d events: expected 1 to %d", n, appendEventsMax)
	}
	s.room()
	began := time.Now()
	caughtUp := s.Durable() == s.Seq()
	pack, last, size, err := s.committer.add(at, events)
	if err != nil {
		return 0, nil, err
	}
	if caughtUp {
		s.advanced.Store(int64(began.Sub(s.began))) // nothing waited for the disk before
	}
	notify(s.committer.appended)
	s.m.appendSeconds.UpdateDuration(began)
	s.m.journalBytes.Add(size)
	return last, &ticket{s: s, pack: pack, began: began}, nil
}

// room returns when the index and the open pack take one more Append, or the journal is broken.
func (s *Store) room() {
	has := func() bool { return s.index.hasRoom() && s.committer.hasRoom() }
	if has() {
		return
	}
	began := time.Now()
	for !has() && s.fault.check() == nil {
		select {
		case <-s.index.turned:
		case <-s.committer.taken:
		case <-s.fault.broken:
		}
	}
	s.m.indexWait.Add(time.Since(began).Seconds())
}

// Wait returns when the ticket's events, and all before them, are on disk.
//
// Packs reach the disk one after the other, so the sync of one speaks for every
// earlier one too.
func (t *ticket) Wait() error {
	s, p := t.s, t.pack
	if p == nil {
		panic("BUG: a ticket was waited for twice")
	}
	t.pack = nil
	select {
	case <-p.done:
	case <-s.fault.stuck: // the committer may not come back
		return s.fault.wait()
	}
	if p.err != nil {
		return p.err
	}
	s.m.syncSeconds.UpdateDuration(t.began)
	return nil
}

// syncTo returns when the event seq, which was appended, is on disk.
func (s *Store) syncTo(seq uint64) error {
	if s.Durable() >= seq {
		return nil
	}
	if _, err := s.durable.wait(context.Background(), seq-1, s.fault.broken, nil); err != nil {
		return s.fault.check()
	}
	return nil
}

func (s *Store) raiseDurable(seq uint64) {
	s.durable.raise(seq)
	s.advanced.Store(int64(time.Since(s.began)))
}

// stalled returns for how long events have waited for the disk while none got there.
func (s *Store) stalled() time.Duration {
	if durable := s.Durable(); s.Seq() == durable {
		return 0
	}
	return time.Since(s.began) - time.Duration(s.advanced.Load())
}

// Seq returns the sequence number of the last event, 0 if there is none.
func (s *Store) Seq() uint64 { return s.seq.Load() }

// Durable returns the sequence number up to which the journal is on disk.
func (s *Store) Durable() uint64 { return s.durable.value.Load() }

// WaitDurable returns Durable once it is above after. It ends early, with the
// number as it is, when ctx does (its error), the journal breaks (ErrBroken) or the store closes (ErrClosed).
func (s *Store) WaitDurable(ctx context.Context, after uint64) (uint64, error) {
	return s.durable.wait(ctx, after, s.fault.broken, s.closed)
}

// errStop ends a scan early without a fault.
var errStop = errors.New("stop")

// Read calls fn with the durable entries from seq from on (0 counts as 1), at
// most most of them, in order, and returns the seq to go on from. Each is checked: a damaged or
// missing one ends the reading with a *DamageError. fn may keep the entry; its
// error ends the reading and is returned as it is, with next at that entry.
func (s *Store) Read(from uint64, most int, fn func(exchange.Entry) error) (next uint64, err error) {
	from = max(from, 1)
	until := s.Durable()
	if from > until || most <= 0 {
		return from, nil
	}
	next = from
	err = s.scanEvents(from, until+1, func(seq uint64, rec []byte) error {
		if seq != next {
			return &DamageError{Seq: next, Err: errMissing}
		}
		e, err := decodeRecord(seq, rec)
		if err != nil {
			return &DamageError{Seq: seq, Err: err}
		}
		if err := fn(e); err != nil {
			return err
		}
		next++
		if most--; most == 0 {
			return errStop
		}
		return nil
	})
	if err == nil && next <= until && most > 0 {
		err = &DamageError{Seq: next, Err: errMissing}
	}
	if errors.Is(err, errStop) {
		err = nil
	}
	return next, err
}

var errMissing = errors.New("the event is missing")

// scanEvents calls fn with the raw records from seq from up to, not including, seq end.
func (s *Store) scanEvents(from, end uint64, fn func(seq uint64, rec []byte) error) error {
	return s.scan(eventKey(nil, from), eventKey(nil, end), func(key, value []byte) error {
		seq, ok := eventSeq(key)
		if !ok {
			return &DamageError{What: fmt.Sprintf("key %x", key), Err: errKey}
		}
		return fn(seq, value)
	})
}

// scan calls fn with the keys in [lo, hi) in order. Both slices are valid only during the call.
func (s *Store) scan(lo, hi []byte, fn func(key, value []byte) error) error {
	keys := span{db: s.db, what: "the journal", lo: lo, hi: hi}
	return keys.each(func(key, value []byte) (bool, error) { return true, fn(key, value) })
}

// get returns a copy of key's value.
func (s *Store) get(key []byte) ([]byte, bool, error) { return getFrom(s.db, key) }

func getFrom(db pebble.Reader, key []byte) ([]byte, bool, error) {
	value, closer, err := db.Get(key)
	if errors.Is(err, pebble.ErrNotFound) {
		return nil, false, nil
	}
	if err != nil {
		return nil, false, fmt.Errorf("cannot read the journal at key %x: %w", key, err)
	}
	out := append([]byte{}, value...)
	return out, true, closer.Close()
}

// entry returns the event at seq, durable or not.
func (s *Store) entry(seq uint64) (exchange.Entry, error) {
	rec, ok := s.committer.find(nil, seq)
	if !ok {
		var err error
		if rec, ok, err = s.get(eventKey(make([]byte, 0, keyBytesMost), seq)); err != nil {
			return exchange.Entry{}, err
		}
	}
	if !ok {
		return exchange.Entry{}, &DamageError{Seq: seq, Err: errMissing}
	}
	e, err := decodeRecord(seq, rec)
	if err != nil {
		return exchange.Entry{}, &DamageError{Seq: seq, Err: err}
	}
	return e, nil
}
