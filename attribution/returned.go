package attribution

import (
	"bytes"
	"fmt"
	"slices"

	"vendue/exchange"
)

// standing is how a sold leg stands after all that was decided of it so far.
type standing struct {
	sale     *Sale // of the leg; nil: the journal told of no such sale
	credit   *Sale // what earns by it now; nil: nothing
	reversed bool
	returned bool
}

// standing finds how a leg stands. It looks at the lead's decisions, of which there are few.
func (f *fold) standing(lead exchange.LeadID, attempt uint16, before uint64) (st standing, err error) {
	err = f.view.decisions(lead, before, func(s *Sale) {
		if s.Attempt != attempt {
			return
		}
		switch s.Trigger {
		case TriggerSold:
			st.sale = s
			if s.Credited() {
				st.credit = s
			}
		case TriggerConfirmed:
			st.credit = s
		case TriggerReversed:
			st.credit, st.reversed = nil, true
		case TriggerReturned:
			st.credit, st.returned = nil, true
		}
	})
	return st, err
}

// returned books a leg that its buyer gave back: the sale's three lines, and the commission if somebody
// earned by it. What an offer paid for the lead's acceptance stays paid.
func (f *fold) returned(e exchange.Entry, ev *exchange.LegGivenBack) (*Sale, error) {
	if ev.Test {
		return nil, nil
	}
	st, err := f.standing(ev.LeadID, ev.Attempt, e.Seq)
	switch {
	case err != nil:
		return nil, err
	case st.sale == nil:
		f.orphans++
		return nil, nil
	case st.returned:
		return nil, nil
	}
	s := *st.sale
	switch {
	case st.credit != nil:
		s = *st.credit
	case st.reversed:
		s.Uncredited, s.Credits = WhyReversed, nil
	case s.Uncredited == WhyAwaiting:
		s.Uncredited = WhyReturned
	}
	of := s.Seq
	s.Seq, s.Of, s.Trigger, s.At, s.Revenue, s.Payout = e.Seq, of, TriggerReturned, e.At, ev.Bid, ev.Payout
	s.takeBack()
	f.keep(&s)
	return &s, nil
}

// takeBack turns the credits into what is taken back. The decision that they are of keeps its own.
func (s *Sale) takeBack() {
	credits := make([]Credit, len(s.Credits))
	for i, c := range s.Credits {
		c.Amount = -c.Amount
		credits[i] = c
	}
	s.Credits = credits
}

// decisions implements view: those in the space, and those of this batch.
func (o *overlay) decisions(lead exchange.LeadID, before uint64, fn func(*Sale)) error {
	seqs, err := decisionsOf(o.journal, o.space, lead, before)
	if err != nil {
		return err
	}
	prefix := prefixLead + string(lead[:])
	for i := range o.added { // few events ask, and a batch is short
		if bytes.HasPrefix(o.added[i].key, []byte(prefix)) {
			seqs = append(seqs, seqOf(o.added[i].key, prefix))
		}
	}
	return tellDecisions(seqs, fn, func(key []byte) ([]byte, bool, error) {
		for i := range o.added {
			if bytes.Equal(o.added[i].key, key) {
				return o.added[i].value, true, nil
			}
		}
		return o.get(key)
	})
}

// decisions implements view. The space holds them all; each is compared where it is made.
func (c *checker) decisions(lead exchange.LeadID, before uint64, fn func(*Sale)) error {
	seqs, err := decisionsOf(c.journal, c.space, lead, before)
	if err != nil {
		return err
	}
	return tellDecisions(seqs, fn, c.space.Get)
}

// decisionsOf lists the seqs below before at which a lead's decisions stand, if they stand: those of its own events, of
// which the journal keeps a list, and those that events of its click led to, of which the space does.
func decisionsOf(journal Journal, space Space, lead exchange.LeadID, before uint64) (seqs []uint64, err error) {
	entries, err := journal.LeadEntries(lead, nil)
	if err != nil {
		return nil, fmt.Errorf("cannot read a lead's events: %w", err)
	}
	for i := range entries {
		if entries[i].Seq < before {
			seqs = append(seqs, entries[i].Seq)
		}
	}
	err = space.Scan(leadKey(lead, 0), leadKey(lead, before), func(k, _ []byte) (bool, error) {
		seqs = append(seqs, seqOf(k, prefixLead+string(lead[:])))
		return len(seqs) < decisionsMax, nil
	})
	if err != nil {
		return nil, fmt.Errorf("cannot read a lead's decisions: %w", err)
	}
	return seqs, nil
}

// tellDecisions calls fn for the decisions at seqs, in the order of the journal. Most events of a lead lead to none.
func tellDecisions(seqs []uint64, fn func(*Sale), get func(key []byte) ([]byte, bool, error)) error {
	slices.Sort(seqs)
	for _, seq := range seqs {
		v, ok, err := get(saleKey(seq))
		if err != nil {
			return err
		}
		if !ok {
			continue
		}
		s, err := decodeSale(seq, v)
		if err != nil {
			return err
		}
		fn(&s)
	}
	return nil
}
