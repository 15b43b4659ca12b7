package store

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/VictoriaMetrics/metrics"
	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/vfs/errorfs"
	"github.com/rs/zerolog"

	"vendue/exchange"
)

func TestSnapshots(t *testing.T) {
	fs := newCrashMem()
	s := openAt(t, fs, "data")
	if _, _, ok, err := s.LoadSnapshot(); ok || err != nil {
		t.Errorf("a new store has a snapshot: %v %v", ok, err)
	}
	w := newWorld(t, 31)
	for range 9 {
		add(t, s, epoch, w.started())
	}
	if err := s.SaveSnapshot(10, nil); err == nil {
		t.Error("saved a snapshot of a state that is not durable")
	}
	for _, seq := range []uint64{3, 6, 9} {
		if err := s.SaveSnapshot(seq, []byte("state "+number(int(seq)))); err != nil {
			t.Fatal(err)
		}
	}
	if seqs, _ := s.snapshotSeqs(); !slices.Equal(seqs, []uint64{6, 9}) {
		t.Errorf("kept %v, expected the newest two", seqs)
	}
	crashed := fs.CrashClone(vfs.CrashCloneCfg{})
	_ = s.Close()
	s = openAt(t, crashed, "data")
	if seq, data, ok, err := s.LoadSnapshot(); seq != 9 || string(data) != "state 000009" || !ok || err != nil {
		t.Errorf("after a crash: %d %q %v %v", seq, data, ok, err)
	}
	for i := range len("state 000009") + len(snapshotMagic) + 16 {
		spoilt := func(b []byte) []byte { b[i] ^= 1; return b }
		rewriteFile(t, crashed, s.snapshotPath(9), spoilt)
		if seq, _, ok, err := s.LoadSnapshot(); seq != 6 || !ok || err != nil {
			t.Errorf("byte %d spoilt: %d %v %v, expected the snapshot before", i, seq, ok, err)
		}
		rewriteFile(t, crashed, s.snapshotPath(9), spoilt)
	}
	r, err := s.Verify(VerifyOptions{Snapshot: func(seq uint64, data []byte, replay func(func(exchange.Entry) error) error) error {
		n := uint64(0)
		if err := replay(func(exchange.Entry) error { n++; return nil }); err != nil || n != seq {
			return fmt.Errorf("replayed %d events: %w", n, err)
		}
		if seq == 6 {
			return errors.New("not the same")
		}
		return nil
	}})
	if err != nil || r.Snapshots < 2 || r.Faults != 1 || r.Shown[0].Seq != 6 {
		t.Errorf("verified %+v, %v; expected one fault, at 6", r, err)
	}
	_ = s.Close()
}

func TestSpaces(t *testing.T) {
	s := openMem(t)
	a, b := s.Space("a"), s.Space("ab")
	put := func(p *Space, sync bool, keys ...string) {
		t.Helper()
		if err := p.Commit(sync, func(batch *SpaceBatch) error {
			for _, k := range keys {
				batch.Set([]byte(k), []byte("v"+k))
			}
			return nil
		}); err != nil {
			t.Fatal(err)
		}
	}
	put(a, true, "1", "2", "3", "\xff\xff")
	put(b, false, "1", "9")
	keys := func(p *Space, down bool, lo, hi []byte) (got string) {
		t.Helper()
		scan := p.Scan
		if down {
			scan = p.ScanDown
		}
		if err := scan(lo, hi, func(k, v []byte) (bool, error) {
			if string(v) != "v"+string(k) {
				t.Errorf("key %q has value %q", k, v)
			}
			got += fmt.Sprintf("%x ", k)
			return len(got) < 60, nil
		}); err != nil {
			t.Fatal(err)
		}
		return got
	}
	for _, c := range []struct {
		got, want string
	}{
		{keys(a, false, nil, nil), "31 32 33 ffff "},
		{keys(a, true, nil, nil), "ffff 33 32 31 "},
		{keys(a, false, []byte("2"), []byte("3")), "32 "},
		{keys(b, false, nil, nil), "31 39 "},
	} {
		if c.got != c.want {
			t.Errorf("got %q, want %q", c.got, c.want)
		}
	}
	err := a.Commit(true, func(batch *SpaceBatch) error {
		batch.Delete([]byte("1"))
		batch.DeleteRange([]byte("3"), nil)
		return nil
	})
	if got := keys(a, false, nil, nil); err != nil || got != "32 " || keys(b, false, nil, nil) != "31 39 " {
		t.Errorf("after deletes: %q, %v", got, err)
	}
	stop := errors.New("no")
	if err := a.Commit(true, func(batch *SpaceBatch) error { batch.Set([]byte("7"), nil); return stop }); !errors.Is(err, stop) {
		t.Errorf("got %v, want %v", err, stop)
	}
	if err := a.Commit(true, func(batch *SpaceBatch) error {
		batch.Set([]byte("8"), nil)
		batch.Set(nil, nil)
		return nil
	}); !errors.Is(err, errSpaceKey) {
		t.Errorf("got %v, want %v", err, errSpaceKey)
	}
	for _, k := range []string{"1", "7", "8"} {
		if _, ok, err := a.Get([]byte(k)); ok || err != nil {
			t.Errorf("key %s is there: %v", k, err)
		}
	}
	if v, ok, err := a.Get([]byte("2")); string(v) != "v2" || !ok || err != nil {
		t.Errorf("got %q %v %v", v, ok, err)
	}
}

