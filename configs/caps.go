package configs

import (
	"time"

	"vendue/exchange"
)

// days reads a list of weekdays, by time.Weekday. It may not be empty.
func (l *loader) days(n *node) (set [7]bool) {
	words := []string{"sun", "mon", "tue", "wed", "thu", "fri", "sat"}
	items := l.list(n)
	if len(items) == 0 && (n.shape == shapeList || n.shape == shapeNull) {
		l.fault(n.pos, "expected at least one day; leave days out for all of them")
	}
	for _, item := range items {
		day := l.word(item, -1, words...)
		if day < 0 {
			continue
		}
		if set[day] {
			l.fault(item.pos, "day %q stands twice", words[day])
		}
		set[day] = true
	}
	return set
}

// capDays reads the weekdays that a cap counts and bounds, zero for all.
func (l *loader) capDays(n *node) (out exchange.Days) {
	if n == nil {
		return 0
	}
	for day, in := range l.days(n) {
		if in {
			out |= exchange.DaysOf(time.Weekday(day))
		}
	}
	return out
}

// second finds a cap that bounds the same thing on the same day as one before it.
func (l *loader) second(at *node, c *exchange.Cap, before []exchange.Cap) {
	for i := range before {
		other := &before[i]
		if other.Per != c.Per || other.Unit != c.Unit {
			continue
		}
		day, clash := c.Days.Both(other.Days)
		switch {
		case !clash:
			continue
		case c.Days == 0 && other.Days == 0:
			l.fault(at.pos, "a second cap on %s per %s; expected one", c.Unit, c.Per)
		default:
			l.fault(at.pos, "a second cap on %s per %s for %s; expected one for each day", c.Unit, c.Per, exchange.DaysOf(day))
		}
		return
	}
}

// pace reads whether a day's cap is to be spread over the day.
func (l *loader) pace(n *node, per exchange.Window, o owner) bool {
	if l.word(n, 0, "asap", "even") == 0 {
		return false
	}
	switch {
	case per != exchange.PerDay:
		l.fault(n.pos, "pace: even spreads a day; expected it in a cap per day, not per %s", per)
	case o.kind != "contract" && o.kind != "buyer":
		l.fault(n.pos, "pace: even fits the caps of contracts and buyers; a %s's leads come when they come", o.kind)
	}
	return true
}

// prepaid reads that a buyer pays in advance: its balance is a cap on all that it ever spends.
func (l *loader) prepaid(n *node, b *exchange.Buyer) {
	if n == nil {
		return
	}
	b.Prepaid = true
	opening := l.money(l.table(n, "opening").opt("opening"), 0)
	b.Caps = append(b.Caps, exchange.Cap{
		ID: exchange.BalanceCap(b.ID), Per: exchange.PerTotal, Unit: exchange.CapSpend, Limit: int64(opening), Full: exchange.ReasonBalance, Prepaid: true,
	})
}
