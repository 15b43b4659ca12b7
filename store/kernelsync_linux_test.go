package store

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/rs/zerolog"
)

// kernelOf returns nil where the kernel has no such calls or forbids them: the
// journal does without there, as TestJournalIsSyncedWithoutTheKernel has it everywhere.
func kernelOf(t *testing.T) *kernelSync {
	t.Helper()
	k, err := newKernelSync()
	if err != nil {
		t.Log(err)
		return nil
	}
	t.Cleanup(k.close)
	return k
}

// Two logs may be synced at once when Pebble changes them, and what the kernel does not take is left to others.
func TestKernelSync(t *testing.T) {
	k := kernelOf(t)
	if k == nil {
		return
	}
	f, err := os.Create(filepath.Join(t.TempDir(), "log"))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = f.Close() }()
	var all sync.WaitGroup
	const each = 20
	for range 2 {
		all.Go(func() {
			for range each {
				if _, err := f.WriteString("event"); err != nil {
					t.Error(err)
				}
				if taken, err := k.syncData(f.Fd()); !taken || err != nil {
					t.Errorf("taken: %t, %v", taken, err)
				}
			}
		})
	}
	all.Wait()
	if k.asked.data != 2*each {
		t.Errorf("%d syncs counted, want %d", k.asked.data, 2*each)
	}
	for name, fd := range map[string]uintptr{"nothing": 1 << 20, "an event descriptor": uintptr(k.fd)} {
		if taken, err := k.syncData(fd); taken || err != nil {
			t.Errorf("a sync of %s was taken: %v", name, err)
		}
	}
	if taken, err := k.syncData(f.Fd()); !taken || err != nil {
		t.Errorf("after those, taken: %t, %v", taken, err)
	}
	k.close()
	if taken, _ := k.syncData(f.Fd()); taken {
		t.Error("taken after the end")
	}
}

// Nothing but the sync that was asked for, ended well, counts as one.
func TestKernelSyncTellsTheDisksError(t *testing.T) {
	k := new(kernelSync)
	k.asked.data = 7
	for _, c := range []struct {
		n    int
		end  ioEvent
		want error
		good bool
	}{
		{n: 1, end: ioEvent{data: 7}, good: true},
		{n: 1, end: ioEvent{data: 7, result: -int64(syscall.EIO)}, want: syscall.EIO},
		{n: 1, end: ioEvent{data: 7, result: -int64(syscall.ENOSPC)}, want: syscall.ENOSPC},
		{n: 1, end: ioEvent{data: 6}},
		{n: 0, end: ioEvent{data: 7}},
		{n: 2, end: ioEvent{data: 7}},
	} {
		k.ended[0] = c.end
		if err := k.result(c.n); (err == nil) != c.good || c.want != nil && !errors.Is(err, c.want) {
			t.Errorf("%+v is told as %v", c, err)
		}
	}
}

// The journal's logs, and they alone, go this way.
func TestJournalIsSyncedByTheKernel(t *testing.T) {
	if kernelOf(t) == nil {
		return
	}
	s := openAt(t, nil, t.TempDir())
	before := s.kernel.asked.data
	add(t, s, time.Now(), newWorld(t, 1).next()...)
	if s.kernel.asked.data == before {
		t.Error("an event is on disk, and the kernel was asked for no sync")
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
}

// Where the kernel takes no syncs, the journal does without, and says so once at each start.
func TestJournalIsSyncedWithoutTheKernel(t *testing.T) {
	dir := t.TempDir()
	for start := range 2 { // the first makes the journal
		var log bytes.Buffer
		s, err := Open(Config{Dir: dir, Log: zerolog.New(&log), askKernel: func() (*kernelSync, error) { return nil, errors.ErrUnsupported }})
		if err != nil {
			t.Fatal(err)
		}
		if last := add(t, s, epoch, newWorld(t, uint64(start)).started()); last != uint64(start)+1 {
			t.Errorf("the event is seq %d", last)
		}
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
		if n := strings.Count(log.String(), "holds a thread"); n != 1 {
			t.Errorf("start %d: told %d times: %s", start, n, log.String())
		}
	}
}
