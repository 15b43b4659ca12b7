package store

import (
	"encoding/binary"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/sstable"
	"github.com/cockroachdb/pebble/v2/vfs"

	"vendue/exchange"
)

const (
	generationEvents = 64 << 10 // events whose keys are written at once
	generationsMost  = 2        // so many of them may gather while one is written; then Append waits
	linkAtOnce       = 256      // keys that are linked under one lock
	// underivedMax bounds the events whose keys a reading process makes up in memory.
	underivedMax = 1 << 20
)

// indexMarkKey holds how far the index stands: the seq of the last event whose
// keys are in it, and the checksum of that event's record, which binds the index to this very journal.
const indexMarkKey = "m"

// indexer owns the index: a database of its own beside the journal's, and in
// memory the keys that are not there yet.
//
// Everything in it follows from the events, so it needs no log and no sync.
// Append leaves the keys of its events in the open generation; when that is
// full the one goroutine makes it the writing one, sorts it and puts it into
// the database in one batch together with the mark. Look-ups see the open
// generation, then the writing one, then the database; a generation goes only
// after the database shows it, so none of them can miss a key. A crash loses
// what was not yet in tables, and opening makes it again from the events after the mark.
//
// The index is never ahead of the journal on disk: a generation is written only
// when its last event is durable. If the disk is slower than the events come,
// Append waits for the writing one (Store.room), which holds up whoever decides.
//
// mu guards open, writing and spare. The goroutine alone takes writing away,
// and writing does not change while it is there, so it reads it without the lock.
//
// Tried before: the keys in the event's own batch. Each was a search of its own
// in the memtable, under the lock that decides, and half of what was synced.
type indexer struct {
	s    *Store
	db   *pebble.DB
	size int // events of a generation

	mu      sync.Mutex
	open    *generation
	writing *generation // nil: none is
	spare   *generation // empty, to be filled again; the goroutine puts it there

	places  []keyPlace    // scratch of write
	sweep   sweep         // the goroutine's alone, once it runs
	running bool          // the goroutine was started; set once, while opening
	full    chan struct{} // holds one: the open generation may be full
	turned  chan struct{} // holds one: the open generation is another one; Append waits for it
	closing chan struct{}
	done    chan struct{}
}

func newIndexer(s *Store) *indexer {
	size := s.cfg.generationEvents
	if size <= 0 {
		size = generationEvents
	}
	x := &indexer{
		s: s, size: size, open: newGeneration(size), spare: newGeneration(size),
		full: make(chan struct{}, 1), turned: make(chan struct{}, 1), closing: make(chan struct{}), done: make(chan struct{}),
	}
	return x
}

// hasRoom tells whether one more Append may add to the open generation.
func (x *indexer) hasRoom() bool {
	x.mu.Lock()
	defer x.mu.Unlock()
	return x.open.events < generationsMost*x.size
}

// add takes in the events that were appended from seq first on; sum is the checksum of the last one's record.
func (x *indexer) add(at int64, first uint64, events []exchange.Event, sum uint64) {
	x.mu.Lock()
	for i, ev := range events {
		x.open.add(exchange.Entry{Seq: first + uint64(i), At: at, Event: ev}, sum)
	}
	full := x.open.events >= x.size
	x.mu.Unlock()
	if full {
		notify(x.full)
	}
}

// link makes look-ups ready for what was added. The committer calls it while
// the disk has the word, so that neither Append nor a look-up has it to do.
func (x *indexer) link() {
	for more := true; more; {
		x.mu.Lock()
		more = x.open.link(linkAtOnce)
		x.mu.Unlock()
	}
}

