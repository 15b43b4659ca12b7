package store

import (
	"errors"
	"fmt"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/cockroachdb/pebble/v2"
	"github.com/rs/zerolog"
)

// The errors that callers tell apart.
var (
	// ErrBroken: a write or sync of the journal failed. Nothing is taken any more; the process must end.
	ErrBroken = errors.New("the journal is broken")
	// ErrClosed: the store was closed.
	ErrClosed = errors.New("the store is closed")
	// ErrLocked: another process holds the data directory; ask the daemon through its socket.
	ErrLocked = errors.New("the data directory is held by another process")
	// ErrReadOnly: the store was opened with OpenReadOnly.
	ErrReadOnly = errors.New("the store is open for reading only")
)

// DamageError says where the journal does not hold what was written to it.
type DamageError struct {
	Seq  uint64 // of the first event that is not sound; 0 if the place is no event
	What string // the place in words if it is no event
	Err  error
}

// Error names the place and what is wrong with it.
func (e *DamageError) Error() string {
	if e.Seq == 0 {
		return fmt.Sprintf("the journal is damaged at %s: %v", e.What, e.Err)
	}
	return fmt.Sprintf("the journal is damaged at seq %d: %v", e.Seq, e.Err)
}

// Unwrap returns the fault itself.
func (e *DamageError) Unwrap() error { return e.Err }

// fault is the state sound -> broken, once, and for good.
//
// A broken journal is never repaired in place. After a failed sync the kernel
// may have dropped the very pages that were not written, so a second sync that
// succeeds proves nothing; only a new process that reads the disk knows.
type fault struct {
	broken   chan struct{} // closed when broken; err is set before
	once     sync.Once
	err      error
	poisoned atomic.Bool   // Pebble may hold its own locks for ever: it must not be called again, not even to close
	stuck    chan struct{} // closed with poisoned: who is inside Pebble may not come back
	stalls   atomic.Int32  // writes that wait inside Pebble for a flush or compaction
	onFault  func(error)
	log      zerolog.Logger
}

func newFault(onFault func(error), log zerolog.Logger) *fault {
	return &fault{broken: make(chan struct{}), stuck: make(chan struct{}), onFault: onFault, log: log}
}

// fail breaks the journal and tells the owner once. It returns ErrBroken with the first cause.
func (f *fault) fail(err error) error {
	f.once.Do(func() {
		f.err = fmt.Errorf("%w: %w", ErrBroken, err)
		close(f.broken)
		if f.onFault != nil {
			f.onFault(f.err)
		}
	})
	return f.err
}

func (f *fault) poison() {
	if !f.poisoned.Swap(true) {
		close(f.stuck)
	}
}

// check returns nil while the journal is sound.
func (f *fault) check() error {
	select {
	case <-f.broken:
		return f.err
	default:
		return nil
	}
}

// wait returns why the journal is broken, once it is.
func (f *fault) wait() error {
	<-f.broken
	return f.err
}

// guard calls fn, which calls Pebble, and turns every way in which a write of
// Pebble's can fail into an error: it returns one, it panics (and keeps its
// commit lock), or it logs a fatal line and expects the process to be gone.
func (f *fault) guard(fn func() error) (err error) {
	if err := f.check(); err != nil {
		return err
	}
	defer func() {
		if r := recover(); r != nil {
			f.poison()
			err = f.fail(fmt.Errorf("cannot write to the journal: %v", r))
		}
	}()
	if err := fn(); err != nil {
		return f.fail(fmt.Errorf("cannot write to the journal: %w", err))
	}
	return f.check()
}

// pebbleLog hands Pebble's lines to the house's log. Fatalf must not come back
// to Pebble's background work, which would go on from a state it calls
// impossible, and must not end the process behind its owner's back: it breaks
// the journal and ends only the goroutine that called it. The one exception is
// a failed commit, which is on our caller's own goroutine and returns through guard.
type pebbleLog struct{ *fault }

// Infof drops the line: Pebble tells of every flush and compaction.
func (pebbleLog) Infof(string, ...any) {}

// Errorf logs a fault that Pebble goes on after.
func (l pebbleLog) Errorf(format string, args ...any) {
	l.log.Error().Str("room", "store").Msgf(format, args...)
}

// Fatalf breaks the journal.
func (l pebbleLog) Fatalf(format string, args ...any) {
	// #nosec: the text is Pebble's own and names files and keys, never values.
	_ = l.fail(fmt.Errorf("pebble: "+format, args...))
	if strings.Contains(format, "fatal commit error") {
		return
	}
	l.poison()
	runtime.Goexit()
}

// diskFailed breaks the journal: a disk that takes no file will not take the
// next record either. A write that waits for that file never comes back, and keeps Pebble's commit lock.
func (l pebbleLog) diskFailed(err error) {
	_ = l.fail(err)
	if l.stalls.Load() > 0 {
		l.poison()
	}
}

// stalled is told when a write begins to wait for a file, and when it need wait no more.
func (l pebbleLog) stalled(by int32) {
	if l.stalls.Add(by); by > 0 && l.check() != nil {
		l.poison()
	}
}

var _ pebble.Logger = pebbleLog{}
