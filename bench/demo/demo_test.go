package demo

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"strings"
	"testing"
	"time"

	"vendue/cmd/app"
	"vendue/exchange"
	"vendue/store"
)

// daemon runs the exchange inside the test.
type daemon struct{ *app.App }

// Stop drains it.
func (d daemon) Stop() error {
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	return d.App.Stop(ctx)
}

func start(config string) (Daemon, error) {
	a, err := app.New(app.Options{Config: config, Log: io.Discard})
	if err != nil {
		return nil, err
	}
	return daemon{a}, a.Start()
}

func journal(dir string, line func([]byte) error) error {
	s, err := store.OpenReadOnly(store.Config{Dir: dir})
	if err != nil {
		return err
	}
	_, err = s.Read(1, 1<<20, func(e exchange.Entry) error { return line(store.AppendJSON(nil, e)) })
	if closed := s.Close(); err == nil {
		err = closed
	}
	return err
}

func TestASmallMarketAgrees(t *testing.T) {
	var out bytes.Buffer
	if err := Run(t.Context(), Options{Leads: 300, Rate: 300, Seed: 1, Out: &out, Start: start, Journal: journal}); err != nil {
		t.Fatalf("%v\n%s", err, out.String())
	}
	for _, want := range []string{"Live page:   http://127.0.0.1:", "postbacks", "acme-west", "zenith-fixed", "= payout + margin", "All books agree."} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("the page lacks %q:\n%s", want, out.String())
		}
	}
}

// TestALostSaleIsFound hides one sale's end from the reader of the journal.
func TestALostSaleIsFound(t *testing.T) {
	var out bytes.Buffer
	hidden := false
	lossy := func(dir string, line func([]byte) error) error {
		return journal(dir, func(text []byte) error {
			if !hidden && bytes.Contains(text, []byte(`"outcome":"accepted"`)) {
				hidden = true
				return nil
			}
			return line(text)
		})
	}
	err := Run(t.Context(), Options{Leads: 50, Rate: 200, Seed: 1, Out: &out, Start: start, Journal: lossy})
	if err == nil || !strings.Contains(err.Error(), "told_unwritten") || !strings.Contains(err.Error(), "journal_gap") {
		t.Errorf("want the lost sale named, got %v", err)
	}
	if !strings.Contains(out.String(), "THE BOOKS DISAGREE") {
		t.Errorf("the page does not say so:\n%s", out.String())
	}
}

func TestADemoThatCannotStartSaysWhy(t *testing.T) {
	broken := func(string) (Daemon, error) { return nil, fmt.Errorf("no disk") }
	err := Run(t.Context(), Options{Leads: 1, Out: io.Discard, Start: broken})
	if err == nil || !strings.Contains(err.Error(), "no disk") {
		t.Errorf("got %v", err)
	}
}
