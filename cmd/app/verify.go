package app

import (
	"bytes"
	"context"
	"errors"
	"fmt"

	"vendue/attribution"
	"vendue/exchange"
	"vendue/exchange/book"
	"vendue/store"
)

// Report is what `vendue verify` prints.
type Report struct {
	Events    uint64   `json:"events"`
	LastSeq   uint64   `json:"last_seq"`
	Leads     uint64   `json:"leads"`
	IndexKeys uint64   `json:"index_keys"`
	Snapshots int      `json:"snapshots"`
	Credits   uint64   `json:"credits"`
	Findings  []string `json:"findings"`
	Faults    uint64   `json:"faults"` // all, also those beyond the list
}

// VerifyAll proves the journal sound, and everything that follows from it: the
// indexes, each lead's story, the book's snapshots, the caps, credits and ledger.
func VerifyAll(ctx context.Context, s *store.Store) (Report, error) {
	live := book.New()
	found, err := s.Verify(store.VerifyOptions{
		Snapshot: checkSnapshot,
		Entry: func(e exchange.Entry) (err error) {
			defer caught(&err)
			live.Apply(e)
			return nil
		},
	})
	if err != nil {
		return Report{}, err
	}
	out := Report{Events: found.Events, LastSeq: found.LastSeq, Leads: found.Leads, IndexKeys: found.IndexKeys, Snapshots: found.Snapshots, Faults: found.Faults}
	for _, f := range found.Shown {
		out.Findings = append(out.Findings, f.String())
	}
	if found.Faults > 0 {
		return out, nil // credits of an unsound journal prove nothing
	}
	credits, err := attribution.Verify(ctx, s, space{s.Space("attribution")}, s.Vault())
	if err != nil {
		return Report{}, fmt.Errorf("cannot verify attribution: %w", err)
	}
	out.add(credits)
	return out, nil
}

// checkSnapshot replays the journal and holds the book against a snapshot of it.
func checkSnapshot(_ uint64, data []byte, replay func(func(exchange.Entry) error) error) (err error) {
	defer caught(&err)
	if _, err := book.Restore(data); errors.Is(err, book.ErrForm) {
		return nil // another version's: nobody restores it
	}
	b := book.New()
	if err := replay(func(e exchange.Entry) error { b.Apply(e); return nil }); err != nil {
		return err
	}
	if !bytes.Equal(b.Snapshot(), data) {
		return errors.New("the book's snapshot is not what the journal gives")
	}
	return nil
}

// caught turns the book's assertion into a finding: here the journal is on trial, not the house.
func caught(err *error) {
	if r := recover(); r != nil {
		*err = fmt.Errorf("%v", r)
	}
}

// add joins what attribution found.
func (r *Report) add(credits *attribution.Report) {
	r.Credits = credits.Totals.Credits
	r.Findings = append(r.Findings, credits.Faults...)
	r.Faults += uint64(len(credits.Faults) + credits.More)
}
