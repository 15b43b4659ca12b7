package store

import (
	"bytes"
	"errors"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/vfs/errorfs"
	"github.com/rs/zerolog"

	"vendue/exchange"
)

// indexModel is the index as plain maps.
type indexModel struct {
	leads   map[exchange.LeadID][]uint64
	keys    map[exchange.Fingerprint]exchange.LeadID
	pings   map[exchange.PingID]exchange.LeadID
	persons map[exchange.Fingerprint][]exchange.LeadID
}

func newIndexModel() *indexModel {
	return &indexModel{
		leads: map[exchange.LeadID][]uint64{}, keys: map[exchange.Fingerprint]exchange.LeadID{}, pings: map[exchange.PingID]exchange.LeadID{},
		persons: map[exchange.Fingerprint][]exchange.LeadID{},
	}
}

func (m *indexModel) apply(seq uint64, ev exchange.Event) {
	switch ev := ev.(type) {
	case *exchange.PostStarted:
		m.leads[ev.LeadID] = append(m.leads[ev.LeadID], seq)
		if ev.Lead != nil {
			m.keys[ev.Lead.Idem], m.pings[ev.Lead.PingID] = ev.LeadID, ev.LeadID
			m.persons[ev.Lead.Person] = append(m.persons[ev.Lead.Person], ev.LeadID)
		}
	case *exchange.PostEnded:
		m.leads[ev.LeadID] = append(m.leads[ev.LeadID], seq)
	case *exchange.LeadRefused:
		m.leads[ev.LeadID] = append(m.leads[ev.LeadID], seq)
		m.keys[ev.Lead.Idem], m.pings[ev.Lead.PingID] = ev.LeadID, ev.LeadID
	}
}

// compare asks the store for all that the model knows.
func (m *indexModel) compare(t *testing.T, s *Store) {
	t.Helper()
	for id, want := range m.leads {
		entries, err := s.LeadEntries(id, nil)
		if got := seqsOf(entries); err != nil || !slices.Equal(got, want) {
			t.Fatalf("lead %v: %v, %v; want %v", id, got, err, want)
		}
	}
	for key, want := range m.keys {
		if got, ok, err := s.LeadByKey(key); got != want || !ok || err != nil {
			t.Fatalf("key: %v %v %v, want %v", got, ok, err, want)
		}
	}
	for ping, want := range m.pings {
		if got, ok, err := s.LeadByPing(ping); got != want || !ok || err != nil {
			t.Fatalf("ping: %v %v %v, want %v", got, ok, err, want)
		}
	}
	for person, want := range m.persons {
		var got []exchange.LeadID
		err := s.LeadsByPerson(person, time.Unix(0, 0), func(id exchange.LeadID) (bool, error) { got = append(got, id); return true, nil })
		want = slices.Clone(want)
		slices.SortFunc(want, func(a, b exchange.LeadID) int { return bytes.Compare(b[:], a[:]) })
		if err != nil || !slices.Equal(got, want) {
			t.Fatalf("person: %v, %v; want %v", got, err, want)
		}
	}
}

func seqsOf(entries []exchange.Entry) (seqs []uint64) {
	for _, e := range entries {
		seqs = append(seqs, e.Seq)
	}
	return seqs
}

// TestLookupsWhileIndexMoves: wherever a key stands on its way from memory to a
// table, a look-up that comes after its event sees it.
func TestLookupsWhileIndexMoves(t *testing.T) {
	fs := vfs.NewMem()
	w, m := newWorld(t, 61), newIndexModel()
	for _, size := range []int{3, 16, 0} { // opened again with what the last one left
		s := openSmall(t, fs, size)
		m.compare(t, s)
		for i := range 120 {
			events := w.next()
			last := add(t, s, w.now, events...)
			for j, ev := range events {
				m.apply(last-uint64(len(events)-1-j), ev)
			}
			if i%8 == 0 {
				m.compare(t, s)
			}
		}
		m.compare(t, s)
		mustVerify(t, s)
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
	}
	settleIndex(t, fs)
	r, err := OpenReadOnly(Config{Dir: "data", FS: fs, Log: zerolog.Nop()})
	if err != nil {
		t.Fatal(err)
	}
	if n := r.Recovery().Indexed; n != 0 {
		t.Errorf("%d events had to be indexed, expected none: all stands in tables", n)
	}
	m.compare(t, r)
	_ = r.Close()
}

