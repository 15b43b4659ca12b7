package store

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/rs/zerolog"

	"vendue/exchange"
)

// written makes a journal of n events on fs and closes it.
func written(t *testing.T, fs vfs.FS, n uint64) string {
	t.Helper()
	s := openAt(t, fs, "data")
	w := newWorld(t, 21)
	for s.Seq() < n {
		add(t, s, w.now, w.started())
	}
	all := lines(readAll(t, s))
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	return all
}

// tamper changes the closed journal's database by hand.
func tamper(t *testing.T, fs vfs.FS, change func(db *pebble.DB)) {
	t.Helper()
	tamperAt(t, fs, "data/journal", change)
}

func tamperAt(t *testing.T, fs vfs.FS, dir string, change func(db *pebble.DB)) {
	t.Helper()
	db, err := pebble.Open(dir, pebbleOptions(fs, pebbleLog{newFault(nil, zerolog.Nop())}))
	if err != nil {
		t.Fatal(err)
	}
	change(db)
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
}

func spoil(t *testing.T, db *pebble.DB, seq uint64) {
	t.Helper()
	rec, closer, err := db.Get(eventKey(nil, seq))
	if err != nil {
		t.Fatal(err)
	}
	bad := bytes.Clone(rec)
	_ = closer.Close()
	bad[len(bad)-1] ^= 4
	if err := db.Set(eventKey(nil, seq), bad, pebble.Sync); err != nil {
		t.Fatal(err)
	}
}

// TestDamagedTail: the last records are damaged and nothing sound follows. They are cut and told.
func TestDamagedTail(t *testing.T) {
	fs := vfs.NewMem()
	all := written(t, fs, 20)
	s := openAt(t, fs, "data")
	for _, seq := range []uint64{10, 20} {
		if err := s.SaveSnapshot(seq, []byte("state")); err != nil {
			t.Fatal(err)
		}
	}
	_ = s.Close()
	tamper(t, fs, func(db *pebble.DB) { spoil(t, db, 19); spoil(t, db, 20) })
	if _, err := OpenReadOnly(Config{Dir: "data", FS: fs}); !isDamage(err, 19) {
		t.Errorf("read only: got %v, expected damage at seq 19: it cuts nothing", err)
	}
	var log bytes.Buffer
	s, err := Open(Config{Dir: "data", FS: fs, Log: zerolog.New(&log)})
	if err != nil {
		t.Fatal(err)
	}
	r := s.Recovery()
	if r.CutFrom != 19 || r.CutRecords != 2 || r.LastSeq != 18 || r.SnapshotSeq != 10 {
		t.Errorf("recovery %+v; expected 2 records cut from 19 and the snapshot of 10", r)
	}
	if !strings.Contains(log.String(), `"from_seq":19`) {
		t.Errorf("the log does not tell of the cut: %s", log.String())
	}
	if got := lines(readAll(t, s)); !strings.HasPrefix(all, got) || strings.Count(got, "\n") != 18 {
		t.Error("what is left is not the first 18 events")
	}
	mustVerify(t, s)
	w := newWorld(t, 22)
	if last := add(t, s, epoch, w.started()); last != 19 {
		t.Errorf("the next event is seq %d, expected 19", last)
	}
	mustVerify(t, s)
	_ = s.Close()
	s = openAt(t, fs, "data")
	if r := s.Recovery(); r.CutFrom != 0 || r.LastSeq != 19 {
		t.Errorf("opened once more: %+v, expected no cut", r)
	}
	_ = s.Close()
}

// TestDamagedMiddle: something sound follows. The house does not start, and says where.
func TestDamagedMiddle(t *testing.T) {
	for name, c := range map[string]struct {
		change func(db *pebble.DB)
		seq    uint64
		want   error
	}{
		"spoiled":  {func(db *pebble.DB) { spoil(t, db, 7) }, 7, errChecksum},
		"missing":  {func(db *pebble.DB) { _ = db.Delete(eventKey(nil, 7), pebble.Sync) }, 7, errMissing},
		"first":    {func(db *pebble.DB) { _ = db.Delete(eventKey(nil, 1), pebble.Sync) }, 1, errMissing},
		"two runs": {func(db *pebble.DB) { spoil(t, db, 3); spoil(t, db, 20) }, 3, errChecksum},
		"a hole at the end": {func(db *pebble.DB) {
			_ = db.Delete(eventKey(nil, 19), pebble.Sync)
			spoil(t, db, 20)
		}, 19, errMissing},
	} {
		fs := vfs.NewMem()
		written(t, fs, 20)
		tamper(t, fs, c.change)
		for range 2 {
			_, err := Open(Config{Dir: "data", FS: fs, Log: zerolog.Nop()})
			if !isDamage(err, c.seq) || !errors.Is(err, c.want) {
				t.Errorf("%s: got %v, expected damage at seq %d: %v", name, err, c.seq, c.want)
			}
		}
	}
}

func isDamage(err error, seq uint64) bool {
	damage := (*DamageError)(nil)
	return errors.As(err, &damage) && damage.Seq == seq
}

// crashed makes a journal whose events are still in Pebble's log, as kill -9 leaves it.
func crashed(t *testing.T, n uint64) (fs *crashMem, all string) {
	t.Helper()
	live := newCrashMem()
	s := openAt(t, live, "data")
	w := newWorld(t, 23)
	for s.Seq() < n {
		add(t, s, w.now, w.started())
	}
	all = lines(readAll(t, s))
	fs = live.CrashClone(vfs.CrashCloneCfg{})
	_ = s.Close()
	return fs, all
}

