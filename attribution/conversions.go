package attribution

import (
	"fmt"
	"slices"
	"time"

	"vendue/attribution/postback"
	"vendue/attribution/reconcile"
	"vendue/exchange"
)

// conversionsMax bounds what one query holds in memory.
const conversionsMax = 1_000_000

// ConversionQuery asks for the credits of an affiliate whose sales were at From or later, before Until.
type ConversionQuery struct {
	Affiliate   exchange.AffiliateID
	From, Until time.Time
}

// conversion is a credit with the seqs of the decisions that made it what it is.
type conversion struct {
	reconcile.Ours
	seqs []uint64
}

// clockSlack is how far the journal's clock may have gone back and forth without hiding a sale from a query by time.
const clockSlack = 24 * time.Hour

// Conversions lists an affiliate's credits as they stand, in the order of their
// sales, with how far the notices of each came. It reads every decision from
// From on, also those behind Until: they may have changed what came before. It
// may run beside a follower, or without one.
func Conversions(journal Journal, space Space, vault exchange.Vault, q ConversionQuery) (list []reconcile.Ours, err error) {
	a := &Attribution{deps: Deps{Space: space}}
	first, err := firstSince(journal, space, q.From)
	if err != nil {
		return nil, fmt.Errorf("cannot find where the window begins: %w", err)
	}
	found := make(map[string]*conversion)
	var order []*conversion
	full := false
	err = a.Sales(first, func(s Sale) bool {
		for i := range s.Credits {
			c := &s.Credits[i]
			if c.Affiliate != q.Affiliate {
				continue
			}
			id := ConversionID(&s, c)
			known := found[id]
			switch {
			case known != nil:
				known.follow(&s, c)
			case q.begins(&s):
				found[id] = newConversion(vault, &s, c, id)
				order = append(order, found[id])
			}
		}
		full = len(order) > conversionsMax
		return !full
	})
	switch {
	case err != nil:
		return nil, fmt.Errorf("cannot read the credits: %w", err)
	case full:
		return nil, fmt.Errorf("expected a window of at most %d conversions", conversionsMax)
	}
	list = make([]reconcile.Ours, len(order))
	for i, c := range order {
		if err := c.tell(space, q.Affiliate); err != nil {
			return nil, fmt.Errorf("cannot read the postbacks: %w", err)
		}
		list[i] = c.Ours
	}
	return list, nil
}

// firstSince returns a seq before which the journal tells of nothing at from or
// later. No sale is later than the entry that decided it, so no decision before
// it is of the window. Entries stand in the order of time but for what was done
// to the clock: where the times on both sides of the place that was found are
// further apart than the slack, a clock may have led the search astray, and all
// is read.
func firstSince(journal Journal, space Space, from time.Time) (uint64, error) {
	kept, err := readState(space)
	if err != nil {
		return 0, err
	}
	from = from.Add(-clockSlack)
	lo, hi := uint64(1), kept.cursor
	var before, since time.Time // of the entries at lo-1 and hi, zero where none was read
	for lo < hi {
		middle := lo + (hi-lo)/2
		var at time.Time
		next, err := journal.Read(middle, 1, func(e exchange.Entry) error {
			at = time.Unix(0, e.At)
			return nil
		})
		switch {
		case err != nil:
			return 0, err
		case next == middle:
			return 0, nil // the cursor is beyond the journal: Verify says so, and nothing is left out here
		case at.Before(from):
			lo, before = middle+1, at
		default:
			hi, since = middle, at
		}
	}
	if !before.IsZero() && (since.IsZero() || since.Sub(before) > clockSlack) {
		return 0, nil
	}
	return lo, nil
}

// begins tells whether a conversion of the window begins with a decision. What completes or takes back an earlier one does not.
func (q *ConversionQuery) begins(s *Sale) bool {
	at := time.Unix(0, s.At)
	first := s.Trigger == TriggerSold || s.Trigger == TriggerAccepted || s.Trigger == TriggerConfirmed && s.Of == 0
	return first && !at.Before(q.From) && at.Before(q.Until)
}

func newConversion(vault exchange.Vault, s *Sale, c *Credit, id string) *conversion {
	v := valuesOf(vault, s, c, EventLeadSold)
	out := &conversion{Ours: reconcile.Ours{
		ConversionID: id, LeadID: v[postback.MacroLeadID], ClickID: v[postback.MacroClickID], AffClickID: v[postback.MacroAffClickID],
		Offer: string(s.Offer), At: time.Unix(0, s.At).UTC(), Amount: c.Amount, Currency: s.Currency, Status: reconcile.Approved,
	}, seqs: []uint64{s.Seq}}
	if !s.Credited() {
		out.Status = reconcile.Pending
	}
	return out
}

// follow has a later decision change the conversion.
func (c *conversion) follow(s *Sale, part *Credit) {
	if s.Trigger == TriggerReversed || s.Trigger == TriggerReturned {
		c.Status = reconcile.Reversed
		return
	}
	c.Status, c.Amount = reconcile.Approved, part.Amount
	c.seqs = append(c.seqs, s.Seq)
}

// tell finds how far the notices came by which a tracker could know of the conversion: the one that came furthest counts.
func (c *conversion) tell(space Space, affiliate exchange.AffiliateID) error {
	steps := []string{reconcile.ToldNot, reconcile.ToldNotSent, reconcile.ToldDead, reconcile.ToldWaiting, reconcile.ToldAccepted}
	for _, seq := range c.seqs {
		jobs, err := postback.JobsOf(space, seq)
		if err != nil {
			return err
		}
		for i := range jobs {
			j := &jobs[i]
			state := j.State.String()
			if j.Affiliate != affiliate || j.ConversionID != c.ConversionID || slices.Index(steps, state) <= slices.Index(steps, c.Told) {
				continue
			}
			c.Told, c.Reason, c.Verdict = state, j.Reason, ""
			if n := len(j.Attempts); n > 0 {
				c.Verdict = j.Attempts[n-1].Verdict.String()
				if j.State == postback.Delivered {
					c.ToldAt = time.Unix(0, j.Attempts[n-1].At).UTC()
				}
			}
		}
	}
	return nil
}

// Conversions is the function of the same name over the room's own space.
func (a *Attribution) Conversions(q ConversionQuery) ([]reconcile.Ours, error) {
	return Conversions(a.deps.Journal, a.deps.Space, a.deps.Vault, q)
}
