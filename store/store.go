package store

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"sync"
	"sync/atomic"
	"time"

	"github.com/VictoriaMetrics/metrics"
	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/rs/zerolog"
)

// Config is what a Store is opened with.
type Config struct {
	Dir          string
	FS           vfs.FS // nil: the disk
	Log          zerolog.Logger
	Metrics      *metrics.Set // nil: kept, shown nowhere
	TapeDays     int          // days of tape kept beside today; 0: 14
	TapeQueueMax int          // tape records that wait for the writer; 0: 16384
	// OnFault is called once, when a write or sync of the journal failed. It is
	// called from inside the failing call and must not call the store.
	OnFault func(error)

	generationEvents int                         // of the index; 0: generationEvents
	memTableBytes    uint64                      // of the journal; 0: 64 MiB
	askKernel        func() (*kernelSync, error) // nil: newKernelSync
}

// Store is the house's disk.
//
// States: open -> closed, and, apart from that, sound -> broken (see fault).
//
// Order: seq is written by Append alone, whose callers hold the engine's lock;
// appending asserts it. The committer brings what Append took in into Pebble's
// log in the order of seq, and raises durable when that is synced. So at any
// instant 1..durable is on disk, durable..seq is visible to reads by key, and
// nothing is above seq.
//
// Tried before: concurrent sets that each took a number first, some synced and
// some not. Crashes left holes in the sequence; the lock leaves none.
type Store struct {
	cfg      Config
	fs       vfs.FS
	db       *pebble.DB // events and spaces
	index    *indexer
	kernel   *kernelSync // nil: the log is synced the plain way
	lock     *pebble.Lock
	fault    *fault
	m        *storeMetrics
	vault    *vault
	idKey    []byte
	tape     *Tape
	recovery Recovery
	readOnly bool

	seq         atomic.Uint64
	durable     watermark
	advanced    atomic.Int64 // when durable last rose, or last had reason to; since began
	appending   atomic.Bool
	personsKept atomic.Int64  // a duration
	indexSwept  atomic.Uint64 // keys that left the index
	committer   *committer
	began       time.Time

	snapshots sync.Mutex // one SaveSnapshot at a time

	closed    chan struct{}
	closeOnce sync.Once
	closeErr  error
}

// Open opens the data directory, making it (mode 0700) and its keys (0600) if
// they are not there. It checks the journal's tail: the last records, if they
// are damaged and nothing sound follows, are cut, which Recovery tells; damage
// with sound records after it is a *DamageError. ErrLocked: another process has it.
func Open(cfg Config) (*Store, error) { return open(cfg, false) }

// OpenReadOnly opens dir for log and verify while no daemon runs. It makes,
// cuts and repairs nothing: any damage of the tail is a *DamageError.
func OpenReadOnly(cfg Config) (*Store, error) { return open(cfg, true) }

func open(cfg Config, readOnly bool) (s *Store, err error) {
	s = &Store{cfg: cfg, fs: cfg.FS, readOnly: readOnly, closed: make(chan struct{}), began: time.Now()}
	if s.fs == nil {
		s.fs = vfs.Default
	}
	s.fs = orderedFS{s.fs}
	if cfg.Metrics == nil {
		s.cfg.Metrics = metrics.NewSet()
	}
	s.fault = newFault(cfg.OnFault, cfg.Log)
	s.committer = newCommitter(s)
	defer func() {
		if err != nil {
			s.abandon()
			s, err = nil, fmt.Errorf("cannot open the data directory %q: %w", cfg.Dir, err)
		}
	}()
	if err := s.lockDir(); err != nil {
		return s, err
	}
	if err := s.loadKeys(); err != nil {
		return s, err
	}
	if err := s.openJournal(); err != nil {
		return s, err
	}
	if err := s.recover(); err != nil {
		return s, err
	}
	if err := s.openIndex(); err != nil {
		return s, err
	}
	s.tell()
	s.tape = newTape(cfg)
	s.m = newStoreMetrics(s.cfg.Metrics, s)
	if !readOnly {
		s.committer.start()
	}
	return s, s.tape.open(s)
}

// abandon lets go of what a failed Open had taken.
func (s *Store) abandon() {
	if s.m != nil {
		s.m.unregister()
	}
	if s.index != nil {
		_ = s.index.close()
	}
	s.committer.close()
	if s.db != nil && !s.fault.poisoned.Load() {
		_ = s.db.Close()
	}
	s.kernel.close()
	if s.lock != nil {
		_ = s.lock.Close()
	}
}

func (s *Store) path(name string) string { return s.fs.PathJoin(s.cfg.Dir, name) }

// The names inside the data directory.
const (
	journalDir   = "journal"
	indexDir     = "index"
	tapeDir      = "tape"
	snapshotsDir = "snapshots"
	keysFile     = "keys"
)

