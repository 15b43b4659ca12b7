//go:build linux

package main

import (
	"context"
	"fmt"
	"strings"
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
// trackers, four per sale so that deliveries are what there is too much of.
func affiliatesPart(ctx context.Context, t *tour) error {
	addrs, err := t.buyers(ctx, "-n", "10")
	if err != nil {
		return err
	}
	trackers, err := t.buyers(ctx, "-n", fmt.Sprint(affiliates))
	if err != nil {
		return err
	}
	e, err := t.exchange(ctx, &market{buyers: urls("http", addrs), trackers: urls("http", trackers)})
	if err != nil {
		return err
	}
	served := func() (float64, error) { return countServed(trackers[0]) }
	clicks, err := t.clicks(ctx, e)
	if err != nil {
		return err
	}
	sales, err := t.deliveries(ctx, e, served)
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

// deliveries sells for a while, and then watches the postbacks that still wait.
func (t *tour) deliveries(ctx context.Context, e *exchange, served func() (float64, error)) ([]flow, error) {
	before, err := e.metrics()
	if err != nil {
		return nil, err
	}
	start, err := look(e, served)
	if err != nil {
		return nil, err
	}
	sales, _, err := once(ctx, e.side("sales", strictSteps()), pace{measure: t.sales})
	if err != nil {
		return nil, err
	}
	middle, err := look(e, served)
	if err != nil {
		return nil, err
	}
	after, err := e.metrics()
	if err != nil {
		return nil, err
	}
	end, err := drained(ctx, e, served)
	if err != nil {
		return nil, err
	}
	sold := (end.served - start.served) / affiliates
	f := []flow{
		{name: fmt.Sprintf("strict directs, %d postbacks each", affiliates), rate: sales.rate, cpu: sales.cpu, remarks: fmt.Sprintf("%.0f sold; bad %.0f", sold, sales.bad)},
		followed("events attributed: sales", before, after),
		between("postbacks delivered beside the sales", start, middle),
		between("postbacks delivered after the last sale", middle, end),
	}
	f[2].remarks = "the CPU is that of the sales too"
	f[3].remarks = fmt.Sprintf("%.0f were waiting", end.served-middle.served)
	return f, nil
}

// moment is how far deliveries are, and what the exchange has spent.
type moment struct {
	at      time.Time
	served  float64
	waiting float64
	cpu     time.Duration
}

func look(e *exchange, served func() (float64, error)) (m moment, err error) {
	page, err := e.metrics()
	if err != nil {
		return m, err
	}
	m.waiting = page.Sum("vendue_attribution_postback_waiting") + page.Sum("vendue_attribution_lag_entries")
	if m.served, err = served(); err != nil {
		return m, err
	}
	m.at = time.Now()
	m.cpu, err = load.CPU(e.child.pid())
	return m, err
}

func drained(ctx context.Context, e *exchange, served func() (float64, error)) (m moment, err error) {
	tick := time.NewTicker(backlogTick)
	defer tick.Stop()
	limit := time.NewTimer(backlogMax)
	defer limit.Stop()
	for {
		if m, err = look(e, served); err != nil || m.waiting == 0 {
			return m, err
		}
		select {
		case <-tick.C:
		case <-limit.C:
			return m, nil
		case <-ctx.Done():
			return m, fmt.Errorf("stopped: %w", ctx.Err())
		}
	}
}

func between(name string, a, b moment) flow {
	f := flow{name: name, items: b.served - a.served, rate: (b.served - a.served) / b.at.Sub(a.at).Seconds()}
	if f.items > 0 {
		f.cpu = float64((b.cpu - a.cpu).Microseconds()) / f.items
	}
	return f
}

// countServed asks the simulated trackers how many requests came.
func countServed(addr string) (float64, error) {
	c := world.NewClient(addr, nil)
	defer c.Close()
	r, err := c.Do(world.Call{Method: "GET", Path: "/served", Timeout: 5 * time.Second})
	if err != nil {
		return 0, fmt.Errorf("cannot ask %s: %w", strings.TrimPrefix(addr, "http://"), err)
	}
	return r.Get("served").Float(), nil
}
