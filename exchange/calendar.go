package exchange

import "time"

// Window is the span of time that a cap counts in.
type Window uint8

// The windows. A week begins on Monday; all begin in the house's time zone.
const (
	PerHour Window = iota + 1
	PerDay
	PerWeek
	PerMonth
	PerTotal
)

var windowWords = [...]string{"", "hour", "day", "week", "month", "total"}

// String returns the word the config uses.
func (w Window) String() string {
	if int(w) >= len(windowWords) {
		return "invalid"
	}
	return windowWords[w]
}

// MarshalText returns the word.
func (w Window) MarshalText() ([]byte, error) { return []byte(w.String()), nil }

// Start returns the Unix second at which the window that holds t began, 0 for PerTotal.
func (w Window) Start(t time.Time, zone *time.Location) int64 {
	t = t.In(zone)
	y, m, d := t.Date()
	switch w {
	case PerHour:
		// Counted from t, not rebuilt from its parts: the hour that the clocks repeat in autumn is two windows.
		start := t.Add(-time.Duration(t.Minute())*time.Minute - time.Duration(t.Second())*time.Second)
		if changed, _ := t.ZoneBounds(); start.Before(changed) {
			start = changed // the clocks moved within the hour, by less than one
		}
		return start.Unix()
	case PerDay:
		return dayStart(y, m, d, zone)
	case PerWeek:
		sinceMonday := (int(t.Weekday()) + 6) % 7
		return dayStart(y, m, d-sinceMonday, zone)
	case PerMonth:
		return dayStart(y, m, 1, zone)
	default:
		return 0
	}
}

// dayStart returns the Unix second at which a day began. That is not always a
// time.Date of 00:00: where the clocks go forward at midnight there is no
// 00:00, and where they go back over it there are two.
func dayStart(year int, month time.Month, day int, zone *time.Location) int64 {
	t := time.Date(year, month, day, 0, 0, 0, 0, zone)
	changed, changes := t.ZoneBounds()
	switch hour, minute, _ := t.Clock(); {
	case hour >= 12: // time.Date took the missing 00:00 as the evening before
		return changes.Unix()
	case hour > 0 || minute > 0: // or as the morning after
		return changed.Unix()
	case changed.IsZero():
		return t.Unix()
	}
	_, offset := t.Zone()
	_, before := changed.Add(-time.Second).Zone()
	if first := t.Add(time.Duration(offset-before) * time.Second); first.Before(changed) {
		return first.Unix()
	}
	return t.Unix()
}

// Hours says when a contract is open, in the house's time zone. The zero value is always open.
type Hours struct {
	Set      bool
	Days     [7]bool // by time.Weekday
	FromMin  int     // minutes after midnight, 0 to 1440
	UntilMin int     // at or below FromMin the span runs over midnight and belongs to the day it began
}

// Open tells whether t is within the hours.
func (h *Hours) Open(t time.Time, zone *time.Location) bool {
	if !h.Set {
		return true
	}
	t = t.In(zone)
	return h.OpenAt(t.Weekday(), t.Hour()*60+t.Minute())
}

// OpenAt tells whether the minute of a day, as the clocks of the house's zone show them, is within the hours.
func (h *Hours) OpenAt(day time.Weekday, minute int) bool {
	if !h.Set {
		return true
	}
	if h.FromMin < h.UntilMin {
		return h.Days[day] && minute >= h.FromMin && minute < h.UntilMin
	}
	yesterday := (day + 6) % 7
	return (h.Days[day] && minute >= h.FromMin) || (h.Days[yesterday] && minute < h.UntilMin)
}
