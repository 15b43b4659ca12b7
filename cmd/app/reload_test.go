package app

import (
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// A reload of many contracts gives way again and again in each of its parts; the first start runs through.
func TestReloadGivesWay(t *testing.T) {
	text, err := os.ReadFile("../../configs/testdata/valid_least.yaml")
	if err != nil {
		t.Fatal(err)
	}
	var contracts, names strings.Builder
	for i := range 3_000 {
		fmt.Fprintf(&contracts, "      many%d: {vertical: auto, where: {state: [CA, AZ]}, price: 2.50, post: {url: \"http://127.0.0.1:9101/post\"}}\n", i)
		fmt.Fprintf(&names, ", many%d", i)
	}
	whole := strings.Replace(string(text), "      acme-west:\n", contracts.String()+"      acme-west:\n", 1)
	whole = strings.Replace(whole, "[acme-west]", "[acme-west"+names.String()+"]", 1)
	config := filepath.Join(t.TempDir(), "vendue.yaml")
	if err := os.WriteFile(config, []byte(whole), 0o600); err != nil {
		t.Fatal(err)
	}
	a, err := New(Options{Config: config, Log: io.Discard})
	if err != nil {
		t.Fatal(err)
	}
	defer a.abandon()
	if a.breath.taken > 0 {
		t.Errorf("the start gave way %d times", a.breath.taken)
	}
	if err := a.Reload(); err != nil {
		t.Fatal(err)
	}
	const least = 10 // of some hundred on a fast machine
	if n := len(a.cfg.Load().Market.Contracts); a.breath.taken < least || n != 3_001 {
		t.Errorf("gave way %d times in a reload of %d contracts, want at least %d", a.breath.taken, n, least)
	}
}

// Quotes, caps and the ledger count in the house's currency: a reload that
// names another is refused whole, and the old config runs on.
func TestReloadKeepsTheCurrency(t *testing.T) {
	text, err := os.ReadFile("../../configs/vendue.yaml")
	if err != nil {
		t.Fatal(err)
	}
	config := filepath.Join(t.TempDir(), "vendue.yaml")
	write := func(currency string) {
		changed := strings.Replace(string(text), "currency: USD", "currency: "+currency, 1)
		if err := os.WriteFile(config, []byte(changed), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write("USD")
	a, err := New(Options{Config: config, Log: io.Discard})
	if err != nil {
		t.Fatal(err)
	}
	defer a.abandon()
	write("EUR")
	if err := a.Reload(); err == nil || !strings.Contains(err.Error(), "expected USD") {
		t.Errorf("a reload with another currency: %v", err)
	}
	if got := a.cfg.Load().Market.Currency.Code; got != "USD" {
		t.Errorf("the currency is %s after a refused reload", got)
	}
	write("USD")
	if err := a.Reload(); err != nil {
		t.Errorf("a reload with the same currency: %v", err)
	}
}
