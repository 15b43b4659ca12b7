package main

import (
	"testing"
	"testing/synctest"
	"time"
)

// A failed journal ends the process, even where the disk keeps what would have to end before.
func TestWithin(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for _, c := range []struct{ takes, want time.Duration }{{time.Second, time.Second}, {time.Hour, failedMax}} {
			began := time.Now()
			within(failedMax, func() { time.Sleep(c.takes) })
			if took := time.Since(began); took != c.want {
				t.Errorf("%s: came back after %s, want %s", c.takes, took, c.want)
			}
		}
		time.Sleep(time.Hour) // until what was left behind ends
	})
}
