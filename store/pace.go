package store

import (
	"sync/atomic"
	"time"
)

// How the journal's syncs are paced; see pace.
const (
	paceWait      = 700 * time.Microsecond
	paceEventsMin = 4
	paceRateMax   = 16_000               // events per second
	pacePassedMax = 5 * time.Millisecond // a disk this slow gathers by itself
)

// pace decides how long the journal waits after one sync before it begins the next.
//
// A sync costs the same for one event as for fifty. When they come slowly it
// begins at once, so that nobody waits for company that does not come. When
// they come so fast that every waiter has it anyway, waiting would only idle
// the disk. Between the two, which is where a busy house lives, a short wait
// halves the number of syncs: a tenth of the CPU of a sale. A bound on the
// events of one sync was tried in place of that on their rate; it ended the
// wait whenever the wait had worked.
//
// Only the committer calls it.
type pace struct {
	began time.Time
	seq   atomic.Uint64 // at the last sync's end
	at    atomic.Int64  // the same in time, since began
}

// after returns the wait after a sync that ends now, when seq is the last event appended.
func (p *pace) after(seq uint64, now time.Duration) time.Duration {
	events := float64(seq - min(p.seq.Swap(seq), seq))
	passed := now - time.Duration(p.at.Swap(int64(now)))
	if events < paceEventsMin || events > paceRateMax*passed.Seconds() || passed > pacePassedMax {
		return 0
	}
	return paceWait
}
