package store

import (
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/vfs/errorfs"
	"github.com/rs/zerolog"

	"vendue/exchange"
)

// TestCrashes takes the disk as a crash would leave it while 8 callers append,
// keeping none, half or all of what was not synced. What is left must be a
// gap-free prefix with every event that a Wait had spoken for, and sound indexes.
func TestCrashes(t *testing.T) {
	for seed := range uint64(3) {
		for _, kept := range []int{0, 50, 100} {
			t.Run(fmt.Sprintf("seed %d kept %d", seed, kept), func(t *testing.T) { crashes(t, seed, kept) })
		}
	}
}

type clone struct {
	fs    *crashMem
	acked uint64 // the highest seq that a Wait had returned for before the crash
}

func crashes(t *testing.T, seed uint64, kept int) {
	fs := newCrashMem()
	s := openSmall(t, fs, 32)
	var (
		lock, cloning sync.Mutex
		clones        []clone
		acked         atomic.Uint64
		callers       sync.WaitGroup
	)
	w := newWorld(t, seed)
	rng := rand.New(rand.NewPCG(seed, 2))
	crash := func() {
		cloning.Lock()
		defer cloning.Unlock()
		was := acked.Load()
		clones = append(clones, clone{fs.CrashClone(vfs.CrashCloneCfg{UnsyncedDataPercent: kept, RNG: rng}), was})
	}
	for caller := range 8 {
		callers.Go(func() {
			for i := range 25 {
				lock.Lock()
				last, ticket, err := s.Append(w.now.UnixNano(), w.next()...)
				lock.Unlock()
				if err != nil {
					t.Error(err)
					return
				}
				if i%8 == caller {
					crash()
				}
				if i%5 == 4 {
					_ = s.Space("follower").Commit(false, func(b *SpaceBatch) error {
						b.Set([]byte("cursor"), appendSeq(nil, last))
						return nil
					})
				}
				if err := ticket.Wait(); err != nil {
					t.Error(err)
				}
				for was := acked.Load(); was < last && !acked.CompareAndSwap(was, last); was = acked.Load() {
				}
			}
		})
	}
	callers.Wait()
	crash()
	want := readAll(t, s)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	for _, c := range clones {
		after := openAt(t, c.fs, "data")
		got := readAll(t, after)
		if uint64(len(got)) < c.acked {
			t.Errorf("%d events are left; %d were told to be on disk", len(got), c.acked)
		}
		if lines(got) != lines(want[:len(got)]) {
			t.Error("what is left is no prefix of what was written")
		}
		mustVerify(t, after)
		add(t, after, epoch, w.started())
		mustVerify(t, after)
		if err := after.Close(); err != nil {
			t.Error(err)
		}
	}
}

// TestCrashAtEveryWrite crashes, with one caller, before every single write and
// sync that the disk sees, the opening of the directory among them.
func TestCrashAtEveryWrite(t *testing.T) {
	for seed, kept := range []int{0, 100, 50, 50, 50, 50, 50, 50} { // half of it is a matter of luck: more than one try
		mem := newCrashMem()
		rng := rand.New(rand.NewPCG(uint64(seed), 2))
		var acked uint64
		var clones []clone
		var cloning sync.Mutex // Pebble writes from goroutines of its own
		fs := errorfs.Wrap(mem, errorfs.InjectorFunc(func(op errorfs.Op) error {
			if op.Kind.ReadOrWrite() == errorfs.OpIsWrite {
				cloning.Lock()
				defer cloning.Unlock()
				seen := atomic.LoadUint64(&acked)
				clones = append(clones, clone{mem.CrashClone(vfs.CrashCloneCfg{UnsyncedDataPercent: kept, RNG: rng}), seen})
			}
			return nil
		}))
		w := newWorld(t, 9)
		s := openSmall(t, fs, 3)
		for range 12 {
			atomic.StoreUint64(&acked, add(t, s, w.now, w.next()...))
		}
		want := readAll(t, s)
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
		for i, c := range clones {
			after, err := Open(Config{Dir: "data", FS: c.fs, Log: zerolog.Nop()})
			if err != nil {
				t.Fatalf("kept %d: after a crash before write %d: %+v", kept, i, err)
			}
			got := readAll(t, after)
			if uint64(len(got)) < c.acked || lines(got) != lines(want[:len(got)]) {
				t.Errorf("kept %d: after a crash before write %d: %d events, at least %d were told", kept, i, len(got), c.acked)
			}
			mustVerify(t, after)
			if err := after.Close(); err != nil {
				t.Error(err)
			}
		}
	}
}

// TestFailingDisk fails the n-th write or sync of the journal, n = 0, 1, 2, ..,
// once or from then on, until n is beyond the run. Nothing that was told to be
// on disk may be missing, and nothing may succeed after a failure.
func TestFailingDisk(t *testing.T) {
	for _, stays := range []bool{false, true} {
		n, failed := int32(0), true
		for ; failed; n++ {
			failed = failingDisk(t, n, stays)
		}
		if n < 20 {
			t.Errorf("the run made only %d writes: the test has lost its point", n)
		}
	}
}

