package engine

import (
	"fmt"
	"strings"
	"time"

	"github.com/cockroachdb/datadriven"

	"vendue/exchange"
)

// now is the time of the story. It is ahead of the bubble's, in which months would take long.
func (h *story) now() time.Time { return time.Now().Add(h.ahead) }

// until stops the house cleanly, and starts it again over the same disk at that instant.
func (h *story) until(at string) {
	t, err := time.Parse(time.RFC3339, at)
	h.must(err)
	h.stop()
	h.ahead += t.Sub(h.now())
	h.open(h.world)
}

// used shows every cap in the window that runs now.
func (h *story) used() string {
	var out strings.Builder
	for _, c := range h.engine.CapsNow() {
		fmt.Fprintf(&out, "%s since %s: held %s committed %s of %s\n", c.Cap, time.Unix(c.Start, 0).In(h.world.market.Zone).Format("Mon 2006-01-02 15:04 MST"),
			amount(c.Unit, c.Held), amount(c.Unit, c.Committed), amount(c.Unit, c.Limit))
	}
	return out.String()
}

func mustZone(name string) *time.Location {
	zone, err := time.LoadLocation(name)
	if err != nil {
		panic(err)
	}
	return zone
}

func readDays(words string) (days exchange.Days) {
	for word := range strings.SplitSeq(words, "+") {
		for day := range 7 {
			if d := time.Weekday(day); exchange.DaysOf(d).String() == word {
				days |= exchange.DaysOf(d)
			}
		}
	}
	return days
}

func readPrepaid(b *exchange.Buyer, words []string) {
	for _, word := range words {
		if opening, ok := strings.CutPrefix(word, "prepaid="); ok {
			b.Prepaid = true
			b.Caps = append(b.Caps, exchange.Cap{
				ID: exchange.BalanceCap(b.ID), Per: exchange.PerTotal, Unit: exchange.CapSpend, Limit: int64(mustMoney(opening)), Full: exchange.ReasonBalance, Prepaid: true,
			})
		}
	}
}

// pay adds to a buyer's balance: pay BUYER amount=A [before=B].
func (h *story) pay(d *datadriven.TestData) string {
	before := exchange.Money(-1)
	if has(d, "before") {
		before = mustMoney(arg(d, "before"))
	}
	b, done, err := h.engine.Pay(exchange.BuyerID(d.CmdArgs[0].Key), mustMoney(arg(d, "amount")), before)
	h.must(err)
	words := [...]string{"paid", "no such prepaid buyer", "another amount stands", "more than is left", "failed"}
	return fmt.Sprintf("%s: %s in, %s spent, %s held\n", words[done], b.Paid, b.Spent, b.Held)
}
