package app

import (
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

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
