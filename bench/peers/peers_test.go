//go:build linux

package peers

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"vendue/bench/load/buyers"
)

// market runs buyers for the rest of the test process and returns their addresses.
func market(t *testing.T, cfg buyers.Config) []string {
	t.Helper()
	ready := make(chan []int, 1)
	go func() {
		if err := buyers.Serve(cfg, func(p []int) { ready <- p }); err != nil {
			panic(err)
		}
	}()
	var addrs []string
	for _, port := range <-ready {
		addrs = append(addrs, fmt.Sprintf("127.0.0.1:%d", port))
	}
	return addrs
}

// peer runs one peer and returns its URL.
func peer(t *testing.T, kind string, addrs []string, log string) string {
	t.Helper()
	ln, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	wg.Go(func() { _ = Serve(kind, ln, addrs, log) })
	t.Cleanup(func() {
		_ = ln.Close()
		wg.Wait()
	})
	return "http://" + ln.Addr().String() + "/lead"
}

func sell(t *testing.T, c *http.Client, url string) string {
	t.Helper()
	resp, err := c.Post(url, "application/json", strings.NewReader(`{"lead":{}}`))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// Every peer sells to the highest of ten: buyer 7 of ten bids 14.50.
func TestPeers(t *testing.T) {
	addrs := market(t, buyers.Config{N: 10})
	c := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 4}}
	defer c.CloseIdleConnections()
	for _, kind := range []string{Raw, RawLog, FastHTTP, NetHTTP} {
		log := filepath.Join(t.TempDir(), "log")
		url := peer(t, kind, addrs, log)
		for range 3 {
			got := sell(t, c, url)
			if !strings.Contains(got, `"status":"sold"`) || !strings.Contains(got, `"buyer":7`) || !strings.Contains(got, `"price":14.5`) {
				t.Errorf("%s answers %s; expected a sale to buyer 7 at 14.50", kind, got)
			}
		}
		if info, err := os.Stat(log); kind == RawLog && (err != nil || info.Size() != 3*int64(len(event))) {
			t.Errorf("the log holds %v, %v; expected three events", info, err)
		}
	}
	if err := Serve("carrier pigeon", nil, addrs, ""); err == nil {
		t.Error("an unknown kind is served")
	}
}

// A buyer that hangs costs the wait, not the sale, and nobody at all is a rejection.
func TestSilence(t *testing.T) {
	half := market(t, buyers.Config{N: 2, Hang: 1})
	none := market(t, buyers.Config{N: 1, Hang: 1})
	c := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 4}}
	defer c.CloseIdleConnections()
	for _, kind := range []string{Raw, FastHTTP, NetHTTP} {
		start := time.Now()
		if got := sell(t, c, peer(t, kind, half, "")); !strings.Contains(got, `"buyer":0`) {
			t.Errorf("%s answers %s; expected a sale to the one who bid", kind, got)
		}
		if took := time.Since(start); took < pingLimit || took > 8*pingLimit {
			t.Errorf("%s answers after %s; expected the limit of %s", kind, took, pingLimit)
		}
		if got := sell(t, c, peer(t, kind, none, "")); !strings.Contains(got, "rejected") {
			t.Errorf("%s answers %s where nobody bid", kind, got)
		}
	}
}

// Every record that Append returned for is in the file, whole, and none twice.
func TestLog(t *testing.T) {
	path := filepath.Join(t.TempDir(), "log")
	l, err := OpenLog(path)
	if err != nil {
		t.Fatal(err)
	}
	const callers, each = 16, 50
	var wg sync.WaitGroup
	for i := range callers {
		wg.Go(func() {
			for j := range each {
				if err := l.Append(fmt.Appendf(nil, "%d-%d\n", i, j)); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	if err := l.Append([]byte("x")); err == nil {
		t.Error("a closed log takes a record")
	}
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	seen := make(map[string]bool)
	for line := range strings.Lines(string(b)) {
		if seen[line] {
			t.Errorf("%q stands there twice", line)
		}
		seen[line] = true
	}
	if len(seen) != callers*each || !seen["15-49\n"] {
		t.Errorf("%d records; expected %d", len(seen), callers*each)
	}
}
