package main

import (
	"context"
	"io"
	"os"
	"os/signal"
	"syscall"

	"github.com/rs/zerolog"
	"github.com/spf13/cobra"

	"vendue/bench/demo"
	"vendue/cmd/app"
	"vendue/exchange"
	"vendue/store"
)

func demoCommand() *cobra.Command {
	var o demo.Options
	c := &cobra.Command{
		Use:   "demo [--leads N] [--rate R] [--duration D]",
		Short: "Run an exchange with simulated buyers, affiliates and traffic",
		Long: "Run the whole exchange in one process with simulated buyers over real sockets, affiliates' trackers and\n" +
			"open-loop traffic. Shows how it goes, then a table per contract, the money, and the proof that sellers'\n" +
			"answers, buyers' receipts, the journal and the trackers agree. Exit code 0 only if they do.",
		Example: "  vendue demo\n  vendue demo --rate 1000 --duration 30s",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			ctx, cancel := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
			defer cancel()
			o.Out, o.Start, o.Journal = cmd.OutOrStdout(), startDaemon, readJournal
			if err := demo.Run(ctx, o); err != nil {
				return wanting{err}
			}
			return nil
		},
	}
	c.Flags().IntVar(&o.Leads, "leads", 0, "how many leads to send (default 12000)")
	c.Flags().Float64Var(&o.Rate, "rate", 0, "leads per second (default 400)")
	c.Flags().DurationVar(&o.Duration, "duration", 0, "how long to send; replaces --leads")
	return c
}

// daemon runs the exchange inside this process.
type daemon struct{ *app.App }

// Stop drains it.
func (d daemon) Stop() error {
	ctx, cancel := context.WithTimeout(context.Background(), drainMax)
	defer cancel()
	return d.App.Stop(ctx)
}

func startDaemon(config string) (demo.Daemon, error) {
	a, err := app.New(app.Options{Config: config, Log: io.Discard})
	if err != nil {
		return nil, err
	}
	if err := a.Start(); err != nil {
		return nil, err
	}
	return daemon{a}, nil
}

// readJournal gives the journal of a stopped exchange, a JSON line at a time.
func readJournal(dir string, line func([]byte) error) error {
	s, err := store.OpenReadOnly(store.Config{Dir: dir, Log: zerolog.Nop()})
	if err != nil {
		return err
	}
	defer func() { _ = s.Close() }()
	var text []byte
	for from := uint64(1); ; {
		next, err := s.Read(from, 1024, func(e exchange.Entry) error {
			text = store.AppendJSON(text[:0], e)
			return line(text)
		})
		if err != nil || next == from {
			return err
		}
		from = next
	}
}