// notify puts a notice into a channel that holds one.
func notify(c chan<- struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

// waiting is the events whose keys are not in the database.
func (x *indexer) waiting() int {
	x.mu.Lock()
	defer x.mu.Unlock()
	n := x.open.events
	if x.writing != nil {
		n += x.writing.events
	}
	return n
}

// run is the goroutine. It ends at close, or when the journal breaks.
func (x *indexer) run() {
	defer close(x.done)
	for {
		var on <-chan time.Time
		if x.sweep.from != nil {
			on = time.After(sweepPause)
		}
		select {
		case <-x.full:
		case <-x.closing:
			return
		case <-on:
			if x.sweepOn() != nil {
				return // the fault is told
			}
		}
		for x.turn() {
			if x.write(x.writing) != nil || x.due(x.writing.oldest) != nil {
				return
			}
			x.drop()
		}
	}
}

// turn makes a full open generation the writing one.
func (x *indexer) turn() bool {
	x.mu.Lock()
	defer x.mu.Unlock()
	if x.open.events < x.size {
		return false
	}
	x.open.link(len(x.open.items)) // it changes no more
	x.writing, x.open, x.spare = x.open, x.spare, nil
	notify(x.turned)
	return true
}

// drop lets go of the writing generation, which the database shows now.
func (x *indexer) drop() {
	x.mu.Lock()
	was := x.writing
	x.writing = nil
	x.mu.Unlock()
	was.reset() // nobody looks at it any more
	x.mu.Lock()
	x.spare = was
	x.mu.Unlock()
}

// write puts a generation into the database.
func (x *indexer) write(g *generation) error {
	if err := x.s.syncTo(g.last); err != nil {
		return err
	}
	batch := x.db.NewBatchWithSize(len(g.data) + len(g.items)*(1+1+1) + 64)
	x.places = g.sorted(x.places[:0])
	for _, place := range x.places {
		if key, value := g.pair(place.item); batch.Set(key, value, nil) != nil {
			panic("BUG: a batch of index keys takes no more")
		}
	}
	mark := binary.BigEndian.AppendUint64(appendSeq(nil, g.last), g.sum)
	if err := batch.Set([]byte(indexMarkKey), mark, nil); err != nil {
		return x.s.fault.fail(fmt.Errorf("cannot mark the index: %w", err))
	}
	if err := x.commit(batch); err != nil {
		return err
	}
	// On disk soon, however small it was: that bounds what the next opening has to make again.
	return x.s.fault.guard(func() error {
		_, err := x.db.AsyncFlush()
		return err
	})
}

// close ends the goroutine and closes the database. What is not written yet is made again at the next opening.
func (x *indexer) close() error {
	if x.running {
		close(x.closing)
		select {
		case <-x.done:
		case <-x.s.fault.stuck:
		}
	}
	if x.db == nil || x.s.fault.poisoned.Load() {
		return nil
	}
	if err := x.db.Close(); err != nil && x.s.fault.check() == nil {
		return fmt.Errorf("cannot close the index: %w", err)
	}
	return nil
}

// find calls fn with the pairs of a group that are not in the database, the newest first, until fn returns false.
// It must come before the look into the database: what is not seen here is there by then.
func (x *indexer) find(group []byte, fn func(key, value []byte) (more bool)) {
	more := true
	until := func(key, value []byte) bool {
		more = fn(key, value)
		return more
	}
	x.mu.Lock()
	defer x.mu.Unlock()
	x.open.find(group, until)
	if x.writing != nil && more {
		x.writing.find(group, until)
	}
}

// get appends the value of an index key to dst, and false if there is none.
func (x *indexer) get(dst, key []byte) (value []byte, ok bool, err error) {
	x.find(key, func(_, value []byte) bool {
		dst, ok = append(dst, value...), true
		return false
	})
	if ok {
		return dst, true, nil
	}
	stored, closer, err := x.db.Get(key)
	if errors.Is(err, pebble.ErrNotFound) {
		return nil, false, nil
	}
	if err != nil {
		return nil, false, fmt.Errorf("cannot read the index at key %x: %w", key, err)
	}
	dst = append(dst, stored...)
	return dst, true, closer.Close()
}

// whole returns a reader of all that the index holds now, in memory or not, for
// who reads all of it. Its keys are in order; what is appended meanwhile may or may not be seen.
func (x *indexer) whole() (*pebble.Batch, error) {
	batch := x.db.NewIndexedBatch()
	x.mu.Lock()
	defer x.mu.Unlock()
	for _, g := range []*generation{x.writing, x.open} {
		if g == nil {
			continue
		}
		for i := range g.items {
			key, value := g.pair(int32(i))
			if err := batch.Set(key, value, nil); err != nil {
				return nil, errors.Join(fmt.Errorf("cannot put the index together: %w", err), batch.Close())
			}
		}
	}
	return batch, nil
}

// openIndex opens the index and makes the keys of the events after its mark. An
// index that cannot be read, or that is not this journal's, is made anew: all of it follows from the events.
func (s *Store) openIndex() error {
	x := newIndexer(s)
	s.index = x
	from, err := x.openAt(s.path(indexDir), s.fs)
	switch {
	case err == nil:
	case errors.Is(err, errDisk):
		return err
	case s.readOnly:
		if err := x.substitute(err); err != nil {
			return err
		}
		from = 1
	default:
		s.recovery.IndexWhy = err.Error()
		if err := x.remove(); err != nil {
			return fmt.Errorf("cannot make the index anew: %w", err)
		}
		if from, err = x.openAt(s.path(indexDir), s.fs); err != nil {
			return err
		}
	}
	if err := x.derive(from); err != nil {
		return fmt.Errorf("cannot make the index: %w", err)
	}
	if s.readOnly {
		return nil
	}
	if from == 1 && s.recovery.LastSeq > 0 {
		if err := s.dropOldIndexes(); err != nil {
			return err
		}
	}
	x.running = true
	go x.run()
	return nil
}

var errIndexMark = errors.New("the index is not of this journal")

// openAt opens the database and returns the first event whose keys it lacks.
func (x *indexer) openAt(dir string, fs vfs.FS) (from uint64, err error) {
	s := x.s
	if !s.readOnly {
		if err := s.makeDir(dir); err != nil {
			return 0, fmt.Errorf("%w: %w", errDisk, err)
		}
	}
	opts := pebbleOptions(fs, pebbleLog{s.fault})
	// A generation is larger than a memtable can take, so Pebble writes a table
	// from it as it is, without a memtable's search for each key.
	opts.ReadOnly, opts.DisableWAL, opts.MemTableSize, opts.CacheSize = s.readOnly, true, 1<<20, 32<<20
	// Its tables come slowly and are small. Merging them late saves most of the
	// merging, and a look-up passes the filters of a few more; keys made of MACs do not compress.
	opts.L0CompactionThreshold = 16
	for i := range opts.Levels {
		opts.Levels[i].Compression = func() *sstable.CompressionProfile { return sstable.NoCompression }
	}
	db, err := openPebble(dir, opts)
	if err != nil {
		return 0, err
	}
	from, err = x.marked(db)
	if err == nil {
		x.sweep.gone, err = goneOf(db)
	}
	if err == nil && !s.readOnly {
		err = dropOldClicks(db)
	}
	if err != nil {
		return 0, errors.Join(err, db.Close())
	}
	x.db = db
	return from, nil
}

// marked returns the first event after the database's mark.
func (x *indexer) marked(db *pebble.DB) (from uint64, err error) {
	value, closer, err := db.Get([]byte(indexMarkKey))
	if errors.Is(err, pebble.ErrNotFound) {
		return 1, nil
	}
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, closer.Close()) }()
	if len(value) != 2*seqBytes {
		return 0, errIndexMark
	}
	seq, sum := binary.BigEndian.Uint64(value), binary.BigEndian.Uint64(value[seqBytes:])
	rec, ok, err := x.s.get(eventKey(nil, seq))
	if err != nil {
		return 0, err
	}
	if !ok || len(rec) < recordSumBytes || binary.LittleEndian.Uint64(rec) != sum {
		return 0, fmt.Errorf("%w: its mark is at seq %d", errIndexMark, seq)
	}
	return seq + 1, nil
}

