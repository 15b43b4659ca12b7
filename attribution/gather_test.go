package attribution

import (
	"testing"
	"testing/synctest"
	"time"

	"vendue/attribution/internal/fake"
	"vendue/exchange"
)

// TestABusyHouseGathersLonger tells entries at two rates and counts the batches
// of 415 ms: one each 10 ms while few come, one each 40 ms while many do. Whoever
// waits for the follower then is not kept for the longer pause.
func TestABusyHouseGathersLonger(t *testing.T) {
	for _, c := range []struct {
		name        string
		gap         time.Duration // between two entries
		least, most int
	}{
		{"calm", time.Millisecond, 30, 42},
		{"busy", 100 * time.Microsecond, 9, 14},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				j, space := fake.NewJournal(), fake.NewSpace()
				a := newRoom(t, j, space)
				a.Start()
				defer a.Stop()
				tellFor := func(d time.Duration) {
					for range d / c.gap {
						time.Sleep(c.gap)
						j.Append(time.Now().UnixNano(), &exchange.LimitSet{})
					}
				}
				tellFor(415 * time.Millisecond)
				if n := space.Commits(); n < c.least || n > c.most {
					t.Errorf("%d batches in 415 ms: expected %d to %d", n, c.least, c.most)
				}
				began := time.Now()
				if err := a.Follow(); err != nil || time.Since(began) > gatherPause {
					t.Errorf("waited %v for the follower: %v", time.Since(began), err)
				}
			})
		})
	}
}
