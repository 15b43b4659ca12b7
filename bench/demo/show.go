package demo

import (
	"fmt"
	"time"

	"vendue/bench/world"
	"vendue/exchange"
)

// say writes to Out. A terminal that went away stops nothing.
func (r *run) say(format string, args ...any) {
	_, _ = fmt.Fprintf(r.Out, format, args...)
}

// progress runs work and shows a line each second, of the same shape on a terminal and in a file.
func (r *run) progress(work func()) {
	done := make(chan struct{})
	go func() {
		defer close(done)
		work()
	}()
	r.say("  time    sent    done    sold    refused  doubt  faults  paid to sellers  ping p50    p99  lead p50    p99  postbacks\n")
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
			r.line()
		case <-done:
			r.line()
			return
		}
	}
}

func (r *run) line() {
	s := r.seller.Stats()
	r.say("%5.0f s %7d %7d %7d %10d %6d %7d %16s %7s %7s %7s %7s %10d\n", time.Since(r.began).Seconds(), s.Sent, s.Done, s.Sold, s.Rejected+s.NoPrice, s.Pending,
		s.Faults+s.NoAnswer, s.Payout, millis(s.PingP50), millis(s.PingP99), millis(s.LeadP50), millis(s.LeadP99), r.market.postbacks())
}

func millis(d time.Duration) string { return fmt.Sprintf("%.1fms", float64(d.Microseconds())/1000) }

// prove reads the journal of the stopped exchange, prints the table, the money and the proof.
func (r *run) prove(metrics world.Metrics) error {
	journal := world.NewJournal()
	if err := r.Journal(r.dir+"/data", func(line []byte) error { return journal.AddLines(line) }); err != nil {
		return fmt.Errorf("cannot read the journal: %w", err)
	}
	caps := make(map[string]int)
	for i := range r.market.cast {
		if c := &r.market.cast[i]; c.capDay > 0 {
			caps[c.name] = 2 * c.capDay // a run may cross midnight
		}
	}
	quarter := func(payout, _ exchange.Money) exchange.Money {
		return exchange.Currency{MinorDigits: 2}.Floor((exchange.Whole / 4).Of(payout))
	}
	report := world.Reconcile(&world.Books{
		Answers: r.seller.Answers(), Receipts: r.market.receipts(), Notices: r.market.notices(), Journal: journal,
		Asked: true, Postbacks: true, Caps: caps, Credits: creditsCounted(metrics), Commission: quarter,
	})
	r.table(journal, metrics)
	r.money(report)
	r.proof(report)
	return report.Err()
}

// creditsCounted is what the house itself counts, below zero if it does not say.
func creditsCounted(m world.Metrics) int {
	if _, ok := m[creditsMetric]; !ok {
		return -1
	}
	return int(m[creditsMetric])
}

// tally counts one contract's legs in the journal.
type tally struct{ wins, accepts, rejects, unknown, doubt int }

func (r *run) table(journal *world.Journal, metrics world.Metrics) {
	tallies := make(map[string]*tally)
	for _, lead := range journal.Leads {
		for i := range lead.Legs {
			leg := &lead.Legs[i]
			t := tallies[leg.Contract]
			if t == nil {
				t = new(tally)
				tallies[leg.Contract] = t
			}
			t.add(leg)
		}
	}
	r.say("\n  %-14s %7s %7s %6s %8s %8s %8s %9s %9s %9s  %s\n",
		"contract", "pings", "bids", "wins", "accepts", "rejects", "unknown", "in doubt", "timeouts", "p95", "manner")
	for i := range r.market.cast {
		c := &r.market.cast[i]
		seen, t := c.sim.Counts(), tallies[c.name]
		if t == nil {
			t = new(tally)
		}
		r.say("  %-14s %7d %7d %6d %8d %8d %8d %9d %9s %9s  %s\n", c.name, seen.Pings, seen.Bids, t.wins, t.accepts, t.rejects, t.unknown, t.doubt,
			timeouts(metrics, c.name), p95(metrics, c.name), c.manner)
	}
}

func (t *tally) add(leg *world.JournalLeg) {
	t.wins++
	if leg.Outcome == "unknown" {
		t.unknown++
	}
	switch {
	case leg.Accepted():
		t.accepts++
	case leg.Doubt():
		t.doubt++
	default:
		t.rejects++
	}
}

func (r *run) money(p *world.Report) {
	r.say("\nMoney\n")
	r.say("  revenue from buyers   %14s   = payout + margin\n", p.Revenue)
	r.say("  payout to sellers     %14s\n", p.Payout)
	r.say("  margin of the house   %14s\n", p.Margin)
	r.say("  commissions           %14s   to affiliates, out of the sellers' payout\n", p.Commission)
}

// proof prints what was compared, line by line, and what did not agree.
func (r *run) proof(p *world.Report) {
	took := time.Since(r.began).Round(100 * time.Millisecond)
	r.say("\nProof\n")
	r.say("  sellers    %6d leads sent: %d told sold, %d rejected, %d pending, %d unanswered\n", p.Leads, p.Sold, p.Rejected, p.Pending, p.Unanswered)
	r.say("  asked      %6d lead_ids told, each asked for again and found as told\n", p.Told-count(p, world.LeadLost, world.ToldChanged))
	r.say("  journal    %6d events without a gap: %d sales, %d legs in doubt, %d refused, %d not delivered\n", p.Events, p.SaleLegs, p.DoubtLegs, p.RejectedLegs, p.Undelivered)
	r.say("  buyers     %6d receipts, %d accepting: %d sales and %d still in doubt\n", p.Receipts, p.Accepting, p.SaleLegs, p.Accepting-p.SaleLegs)
	r.say("  exclusive  %6d leads sold or held twice\n", count(p, world.SoldTwice))
	r.say("  affiliates %6d sales brought, %s credited, %d conversions told in %d postbacks\n", p.Brought, dash(p.Credits), p.Conversions, p.Notices)
	if len(p.Faults) == 0 {
		r.say("\nAll books agree. %d leads sold in %s.\n", p.Sold, took)
		return
	}
	r.say("\nTHE BOOKS DISAGREE in %d places:\n", len(p.Faults))
	for i := range p.Faults[:min(len(p.Faults), 50)] {
		r.say("  %s\n", p.Faults[i])
	}
}

func count(p *world.Report, classes ...world.Class) (n int) {
	for i := range p.Faults {
		for _, c := range classes {
			if p.Faults[i].Class == c {
				n++
			}
		}
	}
	return n
}

func dash(n int) string {
	if n < 0 {
		return "-"
	}
	return fmt.Sprint(n)
}

// The house's own series that the table shows; a dash stands for one that it does not have.
const (
	creditsMetric = "vendue_attribution_credits_total"
	answersMetric = "vendue_bidder_answers_total"
	secondsMetric = "vendue_bidder_answer_seconds"
)

func timeouts(m world.Metrics, contract string) string {
	if m == nil {
		return "-"
	}
	return fmt.Sprintf("%.0f", m.Sum(answersMetric, `contract="`+contract+`"`, `result="timeout"`))
}

func p95(m world.Metrics, contract string) string {
	v := m.Quantile(secondsMetric, 0.95, `contract="`+contract+`"`)
	if v == 0 {
		return "-"
	}
	return millis(time.Duration(v * float64(time.Second)))
}