// TestXAES holds the vault to the published vector of XAES-256-GCM.
func TestXAES(t *testing.T) {
	v, err := newVault(bytes.Repeat([]byte{1}, 32), make([]byte, 32))
	if err != nil {
		t.Fatal(err)
	}
	sealed, _ := hex.DecodeString(hex.EncodeToString([]byte("ABCDEFGHIJKLMNOPQRSTUVWX")) + "ce546ef63c9cc60765923609b33a9a1974e96e52daf2fcf7075e2271")
	if text, err := v.Unseal(sealed); text != "XAES-256-GCM" || err != nil {
		t.Errorf("got %q, %v", text, err)
	}
}

func TestVault(t *testing.T) {
	v := openMem(t).Vault()
	if v.Seal("") != nil {
		t.Error("the empty text must seal to nothing")
	}
	a, b := v.Seal("https://buyer.example/x"), v.Seal("https://buyer.example/x")
	if bytes.Equal(a, b) || bytes.Contains(a, []byte("buyer")) {
		t.Error("a sealed text can be seen or recognised")
	}
	for i := range a {
		bad := bytes.Clone(a)
		bad[i] ^= 0x10
		if _, err := v.Unseal(bad); !errors.Is(err, errUnseal) {
			t.Errorf("byte %d spoilt: got %v, want %v", i, err, errUnseal)
		}
	}
	if bytes.Equal(a[nonceBytes/2:nonceBytes], b[nonceBytes/2:nonceBytes]) {
		t.Error("two texts have one nonce")
	}
	keys := map[string]int{} // texts by the half of the nonce that their key was derived from
	for range 3 * sealerTexts {
		c := v.Seal("x")
		if text, err := v.Unseal(c); text != "x" || err != nil {
			t.Fatalf("got %q, %v", text, err)
		}
		if keys[string(c[:nonceBytes/2])]++; keys[string(c[:nonceBytes/2])] > sealerTexts {
			t.Fatalf("more than %d texts under one key", sealerTexts)
		}
	}
	if _, err := v.Unseal(a[:20]); !errors.Is(err, errUnseal) {
		t.Errorf("cut off: got %v, want %v", err, errUnseal)
	}
	if v.Fingerprint("ab", "c") == v.Fingerprint("a", "bc") || v.Fingerprint("a") == v.Fingerprint("a", "") {
		t.Error("parts run into each other")
	}
	if once := v.Fingerprint("a"); once != v.Fingerprint("a") || once.IsZero() {
		t.Error("a fingerprint must be the same each time")
	}
	if n := testing.AllocsPerRun(100, func() { v.Seal("text") }); n > 1 && !raceOn {
		t.Errorf("%v allocations to seal a text, expected one", n)
	}
	if n := testing.AllocsPerRun(100, func() { v.Fingerprint("seller", "key") }); n > 0 && !raceOn {
		t.Errorf("%v allocations for a fingerprint, expected none", n)
	}
}

func testAuction(w *world) *exchange.Auction {
	vertical := &exchange.Vertical{ID: "auto", Fields: []exchange.Field{
		{Name: "zip", Kind: exchange.FieldZip, Ping: exchange.NeedRequired},
		{Name: "age", Kind: exchange.FieldInt, Ping: exchange.NeedRequired},
		{Name: "phone", Kind: exchange.FieldPhone, Post: exchange.NeedRequired, Personal: true},
		{Name: "note", Kind: exchange.FieldText, Ping: exchange.NeedOptional},
	}}
	return &exchange.Auction{
		PingID: w.mint.Ping(w.now), At: w.now, ConfigHash: "abc", Seller: "north", Campaign: "north-auto", Sale: exchange.SaleAny,
		Lead: &exchange.Lead{Vertical: vertical, Values: []exchange.Value{
			{Text: "85001", Set: true}, {Text: "41", Num: 41, Set: true}, {Text: "MARKER", Set: true}, {Text: "a \"b\"\n\x7f\xffé", Set: true},
		}},
		Candidates: []exchange.Candidate{
			{Name: "acme-west", Leg: 1, Bid: 21_500_000, Payout: 17_200_000, Elapsed: exchange.Millis(1_500_000),
				Index: 19_000_000, Odds: exchange.Odds{Accept: 700_000, Unknown: 10_000, UnknownSold: 500_000, Return: 50_000}},
			{Name: "zenith-us", Reason: exchange.ReasonTimeout, Detail: "no answer"},
		},
		Excluded: []exchange.Excluded{{Reason: exchange.ReasonHours, Count: 3}, {Reason: exchange.ReasonFiltered, Count: 1}},
		Price:    17_200_000, Elapsed: exchange.Millis(143_000_000),
	}
}

