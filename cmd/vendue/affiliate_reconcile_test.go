package main

import (
	"encoding/csv"
	"strings"
	"testing"

	"vendue/attribution/reconcile"
)

// TestAReportHoldsNoFormula writes a report of ids that a spreadsheet would run, and reads it back.
func TestAReportHoldsNoFormula(t *testing.T) {
	r := &reconcile.Report{}
	ids := map[string]string{
		"=HYPERLINK(\"http://x\";\"y\")": "'=HYPERLINK(\"http://x\";\"y\")", "+1+cmd|' /C calc'!A0": "'+1+cmd|' /C calc'!A0", "@SUM(1)": "'@SUM(1)", "-2+3": "'-2+3",
		"\t=1": "'\t=1", " \r\n=1": "' \r\n=1", "\uff1d1": "'\uff1d1", "\u00a0=1": "'\u00a0=1", "--1": "'--1", "-1e9": "'-1e9",
		"plain-1": "plain-1", "a=b": "a=b", "'=1": "'=1", "-5.00": "-5.00", "": "-", "-": "-", "\xff": "\xff",
	}
	var order []string
	for id := range ids {
		order = append(order, id)
		r.Rows = append(r.Rows,
			reconcile.Row{Class: reconcile.TheirsUnknown, Theirs: &reconcile.Theirs{Line: 2, IDs: []string{id}, Amount: 5_000_000}, Difference: 5_000_000},
			reconcile.Row{Class: reconcile.OursAbsent, Ours: &reconcile.Ours{AffClickID: id, Amount: 5_000_000}, Difference: -5_000_000})
	}
	var out strings.Builder
	if err := reportCSV(&out, r); err != nil {
		t.Fatal(err)
	}
	rows, err := csv.NewReader(strings.NewReader(out.String())).ReadAll()
	if err != nil || len(rows) != 1+2*len(order) {
		t.Fatalf("%d rows, %v", len(rows), err)
	}
	for i, id := range order {
		theirs, ours := rows[1+2*i], rows[2+2*i]
		want := strings.ReplaceAll(ids[id], "\r\n", "\n") // what the CSV reader makes of a line's end inside quotes
		if theirs[5] != want || ours[5] != want {
			t.Errorf("%q was written as %q and %q, want %q", id, theirs[5], ours[5], want)
		}
		if theirs[9] != "5.00" || ours[9] != "-5.00" {
			t.Errorf("the differences were written as %s and %s", theirs[9], ours[9])
		}
	}
}
