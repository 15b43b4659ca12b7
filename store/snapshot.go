package store

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"

	"github.com/cespare/xxhash/v2"
	"github.com/cockroachdb/pebble/v2/vfs"
)

// A snapshot is a file of its own: in the journal's database one of many
// megabytes would stand in the way of the events that commit behind it.
//
//	"vendue snapshot 1\n" | seq 8, big endian | data | xxhash64 of all before, 8 little endian
const (
	snapshotMagic    = "vendue snapshot 1\n"
	snapshotSuffix   = ".snapshot"
	snapshotsKept    = 2
	snapshotBytesMax = 1 << 30
)

var errSnapshot = errors.New("the snapshot is damaged")

func snapshotName(seq uint64) string { return fmt.Sprintf("%020d%s", seq, snapshotSuffix) }

// SaveSnapshot keeps data as the book's state after the event seq, which must
// be durable, and drops all snapshots but the newest two.
func (s *Store) SaveSnapshot(seq uint64, data []byte) error {
	if err := s.writable(); err != nil {
		return err
	}
	if seq == 0 || seq > s.Durable() {
		return fmt.Errorf("cannot save a snapshot at seq %d: expected 1 to %d, what is durable", seq, s.Durable())
	}
	if len(data) > snapshotBytesMax {
		return fmt.Errorf("cannot save a snapshot of %d bytes: expected at most %d", len(data), snapshotBytesMax)
	}
	s.snapshots.Lock()
	defer s.snapshots.Unlock()
	head := binary.BigEndian.AppendUint64([]byte(snapshotMagic), seq)
	sum := xxhash.New()
	_, _ = sum.Write(head)
	_, _ = sum.Write(data)
	foot := binary.LittleEndian.AppendUint64(nil, sum.Sum64())
	if err := s.writeFile(s.snapshotPath(seq), false, head, data, foot); err != nil {
		return fmt.Errorf("cannot save the snapshot at seq %d: %w", seq, err)
	}
	if err := s.saveMark(s.Durable()); err != nil {
		return err
	}
	seqs, err := s.snapshotSeqs()
	if err != nil {
		return err
	}
	for len(seqs) > snapshotsKept {
		if err := s.fs.Remove(s.snapshotPath(seqs[0])); err != nil {
			return fmt.Errorf("cannot drop an old snapshot: %w", err)
		}
		seqs = seqs[1:]
	}
	return nil
}

// LoadSnapshot returns the newest snapshot that is sound and not above the
// journal's end. A damaged one is passed over, with a line in the log.
func (s *Store) LoadSnapshot() (seq uint64, data []byte, ok bool, err error) {
	return s.loadSnapshot(s.Seq())
}

func (s *Store) loadSnapshot(limit uint64) (seq uint64, data []byte, ok bool, err error) {
	seqs, err := s.snapshotSeqs()
	if err != nil {
		return 0, nil, false, err
	}
	for i := len(seqs) - 1; i >= 0; i-- {
		if seqs[i] > limit {
			continue
		}
		data, err := s.readSnapshot(seqs[i])
		if err == nil {
			return seqs[i], data, true, nil
		}
		if !errors.Is(err, errSnapshot) {
			return 0, nil, false, err
		}
		s.cfg.Log.Warn().Str("room", "store").Uint64("seq", seqs[i]).Err(err).Msg("a snapshot is passed over")
	}
	return 0, nil, false, nil
}

func (s *Store) newestSnapshot(limit uint64) (uint64, error) {
	seq, _, _, err := s.loadSnapshot(limit)
	return seq, err
}

func (s *Store) snapshotPath(seq uint64) string {
	return s.fs.PathJoin(s.path(snapshotsDir), snapshotName(seq))
}

func (s *Store) readSnapshot(seq uint64) ([]byte, error) {
	raw, err := readFile(s.fs, s.snapshotPath(seq))
	if err != nil {
		return nil, err
	}
	head := len(snapshotMagic) + seqBytes
	end := len(raw) - recordSumBytes
	if end < head || string(raw[:len(snapshotMagic)]) != snapshotMagic ||
		binary.BigEndian.Uint64(raw[len(snapshotMagic):]) != seq ||
		binary.LittleEndian.Uint64(raw[end:]) != xxhash.Sum64(raw[:end]) {
		return nil, errSnapshot
	}
	return raw[head:end], nil
}

// snapshotSeqs returns the seqs of the snapshots that are there, oldest first.
func (s *Store) snapshotSeqs() ([]uint64, error) {
	names, err := s.fs.List(s.path(snapshotsDir))
	if err != nil {
		return nil, fmt.Errorf("cannot list the snapshots: %w", err)
	}
	var seqs []uint64
	for _, name := range names {
		number, ok := strings.CutSuffix(name, snapshotSuffix)
		if !ok {
			continue
		}
		if seq, err := strconv.ParseUint(number, 10, 64); err == nil && snapshotName(seq) == name {
			seqs = append(seqs, seq)
		}
	}
	slices.Sort(seqs)
	return seqs, nil
}

func (s *Store) dropSnapshotsAbove(limit uint64) error {
	seqs, err := s.snapshotSeqs()
	for _, seq := range seqs {
		if err == nil && seq > limit {
			err = s.fs.Remove(s.snapshotPath(seq))
		}
	}
	return err
}

// writeFile writes parts to path so that a crash leaves the whole file or none.
// secret makes it readable by its owner alone.
func (s *Store) writeFile(path string, secret bool, parts ...[]byte) (err error) {
	tmp := path + ".tmp"
	f, err := s.fs.Create(tmp, vfs.WriteCategoryUnspecified)
	if err != nil {
		return err
	}
	open := true
	defer func() {
		if open {
			_ = f.Close()
		}
		if err != nil {
			_ = s.fs.Remove(tmp)
		}
	}()
	if secret {
		if err := s.hide(tmp); err != nil {
			return err
		}
	}
	for _, part := range parts {
		if _, err := f.Write(part); err != nil {
			return err
		}
	}
	if err := f.Sync(); err != nil {
		return err
	}
	open = false
	if err := f.Close(); err != nil {
		return err
	}
	if err := s.fs.Rename(tmp, path); err != nil {
		return err
	}
	return s.syncDir(s.fs.PathDir(path))
}

func readFile(fs vfs.FS, path string) ([]byte, error) {
	f, err := fs.Open(path)
	if err != nil {
		return nil, err
	}
	defer func() { _ = f.Close() }()
	raw, err := io.ReadAll(io.LimitReader(f, snapshotBytesMax+1<<10))
	if err != nil {
		return nil, fmt.Errorf("cannot read %q: %w", path, err)
	}
	return raw, nil
}
