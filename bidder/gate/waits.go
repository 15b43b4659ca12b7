package gate

import (
	"math/bits"
	"time"
)

// How long an answer is worth waiting for.
const (
	waitLeast   = 200                   // bids seen before anything is concluded
	waitKept    = 2000                  // bids after which older ones weigh half
	waitEvery   = 32                    // bids between two looks at them
	waitFull    = 20                    // one ping in so many may take the contract's own time
	waitSlack   = 25 * time.Millisecond // a pause of our own machine must cost no bids
	waitDoubt   = 5                     // pings in a row that nobody answered within the wait, and it is in doubt
	waitBuckets = 128
)

// waits counts how long answers with a bid took, in buckets an eighth wider each
// than its bounds. A ping that was given all of the contract's time stands for
// waitFull of them where it took longer than the others may: it alone can tell of those.
//
// A buyer who becomes slower all at once, or a machine that does, would have nearly all its pings cut
// short. So the wait is in doubt after waitDoubt in a row: from then on every ping has all of the
// contract's time, until an answer comes within the wait or it has been looked at anew. Whether
// those cut short were faults, the next that has longer tells: see breaker.
type waits struct {
	counts [waitBuckets]uint32
	total  uint32
	since  uint32 // bids since the last look
	dice   dice
	wait   time.Duration // 0: not known yet
	missed int           // pings that ended with the wait, since somebody last answered within it
}

// worth returns how long to wait, and whether this ping may take all the time there is.
func (w *waits) worth(most time.Duration) (wait time.Duration, full bool) {
	if w.wait == 0 || w.wait >= most || w.missed >= waitDoubt || w.dice.oneIn(waitFull) {
		return most, true
	}
	return w.wait, false
}

func (w *waits) note(took time.Duration, full bool) {
	weight := uint32(1)
	if full && w.wait > 0 && took > w.wait {
		weight = waitFull
	}
	w.counts[waitBucket(took)] += weight
	w.total += weight
	if w.since++; w.since >= waitEvery && w.total >= waitLeast {
		w.since = 0
		w.look()
	}
}

// heard takes note of any answer.
func (w *waits) heard(took time.Duration) {
	if took <= w.wait {
		w.missed = 0
	}
}

// look finds the time that 99 of 100 bids take, and adds half of it and a little more.
func (w *waits) look() {
	w.missed = 0
	rest := w.total / 100
	for i := waitBuckets - 1; i >= 0; i-- {
		if w.counts[i] > rest {
			p99 := waitBound(i)
			w.wait = p99 + p99/2 + waitSlack
			break
		}
		rest -= w.counts[i]
	}
	if w.total < waitKept {
		return
	}
	w.total = 0
	for i := range w.counts {
		w.counts[i] /= 2
		w.total += w.counts[i]
	}
}

// waitBucket returns the bucket of a time: eight to each doubling of 64 microseconds.
func waitBucket(took time.Duration) int {
	n := uint64(max(took.Microseconds(), 0))/64 + 8
	shift := bits.Len64(n) - 4
	return min(shift*8+int(n>>shift)-8, waitBuckets-1)
}

// waitBound returns the time above all of a bucket's.
func waitBound(bucket int) time.Duration {
	shift, n := bucket/8, uint64(bucket%8+9)
	return time.Duration((n<<shift)-8) * 64 * time.Microsecond
}
