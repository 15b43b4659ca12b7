package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net/url"
	"os"
	"os/signal"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"vendue/cmd/app"
	"vendue/exchange"
	"vendue/store"
)

func logCommand() *cobra.Command {
	var data, kind string
	var q app.LogQuery
	c := &cobra.Command{
		Use:     "log --data DIR [--follow] [--from SEQ] [--type T]",
		Short:   "Print the journal as JSON lines",
		Long:    "Print the journal as JSON lines, from a running exchange's socket or from the directory itself. What is sealed stays sealed.",
		Example: "  vendue log --data ./data --type post_ended --follow",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if kind != "" {
				k, ok := exchange.ParseEventKind(kind)
				if !ok {
					return fmt.Errorf("--type %q: expected one of %s", kind, strings.Join(exchange.EventWords(), ", "))
				}
				q.Kind = k
			}
			ctx, cancel := signal.NotifyContext(cmd.Context(), os.Interrupt)
			defer cancel()
			return printLog(ctx, cmd.OutOrStdout(), data, q)
		},
	}
	needFlag(c, &data, "data", "the data directory")
	c.Flags().BoolVar(&q.Follow, "follow", false, "go on with events as they come")
	c.Flags().Uint64Var(&q.From, "from", 1, "the first seq")
	c.Flags().StringVar(&kind, "type", "", "only events of this type")
	c.SetContext(context.Background())
	return c
}

func printLog(ctx context.Context, out io.Writer, data string, q app.LogQuery) error {
	kind := ""
	if q.Kind != 0 {
		kind = q.Kind.String()
	}
	s, daemon, err := openJournal(data)
	if err != nil {
		return err
	}
	if daemon != nil {
		query := url.Values{"from": {strconv.FormatUint(max(q.From, 1), 10)}, "type": {kind}}
		if q.Follow {
			query.Set("follow", "1")
		}
		return askDaemon(daemon, "/api/log", query, out)
	}
	defer func() { _ = s.Close() }()
	q.From = max(q.From, 1)
	follow := q.Follow
	q.Follow = false // nothing is appended while the directory is ours
	w := bufio.NewWriter(out)
	if err := errors.Join(app.WriteLog(ctx, s, q, w), w.Flush()); err != nil {
		return wanting{err}
	}
	if follow {
		return followLater(ctx, out, s, data, kind)
	}
	return nil
}

// followLater waits for an exchange to take the directory and follows it from where the journal ended.
func followLater(ctx context.Context, out io.Writer, s *store.Store, data, kind string) error {
	from := s.Seq() + 1
	if err := s.Close(); err != nil {
		return wanting{err}
	}
	tick := time.NewTicker(500 * time.Millisecond)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
		query := url.Values{"from": {strconv.FormatUint(from, 10)}, "type": {kind}, "follow": {"1"}}
		if err := askDaemon(app.SocketClient(data), "/api/log", query, out); err == nil {
			return nil
		}
	}
}