// TestLastKeyWins: under one key the newest lead is found, wherever the older ones stand.
func TestLastKeyWins(t *testing.T) {
	for _, size := range []int{1, 2, 3, 0} {
		s := openSmall(t, vfs.NewMem(), size)
		w := newWorld(t, 62)
		key := w.print()
		for range 12 {
			st := w.started()
			st.Lead.Idem = key
			add(t, s, w.now, st, w.started())
			if got, ok, err := s.LeadByKey(key); got != st.LeadID || !ok || err != nil {
				t.Errorf("generations of %d: got %v %v %v, want %v", size, got, ok, err, st.LeadID)
			}
		}
		mustVerify(t, s)
		_ = s.Close()
	}
}

// TestIndexCrashes: the index's mark is never above what is on disk of the
// journal, and what it lacks is made at the next opening and no more.
func TestIndexCrashes(t *testing.T) {
	partly := false
	for seed, kept := range []int{0, 100, 50, 50} {
		mem := newCrashMem()
		rng := rand.New(rand.NewPCG(uint64(seed), 3))
		var acked atomic.Uint64
		var clones []clone
		var cloning sync.Mutex
		var writes int
		fs := errorfs.Wrap(mem, errorfs.InjectorFunc(func(op errorfs.Op) error {
			if op.Kind.ReadOrWrite() == errorfs.OpIsWrite && strings.Contains(op.Path, indexDir) {
				cloning.Lock()
				defer cloning.Unlock()
				if writes++; writes%5 == 0 {
					told := acked.Load() // before the copy: it may rise meanwhile
					clones = append(clones, clone{mem.CrashClone(vfs.CrashCloneCfg{UnsyncedDataPercent: kept, RNG: rng}), told})
				}
			}
			return nil
		}))
		s := openSmall(t, fs, 4)
		w := newWorld(t, 63)
		for i := range 40 {
			last, ticket, err := s.Append(w.now.UnixNano(), w.next()...)
			if err != nil {
				t.Fatal(err)
			}
			if i%4 == 3 { // the index must see to it alone that the others are on disk
				if err := ticket.Wait(); err != nil {
					t.Fatal(err)
				}
				acked.Store(last)
			}
		}
		if err := s.syncTo(s.Seq()); err != nil {
			t.Fatal(err)
		}
		want := readAll(t, s)
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
		for i, c := range clones {
			after := openSmall(t, c.fs, 0)
			r := after.Recovery()
			if r.IndexWhy != "" {
				t.Errorf("kept %d, crash %d: the index was made anew: %s", kept, i, r.IndexWhy)
			}
			partly = partly || (r.Indexed > 0 && r.Indexed < r.LastSeq)
			got := readAll(t, after)
			if uint64(len(got)) < c.acked || lines(got) != lines(want[:len(got)]) {
				t.Errorf("kept %d, crash %d: %d events, at least %d were told", kept, i, len(got), c.acked)
			}
			m := newIndexModel()
			for _, e := range got {
				m.apply(e.Seq, e.Event)
			}
			m.compare(t, after)
			mustVerify(t, after)
			_ = after.Close()
		}
	}
	if !partly {
		t.Error("no crash fell between the index and the journal: the test has lost its point")
	}
}

