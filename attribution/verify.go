package attribution

import (
	"bytes"
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	"vendue/attribution/postback"
	"vendue/exchange"
)

// Report is what Verify found.
type Report struct {
	Entries  uint64 `json:"entries"` // of the journal, up to the cursor
	Totals   Totals `json:"totals"`  // recomputed
	Postings uint64 `json:"postings"`
	// Postbacks counts every job anew.
	Postbacks postback.Counts `json:"postbacks"`
	Faults    []string        `json:"faults,omitempty"` // at most faultsMax
	More      int             `json:"more,omitempty"`   // faults beyond those
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
// a follower, and with none. Its memory holds what is open: leads in flight,
// and the events of clicks that have not left. Jobs are counted anew, and their indexes held against them. A click that has left is looked up
// in the journal, at the seq that the decision it served names.
func Verify(ctx context.Context, journal Journal, space Space, vault exchange.Vault) (*Report, error) {
	kept, err := readState(space)
	if err != nil {
		return nil, fmt.Errorf("cannot read attribution's state: %w", err)
	}
	r := &Report{}
	c := &checker{journal: journal, space: space, open: make(map[string][]byte), report: r, horizon: kept.horizon}
	f := fold{view: c, vault: vault, terms: make(map[exchange.OfferID]terms)}
	for next := uint64(1); next < kept.cursor; {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		from := next
		next, err = journal.Read(from, int(min(batchMax, kept.cursor-from)), func(e exchange.Entry) error {
			r.Entries++
			c.seq, c.hints = e.Seq, nil
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
	if f.horizon != kept.horizon {
		r.faultf("horizon: kept %d, recomputed %d", kept.horizon, f.horizon)
	}
	if r.Totals != kept.totals {
		r.faultf("totals: kept %+v, recomputed %+v", kept.totals, r.Totals)
	}
	if err := c.finish(kept.cursor); err != nil {
		return r, err
	}
	counts, faults, err := postback.Verify(space)
	if r.Postbacks = counts; err != nil {
		return r, err
	}
	for _, fault := range faults {
		r.faultf("%s", fault)
	}
	return r, nil
}

// Verify is the function of the same name over the room's own journal and space.
func (a *Attribution) Verify(ctx context.Context) (*Report, error) {
	return Verify(ctx, a.deps.Journal, a.deps.Space, a.deps.Vault)
}

// checker is a view that compares what the fold writes with what is there.
type checker struct {
	journal Journal
	space   Space
	open    map[string][]byte // what may change: open leads, events and what awaits its other half
	report  *Report
	horizon int64  // of the space
	seq     uint64 // of the entry that is applied
	hints   []Touch
	sales   uint64
	err     error
}

// changing are the records that later events change, so that the space holds only their last form.
const changing = prefixOpen + prefixAwaited + prefixTold

func (c *checker) get(key []byte) ([]byte, bool, error) {
	switch prefix := string(key[:1]); {
	case strings.Contains(changing, prefix):
		v, ok := c.open[string(key)]
		return v, ok, nil
	case prefix == prefixClick && c.hasLeft(key):
		return c.told(exchange.ClickID(key[1:]))
	}
	v, ok, err := c.space.Get(key)
	if !ok && err == nil && c.leftMeanwhile(key) {
		return c.told(exchange.ClickID(key[1:]))
	}
	return v, ok, err
}

func (c *checker) hasLeft(key []byte) bool {
	return string(key[:1]) == prefixClick && string(key) < string(madeBefore(prefixClick, c.horizon))
}

// leftMeanwhile tells whether a follower that runs beside let a click leave since the horizon was read.
func (c *checker) leftMeanwhile(key []byte) bool {
	if now, err := readState(c.space); err == nil {
		c.horizon = max(c.horizon, now.horizon)
	}
	return c.hasLeft(key)
}

// told finds a click that has left the space: the decision of the entry at hand
// names its seq, and the journal must agree.
func (c *checker) told(id exchange.ClickID) ([]byte, bool, error) {
	if c.hints == nil {
		v, ok, err := c.space.Get(saleKey(c.seq))
		if err != nil || !ok {
			return nil, false, err
		}
		s, err := decodeSale(c.seq, v)
		if err != nil {
			return nil, false, err
		}
		c.hints = s.Touches
	}
	i := slices.IndexFunc(c.hints, func(t Touch) bool { return t.Click == id && t.Seq > 0 && t.Seq < c.seq })
	if i < 0 {
		return nil, false, nil
	}
	var found []byte
	_, err := c.journal.Read(c.hints[i].Seq, 1, func(e exchange.Entry) error {
		if ev, ok := e.Event.(*exchange.Clicked); ok && ev.ClickID == id {
			found = clickOf(e, ev).encode()
		}
		return nil
	})
	return found, found != nil, err
}

func (c *checker) del(key []byte) { delete(c.open, string(key)) }

func (c *checker) delRange(lo, hi []byte) {
	maps.DeleteFunc(c.open, func(k string, _ []byte) bool { return k >= string(lo) && k < string(hi) })
}

func (c *checker) lead(id exchange.LeadID) (*openLead, bool, error) {
	v, ok := c.open[string(openKey(id))]
	if !ok {
		return nil, false, nil
	}
	o, err := decodeOpenLead(v)
	return o, err == nil, err
}

func (c *checker) setLead(id exchange.LeadID, o *openLead)   { c.open[string(openKey(id))] = o.encode() }
func (c *checker) beginLead(id exchange.LeadID, o *openLead) { c.setLead(id, o) }
func (c *checker) endLead(id exchange.LeadID)                { delete(c.open, string(openKey(id))) }

func (c *checker) create(key, value []byte) { c.set(key, value) }
func (c *checker) add(key, value []byte)    { c.set(key, value) }

func (c *checker) set(key, value []byte) {
	switch string(key[:1]) {
	case prefixOpen, prefixAwaited, prefixTold:
		c.open[string(key)] = value
		return
	case prefixTerms:
		return // only the last terms are kept
	case prefixClick:
		if c.hasLeft(key) {
			return
		}
	case prefixSale:
		c.sales++
	}
	c.compare(key, value)
}

func (c *checker) compare(key, value []byte) {
	kept, ok, err := c.space.Get(key)
	switch {
	case err != nil:
		c.err = fmt.Errorf("cannot read attribution's space: %w", err)
	case !ok && c.leftMeanwhile(key):
	case !ok:
		c.report.faultf("%s is not there", nameOf(key))
	case !bytes.Equal(kept, value):
		c.report.faultf("%s differs from what the journal says", nameOf(key))
	}
}

// finishChanging compares the last form of what may change. Where a follower
// moved on in the meantime there is nothing left to compare with.
func (c *checker) finishChanging(cursor uint64) (err error) {
	report := *c.report
	defer func() {
		if now, fault := readState(c.space); err == nil && fault == nil && now.cursor != cursor {
			*c.report = report
		}
	}()
	for key, value := range c.open {
		c.compare([]byte(key), value)
	}
	for _, prefix := range changing {
		err := c.space.Scan([]byte(string(prefix)), after(string(prefix)), func(k, _ []byte) (bool, error) {
			if _, ok := c.open[string(k)]; !ok {
				c.report.faultf("%s is kept, and the journal does not tell of it", nameOf(k))
			}
			return true, nil
		})
		if err != nil {
			return fmt.Errorf("cannot read attribution's space: %w", err)
		}
	}
	return c.err
}

// nameOf names a record without its content.
func nameOf(key []byte) string {
	switch prefix := string(key[:1]); prefix {
	case prefixSale:
		return fmt.Sprintf("the sale of seq %d", seqOf(key, prefixSale))
	default:
		return fmt.Sprintf("record %x", key)
	}
}

// finish looks for records that the journal does not account for, and checks
// that the ledger of each decision that is kept sums to zero.
func (c *checker) finish(cursor uint64) error {
	if err := c.finishChanging(cursor); err != nil {
		return err
	}
	var sales uint64
	err := c.space.Scan(saleKey(0), saleKey(cursor), func(k, v []byte) (bool, error) {
		sales++
		s, err := decodeSale(seqOf(k, prefixSale), v)
		if err != nil {
			return false, err
		}
		var sum exchange.Money
		for _, p := range postingsOf(&s) {
			sum += p.Amount
			c.report.Postings++
		}
		if sum != 0 {
			c.report.faultf("the ledger of seq %d sums to %s, expected 0", s.Seq, sum)
		}
		return true, nil
	})
	if err != nil {
		return fmt.Errorf("cannot read the sales: %w", err)
	}
	if sales != c.sales {
		c.report.faultf("%d sales are kept, the journal tells of %d", sales, c.sales)
	}
	return nil
}
