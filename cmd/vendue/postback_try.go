package main

import (
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"time"

	"github.com/spf13/cobra"

	"vendue/attribution/postback"
	"vendue/cmd/app"
	"vendue/configs"
)

// trial is what `vendue postback try` is asked.
type trial struct {
	config, affiliate, template, on, data string
	n                                     int
	query                                 app.PastQuery
}

func postbackTryCommand() *cobra.Command {
	var t trial
	c := &cobra.Command{
		Use:   "try --config FILE (--affiliate X [--n I] | --url TEMPLATE) [--data DIR] (--seq N | --lead ID)",
		Short: "Show what a postback would say of a past event, and where each value comes from",
		Long: "Show what a postback would say of a past event, and where each value comes from. Nothing is sent. Secrets are not shown.\n" +
			"The event is a click or a decision (of a sold leg, its confirmation, reversal or return) by its seq, or all decisions of a\n" +
			"lead; it may have been another affiliate's. `vendue credit` lists a lead's decisions with their seqs.",
		Example: "  vendue postback try --config vendue.yaml --affiliate blog-42 --lead 06ft2m..\n" +
			"  vendue postback try --config vendue.yaml --url 'https://t.example/?c={aff_click_id}&p={payout}' --seq 812",
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return t.run(cmd.OutOrStdout()) },
	}
	needFlag(c, &t.config, "config", "the YAML file")
	f := c.Flags()
	f.StringVar(&t.affiliate, "affiliate", "", "try this affiliate's postbacks")
	f.IntVar(&t.n, "n", 0, "only the affiliate's n-th postback, from 1")
	f.StringVar(&t.template, "url", "", "try this template instead")
	f.StringVar(&t.on, "on", "", "with --url: tell it as this event; what it is if not given")
	f.StringVar(&t.data, "data", "", "the data directory; the config's if not given")
	f.Uint64Var(&t.query.Seq, "seq", 0, "the seq of a click or a decision")
	f.StringVar(&t.query.LeadID, "lead", "", "the lead_id")
	return c
}

func (t *trial) run(w io.Writer) error {
	if (t.affiliate == "") == (t.template == "") {
		return errors.New("expected --affiliate or --url, one of the two")
	}
	if (t.query.Seq == 0) == (t.query.LeadID == "") {
		return errors.New("expected --seq or --lead, one of the two")
	}
	if t.on != "" && !slices.Contains(postback.Events(), t.on) {
		return fmt.Errorf("--on %q: expected one of %v", t.on, postback.Events())
	}
	cfg, err := loadConfig(w, t.config)
	if err != nil {
		return err
	}
	orders, err := t.orders(cfg)
	if err != nil {
		return err
	}
	if t.data == "" {
		t.data = cfg.Data
	}
	found := 0
	for i, o := range orders {
		t.query.On = o.On
		events, err := t.past()
		if err != nil {
			return err
		}
		for _, e := range events {
			if (e.Event == postback.EventClick) != (o.On == postback.EventClick) && t.template == "" {
				continue // a notice of sales says nothing of clicks
			}
			found++
			if err := t.tell(w, max(t.n, i+1), o, e); err != nil {
				return err
			}
		}
	}
	if found == 0 {
		return wanting{errors.New("there is no such sold leg or click that these postbacks tell of; attribution may be still behind the journal")}
	}
	return nil
}

// orders are the postbacks to try.
func (t *trial) orders(cfg *configs.Config) ([]postback.Order, error) {
	if t.template != "" {
		if _, err := postback.Parse(t.template); err != nil {
			return nil, wanting{fmt.Errorf("--url: %w", err)}
		}
		return []postback.Order{{On: t.on, URL: t.template}}, nil
	}
	for _, a := range cfg.Attribution.Affiliates {
		if string(a.ID) != t.affiliate {
			continue
		}
		if t.n < 0 || t.n > len(a.Postbacks) || len(a.Postbacks) == 0 {
			return nil, fmt.Errorf("--n: the affiliate has %d postbacks", len(a.Postbacks))
		}
		if t.n > 0 {
			return a.Postbacks[t.n-1 : t.n], nil
		}
		return a.Postbacks, nil
	}
	return nil, fmt.Errorf("--affiliate %q: the config has no such affiliate", t.affiliate)
}

// past asks the daemon or the directory for the event.
func (t *trial) past() (events []app.PastEvent, err error) {
	s, daemon, err := openJournal(t.data)
	if err != nil {
		return nil, err
	}
	if daemon != nil {
		return events, askJSON(t.data, "/api/postbacks/past", t.query, &events)
	}
	defer func() { _ = s.Close() }()
	if events, err = app.Past(s, t.query); err != nil {
		return nil, wanting{err}
	}
	return events, nil
}

func (t *trial) tell(w io.Writer, no int, o postback.Order, e app.PastEvent) error {
	if o.On == "" {
		o.On = e.Event
	}
	plan, err := postback.Compile("try", o)
	if err != nil {
		return wanting{err}
	}
	kind := "url"
	if o.Preset != "" {
		kind = "preset " + o.Preset
	}
	if err := tell(w, "postback %d (%s) on %s, of seq %d%s\n", no, kind, o.On, e.Seq, noticed(e)); err != nil {
		return err
	}
	var values, origins postback.Values
	for _, v := range e.Values {
		if m, ok := postback.ParseMacro(v.Macro); ok {
			values[m], origins[m] = v.Value, v.From
		}
	}
	for _, m := range plan.Macros() {
		value := strconv.Quote(values[m])
		if m.Late() {
			value = "(" + origins[m] + ")"
			origins[m] = "put in at each attempt"
		}
		if err := tell(w, "    {%s} %s  %s\n", m, value, origins[m]); err != nil {
			return err
		}
	}
	show, err := plan.Preview(&values, strconv.FormatInt(time.Now().Unix(), 10))
	if err != nil {
		return tell(w, "  not sent: %s\n", postback.NotSentReason(err))
	}
	if err := tell(w, "  %s %s\n", show.Method, show.URL); err != nil || show.Method == "GET" {
		return err
	}
	signed := ""
	if show.Signed {
		signed = ", signed by Standard Webhooks"
	}
	return tell(w, "  %s%s\n  %s\n", show.Type, signed, show.Body)
}

// noticed says whose event it was, and why it went out or not.
func noticed(e app.PastEvent) string {
	switch {
	case e.Uncredited != "":
		return ", which is credited to nobody (" + e.Uncredited + ")"
	case e.Affiliate != "":
		return ", which is " + e.Affiliate + "'s"
	default:
		return ""
	}
}
