package store

import (
	"encoding/binary"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2"
	"golang.org/x/sys/unix"

	"vendue/exchange"
)

const benchCallers = 64

// BenchmarkAppend is the journal as the engine uses it: 64 callers, each event
// appended under one lock and waited for outside of it, on the real disk. Each
// is another lead of another person, ten in a millisecond: the event with the most index keys.
func BenchmarkAppend(b *testing.B) { benchAppend(b, false) }

// BenchmarkPosts is the same where the events are those of sold leads: one that
// starts a post, and one that ends it.
func BenchmarkPosts(b *testing.B) { benchAppend(b, true) }

func benchAppend(b *testing.B, posts bool) {
	s := openAt(b, nil, b.TempDir())
	defer func() { _ = s.Close() }()
	var lock sync.Mutex
	var made atomic.Uint64
	b.ReportAllocs()
	benchParallel(b, func(w *world) func() error {
		st := w.started()
		end := ended(st, exchange.OutcomeAccepted, exchange.LeadSold)
		started := false
		return func() error {
			ev := exchange.Event(end)
			if started = !started || !posts; started {
				ms := uint64(epoch.UnixMilli()) + made.Add(1)/10
				for _, id := range [][]byte{st.LeadID[:], st.Lead.PingID[:]} {
					binary.BigEndian.PutUint64(id, ms<<16|1)
					binary.BigEndian.PutUint64(id[8:], w.rng.Uint64())
				}
				binary.BigEndian.PutUint64(st.Lead.Idem[:], w.rng.Uint64())
				binary.BigEndian.PutUint64(st.Lead.Person[:], w.rng.Uint64())
				end.LeadID, ev = st.LeadID, st
			}
			lock.Lock()
			_, ticket, err := s.Append(1, ev)
			lock.Unlock()
			if err != nil {
				return err
			}
			return ticket.Wait()
		}
	})
}

// BenchmarkBareSet is the peer: a plain synced Set of as many bytes, no sequence, no lock, no index.
func BenchmarkBareSet(b *testing.B) {
	db, err := pebble.Open(b.TempDir(), &pebble.Options{MemTableSize: 64 << 20, Logger: pebbleLog{newFault(nil, openMem(b).cfg.Log)}})
	if err != nil {
		b.Fatal(err)
	}
	defer func() { _ = db.Close() }()
	var seq atomic.Uint64
	b.ReportAllocs()
	benchParallel(b, func(w *world) func() error {
		rec := encode(b, exchange.Entry{Event: w.started()})
		return func() error { return db.Set(appendSeq(nil, seq.Add(1)), rec, pebble.Sync) }
	})
}

func benchParallel(b *testing.B, caller func(w *world) func() error) {
	var left atomic.Int64
	left.Store(int64(b.N))
	var all sync.WaitGroup
	spent := cpuTime(b)
	for i := range benchCallers {
		do := caller(newWorld(b, uint64(i)))
		all.Go(func() {
			for left.Add(-1) >= 0 {
				if err := do(); err != nil {
					b.Error(err)
					return
				}
			}
		})
	}
	all.Wait()
	b.ReportMetric(float64((cpuTime(b)-spent).Microseconds())/float64(b.N), "cpu-us/op")
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "events/s")
}

// cpuTime is what the process has spent, all its threads and the kernel's part included.
func cpuTime(b *testing.B) time.Duration {
	var u unix.Rusage
	if err := unix.Getrusage(unix.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

func BenchmarkRecord(b *testing.B) {
	s := openMem(b)
	a := testAuction(newWorld(b, 1))
	b.ReportAllocs()
	for b.Loop() {
		s.Tape().Record(a)
	}
}

// BenchmarkSyncAtRate appends a thousand events a second, whether or not those
// before them are on disk, and tells what an append and its sync took. (A timer here is half a millisecond late, so the time at which
// an append was due would tell of that alone.)
func BenchmarkSyncAtRate(b *testing.B) {
	s := openAt(b, nil, b.TempDir())
	defer func() { _ = s.Close() }()
	w := newWorld(b, 1)
	took := make([]time.Duration, b.N)
	var all sync.WaitGroup
	began := time.Now()
	for i := range took {
		due := began.Add(time.Duration(i+1) * time.Millisecond)
		<-time.After(time.Until(due))
		ev, at := w.started(), time.Now()
		_, ticket, err := s.Append(1, ev)
		if err != nil {
			b.Fatal(err)
		}
		all.Go(func() {
			if err := ticket.Wait(); err != nil {
				b.Error(err)
			}
			took[i] = time.Since(at)
		})
	}
	all.Wait()
	slices.Sort(took)
	for _, p := range []struct {
		name string
		at   int
	}{{"p50-us", 50}, {"p99-us", 99}} {
		b.ReportMetric(float64(took[len(took)*p.at/100].Microseconds()), p.name)
	}
}
