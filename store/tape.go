package store

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"github.com/cockroachdb/pebble/v2"
	"github.com/rs/zerolog"

	"vendue/exchange"
)

// A tape key is: day 4 (days since 1970-01-01, UTC) | id 20 | number 2. Ids
// begin with their time, so a day is read in order, an auction is found by its
// ping's id alone, and a lead's attempts stand side by side.
const (
	tapeKeyBytes      = 4 + idBytes + 2
	tapeDaysDefault   = 14
	tapeQueueDefault  = 16 << 10
	tapeRecordsMax    = 512     // in one batch
	tapeBatchBytesMax = 1 << 20 // of one batch
	tapeBufferKept    = 64 << 10
	tapeSweepEvery    = time.Hour
	// tapeGather is how long records gather after a batch: waking the writer for each cost more than writing them.
	tapeGather = 10 * time.Millisecond
	// tapeSyncAfter is how far the disk stays behind where little is written: Pebble keeps what fills no block of its log in memory.
	tapeSyncAfter = time.Second
	tapeBusyBytes = 256 << 10 // written in tapeSyncAfter: blocks fill by themselves, and a sync would only burden the journal's disk
)

// Tape is the auction tape: a database of its own that is never synced in
// anybody's path, so that it can cost the journal neither a wait nor its
// soundness. Its writer syncs it a second after a record came, unless so much
// comes that the log fills by itself: without, the records of a quiet day would
// be in no copy of the directory and gone with a killed process.
//
// Record and RecordAttempt encode into a pooled buffer and hand it to the one
// writer through a bounded queue; if that is full the record is dropped and
// counted. The queue's channel is never closed: closing tells the writer to
// empty it and end, and a record that comes later is lost like one in a crash.
// A fault of the tape's disk stops the tape (records are dropped, reads fail)
// and nothing else.
//
// Writing from the callers' goroutines was the simpler design; Pebble's commit
// would then sit in the path of every auction.
type Tape struct {
	log   zerolog.Logger
	m     *storeMetrics
	days  int
	queue chan *tapeRecord
	free  sync.Pool // of *tapeRecord

	db      *pebble.DB  // nil if opened read-only where there is no tape
	dead    atomic.Bool // the disk failed
	closing chan struct{}
	done    chan struct{}
}

// tapeRecord is one record on its way to the writer, or, with flushed set, a question whether all before it is written.
type tapeRecord struct {
	key     [tapeKeyBytes]byte
	buf     []byte
	flushed chan struct{}
}

var errTape = errors.New("the tape's disk failed")

// tapeLog is pebbleLog for the tape: nothing it meets may break the journal.
type tapeLog struct{ t *Tape }

func (tapeLog) Infof(string, ...any) {}

func (l tapeLog) Errorf(format string, args ...any) {
	l.t.log.Error().Str("room", "store").Msgf("tape: "+format, args...)
}

func (l tapeLog) Fatalf(format string, args ...any) {
	l.t.fail(fmt.Errorf(format, args...))
	runtime.Goexit()
}

func newTape(cfg Config) *Tape {
	t := &Tape{log: cfg.Log, days: cfg.TapeDays, closing: make(chan struct{}), done: make(chan struct{})}
	if t.days <= 0 {
		t.days = tapeDaysDefault
	}
	queue := cfg.TapeQueueMax
	if queue <= 0 {
		queue = tapeQueueDefault
	}
	t.queue = make(chan *tapeRecord, queue)
	t.free.New = func() any { return new(tapeRecord) }
	return t
}

func (t *Tape) open(s *Store) error {
	t.m = s.m
	dir := s.path(tapeDir)
	opts := pebbleOptions(s.fs, tapeLog{t})
	opts.ReadOnly, opts.CacheSize, opts.MemTableSize = s.readOnly, 8<<20, 16<<20
	if s.readOnly {
		close(t.done)
		if _, err := s.fs.Stat(dir); errors.Is(err, os.ErrNotExist) {
			return nil
		}
	}
	db, err := openPebble(dir, opts)
	if err != nil {
		return fmt.Errorf("cannot open the tape (it may be moved away: it holds no money): %w", err)
	}
	t.db = db
	if !s.readOnly {
		go t.write()
	}
	return nil
}

