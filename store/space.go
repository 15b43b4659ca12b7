package store

import (
	"errors"
	"fmt"

	"github.com/cockroachdb/pebble/v2"
)

// errSpaceKey is a programming fault, but one that a caller may meet with a foreign key.
var errSpaceKey = errors.New("a space's key has 1 to 1024 bytes")

const spaceKeyBytesMax = 1024

// Space is a keyspace of its own for one owner of a projection, in the
// journal's database: a batch is on disk whole or not at all, and what an owner
// commits, cursor included, moves together. It is safe for concurrent use.
type Space struct {
	s      *Store
	prefix []byte
}

// Space returns the space of that name (1 to 32 lower-case letters). The same name is the same space.
func (s *Store) Space(name string) *Space {
	valid := len(name) >= 1 && len(name) <= 32
	for i := range len(name) {
		valid = valid && name[i] >= 'a' && name[i] <= 'z'
	}
	if !valid {
		panic(fmt.Sprintf("BUG: a space cannot be called %q: expected 1 to 32 letters a to z", name))
	}
	return &Space{s: s, prefix: append(append([]byte{prefixSpace}, name...), 0)}
}

func (p *Space) key(key []byte) []byte {
	return append(append(make([]byte, 0, len(p.prefix)+len(key)), p.prefix...), key...)
}

// bounds turns [lo, hi) into the database's keys; a nil hi means the space's end.
func (p *Space) bounds(lo, hi []byte) (from, until []byte) {
	if hi == nil {
		return p.key(lo), after(p.prefix)
	}
	return p.key(lo), p.key(hi)
}

// Get returns a copy of key's value, and false if there is none.
func (p *Space) Get(key []byte) ([]byte, bool, error) { return p.s.get(p.key(key)) }

// Scan calls fn with the keys from lo up to, not including, hi (nil: all to the
// end), in order, until fn returns false or an error. Both slices are valid
// only during the call; fn may commit to the space, and the scan does not see it.
func (p *Space) Scan(lo, hi []byte, fn func(key, value []byte) (more bool, err error)) error {
	return p.walk(lo, hi, false, fn)
}

// ScanDown is Scan from the highest key to the lowest.
func (p *Space) ScanDown(lo, hi []byte, fn func(key, value []byte) (more bool, err error)) error {
	return p.walk(lo, hi, true, fn)
}

func (p *Space) walk(lo, hi []byte, down bool, fn func(key, value []byte) (bool, error)) error {
	from, until := p.bounds(lo, hi)
	keys := span{db: p.s.db, what: "a space", lo: from, hi: until, down: down}
	return keys.each(func(key, value []byte) (bool, error) { return fn(key[len(p.prefix):], value) })
}

// SpaceBatch is what one Commit will change. It is valid only inside it.
type SpaceBatch struct {
	p     *Space
	batch *pebble.Batch
	full  []byte // scratch: the key with the space's prefix before it
	err   error
}

// Set gives key a value. Both are copied.
func (b *SpaceBatch) Set(key, value []byte) {
	if b.sound(key) {
		b.err = b.batch.Set(b.key(key), value, nil)
	}
}

// Delete removes key, if it is there.
func (b *SpaceBatch) Delete(key []byte) {
	if b.sound(key) {
		b.err = b.batch.Delete(b.key(key), nil)
	}
}

// DeleteRange removes the keys from lo up to, not including, hi (nil: to the end).
func (b *SpaceBatch) DeleteRange(lo, hi []byte) {
	if b.err != nil {
		return
	}
	from, until := b.p.bounds(lo, hi)
	b.err = b.batch.DeleteRange(from, until, nil)
}

// key returns the database's key. It is valid until the next one.
func (b *SpaceBatch) key(key []byte) []byte {
	b.full = append(append(b.full[:0], b.p.prefix...), key...)
	return b.full
}

func (b *SpaceBatch) sound(key []byte) bool {
	if b.err == nil && (len(key) == 0 || len(key) > spaceKeyBytesMax) {
		b.err = fmt.Errorf("%w: not %d", errSpaceKey, len(key))
	}
	return b.err == nil
}

// Commit does all that fn puts into the batch, or, if fn returns an error, none
// of it. With sync it returns when that is on disk; without, a crash may lose
// it, but never a part of it, and never while something committed later is kept.
func (p *Space) Commit(sync bool, fn func(*SpaceBatch) error) error {
	if err := p.s.writable(); err != nil {
		return err
	}
	batch := p.s.db.NewBatch()
	b := SpaceBatch{p: p, batch: batch}
	err := fn(&b)
	if err == nil {
		err = b.err
	}
	if err != nil {
		_ = batch.Close()
		return err
	}
	opts := pebble.NoSync
	if sync {
		opts = pebble.Sync
	}
	if err := p.s.fault.guard(func() error { return batch.Commit(opts) }); err != nil {
		return err // the batch may still be in Pebble's hands
	}
	return batch.Close()
}
