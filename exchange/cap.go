package exchange

import (
	"math"
	"strings"
	"time"
)

// Days is a set of weekdays. The zero Days is every day.
type Days uint8

// dayWords are the config's words for the weekdays, by time.Weekday.
var dayWords = [...]string{"sun", "mon", "tue", "wed", "thu", "fri", "sat"}

// DaysOf returns the set of the weekdays given; none given is every day.
func DaysOf(days ...time.Weekday) (d Days) {
	for _, day := range days {
		d |= 1 << day
	}
	return d
}

// Has tells whether day is in the set.
func (d Days) Has(day time.Weekday) bool { return d == 0 || d&(1<<day) != 0 }

// Both returns a day that is in both sets, and whether there is one.
func (d Days) Both(other Days) (time.Weekday, bool) {
	for i := range 7 {
		if day := time.Weekday((i + 1) % 7); d.Has(day) && other.Has(day) {
			return day, true
		}
	}
	return 0, false
}

// String returns the config's words from Monday on, joined by "+"; every day is the empty string.
func (d Days) String() string {
	if d == 0 {
		return ""
	}
	var words []string
	for i := range 7 {
		if day := time.Weekday((i + 1) % 7); d.Has(day) {
			words = append(words, dayWords[day])
		}
	}
	return strings.Join(words, "+")
}

// Counts tells whether a sale on this weekday, as the clocks of the house's zone
// show it, counts in the cap. Where it does not, the cap bounds nothing that day.
func (c *Cap) Counts(day time.Weekday) bool { return c.Days.Has(day) }

const balanceSuffix = "/total/balance"

// BalanceCap names the cap that a buyer's prepaid balance is: a limit of what it paid in, on all that it ever spends.
func BalanceCap(buyer BuyerID) CapID { return CapID("buyer/" + string(buyer) + balanceSuffix) }

// IsBalance tells whether a cap is a prepaid balance.
func (id CapID) IsBalance() bool { return strings.HasSuffix(string(id), balanceSuffix) }

// Unscheduled is the schedule of a cap that has none.
const Unscheduled = math.MaxInt64

// Moves tells whether the cap's bound may differ from its Limit at an instant.
func (c *Cap) Moves() bool { return c.Even || c.Prepaid }