func (t *Tape) fail(err error) {
	t.m.tapeFaults.Inc()
	if !t.dead.Swap(true) {
		t.log.Error().Str("room", "store").Err(err).Msg("the tape failed; auctions go on without it")
	}
}

func (t *Tape) waiting() int { return len(t.queue) }

func tapeKey(dst *[tapeKeyBytes]byte, id [idBytes]byte, at time.Time, number uint16) {
	binary.BigEndian.PutUint32(dst[:], tapeDay(at))
	copy(dst[4:], id[:])
	binary.BigEndian.PutUint16(dst[4+idBytes:], number)
}

func tapeDay(t time.Time) uint32 { return uint32(max(t.Unix(), 0) / 86400) }

// Record puts an auction on the tape. It keeps nothing of a.
func (t *Tape) Record(a *exchange.Auction) {
	r := t.free.Get().(*tapeRecord)
	tapeKey(&r.key, a.PingID, a.PingID.Time(), 0)
	r.buf = appendTapeAuction(r.buf[:0], a)
	t.hand(r)
}

// RecordAttempt puts an attempt to post on the tape. It keeps nothing of a.
func (t *Tape) RecordAttempt(a *Attempt) {
	r := t.free.Get().(*tapeRecord)
	tapeKey(&r.key, a.LeadID, a.LeadID.Time(), a.Number)
	r.buf = appendTapeAttempt(r.buf[:0], a)
	t.hand(r)
}

func (t *Tape) hand(r *tapeRecord) {
	if !t.dead.Load() {
		select {
		case t.queue <- r:
			return
		default:
		}
	}
	t.m.tapeDropped.Inc()
	t.release(r)
}

func (t *Tape) release(r *tapeRecord) {
	if cap(r.buf) <= tapeBufferKept {
		t.free.Put(r)
	}
}

// Flush returns when all that was recorded before it can be read.
func (t *Tape) Flush() {
	r := &tapeRecord{flushed: make(chan struct{})}
	select {
	case t.queue <- r:
	case <-t.done:
		return
	}
	select {
	case <-r.flushed:
	case <-t.done:
	}
}

// write is the writer: it owns the batch, and the sweep of old days.
func (t *Tape) write() {
	defer close(t.done)
	sweep := time.NewTicker(tapeSweepEvery)
	defer sweep.Stop()
	gather := time.NewTimer(0)
	defer gather.Stop()
	behind := time.NewTimer(tapeSyncAfter)
	defer behind.Stop()
	t.sweep(time.Now())
	for unsynced := 0; ; {
		select {
		case r := <-t.queue:
			if unsynced == 0 {
				behind.Reset(tapeSyncAfter)
			}
			for unsynced += t.writeBatch(r); len(t.queue) >= tapeRecordsMax; {
				unsynced += t.writeBatch(<-t.queue)
			}
			gather.Reset(tapeGather)
			select {
			case <-gather.C:
			case <-t.closing:
			}
		case <-behind.C:
			switch {
			case unsynced >= tapeBusyBytes:
				unsynced = 1 // the last of it is still to be seen to
				behind.Reset(tapeSyncAfter)
			case unsynced > 0:
				unsynced = 0
				t.try(func() error { return t.db.LogData(nil, pebble.Sync) })
			}
		case now := <-sweep.C:
			t.sweep(now)
		case <-t.closing:
			for {
				select {
				case r := <-t.queue:
					t.writeBatch(r)
				default:
					return
				}
			}
		}
	}
}

