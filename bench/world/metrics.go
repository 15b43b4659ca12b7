package world

import (
	"bufio"
	"bytes"
	"cmp"
	"slices"
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
	for series, v := range m {
		if base, rest, _ := strings.Cut(series, "{"); base == name && holdsAll(rest, labels) {
			sum += v
		}
	}
	return sum
}

// Quantile estimates the p-th quantile (0 to 1) of a histogram with vmrange
// buckets, as the upper end of the bucket that holds it; 0 if it is empty.
func (m Metrics) Quantile(name string, p float64, labels ...string) float64 {
	type bucket struct{ upper, count float64 }
	var buckets []bucket
	total := 0.0
	for series, v := range m {
		base, rest, _ := strings.Cut(series, "{")
		if base != name+"_bucket" || !holdsAll(rest, labels) {
			continue
		}
		_, span, _ := strings.Cut(rest, `vmrange="`)
		span, _, _ = strings.Cut(span, `"`)
		_, text, _ := strings.Cut(span, "...")
		upper, err := strconv.ParseFloat(text, 64)
		if err != nil {
			continue
		}
		buckets = append(buckets, bucket{upper, v})
		total += v
	}
	slices.SortFunc(buckets, func(a, b bucket) int { return cmp.Compare(a.upper, b.upper) })
	seen := 0.0
	for _, b := range buckets {
		if seen += b.count; seen >= p*total {
			return b.upper
		}
	}
	return 0
}

func holdsAll(text string, parts []string) bool {
	for _, p := range parts {
		if !strings.Contains(text, p) {
			return false
		}
	}
	return true
}
