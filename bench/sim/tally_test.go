package sim

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"sync/atomic"

	"vendue/exchange"
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

// kinds are the faults and the ways out of them that every long run must meet.
func kinds() []string {
	all := slices.Concat(turnNames[:], gateNames[:], []string{
		"power lost during a start", "clock set while down", "clock set forward", "clock set back", "clock set by more than an hour",
		"disk error at a write", "disk error at a sync", "dial refused", "dial hung", "connection reset", "kept connection closed", "caller cut",
		"callback", "wrong callback", "callback of another buyer", "operator's word", "wrong operator's word", "buyer's list", "contradicted",
		"repeated request", "postbacks", "webhook notices", "legs left in doubt", "caps recounted", "test attempts", "shared by several",
		"return taken", "return repeated", "return asked twice at once", "return of another buyer's leg", "late return refused", "return that frees caps", "returned by buyer", "returned by operator",
	})
	for _, method := range methods {
		all = append(all, "tier by "+method)
	}
	for _, kept := range []int{0, 50, 100} {
		all = append(all, fmt.Sprintf("crash point, %d%% of unsynced data kept", kept))
	}
	for by := exchange.SettledByBuyer; by <= exchange.SettledByReconciliation; by++ {
		all = append(all, "settled sold by "+by.String(), "settled unsold by "+by.String())
	}
	return all
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
