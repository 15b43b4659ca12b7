package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/spf13/cobra"

	"vendue/exchange"
	"vendue/exchange/api"
	"vendue/exchange/pingtree"
)

// leadFileBytesMax bounds what explain reads.
const leadFileBytesMax = 1 << 20

func explainCommand() *cobra.Command {
	var config, lead, at string
	var past pastAuction
	c := &cobra.Command{
		Use:   "explain (--config FILE --lead FILE.json | --data DIR --ping ID [--contract NAME] [--config FILE])",
		Short: "Tell which contracts could see a lead, and why the others not; or what was decided of one, and why",
		Long: "Tell which contracts could see a lead, and why the others not: a line per contract, NAME eligible, or\n" +
			"NAME REASON detail. FILE.json is a ping's or direct's body; a direct's is looked for on suppression lists too. Nothing is asked or\n" +
			"sent; caps count as empty.\n\n" +
			"With --data, tell from the tape what was asked, bid and decided for a ping_id or lead_id: why the winner won, what came of each\n" +
			"contract with the numbers behind it, and the rest counted by reason. --contract asks about one that was not asked; where no\n" +
			"daemon holds DIR, that needs --config.",
		Example: "  vendue explain --config vendue.yaml --lead lead.json\n  vendue explain --config vendue.yaml --lead lead.json --at 2026-11-26T03:00:00-05:00\n  vendue explain --data ./data --ping 06gzvkq3a8t00g4j1c9x5nd7ew2b8y6m --contract acme-west",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if past.data != "" || past.ping != "" {
				return past.explain(cmd.OutOrStdout(), config)
			}
			if config == "" || lead == "" {
				return errors.New("expected --config and --lead, or --data and --ping")
			}
			now := time.Now()
			if at != "" {
				t, err := time.Parse(time.RFC3339, at)
				if err != nil {
					return errors.New("--at: expected a time as in 2026-01-31T12:00:00Z")
				}
				now = t
			}
			return explain(cmd.OutOrStdout(), config, lead, now)
		},
	}
	c.Flags().StringVar(&config, "config", "", "the YAML file")
	c.Flags().StringVar(&lead, "lead", "", "a ping's or direct's body as JSON")
	c.Flags().StringVar(&past.data, "data", "", "the data directory, for a ping that was")
	c.Flags().StringVar(&past.ping, "ping", "", "its ping_id, or the lead_id of its post")
	c.Flags().StringVar(&past.contract, "contract", "", "a contract to explain though it was not asked")
	c.Flags().StringVar(&at, "at", "", "the instant to explain for, RFC 3339; now if not given")
	return c
}

// noCaps sees every cap empty.
type noCaps struct{}

// Used is always 0.
func (noCaps) Used(int, int64) int64 { return 0 }

// Bound is none for a balance, which is not known here, and the limit for every other cap: nothing is paced that is empty.
func (noCaps) Bound(c *exchange.Cap, _ time.Time) (limit, schedule int64) {
	if c.Prepaid {
		return exchange.Unscheduled, exchange.Unscheduled
	}
	return c.Limit, exchange.Unscheduled
}

func explain(w io.Writer, config, leadFile string, now time.Time) error {
	cfg, err := loadConfig(w, config)
	if err != nil {
		return err
	}
	text, err := readBounded(leadFile)
	if err != nil {
		return wanting{err}
	}
	req, err := api.ParseLead(cfg.Market, text)
	if err != nil {
		return wanting{fmt.Errorf("%s: %w", leadFile, err)}
	}
	tree := pingtree.Compile(req.Campaign.Tree, req.Campaign.Vertical)
	query := pingtree.Query{
		Lead: &exchange.Lead{Vertical: req.Campaign.Vertical, Values: req.Values}, Now: now, Zone: cfg.Market.Zone,
		Sale: req.Sale, Test: req.Test, Named: req.Consent.NamedBuyers, Caps: noCaps{},
	}
	suspect := suspectOf(cfg.Market, text, req)
	seen := make(map[exchange.ContractID]bool)
	for _, tier := range req.Campaign.Tree.Tiers {
		for _, c := range tier.Contracts {
			if seen[c.ID] {
				continue
			}
			seen[c.ID] = true
			verdict := "eligible"
			if reason, detail := tree.Why(c, &query); reason != exchange.ReasonNone {
				verdict = reason.String() + " " + detail
			} else if list := listOf(c, req, suspect); list != "" {
				verdict = exchange.ReasonSuppressed.String() + " on a suppression list of " + list
			}
			if err := tell(w, "%s %s\n", c.ID, verdict); err != nil {
				return err
			}
		}
	}
	return nil
}

// suspectOf is whom the lead is of: nobody, where it is not whole or a test.
func suspectOf(m *exchange.Market, text string, req *api.ParsedLead) *exchange.Suspect {
	whole, err := api.ParseWholeLead(m, text)
	if err != nil || req.Test {
		return &exchange.Suspect{}
	}
	return exchange.SuspectOf(&exchange.Lead{Vertical: req.Campaign.Vertical, Values: whole.Values})
}

// listOf says on whose suppression list a person stands that a contract must not be sold, "" if on none.
func listOf(c *exchange.Contract, req *api.ParsedLead, who *exchange.Suspect) string {
	switch {
	case exchange.Suppresses(req.Campaign.Vertical.Suppress, who):
		return "vertical " + string(req.Campaign.Vertical.ID) + ", which nobody is sold"
	case exchange.Suppresses(c.Buyer.Suppress, who):
		return "buyer " + string(c.Buyer.ID)
	case exchange.Suppresses(c.Suppress, who):
		return "the contract"
	}
	return ""
}

func readBounded(path string) (string, error) {
	f, err := os.Open(path)
	if err != nil {
		return "", err
	}
	defer func() { _ = f.Close() }()
	text, err := io.ReadAll(io.LimitReader(f, leadFileBytesMax+1))
	if err != nil {
		return "", err
	}
	if len(text) > leadFileBytesMax {
		return "", fmt.Errorf("%s: expected at most %d bytes", path, leadFileBytesMax)
	}
	return string(text), nil
}
