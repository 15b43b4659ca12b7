package exchange

import (
	"testing"
	"time"
	_ "time/tzdata" // the cases name zones, and must run where the system has none

	"pgregory.net/rapid"
)

// Zones with every manner of changing clocks: at two in the night, at midnight
// (no 00:00, or two of them), by half an hour, to and from a whole day, and never.
var zoneNames = []string{
	"UTC", "America/New_York", "Europe/London", "Asia/Kolkata", "Australia/Lord_Howe", "America/Sao_Paulo",
	"America/Havana", "America/Santiago", "Asia/Beirut", "Africa/Cairo", "Asia/Amman", "Pacific/Apia", "Asia/Tehran",
}

func mustZone(name string) *time.Location {
	zone, err := time.LoadLocation(name)
	if err != nil {
		panic(err)
	}
	return zone
}

func at(t *testing.T, text string) time.Time {
	t.Helper()
	v, err := time.Parse(time.RFC3339, text)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

func TestWindowStart(t *testing.T) {
	for _, c := range []struct {
		zone       string
		per        Window
		now, start string
	}{
		{"America/New_York", PerHour, "2026-06-09T10:59:59.999-04:00", "2026-06-09T10:00:00-04:00"},
		{"America/New_York", PerDay, "2026-06-09T23:59:59-04:00", "2026-06-09T00:00:00-04:00"},
		{"America/New_York", PerDay, "2026-06-10T03:00:00Z", "2026-06-09T00:00:00-04:00"},
		{"America/New_York", PerWeek, "2026-06-14T23:59:59-04:00", "2026-06-08T00:00:00-04:00"},
		{"America/New_York", PerWeek, "2026-06-15T00:00:00-04:00", "2026-06-15T00:00:00-04:00"},
		{"America/New_York", PerWeek, "2026-01-01T12:00:00-05:00", "2025-12-29T00:00:00-05:00"},
		{"America/New_York", PerMonth, "2026-02-28T23:59:59-05:00", "2026-02-01T00:00:00-05:00"},
		{"America/New_York", PerMonth, "2028-02-29T23:59:59-05:00", "2028-02-01T00:00:00-05:00"},
		{"America/New_York", PerMonth, "2026-03-31T12:00:00-04:00", "2026-03-01T00:00:00-05:00"},
		{"America/New_York", PerTotal, "2026-03-31T12:00:00-04:00", "1970-01-01T00:00:00Z"},
		// Spring and autumn: a day of 23 hours, one of 25, and an hour that comes twice.
		{"America/New_York", PerDay, "2026-03-08T23:59:59-04:00", "2026-03-08T00:00:00-05:00"},
		{"America/New_York", PerHour, "2026-03-08T03:00:00-04:00", "2026-03-08T03:00:00-04:00"},
		{"America/New_York", PerDay, "2026-11-01T23:59:59-05:00", "2026-11-01T00:00:00-04:00"},
		{"America/New_York", PerHour, "2026-11-01T01:59:59-04:00", "2026-11-01T01:00:00-04:00"},
		{"America/New_York", PerHour, "2026-11-01T01:00:00-05:00", "2026-11-01T01:00:00-05:00"},
		{"Europe/London", PerDay, "2026-10-25T12:00:00Z", "2026-10-25T00:00:00+01:00"},
		{"Asia/Kolkata", PerHour, "2026-06-09T10:29:00+05:30", "2026-06-09T10:00:00+05:30"},
		// Half an hour forward and back.
		{"Australia/Lord_Howe", PerHour, "2026-10-04T02:45:00+11:00", "2026-10-04T02:30:00+11:00"},
		{"Australia/Lord_Howe", PerHour, "2026-04-05T01:45:00+11:00", "2026-04-05T01:00:00+11:00"},
		{"Australia/Lord_Howe", PerHour, "2026-04-05T01:45:00+10:30", "2026-04-05T01:30:00+10:30"},
		// No 00:00: the day begins at 01:00.
		{"America/Sao_Paulo", PerDay, "2018-11-04T12:00:00-02:00", "2018-11-04T01:00:00-02:00"},
		{"America/Sao_Paulo", PerDay, "2018-11-03T23:59:59-03:00", "2018-11-03T00:00:00-03:00"},
		// 23:00 twice: one long day.
		{"America/Sao_Paulo", PerDay, "2018-02-17T23:30:00-03:00", "2018-02-17T00:00:00-02:00"},
		{"America/Sao_Paulo", PerDay, "2018-02-18T00:00:00-03:00", "2018-02-18T00:00:00-03:00"},
		// 00:00 twice: the day begins at the first, and so does a month.
		{"America/Havana", PerDay, "2026-11-01T00:30:00-05:00", "2026-11-01T00:00:00-04:00"},
		{"America/Havana", PerMonth, "2026-11-15T12:00:00-05:00", "2026-11-01T00:00:00-04:00"},
		{"Asia/Amman", PerDay, "2021-10-29T00:30:00+02:00", "2021-10-29T00:00:00+03:00"},
		// 23:30 became 00:30: 00:00 lies within what was left out.
		{"America/Toronto", PerDay, "1919-03-31T12:00:00-04:00", "1919-03-31T00:30:00-04:00"},
		// A day that did not exist.
		{"Pacific/Apia", PerDay, "2011-12-31T00:00:00+14:00", "2011-12-31T00:00:00+14:00"},
	} {
		got := time.Unix(c.per.Start(at(t, c.now), mustZone(c.zone)), 0)
		if want := at(t, c.start); !got.Equal(want) {
			t.Errorf("%s: the %s of %s began at %s, want %s", c.zone, c.per, c.now, got.In(mustZone(c.zone)).Format(time.RFC3339), want.Format(time.RFC3339))
		}
	}
}

// A window's start belongs to the window, is never in the future, and never
// goes back: else two windows would share room, or one would have it twice.
func TestWindowsPartitionTime(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		zone := mustZone(rapid.SampledFrom(zoneNames).Draw(t, "zone"))
		per := Window(rapid.IntRange(1, 5).Draw(t, "per"))
		// Half of the instants are drawn near a change of the clocks.
		now := time.Unix(rapid.Int64Range(1_300_000_000, 2_100_000_000).Draw(t, "now"), rapid.Int64Range(0, 999_999_999).Draw(t, "ns"))
		if from, _ := now.In(zone).ZoneBounds(); from.Unix() > 1_000_000_000 && rapid.Bool().Draw(t, "near") {
			now = from.Add(time.Duration(rapid.IntRange(-3*3600, 3*3600).Draw(t, "offset")) * time.Second)
		}
		start := per.Start(now, zone)
		if start > now.Unix() {
			t.Fatalf("%s %s: %s is before its window's start %d", zone, per, now.In(zone), start)
		}
		if again := per.Start(time.Unix(start, 0), zone); again != start {
			t.Fatalf("%s %s: the window of %s begins at %d, but that instant's own at %d", zone, per, now.In(zone), start, again)
		}
		later := now.Add(time.Duration(rapid.IntRange(0, 90*86400).Draw(t, "later")) * time.Second)
		if next := per.Start(later, zone); next < start {
			t.Fatalf("%s %s: window starts go back from %s to %s", zone, per, now.In(zone), later.In(zone))
		}
		if start > 0 {
			if before := per.Start(time.Unix(start-1, 0), zone); before >= start {
				t.Fatalf("%s %s: the second before %d has start %d", zone, per, start, before)
			}
		}
	})
}

