package main

import (
	"context"
	"os"
	"os/signal"
	"runtime/debug"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"vendue/cmd/app"
)

// drainMax is how long SIGTERM waits for requests in flight.
const drainMax = 30 * time.Second

// failedMax is how long a failed journal waits for the rest to end: a disk that
// is gone may keep that for ever.
const failedMax = 10 * time.Second

// gcPercent trades memory for fewer collections: live heap is small beside what
// requests throw away. GOGC and GOMEMLIMIT in the environment win.
const gcPercent = 400

func serveCommand() *cobra.Command {
	var config string
	c := &cobra.Command{
		Use:     "serve --config FILE",
		Short:   "Run the exchange",
		Long:    "Run the exchange until SIGTERM, which drains it. SIGHUP loads the config again; a bad one leaves the old running.\nThe log goes to standard error, a JSON object a line.\nThe collector runs at GOGC=400 under a memory limit of what all of limits come to; GOGC and GOMEMLIMIT in the environment win.",
		Example: "  vendue serve --config vendue.yaml",
		Args:    cobra.NoArgs,
		RunE:    func(*cobra.Command, []string) error { return serve(config) },
	}
	needFlag(c, &config, "config", "the YAML file")
	return c
}

func serve(config string) error {
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(gcPercent)
	}
	signals := make(chan os.Signal, 4)
	signal.Notify(signals, syscall.SIGHUP, syscall.SIGTERM, syscall.SIGINT)
	a, err := app.New(app.Options{Config: config})
	if err != nil {
		return wanting{err}
	}
	if os.Getenv("GOMEMLIMIT") == "" {
		debug.SetMemoryLimit(a.MemoryMax())
	}
	if err := a.Start(); err != nil {
		return wanting{err}
	}
	for {
		select {
		case err := <-a.Failed():
			// What is in flight is told that the journal cannot be written; nothing more can be sold.
			within(failedMax, func() { _ = stop(a, time.Second) })
			return wanting{err}
		case s := <-signals:
			if s == syscall.SIGHUP {
				_ = a.Reload() // the log says what was wrong; the old config runs on
				continue
			}
			if err := stop(a, drainMax); err != nil {
				return wanting{err}
			}
			return nil
		}
	}
}

func stop(a *app.App, wait time.Duration) error {
	ctx, cancel := context.WithTimeout(context.Background(), wait)
	defer cancel()
	return a.Stop(ctx)
}

// within returns when fn does, or after so long; fn is left behind then, for the process ends.
func within(wait time.Duration, fn func()) {
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		fn()
	}()
	select {
	case <-ended:
	case <-time.After(wait):
	}
}
