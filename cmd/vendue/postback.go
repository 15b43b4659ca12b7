package main

import (
	"fmt"
	"io"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"vendue/cmd/app"
)

func postbackCommand() *cobra.Command {
	c := &cobra.Command{
		Use:   "postback",
		Short: "See, replay and try the notices to affiliates' trackers",
		Long: "A postback tells an affiliate's tracker of an event. It is tried for three days; what its tracker refuses or rejects, or\n" +
			"never takes, stands dead, and what lacks a value that it needs stands not sent, until somebody replays it. A tracker that\n" +
			"answers 410 switches a postback off. These commands talk to the exchange that serves the data directory, by its socket.",
		Example: "  vendue postback dead --data ./data",
		Args:    cobra.NoArgs,
		RunE:    needsSubcommand,
	}
	c.AddCommand(postbackDeadCommand(), postbackReplayCommand(), postbackDisabledCommand(), postbackEnableCommand(), postbackTryCommand())
	return c
}

// filterFlags adds the flags by which postbacks are searched.
func filterFlags(c *cobra.Command, data *string, q *app.PostbackFilter) {
	needFlag(c, data, "data", "the data directory")
	f := c.Flags()
	f.StringVar(&q.State, "state", "dead", "dead or not_sent; for the list waiting or delivered too")
	f.StringVar(&q.Affiliate, "affiliate", "", "of this affiliate only")
	f.StringVar(&q.Event, "event", "", "of this event only: lead.sold")
	f.StringVar(&q.Reason, "reason", "", "for this reason only: rejected, refused, expired, gone, missing_aff_click_id, ..")
	f.StringVar(&q.Endpoint, "endpoint", "", "to endpoints that begin so only: https://tracker.example")
	f.StringVar(&q.LeadID, "lead", "", "of this lead only")
	f.StringVar(&q.From, "from", "", "made at this time (RFC 3339) or later")
	f.StringVar(&q.Until, "until", "", "made before this time")
	f.IntVar(&q.Limit, "limit", 1000, "at most so many")
}

func postbackDeadCommand() *cobra.Command {
	var data string
	var attempts bool
	var q app.PostbackFilter
	c := &cobra.Command{
		Use:   "dead --data DIR [--state S] [--affiliate A] [--event E] [--reason R] [--endpoint U] [--lead ID] [--from T] [--until T]",
		Short: "List the postbacks that were not delivered, and why",
		Long:  "List the postbacks that were not delivered, the oldest first: id, state, affiliate, event, lead, endpoint, reason, and how often and when it was tried.",
		Example: "  vendue postback dead --data ./data --affiliate blog-42 --reason rejected --attempts\n" +
			"  vendue postback dead --data ./data --state not_sent",
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return listPostbacks(cmd.OutOrStdout(), data, q, attempts) },
	}
	filterFlags(c, &data, &q)
	c.Flags().BoolVar(&attempts, "attempts", false, "show each attempt, with what the tracker said")
	return c
}

func listPostbacks(w io.Writer, data string, q app.PostbackFilter, attempts bool) error {
	shown := 0
	for shown < q.Limit {
		query := url.Values{
			"state": {q.State}, "affiliate": {q.Affiliate}, "event": {q.Event}, "reason": {q.Reason}, "endpoint": {q.Endpoint},
			"lead_id": {q.LeadID}, "from": {q.From}, "until": {q.Until}, "after": {q.After}, "limit": {strconv.Itoa(q.Limit - shown)},
		}
		var list app.PostbackList
		if err := askJSON(data, "/api/postbacks?"+query.Encode(), nil, &list); err != nil {
			return err
		}
		for i := range list.Postbacks {
			if err := tellPostback(w, &list.Postbacks[i], attempts); err != nil {
				return err
			}
		}
		shown += len(list.Postbacks)
		if q.After = list.Next; q.After == "" {
			n := list.Counts
			return tell(w, "%d shown; of %d in all %d wait, %d are delivered, %d are dead, %d not sent\n",
				shown, n.Created, n.Waiting, n.Delivered, n.Dead, n.NotSent)
		}
	}
	return tell(w, "%d shown; there are more\n", shown)
}

