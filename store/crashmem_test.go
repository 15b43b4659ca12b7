package store

import (
	"sync"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// A copy of the disk asked for at any instant waits for nobody for ever.
func TestCopyDuringLock(t *testing.T) {
	mem := newCrashMem()
	if err := mem.MkdirAll("data", 0o755); err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	wg.Go(func() {
		for range 5_000 {
			mem.CrashClone(vfs.CrashCloneCfg{})
		}
	})
	for range 5_000 {
		held, err := mem.Lock("data/LOCK")
		if err != nil {
			t.Fatal(err)
		}
		if err := held.Close(); err != nil {
			t.Fatal(err)
		}
	}
	wg.Wait()
}
