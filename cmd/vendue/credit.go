package main

import (
	"encoding/json"
	"fmt"
	"io"
	"net/url"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"vendue/cmd/app"
)

func creditCommand() *cobra.Command {
	var data, lead string
	var raw bool
	c := &cobra.Command{
		Use:   "credit --data DIR --lead ID [--json]",
		Short: "Explain who was credited for a lead, and why",
		Long: "Explain who was credited for a lead, and why: each decision in the order of the journal, with every touch that was considered,\n" +
			"why it was dropped, the rule that applied, the result and what became of the notices. From a running exchange's socket or\n" +
			"from the directory itself. Exit code 1 if nothing was decided of the lead.",
		Example: "  vendue credit --data ./data --lead 06ft2m..",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			report, err := askCredit(data, lead)
			if err != nil {
				return err
			}
			if raw {
				out := json.NewEncoder(cmd.OutOrStdout())
				out.SetIndent("", "  ")
				err = out.Encode(report)
			} else {
				err = tellCredit(cmd.OutOrStdout(), report)
			}
			if err == nil && len(report.Decisions) == 0 {
				err = wanting{fmt.Errorf("nothing was decided of this lead: no leg of it is sold, or attribution has not come to it yet")}
			}
			return err
		},
	}
	needFlag(c, &data, "data", "the data directory")
	needFlag(c, &lead, "lead", "the lead's id")
	c.Flags().BoolVar(&raw, "json", false, "the record as JSON")
	return c
}

func askCredit(data, lead string) (*app.CreditReport, error) {
	s, daemon, err := openJournal(data)
	if err != nil {
		return nil, err
	}
	if daemon != nil {
		report := &app.CreditReport{}
		return report, askJSON(data, "/api/credits/"+url.PathEscape(lead), nil, report)
	}
	defer func() { _ = s.Close() }()
	report, err := app.Credit(s, lead)
	if err != nil {
		return nil, wanting{err}
	}
	return report, nil
}

func tellCredit(w io.Writer, r *app.CreditReport) error {
	if r.OpenAttempts > 0 {
		if err := tell(w, "%d of the lead's attempts are open or in doubt\n", r.OpenAttempts); err != nil {
			return err
		}
	}
	for i := range r.Decisions {
		if err := tell(w, "%s", creditText(&r.Decisions[i])); err != nil {
			return err
		}
	}
	return nil
}

// creditText tells one decision, a few lines long.
func creditText(d *app.CreditDecision) string {
	var b strings.Builder
	line := func(format string, args ...any) { fmt.Fprintf(&b, format+"\n", args...) }
	head := fmt.Sprintf("seq %d: %s", d.Seq, d.Trigger)
	if d.Leg > 0 {
		head += fmt.Sprintf(" leg %d to %s by %s", d.Leg, d.Contract, d.Seller)
	}
	if d.Event != "" {
		head += fmt.Sprintf(", event %s of %s %s", d.Event, d.EventAmount, d.Currency)
	}
	if d.Of > 0 {
		head += fmt.Sprintf(", of seq %d", d.Of)
	}
	line("%s, %s", head, d.At.Format(time.RFC3339Nano))
	line("  revenue %s, payout %s %s", d.Revenue, d.Payout, d.Currency)
	for _, t := range d.Touches {
		line("  touch: %s", touchText(&t, d.At))
	}
	if d.Rule != nil {
		line("  rule of offer %s: %s", d.Offer, ruleText(d))
	}
	if d.Why != "" {
		line("  result: nobody is credited: %s (%s)", d.Result, d.Why)
	} else {
		line("  result: %s, commission %s %s", d.Result, d.Commission, d.Currency)
	}
	for _, c := range d.Credits {
		line("    %s %s %s, conversion %s", c.Affiliate, c.Amount, d.Currency, c.ConversionID)
	}
	for _, p := range d.Postbacks {
		text := fmt.Sprintf("%s to %s %s: %s, %d attempts", p.Event, p.Affiliate+p.Seller, orDash(p.Endpoint), p.State, len(p.Attempts))
		if p.Reason != "" {
			text += ", " + p.Reason
		}
		if n := len(p.Attempts); n > 0 {
			text += ", at last " + p.Attempts[n-1].Verdict
		}
		line("  postback %s %s", p.ID, text)
	}
	return b.String()
}

func touchText(t *app.CreditTouch, sale time.Time) string {
	text := fmt.Sprintf("%s by %s", t.Kind, t.Evidence)
	if t.ClickID != "" {
		text += " " + t.ClickID
	}
	text += fmt.Sprintf(", affiliate %s, offer %s", orDash(t.Affiliate), orDash(t.Offer))
	if t.At != nil {
		text += ", " + sale.Sub(*t.At).Round(time.Second).String() + " before"
	}
	if text += ": " + t.Result; t.Why != "" {
		text += " (" + t.Why + ")"
	}
	return text
}

func ruleText(d *app.CreditDecision) string {
	r := d.Rule
	pays := fmt.Sprintf("%s of %s", r.Percent, r.Of)
	if r.FlatAmount > 0 {
		pays = fmt.Sprintf("%s %s", r.FlatAmount, d.Currency)
	}
	span := func(sec int64) time.Duration { return time.Duration(sec) * time.Second }
	text := fmt.Sprintf("%s within %s, %s paid by %s, earned on %s", r.Model, span(r.WindowSec), pays, r.PaidBy, r.EarnOn)
	if r.ViewSec > 0 {
		text += fmt.Sprintf(", views within %s", span(r.ViewSec))
	}
	if r.CouponFirst {
		text += ", coupons first"
	}
	if r.Event != "" {
		text += fmt.Sprintf(" %s within %s", r.Event, span(r.ConfirmSec))
		if r.RequireSold {
			text += " of a sale"
		}
	}
	return text
}
