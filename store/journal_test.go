package store

import (
	"context"
	"errors"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"vendue/exchange"
)

func TestAppendAndFind(t *testing.T) {
	s := openMem(t)
	w := newWorld(t, 1)
	st := w.started()
	end := ended(st, exchange.OutcomeAccepted, exchange.LeadSold)
	click := &exchange.Clicked{ClickID: w.mint.Click(w.now), Offer: "auto"}
	if last := add(t, s, epoch, st); last != 1 {
		t.Fatalf("the first event is seq %d, expected 1", last)
	}
	if last := add(t, s, epoch, click, end); last != 3 {
		t.Fatalf("the last event is seq %d, expected 3", last)
	}

	entries, err := s.LeadEntries(st.LeadID, nil)
	if err != nil || len(entries) != 2 || entries[0].Seq != 1 || entries[1].Seq != 3 {
		t.Errorf("entries of the lead: %v, %v; expected seq 1 and 3", entries, err)
	}
	if lead, ok, err := s.LeadByKey(st.Lead.Idem); lead != st.LeadID || !ok || err != nil {
		t.Errorf("by key: %v %v %v", lead, ok, err)
	}
	if lead, ok, err := s.LeadByPing(st.Lead.PingID); lead != st.LeadID || !ok || err != nil {
		t.Errorf("by ping: %v %v %v", lead, ok, err)
	}
	if _, ok, err := s.LeadByKey(exchange.Fingerprint{9}); ok || err != nil {
		t.Errorf("a key never used: %v %v", ok, err)
	}
	if r := mustVerify(t, s); r.Events != 3 || r.Leads != 1 || r.IndexKeys != 5 {
		t.Errorf("verified %+v, expected 3 events, 1 lead, 5 index keys", r)
	}
}

// TestWhichLeadAPingBecame: a refused post that named a used or dead ping must not hide the lead behind it.
func TestWhichLeadAPingBecame(t *testing.T) {
	s := openMem(t)
	w := newWorld(t, 2)
	st := w.started()
	add(t, s, epoch, st)
	for _, reason := range []exchange.Reason{exchange.ReasonPingUsed, exchange.ReasonPingExpired, exchange.ReasonPingUnknown} {
		again := &exchange.LeadRefused{LeadID: w.mint.Lead(w.now), Lead: *st.Lead, Reason: reason}
		add(t, s, epoch, again)
		if lead, _, _ := s.LeadByPing(st.Lead.PingID); lead != st.LeadID {
			t.Errorf("after a post refused with %s the ping names %v, expected %v", reason, lead, st.LeadID)
		}
		if lead, _, _ := s.LeadByKey(st.Lead.Idem); lead != again.LeadID {
			t.Errorf("the last post under a key wins; got %v, expected %v", lead, again.LeadID)
		}
	}
	direct := w.started()
	direct.Lead.Direct = true
	add(t, s, epoch, direct)
	if _, ok, _ := s.LeadByPing(direct.Lead.PingID); ok {
		t.Error("a direct's ping was never told, and can be looked up")
	}
	mustVerify(t, s)
}

func TestLeadsByPerson(t *testing.T) {
	s := openMem(t)
	w := newWorld(t, 3)
	person := exchange.Fingerprint{0xff, 0xff}
	var made []exchange.LeadID
	for range 10 {
		w.now = w.now.Add(time.Hour)
		st := w.started()
		st.Lead.Person = person
		made = append(made, st.LeadID)
		add(t, s, w.now, st, w.started())
	}
	collect := func(since time.Time, most int) (got []exchange.LeadID) {
		err := s.LeadsByPerson(person, since, func(id exchange.LeadID) (bool, error) {
			got = append(got, id)
			return len(got) < most, nil
		})
		if err != nil {
			t.Fatal(err)
		}
		return got
	}
	if got := collect(epoch.Add(8*time.Hour), 99); len(got) != 3 || got[0] != made[9] || got[2] != made[7] {
		t.Errorf("since the eighth hour: %v, expected the last three, newest first", got)
	}
	if got := collect(time.Unix(0, 0), 2); len(got) != 2 || got[1] != made[8] {
		t.Errorf("the newest two: %v", got)
	}
	if got := collect(w.now.Add(time.Millisecond), 99); got != nil {
		t.Errorf("since after the last: %v, expected none", got)
	}
}

