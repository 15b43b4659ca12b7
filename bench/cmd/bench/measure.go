//go:build linux

package main

import (
	"cmp"
	"context"
	"fmt"
	"os"
	"slices"
	"time"

	"vendue/bench/load"
)

const (
	// closedConns is how many units a closed loop keeps in flight.
	closedConns = 64
	// openConns is the most that an open loop keeps in flight.
	openConns = 512
)

// pace says how one measurement is driven.
type pace struct {
	rate          float64 // 0: closed loop
	conns         int     // units in flight; 0: closedConns or openConns
	warm, measure time.Duration
}

// figures is what one measurement, or the median of several, shows. Latencies are microseconds.
type figures struct {
	cpu, rate                 float64 // us of CPU per unit; units per second
	p50, p90, p99, p999, most float64
	mallocs, bytes            float64 // per unit, of an exchange
	bad, broken, late         float64
}

// row is one side's figures over all rounds.
type row struct {
	name   string
	median figures
	low    float64 // the least and most CPU of a round
	high   float64
	rss    float64 // MiB after the last round
	fault  string  // of a bad answer, for the reader to see
}

// once measures one side once.
func once(ctx context.Context, s *side, p pace) (figures, string, error) {
	before, err := heap(s)
	if err != nil {
		return figures{}, "", err
	}
	conns := cmp.Or(p.conns, closedConns)
	if p.rate > 0 {
		conns = openConns
	}
	r, err := load.Run(ctx, &load.Plan{
		Addr: s.addr, Steps: s.steps, Conns: conns, Rate: p.rate, Warm: p.warm, Measure: p.measure, PID: s.pid, Serial: *s.serial,
	})
	if err != nil {
		return figures{}, "", fmt.Errorf("%s: %w", s.name, err)
	}
	*s.serial += r.All
	after, err := heap(s)
	if err != nil {
		return figures{}, "", err
	}
	q := func(p float64) float64 { return float64(r.Latency.ValueAtQuantile(p)) }
	all := float64(max(r.All, 1))
	return figures{
		cpu: r.CPUPerUnit(), rate: r.Rate(), p50: q(50), p90: q(90), p99: q(99), p999: q(99.9), most: float64(r.Latency.Max()),
		mallocs: (after[0] - before[0]) / all, bytes: (after[1] - before[1]) / all,
		bad: float64(r.Bad), broken: float64(r.Errors), late: float64(r.Late),
	}, r.Example, nil
}

// heap returns what an exchange has allocated so far: objects and bytes.
func heap(s *side) (out [2]float64, err error) {
	if s.exchange == nil {
		return out, nil
	}
	m, err := s.exchange.metrics()
	if err != nil {
		return out, err
	}
	return [2]float64{m.Sum("go_memstats_mallocs_total"), m.Sum("go_memstats_alloc_bytes_total")}, nil
}

// compare measures the sides in turn, round after round, so that a slow minute
// of the machine falls on all of them, and returns the medians in their order.
func compare(ctx context.Context, rounds int, p pace, sides ...*side) ([]row, error) {
	all := make([][]figures, len(sides))
	rows := make([]row, len(sides))
	for range rounds {
		for i, s := range sides {
			f, example, err := once(ctx, s, p)
			if err != nil {
				return nil, err
			}
			if rows[i].fault == "" {
				rows[i].fault = example
			}
			all[i] = append(all[i], f)
		}
	}
	for i, s := range sides {
		rows[i].name = s.name
		if err := rows[i].sum(s, all[i]); err != nil {
			return nil, err
		}
	}
	progress(rows)
	return rows, nil
}

func (r *row) sum(s *side, all []figures) error {
	r.median = medians(all)
	cpus := make([]float64, len(all))
	for i := range all {
		cpus[i] = all[i].cpu
	}
	r.low, r.high = slices.Min(cpus), slices.Max(cpus)
	now, _, err := load.RSS(s.pid)
	r.rss = float64(now) / (1 << 20)
	return err
}

// medians takes the median of every figure by itself; of faults it takes the sum.
func medians(all []figures) (out figures) {
	of := func(get func(*figures) float64) float64 {
		vs := make([]float64, len(all))
		for i := range all {
			vs[i] = get(&all[i])
		}
		return median(vs)
	}
	out = figures{
		cpu: of(func(f *figures) float64 { return f.cpu }), rate: of(func(f *figures) float64 { return f.rate }),
		p50: of(func(f *figures) float64 { return f.p50 }), p90: of(func(f *figures) float64 { return f.p90 }),
		p99: of(func(f *figures) float64 { return f.p99 }), p999: of(func(f *figures) float64 { return f.p999 }),
		most: of(func(f *figures) float64 { return f.most }), mallocs: of(func(f *figures) float64 { return f.mallocs }),
		bytes: of(func(f *figures) float64 { return f.bytes }),
	}
	for i := range all {
		out.bad, out.broken, out.late = out.bad+all[i].bad, out.broken+all[i].broken, out.late+all[i].late
	}
	return out
}

// median of an even number is the mean of the middle two; of none it is zero.
func median(vs []float64) float64 {
	if len(vs) == 0 {
		return 0
	}
	vs = slices.Sorted(slices.Values(vs))
	return (vs[(len(vs)-1)/2] + vs[len(vs)/2]) / 2
}

// progress tells whoever waits what has just been measured.
func progress(rows []row) {
	for i := range rows {
		m := &rows[i].median
		fmt.Fprintf(os.Stderr, "    %-22s %8.1f us CPU  %8.0f/s  p50 %7.0f  p99 %7.0f  p99.9 %7.0f us", rows[i].name, m.cpu, m.rate, m.p50, m.p99, m.p999)
		if m.bad+m.broken+m.late > 0 {
			fmt.Fprintf(os.Stderr, "  bad %.0f broken %.0f late %.0f", m.bad, m.broken, m.late)
		}
		fmt.Fprintln(os.Stderr)
	}
}