// remove takes the database away.
func (x *indexer) remove() error {
	return errors.Join(x.s.fs.RemoveAll(x.s.path(indexDir)), x.s.syncDir(x.s.cfg.Dir))
}

// substitute opens a database in memory in place of one that cannot be read: a process that only reads repairs nothing.
func (x *indexer) substitute(why error) error {
	if n := x.s.recovery.LastSeq; n > underivedMax {
		return fmt.Errorf("cannot use the index of %d events: start the house once, which makes it anew: %w", n, why)
	}
	opts := pebbleOptions(vfs.NewMem(), pebbleLog{x.s.fault})
	opts.DisableWAL = true
	db, err := openPebble("", opts)
	x.db = db
	return err
}

// derive makes the keys of the events from seq from on. They stay in memory, up to a generation.
func (x *indexer) derive(from uint64) error {
	s := x.s
	last := s.recovery.LastSeq
	if s.readOnly && last+1-min(from, last+1) > underivedMax {
		return fmt.Errorf("the index lacks %d events, expected at most %d: start the house once, which makes them", last+1-from, underivedMax)
	}
	if from > last {
		return nil
	}
	err := s.scanEvents(from, last+1, func(seq uint64, rec []byte) error {
		e, err := decodeRecord(seq, rec)
		if err != nil {
			return &DamageError{Seq: seq, Err: err}
		}
		x.open.add(e, binary.LittleEndian.Uint64(rec))
		s.recovery.Indexed++
		if s.readOnly || x.open.events < x.size {
			return nil
		}
		err = x.write(x.open)
		x.open.reset()
		return err
	})
	return err
}

// dropOldIndexes removes the index keys that stood in the journal's own
// database before the index had one.
func (s *Store) dropOldIndexes() error {
	for _, p := range []byte(indexPrefixes + string(prefixClick)) {
		lo, hi := []byte{p}, []byte{p + 1}
		old := false
		err := span{db: s.db, what: "the journal", lo: lo, hi: hi}.each(func(_, _ []byte) (bool, error) {
			old = true
			return false, nil
		})
		if err == nil && old {
			err = s.fault.guard(func() error { return s.db.DeleteRange(lo, hi, pebble.NoSync) })
		}
		if err != nil {
			return fmt.Errorf("cannot drop the old indexes: %w", err)
		}
	}
	return nil
}

// dropOldClicks removes the keys of clicks, which once had an index that nobody asked.
func dropOldClicks(db *pebble.DB) error {
	lo, hi := []byte{prefixClick}, []byte{prefixClick + 1}
	old := false
	err := span{db: db, what: "the index", lo: lo, hi: hi}.each(func(_, _ []byte) (bool, error) {
		old = true
		return false, nil
	})
	if err == nil && old {
		err = db.DeleteRange(lo, hi, pebble.NoSync)
	}
	return err
}
