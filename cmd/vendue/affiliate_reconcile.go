package main

import (
	"bufio"
	"bytes"
	"encoding/csv"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/url"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"vendue/attribution/reconcile"
	"vendue/cmd/app"
	"vendue/exchange"
)

// aroundWindow is how far beyond the window our conversions are looked for.
const aroundWindow = 7 * 24 * time.Hour

// examplesMax is how many rows of a class the table shows.
const examplesMax = 5

// comparison is what `vendue reconcile` is asked.
type comparison struct {
	data, affiliate, file, from, to, zone, columns, decimal, currency, format string
	edge                                                                      time.Duration
	skipBad                                                                   bool
}

func reconcileCommand() *cobra.Command {
	var q comparison
	c := &cobra.Command{
		Use:   "reconcile --data DIR --affiliate X --file theirs.csv --from T --to T",
		Short: "Hold an affiliate's own list of conversions against our credits",
		Long: "Hold an affiliate's own list of conversions against our credits. Each conversion of ours from --from up to --to, and each line of\n" +
			"theirs, is in one class: matched, amount_differs, status_differs; only ours because it was not_sent, refused, accepted_but_absent,\n" +
			"told outside_window, or sold at a timezone_edge; only theirs because it is unknown, a duplicate, counted after_return, or of a sale\n" +
			"outside_window or at a timezone_edge. The classes sum to the difference. What either side took back counts nothing.\n\n" +
			"FILE is CSV (commas, semicolons, tabs or bars; UTF-8 or UTF-16) with a line that names its columns: an id (conversion_id, txid,\n" +
			"click_id, sub1, ..), an amount (payout, amount, ..), and if there are such a status and a currency. A conversion is found by our\n" +
			"conversion id, the lead's id, our click id or the affiliate's own. Exit code 1 if anything differs.",
		Example: "  vendue reconcile --data ./data --affiliate blog-42 --file october.csv --from 2026-10-01 --to 2026-11-01\n" +
			"  vendue reconcile --data ./data --affiliate blog-42 --file t.csv --from 2026-10-01 --to 2026-11-01 --columns id=Sub1,amount=Net --format csv",
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return q.run(cmd.OutOrStdout()) },
	}
	needFlag(c, &q.data, "data", "the data directory")
	needFlag(c, &q.affiliate, "affiliate", "whose list it is")
	needFlag(c, &q.file, "file", "the list, as CSV; - for standard input")
	needFlag(c, &q.from, "from", "the first day or instant: 2026-10-01 or 2026-10-01T00:00:00Z")
	needFlag(c, &q.to, "to", "the day or instant after the last")
	f := c.Flags()
	f.StringVar(&q.zone, "zone", "UTC", "the time zone in which days begin")
	f.DurationVar(&q.edge, "edge", 14*time.Hour, "how near an end of the window is a time zone's doubt; never more than a quarter of it")
	f.StringVar(&q.columns, "columns", "", "id=NAME+NAME,amount=NAME,status=NAME,currency=NAME; what is not said is guessed, status=- leaves it out")
	f.StringVar(&q.decimal, "decimal", "", "the sign before decimals, . or ,; told from each amount if not given")
	f.StringVar(&q.currency, "currency", "USD", "what a currency column must say, where we have no conversion to tell it by")
	f.StringVar(&q.format, "format", "table", "table, csv or json; in csv an apostrophe stands before an id that a spreadsheet would run as a formula")
	f.BoolVar(&q.skipBad, "skip-bad", false, "leave out lines that cannot be read, as a line of totals")
	return c
}

