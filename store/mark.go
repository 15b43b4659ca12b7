package store

import (
	"encoding/binary"
	"errors"
	"fmt"
	"os"

	"github.com/cespare/xxhash/v2"
)

// The mark is a small file beside the journal: "the journal was on disk at
// least up to here". It is written when the store opens, saves a snapshot and
// closes. Pebble's own files can lose everything from some point on without a
// word (one bad bit in a manifest does it); the mark is what notices.
//
//	"vendue mark 1\n" | seq 8, big endian | xxhash64 of all before, 8 little endian
const (
	markFile  = "mark"
	markMagic = "vendue mark 1\n"
)

var errMark = errors.New("the journal ends before what was once on disk")

func (s *Store) saveMark(seq uint64) error {
	raw := binary.BigEndian.AppendUint64([]byte(markMagic), seq)
	raw = binary.LittleEndian.AppendUint64(raw, xxhash.Sum64(raw))
	if err := s.writeFile(s.path(markFile), false, raw); err != nil {
		return fmt.Errorf("cannot write the mark: %w", err)
	}
	return nil
}

// loadMark returns the mark, 0 if there is none. A damaged one is passed over,
// with a line in the log: it guards the journal and is no part of it.
func (s *Store) loadMark() (uint64, error) {
	raw, err := readFile(s.fs, s.path(markFile))
	if errors.Is(err, os.ErrNotExist) {
		return 0, nil
	}
	if err != nil {
		return 0, err
	}
	end := len(markMagic) + seqBytes
	if len(raw) != end+recordSumBytes || string(raw[:len(markMagic)]) != markMagic ||
		binary.LittleEndian.Uint64(raw[end:]) != xxhash.Sum64(raw[:end]) {
		s.cfg.Log.Warn().Str("room", "store").Msg("the mark is damaged and passed over")
		return 0, nil
	}
	return binary.BigEndian.Uint64(raw[len(markMagic):]), nil
}

// checkMark compares the journal's end with the mark. A journal that ends
// before it has lost its tail, if its log is torn there; else it has lost more
// than a tail, and nobody knows what.
func (s *Store) checkMark(last uint64) error {
	mark, err := s.loadMark()
	if err != nil || last >= mark {
		return err
	}
	if s.recovery.TornLog == "" {
		return &DamageError{Seq: last + 1, Err: fmt.Errorf("%w: seq %d", errMark, mark)}
	}
	s.recovery.Lost = mark - last
	return nil
}
