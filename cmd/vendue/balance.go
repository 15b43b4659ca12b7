package main

import (
	"fmt"

	"github.com/spf13/cobra"

	"vendue/cmd/app"
	"vendue/exchange"
)

func balanceCommand() *cobra.Command {
	c := &cobra.Command{
		Use:   "balance",
		Short: "Record what prepaid buyers paid in",
		Long: "A buyer with prepaid: in the config buys for what it paid in. What stands in each balance, vendue caps shows.\n" +
			"The command talks to the exchange that serves the data directory, by its socket.",
		Example: "  vendue balance add --data ./data --buyer acme --amount 500",
		Args:    cobra.NoArgs,
		RunE:    needsSubcommand,
	}
	c.AddCommand(balanceAddCommand())
	return c
}

func balanceAddCommand() *cobra.Command {
	var data, buyer, amount, paid string
	c := &cobra.Command{
		Use:   "add --data DIR --buyer NAME --amount AMOUNT [--paid AMOUNT]",
		Short: "Record a payment",
		Long: "Record a payment into a buyer's balance; an amount below zero takes out what is left. With --paid, what stands as\n" +
			"paid in before, a payment that is sent twice counts once.",
		Example: "  vendue balance add --data ./data --buyer acme --amount 500 --paid 1500",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			body := map[string]any{"buyer": buyer, "amount": amount}
			for name, text := range map[string]string{"amount": amount, "paid": paid} {
				if _, err := exchange.ParseMoney(text); err != nil && (name == "amount" || text != "") {
					return fmt.Errorf("--%s: expected an amount such as 500 or 12.50", name)
				}
			}
			if paid != "" {
				body["paid"] = paid
			}
			var b app.Balance
			if err := askJSON(data, "/api/balance", body, &b); err != nil {
				return err
			}
			return tell(cmd.OutOrStdout(), "%s: %s paid in, %s spent, %s held, %s left\n", b.Buyer, b.Paid, b.Spent, b.Held, b.Left)
		},
	}
	needFlag(c, &data, "data", "the data directory")
	needFlag(c, &buyer, "buyer", "the buyer's name in the config")
	needFlag(c, &amount, "amount", "what was paid in")
	c.Flags().StringVar(&paid, "paid", "", "what stands as paid in before; nothing is changed if it is another amount")
	return c
}