func (q *comparison) run(w io.Writer) error {
	window, opt, err := q.options()
	if err != nil {
		return err
	}
	ours, err := q.ours(window)
	if err != nil {
		return err
	}
	opt.Currency = q.currency
	if len(ours) > 0 {
		opt.Currency = ours[0].Currency
	}
	theirs, faults, err := q.theirs(opt)
	if err != nil {
		return wanting{err}
	}
	if len(faults) > 0 && !q.skipBad {
		lines := make([]string, len(faults))
		for i, f := range faults {
			lines[i] = f.Error()
		}
		return wanting{fmt.Errorf("%s\nnothing was reconciled; mend the list, or leave such lines out with --skip-bad", strings.Join(lines, "\n"))}
	}
	r := reconcile.Match(window, ours, theirs)
	switch q.format {
	case "json":
		out := json.NewEncoder(w)
		out.SetIndent("", "  ")
		err = out.Encode(r)
	case "csv":
		err = reportCSV(w, r)
	default:
		err = reportTable(w, r, faults)
	}
	if err == nil && !r.Agrees() {
		err = wanting{errors.New("")} // the report says it
	}
	return err
}

func (q *comparison) options() (window reconcile.Window, opt reconcile.Options, err error) {
	zone, err := time.LoadLocation(q.zone)
	if err != nil {
		return window, opt, fmt.Errorf("--zone %q: expected a time zone such as America/New_York", q.zone)
	}
	if window.From, err = instant("from", q.from, zone); err != nil {
		return window, opt, err
	}
	if window.Until, err = instant("to", q.to, zone); err != nil {
		return window, opt, err
	}
	if !window.From.Before(window.Until) {
		return window, opt, errors.New("--to: expected a time after --from")
	}
	if q.edge < 0 {
		return window, opt, errors.New("--edge: expected a duration of zero or more")
	}
	window.Edge = min(q.edge, window.Until.Sub(window.From)/4)
	if opt.Columns, err = reconcile.ParseColumns(q.columns); err != nil {
		return window, opt, fmt.Errorf("--columns: %w", err)
	}
	switch q.decimal {
	case ".", ",":
		opt.Decimal = q.decimal[0]
	case "":
	default:
		return window, opt, errors.New("--decimal: expected . or ,")
	}
	if q.format != "table" && q.format != "csv" && q.format != "json" {
		return window, opt, errors.New("--format: expected table, csv or json")
	}
	return window, opt, nil
}

func instant(name, text string, zone *time.Location) (time.Time, error) {
	for _, layout := range [...]string{time.DateOnly, time.RFC3339} {
		if t, err := time.ParseInLocation(layout, text, zone); err == nil {
			return t, nil
		}
	}
	return time.Time{}, fmt.Errorf("--%s: expected a day or a time as in 2026-01-31 or 2026-01-31T12:00:00Z", name)
}

func (q *comparison) ours(window reconcile.Window) (list []reconcile.Ours, err error) {
	ask := app.ConversionQuery{
		Affiliate: q.affiliate, From: window.From.Add(-aroundWindow).Format(time.RFC3339), Until: window.Until.Add(aroundWindow).Format(time.RFC3339),
	}
	s, daemon, err := openJournal(q.data)
	if err != nil {
		return nil, err
	}
	if daemon == nil {
		defer func() { _ = s.Close() }()
		if list, err = app.Conversions(s, ask); err != nil {
			return nil, wanting{err}
		}
		return list, nil
	}
	var body bytes.Buffer
	if err := askDaemon(daemon, "/api/conversions", url.Values{"affiliate": {ask.Affiliate}, "from": {ask.From}, "until": {ask.Until}}, &body); err != nil {
		return nil, err
	}
	in := json.NewDecoder(&body)
	for in.More() {
		var o reconcile.Ours
		if err := in.Decode(&o); err != nil {
			return nil, wanting{fmt.Errorf("cannot read the daemon's answer: %w", err)}
		}
		list = append(list, o)
	}
	return list, nil
}

func (q *comparison) theirs(opt reconcile.Options) ([]reconcile.Theirs, []reconcile.Fault, error) {
	if q.file == "-" {
		return reconcile.Read(os.Stdin, opt)
	}
	f, err := os.Open(q.file)
	if err != nil {
		return nil, nil, fmt.Errorf("cannot read the list: %w", err)
	}
	defer func() { _ = f.Close() }()
	return reconcile.Read(f, opt)
}