// writeBatch writes r and what else waits, up to the limits of a batch, and returns how many bytes.
func (t *Tape) writeBatch(r *tapeRecord) (size int) {
	batch := t.db.NewBatch()
	var asked []chan struct{}
	count := 0
	for r != nil {
		if r.flushed != nil {
			asked = append(asked, r.flushed)
		} else {
			if err := batch.Set(r.key[:], r.buf, nil); err != nil {
				t.fail(err)
			}
			count++
			size += len(r.buf)
			t.release(r)
		}
		r = nil
		if count < tapeRecordsMax && size < tapeBatchBytesMax {
			select {
			case r = <-t.queue:
			default:
			}
		}
	}
	if t.commit(batch) {
		t.m.tapeRecords.Add(count)
		t.m.tapeBytes.Add(size)
	} else {
		t.m.tapeDropped.Add(count)
	}
	for _, c := range asked {
		close(c)
	}
	return size
}

func (t *Tape) commit(batch *pebble.Batch) bool {
	return t.try(func() error {
		if err := batch.Commit(pebble.NoSync); err != nil {
			return err
		}
		_ = batch.Close()
		return nil
	})
}

// try calls the database, unless its disk has failed. What it meets there fails the tape and nothing else.
func (t *Tape) try(fn func() error) (ok bool) {
	if t.dead.Load() {
		return false
	}
	defer func() {
		if r := recover(); r != nil {
			t.fail(fmt.Errorf("%v", r))
			ok = false
		}
	}()
	if err := fn(); err != nil {
		t.fail(err)
		return false
	}
	return true
}

// sweep drops the days that are over.
func (t *Tape) sweep(now time.Time) {
	today := tapeDay(now)
	if t.dead.Load() || today < uint32(t.days) {
		return
	}
	var end [4]byte
	binary.BigEndian.PutUint32(end[:], today-uint32(t.days))
	batch := t.db.NewBatch()
	if err := batch.DeleteRange([]byte{0, 0, 0, 0}, end[:], nil); err != nil {
		t.fail(err)
		return
	}
	t.commit(batch)
}

// Find returns the record of an auction as JSON, and false if the tape does not hold it.
func (t *Tape) Find(ping exchange.PingID) ([]byte, bool, error) {
	var key [tapeKeyBytes]byte
	tapeKey(&key, ping, ping.Time(), 0)
	var out []byte
	err := t.scan(key[:], append(key[:], 0), func(record []byte) (bool, error) {
		out = bytes.Clone(record)
		return false, nil
	})
	return out, out != nil, err
}

// FindAttempts calls fn with the records of a lead's attempts as JSON, in order. A record is valid only during the call.
func (t *Tape) FindAttempts(lead exchange.LeadID, fn func(record []byte) (more bool, err error)) error {
	var lo, hi [tapeKeyBytes]byte
	tapeKey(&lo, lead, lead.Time(), 0)
	tapeKey(&hi, lead, lead.Time(), ^uint16(0))
	return t.scan(lo[:], hi[:], fn)
}

// ReadDay calls fn with the records of the day (UTC) that holds t, as JSON, in
// order of their ids' time, until fn returns false or an error. A record is valid only during the call.
func (t *Tape) ReadDay(day time.Time, fn func(record []byte) (more bool, err error)) error {
	lo := binary.BigEndian.AppendUint32(nil, tapeDay(day))
	hi := binary.BigEndian.AppendUint32(nil, tapeDay(day)+1)
	return t.scan(lo, hi, fn)
}

// scan calls fn with the records of the keys in [lo, hi) as JSON.
func (t *Tape) scan(lo, hi []byte, fn func(record []byte) (bool, error)) error {
	if t.db == nil {
		return nil
	}
	if t.dead.Load() {
		return errTape
	}
	var text []byte
	return span{db: t.db, what: "the tape", lo: lo, hi: hi}.each(func(_, record []byte) (more bool, err error) {
		if text, err = tapeText(text[:0], record); err != nil {
			return false, err
		}
		return fn(text)
	})
}

// close writes what waits and closes the database.
func (t *Tape) close() error {
	close(t.closing)
	<-t.done
	if t.db == nil || t.dead.Load() {
		return nil
	}
	if err := t.db.Close(); err != nil {
		return fmt.Errorf("cannot close the tape: %w", err)
	}
	return nil
}
