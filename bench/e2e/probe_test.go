package e2e

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"sync/atomic"
	"testing"
	"time"
)

// probeEnv makes the suite's binary a probe instead: a process that does nothing
// but wait for timers, and tells at the end how late one in a hundred was.
const probeEnv = "VENDUE_E2E_PROBE"

// probe is that process. It ends when its input does.
func probe() int {
	const beat = 2 * time.Millisecond
	var done atomic.Bool
	go func() {
		_, _ = io.Copy(io.Discard, os.Stdin)
		done.Store(true)
	}()
	var over []time.Duration
	for !done.Load() {
		began := time.Now()
		time.Sleep(beat)
		over = append(over, time.Since(began)-beat)
	}
	slices.Sort(over)
	fmt.Println(int64(at(over, .99)))
	return 0
}

// machineLateness measures, until the returned function is called, by how much
// the timers of an idle process of this machine are late, at their 99th
// percentile: the least that any process here can know of the time.
func machineLateness(t *testing.T) func() time.Duration {
	t.Helper()
	var out bytes.Buffer
	cmd := exec.CommandContext(t.Context(), os.Args[0])
	cmd.Env, cmd.Stdout = append(os.Environ(), probeEnv+"=1"), &out
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	return func() time.Duration {
		if err := in.Close(); err != nil {
			t.Fatal(err)
		}
		if err := cmd.Wait(); err != nil {
			t.Fatal(err)
		}
		ns, err := strconv.ParseInt(string(bytes.TrimSpace(out.Bytes())), 10, 64)
		if err != nil {
			t.Fatal(err)
		}
		return time.Duration(ns)
	}
}
