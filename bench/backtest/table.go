package backtest

import (
	"cmp"
	"fmt"
	"io"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"vendue/exchange"
)

// WriteTable writes the report for a person: what was beside what would have
// been, and of that what is estimated; then the same by contract.
func (r *Report) WriteTable(w io.Writer) error {
	var b strings.Builder
	fmt.Fprintf(&b, "%s to %s\n\n", r.From.Format(time.RFC3339), r.Until.Format(time.RFC3339))
	t := tabwriter.NewWriter(&b, 0, 0, 3, ' ', tabwriter.AlignRight)
	n, was := &r.New, &r.Was
	row := func(cells ...any) { _, _ = fmt.Fprintln(t, join(cells)) }
	row("", "as it was", "would have been", "of that estimated")
	row("auctions", was.Auctions, n.Auctions, "")
	row("questions to buyers", was.Asked, n.Asked, fmt.Sprintf("%d not known", n.NotKnown))
	row("with a price", was.Priced, n.Priced, "")
	row("leads posted", was.Posted, n.Posted, n.EstimatedPosted)
	row("leads sold", was.Sold, n.Sold, n.EstimatedSold)
	row("leads in doubt", was.Pending, n.Pending, "")
	row("revenue", was.Revenue, n.Revenue, n.EstimatedRevenue)
	row("payout", was.Payout, n.Payout, n.EstimatedRevenue-n.EstimatedMargin)
	row("margin", was.Margin, n.Margin, n.EstimatedMargin)
	row("revenue a lead posted", per(was.Revenue, was.Posted), per(n.Revenue, n.Posted), "")
	if err := t.Flush(); err != nil {
		return err
	}
	b.WriteByte('\n')
	row("contract", "asked", "would be", "not known", "sold", "would be", "estimated", "revenue", "would be")
	for _, pair := range r.pairs() {
		was, n := pair[0], pair[1]
		row(cmp.Or(was.Contract, n.Contract), was.Asked, n.Asked, n.NotKnown, was.Sold, n.Sold, n.Estimated, was.Revenue, n.Revenue)
	}
	if err := t.Flush(); err != nil {
		return err
	}
	b.WriteByte('\n')
	for _, note := range r.Notes {
		fmt.Fprintf(&b, "- %s\n", note)
	}
	_, err := io.WriteString(w, b.String())
	return err
}

func join(cells []any) string {
	var b strings.Builder
	for _, c := range cells {
		fmt.Fprintf(&b, "%v\t", c)
	}
	return b.String()
}

func per(m exchange.Money, n int64) exchange.Money {
	if n == 0 {
		return 0
	}
	return m / exchange.Money(n) / 100 * 100 // to the hundredth of a cent
}

// pairs matches the contracts of both columns, those that bring the most under the new config first.
func (r *Report) pairs() [][2]Row {
	at := map[exchange.ContractID]int{}
	var out [][2]Row
	for side, rows := range [2][]Row{r.Was.Contracts, r.New.Contracts} {
		for _, row := range rows {
			i, ok := at[row.Contract]
			if !ok {
				i = len(out)
				at[row.Contract], out = i, append(out, [2]Row{})
			}
			out[i][side] = row
		}
	}
	slices.SortStableFunc(out, func(x, y [2]Row) int {
		return cmp.Or(cmp.Compare(y[1].Revenue, x[1].Revenue), cmp.Compare(y[0].Revenue, x[0].Revenue), cmp.Compare(cmp.Or(x[0].Contract, x[1].Contract), cmp.Or(y[0].Contract, y[1].Contract)))
	})
	return out
}
