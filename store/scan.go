package store

import (
	"fmt"

	"github.com/cockroachdb/pebble/v2"
)

// span is the keys in [lo, hi) of one database, or of a batch over one.
type span struct {
	db     pebble.Reader
	what   string // what a fault says cannot be read
	lo, hi []byte
	down   bool // from the highest key to the lowest
}

// each calls fn with the span's pairs in order until fn returns false or an
// error. Both slices are valid only during the call. An error of fn comes back as it is.
func (s span) each(fn func(key, value []byte) (more bool, err error)) (err error) {
	it, err := s.db.NewIter(&pebble.IterOptions{LowerBound: s.lo, UpperBound: s.hi})
	if err != nil {
		return fmt.Errorf("cannot read %s: %w", s.what, err)
	}
	defer func() {
		if cerr := it.Close(); cerr != nil && err == nil {
			err = fmt.Errorf("cannot read %s: %w", s.what, cerr)
		}
	}()
	start, step := (*pebble.Iterator).First, (*pebble.Iterator).Next
	if s.down {
		start, step = (*pebble.Iterator).Last, (*pebble.Iterator).Prev
	}
	for ok := start(it); ok; ok = step(it) {
		value, err := it.ValueAndErr()
		if err != nil {
			return fmt.Errorf("cannot read %s at key %x: %w", s.what, it.Key(), err)
		}
		more, err := fn(it.Key(), value)
		if err != nil || !more {
			return err
		}
	}
	if err := it.Error(); err != nil {
		return fmt.Errorf("cannot read %s: %w", s.what, err)
	}
	return nil
}