func reportTable(w io.Writer, r *reconcile.Report, faults []reconcile.Fault) error {
	var b strings.Builder
	fmt.Fprintf(&b, "%-30s %8s %14s %14s %14s\n", "class", "rows", "ours", "theirs", "difference")
	line := func(name string, rows int, sums ...fmt.Stringer) {
		fmt.Fprintf(&b, "%-30s %8d %14s %14s %14s\n", name, rows, sums[0], sums[1], sums[2])
	}
	for _, c := range r.Classes {
		if c.Rows > 0 || c.Class == reconcile.Matched {
			line(c.Class.String(), c.Rows, c.Ours, c.Theirs, c.Difference)
		}
	}
	line("all", len(r.Rows), r.Ours, r.Theirs, r.Difference)
	fmt.Fprintf(&b, "%d conversions of ours, %d lines of theirs\n", r.Conversions, r.Lines)
	shown := make([]int, reconcile.ClassCount)
	for i := range r.Rows {
		row := &r.Rows[i]
		if row.Class == reconcile.Matched {
			continue
		}
		if shown[row.Class]++; shown[row.Class] <= examplesMax {
			fmt.Fprintf(&b, "%s: %s\n", row.Class, strings.Join(rowTexts(row)[1:], " "))
		}
	}
	for c, n := range shown {
		if n > examplesMax {
			fmt.Fprintf(&b, "%s: %d more; --format csv tells all\n", reconcile.Class(c), n-examplesMax)
		}
	}
	for _, f := range faults {
		fmt.Fprintf(&b, "left out: %s\n", f.Error())
	}
	return tell(w, "%s", b.String())
}

var rowHead = []string{"class", "line", "conversion_id", "lead_id", "click_id", "aff_click_id", "at", "ours", "theirs", "difference", "our_status", "their_status", "detail"}

// rowTexts are a row's fields in the order of rowHead, - where there is nothing.
func rowTexts(row *reconcile.Row) []string {
	out := []string{row.Class.String(), "", "", "", "", "", "", "", "", row.Difference.String(), "", "", row.Detail}
	if t := row.Theirs; t != nil {
		out[1], out[8], out[11] = strconv.Itoa(t.Line), t.Amount.String(), t.Status
		out[5] = t.IDs[0] // of one that nobody knows
	}
	if o := row.Ours; o != nil {
		out[2], out[3], out[4], out[5], out[6], out[7], out[10] = o.ConversionID, o.LeadID, o.ClickID, o.AffClickID, o.At.Format(time.RFC3339), o.Amount.String(), o.Status
	}
	for i, s := range out {
		out[i] = orDash(s)
	}
	return out
}

func reportCSV(w io.Writer, r *reconcile.Report) error {
	buffered := bufio.NewWriter(w)
	out := csv.NewWriter(buffered)
	err := out.Write(rowHead)
	for i := range r.Rows {
		row := rowTexts(&r.Rows[i])
		for c := range row {
			row[c] = noFormula(row[c])
		}
		err = errors.Join(err, out.Write(row))
	}
	out.Flush()
	if err = errors.Join(err, out.Error(), buffered.Flush()); err != nil {
		return wanting{err}
	}
	return nil
}

// noFormula puts an apostrophe before a text that a spreadsheet would run as a
// formula: the ids are an affiliate's, and who opens the report is not. Numbers
// and the dash of an empty cell are none.
func noFormula(text string) string {
	plain := strings.TrimLeft(text, " \t\r\n\u00a0\u3000")
	if plain == "" || plain == "-" || !strings.ContainsRune("=+-@\uff1d\uff0b\uff0d\uff20", []rune(plain)[0]) {
		return text
	}
	if _, err := exchange.ParseMoney(text); err == nil {
		return text
	}
	return "'" + text
}
