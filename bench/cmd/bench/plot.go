//go:build linux

package main

import (
	"fmt"
	"math"
	"slices"
	"strings"

	"vendue/bench/peers"
)

// The plot is two panels: bars of CPU per auction with ten buyers, and lines of
// how it grows with the number of buyers. Colours are told apart in grey too.
const (
	plotWide  = 980
	plotHigh  = 400
	barsLeft  = 150
	barsRight = 430
	gridLeft  = 540
	gridRight = 840
	plotTop   = 50
	plotFoot  = 350
)

// series gives each row of the plot its colour, in the legend's order.
var series = []struct{ name, colour string }{
	{namePing, "#0b6e4f"}, {nameDirect, "#08313a"}, {peers.Raw, "#c8553d"}, {peers.RawLog, "#8c2f1b"},
	{peers.FastHTTP, "#5b7db1"}, {peers.NetHTTP, "#9aa5b1"},
}

func colourOf(name string) string {
	for _, s := range series {
		if s.name == name {
			return s.colour
		}
	}
	if strings.HasPrefix(name, "vendue") {
		return "#3f9c7d"
	}
	return "#c3cad1"
}

func (p *page) plot() string {
	var w strings.Builder
	fmt.Fprintf(&w, `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %d %d" font-family="sans-serif" font-size="12">`+"\n", plotWide, plotHigh)
	fmt.Fprintf(&w, `<rect width="%d" height="%d" fill="#fff"/>`+"\n", plotWide, plotHigh)
	text(&w, barsLeft, 28, "start", "CPU per auction, ten buyers (us)")
	p.bars(&w)
	if len(p.byN) > 1 {
		text(&w, gridLeft, 28, "start", "CPU per auction by buyers (us)")
		p.lines(&w)
	}
	w.WriteString("</svg>\n")
	return w.String()
}

func text(w *strings.Builder, x, y float64, anchor, s string) {
	s = strings.NewReplacer("&", "&amp;", "<", "&lt;").Replace(s)
	fmt.Fprintf(w, `<text x="%.1f" y="%.1f" text-anchor="%s">%s</text>`+"\n", x, y, anchor, s)
}

func (p *page) bars(w *strings.Builder) {
	most := 0.0
	for i := range p.mainRows {
		most = max(most, p.mainRows[i].median.cpu)
	}
	if most == 0 {
		return
	}
	step := float64(plotFoot-plotTop) / float64(len(p.mainRows))
	for i := range p.mainRows {
		r := &p.mainRows[i]
		y := plotTop + step*float64(i)
		wide := (barsRight - barsLeft) * r.median.cpu / most
		text(w, barsLeft-8, y+step*0.55, "end", r.name)
		fmt.Fprintf(w, `<rect x="%d" y="%.1f" width="%.1f" height="%.1f" fill="%s"/>`+"\n", barsLeft, y+step*0.15, wide, step*0.7, colourOf(r.name))
		text(w, barsLeft+wide+6, y+step*0.55, "start", f0(r.median.cpu))
	}
}

func (p *page) lines(w *strings.Builder) {
	var ns []int
	most := 0.0
	for n, rows := range p.byN {
		ns = append(ns, n)
		for _, s := range series {
			if s.name != peers.NetHTTP { // it would flatten all others
				most = max(most, find(rows, s.name).median.cpu)
			}
		}
	}
	slices.Sort(ns)
	if most == 0 {
		return
	}
	x := func(n int) float64 {
		return gridLeft + (gridRight-gridLeft)*float64(n)/float64(ns[len(ns)-1])
	}
	y := func(v float64) float64 { return plotFoot - (plotFoot-plotTop)*v/most }
	for _, n := range ns {
		fmt.Fprintf(w, `<line x1="%.1f" y1="%d" x2="%.1f" y2="%d" stroke="#e3e7ea"/>`+"\n", x(n), plotTop, x(n), plotFoot)
		text(w, x(n), plotFoot+18, "middle", fmt.Sprint(n))
	}
	tick := math.Pow(10, math.Floor(math.Log10(most)))
	for v := 0.0; v <= most; v += tick {
		fmt.Fprintf(w, `<line x1="%d" y1="%.1f" x2="%d" y2="%.1f" stroke="#e3e7ea"/>`+"\n", gridLeft, y(v), gridRight, y(v))
		text(w, gridLeft-6, y(v)+4, "end", f0(v))
	}
	legend := float64(plotTop)
	for _, s := range series {
		if s.name == peers.NetHTTP {
			continue
		}
		var points []string
		for _, n := range ns {
			if v := find(p.byN[n], s.name).median.cpu; v > 0 {
				points = append(points, fmt.Sprintf("%.1f,%.1f", x(n), y(v)))
			}
		}
		fmt.Fprintf(w, `<polyline points="%s" fill="none" stroke="%s" stroke-width="2"/>`+"\n", strings.Join(points, " "), s.colour)
		fmt.Fprintf(w, `<rect x="%d" y="%.1f" width="12" height="12" fill="%s"/>`+"\n", gridRight+14, legend, s.colour)
		text(w, gridRight+32, legend+11, "start", s.name)
		legend += 20
	}
}
