package engine

import (
	"time"

	"vendue/exchange"
)

// Used returns how much of a cap is taken in the window that starts at the Unix second window: pingtree.CapsView.
func (e *Engine) Used(handle int, window int64) int64 { return e.book.Used(handle, window) }

// Bound returns what bounds a cap that moves at now: pingtree.CapsView.
func (e *Engine) Bound(c *exchange.Cap, now time.Time) (limit, schedule int64) {
	return e.book.Bound(c, now)
}

// Sweep forgets quotes that are over, as the housekeeping does, for an engine that was not started.
func (e *Engine) Sweep() { e.quotes.Sweep(e.Now()) }
