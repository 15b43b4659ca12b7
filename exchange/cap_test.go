package exchange

import (
	"testing"
	"time"
)

func TestDays(t *testing.T) {
	weekend := DaysOf(time.Saturday, time.Sunday)
	if got := weekend.String(); got != "sat+sun" {
		t.Errorf("got %q", got)
	}
	if weekend.Has(time.Friday) || !weekend.Has(time.Sunday) || !Days(0).Has(time.Friday) {
		t.Error("a set has what it has not, or the zero one has not every day")
	}
	for _, c := range []struct {
		other Days
		day   time.Weekday
		clash bool
	}{{DaysOf(time.Monday, time.Friday), 0, false}, {DaysOf(time.Friday, time.Sunday), time.Sunday, true}, {0, time.Saturday, true}} {
		if day, clash := weekend.Both(c.other); clash != c.clash || clash && day != c.day {
			t.Errorf("%q and %q share %s, %t", weekend, c.other, day, clash)
		}
	}
}