func TestReadInPieces(t *testing.T) {
	s := openMem(t)
	w := newWorld(t, 4)
	for s.Seq() < 50 {
		add(t, s, w.now, w.next()...)
	}
	all := readAll(t, s)
	var pieces []exchange.Entry
	for from := uint64(0); from <= s.Durable(); {
		next, err := s.Read(from, 7, func(e exchange.Entry) error { pieces = append(pieces, e); return nil })
		if err != nil {
			t.Fatal(err)
		}
		from = next
	}
	if lines(pieces) != lines(all) {
		t.Error("read in pieces is not the same as read at once")
	}
	stop := errors.New("stop here")
	next, err := s.Read(1, 100, func(e exchange.Entry) error {
		if e.Seq == 5 {
			return stop
		}
		return nil
	})
	if !errors.Is(err, stop) || next != 5 {
		t.Errorf("got %d, %v; expected to stop at 5 and to begin there again", next, err)
	}
}

// TestOnlyDurableIsRead: what is appended and not yet on disk is no news to followers.
func TestOnlyDurableIsRead(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		fs := newHeldFS("journal", true)
		s := openAt(t, fs, "data")
		w := newWorld(t, 5)
		release := fs.hold()
		st := w.started()
		_, first, err := s.Append(1, st)
		if err != nil {
			t.Fatal(err)
		}
		synctest.Wait() // until it waits for the disk
		if got := readAll(t, s); len(got) != 0 || s.Durable() != 0 || s.Seq() != 1 {
			t.Errorf("read %d entries before anything was durable", len(got))
		}
		if got, _ := s.LeadEntries(st.LeadID, nil); len(got) != 1 {
			t.Errorf("by key %d entries, expected the one just appended", len(got))
		}
		_, second, err := s.Append(2, w.started())
		if err != nil {
			t.Fatal(err)
		}
		release()
		if err := second.Wait(); err != nil {
			t.Fatal(err)
		}
		if got := readAll(t, s); len(got) != 2 || s.Durable() != 2 {
			t.Errorf("%d entries are read, durable is %d; expected 2: a pack on disk speaks for those before it", len(got), s.Durable())
		}
		if err := first.Wait(); err != nil || s.Durable() != 2 {
			t.Errorf("got %v, durable %d; expected that it never falls", err, s.Durable())
		}
		_ = s.Close()
	})
}

func TestWaitDurable(t *testing.T) {
	s := openMem(t)
	w := newWorld(t, 6)
	ctx, cancel := context.WithCancel(context.Background())
	var seen []uint64
	var follower sync.WaitGroup
	follower.Go(func() {
		for at := uint64(0); at < 100; {
			got, err := s.WaitDurable(ctx, at)
			if err != nil || got <= at {
				t.Errorf("waited for more than %d: got %d, %v", at, got, err)
				return
			}
			at = got
			seen = append(seen, got)
		}
	})
	for range 100 {
		add(t, s, w.now, w.started())
	}
	follower.Wait()
	if len(seen) == 0 || seen[len(seen)-1] != 100 {
		t.Errorf("followed %v, expected to end at 100", seen)
	}
	cancel()
	if got, err := s.WaitDurable(ctx, 100); got != 100 || !errors.Is(err, context.Canceled) {
		t.Errorf("got %d, %v; expected 100 and the context's end", got, err)
	}
	if got, err := s.WaitDurable(ctx, 3); got != 100 || err != nil {
		t.Errorf("got %d, %v; what is durable needs no wait", got, err)
	}
	follower.Go(func() {
		if _, err := s.WaitDurable(context.Background(), 100); !errors.Is(err, ErrClosed) {
			t.Errorf("got %v, want %v", err, ErrClosed)
		}
	})
	if err := s.Close(); err != nil {
		t.Error(err)
	}
	follower.Wait()
}

