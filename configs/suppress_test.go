package configs

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"vendue/exchange"
)

// A list is read once however many name it, and what it says is part of the config's hash.
func TestSuppressionLists(t *testing.T) {
	dir := t.TempDir()
	good, err := os.ReadFile("testdata/suppress_good.txt")
	if err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile("testdata/valid_suppress.yaml")
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(dir, "suppress_good.txt")
	load := func(rows string) *Config {
		if err := os.WriteFile(path, []byte(rows), 0o600); err != nil {
			t.Fatal(err)
		}
		config := strings.Replace(string(text), "        vertical: auto\n", "        vertical: auto\n        suppress: suppress_good.txt\n", 1)
		cfg, faults := LoadBytes(filepath.Join(dir, "vendue.yaml"), []byte(config), os.LookupEnv)
		if len(faults) > 0 {
			t.Fatal(faults)
		}
		return cfg
	}
	cfg := load(string(good))
	acme, contract, v := cfg.Market.Buyers["acme"], cfg.Market.ByName["acme-west"], cfg.Market.Verticals["auto"]
	if len(acme.Suppress) != 1 || acme.Suppress[0].Rows() != 3 || len(contract.Suppress) != 1 || contract.Suppress[0] != acme.Suppress[0] || v.Suppress[0] != acme.Suppress[0] {
		t.Errorf("got %v %v %v", acme.Suppress, contract.Suppress, v.Suppress)
	}
	lead := exchange.Lead{Vertical: v, Values: make([]exchange.Value, len(v.Fields))}
	lead.Values[v.Slots["phone"]] = exchange.Value{Text: "+16025550143", Set: true}
	if !exchange.Suppresses(acme.Suppress, exchange.SuspectOf(&lead)) {
		t.Error("the list's own number is not on it")
	}
	again := load(string(good) + strings.Repeat("ab", 16) + "\n")
	if again.Hash == cfg.Hash || again.Text != cfg.Text || again.Market.Buyers["acme"].Suppress[0].Rows() != 4 {
		t.Errorf("another row: hash %s then %s, %d rows", cfg.Hash, again.Hash, again.Market.Buyers["acme"].Suppress[0].Rows())
	}
}

// A file of another kind has a fault in every line: the first ones are told, and nothing of what stands there.
func TestSuppressionFaultsAreBounded(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "suppress_good.txt"), []byte(strings.Repeat("6025550143\n", 1000)), 0o600); err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile("testdata/valid_suppress.yaml")
	if err != nil {
		t.Fatal(err)
	}
	_, faults := LoadBytes(filepath.Join(dir, "vendue.yaml"), text, os.LookupEnv)
	if len(faults) != suppressFaultsMax {
		t.Errorf("%d faults", len(faults))
	}
	for _, f := range faults {
		if strings.Contains(f.String(), "602555") {
			t.Fatalf("a fault shows a number: %s", f)
		}
	}
}
