package world

import (
	"bufio"
	"bytes"
	"strconv"
	"strings"
)

// Metrics is one reading of a Prometheus text page: series as written, name{labels}, to value.
type Metrics map[string]float64

// ReadMetrics reads a page; lines that are no sample are passed over.
func ReadMetrics(page []byte) Metrics {
	m := make(Metrics)
	lines := bufio.NewScanner(bytes.NewReader(page))
	for lines.Scan() {
		series, value, ok := cutLast(lines.Text())
		if !ok || series[0] == '#' {
			continue
		}
		if v, err := strconv.ParseFloat(value, 64); err == nil {
			m[series] = v
		}
	}
	return m
}

func cutLast(line string) (before, after string, ok bool) {
	i := strings.LastIndexByte(line, ' ')
	if i <= 0 {
		return "", "", false
	}
	return line[:i], line[i+1:], true
}

// Sum adds up the series of a name whose labels hold every given part, such as `contract="acme-west"`.
func (m Metrics) Sum(name string, labels ...string) float64 {
	sum := 0.0
next:
	for series, v := range m {
		if base, _, _ := strings.Cut(series, "{"); base != name {
			continue
		}
		for _, l := range labels {
			if !strings.Contains(series, l) {
				continue next
			}
		}
		sum += v
	}
	return sum
}