func tellPostback(w io.Writer, p *app.Postback, attempts bool) error {
	who := p.Affiliate + p.Seller
	if err := tell(w, "%s %s %s %s %s %s %s %d attempts, made %s\n",
		p.ID, p.State, who, p.Event, orDash(p.LeadID), orDash(p.Endpoint), orDash(p.Reason), len(p.Attempts), p.Created.Format(time.RFC3339)); err != nil || !attempts {
		return err
	}
	for _, a := range p.Attempts {
		line := fmt.Sprintf("    %s %s", a.At.Format(time.RFC3339), a.Verdict)
		if a.Status != 0 {
			line += " " + strconv.Itoa(a.Status)
		}
		if a.Fault != "" {
			line += " " + a.Fault
		}
		if a.Said != "" {
			line += " " + strconv.Quote(a.Said)
		}
		if err := tell(w, "%s\n", line); err != nil {
			return err
		}
	}
	return nil
}

func orDash(s string) string {
	if s == "" {
		return "-"
	}
	return s
}

func postbackReplayCommand() *cobra.Command {
	var data string
	var q app.PostbackFilter
	c := &cobra.Command{
		Use:   "replay --data DIR [--state S] [--affiliate A] [--event E] [--reason R] [--endpoint U] [--lead ID] [--from T] [--until T]",
		Short: "Send dead postbacks again, by the same ids",
		Long: "Send dead postbacks again, by the same ids and the same values, with three days anew. The secrets are those of the config as\n" +
			"it is now. What was never rendered, for want of a value, cannot be replayed. The same replay again finds nothing.",
		Example: "  vendue postback replay --data ./data --endpoint https://tracker.example --from 2026-11-20T00:00:00Z",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			replayed, skipped := 0, 0
			for left := q.Limit; ; {
				q.Limit = min(left, 1000)
				var done app.PostbackReplay
				if err := askJSON(data, "/api/postbacks/replay", q, &done); err != nil {
					return err
				}
				replayed, skipped, left = replayed+done.Replayed, skipped+done.Skipped, left-done.Replayed
				if q.After = done.Next; q.After == "" || left <= 0 {
					return tell(cmd.OutOrStdout(), "%d replayed, %d skipped\n", replayed, skipped)
				}
			}
		},
	}
	filterFlags(c, &data, &q)
	return c
}

func postbackDisabledCommand() *cobra.Command {
	var data string
	c := &cobra.Command{
		Use:     "disabled --data DIR",
		Short:   "List the postbacks that their trackers switched off",
		Long:    "List the postbacks whose tracker answered 410 (gone): the notice's name, since when, whose, of which event, where.",
		Example: "  vendue postback disabled --data ./data",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			var list app.DisabledList
			if err := askJSON(data, "/api/postbacks/disabled", nil, &list); err != nil {
				return err
			}
			w := cmd.OutOrStdout()
			for _, d := range list.Disabled {
				if err := tell(w, "%s since %s %s %s %s\n", d.Notice, d.Since.Format(time.RFC3339), orDash(d.Affiliate+d.Seller), orDash(d.Event), orDash(d.Endpoint)); err != nil {
					return err
				}
			}
			return tell(w, "%d switched off\n", len(list.Disabled))
		},
	}
	needFlag(c, &data, "data", "the data directory")
	return c
}

func postbackEnableCommand() *cobra.Command {
	var data, notice string
	c := &cobra.Command{
		Use:     "enable --data DIR --notice N",
		Short:   "Switch a postback on again",
		Long:    "Switch a postback on again. What died meanwhile stays dead until it is replayed: vendue postback replay --reason gone.",
		Example: "  vendue postback enable --data ./data --notice 9c1f20aa51b3e07d",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			var answer struct {
				Repeated bool `json:"repeated"`
			}
			if err := askJSON(data, "/api/postbacks/enable", map[string]any{"notice": strings.TrimSpace(notice)}, &answer); err != nil {
				return err
			}
			word := "enabled"
			if answer.Repeated {
				word = "was not switched off"
			}
			return tell(cmd.OutOrStdout(), "%s\n", word)
		},
	}
	needFlag(c, &data, "data", "the data directory")
	needFlag(c, &notice, "notice", "the notice's name, as vendue postback disabled tells it")
	return c
}
