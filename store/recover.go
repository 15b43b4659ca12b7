package store

import (
	"errors"
	"fmt"

	"github.com/cockroachdb/pebble/v2"
)

// checkedAtOpenMin is how many of the last records Open always checks, beside
// all that came after the newest snapshot. Verify checks all.
const checkedAtOpenMin = 1 << 20

// cutRecordsMax bounds a damaged tail. A pack that a crash tore is Pebble's to
// cut, whole and by its log's own checksums; of what came through those, more bad records are no tail.
const cutRecordsMax = appendEventsMax

// Recovery is what Open found.
type Recovery struct {
	Created     bool   // there was no journal
	LastSeq     uint64 // after any cut
	SnapshotSeq uint64 // of the newest sound snapshot, 0 if there is none
	Checked     uint64 // records whose checksum and place were checked
	CutFrom     uint64 // the first record that was cut from the tail, 0 if none was
	CutRecords  int
	CutWhy      string
	TornLog     string // Pebble's newest log file, if its end was torn: that end was cut
	TornOffset  int64  // bytes of it that are sound
	Indexed     uint64 // events whose index keys were made, because a crash or the last closing left them unwritten
	IndexWhy    string // why the whole index was made anew, "" if it was not
	Lost        uint64 // events that are known to have been on disk and were cut with the tail: answers may have been given on them
}

// Recovery returns what Open found.
func (s *Store) Recovery() Recovery { return s.recovery }

// recover finds the end of the journal and checks its tail.
func (s *Store) recover() error {
	last, err := s.lastSeq()
	if err != nil {
		return err
	}
	if err := s.checkMark(last); err != nil {
		return err
	}
	if s.recovery.SnapshotSeq, err = s.newestSnapshot(last); err != nil {
		return err
	}
	from := s.recovery.SnapshotSeq + 1
	if last > checkedAtOpenMin {
		from = min(from, last-checkedAtOpenMin+1)
	} else {
		from = 1 // a short journal is checked whole
	}
	sound, err := s.checkTail(from, last)
	if err != nil {
		return err
	}
	if sound < last {
		if err := s.cut(sound + 1); err != nil {
			return err
		}
		if s.recovery.SnapshotSeq > sound {
			if s.recovery.SnapshotSeq, err = s.newestSnapshot(sound); err != nil {
				return err
			}
		}
	}
	s.recovery.LastSeq = sound
	s.recovery.Lost += uint64(s.recovery.CutRecords)
	s.seq.Store(sound)
	// Whatever was read back is on disk: Pebble flushes what it replays before Open returns.
	s.durable.raise(sound)
	if s.readOnly {
		return nil
	}
	return s.saveMark(sound)
}

func (s *Store) tell() {
	r := s.recovery
	if r.TornLog != "" {
		s.cfg.Log.Warn().Str("room", "store").Str("log", r.TornLog).Int64("offset", r.TornOffset).Uint64("lost", r.Lost).
			Msg("the journal's newest log ends in a torn write: the tail was cut")
	}
	if r.CutFrom != 0 {
		s.cfg.Log.Warn().Str("room", "store").Uint64("from_seq", r.CutFrom).Int("records", r.CutRecords).Str("why", r.CutWhy).
			Msg("the journal's tail was damaged and was cut")
	}
	if r.IndexWhy != "" {
		s.cfg.Log.Warn().Str("room", "store").Str("why", r.IndexWhy).Uint64("events", r.Indexed).Msg("the index was made anew")
	}
	s.cfg.Log.Info().Str("room", "store").Uint64("last_seq", r.LastSeq).Uint64("snapshot_seq", r.SnapshotSeq).
		Uint64("checked", r.Checked).Uint64("indexed", r.Indexed).Bool("created", r.Created).Msg("journal opened")
}

func (s *Store) lastSeq() (seq uint64, err error) {
	it, err := s.db.NewIter(&pebble.IterOptions{LowerBound: []byte{prefixEvent}, UpperBound: []byte{prefixEvent + 1}})
	if err != nil {
		return 0, err
	}
	if it.Last() {
		var ok bool
		if seq, ok = eventSeq(it.Key()); !ok {
			err = &DamageError{What: fmt.Sprintf("key %x", it.Key()), Err: errKey}
		}
	}
	return seq, errors.Join(err, it.Error(), it.Close())
}

// checkTail checks the records from seq from to last and returns the last sound
// one. Damaged records are a tail if no sound one follows them; a missing
// record is never part of a tail, for something follows it.
func (s *Store) checkTail(from, last uint64) (sound uint64, err error) {
	sound = last
	next, damage := from, (*DamageError)(nil)
	err = s.scanEvents(from, seqLimit, func(seq uint64, rec []byte) error {
		if seq != next {
			return &DamageError{Seq: next, Err: errMissing}
		}
		next++
		s.recovery.Checked++
		_, err := decodeRecord(seq, rec)
		switch {
		case errors.Is(err, errVersion):
			return &DamageError{Seq: seq, Err: err} // sound, and not ours to cut
		case err != nil && damage == nil:
			damage, sound = &DamageError{Seq: seq, Err: err}, seq-1
		case err == nil && damage != nil:
			return damage
		}
		return nil
	})
	if err != nil {
		return 0, err
	}
	if damage != nil && (s.readOnly || last-sound > cutRecordsMax) {
		return 0, damage
	}
	if damage != nil {
		s.recovery.CutWhy = damage.Err.Error()
	}
	return sound, nil
}

// cut removes the records from seq from on. What they were cannot be read, so
// an index that knows them cannot be rid of their keys: it is made anew when it
// is opened, since its mark names an event that is gone.
func (s *Store) cut(from uint64) error {
	s.recovery.CutFrom = from
	s.recovery.CutRecords = int(s.lastKnown() - from + 1)
	err := s.fault.guard(func() error {
		return s.db.DeleteRange(eventKey(nil, from), []byte{prefixEvent + 1}, pebble.Sync)
	})
	if err != nil {
		return fmt.Errorf("cannot cut the journal's tail: %w", err)
	}
	return s.dropSnapshotsAbove(from - 1)
}

func (s *Store) lastKnown() uint64 {
	last, _ := s.lastSeq() // it was read a moment ago
	return last
}
