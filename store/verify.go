package store

import (
	"bytes"
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
	opts   VerifyOptions
	last   uint64
	report Report
	keys   indexKeys
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
		return v.keys.each(e, func(key, want []byte) error { return v.indexed(e, key, want) })
	})
	if err == nil && next <= v.last {
		v.report.fault(next, "missing: events %d to %d are not there", next, v.last)
	}
	return err
}

// indexed checks that the index holds key as e made it, or as a later event did.
func (v *verifier) indexed(e exchange.Entry, key, want []byte) error {
	got, ok, err := getFrom(v.index, key)
	if err != nil {
		return err
	}
	if !ok {
		v.report.fault(e.Seq, "index %c: the key of this %s is missing", key[0], e.Event.Kind())
		return nil
	}
	at, formed := indexSeq(key, got)
	// A later event's claim to the key is checked from the index's side.
	if !formed || at < e.Seq || (at == e.Seq && !bytes.Equal(got, want)) {
		v.report.fault(e.Seq, "index %c: the key of this %s holds something else", key[0], e.Event.Kind())
	}
	return nil
}

// scan calls fn with the index keys of one keyspace.
func (v *verifier) scan(prefix byte, fn func(key, value []byte) error) error {
	keys := span{db: v.index, what: "the index", lo: []byte{prefix}, hi: []byte{prefix + 1}}
	return keys.each(func(key, value []byte) (bool, error) { return true, fn(key, value) })
}

// indexes reads every index key and looks whether the event it names makes it so.
func (v *verifier) indexes() error {
	for _, p := range []byte(indexPrefixes) {
		err := v.scan(p, func(key, value []byte) error {
			seq, ok := indexSeq(key, value)
			if ok && seq > v.last {
				return nil // appended meanwhile
			}
			v.report.IndexKeys++
			if !ok {
				v.report.fault(0, "index %c: key %x has a form that is never written", p, key)
				return nil
			}
			e, err := v.s.entry(seq)
			if damage := (*DamageError)(nil); errors.As(err, &damage) {
				v.report.fault(seq, "index %c: key %x names an event that is not sound", p, key)
				return nil
			}
			if err != nil {
				return err
			}
			found := false
			_ = v.keys.each(e, func(k, val []byte) error {
				found = found || (bytes.Equal(k, key) && bytes.Equal(val, value))
				return nil
			})
			if !found {
				v.report.fault(seq, "index %c: key %x does not follow from this %s", p, key, e.Event.Kind())
			}
			return nil
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// leads reads every lead's events together and follows its story.
func (v *verifier) leads() error {
	var story story
	finish := func() {
		if story.view.LastSeq != 0 || story.begun {
			v.report.Leads++
		}
	}
	var current exchange.LeadID
	err := v.scan(prefixLead, func(key, _ []byte) error {
		seq, ok := indexSeq(key, nil)
		if !ok || seq > v.last {
			return nil
		}
		if lead := exchange.LeadID(key[1 : 1+idBytes]); lead != current {
			finish()
			current, story = lead, storyOf(lead)
		}
		e, err := v.s.entry(seq)
		if damage := (*DamageError)(nil); errors.As(err, &damage) {
			return nil // told already
		}
		if err != nil {
			return err
		}
		story.next(e, &v.report)
		return nil
	})
	finish()
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
