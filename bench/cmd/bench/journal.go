//go:build linux

package main

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"vendue/bench/peers"
)

const (
	appenders    = 64
	eventBytes   = 400
	journalLimit = time.Minute
)

// journalPart: 64 callers append events, each waiting for the disk: the
// exchange's own journal, a plain synced Set of as many bytes, and a bare file.
//
// All but the file are benchmarks of the room that owns the journal, which nobody
// else may import; they run as its test program, on the disk that is measured.
func journalPart(ctx context.Context, t *tour) error {
	test := filepath.Join(t.dir, "store.test")
	build := exec.CommandContext(ctx, "go", "test", "-c", "-o", test, "./store")
	if out, err := build.CombinedOutput(); err != nil {
		return fmt.Errorf("cannot build the journal's benchmarks: %w\n%s", err, out)
	}
	var journal, posts, set, file, one []float64
	for range t.rounds {
		for _, b := range []struct {
			name string
			into *[]float64
		}{{"BenchmarkAppend", &journal}, {"BenchmarkPosts", &posts}, {"BenchmarkBareSet", &set}} {
			rate, err := t.benchmark(ctx, test, b.name)
			if err != nil {
				return err
			}
			*b.into = append(*b.into, rate)
		}
		for _, b := range []struct {
			callers int
			into    *[]float64
		}{{appenders, &file}, {1, &one}} {
			rate, err := appendRate(ctx, filepath.Join(t.dir, "bare.log"), b.callers, t.probe)
			if err != nil {
				return err
			}
			*b.into = append(*b.into, rate)
		}
	}
	t.page.journal(median(file), 1e6/median(one), []flow{
		{name: "the exchange's journal, under its lock; each event starts another lead's post, and has the most index keys", rate: median(journal)},
		{name: "the same with the events of sold leads: one that starts a post, and one that ends it", rate: median(posts)},
		{name: "a plain synced Set in the same store, as many bytes", rate: median(set)},
	})
	return nil
}

// benchmark returns the events/s that a benchmark of the test program reports.
func (t *tour) benchmark(ctx context.Context, test, name string) (float64, error) {
	ctx, cancel := context.WithTimeout(ctx, journalLimit)
	defer cancel()
	cmd := exec.CommandContext(ctx, test, "-test.run=^$", "-test.bench=^"+name+"$", "-test.benchtime="+t.probe.String())
	cmd.Dir = t.dir
	cmd.Env = append(os.Environ(), "TMPDIR="+t.dir)
	out, err := cmd.CombinedOutput()
	if err != nil {
		return 0, fmt.Errorf("cannot run %s: %w\n%s", name, err, out)
	}
	rate, ok := metric(out, "events/s")
	if !ok {
		return 0, fmt.Errorf("%s does not report events/s:\n%s", name, out)
	}
	return rate, nil
}

// metric reads the value that stands before a unit in a benchmark's output.
func metric(out []byte, unit string) (float64, bool) {
	fields := bytes.Fields(out)
	for i := 1; i < len(fields); i++ {
		if string(fields[i]) == unit {
			v, err := strconv.ParseFloat(string(fields[i-1]), 64)
			return v, err == nil
		}
	}
	return 0, false
}

// appendRate returns how many records a second callers get onto disk in a plain file.
func appendRate(ctx context.Context, path string, callers int, d time.Duration) (float64, error) {
	log, err := peers.OpenLog(path)
	if err != nil {
		return 0, err
	}
	ctx, cancel := context.WithTimeout(ctx, d)
	defer cancel()
	var n atomic.Int64
	var all sync.WaitGroup
	failed := make(chan error, callers)
	began := time.Now()
	for range callers {
		all.Go(func() {
			rec := make([]byte, eventBytes)
			for ctx.Err() == nil {
				if err := log.Append(rec); err != nil {
					failed <- err
					return
				}
				n.Add(1)
			}
		})
	}
	all.Wait()
	rate := float64(n.Load()) / time.Since(began).Seconds()
	if err := log.Close(); err != nil {
		return 0, err
	}
	if err := os.Remove(path); err != nil {
		return 0, fmt.Errorf("cannot remove a log: %w", err)
	}
	select {
	case err := <-failed:
		return 0, fmt.Errorf("cannot append: %w", err)
	default:
		return rate, nil
	}
}
