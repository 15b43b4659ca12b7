package main

import (
	"fmt"
	"math"
	"strconv"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"vendue/cmd/app"
	"vendue/exchange"
)

func capsCommand() *cobra.Command {
	var data string
	c := &cobra.Command{
		Use:   "caps --data DIR",
		Short: "Show what is used, held and left of every cap",
		Long: "Show every cap in the window that runs now: what is sold in it, what is held for posts in flight or in doubt,\n" +
			"and what is left. A cap's name is OWNER/NAME/PER/UNIT, with its weekdays behind that if it has some.\n" +
			"The command talks to the exchange that serves the data directory, by its socket.",
		Example: "  vendue caps --data ./data",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			var list app.CapList
			if err := askJSON(data, "/api/caps", nil, &list); err != nil {
				return err
			}
			table := tabwriter.NewWriter(cmd.OutOrStdout(), 0, 0, 2, ' ', 0)
			_, err := fmt.Fprintln(table, "CAP\tUSED\tHELD\tLEFT\tOF")
			for _, c := range list.Caps {
				if err == nil {
					_, err = fmt.Fprintf(table, "%s\t%s\t%s\t%s\t%s\n", c.ID, amountOf(c.Unit, c.Committed), amountOf(c.Unit, c.Held), amountOf(c.Unit, c.Left), amountOf(c.Unit, c.Limit))
				}
			}
			if err == nil {
				err = table.Flush()
			}
			if err != nil {
				return wanting{err}
			}
			return nil
		},
	}
	needFlag(c, &data, "data", "the data directory")
	return c
}

// amountOf writes a number of a cap as JSON brought it: leads, or money.
func amountOf(unit string, v any) string {
	n, ok := v.(float64)
	switch {
	case !ok:
		return fmt.Sprint(v)
	case unit == exchange.CapSpend.String():
		return exchange.Money(math.Round(n * float64(exchange.Micro))).String()
	}
	return strconv.FormatFloat(n, 'f', -1, 64)
}
