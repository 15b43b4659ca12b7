package app

import "time"

const (
	// workMost is how long a reload keeps a core before it gives way.
	workMost = 300 * time.Microsecond
	// breathFor is how long it gives way at least; the runtime's timers may make a millisecond of it.
	breathFor = 300 * time.Microsecond
)

// breath lets a reload give way: whoever works for it calls take after every
// small piece, and take sleeps now and then, so that pings find a core within
// workMost. Outside of begin and end, as at the first start, nobody waits and
// take does nothing. It belongs to the goroutine that holds App.reload.
//
// Without it the reload ran until the scheduler took its core away, 20 ms at a
// time in a trace, and what it had made ready waited as long. runtime.Gosched
// in place of the sleep was tried and changed nothing.
type breath struct {
	began time.Time // of the piece of work at hand; zero outside of a reload
	taken int       // since the process began
}

func (b *breath) begin() { b.began = time.Now() }

func (b *breath) end() { b.began = time.Time{} }

func (b *breath) take() {
	if !b.began.IsZero() && time.Since(b.began) >= workMost {
		time.Sleep(breathFor)
		b.taken++
		b.began = time.Now()
	}
}
