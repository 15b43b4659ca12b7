package store

import (
	"testing"
	"time"
)

// A sync waits for company only where company comes, and not where it is there already.
func TestPace(t *testing.T) {
	for _, c := range []struct {
		name   string
		events uint64
		passed time.Duration
		want   time.Duration
	}{
		{"idle", 1, time.Second, 0},
		{"a thousand sales a second", 1, 500 * time.Microsecond, 0},
		{"ten thousand events a second", 5, 500 * time.Microsecond, paceWait},
		{"the same, waiting", 12, 1200 * time.Microsecond, paceWait},
		{"as fast as a disk takes them", 48, 300 * time.Microsecond, 0},
		{"a slow disk", 12, 5500 * time.Microsecond, 0},
		{"sixty-four waiters after a wait", 64, time.Millisecond, 0},
	} {
		var p pace
		p.after(100, time.Second)
		if got := p.after(100+c.events, time.Second+c.passed); got != c.want {
			t.Errorf("%s: waits %v, expected %v", c.name, got, c.want)
		}
	}
	var p pace
	p.after(100, time.Second)
	if got := p.after(90, time.Second); got != 0 {
		t.Errorf("two log writers in the wrong order wait %v", got)
	}
}
