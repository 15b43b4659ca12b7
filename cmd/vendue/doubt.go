package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"time"

	"github.com/spf13/cobra"

	"vendue/cmd/app"
)

func doubtCommand() *cobra.Command {
	c := &cobra.Command{
		Use:   "doubt",
		Short: "See and settle posts whose outcome nobody knows",
		Long: "A post that was delivered and not readably answered is in doubt: the buyer may have the lead. Its caps stay held,\n" +
			"and nobody else is offered the lead, until the buyer, its status URL, a deadline, a list or an operator settles it.\n" +
			"These commands talk to the exchange that serves the data directory, by its socket.",
		Example: "  vendue doubt list --data ./data",
		Args:    cobra.NoArgs,
		RunE:    needsSubcommand,
	}
	c.AddCommand(doubtListCommand(), doubtSettleCommand(), doubtImportCommand())
	return c
}

func conflictsCommand() *cobra.Command {
	c := &cobra.Command{
		Use:   "conflicts",
		Short: "See and close verdicts that contradict one that stands",
		Long: "A verdict against one that stands (accepted, after it was settled as unsold) changes nothing and stands in a list\n" +
			"until someone has seen to it. These commands talk to the exchange that serves the data directory, by its socket.",
		Example: "  vendue conflicts list --data ./data",
		Args:    cobra.NoArgs,
		RunE:    needsSubcommand,
	}
	c.AddCommand(conflictsListCommand(), conflictsCloseCommand())
	return c
}

func needsSubcommand(cmd *cobra.Command, _ []string) error {
	return fmt.Errorf("%s: expected one of its commands; see vendue %s --help", cmd.Name(), cmd.Name())
}

// askJSON asks the daemon that serves dir. A nil body is a GET.
func askJSON(dir, path string, body, answer any) error {
	client := app.SocketClient(dir)
	var resp *http.Response
	var err error
	if body == nil {
		resp, err = client.Get("http://vendue" + path)
	} else {
		text, merr := json.Marshal(body)
		if merr != nil {
			panic("BUG: cannot encode a request: " + merr.Error())
		}
		resp, err = client.Post("http://vendue"+path, "application/json", bytes.NewReader(text))
	}
	if err != nil {
		return wanting{fmt.Errorf("no exchange answers on the socket of this data directory; is vendue serve running? %w", err)}
	}
	defer func() { _ = resp.Body.Close() }()
	text, err := io.ReadAll(io.LimitReader(resp.Body, 16<<20))
	if err != nil {
		return wanting{fmt.Errorf("cannot read the exchange's answer: %w", err)}
	}
	if resp.StatusCode != http.StatusOK {
		return wanting{fmt.Errorf("the exchange answered %d: %s", resp.StatusCode, problemText(text))}
	}
	if err := json.Unmarshal(text, answer); err != nil {
		return wanting{fmt.Errorf("cannot read the exchange's answer: %w", err)}
	}
	return nil
}

// problemText returns the detail of a problem, or what there is.
func problemText(text []byte) string {
	var problem struct{ Detail string }
	if json.Unmarshal(text, &problem) == nil && problem.Detail != "" {
		return problem.Detail
	}
	return string(text[:min(len(text), 500)])
}

func doubtListCommand() *cobra.Command {
	var data string
	var tests bool
	c := &cobra.Command{
		Use:     "list --data DIR [--test]",
		Short:   "List the posts in doubt, the oldest first",
		Long:    "List the posts in doubt, the oldest first: lead, bid, contract, buyer, its bid, how long. Those of test mode are left out.",
		Example: "  vendue doubt list --data ./data",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			var list app.DoubtList
			path := "/api/doubt"
			if tests {
				path += "?test=1"
			}
			if err := askJSON(data, path, nil, &list); err != nil {
				return err
			}
			w := cmd.OutOrStdout()
			for _, d := range list.Doubts {
				note := ""
				if d.Conflict {
					note = " (the lead has an open conflict)"
				}
				age := time.Duration(d.AgeSec) * time.Second
				if err := tell(w, "%s %s %s %s %s %s%s\n", d.LeadID, d.BidID, d.Contract, d.Buyer, d.Bid, age, note); err != nil {
					return err
				}
			}
			return tell(w, "%d in doubt, %d shown\n", list.Total, len(list.Doubts))
		},
	}
	needFlag(c, &data, "data", "the data directory")
	c.Flags().BoolVar(&tests, "test", false, "those of test mode, and no others")
	return c
}

