package main

import (
	"crypto/rand"
	"crypto/sha256"
	"strings"

	"github.com/spf13/cobra"
)

func keyCommand() *cobra.Command {
	c := &cobra.Command{Use: "key", Short: "Make keys for sellers, buyers and operators", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() }}
	c.AddCommand(&cobra.Command{
		Use:     "new",
		Short:   "Print a fresh key and its SHA-256",
		Long:    "Print a fresh key and its SHA-256. The key goes to whom it is for, the hash into the config; the house never needs the key.",
		Example: "  vendue key new",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			key := "vd_" + strings.ToLower(rand.Text())
			return tell(cmd.OutOrStdout(), "key:        %s\nkey_sha256: %x\n", key, sha256.Sum256([]byte(key)))
		},
	})
	return c
}
