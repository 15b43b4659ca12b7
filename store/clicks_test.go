package store

import (
	"encoding/binary"
	"flag"
	"io/fs"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"strconv"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"vendue/exchange"
)

var manyClicks = flag.Int("store.clicks", 20_000, "clicks of TestManyClicks; from a million on it runs on disk and its figures are printed")

// TestManyClicks fills the journal with clicks and a space with what
// attribution keeps of each, 128 bytes under its id, over ten days; looks some
// up at random, half of them never made; and lets the oldest day leave as attribution does.
// go test ./store -run TestManyClicks -v -store.clicks=20000000 -timeout=1h
func TestManyClicks(t *testing.T) {
	var disk vfs.FS = vfs.NewMem()
	dir, probes := "data", 2_000
	if *manyClicks >= 1_000_000 {
		disk, dir, probes = nil, t.TempDir(), 200_000
	}
	s := openAt(t, disk, dir)
	defer func() { _ = s.Close() }()
	space, w, rng := s.Space("clicks"), newWorld(t, 91), rand.New(rand.NewPCG(91, 2))
	key := func(id exchange.ClickID) []byte { return append([]byte("k"), id[:]...) }
	var some []exchange.ClickID
	keep := max(*manyClicks/probes, 1)
	began := time.Now()
	for made := 0; made < *manyClicks; {
		events := make([]exchange.Event, min(512, *manyClicks-made))
		for i := range events {
			w.now = epoch.Add(time.Duration(made+i) * (10 * day / time.Duration(*manyClicks)))
			c := &exchange.Clicked{ClickID: w.mint.Click(w.now), Offer: "auto", Affiliate: "blog-42", Foreign: make(exchange.Sealed, 80)}
			if events[i] = c; (made+i)%keep == 0 {
				some = append(some, c.ClickID)
			}
		}
		last := add(t, s, w.now, events...)
		err := space.Commit(false, func(b *SpaceBatch) error {
			value := make([]byte, 128)
			for i := range events {
				for at := 0; at < len(value); at += 16 { // half of a record does not compress: what is sealed
					binary.LittleEndian.PutUint64(value[at:], rng.Uint64())
				}
				b.Set(key(events[i].(*exchange.Clicked).ClickID), value)
			}
			b.Set([]byte("cursor"), appendSeq(nil, last))
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		made += len(events)
	}
	t.Logf("%d clicks, %.2f us each, memory %d MiB, on disk %s", *manyClicks, perClick(began, *manyClicks), residentMiB(), bytesEach(dir, disk))
	var took []time.Duration
	for range probes {
		id, want := some[rng.IntN(len(some))], rng.IntN(2) == 0
		if !want {
			id[19]++
		}
		at := time.Now()
		_, ok, err := space.Get(key(id))
		took = append(took, time.Since(at))
		if ok != want || err != nil {
			t.Fatalf("click found: %v, %v; expected %v", ok, err, want)
		}
	}
	slices.Sort(took)
	t.Logf("look-up p50 %v, p99 %v, p99.9 %v, worst %v", took[len(took)/2], took[len(took)*99/100], took[len(took)*999/1000], took[len(took)-1])
	began = time.Now()
	lo, hi := []byte("k"), idTimeBytes([]byte("k"), epoch.Add(day))
	if err := space.Commit(true, func(b *SpaceBatch) error { b.DeleteRange(lo, hi); return nil }); err != nil {
		t.Fatal(err)
	}
	t.Logf("a tenth left in %v", time.Since(began))
	for _, id := range some {
		if _, ok, err := space.Get(key(id)); ok != !id.Time().Before(epoch.Add(day)) || err != nil {
			t.Fatalf("a click of %v is found: %v, %v", id.Time(), ok, err)
		}
	}
	t.Logf("and all were asked for again; on disk %s", bytesEach(dir, disk))
}

func perClick(began time.Time, n int) float64 {
	return float64(time.Since(began).Microseconds()) / float64(n)
}

// bytesEach is what a directory takes on disk for each click, nothing where it is in memory.
func bytesEach(dir string, disk vfs.FS) string {
	if disk != nil {
		return "nothing"
	}
	var n int64
	_ = filepath.WalkDir(dir, func(_ string, e fs.DirEntry, err error) error {
		if err == nil && !e.IsDir() {
			if info, err := e.Info(); err == nil {
				n += info.Size()
			}
		}
		return nil
	})
	return strconv.FormatInt(n/int64(*manyClicks), 10) + " bytes each"
}
