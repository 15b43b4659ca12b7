//go:build linux

package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"time"

	"vendue/bench/load"
	"vendue/bench/world"
)

// reloadMost bounds the wait for one reload.
const reloadMost = 30 * time.Second

// reloadPart: the config with the most contracts is loaded again and again
// while pings come at a fixed rate.
func reloadPart(ctx context.Context, t *tour) error {
	addrs, err := t.buyers(ctx, "-n", "10")
	if err != nil {
		return err
	}
	most := slices.Max(t.contracts)
	e, err := t.exchange(ctx, &market{buyers: urls("http", addrs), fillers: most - 10})
	if err != nil {
		return err
	}
	side := e.side(fmt.Sprintf("ping, %d contracts", most), pingSteps(campaign))
	alone, err := compare(ctx, t.rounds, t.openPace(spareRate), side)
	if err != nil {
		return err
	}
	side.name = "the same while reloading"
	reloaded, measured := make(chan error, 1), make(chan struct{})
	var n int
	var took float64
	go func() {
		var err error
		n, took, err = e.reload(ctx, measured)
		reloaded <- err
	}()
	beside, err := compare(ctx, t.rounds, t.openPace(spareRate), side)
	close(measured)
	if err := <-reloaded; err != nil {
		return err
	}
	if err != nil {
		return err
	}
	t.page.reload(append(alone, beside...), most, n, took)
	return e.stop()
}

// reload has the exchange load its config again and again until enough closes, once at least, each time after an edit, and returns
// how many times and how many seconds one took. It asks through the command socket, which answers when it is done: reading the metrics to see
// that was tried, and ten thousand contracts' worth of them cost more than the reload.
func (e *exchange) reload(ctx context.Context, enough <-chan struct{}) (n int, seconds float64, err error) {
	socket := world.NewClient("operator", func(_ string, most time.Duration) (net.Conn, error) {
		return net.DialTimeout("unix", filepath.Join(e.data, "vendue.sock"), most)
	})
	defer socket.Close()
	began := time.Now()
	for {
		if err := ctx.Err(); err != nil {
			return 0, 0, err
		}
		if err := e.edit(n); err != nil {
			return 0, 0, err
		}
		r, err := socket.Do(world.Call{Method: "POST", Path: "/api/reload", Timeout: reloadMost})
		if err != nil || r.Status != 200 {
			return 0, 0, fmt.Errorf("reload %d: status %d: %w", n+1, r.Status, err)
		}
		n++
		select {
		case <-enough:
			return n, time.Since(began).Seconds() / float64(n), nil
		default:
		}
	}
}

// edit changes the line of one contract, as an operator does before a reload.
func (e *exchange) edit(n int) error {
	text, err := os.ReadFile(e.config)
	if err != nil {
		return fmt.Errorf("cannot read the config: %w", err)
	}
	line := regexp.MustCompile(`(?m)^( +f00000: .*post: \{url: "[^"]+").*$`)
	edited := line.ReplaceAll(text, fmt.Appendf(nil, "${1}, timeout: %dms}}", 1000+n))
	if bytes.Equal(edited, text) {
		return errors.New("the config has no contract f00000 to edit")
	}
	if err := os.WriteFile(e.config, edited, 0o600); err != nil {
		return fmt.Errorf("cannot write the config: %w", err)
	}
	return nil
}

// mark is how an exchange stood after so many units.
type mark struct {
	units  int64
	rss    float64 // MiB
	heap   float64 // MiB in use by the collector's spans
	cpu    float64 // us per unit, the median since the mark before
	p50    float64 // us, of as many a second as in the table of latencies, after those units
	p999   float64 // likewise
	faults float64
}

// memoryPart: directs as fast as they go, one slice after the other, and what they left behind: memory, and how long a direct takes then.
func memoryPart(ctx context.Context, t *tour) error {
	e, _, err := t.market(ctx, 10, nil)
	if err != nil {
		return err
	}
	side := e.side(nameDirect, directSteps())
	var marks []mark
	for range t.slices {
		var m mark
		var cpus []float64
		for goal := e.serial + int64(t.slice); e.serial < goal; {
			f, _, err := once(ctx, side, t.closedPace())
			if err != nil {
				return err
			}
			cpus, m.faults = append(cpus, f.cpu), m.faults+f.bad+f.broken
		}
		calm, _, err := once(ctx, side, t.openPace(delayRate))
		if err != nil {
			return err
		}
		m.p50, m.p999, m.faults = calm.p50, calm.p999, m.faults+calm.bad+calm.broken
		now, err := e.metrics()
		if err != nil {
			return err
		}
		rss, _, err := load.RSS(side.pid)
		if err != nil {
			return err
		}
		m.units, m.rss, m.heap, m.cpu = e.serial, float64(rss)/(1<<20), now.Sum("go_memstats_heap_inuse_bytes")/(1<<20), median(cpus)
		marks = append(marks, m)
		fmt.Fprintf(os.Stderr, "    %8d directs: RSS %.0f MiB, heap %.0f MiB, %.1f us CPU; at %d/s p50 %.0f, p99.9 %.0f us\n", m.units, m.rss, m.heap, m.cpu, delayRate, m.p50, m.p999)
	}
	t.page.memory(marks)
	return e.stop()
}

// reload shows what pings noticed of reloads, and how long those took.
func (p *page) reload(rows []row, contracts, n int, took float64) {
	s := section{
		title: "Reloads under load",
		notes: []string{fmt.Sprintf("Open loop, %d pings a second, ten candidates among %d contracts; %d reloads one after the other, each after an edit of one contract, of %.2f s each.", spareRate, contracts, n, took)},
		head:  []string{"", "p50 us", "p99 us", "p99.9 us", "max us", "faults"},
	}
	for i := range rows {
		r, m := &rows[i], &rows[i].median
		s.lines = append(s.lines, []string{r.name, f0(m.p50), f0(m.p99), f0(m.p999), f0(m.most), faults(r)})
	}
	s.tellFaults(rows)
	p.sections = append(p.sections, s)
	p.goal(fmt.Sprintf("a reload of %d contracts", contracts), "below 1 s, no ping refused", fmt.Sprintf("%.2f s", took), took > 0 && took < 1 && faults(&rows[1]) == "none")
	above := (rows[1].median.p99 - rows[0].median.p99) / 1000
	p.goal("pings beside reloads one after the other, p99 above the same alone", "not noticed (1 ms of noise)", fmt.Sprintf("%.2f ms", above), above <= 1)
}

// memory shows what a long run left behind.
func (p *page) memory(marks []mark) {
	s := section{
		title: "Memory over many auctions",
		notes: []string{fmt.Sprintf("Directs to ten buyers that answer at once, in a closed loop; after each slice an open loop of %d a second, which the latencies are of.", delayRate)},
		head:  []string{"directs", "RSS MB", "heap MB", "CPU us", "p50 us", "p99.9 us", "faults"},
	}
	for _, m := range marks {
		s.lines = append(s.lines, []string{fmt.Sprint(m.units), f0(m.rss), f0(m.heap), f1(m.cpu), f0(m.p50), f0(m.p999), f0(m.faults)})
	}
	p.sections = append(p.sections, s)
}
