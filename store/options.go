package store

import (
	"errors"
	"fmt"
	"runtime"
	"strings"
	"sync/atomic"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/bloom"
	"github.com/cockroachdb/pebble/v2/sstable"
	"github.com/cockroachdb/pebble/v2/vfs"
)

// formatVersion is pinned, so that a Pebble upgrade never rewrites a data
// directory by itself. From here on the log says how far it was synced, which
// tells a torn tail from damage, and tables carry a checksum in their footer.
const formatVersion = pebble.FormatTableFormatV6

// errDisk says that the disk does not take what is to be written, which is no damage.
var errDisk = errors.New("cannot write files")

// pebbleOptions are what the journal and the tape share.
func pebbleOptions(fs vfs.FS, log pebble.Logger) *pebble.Options {
	opts := &pebble.Options{
		FS:                 fs,
		Logger:             log,
		FormatMajorVersion: formatVersion,
		// The journal is written in the order of its keys and its indexes are
		// small, so level 0 drains fast. A stop would hold a lead's answer up; it
		// is set where only a dead disk gets to.
		L0CompactionThreshold:       4,
		L0StopWritesThreshold:       64,
		MemTableStopWritesThreshold: 4,
		MaxOpenFiles:                512,
	}
	opts.EventListener = &pebble.EventListener{
		// Whoever reads the damaged place gets an error, and stops or answers a
		// fault. Pebble's own way is a fatal line: one bad block of a year ago
		// would stop the house in the middle of a sale.
		DataCorruption: func(info pebble.DataCorruptionInfo) { log.Errorf("%s", info) },
	}
	for i := range opts.Levels {
		opts.Levels[i].FilterPolicy = bloom.FilterPolicy(10) // a click or key that is not there costs no read
	}
	// What a flush writes is read again by a compaction a moment later, which compresses it.
	opts.Levels[0].Compression = func() *sstable.CompressionProfile { return sstable.NoCompression }
	opts.Levels[1].Compression = func() *sstable.CompressionProfile { return sstable.SnappyCompression } // and below
	return opts
}

// openLog tells openPebble of a fatal line, which ends the goroutine that wrote it.
type openLog struct {
	pebble.Logger
	fatal chan error // holds one
	state *atomic.Uint32
}

// An opening database is opened, or has failed: a goroutine of its own was
// ended, for which closing it would wait for ever. It goes from opening to one of the two, once.
const (
	dbOpening uint32 = iota
	dbOpened
	dbFailed
)

// diskWatcher is a log that must know when the disk takes no more files, and who waits for them.
type diskWatcher interface {
	diskFailed(err error)
	stalled(by int32)
}

// background hears of a flush or compaction that failed. Pebble tries it again
// at once and for ever: on a full disk it spins, with a new file each turn, and
// Open waits for it. So an open ends here, and with it the goroutine that would
// spin; later the owner is told, whose Close ends the spinning.
func (l openLog) background(err error) {
	switch watcher, ok := l.Logger.(diskWatcher); {
	case pebble.IsCorruptionError(err):
		l.Errorf("background error: %v", err)
	case l.opening():
		l.refuse(fmt.Errorf("%w: %w", errDisk, err))
	case ok:
		watcher.diskFailed(fmt.Errorf("%w: %w", errDisk, err))
	default:
		l.Errorf("background error: %v", err)
	}
}

// Fatalf refuses the database while it is opened, and passes the line on later.
func (l openLog) Fatalf(format string, args ...any) {
	if l.opening() {
		l.refuse(fmt.Errorf(format, args...))
	}
	l.Logger.Fatalf(format, args...)
}

// opening tells whether the database is not open yet; if so it never will be.
func (l openLog) opening() bool {
	return l.state.CompareAndSwap(dbOpening, dbFailed) || l.state.Load() == dbFailed
}

// refuse tells openPebble why, and ends the goroutine.
func (l openLog) refuse(err error) {
	select {
	case l.fatal <- err:
	default:
	}
	runtime.Goexit()
}

// openPebble opens a database and turns every way in which Pebble refuses
// damaged files into an error: it returns one, panics, or logs a fatal line,
// from this goroutine or from one of its own that it then waits for in vain.
func openPebble(dir string, opts *pebble.Options) (*pebble.DB, error) {
	type opened struct {
		db  *pebble.DB
		err error
	}
	watch := openLog{Logger: opts.Logger, fatal: make(chan error, 1), state: new(atomic.Uint32)}
	opts.Logger = watch
	if opts.EventListener == nil {
		opts.EventListener = new(pebble.EventListener)
	}
	opts.EventListener.BackgroundError = watch.background
	if watcher, ok := watch.Logger.(diskWatcher); ok {
		opts.EventListener.WriteStallBegin = func(pebble.WriteStallBeginInfo) { watcher.stalled(1) }
		opts.EventListener.WriteStallEnd = func() { watcher.stalled(-1) }
	}
	done := make(chan opened, 1)
	go func() {
		defer func() {
			if r := recover(); r != nil {
				done <- opened{err: &DamageError{What: dir, Err: fmt.Errorf("%v", r)}}
			}
		}()
		db, err := pebble.Open(dir, opts)
		done <- opened{db, err}
	}()
	select {
	case o := <-done:
		if o.err == nil && !watch.state.CompareAndSwap(dbOpening, dbOpened) {
			return nil, watch.refused(dir, <-watch.fatal)
		}
		if pebble.IsCorruptionError(o.err) {
			return nil, &DamageError{What: dir, Err: o.err}
		}
		return o.db, o.err
	case err := <-watch.fatal:
		return nil, watch.refused(dir, err)
	}
}

func (openLog) refused(dir string, err error) error {
	if errors.Is(err, errDisk) {
		return fmt.Errorf("cannot open %q: %w", dir, err)
	}
	return &DamageError{What: dir, Err: err}
}

// orderedFS syncs a directory before Pebble makes a marker in it. The marker
// names the newest manifest, and Pebble syncs the names of both at once: a disk
// that keeps names in any order could keep the marker and lose the manifest.
type orderedFS struct{ vfs.FS }

// Create makes a file, a marker only after all names beside it are on disk.
func (o orderedFS) Create(name string, category vfs.DiskWriteCategory) (vfs.File, error) {
	if strings.HasPrefix(o.PathBase(name), "marker.") {
		dir, err := o.OpenDir(o.PathDir(name))
		if err != nil {
			return nil, err
		}
		if err := errors.Join(dir.Sync(), dir.Close()); err != nil {
			return nil, err
		}
	}
	return o.FS.Create(name, category)
}

// Unwrap returns the file system below.
func (o orderedFS) Unwrap() vfs.FS { return o.FS }