func logFile(t *testing.T, fs vfs.FS) string {
	t.Helper()
	names, err := fs.List("data/journal")
	if err != nil {
		t.Fatal(err)
	}
	newest := ""
	for _, name := range names {
		if strings.HasSuffix(name, ".log") && name > newest {
			newest = name
		}
	}
	return "data/journal/" + newest
}

func rewriteFile(t *testing.T, fs vfs.FS, path string, change func([]byte) []byte) {
	t.Helper()
	raw, err := readFile(fs, path)
	if err != nil {
		t.Fatal(err)
	}
	f, err := fs.Create(path, vfs.WriteCategoryUnspecified)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.Write(change(bytes.Clone(raw))); err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(f.Sync(), f.Close()); err != nil {
		t.Fatal(err)
	}
}

// TestTornLog: the end of Pebble's newest log is torn off. What was before it is there, and the tear is told.
func TestTornLog(t *testing.T) {
	for name, change := range map[string]func([]byte) []byte{
		"cut off": func(b []byte) []byte { return b[:len(b)-5] },
		"spoiled": func(b []byte) []byte { b[len(b)-20] ^= 1; return b },
		"half":    func(b []byte) []byte { return b[:len(b)-200] },
		"garbage": func(b []byte) []byte { return append(b, bytes.Repeat([]byte{0xa5, 3, 0, 1, 9}, 9)...) },
	} {
		fs, all := crashed(t, 20)
		rewriteFile(t, fs, logFile(t, fs), change)
		var log bytes.Buffer
		s, err := Open(Config{Dir: "data", FS: fs, Log: zerolog.New(&log)})
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		got := lines(readAll(t, s))
		if n := strings.Count(got, "\n"); !strings.HasPrefix(all, got) || n < 19 {
			t.Errorf("%s: %d events are left, expected all or all but the last", name, n)
		}
		if s.Recovery().TornLog == "" || !strings.Contains(log.String(), "torn") {
			t.Errorf("%s: the tear was not told: %+v %s", name, s.Recovery(), log.String())
		}
		mustVerify(t, s)
		_ = s.Close()
	}
}

// TestFlippedBits flips one bit at many places of every file. Open, and a whole
// reading, may succeed only if what is read is a prefix of what was written;
// otherwise there is an error, and never a panic. A bit of what a later sync
// speaks for must be found.
func TestFlippedBits(t *testing.T) {
	source := map[string]func() (vfs.FS, string){
		"log": func() (vfs.FS, string) { fs, all := crashed(t, 40); return fs, all },
		"tables": func() (vfs.FS, string) {
			fs := vfs.NewMem()
			written(t, fs, 40)
			return fs, written(t, fs, 40) // opened again: what was replayed stands in tables
		},
	}
	for name, make := range source {
		fs, _ := make()
		names, err := fs.List("data/journal")
		if err != nil {
			t.Fatal(err)
		}
		for _, file := range names {
			for i := range 6 {
				fs, all := make()
				path := "data/journal/" + file
				if _, err := fs.Stat(path); err != nil {
					break // an old file, removed this time before the crash
				}
				size := 0
				rewriteFile(t, fs, path, func(b []byte) []byte {
					if size = len(b); size > 0 {
						b[(size-1)*i/5] ^= 1 << (i % 8)
					}
					return b
				})
				if size == 0 {
					break
				}
				flipped(t, fs, name+" "+file+" "+number(i), all)
			}
		}
	}
}

func flipped(t *testing.T, fs vfs.FS, name, all string) {
	t.Helper()
	s, err := Open(Config{Dir: "data", FS: fs, Log: zerolog.Nop()})
	if err != nil {
		return
	}
	var got []exchange.Entry
	_, err = s.Read(0, 1<<20, func(e exchange.Entry) error { got = append(got, e); return nil })
	if err == nil && !strings.HasPrefix(all, lines(got)) {
		t.Errorf("%s: other events than were written", name)
	}
	if left := uint64(len(got)); err == nil && left < 39 {
		t.Errorf("%s: %d events of 40 are left, and nothing was found wanting", name, left)
	}
	_ = s.Close()
}

// TestKeys: the keys are made once, kept private, and never made anew under a journal.
func TestKeys(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "data")
	s := openAt(t, nil, dir)
	sealed, print, id := s.Vault().Seal("text"), s.Vault().Fingerprint("a", "b"), s.IDKey()
	_ = s.Close()
	path := filepath.Join(dir, keysFile)
	for path, want := range map[string]os.FileMode{path: 0o600, dir: 0o700} {
		if info, err := os.Stat(path); err != nil || info.Mode().Perm() != want {
			t.Errorf("%s has mode %v, expected %v", path, info.Mode().Perm(), want)
		}
	}
	s = openAt(t, nil, dir)
	text, err := s.Vault().Unseal(sealed)
	if err != nil || text != "text" || s.Vault().Fingerprint("a", "b") != print || !bytes.Equal(s.IDKey(), id) {
		t.Error("the keys are others after the directory was opened again")
	}
	_ = s.Close()

	refused := func(why, word string) {
		t.Helper()
		_, err := Open(Config{Dir: dir})
		if err == nil || !strings.Contains(err.Error(), word) {
			t.Errorf("%s: got %v, expected an error that says %q", why, err, word)
		}
	}
	_ = os.Chmod(path, 0o644)
	refused("readable by all", "0600")
	_ = os.Chmod(path, 0o600)
	raw, _ := os.ReadFile(path)
	bad := bytes.Clone(raw)
	bad[30] ^= 1
	_ = os.WriteFile(path, bad, 0o600)
	refused("one bit flipped", "damaged")
	_ = os.Remove(path)
	refused("missing", "missing")
	if _, err := os.Stat(path); err == nil {
		t.Error("new keys were made under an old journal")
	}
}
