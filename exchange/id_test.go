package exchange

import (
	"math/rand/v2"
	"strings"
	"sync"
	"testing"
	"time"

	"pgregory.net/rapid"
)

func newTestMinter(t testing.TB, key byte) *Minter {
	t.Helper()
	m, err := NewMinter([]byte(strings.Repeat(string(rune(key)), 16)), 4095, rand.New(rand.NewPCG(1, uint64(key))).Uint64)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

var idEpoch = time.UnixMilli(1_790_000_000_123)

func TestIDsComeBackAsTheyWent(t *testing.T) {
	m := newTestMinter(t, 'k')
	rapid.Check(t, func(t *rapid.T) {
		now := time.UnixMilli(rapid.Int64Range(0, 1<<48-1).Draw(t, "now"))
		ping, lead, click := m.Ping(now), m.Lead(now), m.Click(now)
		for _, text := range []string{ping.String(), lead.String(), click.String()} {
			if len(text) != IDTextBytes || text != strings.ToLower(text) {
				t.Fatalf("an id is written %q", text)
			}
		}
		if got, ok := m.ParsePing(ping.String()); !ok || got != ping || !got.Time().Equal(now) {
			t.Fatalf("ping %s is read as %s, %t, of %s", ping, got, ok, got.Time())
		}
		if got, ok := m.ParseLead(lead.String()); !ok || got != lead || !got.Time().Equal(now) {
			t.Fatalf("lead %s is read as %s, %t, of %s", lead, got, ok, got.Time())
		}
		if got, ok := m.ParseClick(click.String()); !ok || got != click || !got.Time().Equal(now) {
			t.Fatalf("click %s is read as %s, %t, of %s", click, got, ok, got.Time())
		}
	})
}

func TestIDsSortByTime(t *testing.T) {
	m := newTestMinter(t, 'k')
	rapid.Check(t, func(t *rapid.T) {
		a := rapid.Int64Range(0, 1<<48-2).Draw(t, "a")
		b := rapid.Int64Range(a+1, 1<<48-1).Draw(t, "b")
		x, y := m.Ping(time.UnixMilli(a)).String(), m.Ping(time.UnixMilli(b)).String()
		if x >= y {
			t.Fatalf("%s of %d does not sort before %s of %d", x, a, y, b)
		}
	})
}

// Every single bit counts, and so does every character.
func TestForgedIDsAreRefused(t *testing.T) {
	m := newTestMinter(t, 'k')
	ping := m.Ping(idEpoch)
	for bit := range idBytes * 8 {
		forged := ping
		forged[bit/8] ^= 1 << (bit % 8)
		if _, ok := m.ParsePing(forged.String()); ok {
			t.Errorf("an id with bit %d turned is taken for ours", bit)
		}
	}
	text := ping.String()
	for name, forged := range map[string]string{
		"upper case": strings.ToUpper(text), "empty": "", "truncated": text[:31], "longer": text + "0", "foreign letter": "u" + text[1:],
		"space": " " + text[:31], "zero id": PingID{}.String(), "not ASCII": "é" + text[2:], "another house": newTestMinter(t, 'x').Ping(idEpoch).String(),
	} {
		if got, ok := m.ParsePing(forged); ok || !got.IsZero() {
			t.Errorf("%s: %q is taken for ours", name, forged)
		}
	}
}

func TestIDsOfOneKindDoNotPassForAnother(t *testing.T) {
	m := newTestMinter(t, 'k')
	ping, lead, click := m.Ping(idEpoch).String(), m.Lead(idEpoch).String(), m.Click(idEpoch).String()
	for _, text := range []string{lead, click} {
		if _, ok := m.ParsePing(text); ok {
			t.Errorf("%s passes for a ping", text)
		}
	}
	for _, text := range []string{ping, click} {
		if _, ok := m.ParseLead(text); ok {
			t.Errorf("%s passes for a lead", text)
		}
	}
	for _, text := range []string{ping, lead} {
		if _, ok := m.ParseClick(text); ok {
			t.Errorf("%s passes for a click", text)
		}
	}
}

// The decoder skips line breaks, so that an id whose last bits are zero had a
// second name: its first 31 characters and a break.
func TestAnIDHasOneName(t *testing.T) {
	m := newTestMinter(t, 'k')
	zeros := 0
	for i := range 10_000 {
		text := m.Ping(idEpoch.Add(time.Duration(i) * time.Millisecond)).String()
		if text[31] == '0' {
			zeros++
		}
		for _, alias := range []string{text[:31] + "\n", text[:31] + "\r", "\n" + text[:31]} {
			if _, ok := m.ParsePing(alias); ok {
				t.Fatalf("%q passes for %s", alias, text)
			}
		}
	}
	if zeros == 0 {
		t.Fatal("no id ended in a zero: the test shows nothing")
	}
}

func TestMinterRefusesBadKeysAndNodes(t *testing.T) {
	if _, err := NewMinter(make([]byte, 16), 4096, nil); err == nil || !strings.Contains(err.Error(), "0 to 4095") {
		t.Errorf("node 4096: %v", err)
	}
	if _, err := NewMinter(make([]byte, 15), 0, nil); err == nil {
		t.Error("a key of 15 bytes is taken")
	}
}

func TestIDsDoNotAllocate(t *testing.T) {
	m := newTestMinter(t, 'k')
	buf := make([]byte, 0, IDTextBytes)
	text := m.Ping(idEpoch).String()
	if n := testing.AllocsPerRun(1000, func() { buf = m.Ping(idEpoch).Append(buf[:0]) }); n != 0 {
		t.Errorf("minting: %v allocations, want 0", n)
	}
	if n := testing.AllocsPerRun(1000, func() {
		if _, ok := m.ParsePing(text); !ok {
			t.Fatal("refused")
		}
	}); n != 0 {
		t.Errorf("reading: %v allocations, want 0", n)
	}
}

// The blocks that ids are signed in are pooled: goroutines must not share one.
func TestMinterIsSafeForConcurrentUse(t *testing.T) {
	m, err := NewMinter(make([]byte, 16), 1, rand.Uint64)
	if err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			for range 2000 {
				if v := m.Lead(idEpoch); !parses(m, v) {
					t.Errorf("%s is refused", v)
					return
				}
			}
		})
	}
	wg.Wait()
}

