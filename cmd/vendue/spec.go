package main

import (
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"vendue/exchange"
	"vendue/exchange/api/spec"
)

func specCommand() *cobra.Command {
	var config, campaign, format string
	c := &cobra.Command{
		Use:   "spec --config FILE --campaign NAME",
		Short: "Write a campaign's posting instructions",
		Long: "Write a campaign's posting instructions, to be handed to its seller: addresses, fields, allowed values, examples that\n" +
			"run as they are, in the native format and in every one that the campaign's skins speak, reasons and test zips.\n" +
			"They name public_url, or the address of listen. No key, margin or buyer is in them.",
		Example: "  vendue spec --config vendue.yaml --campaign north-auto > north-auto.md\n  vendue spec --config vendue.yaml --campaign north-auto --format html > north-auto.html",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			formats := []string{"md", "html"}
			chosen := slices.Index(formats, format)
			if chosen < 0 {
				return errors.New("--format: expected md or html")
			}
			return writeSpec(cmd.OutOrStdout(), config, campaign, spec.Format(chosen))
		},
	}
	needFlag(c, &config, "config", "the YAML file")
	needFlag(c, &campaign, "campaign", "one of its campaigns")
	c.Flags().StringVar(&format, "format", "md", "md or html")
	return c
}

func writeSpec(w io.Writer, config, campaign string, format spec.Format) error {
	cfg, err := loadConfig(w, config)
	if err != nil {
		return err
	}
	c := cfg.Market.Campaigns[exchange.CampaignID(campaign)]
	if c == nil {
		var names []string
		for name := range cfg.Market.Campaigns {
			names = append(names, string(name))
		}
		slices.Sort(names)
		return wanting{fmt.Errorf("no campaign %q; expected one of %s", campaign, strings.Join(names, ", "))}
	}
	var text strings.Builder
	if err := spec.NewRenderer().Write(&text, format, cfg.API.Source(cfg.Market, c)); err != nil {
		return wanting{err}
	}
	return tell(w, "%s", text.String())
}
