package configs

import (
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"vendue/exchange"
)

// TestTerritory checks what a filter of zips, ranges, a file, cities and regions comes to.
func TestTerritory(t *testing.T) {
	cfg, faults := Load("testdata/valid_territory.yaml")
	if len(faults) > 0 {
		t.Fatal(faults)
	}
	slots := cfg.Market.Verticals["auto"].Slots
	want := map[string]exchange.Condition{
		"zip":    {Slot: slots["zip"], Kind: exchange.ConditionIn, Texts: []string{"85001", "85100", "85101", "85102", "85103", "86001"}},
		"state":  {Slot: slots["state"], Kind: exchange.ConditionNotIn, Texts: []string{"NY", "NJ"}},
		"city":   {Slot: slots["city"], Kind: exchange.ConditionIn, Texts: []string{"PHOENIX", "ST. PAUL"}},
		"county": {Slot: slots["county"], Kind: exchange.ConditionNotIn, Texts: []string{"KINGS"}},
	}
	for _, c := range cfg.Market.ByName["zenith-us"].Where {
		if field := cfg.Market.Verticals["auto"].Fields[c.Slot].Name; !reflect.DeepEqual(c, want[field]) {
			t.Errorf("%s: got %+v, want %+v", field, c, want[field])
		}
	}
	if got := cfg.Market.ByName["acme-west"].Where[0].Texts; !slices.Equal(got, []string{"85001", "85002", "85003", "86001"}) {
		t.Errorf("a range came to %v", got)
	}
}

// TestLargeList reads a list as long as a country's and shares it between contracts; a typo far
// down is told with its line; and a list that changes is another config.
func TestLargeList(t *testing.T) {
	dir := t.TempDir()
	list, config := filepath.Join(dir, "zips.txt"), filepath.Join(dir, "house.yaml")
	write := func(path string, text string) {
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	lines := make([]string, 41_000)
	for i := range lines {
		lines[i] = fmt.Sprintf("%05d", i+500)
	}
	contract := "      acme-west:\n"
	second := "      acme-east:\n        vertical: auto\n        price: 7\n        where: {zip: {in_file: zips.txt}}\n        post: {url: \"http://127.0.0.1:9101/post\"}\n"
	write(config, with(t, contract, second+contract+"        where: {zip: {in_file: zips.txt}}\n", "contracts: [acme-west]", "contracts: [acme-west, acme-east]"))
	write(list, strings.Join(lines, "\n"))
	cfg, faults := Load(config)
	if len(faults) > 0 {
		t.Fatal(faults)
	}
	west, east := cfg.Market.ByName["acme-west"].Where[0].Texts, cfg.Market.ByName["acme-east"].Where[0].Texts
	if len(west) != len(lines) || &west[0] != &east[0] {
		t.Errorf("got %d values, shared: %t", len(west), &west[0] == &east[0])
	}

	lines[0] = "00499"
	write(list, strings.Join(lines, "\n"))
	if other, _ := Load(config); other.Hash == cfg.Hash || other.Text != cfg.Text {
		t.Error("another list under the same name: expected another hash and the same text")
	}

	lines[40_111] = "4O611"
	write(list, strings.Join(lines, "\n"))
	_, faults = Load(config)
	if len(faults) != 1 || faults[0].String() != list+`:40112:1: field "zip", value "4O611": expected a US zip code of 5 digits or ZIP+4` {
		t.Errorf("got %v", faults)
	}
}
