package main

import (
	"errors"
	"io"

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
			cfg, err := loadConfig(cmd.OutOrStdout(), config)
			if err != nil {
				return err
			}
			m := cfg.Market
			return tell(cmd.OutOrStdout(), "%s: fine: %d sellers, %d campaigns, %d buyers, %d contracts, %d offers (config %s)\n",
				config, len(m.Sellers), len(m.Campaigns), len(m.Buyers), len(m.Contracts), len(m.Offers), cfg.Hash[:12])
		},
	}
	needFlag(c, &config, "config", "the YAML file")
	return c
}

// loadConfig loads a config, or tells its faults on w.
func loadConfig(w io.Writer, file string) (*configs.Config, error) {
	cfg, faults := configs.Load(file)
	for _, f := range faults {
		if err := tell(w, "%s\n", f); err != nil {
			return nil, err
		}
	}
	if len(faults) > 0 {
		return nil, wanting{errors.New("")}
	}
	return cfg, nil
}
