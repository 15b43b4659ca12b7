package mutants

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

var all = flag.Bool("mutants.all", false, "try every mutant, not the few that go test tries")

// mutant is one bug, and the suites that must notice it.
type mutant struct {
	name   string
	file   string // below the repo's root
	old    string
	new    string
	suites []string // packages; the first to fail will do
	quick  bool     // tried by every go test
}

// each is how long one suite may take to notice. A bug may also show as a hang.
const each = 5 * time.Minute

// Every mutant is caught by a suite.
func TestMutants(t *testing.T) {
	root, err := filepath.Abs("../..")
	if err != nil {
		t.Fatal(err)
	}
	tried, caught := 0, 0
	for _, m := range mutants {
		if !*all && !m.quick {
			continue
		}
		tried++
		t.Run(m.name, func(t *testing.T) {
			by := try(t, root, &m)
			if by == "" {
				t.Errorf("nobody noticed: %s now says %q, and %s pass", m.file, m.new, strings.Join(m.suites, ", "))
				return
			}
			caught++
			t.Logf("caught by %s", by)
		})
	}
	t.Logf("%d of %d mutants caught; %d are known", caught, tried, len(mutants))
}

// Every mutant's text stands in its file exactly once, so that a change to the
// code is told of a mutant that it leaves behind by any go test.
func TestTextsFit(t *testing.T) {
	for _, m := range mutants {
		t.Run(m.name, func(t *testing.T) { plant(t, "../..", &m) })
	}
}

// try builds the mutant, which must compile, and returns the suite that fails on it.
func try(t *testing.T, root string, m *mutant) string {
	overlay := plant(t, root, m)
	for _, suite := range m.suites {
		if out, err := run(t, root, "test", "-overlay", overlay, "-run", "^$", suite); err != nil {
			t.Fatalf("the mutant does not build: %v\n%s", err, tail(out))
		}
		patience := "90s" // a bug that hangs costs all of it
		if suite == "./bench/sim" {
			patience = "4m"
		}
		_, err := run(t, root, "test", "-overlay", overlay, "-count=1", "-timeout", patience, suite)
		var failed *exec.ExitError
		switch {
		case errors.As(err, &failed):
			return suite
		case err != nil:
			t.Fatal(err)
		}
	}
	return ""
}

// plant writes the broken file and the overlay that puts it in place.
func plant(t *testing.T, root string, m *mutant) string {
	path := filepath.Join(root, m.file)
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if n := strings.Count(string(text), m.old); n != 1 {
		t.Fatalf("%s has the text to break %d times; the mutant must move with the code:\n%s", m.file, n, m.old)
	}
	dir := t.TempDir()
	broken := filepath.Join(dir, filepath.Base(m.file))
	if err := os.WriteFile(broken, []byte(strings.Replace(string(text), m.old, m.new, 1)), 0o600); err != nil {
		t.Fatal(err)
	}
	overlay := filepath.Join(dir, "overlay.json")
	body, err := json.Marshal(map[string]map[string]string{"Replace": {path: broken}})
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(overlay, body, 0o600); err != nil {
		t.Fatal(err)
	}
	return overlay
}

func run(t *testing.T, root string, args ...string) ([]byte, error) {
	ctx, cancel := context.WithTimeout(t.Context(), each)
	defer cancel()
	cmd := exec.CommandContext(ctx, "go", args...)
	cmd.Dir = root
	cmd.WaitDelay = 5 * time.Second
	return cmd.CombinedOutput()
}

func tail(out []byte) string {
	const most = 2000
	if len(out) > most {
		out = out[len(out)-most:]
	}
	return string(out)
}