func TestHours(t *testing.T) {
	days := func(list ...time.Weekday) (d [7]bool) {
		for _, day := range list {
			d[day] = true
		}
		return d
	}
	office := Hours{Set: true, Days: days(time.Monday, time.Friday), FromMin: 9 * 60, UntilMin: 17 * 60}
	night := Hours{Set: true, Days: days(time.Saturday), FromMin: 22 * 60, UntilMin: 6 * 60}
	round := Hours{Set: true, Days: days(time.Monday), FromMin: 12 * 60, UntilMin: 12 * 60}
	whole := Hours{Set: true, Days: days(time.Monday), FromMin: 0, UntilMin: 1440}
	never := Hours{Set: true, FromMin: 0, UntilMin: 1440}
	for _, c := range []struct {
		name  string
		hours Hours
		now   string // in New York; 8 June 2026 is a Monday
		open  bool
	}{
		{"unset", Hours{}, "2026-06-10T03:00:00-04:00", true},
		{"never", never, "2026-06-08T03:00:00-04:00", false},
		{"office", office, "2026-06-08T08:59:59-04:00", false},
		{"office", office, "2026-06-08T09:00:00-04:00", true},
		{"office", office, "2026-06-08T16:59:59-04:00", true},
		{"office", office, "2026-06-08T17:00:00-04:00", false},
		{"office", office, "2026-06-09T12:00:00-04:00", false},
		{"office", office, "2026-06-08T13:00:00Z", true}, // the clocks of New York decide
		{"night", night, "2026-06-13T21:59:59-04:00", false},
		{"night", night, "2026-06-13T22:00:00-04:00", true},
		{"night", night, "2026-06-14T05:59:59-04:00", true},
		{"night", night, "2026-06-14T06:00:00-04:00", false},
		{"night", night, "2026-06-13T05:00:00-04:00", false}, // Friday's night
		{"night", night, "2026-06-14T22:00:00-04:00", false}, // Sunday's
		{"round", round, "2026-06-08T11:59:00-04:00", false},
		{"round", round, "2026-06-08T12:00:00-04:00", true},
		{"round", round, "2026-06-09T11:59:00-04:00", true},
		{"round", round, "2026-06-09T12:00:00-04:00", false},
		{"whole", whole, "2026-06-07T23:59:59-04:00", false},
		{"whole", whole, "2026-06-08T00:00:00-04:00", true},
		{"whole", whole, "2026-06-08T23:59:59-04:00", true},
		{"whole", whole, "2026-06-09T00:00:00-04:00", false},
		{"night, clocks back", night, "2026-11-01T01:30:00-04:00", true},
		{"night, clocks back", night, "2026-11-01T01:30:00-05:00", true},
		{"night, clocks back", night, "2026-11-01T06:00:00-05:00", false},
		{"night, clocks forward", night, "2026-03-08T03:00:00-04:00", true},
		{"night, clocks forward", night, "2026-03-08T06:00:00-04:00", false},
	} {
		if got := c.hours.Open(at(t, c.now), mustZone("America/New_York")); got != c.open {
			t.Errorf("%s at %s: open %t, want %t", c.name, c.now, got, c.open)
		}
	}
}

func BenchmarkWindowStart(b *testing.B) {
	zone, now := mustZone("America/New_York"), time.Unix(1_790_000_000, 0)
	for _, per := range []Window{PerHour, PerDay, PerMonth} {
		b.Run(per.String(), func(b *testing.B) {
			for b.Loop() {
				per.Start(now, zone)
			}
		})
	}
}
