//go:build linux

package main

import (
	"context"
	"encoding/xml"
	"errors"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"vendue/bench/house"
	"vendue/bench/peers"
)

// TestMain lets the test program play the parts that a bench starts of itself.
func TestMain(m *testing.M) {
	if len(os.Args) > 1 && (os.Args[1] == "buyers" || os.Args[1] == "peer") {
		if err := run(os.Args[1:]); err != nil {
			panic(err)
		}
		return
	}
	os.Exit(m.Run())
}

var tiny = scale{
	rounds: 1, warm: 50 * time.Millisecond, closed: 500 * time.Millisecond, open: 600 * time.Millisecond, counts: []int{2}, conns: []int{4},
	delays: []time.Duration{10 * time.Millisecond}, contracts: []int{100}, sales: 200 * time.Millisecond, probe: 50 * time.Millisecond,
	slices: 2, slice: 200,
}

// Every part runs against the real binary without a bad answer, fills its
// section, and leaves no process and no file behind.
func TestParts(t *testing.T) {
	runtime.LockOSThread() // children die with the thread that starts them
	defer runtime.UnlockOSThread()
	t.Chdir("../../..") // the journal's part builds a room's test program by its path from the root
	work := t.TempDir()
	p, err := newPage("test", work)
	if err != nil {
		t.Fatal(err)
	}
	if err := measureAll(context.Background(), p, plan{scale: tiny, work: work, only: strings.Join(partNames(), ",")}); err != nil {
		t.Fatal(err)
	}
	if len(p.sections) != len(parts()) {
		t.Errorf("%d sections of %d parts", len(p.sections), len(parts()))
	}
	for _, s := range p.sections {
		for _, line := range s.lines {
			if len(line) != len(s.head) {
				t.Errorf("%s: a line of %d cells under %d heads: %q", s.title, len(line), len(s.head), line)
			}
		}
	}
	for i := range p.mainRows {
		r := &p.mainRows[i]
		if r.median.rate == 0 || r.median.cpu == 0 || r.median.bad > 0 || r.median.broken > 0 {
			t.Errorf("%s: %+v, first bad answer %q", r.name, r.median, r.fault)
		}
	}
	if left, err := os.ReadDir(work); err != nil || len(left) > 0 {
		t.Errorf("left behind: %v, %v", left, err)
	}
	out := t.TempDir()
	if err := p.save(out, true); err != nil {
		t.Fatal(err)
	}
	checkSVG(t, filepath.Join(out, p.stem()+"-quick.svg"))
}

func checkSVG(t *testing.T, file string) {
	t.Helper()
	f, err := os.Open(file)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = f.Close() }()
	for d := xml.NewDecoder(f); ; {
		if _, err := d.Token(); errors.Is(err, io.EOF) {
			return
		} else if err != nil {
			t.Fatalf("the plot is no XML: %v", err)
		}
	}
}

// A bench that is told to stop does so at once, and takes what it started with it.
func TestStops(t *testing.T) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	t.Chdir("../../..")
	work := t.TempDir()
	p, err := newPage("test", work)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), 3*time.Second)
	defer cancel()
	long := tiny
	long.closed = time.Hour
	if err := measureAll(ctx, p, plan{scale: long, work: work, only: "main"}); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("a bench that was stopped says %v", err)
	}
	if left, err := os.ReadDir(work); err != nil || len(left) > 0 {
		t.Errorf("left behind: %v, %v", left, err)
	}
	if err := measureAll(ctx, p, plan{scale: tiny, work: work, only: "main,tea"}); err == nil || !strings.Contains(err.Error(), "tea") {
		t.Errorf("an unknown part gives %v", err)
	}
}

// The biggest market is one that the exchange accepts, and its lead has the ten candidates and no more.
func TestMarket(t *testing.T) {
	dir := t.TempDir()
	bin, err := house.Build(dir)
	if err != nil {
		t.Fatal(err)
	}
	m := market{fillers: 990, trackers: []string{"http://127.0.0.1:9"}}
	for range 10 {
		m.buyers = append(m.buyers, "http://127.0.0.1:7")
	}
	file, lead := filepath.Join(dir, "v.yaml"), filepath.Join(dir, "lead.json")
	for name, text := range map[string]string{file: m.config("127.0.0.1:1", "127.0.0.1:2", filepath.Join(dir, "data")), lead: `{"campaign":"c","lead":{` + pingPart + `}}`} {
		if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	r, err := house.Run(bin, "explain", "--config", file, "--lead", lead)
	if err != nil || r.Code != 0 {
		t.Fatalf("explain: %+v, %v", r, err)
	}
	eligible, filtered := 0, 0
	for line := range strings.Lines(r.Out) {
		switch {
		case strings.HasPrefix(line, "b") && strings.Contains(line, " eligible"):
			eligible++
		case strings.HasPrefix(line, "f") && strings.Contains(line, " filtered "):
			filtered++
		default:
			t.Errorf("unexpected: %s", line)
		}
	}
	if eligible != 10 || filtered != 990 {
		t.Errorf("%d eligible and %d filtered; expected 10 and 990", eligible, filtered)
	}
}

// What must be reached is judged by the median, and faults are never averaged away.
func TestJudgement(t *testing.T) {
	got := medians([]figures{{cpu: 10, bad: 1}, {cpu: 90}, {cpu: 12, bad: 2}})
	if got.cpu != 12 || got.bad != 3 {
		t.Errorf("medians gives cpu %g and bad %g; expected 12 and 3", got.cpu, got.bad)
	}
	if median(nil) != 0 || median([]float64{1, 3}) != 2 {
		t.Error("median of none or of two")
	}
	rows := func(direct, ping float64) []row {
		return []row{
			{name: namePing, median: figures{cpu: ping}}, {name: nameDirect, median: figures{cpu: direct}},
			{name: peers.Raw, median: figures{cpu: 50}}, {name: peers.RawLog, median: figures{cpu: 70}}, {name: peers.FastHTTP, median: figures{cpu: 100}},
		}
	}
	for _, c := range []struct {
		direct, ping float64
		want         []bool
	}{{104, 64, []bool{true, true, true}}, {110, 66, []bool{false, true, false}}, {121, 60, []bool{false, false, true}}, {0, 0, []bool{false, false, false}}} {
		p := &page{}
		p.main(rows(c.direct, c.ping))
		for i, g := range p.goals {
			if g.reached != c.want[i] {
				t.Errorf("direct %g, ping %g: %s is %s, reached %t; expected %t", c.direct, c.ping, g.what, g.got, g.reached, c.want[i])
			}
		}
	}
}

func TestMetric(t *testing.T) {
	out := []byte("BenchmarkAppend-2  100  5000 ns/op  242000 events/s  12 B/op\nPASS\n")
	if v, ok := metric(out, "events/s"); !ok || v != 242000 {
		t.Errorf("metric gives %g, %t", v, ok)
	}
	if _, ok := metric(out, "leads/s"); ok {
		t.Error("a unit that is not there is read")
	}
}
