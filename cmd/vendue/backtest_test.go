package main

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"

	"github.com/rs/zerolog"

	"vendue/store"
)

// TestBacktestCommand goes through what the command takes and refuses; what it figures is bench/backtest's to test.
func TestBacktestCommand(t *testing.T) {
	dir := t.TempDir()
	s, err := store.Open(store.Config{Dir: dir, Log: zerolog.Nop()})
	if err != nil {
		t.Fatal(err)
	}
	command := func(want int, args ...string) string {
		t.Helper()
		var out, fault bytes.Buffer
		if got := runWith(append([]string{"backtest"}, args...), &out, &fault); got != want {
			t.Errorf("%v: exit code %d, want %d:\n%s%s", args, got, want, out.String(), fault.String())
		}
		return out.String() + fault.String()
	}
	all := []string{"--config", "../../configs/vendue.yaml", "--data", dir}
	if text := command(exitWanted, all...); !strings.Contains(text, "a daemon holds") {
		t.Errorf("while the directory is held: %s", text)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if text := command(exitFine, all...); !strings.Contains(text, "would have been") {
		t.Errorf("the table is %s", text)
	}
	var report map[string]any
	if err := json.Unmarshal([]byte(command(exitFine, append(all, "--json", "--from", "2026-11-14", "--to", "2026-11-20")...)), &report); err != nil ||
		report["from"] != "2026-11-14T00:00:00Z" || report["until"] != "2026-11-21T00:00:00Z" {
		t.Errorf("the report is %v: %v", report, err)
	}
	command(exitUsage, append(all, "--from", "yesterday")...)
	command(exitUsage, append(all, "--from", "2026-11-20", "--to", "2026-11-10")...)
	command(exitWanted, "--config", "../../configs/testdata/tree_empty.yaml", "--data", dir)
	command(exitWanted, "--config", "../../configs/vendue.yaml", "--data", dir+"/none")
}