// lockDir makes the directories and takes the lock that keeps other processes out.
func (s *Store) lockDir() error {
	dir := s.path(journalDir)
	if s.readOnly {
		if _, err := s.fs.Stat(dir); err != nil {
			return fmt.Errorf("there is no journal: %w", err)
		}
	} else {
		for _, d := range []string{s.cfg.Dir, dir, s.path(snapshotsDir)} {
			if err := s.makeDir(d); err != nil {
				return err
			}
		}
	}
	lock, err := pebble.LockDirectory(dir, s.fs)
	if err != nil {
		// A path error is about the lock's file; anything else is the lock's own refusal.
		if pathErr := (*fs.PathError)(nil); errors.As(err, &pathErr) {
			return err
		}
		return fmt.Errorf("%w: %w", ErrLocked, err)
	}
	s.lock = lock
	return nil
}

// makeDir makes dir and its parents, each with its name on disk: a synced file
// in a directory that a crash takes away is lost all the same.
func (s *Store) makeDir(dir string) error {
	if _, err := s.fs.Stat(dir); err == nil {
		return nil
	}
	parent := s.fs.PathDir(dir)
	if parent != dir {
		if err := s.makeDir(parent); err != nil {
			return err
		}
	}
	if err := s.fs.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	return s.syncDir(parent)
}

func (s *Store) syncDir(dir string) error {
	d, err := s.fs.OpenDir(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

func (s *Store) openJournal() error {
	if err := s.inspectLogs(); err != nil {
		return err
	}
	s.askKernel()
	if s.recovery.Created {
		// Pebble begins its first log before it takes up the format of
		// formatVersion, so the marks that tell a torn end from damage would be
		// missing from it. The second opening begins another.
		if err := s.openDB(); err != nil {
			return err
		}
		made := s.db
		s.db = nil // closed once, whatever comes of it
		if err := made.Close(); err != nil {
			return err
		}
	}
	if err := s.openDB(); err != nil {
		return err
	}
	return s.fault.check()
}

func (s *Store) openDB() (err error) {
	opts := pebbleOptions(s.journalFS(), pebbleLog{s.fault})
	opts.Lock, opts.ReadOnly = s.lock, s.readOnly
	opts.CacheSize, opts.MemTableSize = 64<<20, cmp.Or(s.cfg.memTableBytes, 64<<20)
	s.db, err = openPebble(s.path(journalDir), opts)
	return err
}

// askKernel has the journal's log synced the cheapest way there is.
func (s *Store) askKernel() {
	if s.readOnly || !s.onDisk() {
		return
	}
	ask := s.cfg.askKernel
	if ask == nil {
		ask = newKernelSync
	}
	var err error
	if s.kernel, err = ask(); err != nil {
		s.cfg.Log.Info().Str("room", "store").Err(err).Msg("each sync of the journal holds a thread, which costs CPU")
	}
}

// journalFS is the file system with the log's syncs as askKernel settled them.
func (s *Store) journalFS() vfs.FS {
	if s.kernel == nil {
		return s.fs
	}
	return logSyncFS{s.fs, s.kernel}
}

// writable returns why nothing can be written, nil if it can.
func (s *Store) writable() error {
	if s.readOnly {
		return ErrReadOnly
	}
	select {
	case <-s.closed:
		return ErrClosed
	default:
	}
	return s.fault.check()
}

// Tape returns the auction tape.
func (s *Store) Tape() *Tape { return s.tape }

// Healthy returns nil while the journal can be written.
func (s *Store) Healthy() error { return s.writable() }

func (s *Store) writableAtClose() bool { return !s.readOnly && s.fault.check() == nil }

// Close writes what the tape still holds and lets go of the data directory.
// Nothing may be inside another method. After a fault that left Pebble holding
// its own locks, the files stay open until the process ends.
func (s *Store) Close() error {
	s.closeOnce.Do(func() {
		close(s.closed)
		s.closeErr = s.tape.close()
		s.closeErr = errors.Join(s.closeErr, s.index.close())
		s.committer.close()
		s.m.unregister()
		if s.fault.poisoned.Load() {
			s.closeErr = errors.Join(s.closeErr, s.fault.check())
			return
		}
		if s.writableAtClose() {
			s.closeErr = errors.Join(s.closeErr, s.saveMark(s.Durable()))
		}
		if err := s.db.Close(); err != nil && s.fault.check() == nil {
			s.closeErr = errors.Join(s.closeErr, fmt.Errorf("cannot close the journal: %w", err))
		}
		s.kernel.close()
		s.closeErr = errors.Join(s.closeErr, s.lock.Close())
	})
	return s.closeErr
}
