//go:build linux

package main

import (
	"context"
	"fmt"
	"time"

	"vendue/bench/load"
	"vendue/bench/world"
)

const (
	// backlogMax bounds the wait for postbacks after the last sale.
	backlogMax  = 60 * time.Second
	backlogTick = 20 * time.Millisecond
)

// flow is a rate and what one item of it cost.
type flow struct {
	name    string
	items   float64
	rate    float64 // per second
	cpu     float64 // microseconds of the exchange's CPU per item; what else it did meanwhile is in it
	remarks string
}

// affiliatesPart: clicks, events attributed, and postbacks delivered to local
// trackers, four per sale.
func affiliatesPart(ctx context.Context, t *tour) error {
	addrs, err := t.buyers(ctx, "-n", "10")
	if err != nil {
		return err
	}
	crowd, trackers, err := t.crowd(ctx, "trackers", "-n", fmt.Sprint(affiliates))
	if err != nil {
		return err
	}
	e, err := t.exchange(ctx, &market{buyers: urls("http", addrs), trackers: urls("http", trackers)})
	if err != nil {
		return err
	}
	clicks, err := t.clicks(ctx, e)
	if err != nil {
		return err
	}
	sales, err := t.deliveries(ctx, e, crowd)
	if err != nil {
		return err
	}
	t.page.affiliates(append(clicks, sales...))
	return e.stop()
}

// clicks measures /c/ and the follower behind it.
func (t *tour) clicks(ctx context.Context, e *exchange) ([]flow, error) {
	before, err := e.metrics()
	if err != nil {
		return nil, err
	}
	rows, err := compare(ctx, t.rounds, t.closedPace(), e.side("clicks on /c/", clickSteps()))
	if err != nil {
		return nil, err
	}
	after, err := e.metrics()
	if err != nil {
		return nil, err
	}
	m := &rows[0].median
	return []flow{
		{name: "clicks on /c/, each synced before its redirect", rate: m.rate, cpu: m.cpu, remarks: fmt.Sprintf("p50 %.0f us, p99 %.0f us; bad %.0f", m.p50, m.p99, m.bad)},
		followed("events attributed: clicks", before, after),
	}, nil
}

// followed tells how fast the follower of the journal is while it works: its
// entries over the time its batches took. It shares two cores with the rest.
func followed(name string, before, after world.Metrics) flow {
	entries := after.Sum("vendue_attribution_entries_total") - before.Sum("vendue_attribution_entries_total")
	busy := after.Sum("vendue_attribution_batch_seconds_sum") - before.Sum("vendue_attribution_batch_seconds_sum")
	return flow{name: name, items: entries, rate: entries / max(busy, 1e-9),
		remarks: fmt.Sprintf("in the %.2f s its batches took; %.0f behind at the end of the load", busy, after.Sum("vendue_attribution_lag_entries"))}
}

// deliveries sells while the trackers stand still, and then lets them go on and
// watches what has gathered. Trackers that answer during the sales were tried:
// deliveries kept up, and so their rate was only that of the sales.
func (t *tour) deliveries(ctx context.Context, e *exchange, trackers *child) ([]flow, error) {
	before, err := e.metrics()
	if err != nil {
		return nil, err
	}
	if err := trackers.pause(); err != nil {
		return nil, err
	}
	sales, _, err := once(ctx, e.side("sales", strictSteps()), pace{measure: t.sales})
	if err != nil {
		return nil, err
	}
	if err := e.await(ctx, func(m world.Metrics) bool { return m.Sum("vendue_attribution_lag_entries") == 0 }); err != nil {
		return nil, err
	}
	start, err := look(e)
	if err != nil {
		return nil, err
	}
	if err := trackers.resume(); err != nil {
		return nil, err
	}
	if err := e.await(ctx, func(m world.Metrics) bool { return m.Sum("vendue_attribution_postback_waiting") == 0 }); err != nil {
		return nil, err
	}
	end, err := look(e)
	if err != nil {
		return nil, err
	}
	f := []flow{
		{name: fmt.Sprintf("strict directs, %d postbacks each, none delivered yet", affiliates), rate: sales.rate, cpu: sales.cpu, remarks: fmt.Sprintf("bad %.0f", sales.bad)},
		followed("events attributed: sales", before, start.page),
		between("postbacks delivered", start, end),
	}
	f[2].remarks = fmt.Sprintf("%.0f that had gathered, in %.2f s", f[2].items, end.at.Sub(start.at).Seconds())
	return f, nil
}

// moment is how far an exchange is, and what it has spent.
type moment struct {
	at   time.Time
	page world.Metrics
	cpu  time.Duration
}

func look(e *exchange) (m moment, err error) {
	if m.page, err = e.metrics(); err != nil {
		return m, err
	}
	m.at = time.Now()
	m.cpu, err = load.CPU(e.child.pid())
	return m, err
}

// await looks at the exchange's metrics until they are as wanted, or backlogMax has passed.
func (e *exchange) await(ctx context.Context, wanted func(world.Metrics) bool) error {
	tick := time.NewTicker(backlogTick)
	defer tick.Stop()
	ctx, cancel := context.WithTimeout(ctx, backlogMax)
	defer cancel()
	for {
		m, err := e.metrics()
		if err != nil || wanted(m) {
			return err
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return fmt.Errorf("the exchange did not catch up: %w", ctx.Err())
		}
	}
}

func between(name string, a, b moment) flow {
	const delivered = "vendue_attribution_postback_delivered"
	f := flow{name: name, items: b.page.Sum(delivered) - a.page.Sum(delivered)}
	f.rate = f.items / b.at.Sub(a.at).Seconds()
	if f.items > 0 {
		f.cpu = float64((b.cpu - a.cpu).Microseconds()) / f.items
	}
	return f
}