// TestTapeRecord: a record says what the struct's own JSON says, the lead's ping fields beside it, and nothing personal.
func TestTapeRecord(t *testing.T) {
	a := testAuction(newWorld(t, 41))
	record := appendTapeAuction(nil, a)
	if bytes.Contains(record, []byte("MARKER")) {
		t.Fatalf("a personal value is on the tape: %q", record)
	}
	raw, err := tapeText(nil, record)
	if err != nil {
		t.Fatal(err)
	}
	if old, err := tapeText(nil, appendAuction(nil, a)); err != nil || string(old) != string(raw) {
		t.Errorf("%v; the first form, which was JSON, reads\n%s\nand this one\n%s", err, old, raw)
	}
	for n := range record {
		if _, err := tapeText(nil, record[:n]); err == nil {
			t.Errorf("%d bytes of %d are taken for a whole record", n, len(record))
		}
	}
	var got, want map[string]any
	if err := json.Unmarshal(raw, &got); err != nil {
		t.Fatalf("%v: %s", err, raw)
	}
	plain, _ := json.Marshal(a)
	_ = json.Unmarshal(plain, &want)
	want["vertical"] = "auto"
	want["lead"] = map[string]any{"zip": "85001", "age": 41.0, "note": "a \"b\"\n\x7f\ufffdé"}
	if fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("got  %v\nwant %v", got, want)
	}
}

func TestTape(t *testing.T) {
	fs := vfs.NewMem()
	open := func() *Store {
		// The writer sweeps by the real clock: keep more days than it can count.
		s, err := Open(Config{Dir: "data", FS: fs, Log: zerolog.Nop(), TapeDays: 1 << 20})
		if err != nil {
			t.Fatal(err)
		}
		s.Tape().Flush()
		return s
	}
	s := open()
	w := newWorld(t, 42)
	a := testAuction(w)
	w.now = w.now.AddDate(0, 0, 1)
	b := testAuction(w)
	lead := w.mint.Lead(w.now)
	tape := s.Tape()
	tape.Record(a)
	tape.Record(b)
	ping := a.PingID
	a.PingID, a.Seller = exchange.PingID{}, "changed" // the caller's struct is pooled
	for n := range uint16(2) {
		tape.RecordAttempt(&Attempt{LeadID: lead, PingID: ping, At: w.now, Number: n + 1, Contract: "acme-west", Outcome: exchange.OutcomeRejected})
	}
	tape.Flush()
	if raw, ok, err := tape.Find(ping); !ok || err != nil || !bytes.Contains(raw, []byte(`"north"`)) {
		t.Errorf("found %s %v %v", raw, ok, err)
	}
	if _, ok, err := tape.Find(w.mint.Ping(w.now)); ok || err != nil {
		t.Errorf("found what was never recorded: %v", err)
	}
	attempts := 0
	_ = tape.FindAttempts(lead, func(raw []byte) (bool, error) {
		attempts++
		if !json.Valid(raw) || !bytes.Contains(raw, fmt.Appendf(nil, `"attempt":%d,`, attempts)) {
			t.Errorf("attempt %d: %s", attempts, raw)
		}
		return true, nil
	})
	days := func() string {
		var counts []int
		for _, day := range []int{0, 1} {
			n := 0
			if err := tape.ReadDay(epoch.AddDate(0, 0, day), func([]byte) (bool, error) { n++; return true, nil }); err != nil {
				t.Fatal(err)
			}
			counts = append(counts, n)
		}
		return fmt.Sprint(counts)
	}
	if got := days(); attempts != 2 || got != "[1 3]" {
		t.Errorf("%d attempts, by day %s; expected 2 and [1 3]", attempts, got)
	}
	_ = s.Close()
	tape.Flush() // must not wait for a writer that is gone
	s = open()
	tape = s.Tape()
	tape.days = 2
	tape.sweep(epoch.AddDate(0, 0, 2))
	if got := days(); got != "[1 3]" {
		t.Errorf("by day %s; both days are still kept", got)
	}
	tape.sweep(epoch.AddDate(0, 0, 3))
	if got := days(); got != "[0 3]" {
		t.Errorf("by day %s after the first was dropped", got)
	}
	_ = s.Close()
}