func doubtSettleCommand() *cobra.Command {
	var data, lead, bid, accepted string
	c := &cobra.Command{
		Use:     "settle --data DIR --lead ID [--bid ID] --accepted=true|false",
		Short:   "Settle a post in doubt by an operator's word",
		Long:    "Settle a post in doubt by an operator's word. The opposite word later is a conflict: this cannot be taken back.",
		Example: "  vendue doubt settle --data ./data --lead 06ft2m.. --accepted=false",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			verdict, err := strconv.ParseBool(accepted)
			if err != nil {
				return errors.New("--accepted: expected true or false")
			}
			var answer struct {
				Repeated bool `json:"repeated"`
			}
			if err := askJSON(data, "/api/settle", map[string]any{"lead_id": lead, "bid_id": bid, "accepted": verdict}, &answer); err != nil {
				return err
			}
			word := "settled"
			if answer.Repeated {
				word = "settled before"
			}
			return tell(cmd.OutOrStdout(), "%s: accepted=%t\n", word, verdict)
		},
	}
	needFlag(c, &data, "data", "the data directory")
	needFlag(c, &lead, "lead", "the lead_id")
	c.Flags().StringVar(&bid, "bid", "", "the bid_id, if the lead has several legs")
	needFlag(c, &accepted, "accepted", "true: the buyer has the lead and pays for it; false: it does not")
	return c
}

func conflictsListCommand() *cobra.Command {
	var data string
	c := &cobra.Command{
		Use:     "list --data DIR",
		Short:   "List the open conflicts, the oldest first",
		Long:    "List the open conflicts, the oldest first: lead, bid, contract, buyer, its bid, what stands, what was said against it, by whom and when.",
		Example: "  vendue conflicts list --data ./data",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			var list app.ConflictList
			if err := askJSON(data, "/api/conflicts", nil, &list); err != nil {
				return err
			}
			w := cmd.OutOrStdout()
			for _, c := range list.Conflicts {
				if err := tell(w, "%s %s %s %s %s stands %s, accepted=%t by %s at %s\n",
					c.LeadID, c.BidID, c.Contract, c.Buyer, c.Bid, c.Stands, c.Accepted, c.By, c.At.Format(time.RFC3339)); err != nil {
					return err
				}
			}
			return tell(w, "%d open, %d shown\n", list.Total, len(list.Conflicts))
		},
	}
	needFlag(c, &data, "data", "the data directory")
	return c
}

func conflictsCloseCommand() *cobra.Command {
	var data, lead, bid string
	c := &cobra.Command{
		Use:     "close --data DIR --lead ID [--bid ID]",
		Short:   "Close a conflict that someone has seen to",
		Long:    "Close a conflict that someone has seen to. The verdict that stood stands; the journal says who closed it.",
		Example: "  vendue conflicts close --data ./data --lead 06ft2m..",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			var answer struct {
				Repeated bool `json:"repeated"`
			}
			if err := askJSON(data, "/api/conflicts/close", map[string]any{"lead_id": lead, "bid_id": bid}, &answer); err != nil {
				return err
			}
			word := "closed"
			if answer.Repeated {
				word = "closed before"
			}
			return tell(cmd.OutOrStdout(), "%s\n", word)
		},
	}
	needFlag(c, &data, "data", "the data directory")
	needFlag(c, &lead, "lead", "the lead_id")
	c.Flags().StringVar(&bid, "bid", "", "the bid_id, if the lead has several conflicts")
	return c
}
