package sim

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
)

// tally counts what happened, by kind. mu guards counts.
type tally struct {
	mu     sync.Mutex
	counts map[string]int
}

func newTally() *tally { return &tally{counts: make(map[string]int)} }

func (t *tally) add(kind string, n int) {
	t.mu.Lock()
	t.counts[kind] += n
	t.mu.Unlock()
}

func (t *tally) count(kind string) int {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.counts[kind]
}

func (t *tally) merge(o *tally) {
	o.mu.Lock()
	defer o.mu.Unlock()
	for kind, n := range o.counts {
		t.add(kind, n)
	}
}

// text lists the counts, a line each.
func (t *tally) text() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	var out strings.Builder
	for _, kind := range slices.Sorted(maps.Keys(t.counts)) {
		fmt.Fprintf(&out, "  %8d %s\n", t.counts[kind], kind)
	}
	return out.String()
}

// countdown finds the n-th of many concurrent chances.
type countdown struct{ left atomic.Int64 }

func newCountdown(n int) *countdown {
	c := new(countdown)
	c.left.Store(int64(n))
	return c
}

// hit is true once, at the n-th call.
func (c *countdown) hit() bool { return c.left.Add(-1) == 0 }

// past tells whether the n-th call is over.
func (c *countdown) past() bool { return c.left.Load() <= 0 }