// TestManyAppend is the way the engine goes: append under its lock, wait outside of it.
func TestManyAppend(t *testing.T) {
	fs := vfs.NewMem()
	s := openAt(t, fs, "data")
	var lock sync.Mutex
	var all sync.WaitGroup
	const callers, each = 64, 50
	for i := range callers {
		all.Go(func() {
			w := newWorld(t, uint64(100+i))
			for range each {
				lock.Lock()
				last, ticket, err := s.Append(w.now.UnixNano(), w.started(), &exchange.Clicked{ClickID: w.mint.Click(w.now)})
				lock.Unlock()
				if err != nil {
					t.Error(err)
					return
				}
				if err := ticket.Wait(); err != nil {
					t.Error(err)
				}
				if d := s.Durable(); d < last {
					t.Errorf("durable is %d after the wait for %d", d, last)
				}
			}
		})
	}
	all.Wait()
	if got := len(readAll(t, s)); got != callers*each*2 {
		t.Errorf("%d events, expected %d", got, callers*each*2)
	}
	mustVerify(t, s)
	before := lines(readAll(t, s))
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	again := openAt(t, fs, "data")
	defer func() { _ = again.Close() }()
	if lines(readAll(t, again)) != before {
		t.Error("the journal is another one after it was opened again")
	}
	if r := again.Recovery(); r.LastSeq != callers*each*2 || r.Created || r.CutFrom != 0 {
		t.Errorf("recovery: %+v", r)
	}
}

func TestTwoInsideAppend(t *testing.T) {
	s := openMem(t)
	s.appending.Store(true)
	defer func() {
		s.appending.Store(false)
		if r, _ := recover().(string); !strings.HasPrefix(r, "BUG:") {
			t.Errorf("got %q, expected a panic that begins BUG:", r)
		}
	}()
	_, _, _ = s.Append(1, &exchange.Clicked{})
}

func TestAppendRefusesWithoutHarm(t *testing.T) {
	s := openMem(t)
	if _, _, err := s.Append(1); err == nil || errors.Is(err, ErrBroken) {
		t.Errorf("no events: got %v", err)
	}
	huge := &exchange.ConfigAccepted{Text: strings.Repeat("x", recordBytesMax)}
	if _, _, err := s.Append(1, &exchange.Clicked{}, huge); !errors.Is(err, errTooLarge) {
		t.Errorf("got %v, want %v", err, errTooLarge)
	}
	if last := add(t, s, epoch, &exchange.Clicked{}); last != 1 {
		t.Errorf("the next event is seq %d, expected 1: a refused one takes no number", last)
	}
}

func TestDirectoryHasOneOwner(t *testing.T) {
	for name, fs := range map[string]vfs.FS{"memory": vfs.NewMem(), "disk": nil} {
		dir := filepath.Join(t.TempDir(), "data")
		s := openAt(t, fs, dir)
		for _, open := range []func(Config) (*Store, error){Open, OpenReadOnly} {
			if _, err := open(Config{Dir: dir, FS: fs}); !errors.Is(err, ErrLocked) {
				t.Errorf("%s: got %v, want %v", name, err, ErrLocked)
			}
		}
		add(t, s, epoch, &exchange.Clicked{ClickID: exchange.ClickID{1}})
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
		r, err := OpenReadOnly(Config{Dir: dir, FS: fs})
		if err != nil {
			t.Fatal(err)
		}
		if got := len(readAll(t, r)); got != 1 {
			t.Errorf("%s: %d events read only, expected 1", name, got)
		}
		if _, _, err := r.Append(1, &exchange.Clicked{}); !errors.Is(err, ErrReadOnly) {
			t.Errorf("got %v, want %v", err, ErrReadOnly)
		}
		if err := r.Space("a").Commit(true, func(*SpaceBatch) error { return nil }); !errors.Is(err, ErrReadOnly) {
			t.Errorf("got %v, want %v", err, ErrReadOnly)
		}
		if err := r.Close(); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := OpenReadOnly(Config{Dir: filepath.Join(t.TempDir(), "none")}); err == nil {
		t.Error("opened a directory that is not there")
	}
}

// TestInABubble: the whole store lives and ends in virtual time.
func TestInABubble(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := openAt(t, newCrashMem(), "data")
		w := newWorld(t, 7)
		for range 20 {
			add(t, s, time.Now(), w.next()...)
			time.Sleep(time.Hour)
		}
		mustVerify(t, s)
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
}