// TestIndexMadeAnew: an index that is damaged, gone, or of another journal is
// made anew and told. A process that only reads makes it in memory.
func TestIndexMadeAnew(t *testing.T) {
	for name, change := range map[string]func(t *testing.T, fs *vfs.MemFS){
		"removed": func(_ *testing.T, fs *vfs.MemFS) { _ = fs.RemoveAll("data/index") },
		"mark beyond the end": func(t *testing.T, fs *vfs.MemFS) {
			tamperAt(t, fs, "data/index", func(db *pebble.DB) {
				_ = db.Set([]byte(indexMarkKey), appendSeq(appendSeq(nil, 99), 1), pebble.Sync)
			})
		},
		"another journal's": func(t *testing.T, fs *vfs.MemFS) {
			tamperAt(t, fs, "data/index", func(db *pebble.DB) {
				_ = db.Set([]byte(indexMarkKey), appendSeq(appendSeq(nil, 20), 1), pebble.Sync)
			})
		},
		"a table is gone": func(t *testing.T, fs *vfs.MemFS) { eachTable(t, fs, func(path string) { _ = fs.Remove(path) }) },
		"tables cut short": func(t *testing.T, fs *vfs.MemFS) {
			eachTable(t, fs, func(path string) { rewriteFile(t, fs, path, func(b []byte) []byte { return b[:len(b)/2] }) })
		},
	} {
		fs := vfs.NewMem()
		all := written(t, fs, 20)
		settleIndex(t, fs)
		change(t, fs)
		r, err := OpenReadOnly(Config{Dir: "data", FS: fs, Log: zerolog.Nop()})
		if err != nil {
			t.Fatalf("%s: read only: %v", name, err)
		}
		mustVerify(t, r)
		_ = r.Close()
		var log bytes.Buffer
		s, err := Open(Config{Dir: "data", FS: fs, Log: zerolog.New(&log)})
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if rec := s.Recovery(); rec.Indexed != 20 || (rec.IndexWhy == "") != (name == "removed") || strings.Contains(log.String(), "made anew") != (name != "removed") {
			t.Errorf("%s: recovery %+v; log %s", name, rec, log.String())
		}
		if lines(readAll(t, s)) != all {
			t.Errorf("%s: the journal is another one", name)
		}
		if mustVerify(t, s).IndexKeys == 0 {
			t.Errorf("%s: there is no index", name)
		}
		_ = s.Close()
	}
}

func eachTable(t *testing.T, fs vfs.FS, fn func(path string)) {
	t.Helper()
	names, err := fs.List("data/index")
	if err != nil {
		t.Fatal(err)
	}
	found := false
	for _, name := range names {
		if strings.HasSuffix(name, ".sst") {
			found = true
			fn("data/index/" + name)
		}
	}
	if !found {
		t.Fatal("the index has no tables")
	}
}

// TestFlippedIndexBits: a damaged index may fail a look-up, and never answers it wrongly.
func TestFlippedIndexBits(t *testing.T) {
	first := vfs.NewMem()
	written(t, first, 40)
	settleIndex(t, first)
	names, err := first.List("data/index")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range names {
		for i := range 6 {
			fs := vfs.NewMem()
			written(t, fs, 40)
			settleIndex(t, fs)
			if _, err := fs.Stat("data/index/" + name); err != nil {
				break
			}
			rewriteFile(t, fs, "data/index/"+name, func(b []byte) []byte {
				if len(b) > 0 {
					b[(len(b)-1)*i/5] ^= 1 << (i % 8)
				}
				return b
			})
			s, err := Open(Config{Dir: "data", FS: fs, Log: zerolog.Nop()})
			if err != nil {
				t.Errorf("%s %d: %v; the index must not keep the house from starting", name, i, err)
				continue
			}
			r, err := s.Verify(VerifyOptions{})
			if err == nil && !r.Sound() {
				t.Errorf("%s %d: %v", name, i, r.Shown)
			}
			_ = s.Close()
		}
	}
}

// TestOldIndexes: a journal with its index keys in its own database is read, and rid of them.
func TestOldIndexes(t *testing.T) {
	fs := vfs.NewMem()
	written(t, fs, 20)
	_ = fs.RemoveAll("data/index")
	old := func(db *pebble.DB) (n int) {
		for _, p := range []byte(indexPrefixes) {
			_ = span{db: db, lo: []byte{p}, hi: []byte{p + 1}}.each(func(_, _ []byte) (bool, error) { n++; return true, nil })
		}
		return n
	}
	tamper(t, fs, func(db *pebble.DB) {
		var keys indexKeys
		_ = span{db: db, lo: []byte{prefixEvent}, hi: []byte{prefixEvent + 1}}.each(func(key, rec []byte) (bool, error) {
			seq, _ := eventSeq(key)
			e, err := decodeRecord(seq, rec)
			if err != nil {
				return false, err
			}
			return true, keys.each(e, func(key, value []byte) error { return db.Set(key, value, pebble.NoSync) })
		})
		if old(db) != 80 {
			t.Fatalf("%d old keys, expected 80", old(db))
		}
	})
	s := openAt(t, fs, "data")
	if n := old(s.db); n != 0 {
		t.Errorf("%d old keys are left", n)
	}
	if r := mustVerify(t, s); r.IndexKeys != 80 {
		t.Errorf("%d index keys, expected 80", r.IndexKeys)
	}
	_ = s.Close()
}

