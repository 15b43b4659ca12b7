package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"vendue/cmd/app"
)

func verifyCommand() *cobra.Command {
	var data string
	c := &cobra.Command{
		Use:   "verify --data DIR",
		Short: "Prove the journal and all that follows from it",
		Long: "Read the whole journal: checksums, gaps, every index key both ways, each lead's story, the caps, the\n" +
			"book's snapshots, credits and ledger. Exit code 1 if anything disagrees, with its place.",
		Example: "  vendue verify --data ./data",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			report, err := verify(data)
			if err != nil {
				return err
			}
			return tellReport(cmd.OutOrStdout(), report)
		},
	}
	needFlag(c, &data, "data", "the data directory")
	return c
}

func verify(data string) (report app.Report, err error) {
	s, daemon, err := openJournal(data)
	if err != nil {
		return report, err
	}
	if daemon != nil {
		var body bytes.Buffer
		if err := askDaemon(daemon, "/api/verify", nil, &body); err != nil {
			return report, err
		}
		if err := json.Unmarshal(body.Bytes(), &report); err != nil {
			return report, wanting{fmt.Errorf("cannot read the daemon's report: %w", err)}
		}
		return report, nil
	}
	defer func() { _ = s.Close() }()
	report, err = app.VerifyAll(context.Background(), s)
	if err != nil {
		return report, wanting{err}
	}
	return report, nil
}

func tellReport(w io.Writer, r app.Report) error {
	for _, f := range r.Findings {
		if err := tell(w, "%s\n", f); err != nil {
			return err
		}
	}
	if r.Faults > 0 {
		if err := tell(w, "NOT SOUND: %d faults in %d events\n", r.Faults, r.Events); err != nil {
			return err
		}
		return wanting{fmt.Errorf("%d faults", r.Faults)}
	}
	return tell(w, "sound: %d events to seq %d, %d leads, %d index keys, %d snapshots, %d credits\n",
		r.Events, r.LastSeq, r.Leads, r.IndexKeys, r.Snapshots, r.Credits)
}
