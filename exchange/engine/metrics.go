package engine

import (
	"fmt"

	"github.com/VictoriaMetrics/metrics"

	"vendue/exchange"
)

// engineMetrics are the room's series. Reasons are a closed list, so every series is made at construction.
type engineMetrics struct {
	pings      [exchange.ReasonCount]*metrics.Counter
	posts      [exchange.ReasonCount]*metrics.Counter
	asked      *metrics.Histogram
	pingOwn    *metrics.Histogram
	postOwn    *metrics.Histogram
	lockHeld   *metrics.Histogram
	fallback   *metrics.Counter
	conflict   *metrics.Counter
	settled    [exchange.SettledByReconciliation + 1][2]*metrics.Counter // by settler; not accepted, accepted
	notKept    *metrics.Counter
	suppressed *metrics.Counter
	returns    [ReturnFailed + 1]*metrics.Counter
}

func newMetrics(set *metrics.Set, e *Engine) (m engineMetrics) {
	for r := range exchange.ReasonCount {
		word := r.String()
		if r == exchange.ReasonNone {
			word = "none"
		}
		m.pings[r] = set.NewCounter(fmt.Sprintf("vendue_engine_pings_total{reason=%q}", word))
		m.posts[r] = set.NewCounter(fmt.Sprintf("vendue_engine_posts_total{reason=%q}", word))
	}
	m.asked = set.NewHistogram("vendue_engine_ping_buyers_seconds")
	m.pingOwn = set.NewHistogram("vendue_engine_ping_own_seconds")
	m.postOwn = set.NewHistogram("vendue_engine_post_own_seconds")
	m.lockHeld = set.NewHistogram("vendue_engine_lock_held_seconds")
	m.fallback = set.NewCounter("vendue_engine_fallbacks_total")
	m.conflict = set.NewCounter("vendue_engine_conflicts_total")
	for by := exchange.SettledByBuyer; by <= exchange.SettledByReconciliation; by++ {
		for i, word := range [...]string{"false", "true"} {
			m.settled[by][i] = set.NewCounter(fmt.Sprintf("vendue_engine_settled_total{by=%q,accepted=%q}", by, word))
		}
	}
	for r := range m.returns {
		m.returns[r] = set.NewCounter(fmt.Sprintf("vendue_engine_returns_total{result=%q}", Returned(r)))
	}
	m.suppressed = set.NewCounter("vendue_engine_suppressed_total")
	m.notKept = set.NewCounter("vendue_engine_reposts_not_kept_total")
	gauge := func(name string, fn func() float64) { set.NewGauge(name, fn) }
	gauge("vendue_engine_in_flight", func() float64 { return float64(e.inFlight.Load()) })
	gauge("vendue_engine_late_seconds", func() float64 { return e.late.now().Seconds() })
	gauge("vendue_engine_quotes", func() float64 { n, _ := e.quotes.Size(); return float64(n) })
	gauge("vendue_engine_quotes_bytes", func() float64 { _, n := e.quotes.Size(); return float64(n) })
	gauge("vendue_engine_in_doubt", func() float64 { n, _ := e.InDoubt(); return float64(n) })
	gauge("vendue_engine_in_doubt_value", func() float64 { _, v := e.InDoubt(); return float64(v) / float64(exchange.Micro) })
	gauge("vendue_engine_in_doubt_oldest_seconds", func() float64 { oldest, _ := e.Doubtful(); return oldest.Seconds() })
	gauge("vendue_engine_conflicts_open", func() float64 { _, n := e.Doubtful(); return float64(n) })
	gauge("vendue_engine_reposts_kept", func() float64 { n, _ := e.resolver.size(); return float64(n) })
	gauge("vendue_engine_reposts_kept_bytes", func() float64 { _, n := e.resolver.size(); return float64(n) })
	return m
}

func boolIndex(v bool) int {
	if v {
		return 1
	}
	return 0
}

// InDoubt counts the attempts whose outcome is unknown and sums their bids.
func (e *Engine) InDoubt() (count int, value exchange.Money) {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.book.InDoubt()
}
