package attribution

import (
	"bytes"
	"context"
	"fmt"

	"vendue/exchange"
)

// Report is what Verify found.
type Report struct {
	Entries  uint64   `json:"entries"` // of the journal, up to the cursor
	Totals   Totals   `json:"totals"`  // recomputed
	Postings uint64   `json:"postings"`
	Faults   []string `json:"faults,omitempty"` // at most faultsMax
	More     int      `json:"more,omitempty"`   // faults beyond those
}

const faultsMax = 100

func (r *Report) faultf(format string, args ...any) {
	if len(r.Faults) >= faultsMax {
		r.More++
		return
	}
	r.Faults = append(r.Faults, fmt.Sprintf(format, args...))
}

// Verify reads the journal again up to the cursor, recomputes clicks, credits
// and ledger, and compares them byte by byte with the space. It may run beside
// a follower, and with none. Its memory holds the open leads only.
func Verify(ctx context.Context, journal Journal, space Space, vault exchange.Vault) (*Report, error) {
	kept, err := readState(space)
	if err != nil {
		return nil, fmt.Errorf("cannot read attribution's state: %w", err)
	}
	r := &Report{}
	c := &checker{space: space, open: make(map[string][]byte), report: r}
	f := fold{view: c, vault: vault, terms: make(map[exchange.OfferID]terms)}
	for next := uint64(1); next < kept.cursor; {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		from := next
		next, err = journal.Read(from, int(min(batchMax, kept.cursor-from)), func(e exchange.Entry) error {
			r.Entries++
			sale, err := f.apply(e)
			if err == nil && sale != nil {
				r.Totals.add(sale)
			}
			return err
		})
		if err != nil {
			return nil, fmt.Errorf("cannot recompute credits: %w", err)
		}
		if c.err != nil {
			return nil, c.err
		}
		if next == from {
			r.faultf("the cursor is at seq %d, but the journal ends before seq %d", kept.cursor, from)
			break
		}
	}
	if f.orphans > 0 {
		r.faultf("the journal tells the end of %d attempts without their start", f.orphans)
	}
	if r.Totals != kept.totals {
		r.faultf("totals: kept %+v, recomputed %+v", kept.totals, r.Totals)
	}
	return r, c.finish(kept.cursor)
}

// Verify is the function of the same name over the room's own journal and space.
func (a *Attribution) Verify(ctx context.Context) (*Report, error) {
	return Verify(ctx, a.deps.Journal, a.deps.Space, a.deps.Vault)
}

// checker is a view that compares what the fold writes with what is there.
type checker struct {
	space  Space
	open   map[string][]byte // open leads
	report *Report
	sales  uint64
	ledger uint64
	err    error
}

func (c *checker) get(key []byte) ([]byte, bool, error) {
	if string(key[:1]) == prefixOpen {
		v, ok := c.open[string(key)]
		return v, ok, nil
	}
	return c.space.Get(key)
}

func (c *checker) del(key []byte) { delete(c.open, string(key)) }

func (c *checker) create(key, value []byte) { c.set(key, value) }
func (c *checker) add(key, value []byte)    { c.set(key, value) }

func (c *checker) set(key, value []byte) {
	switch string(key[:1]) {
	case prefixOpen:
		c.open[string(key)] = value
		return
	case prefixTerms:
		return // only the last terms are kept
	case prefixSale:
		c.sales++
	case prefixLedger:
		c.ledger++
	}
	kept, ok, err := c.space.Get(key)
	switch {
	case err != nil:
		c.err = fmt.Errorf("cannot read attribution's space: %w", err)
	case !ok:
		c.report.faultf("%s is not there", nameOf(key))
	case !bytes.Equal(kept, value):
		c.report.faultf("%s differs from what the journal says", nameOf(key))
	}
}

// nameOf names a record without its content.
func nameOf(key []byte) string {
	switch prefix := string(key[:1]); prefix {
	case prefixSale:
		return fmt.Sprintf("the sale of seq %d", seqOf(key, prefixSale))
	case prefixLedger:
		return fmt.Sprintf("line %d of the ledger of seq %d", key[len(key)-1], seqOf(key, prefixLedger))
	default:
		return fmt.Sprintf("record %x", key)
	}
}

// finish looks for records that the journal does not account for, and checks
// that the ledger's entries sum to zero.
func (c *checker) finish(cursor uint64) error {
	var sales uint64
	err := c.space.Scan(saleKey(0), saleKey(cursor), func(_, _ []byte) (bool, error) {
		sales++
		return true, nil
	})
	if err != nil {
		return fmt.Errorf("cannot read the sales: %w", err)
	}
	if sales != c.sales {
		c.report.faultf("%d sales are kept, the journal tells of %d", sales, c.sales)
	}
	var sum exchange.Money
	var seq uint64
	err = c.space.Scan(ledgerKey(0, 0), ledgerKey(cursor, 0), func(k, v []byte) (bool, error) {
		p, err := decodePosting(seqOf(k, prefixLedger), k[len(k)-1], v)
		if err != nil {
			return false, err
		}
		if p.Seq != seq && sum != 0 {
			c.report.faultf("the ledger of seq %d sums to %s, expected 0", seq, sum)
			sum = 0
		}
		seq, sum = p.Seq, sum+p.Amount
		c.report.Postings++
		return true, nil
	})
	if err != nil {
		return fmt.Errorf("cannot read the ledger: %w", err)
	}
	if sum != 0 {
		c.report.faultf("the ledger of seq %d sums to %s, expected 0", seq, sum)
	}
	if c.report.Postings != c.ledger {
		c.report.faultf("%d postings are kept, the journal tells of %d", c.report.Postings, c.ledger)
	}
	return nil
}
