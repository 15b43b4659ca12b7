package main

import (
	"encoding/json"
	"fmt"
	"text/tabwriter"

	"github.com/spf13/cobra"
)

// pingRow is app.PingRow as it is read: its milliseconds are written, not read, by their type.
type pingRow struct {
	Contract, Breaker string
	Ended, Faults     int
	AtOnce            int         `json:"at_once"`
	Wait              json.Number `json:"wait_ms"`
	Throttled         int64       `json:"throttled"`
	WouldThrottle     int64       `json:"would_throttle"`
	WouldLose         int64       `json:"would_lose"`
	WouldLoseSum      json.Number `json:"would_lose_sum"`
}

func pingsCommand() *cobra.Command {
	var data string
	c := &cobra.Command{
		Use:   "pings --data DIR",
		Short: "Show which pings are worth sending, contract by contract",
		Long: "Show of every pinged contract: how its breaker stands, the pings that ended in the last 30 s and the faults among\n" +
			"them, those in flight, how long its answers are worth waiting for (0: its timeout), and the pings that throttling\n" +
			"held back; with throttle: report, how many it would have held back and the bids that would have been lost, since\n" +
			"the start. The command talks to the exchange that serves the data directory, by its socket.",
		Example: "  vendue pings --data ./data",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			var list struct{ Contracts []pingRow }
			if err := askJSON(data, "/api/pings", nil, &list); err != nil {
				return err
			}
			table := tabwriter.NewWriter(cmd.OutOrStdout(), 0, 0, 2, ' ', 0)
			_, err := fmt.Fprintln(table, "CONTRACT\tBREAKER\tENDED\tFAULTS\tAT ONCE\tWAIT MS\tHELD BACK\tWOULD HOLD\tWOULD LOSE\tWORTH")
			for _, r := range list.Contracts {
				if err == nil {
					_, err = fmt.Fprintf(table, "%s\t%s\t%d\t%d\t%d\t%s\t%d\t%d\t%d\t%s\n", r.Contract, r.Breaker, r.Ended, r.Faults, r.AtOnce, r.Wait,
						r.Throttled, r.WouldThrottle, r.WouldLose, r.WouldLoseSum)
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
