package lab

import (
	"fmt"
	"io"
	"math"
	"time"
)

// Cells returns the markets of the table: few or many attempts, alike or
// different buyers, and a market with everything in it.
func Cells() []Cell {
	var out []Cell
	for _, kind := range []Cell{
		{Name: "buyers alike", Spread: 0.1},
		{Name: "buyers differ", Spread: 1},
		{Name: "greed", Spread: 0.6, Greed: 1.5},
		{Name: "rejects together", Spread: 0.6, Greed: 0.8, Together: 1.5},
		{Name: "unknowns, returns", Spread: 0.6, Greed: 0.8, Together: 0.7, Unknown: 0.03, Return: 0.1},
	} {
		for _, attempts := range []int{1, 2, 3, contracts} {
			kind.Attempts, kind.Wait = attempts, 10*time.Second
			out = append(out, kind)
		}
		kind.Attempts, kind.Wait = contracts, 2*time.Second
		out = append(out, kind)
	}
	return out
}

// Result is what the policies earned in one cell, over several seeds.
type Result struct {
	Cell Cell
	Seen int                // leads of one seed
	Gain [policies]Interval // over the plain bid, in percent
	Sold [policies]float64  // leads sold, in percent
}

// Interval is a mean with its 95% confidence.
type Interval struct{ Mean, Low, High float64 }

// Run plays a cell with every seed from 1 to seeds.
func Run(cell Cell, seeds, leads int) Result {
	gains := [policies][]float64{}
	r := Result{Cell: cell, Seen: leads}
	for seed := range seeds {
		m := newMarket(cell, uint64(seed+1))
		var at [policies]learner
		var offers []offer
		for n := range leads {
			offers = m.lead(offers[:0])
			for p := range at {
				at[p].policy = Policy(p)
				at[p].serve(m, offers, int64(n)*int64(leadEvery))
			}
		}
		for p := range at {
			gains[p] = append(gains[p], 100*(float64(at[p].earned)/float64(at[Plain].earned)-1))
			r.Sold[p] += 100 * float64(at[p].sold) / float64(leads*seeds)
		}
	}
	for p := range gains {
		r.Gain[p] = interval(gains[p])
	}
	return r
}

// student is the 97.5% quantile of Student's t, by degrees of freedom from 1.
var student = [...]float64{12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262, 2.228, 2.201, 2.179, 2.160, 2.145, 2.131}

func interval(xs []float64) Interval {
	n := float64(len(xs))
	mean, squares := 0.0, 0.0
	for _, x := range xs {
		mean += x / n
	}
	for _, x := range xs {
		squares += (x - mean) * (x - mean)
	}
	if len(xs) < 2 {
		return Interval{mean, math.Inf(-1), math.Inf(1)}
	}
	half := student[min(len(xs)-2, len(student)-1)] * math.Sqrt(squares/(n-1)/n)
	return Interval{mean, mean - half, mean + half}
}

// Write prints the results as a table in Markdown.
func Write(w io.Writer, results []Result) error {
	_, err := fmt.Fprint(w, "| market | attempts | wait | bid x accept | expected | sold: bid | sold: expected |\n|---|---|---|---|---|---|---|\n")
	for _, r := range results {
		if err != nil {
			return err
		}
		show := func(i Interval) string { return fmt.Sprintf("%+.2f%% (%+.2f to %+.2f)", i.Mean, i.Low, i.High) }
		_, err = fmt.Fprintf(w, "| %s | %d | %s | %s | %s | %.1f%% | %.1f%% |\n", r.Cell.Name, r.Cell.Attempts, r.Cell.Wait,
			show(r.Gain[Times]), show(r.Gain[Expected]), r.Sold[Plain], r.Sold[Expected])
	}
	return err
}
