package store

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"strconv"
	"strings"

	"github.com/cockroachdb/pebble/v2"
)

// Pebble's log is made of chunks that do not cross blocks. A chunk of the
// format we pin is: crc 4 | length 2 | type 1 | log number 4 | synced offset 8 |
// payload; all little endian. The synced offset says how far the file was on
// disk when the chunk was written.
const (
	walBlock       = 32 << 10
	walHeaderShort = 11 // of the format before, which has no synced offset
	walHeader      = 19
	walLogSuffix   = ".log"
)

var (
	walTable  = crc32.MakeTable(crc32.Castagnoli)
	errLogEnd = errors.New("what stands here was on disk and can no longer be read")
)

// walChunk is one sound chunk.
type walChunk struct {
	size   int  // with its header
	ends   bool // it is the last of its record
	trail  bool // it says that the log ends here
	synced uint64
}

// chunkAt reads the chunk that begins at off, and false if there is no sound one.
func chunkAt(raw []byte, off int, log uint32) (c walChunk, ok bool) {
	block := raw[off:min(len(raw), (off/walBlock+1)*walBlock)]
	if len(block) < walHeaderShort {
		return c, false
	}
	kind, header := block[6], walHeaderShort
	switch {
	case kind >= 9 && kind <= 12:
		header = walHeader
	case kind < 5 || kind > 12:
		return c, false
	}
	size := header + int(binary.LittleEndian.Uint16(block[4:]))
	if len(block) < size {
		return c, false
	}
	number := binary.LittleEndian.Uint32(block[7:])
	if number == log+1 && size == walHeaderShort && allZero(block[:6]) {
		return walChunk{size: size, trail: true}, true // a trailer has no checksum
	}
	if number != log {
		return c, false
	}
	sum := crc32.Checksum(block[6:size], walTable)
	if binary.LittleEndian.Uint32(block) != (sum>>15|sum<<17)+0xa282ead8 {
		return c, false
	}
	c = walChunk{size: size, ends: (kind-5)%4 == 0 || (kind-5)%4 == 3}
	if header == walHeader {
		c.synced = binary.LittleEndian.Uint64(block[walHeaderShort:])
	}
	return c, true
}

// scanLog returns the end of the last whole record, whether something else
// than nothing stands there, and whether that is damage: a chunk further on
// says that the file had been on disk beyond that end.
func scanLog(raw []byte, log uint32) (end int, torn, damaged bool) {
	for off := 0; off < len(raw); {
		if left := walBlock - off%walBlock; left < walHeader && allZero(raw[off:min(len(raw), off+left)]) {
			off += left
			continue
		}
		c, ok := chunkAt(raw, off, log)
		if !ok {
			break
		}
		if c.trail {
			return off, false, false
		}
		if off += c.size; c.ends {
			end = off
		}
	}
	if end >= len(raw) || allZero(raw[end:]) {
		return end, false, false
	}
	for off := end + 1; off < len(raw); off++ {
		if c, ok := chunkAt(raw, off, log); ok && !c.trail && c.synced > uint64(end) {
			return end, true, true
		}
	}
	return end, true, false
}

func allZero(b []byte) bool {
	for _, c := range b {
		if c != 0 {
			return false
		}
	}
	return true
}

// inspectLogs reads Pebble's log files before Pebble does. Pebble cuts a torn
// end in silence, and takes damage for a torn end if no whole block follows it;
// the house must tell of the one and refuse the other with its place.
func (s *Store) inspectLogs() error {
	dir := s.path(journalDir)
	desc, err := pebble.Peek(dir, s.fs)
	if err != nil {
		return err
	}
	if s.recovery.Created = !desc.Exists; s.recovery.Created {
		if s.readOnly {
			return errors.New("there is no journal")
		}
		return nil
	}
	names, err := s.fs.List(dir)
	if err != nil {
		return err
	}
	newest := uint64(0)
	for _, name := range names {
		number, err := strconv.ParseUint(strings.TrimSuffix(name, walLogSuffix), 10, 32)
		if err != nil || !strings.HasSuffix(name, walLogSuffix) {
			continue
		}
		raw, err := readFile(s.fs, s.fs.PathJoin(dir, name))
		if err != nil {
			return err
		}
		end, torn, damaged := scanLog(raw, uint32(number))
		if damaged {
			return &DamageError{What: fmt.Sprintf("%s offset %d", name, end), Err: errLogEnd}
		}
		if number >= newest {
			newest, s.recovery.TornLog, s.recovery.TornOffset = number, "", 0
			if torn {
				s.recovery.TornLog, s.recovery.TornOffset = name, int64(end)
			}
		}
	}
	return nil
}
