package main

import (
	"bufio"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"vendue/cmd/app"
)

// Limits of a buyer's list.
const (
	listLinesMax     = 1_000_000
	reconciledAtOnce = 1000
	assumeCallsMax   = 10_000
)

func doubtImportCommand() *cobra.Command {
	var data, buyer, file, before string
	c := &cobra.Command{
		Use:   "import --data DIR --buyer NAME --file IDS.csv [--assume-rest-unsold-before TIME]",
		Short: "Settle by a buyer's list of the leads that it accepted",
		Long: "Settle by a buyer's list of the leads that it accepted. FILE is CSV: lead_id and, where a lead has several legs with\n" +
			"the buyer, bid_id; a first line that says lead_id is skipped. Every line is reported by number as settled, already,\n" +
			"conflict, unknown, ambiguous or in_flight. With --assume-rest-unsold-before, the buyer's posts still in doubt that\n" +
			"were started before TIME count as unsold, but only if every line of the list was understood.",
		Example: "  vendue doubt import --data ./data --buyer acme --file accepted.csv --assume-rest-unsold-before 2026-11-01T00:00:00Z",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			var rest *time.Time
			if before != "" {
				t, err := time.Parse(time.RFC3339, before)
				if err != nil {
					return errors.New("--assume-rest-unsold-before: expected a time as in 2026-01-31T12:00:00Z")
				}
				rest = &t
			}
			lines, err := readList(file)
			if err != nil {
				return wanting{err}
			}
			return importList(cmd.OutOrStdout(), data, buyer, lines, rest)
		},
	}
	needFlag(c, &data, "data", "the data directory")
	needFlag(c, &buyer, "buyer", "the buyer whose list it is")
	needFlag(c, &file, "file", "the list, as CSV")
	c.Flags().StringVar(&before, "assume-rest-unsold-before", "", "count as unsold what is not listed and was started before this time, RFC 3339")
	return c
}

// listLine is a line of the list and its number in the file.
type listLine struct {
	app.Accepted
	number int
}

func readList(file string) ([]listLine, error) {
	f, err := os.Open(file)
	if err != nil {
		return nil, fmt.Errorf("cannot read the list: %w", err)
	}
	defer func() { _ = f.Close() }()
	return parseList(f)
}

// parseList reads a list. Its faults name the line, never what stands in it: the file is a buyer's.
func parseList(r io.Reader) (lines []listLine, err error) {
	in := csv.NewReader(bufio.NewReader(r))
	in.FieldsPerRecord, in.TrimLeadingSpace, in.ReuseRecord = -1, true, true
	for {
		record, err := in.Read()
		if errors.Is(err, io.EOF) {
			return lines, nil
		}
		if err != nil {
			var parse *csv.ParseError
			if errors.As(err, &parse) {
				return nil, fmt.Errorf("line %d: expected CSV", parse.Line)
			}
			return nil, fmt.Errorf("cannot read the list: %w", err)
		}
		number, _ := in.FieldPos(0)
		lead := strings.TrimSpace(strings.TrimPrefix(record[0], "\ufeff"))
		switch {
		case len(lines) == 0 && strings.EqualFold(lead, "lead_id"):
			continue
		case lead == "":
			return nil, fmt.Errorf("line %d: expected a lead_id", number)
		case len(lines) == listLinesMax:
			return nil, fmt.Errorf("line %d: expected at most %d lines", number, listLinesMax)
		}
		line := listLine{app.Accepted{LeadID: strings.Clone(lead)}, number}
		if len(record) > 1 {
			line.BidID = strings.Clone(strings.TrimSpace(record[1]))
		}
		lines = append(lines, line)
	}
}

// importList settles the lines part by part, and then the rest.
func importList(w io.Writer, data, buyer string, lines []listLine, rest *time.Time) error {
	counts := map[string]int{}
	for part := range slices.Chunk(lines, reconciledAtOnce) {
		body := app.Reconcile{Buyer: buyer}
		for _, line := range part {
			body.Accepted = append(body.Accepted, line.Accepted)
		}
		var answer app.Reconciled
		if err := askJSON(data, "/api/reconcile", body, &answer); err != nil {
			return err
		}
		if len(answer.Lines) != len(part) {
			return wanting{fmt.Errorf("the exchange answered for %d of %d lines", len(answer.Lines), len(part))}
		}
		for i, word := range answer.Lines {
			if counts[word]++; word == "settled" || word == "already" {
				continue
			}
			if err := tell(w, "line %d: %s\n", part[i].number, word); err != nil {
				return err
			}
		}
	}
	err := tell(w, "%d lines: %d settled, %d already, %d conflict, %d unknown, %d ambiguous, %d in flight\n", len(lines),
		counts["settled"], counts["already"], counts["conflict"], counts["unknown"], counts["ambiguous"], counts["in_flight"])
	if err != nil {
		return err
	}
	open := counts["unknown"] + counts["ambiguous"] + counts["in_flight"]
	switch {
	case rest == nil:
		return nil
	case open > 0:
		// A line that was not understood may mean a lead that would now count as unsold.
		return wanting{fmt.Errorf("nothing was assumed of the rest: %d lines name no one post of this buyer; mend or take them out, and import again", open)}
	}
	return assumeRest(w, data, buyer, *rest)
}

func assumeRest(w io.Writer, data, buyer string, before time.Time) error {
	total := 0
	for range assumeCallsMax {
		var answer app.Reconciled
		if err := askJSON(data, "/api/reconcile", app.Reconcile{Buyer: buyer, AssumeRestUnsoldBefore: &before}, &answer); err != nil {
			return err
		}
		total += answer.Assumed
		if answer.Left == 0 {
			return tell(w, "%d assumed unsold\n", total)
		}
		if answer.Assumed == 0 {
			break
		}
	}
	if err := tell(w, "%d assumed unsold\n", total); err != nil {
		return err
	}
	return wanting{errors.New("some are being worked on; import again")}
}
