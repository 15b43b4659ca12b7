package store

import (
	"encoding/binary"
	"flag"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"vendue/exchange"
)

var largeEvents = flag.Uint64("store.events", 20_000, "events of TestLargeJournal; from a million on it is built on disk and its figures are printed")

// TestLargeJournal builds a journal of sold leads and opens it as the house
// does after a crash: a snapshot not far behind, and index keys that were in
// memory alone. go test ./store -run TestLargeJournal -v -store.events=10000000 -timeout=1h
func TestLargeJournal(t *testing.T) {
	fs, dir := vfs.FS(vfs.NewMem()), "data"
	if *largeEvents >= 1_000_000 {
		fs, dir = nil, t.TempDir()
	}
	began := time.Now()
	told := func(what string) {
		t.Logf("%-28s %8.2f s, memory %d MiB", what, time.Since(began).Seconds(), residentMiB())
		began = time.Now()
	}
	s := openAt(t, fs, dir)
	w := newWorld(t, 81)
	for s.Seq() < *largeEvents {
		events := make([]exchange.Event, 0, 512)
		for len(events) < cap(events) {
			w.now = w.now.Add(time.Millisecond)
			st := w.started()
			binary.BigEndian.PutUint64(st.Lead.Person[:], w.rng.Uint64())
			events = append(events, st, ended(st, exchange.OutcomeAccepted, exchange.LeadSold))
		}
		last := add(t, s, w.now, events...)
		if left := int64(*largeEvents) - int64(last); left > 150_000 && left < 151_000 || last == 512 {
			if err := s.SaveSnapshot(last, make([]byte, 1<<20)); err != nil {
				t.Fatal(err)
			}
		}
	}
	last := s.Seq()
	told("built")
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	told("closed")
	s = openAt(t, fs, dir)
	r := s.Recovery()
	told("opened")
	if r.LastSeq != last || r.SnapshotSeq == 0 || r.Indexed > 4*generationEvents || r.IndexWhy != "" {
		t.Errorf("recovery %+v", r)
	}
	t.Logf("checked %d records, indexed %d", r.Checked, r.Indexed)
	tail := 0
	for from := r.SnapshotSeq + 1; from <= last; {
		next, err := s.Read(from, 10_000, func(exchange.Entry) error { tail++; return nil })
		if err != nil {
			t.Fatal(err)
		}
		from = next
	}
	told("read after the snapshot")
	mustVerify(t, s)
	told("verified")
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if fs != nil {
		return
	}
	if err := os.RemoveAll(dir + "/" + indexDir); err != nil {
		t.Fatal(err)
	}
	began = time.Now()
	s = openAt(t, fs, dir)
	told("opened without an index")
	if n := s.Recovery().Indexed; n != last {
		t.Errorf("indexed %d events, expected %d", n, last)
	}
	_ = s.Close()
}

// residentMiB is what the process holds of memory, 0 where that cannot be read.
func residentMiB() (mib int) {
	raw, _ := os.ReadFile("/proc/self/status")
	for line := range strings.Lines(string(raw)) {
		if kib, ok := strings.CutPrefix(line, "VmRSS:"); ok {
			for _, c := range strings.TrimSpace(strings.TrimSuffix(strings.TrimSpace(kib), "kB")) {
				mib = mib*10 + int(c-'0')
			}
		}
	}
	return mib / 1024
}
