package store

import (
	"errors"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/vfs/errorfs"
	"github.com/rs/zerolog"

	"vendue/exchange"
)

// TestPackSeen: an event is found by its keys from its append on, whether it
// waits for its turn, is on its way to the disk, or is there.
func TestPackSeen(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		fs := newHeldFS("journal", true)
		s := openAt(t, fs, "data")
		w := newWorld(t, 3)
		release := fs.hold()
		var posts []*exchange.PostStarted
		seen := func() {
			t.Helper()
			for i, st := range posts {
				got, err := s.LeadEntries(st.LeadID, nil)
				if err != nil || len(got) != 1 || got[0].Seq != uint64(i+1) || got[0].Event.(*exchange.PostStarted).LeadID != st.LeadID {
					t.Errorf("event %d: got %v, %v", i+1, got, err)
				}
			}
			if r := mustVerify(t, s); r.Events != s.Durable() {
				t.Errorf("%d events verified, %d are durable", r.Events, s.Durable())
			}
		}
		for range 3 { // the first leaves alone, the others gather behind it
			posts = append(posts, w.started())
			if _, _, err := s.Append(w.now.UnixNano(), posts[len(posts)-1]); err != nil {
				t.Fatal(err)
			}
			synctest.Wait()
			seen()
		}
		if s.Durable() != 0 || s.committer.leaving == nil || len(s.committer.open.ends) != 2 {
			t.Errorf("durable %d, %d events wait, expected 0 and 2", s.Durable(), len(s.committer.open.ends))
		}
		release()
		if err := s.syncTo(3); err != nil {
			t.Error(err)
		}
		synctest.Wait()
		seen()
		if s.committer.leaving != nil || s.Durable() != 3 {
			t.Errorf("durable %d, expected 3 and none on its way", s.Durable())
		}
		_ = s.Close()
	})
}

// TestPackLeaving: an event is found by its key while its pack is neither open
// any more nor in Pebble yet.
func TestPackLeaving(t *testing.T) {
	s := openMem(t)
	s.committer.close() // the test does its work
	s.committer.running = false
	w := newWorld(t, 3)
	var posts []*exchange.PostStarted
	for i := range 4 {
		if i == 2 && s.committer.take() == nil {
			t.Fatal("nothing leaves")
		}
		posts = append(posts, w.started())
		if _, _, err := s.Append(1, posts[i]); err != nil {
			t.Fatal(err)
		}
	}
	for i, st := range posts {
		got, err := s.LeadEntries(st.LeadID, nil)
		if err != nil || len(got) != 1 || got[0].Seq != uint64(i+1) {
			t.Errorf("event %d: got %v, %v", i+1, got, err)
		}
	}
}

// TestPackGathers: a pack waits for those who were just told and are about to
// append again, and not for those who never do.
func TestPackGathers(t *testing.T) {
	s := openMem(t)
	s.committer.close() // the test does its work
	s.committer.running = false
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(1)) // who can run does so before a yield ends
	w := newWorld(t, 3)
	var lock sync.Mutex
	for range 5 {
		st := w.started()
		go func() {
			lock.Lock()
			defer lock.Unlock()
			if _, _, err := s.Append(1, st); err != nil {
				t.Error(err)
			}
		}()
	}
	s.committer.gather(64)
	if got := s.committer.waiting(); got != 5 {
		t.Errorf("%d events gathered, expected all 5", got)
	}
}

// TestPackFull: on a disk that stands still Append waits when the events that
// gather are too many bytes, and goes on when the disk does.
func TestPackFull(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		fs := newHeldFS("journal", true)
		s := openAt(t, fs, "data")
		text := strings.Repeat("x", 1<<20)
		release := fs.hold()
		done := make(chan error)
		go func() {
			for range 20 {
				if _, _, err := s.Append(1, &exchange.ConfigAccepted{Text: text}); err != nil {
					done <- err
					return
				}
				synctest.Wait() // so that the first leaves alone
			}
			done <- nil
		}()
		time.Sleep(2 * time.Second)
		if got := s.Seq(); got != 1+8 {
			t.Errorf("%d events of a MiB were taken, expected the one on its way and 8 behind it", got)
		}
		release()
		if err := <-done; err != nil {
			t.Error(err)
		}
		if err := s.syncTo(20); err != nil || s.m.indexWait.Get() < 1 {
			t.Errorf("%v; waited %v s, expected 1 or more", err, s.m.indexWait.Get())
		}
		mustVerify(t, s)
		_ = s.Close()
	})
}

// TestPackRefused: a failed sync is told to all whose events wait, on their way
// or behind it, and to who appends at that moment; what is told durable before stays.
func TestPackRefused(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		refused := errors.New("refused")
		var holding atomic.Bool
		held := make(chan struct{})
		fs := errorfs.Wrap(newCrashMem(), errorfs.InjectorFunc(func(op errorfs.Op) error {
			if !holding.Load() || op.Kind != errorfs.OpFileSyncData || !strings.Contains(op.Path, "journal") {
				return nil
			}
			<-held
			return refused
		}))
		s := openAt(t, fs, "data")
		w := newWorld(t, 3)
		if _, ticket, err := s.Append(1, w.started()); err != nil || ticket.Wait() != nil {
			t.Fatal("cannot append", err)
		}
		holding.Store(true)
		for range 3 {
			_, ticket, err := s.Append(1, w.started())
			if err != nil {
				t.Fatal(err)
			}
			go func() {
				if err := ticket.Wait(); !errors.Is(err, ErrBroken) || !errors.Is(err, refused) {
					t.Errorf("got %v, expected the refused sync", err)
				}
			}()
			synctest.Wait()
		}
		close(held)
		synctest.Wait()
		if s.Durable() != 1 {
			t.Errorf("durable %d, expected 1", s.Durable())
		}
		if _, _, err := s.Append(1, w.started()); !errors.Is(err, ErrBroken) {
			t.Errorf("got %v", err)
		}
		_ = s.Close()
	})
}

// TestPackStalled: a pack waits inside Pebble for a memtable that a full disk
// does not take. It never comes back, and all the same who waits is told, and the store closes.
func TestPackStalled(t *testing.T) {
	full := errors.New("no space left")
	var holding, failing atomic.Bool
	held := make(chan struct{})
	fs := errorfs.Wrap(vfs.NewMem(), errorfs.InjectorFunc(func(op errorfs.Op) error {
		if !holding.Load() || !strings.HasSuffix(op.Path, ".sst") || !strings.Contains(op.Path, "journal") {
			return nil
		}
		if <-held; failing.Load() {
			return full
		}
		return nil
	}))
	s, err := Open(Config{Dir: "data", FS: fs, Log: zerolog.Nop(), memTableBytes: 1 << 20})
	if err != nil {
		t.Fatal(err)
	}
	holding.Store(true)
	failing.Store(true)
	told := make(chan error)
	go func() {
		event := &exchange.ConfigAccepted{Text: strings.Repeat("x", 64<<10)}
		for {
			_, ticket, err := s.Append(1, event)
			if err == nil {
				err = ticket.Wait()
			}
			if err != nil {
				told <- err
				return
			}
		}
	}()
	for s.fault.stalls.Load() == 0 {
		runtime.Gosched()
	}
	close(held)
	if err := <-told; !errors.Is(err, ErrBroken) || !errors.Is(err, full) {
		t.Errorf("got %v, expected the full disk", err)
	}
	if err := s.Close(); !errors.Is(err, full) {
		t.Errorf("closed with %v, expected the full disk", err)
	}
	failing.Store(false) // let what is left behind end
	<-s.committer.ended
	_ = s.db.Close()
}
