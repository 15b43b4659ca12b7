//go:build linux

package peers

import (
	"errors"
	"fmt"
	"os"
	"sync"

	"golang.org/x/sys/unix"
)

// event stands for a sale in the peers' log; it is about as long as ours.
var event = [400]byte{0: 'e', 399: '\n'}

// errClosed means that the log takes nothing any more.
var errClosed = errors.New("the log is closed")

// Log is a plain append-only file. Callers that append at once share one
// fdatasync: the cheapest durable log there is, and no more than that. It keeps
// no checksum, no sequence and no index.
//
// mu guards open and closed. One goroutine writes: it takes the open batch
// whole, writes and syncs it, and tells all its callers at once. A leader among
// the callers was tried instead of the goroutine: it went on serving the others
// while its own caller waited.
type Log struct {
	file *os.File
	wake chan struct{}
	done sync.WaitGroup

	mu     sync.Mutex
	open   *batch
	closed bool
}

type batch struct {
	buf  []byte
	err  error         // set before done closes
	done chan struct{} // closed when it is on disk
}

func newBatch(buf []byte) *batch { return &batch{buf: buf[:0], done: make(chan struct{})} }

// OpenLog makes an empty log at path.
func OpenLog(path string) (*Log, error) {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_TRUNC|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		return nil, fmt.Errorf("cannot make a log: %w", err)
	}
	l := &Log{file: f, wake: make(chan struct{}, 1), open: newBatch(nil)}
	l.done.Go(l.write)
	return l, nil
}

// Append returns when rec is on disk.
func (l *Log) Append(rec []byte) error {
	l.mu.Lock()
	if l.closed {
		l.mu.Unlock()
		return errClosed
	}
	b := l.open
	b.buf = append(b.buf, rec...)
	l.mu.Unlock()
	select {
	case l.wake <- struct{}{}:
	default:
	}
	<-b.done
	return b.err
}

func (l *Log) write() {
	var spare []byte
	for range l.wake {
		l.mu.Lock()
		b := l.open
		if len(b.buf) > 0 {
			l.open = newBatch(spare)
		}
		l.mu.Unlock()
		if len(b.buf) == 0 {
			continue
		}
		_, err := l.file.Write(b.buf)
		if err == nil {
			err = unix.Fdatasync(int(l.file.Fd()))
		}
		spare, b.err = b.buf, err
		close(b.done)
	}
}

// Close writes what is open and closes the file. No Append may be running.
func (l *Log) Close() error {
	l.mu.Lock()
	l.closed = true
	l.mu.Unlock()
	close(l.wake)
	l.done.Wait()
	if err := l.file.Close(); err != nil {
		return fmt.Errorf("cannot close a log: %w", err)
	}
	return nil
}
