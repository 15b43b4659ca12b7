package bidder

import (
	"fmt"
	"slices"

	"vendue/exchange"

	"github.com/VictoriaMetrics/metrics"
)

// transportMetrics are the transport's own.
type transportMetrics struct {
	open       *metrics.Counter // goes up and down
	dials      *metrics.Counter
	dialErrors *metrics.Counter
}

func newTransportMetrics(ms *metrics.Set) *transportMetrics {
	return &transportMetrics{
		open:       ms.GetOrCreateCounter("vendue_bidder_connections"),
		dials:      ms.GetOrCreateCounter("vendue_bidder_dials_total"),
		dialErrors: ms.GetOrCreateCounter("vendue_bidder_dial_errors_total"),
	}
}

// contractMetrics are one contract's, found once and kept for the configs that come later. Times
// are the buyer's own: from asking to the answer.
type contractMetrics struct {
	pings, retries, late *metrics.Counter
	answers              [exchange.ReasonCount]*metrics.Counter // by what a ping came to; nil: cannot happen
	answerSeconds        *metrics.Histogram
	posts                [exchange.OutcomeUnknown + 1]*metrics.Counter
	postSeconds          *metrics.Histogram
	redirectsDropped     *metrics.Counter
	priceChanged         *metrics.Counter    // accepts at a price other than the bid, which stays what is owed
	statuses             [3]*metrics.Counter // none, accepted, rejected
	statusSeconds        *metrics.Histogram
}

// metricsKey names a contract's metrics: one of a described format counts more reasons.
type metricsKey struct {
	id        exchange.ContractID
	described bool
}

// pingEnds are the reasons that an Answer can have.
var pingEnds = [...]exchange.Reason{
	exchange.ReasonNone, exchange.ReasonNoBid, exchange.ReasonTimeout,
	exchange.ReasonBuyerError, exchange.ReasonNoTime, exchange.ReasonConcurrency,
	exchange.ReasonBreaker, exchange.ReasonPingLimit, exchange.ReasonThrottled, exchange.ReasonOutbid,
}

// saidEnds are the reasons that a buyer of a described format can give beside them.
var saidEnds = [...]exchange.Reason{
	exchange.ReasonDuplicate, exchange.ReasonFiltered, exchange.ReasonHours, exchange.ReasonPaused,
	exchange.ReasonCapContract, exchange.ReasonBudget,
}

// metricsOf returns a contract's metrics. They are kept as long as the set
// keeps their counters, which is for good: a reload of ten thousand contracts
// spent a fifth of its time on spelling their names.
func (t *Transport) metricsOf(id exchange.ContractID, described bool) *contractMetrics {
	key := metricsKey{id, described}
	t.mu.Lock()
	defer t.mu.Unlock()
	m := t.contracts[key]
	if m == nil {
		m = newContractMetrics(t.set, id, described)
		t.contracts[key] = m
	}
	return m
}

func newContractMetrics(ms *metrics.Set, id exchange.ContractID, described bool) *contractMetrics {
	counter := func(name string) *metrics.Counter {
		return ms.GetOrCreateCounter(fmt.Sprintf("vendue_bidder_%s_total{contract=%q}", name, id))
	}
	m := &contractMetrics{
		pings:            counter("pings"),
		retries:          counter("ping_retries"),
		late:             counter("late"),
		answerSeconds:    ms.GetOrCreateHistogram(fmt.Sprintf("vendue_bidder_answer_seconds{contract=%q}", id)),
		postSeconds:      ms.GetOrCreateHistogram(fmt.Sprintf("vendue_bidder_post_seconds{contract=%q}", id)),
		redirectsDropped: counter("redirects_dropped"),
		priceChanged:     counter("price_changed"),
	}
	ends := pingEnds[:]
	if described {
		ends = slices.Concat(ends, saidEnds[:])
	}
	for _, reason := range ends {
		word := reason.String()
		if reason == exchange.ReasonNone {
			word = "bid"
		}
		m.answers[reason] = ms.GetOrCreateCounter(fmt.Sprintf("vendue_bidder_answers_total{contract=%q,result=%q}", id, word))
	}
	for i, word := range [...]string{"none", "accepted", "rejected"} {
		m.statuses[i] = ms.GetOrCreateCounter(fmt.Sprintf("vendue_bidder_statuses_total{contract=%q,verdict=%q}", id, word))
	}
	m.statusSeconds = ms.GetOrCreateHistogram(fmt.Sprintf("vendue_bidder_status_seconds{contract=%q}", id))
	for o := exchange.OutcomeAccepted; o <= exchange.OutcomeUnknown; o++ {
		m.posts[o] = ms.GetOrCreateCounter(fmt.Sprintf("vendue_bidder_posts_total{contract=%q,outcome=%q}", id, o))
	}
	return m
}

// ended counts how a ping ended. Only real answers have an answer's time.
func (m *contractMetrics) ended(a *exchange.Answer) {
	m.answers[a.Reason].Inc()
	switch a.Reason {
	case exchange.ReasonTimeout, exchange.ReasonBuyerError, exchange.ReasonNoTime, exchange.ReasonConcurrency, exchange.ReasonOutbid:
	default:
		if !a.Unasked {
			m.answerSeconds.Update(a.Elapsed.Seconds())
		}
	}
}