func parses(m *Minter, v LeadID) bool {
	got, ok := m.ParseLead(v.String())
	return ok && got == v
}

func TestBidIDs(t *testing.T) {
	m := newTestMinter(t, 'k')
	ping, other := m.Ping(idEpoch), m.Ping(idEpoch)
	for _, n := range []LegNo{1, 2, 10, 65535} {
		text := string(AppendBidID(nil, ping, n))
		if got, ok := ParseBidID(text, ping); !ok || got != n {
			t.Errorf("%s is read as leg %d, %t", text, got, ok)
		}
		if _, ok := ParseBidID(text, other); ok {
			t.Errorf("%s passes for a leg of another ping", text)
		}
	}
	for _, tail := range []string{"", "-", "-0", "-01", "-+1", "--1", "-1 ", "-65536", "-1e1", "-1_0", "1", "-x"} {
		if n, ok := ParseBidID(ping.String()+tail, ping); ok {
			t.Errorf("%q is read as leg %d", tail, n)
		}
	}
}

func FuzzParseIDs(f *testing.F) {
	m := newTestMinter(f, 'k')
	f.Add(m.Ping(idEpoch).String())
	f.Add(m.Lead(idEpoch).String() + "-1")
	f.Fuzz(func(t *testing.T, text string) {
		if v, ok := m.ParsePing(text); ok && v.String() != text {
			t.Errorf("%q is read as %s", text, v)
		}
		if n, ok := ParseBidID(text, PingID{}); ok && string(AppendBidID(nil, PingID{}, n)) != text {
			t.Errorf("%q is read as leg %d", text, n)
		}
	})
}