// heldFS is a disk on which writing below one directory can be held up.
type heldFS struct {
	vfs.FS
	held atomic.Pointer[chan struct{}]
}

func newHeldFS(below string, syncOnly bool) *heldFS {
	h := &heldFS{}
	h.FS = errorfs.Wrap(newCrashMem(), errorfs.InjectorFunc(func(op errorfs.Op) error {
		held := h.held.Load()
		if held == nil || !strings.Contains(op.Path, below) {
			return nil
		}
		switch op.Kind {
		case errorfs.OpFileSync, errorfs.OpFileSyncData, errorfs.OpFileSyncTo:
			<-*held
		case errorfs.OpFileWrite:
			if !syncOnly {
				<-*held
			}
		}
		return nil
	}))
	return h
}

func (h *heldFS) hold() (release func()) {
	held := make(chan struct{})
	h.held.Store(&held)
	return func() { h.held.Store(nil); close(held) }
}

// TestIndexDiskBehind: an index that cannot be written holds nothing up until
// its memory is full, and then Append, which goes on when the disk does.
func TestIndexDiskBehind(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		fs := newHeldFS("journal", true)
		s := openSmall(t, fs, 4)
		w := newWorld(t, 64)
		release := fs.hold()
		appended := make(chan uint64)
		go func() {
			defer close(appended)
			for range 40 {
				last, _, err := s.Append(w.now.UnixNano(), w.started())
				if err != nil {
					t.Error(err)
					return
				}
				appended <- last
			}
		}()
		last := uint64(0)
		for blocked := false; !blocked; {
			synctest.Wait()
			select {
			case last = <-appended:
			default:
				blocked = true
			}
		}
		if last < 8 || last > 16 {
			t.Errorf("stopped after %d events, expected one generation written and one or two waiting", last)
		}
		if s.Durable() != 0 || len(readAll(t, s)) != 0 {
			t.Errorf("durable %d while the disk stands still", s.Durable())
		}
		time.Sleep(3 * time.Second)
		if got := s.stalled(); got < 3*time.Second {
			t.Errorf("stalled for %v, expected 3 s or more", got)
		}
		release()
		for last = range appended {
		}
		if err := s.syncTo(last); err != nil || last != 40 || s.stalled() != 0 {
			t.Errorf("after the disk went on: %d events, %v, stalled %v", last, err, s.stalled())
		}
		if s.m.indexWait.Get() < 3 {
			t.Errorf("waited %v s for the index, expected 3 or more", s.m.indexWait.Get())
		}
		mustVerify(t, s)
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
}

// TestIndexDiskFails: an index that cannot be written breaks the journal, and loses nothing that was told.
func TestIndexDiskFails(t *testing.T) {
	mem := newCrashMem()
	var armed atomic.Bool
	fs := errorfs.Wrap(mem, errorfs.InjectorFunc(func(op errorfs.Op) error {
		if armed.Load() && op.Kind.ReadOrWrite() == errorfs.OpIsWrite && strings.Contains(op.Path, indexDir) {
			return errors.New("the disk failed")
		}
		return nil
	}))
	s := openSmall(t, fs, 2)
	armed.Store(true)
	w := newWorld(t, 65)
	acked := uint64(0)
	for {
		last, ticket, err := s.Append(w.now.UnixNano(), w.started())
		if err == nil {
			err = ticket.Wait()
		}
		if err != nil {
			if !errors.Is(err, ErrBroken) {
				t.Errorf("got %v, want %v", err, ErrBroken)
			}
			break
		}
		acked = last
	}
	armed.Store(false)
	after := openAt(t, mem.CrashClone(vfs.CrashCloneCfg{}), "data")
	if after.Durable() < acked {
		t.Errorf("%d events are left, %d were told to be on disk", after.Durable(), acked)
	}
	mustVerify(t, after)
	_ = after.Close()
	_ = s.Close()
}