func failingDisk(t *testing.T, n int32, stays bool) (failed bool) {
	mem := newCrashMem()
	var seen, faults atomic.Int32
	var armed, hit atomic.Bool
	fs := errorfs.Wrap(mem, errorfs.InjectorFunc(func(op errorfs.Op) error {
		if !armed.Load() || strings.Contains(op.Path, tapeDir) || strings.Contains(op.Path, indexDir) {
			return nil
		}
		switch op.Kind {
		case errorfs.OpFileWrite, errorfs.OpFileSync, errorfs.OpFileSyncData, errorfs.OpFileSyncTo:
		default:
			return nil // a file that cannot be removed or preallocated is no loss
		}
		if at := seen.Add(1) - 1; at == n || (stays && at > n) {
			hit.Store(true)
			return errors.New("the disk failed")
		}
		return nil
	}))
	s, err := Open(Config{Dir: "data", FS: fs, Log: zerolog.Nop(), OnFault: func(error) { faults.Add(1) }})
	if err != nil {
		t.Fatal(err)
	}
	armed.Store(true)
	w := newWorld(t, 11)
	acked, broken := uint64(0), false
	for range 15 {
		last, ticket, err := s.Append(w.now.UnixNano(), w.next()...)
		if err == nil {
			err = ticket.Wait()
		}
		switch {
		case err == nil && broken:
			t.Fatalf("write %d failed, and event %d was told to be on disk", n, last)
		case err == nil:
			acked = last
		case !errors.Is(err, ErrBroken):
			t.Fatalf("write %d: got %v, want %v", n, err, ErrBroken)
		default:
			broken = true
		}
	}
	if broken != hit.Load() || (broken && faults.Load() != 1) {
		t.Errorf("write %d: failed %v, broken %v, told %d times", n, hit.Load(), broken, faults.Load())
	}
	if broken {
		staysBroken(t, s, acked)
	}
	armed.Store(false)
	for _, kept := range []int{0, 100} {
		after := openAt(t, mem.CrashClone(vfs.CrashCloneCfg{UnsyncedDataPercent: kept, RNG: rand.New(rand.NewPCG(1, 2))}), "data")
		if got := after.Durable(); got < acked {
			t.Errorf("write %d: %d events are left, %d were told to be on disk", n, got, acked)
		}
		mustVerify(t, after)
		_ = after.Close()
	}
	_ = s.Close()
	return broken
}

func staysBroken(t *testing.T, s *Store, acked uint64) {
	t.Helper()
	if err := s.Healthy(); !errors.Is(err, ErrBroken) {
		t.Errorf("healthy: got %v, want %v", err, ErrBroken)
	}
	err := s.Space("other").Commit(true, func(b *SpaceBatch) error { b.Set([]byte("k"), nil); return nil })
	if !errors.Is(err, ErrBroken) {
		t.Errorf("space: got %v, want %v", err, ErrBroken)
	}
	if err := s.SaveSnapshot(1, nil); !errors.Is(err, ErrBroken) {
		t.Errorf("snapshot: got %v, want %v", err, ErrBroken)
	}
	if got, err := s.WaitDurable(t.Context(), acked); got != acked || !errors.Is(err, ErrBroken) {
		t.Errorf("waited: got %d, %v; want %d, %v", got, err, acked, ErrBroken)
	}
	if got := len(readAll(t, s)); uint64(got) != acked {
		t.Errorf("%d events can be read, %d were told to be on disk", got, acked)
	}
}

// TestFatalLines: Pebble's fatal line breaks the journal, ends only the
// goroutine it came from, and leaves callers with an answer.
func TestFatalLines(t *testing.T) {
	told := 0
	s, err := Open(Config{Dir: "data", FS: vfs.NewMem(), Log: zerolog.Nop(), OnFault: func(error) { told++ }})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = s.Close() }()
	add(t, s, epoch, &exchange.Clicked{ClickID: exchange.ClickID{1}})
	ended := make(chan struct{})
	went := false
	go func() {
		defer close(ended)
		pebbleLog{s.fault}.Fatalf("the manifest cannot be written: %v", io.ErrShortWrite)
		went = true
	}()
	<-ended
	if went || told != 1 {
		t.Errorf("went on %v, told %d times; expected the goroutine to end and one telling", went, told)
	}
	if _, _, err := s.Append(1, &exchange.Clicked{}); !errors.Is(err, ErrBroken) {
		t.Errorf("got %v, want %v", err, ErrBroken)
	}
	if err := s.fault.guard(func() error { return nil }); !errors.Is(err, ErrBroken) {
		t.Errorf("got %v, want %v", err, ErrBroken)
	}
}

// TestGuardPanic: a panic of Pebble's commit is a failed write.
func TestGuardPanic(t *testing.T) {
	f := newFault(nil, zerolog.Nop())
	err := f.guard(func() error { panic(io.ErrShortWrite) })
	if !errors.Is(err, ErrBroken) || !f.poisoned.Load() {
		t.Errorf("got %v, poisoned %v; want %v and true", err, f.poisoned.Load(), ErrBroken)
	}
}
