package sim

import (
	"errors"
	"flag"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/valyala/fasthttp"
	"github.com/valyala/fasthttp/fasthttputil"
)

var (
	seeds = flag.Int("seeds", everyKind, "how many seeds to run")
	first = flag.Uint64("seed", 1, "the first of them")
	keep  = flag.String("keep", filepath.Join(os.TempDir(), "vendue-sim"), "where a failed seed leaves its journal and log")
)

// everyKind is how many seeds are enough to meet every kind of fault. A run of
// so many that never met one proves less than it says, and fails.
const everyKind = 100

// seedMax bounds the real time of one seed. A bubble with a goroutine that waits
// for a mutex for ever neither goes on nor ends; this shows all stacks.
const seedMax = 2 * time.Minute

// TestMain makes fasthttp start its process-wide goroutine outside any bubble.
func TestMain(m *testing.M) {
	ln := fasthttputil.NewInmemoryListener()
	server := fasthttp.Server{Handler: func(*fasthttp.RequestCtx) {}}
	var served sync.WaitGroup
	served.Go(func() {
		_ = server.Serve(ln) // ends with the listener
	})
	client := fasthttp.Client{Dial: func(string) (net.Conn, error) { return ln.Dial() }}
	if _, _, err := client.Get(nil, "http://warm/"); err != nil {
		fmt.Fprintln(os.Stderr, "cannot warm up:", err)
		os.Exit(1)
	}
	if err := errors.Join(checkStamp(), os.Setenv(hookSecret, "a secret of north's own")); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	client.CloseIdleConnections()
	_ = ln.Close() // of memory
	served.Wait()
	os.Exit(m.Run())
}

// TestSeeds runs the market of each seed and checks every invariant.
//
//	go test ./bench/sim -seeds 1000 -seed 1 -v     many, with a summary
//	go test ./bench/sim -seeds 1 -seed 17 -v       one
func TestSeeds(t *testing.T) {
	all := newTally()
	authority, err := newAuthority()
	if err != nil {
		t.Fatal(err)
	}
	var hours time.Duration
	began := time.Now()
	for n := range uint64(*seeds) {
		seed := *first + n
		t.Run(fmt.Sprintf("seed %d", seed), func(t *testing.T) {
			emptyPools()
			note(t, seed)
			w := &scene{t: t, plan: newPlan(seed), tally: newTally(), dir: t.TempDir(), authority: authority}
			hung := time.AfterFunc(seedMax, func() {
				debug.SetTraceback("all")
				panic(fmt.Sprintf("seed %d hangs", seed))
			})
			synctest.Test(t, func(*testing.T) { w.run() })
			hung.Stop()
			hours += w.took
			all.merge(w.tally)
			w.judge()
		})
	}
	took := time.Since(began)
	t.Logf("sim: %d seeds from %d in %s, %.1f simulated hours, %d leads checked\n%s",
		*seeds, *first, took.Round(time.Millisecond), hours.Hours(), all.counts["leads checked"], all.text())
	for _, kind := range kinds() {
		if *seeds >= everyKind && all.counts[kind] == 0 {
			t.Errorf("%d seeds, and not once: %s", *seeds, kind)
		}
	}
}

// note leaves the seed that runs in a file: a panic of the daemon ends the whole process, and names no seed.
func note(t *testing.T, seed uint64) {
	err := os.MkdirAll(*keep, 0o700)
	if err == nil {
		err = os.WriteFile(filepath.Join(*keep, "running"), fmt.Appendln(nil, seed), 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
}

// emptyPools lets go of pooled objects of the last bubble: a timer or channel
// of one bubble must not be used in another. What is pooled lives for two collections.
func emptyPools() {
	runtime.GC()
	runtime.GC()
}
