package store

import (
	"math/rand/v2"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/rs/zerolog"

	"vendue/exchange"
)

// TestSweep lives through 130 days. What can matter is found at any time, what
// cannot leaves, and verify agrees with both, after crashes too.
func TestSweep(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		fs := newCrashMem()
		s := openSmall(t, fs, 8)
		s.KeepPersons(0)
		w, rng := newWorld(t, 71), rand.New(rand.NewPCG(71, 2))
		var sold []*exchange.PostStarted
		for i := range 130 {
			w.now = w.now.Add(day)
			for range 8 {
				w.now = w.now.Add(time.Minute)
				st := w.started()
				add(t, s, w.now, st)
				sold = append(sold, st)
			}
			time.Sleep(time.Minute) // the sweep pauses between its stretches
			if i%30 != 29 {
				continue
			}
			swept(t, s, w.now, sold)
			after := openSmall(t, fs.CrashClone(vfs.CrashCloneCfg{UnsyncedDataPercent: i % 101, RNG: rng}), 8)
			if after.Recovery().IndexWhy != "" {
				t.Errorf("day %d: the index was made anew: %s", i, after.Recovery().IndexWhy)
			}
			mustVerify(t, after)
			_ = after.Close()
		}
		if got := s.indexSwept.Load(); got < 1000 {
			t.Errorf("%d keys were swept, expected over 1000", got)
		}
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
		s = openSmall(t, fs, 8)
		swept(t, s, w.now, sold)
		_ = s.Close()
		_ = fs.RemoveAll("data/index")
		s = openSmall(t, fs, 8)
		mustVerify(t, s) // everything is there again, until the next day
		_ = s.Close()
	})
}

// swept checks what is left of each lead's keys.
func swept(t *testing.T, s *Store, now time.Time, sold []*exchange.PostStarted) {
	t.Helper()
	mustVerify(t, s)
	persons := map[exchange.LeadID]bool{}
	for i := range 8 {
		person := exchange.Fingerprint{1, byte(i)}
		if err := s.LeadsByPerson(person, time.Unix(0, 0), func(id exchange.LeadID) (bool, error) { persons[id] = true; return true, nil }); err != nil {
			t.Fatal(err)
		}
	}
	for _, st := range sold {
		age := now.Sub(st.LeadID.Time())
		lead, byKey, err := s.LeadByKey(st.Lead.Idem)
		_, byPing, err2 := s.LeadByPing(st.Lead.PingID)
		if err != nil || err2 != nil || byKey && lead != st.LeadID {
			t.Fatal(err, err2, lead)
		}
		for _, c := range []struct {
			what string
			got  bool
			kept time.Duration
		}{{"its Idempotency-Key", byKey, keysKept}, {"its ping", byPing, keysKept}, {"its person", persons[st.LeadID], personsKeptMin}} {
			// A day more for the day it leaves by, and two for those of which the index is not written yet.
			if must, may := age <= c.kept, age < c.kept+3*day; c.got && !may || !c.got && must {
				t.Errorf("a lead of %v ago is found by %s: %v", age, c.what, c.got)
			}
		}
		if got, err := s.LeadEntries(st.LeadID, nil); err != nil || len(got) != 1 {
			t.Errorf("a lead of %v ago has %d events, %v", age, len(got), err)
		}
	}
}

// TestSweepKeepsPersons: a rule about duplicates of 120 days keeps persons for so long.
func TestSweepKeepsPersons(t *testing.T) {
	s := openMem(t)
	x := s.index
	w := newWorld(t, 72)
	for _, c := range []struct {
		kept, past, want time.Duration
	}{{0, 0, 90 * day}, {120 * day, 10 * day, 90*day + 10*day}, {120 * day, 40 * day, 120 * day}, {time.Hour, 40 * day, 90 * day}} {
		s.KeepPersons(c.kept)
		now := w.now.Add(c.past)
		if err := x.due(now.UnixNano()); err != nil {
			t.Fatal(err)
		}
		got := now.Sub(time.UnixMilli(int64(x.sweep.gone.persons)))
		if got < c.want || got > c.want+2*day {
			t.Errorf("asked for %v: those of %v ago may be gone, expected %v", c.kept, got, c.want)
		}
	}
}

// TestSweepKeepsAllUntilTold: a house that starts writes events before its config
// has said how far back it looks for duplicates, and no person leaves for those.
func TestSweepKeepsAllUntilTold(t *testing.T) {
	s := openMem(t)
	x, now := s.index, newWorld(t, 75).now
	if err := x.due(now.UnixNano()); err != nil {
		t.Fatal(err)
	}
	if g := x.sweep.gone; g.persons != 0 || g.keys == 0 {
		t.Errorf("before anyone said: persons up to %v may be gone, keys up to %v", time.UnixMilli(int64(g.persons)), time.UnixMilli(int64(g.keys)))
	}
	s.KeepPersons(365 * day)
	if err := x.due(now.UnixNano()); err != nil {
		t.Fatal(err)
	}
	if past := now.Sub(time.UnixMilli(int64(x.sweep.gone.persons))); past < 365*day || past > 367*day {
		t.Errorf("of 365 days those of %v ago may be gone", past)
	}
}

// TestSweepWrongClock: one event of a clock gone wrong empties nothing.
func TestSweepWrongClock(t *testing.T) {
	g := newGeneration(4)
	w := newWorld(t, 73)
	for i, ahead := range []time.Duration{0, 20 * 365 * day, time.Hour} {
		g.add(exchange.Entry{Seq: uint64(i + 1), At: w.now.Add(ahead).UnixNano(), Event: w.started()}, 0)
	}
	if g.oldest != w.now.UnixNano() {
		t.Errorf("the generation is of %v, expected %v", time.Unix(0, g.oldest), w.now)
	}
}

// TestVerifySweptMark: a key that may be gone is not missed, one that may not is.
func TestVerifySweptMark(t *testing.T) {
	w := newWorld(t, 74)
	st := w.started()
	drop := func(key []byte, at time.Time) func(db *pebble.DB) {
		return func(db *pebble.DB) {
			ms := uint64(at.UnixMilli())
			_ = db.Set([]byte(indexGoneKey), appendSeq(appendSeq(nil, ms), ms), pebble.Sync)
			_ = db.Delete(key, pebble.Sync)
		}
	}
	keys := map[string][]byte{
		"key":    append([]byte{prefixIdem}, st.Lead.Idem[:]...),
		"ping":   append([]byte{prefixPing}, st.Lead.PingID[:]...),
		"person": append(append([]byte{prefixPerson}, st.Lead.Person[:]...), st.LeadID[:]...),
	}
	for name, key := range keys {
		verifyCase{name + " may be gone", all(st), drop(key, w.now.Add(time.Millisecond)), ""}.run(t)
		verifyCase{name + " may not be gone", all(st), drop(key, w.now), "is missing"}.run(t)
	}
	verifyCase{"a lead's own key never goes", all(st), drop(leadKey(nil, st.LeadID, 1), w.now.Add(day)), "is missing"}.run(t)
	fs := vfs.NewMem()
	s := openAt(t, fs, "data")
	add(t, s, epoch, st)
	_ = s.Close()
	tamperAt(t, fs, "data/index", func(db *pebble.DB) { _ = db.Set([]byte(indexGoneKey), []byte("x"), pebble.Sync) })
	s, err := Open(Config{Dir: "data", FS: fs, Log: zerolog.Nop()})
	if err != nil || s.Recovery().IndexWhy == "" {
		t.Fatalf("an index with a damaged mark is opened: %v", err)
	}
	_ = s.Close()
}
