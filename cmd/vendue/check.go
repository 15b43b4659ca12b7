package main

import (
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"vendue/configs"
)

func checkCommand() *cobra.Command {
	var config string
	c := &cobra.Command{
		Use:     "check --config FILE",
		Short:   "Validate a config",
		Long:    "Validate a config and print every fault at once as FILE:LINE:COL: text. Exit code 0 if there is none, 1 if there is.",
		Example: "  vendue check --config vendue.yaml",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			cfg, faults := configs.Load(config)
			for _, f := range faults {
				fmt.Fprintln(cmd.OutOrStdout(), f)
			}
			if len(faults) > 0 {
				return wanting{errors.New("")}
			}
			m := cfg.Market
			fmt.Fprintf(cmd.OutOrStdout(), "%s: fine: %d sellers, %d campaigns, %d buyers, %d contracts, %d offers (config %s)\n",
				config, len(m.Sellers), len(m.Campaigns), len(m.Buyers), len(m.Contracts), len(m.Offers), cfg.Hash[:12])
			return nil
		},
	}
	needFlag(c, &config, "config", "the YAML file")
	return c
}
