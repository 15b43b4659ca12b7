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
		return t.Add(-time.Duration(t.Minute())*time.Minute - time.Duration(t.Second())*time.Second).Unix()
	case PerDay:
		return time.Date(y, m, d, 0, 0, 0, 0, zone).Unix()
	case PerWeek:
		sinceMonday := (int(t.Weekday()) + 6) % 7
		return time.Date(y, m, d-sinceMonday, 0, 0, 0, 0, zone).Unix()
	case PerMonth:
		return time.Date(y, m, 1, 0, 0, 0, 0, zone).Unix()
	default:
		return 0
	}
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
