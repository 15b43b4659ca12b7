package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"time"

	"github.com/spf13/cobra"

	"vendue/bench/backtest"
)

func backtestCommand() *cobra.Command {
	var from, to string
	var b backtesting
	c := &cobra.Command{
		Use:   "backtest --config NEW.yaml --data DIR [--from T] [--to T] [--json]",
		Short: "Tell what another config would have asked, sold and earned with the leads that came",
		Long: "Tell what another config would have asked, sold and earned with the leads that came: the auctions of DIR's tape, in their\n" +
			"order and at their time, under NEW.yaml, with buyers that answer as they did. What the tape cannot know (contracts that were\n" +
			"not asked, posts that nobody got) is counted apart as not known or estimated. Nothing is sent and nothing in DIR changes.\n\n" +
			"T is a time as in 2026-01-31T12:00:00Z or a day as in 2026-01-31 (UTC), which --to includes; without them the last seven\n" +
			"days are taken. DIR must not be held by a daemon: give a copy of it, or a backup.",
		Example: "  vendue backtest --config new.yaml --data ./data --from 2026-11-14 --to 2026-11-20",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			ctx, cancel := signal.NotifyContext(cmd.Context(), os.Interrupt)
			defer cancel()
			now := time.Now().UTC()
			span := backtest.Span{From: now.Add(-7 * 24 * time.Hour), Until: now}
			var errFrom, errTo error
			if from != "" {
				span.From, errFrom = spanEnd("--from", from, false)
			}
			if to != "" {
				span.Until, errTo = spanEnd("--to", to, true)
			}
			if err := errors.Join(errFrom, errTo); err != nil {
				return err
			}
			if !span.From.Before(span.Until) {
				return errors.New("--from is not before --to")
			}
			return b.run(ctx, cmd.OutOrStdout(), span)
		},
	}
	needFlag(c, &b.config, "config", "the config to try")
	needFlag(c, &b.data, "data", "the data directory that holds the tape")
	c.Flags().StringVar(&from, "from", "", "the first instant or day")
	c.Flags().StringVar(&to, "to", "", "the instant after the last, or the last day")
	c.Flags().BoolVar(&b.json, "json", false, "print one JSON object in place of the table")
	c.SetContext(context.Background())
	return c
}

// spanEnd reads an instant, or a day, whose end is meant if whole is set.
func spanEnd(flag, text string, whole bool) (time.Time, error) {
	if t, err := time.Parse(time.RFC3339, text); err == nil {
		return t, nil
	}
	t, err := time.Parse(time.DateOnly, text)
	if err != nil {
		return t, fmt.Errorf("%s %q: expected a time as in 2026-01-31T12:00:00Z or a day as in 2026-01-31", flag, text)
	}
	if whole {
		t = t.AddDate(0, 0, 1)
	}
	return t, nil
}

// backtesting is what the command was given.
type backtesting struct {
	config, data string
	json         bool
}

func (b *backtesting) run(ctx context.Context, w io.Writer, span backtest.Span) error {
	cfg, err := loadConfig(w, b.config)
	if err != nil {
		return err
	}
	s, daemon, err := openJournal(b.data)
	if err != nil {
		return err
	}
	if daemon != nil {
		return wanting{fmt.Errorf("a daemon holds %s; expected a copy of it, for the tape is read from beginning to end twice", b.data)}
	}
	defer func() { _ = s.Close() }()
	span.Store = s
	report, err := backtest.Run(ctx, span, cfg.Market)
	if err != nil {
		return wanting{err}
	}
	if !b.json {
		err = report.WriteTable(w)
	} else {
		out := json.NewEncoder(w)
		out.SetIndent("", "  ")
		err = out.Encode(report)
	}
	if err != nil {
		return wanting{err}
	}
	return nil
}