// TestTapeUnseen: a tape that cannot be looked for is not taken for none.
func TestTapeUnseen(t *testing.T) {
	mem := vfs.NewMem()
	s := openAt(t, mem, "data")
	a := testAuction(newWorld(t, 45))
	s.Tape().Record(a)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	fs := errorfs.Wrap(mem, errorfs.InjectorFunc(func(op errorfs.Op) error {
		if op.Kind == errorfs.OpStat && strings.HasSuffix(op.Path, tapeDir) {
			return errors.New("the disk failed")
		}
		return nil
	}))
	s, err := OpenReadOnly(Config{Dir: "data", FS: fs, Log: zerolog.Nop()})
	if err != nil {
		return // told, which is as good as read
	}
	defer func() { _ = s.Close() }()
	if _, ok, err := s.Tape().Find(a.PingID); !ok && err == nil {
		t.Error("the tape's record is said not to exist")
	}
}

// TestTapeFull: a full queue drops and counts, and never holds an auction up.
func TestTapeFull(t *testing.T) {
	tape := newTape(Config{TapeQueueMax: 2})
	tape.m = newStoreMetrics(metrics.NewSet(), &Store{tape: tape})
	a := testAuction(newWorld(t, 43))
	for range 5 {
		tape.Record(a) // no writer runs
	}
	if got := tape.m.tapeDropped.Get(); got != 3 || tape.waiting() != 2 {
		t.Errorf("dropped %d, waiting %d; expected 3 and 2", got, tape.waiting())
	}
	if n := testing.AllocsPerRun(100, func() { tape.Record(a) }); n > 0 && !raceOn {
		t.Errorf("%v allocations to record, expected none", n)
	}
}

// TestTapeFaultIsNoFault: the tape's disk fails and the journal goes on.
func TestTapeFault(t *testing.T) {
	s := openMem(t)
	s.Tape().Flush()
	s.Tape().fail(errors.New("the disk failed"))
	s.Tape().Record(testAuction(newWorld(t, 44)))
	if _, _, err := s.Tape().Find(exchange.PingID{1}); !errors.Is(err, errTape) {
		t.Errorf("got %v, want %v", err, errTape)
	}
	if add(t, s, epoch, &exchange.Clicked{}) != 1 || s.Healthy() != nil {
		t.Error("the journal minds the tape's fault")
	}
	s.Tape().dead.Store(false) // let Close close the database
}

func TestJSONLine(t *testing.T) {
	for _, k := range kinds {
		line := AppendJSON(nil, exchange.Entry{Seq: 3, At: epoch.UnixNano() + 5, Event: filled(k)})
		prefix := fmt.Sprintf(`{"seq":3,"at":"2026-03-01T12:00:00.000000005Z","type":"%s",`, k)
		if !json.Valid(line) || !strings.HasPrefix(string(line), prefix) {
			t.Errorf("%s: %s", k, line)
		}
	}
}

func TestMetricNames(t *testing.T) {
	set := metrics.NewSet()
	fs := vfs.NewMem()
	for range 2 { // the second store finds the names free again
		s, err := Open(Config{Dir: "data", FS: fs, Log: zerolog.Nop(), Metrics: set})
		if err != nil {
			t.Fatal(err)
		}
		add(t, s, epoch, &exchange.Clicked{})
		names := set.ListMetricNames()
		slices.Sort(names)
		want := slices.Sorted(slices.Values(MetricNames))
		if !slices.Equal(names, want) {
			t.Errorf("got %v, want %v", names, want)
		}
		var out bytes.Buffer
		set.WritePrometheus(&out)
		if !strings.Contains(out.String(), "vendue_store_events_total 1\n") || !strings.Contains(out.String(), "vendue_store_undurable_events 0\n") {
			t.Errorf("metrics: %s", out.String())
		}
		_ = s.Close()
	}
}

// TestFirstLogRefused: a new directory is opened twice, and a disk that refuses
// the end of the first log is an error like any other.
func TestFirstLogRefused(t *testing.T) {
	refused := errors.New("refused")
	fs := errorfs.Wrap(newCrashMem(), errorfs.InjectorFunc(func(op errorfs.Op) error {
		if op.Kind == errorfs.OpFileSyncData && strings.HasSuffix(op.Path, "journal/000002.log") {
			return refused
		}
		return nil
	}))
	if _, err := Open(Config{Dir: "data", FS: fs, Log: zerolog.Nop()}); !errors.Is(err, refused) {
		t.Errorf("got %v, want %v", err, refused)
	}
}
