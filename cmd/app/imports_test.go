package app

import (
	"bytes"
	"encoding/json"
	"os/exec"
	"strings"
	"testing"
)

// allowed says which rooms of the house a room may import. A room that is not
// listed may import nothing of the house. DESIGN.md draws the same picture.
var allowed = map[string][]string{
	"exchange":          {},
	"exchange/schema":   {"exchange"},
	"exchange/book":     {"exchange"},
	"exchange/pingtree": {"exchange"},
	"exchange/auction":  {"exchange"},
	"exchange/engine":   {"exchange", "exchange/book", "exchange/pingtree", "exchange/auction"},
	"exchange/api":      {"exchange", "exchange/schema", "exchange/engine", "exchange/api/..."},
	"exchange/api/skin": {"exchange", "exchange/schema"},
	"exchange/api/spec": {"exchange", "exchange/schema", "exchange/api/skin"},
	"bidder":            {"exchange", "exchange/schema", "bidder/..."},
	"bidder/gate":       {"exchange"},
	"bidder/adapters":   {"exchange", "exchange/schema"},
	"attribution":       {"exchange", "attribution/..."},
	"attribution/...":   {"exchange", "attribution", "attribution/..."},
	"store":             {"exchange"},
	"configs":           {"exchange", "exchange/schema", "exchange/api", "exchange/api/skin", "bidder", "bidder/adapters", "bidder/adapters/dialect", "bidder/gate", "attribution", "attribution/postback"},
	"cmd/app":           {"exchange", "exchange/...", "bidder", "attribution", "attribution/...", "store", "configs", "cmd/app/live"},
	"cmd/app/live":      {"exchange"},
	"cmd/vendue":        {"exchange", "exchange/...", "bidder", "bidder/adapters", "attribution/postback", "attribution/reconcile", "store", "configs", "cmd/app", "bench/..."},
	"bench/...":         {"exchange", "bench/...", "cmd/app", "cmd/app/..."},
	"bench/lab":         {"exchange", "exchange/book", "exchange/auction"},
	"bench/backtest":    {"exchange", "exchange/engine", "store", "cmd/app"},

	"bidder/adapters/dialect": {"exchange", "exchange/schema", "bidder/adapters"},
}

// only says which libraries stay in which rooms.
var only = map[string][]string{
	"github.com/cockroachdb/pebble": {"store"},
	"github.com/valyala/fasthttp":   {"exchange/api", "bidder", "attribution/track", "attribution/postback", "cmd/app", "cmd/app/live", "bench/..."},
}

// pure rooms decide: same values in, same values out.
var pure = []string{"exchange", "exchange/book", "exchange/pingtree", "exchange/auction"}

var impure = []string{"net", "net/http", "os", "os/exec", "syscall", "math/rand", "math/rand/v2", "log", "context"}

type pkg struct {
	ImportPath string
	Imports    []string
}

// The rooms import only what the plan of the house allows.
func TestImports(t *testing.T) {
	for _, p := range list(t) {
		room, ok := strings.CutPrefix(p.ImportPath, "vendue/")
		if !ok {
			t.Errorf("%s: not a room", p.ImportPath)
			continue
		}
		for _, imp := range p.Imports {
			if other, ours := strings.CutPrefix(imp, "vendue/"); ours {
				if !matches(allowed[entry(room)], other) {
					t.Errorf("%s imports %s: a lead walks through the rooms in one direction; %s may import %v", room, other, room, allowed[entry(room)])
				}
				continue
			}
			for lib, rooms := range only {
				if strings.HasPrefix(imp, lib) && !matches(rooms, room) {
					t.Errorf("%s imports %s: only %v may, so that it can be changed in one place", room, imp, rooms)
				}
			}
			if matches(pure, room) && matches(impure, imp) {
				t.Errorf("%s imports %s: it must stay deterministic; pass the value in", room, imp)
			}
		}
	}
}

// entry returns the line of allowed that a room stands under.
func entry(room string) string {
	if _, ok := allowed[room]; ok {
		return room
	}
	for name := range allowed {
		if matches([]string{name}, room) {
			return name
		}
	}
	return room
}

func matches(patterns []string, room string) bool {
	for _, p := range patterns {
		if prefix, deep := strings.CutSuffix(p, "..."); p == room || (deep && strings.HasPrefix(room, prefix)) {
			return true
		}
	}
	return false
}

func list(t *testing.T) []pkg {
	cmd := exec.Command("go", "list", "-json=ImportPath,Imports", "./...")
	cmd.Dir = "../.."
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("cannot list the packages: %v", err)
	}
	var pkgs []pkg
	for dec := json.NewDecoder(bytes.NewReader(out)); dec.More(); {
		var p pkg
		if err := dec.Decode(&p); err != nil {
			t.Fatal(err)
		}
		pkgs = append(pkgs, p)
	}
	if len(pkgs) < 10 {
		t.Fatalf("go list found %d packages; the test looks at the wrong place", len(pkgs))
	}
	return pkgs
}
