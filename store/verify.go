package store

import (
	"errors"
	"fmt"

	"github.com/cockroachdb/pebble/v2"

	"vendue/exchange"
)

// faultsShownMax bounds the faults that a Report spells out; all are counted.
const faultsShownMax = 100

// VerifyOptions says what Verify does beyond the journal and its indexes.
type VerifyOptions struct {
	// Snapshot, if set, is called with each snapshot and must return an error if
	// replay up to its seq does not give the same bytes. replay calls fn with
	// the entries 1..seq in order.
	Snapshot func(seq uint64, data []byte, replay func(fn func(exchange.Entry) error) error) error
	// Entry, if set, is called with every sound entry in order. Its error is a fault at that entry.
	Entry func(exchange.Entry) error
}

// Report is what Verify found.
type Report struct {
	Events    uint64 // that were read
	LastSeq   uint64
	IndexKeys uint64
	Leads     uint64
	Snapshots int
	Faults    uint64
	Shown     []Finding // the first hundred
}

// Sound tells whether nothing was found wanting.
func (r *Report) Sound() bool { return r.Faults == 0 }

// Finding is one fault and its place.
type Finding struct {
	Seq  uint64 // 0: it has no place in the sequence
	Text string
}

// String renders a finding as one line.
func (f Finding) String() string {
	if f.Seq == 0 {
		return f.Text
	}
	return fmt.Sprintf("seq %d: %s", f.Seq, f.Text)
}

func (r *Report) fault(seq uint64, format string, args ...any) {
	r.Faults++
	if len(r.Shown) < faultsShownMax {
		r.Shown = append(r.Shown, Finding{Seq: seq, Text: fmt.Sprintf(format, args...)})
	}
}

// Verify opens dir for reading only and verifies it. What cannot be opened is an error.
func Verify(cfg Config, opts VerifyOptions) (Report, error) {
	s, err := OpenReadOnly(cfg)
	if err != nil {
		return Report{}, err
	}
	report, err := s.Verify(opts)
	return report, errors.Join(err, s.Close())
}

// Verify reads every durable event and everything that follows from the events:
// checksums, gaps, every index key both ways, each lead's own story, the
// snapshots. It may run beside the engine; what is appended meanwhile is left
// out. What is wrong with the data is in the Report; an error means that the
// disk could not be read.
func (s *Store) Verify(opts VerifyOptions) (Report, error) {
	v := verifier{s: s, opts: opts, last: s.Durable()}
	v.report.LastSeq = v.last
	var err error
	if v.index, err = s.index.whole(); err != nil {
		return v.report, err
	}
	defer func() { _ = v.index.Close() }()
	if v.gone, err = goneOf(v.index); err != nil {
		return v.report, err
	}
	for _, step := range []func() error{v.events, v.indexes, v.leads, v.snapshots} {
		if err := step(); err != nil {
			return v.report, fmt.Errorf("cannot verify the journal: %w", err)
		}
	}
	return v.report, nil
}

type verifier struct {
	s      *Store
	index  *pebble.Batch // all of the index, also what is not in its database
	gone   gone          // what may have left it
	opts   VerifyOptions
	last   uint64
	report Report
	keys   indexKeys
	claims claims
	exact  [256]uint64 // by keyspace: index keys that are as the events made them
}

// events reads the journal from end to end, and looks for the index keys that each event must have.
func (v *verifier) events() error {
	next := uint64(1)
	err := v.s.scanEvents(1, v.last+1, func(seq uint64, rec []byte) error {
		if seq != next {
			v.report.fault(next, "missing: events %d to %d are not there", next, seq-1)
		}
		next = seq + 1
		v.report.Events++
		e, err := decodeRecord(seq, rec)
		if err != nil {
			v.report.fault(seq, "damaged: %v", err)
			return nil
		}
		if v.opts.Entry != nil {
			if err := v.opts.Entry(e); err != nil {
				v.report.fault(seq, "%v", err)
			}
		}
		_ = v.keys.each(e, func(key, want []byte) error { v.claims.add(e, key, want); return nil })
		if len(v.claims.list) >= verifyAtOnce {
			return v.settle()
		}
		return nil
	})
	if err == nil && next <= v.last {
		v.report.fault(next, "missing: events %d to %d are not there", next, v.last)
	}
	if err == nil {
		err = v.settle()
	}
	return err
}

func (v *verifier) snapshots() error {
	seqs, err := v.s.snapshotSeqs()
	if err != nil {
		return err
	}
	for _, seq := range seqs {
		data, err := v.s.readSnapshot(seq)
		if errors.Is(err, errSnapshot) {
			v.report.fault(seq, "%v", err)
			continue
		}
		if err != nil {
			return err
		}
		v.report.Snapshots++
		if seq > v.last {
			v.report.fault(seq, "the snapshot is of a later state than the journal holds")
			continue
		}
		if v.opts.Snapshot == nil {
			continue
		}
		replay := func(fn func(exchange.Entry) error) error {
			return v.s.scanEvents(1, seq+1, func(at uint64, rec []byte) error {
				e, err := decodeRecord(at, rec)
				if err != nil {
					return &DamageError{Seq: at, Err: err}
				}
				return fn(e)
			})
		}
		if err := v.opts.Snapshot(seq, data, replay); err != nil {
			v.report.fault(seq, "the snapshot does not follow from the journal: %v", err)
		}
	}
	return nil
}
