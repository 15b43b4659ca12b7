// Package wire is how attribution's records stand on disk: varints and
// length-prefixed text, in the order the record's owner writes them.
//
// It owns no record and no version; each record begins with a version of its
// own. The same values give the same bytes, which replays depend on.
package wire

import (
	"encoding/binary"
	"errors"
)

// ErrCorrupt says that a record is not what was written.
var ErrCorrupt = errors.New("record is corrupt")

// Writer appends values to B.
type Writer struct{ B []byte }

// Uint appends an unsigned number.
func (w *Writer) Uint(v uint64) { w.B = binary.AppendUvarint(w.B, v) }

// Int appends a signed number.
func (w *Writer) Int(v int64) { w.B = binary.AppendVarint(w.B, v) }

// Bool appends a truth value.
func (w *Writer) Bool(v bool) {
	if v {
		w.Uint(1)
		return
	}
	w.Uint(0)
}

// Raw appends bytes of a fixed length, which the reader knows.
func (w *Writer) Raw(v []byte) { w.B = append(w.B, v...) }

// Text appends text with its length.
func (w *Writer) Text(v string) {
	w.Uint(uint64(len(v)))
	w.B = append(w.B, v...)
}

// Reader takes values from B in the order they were written. After the first
// fault every value is zero, and Err tells.
type Reader struct {
	B   []byte
	bad bool
}

// Uint takes an unsigned number.
func (r *Reader) Uint() uint64 {
	v, n := binary.Uvarint(r.B)
	if n <= 0 {
		r.fail()
		return 0
	}
	r.B = r.B[n:]
	return v
}

// Int takes a signed number.
func (r *Reader) Int() int64 {
	v, n := binary.Varint(r.B)
	if n <= 0 {
		r.fail()
		return 0
	}
	r.B = r.B[n:]
	return v
}

// Bool takes a truth value.
func (r *Reader) Bool() bool { return r.Uint() == 1 }

// Count takes a number of things that follow, none of them shorter than a byte.
func (r *Reader) Count() int {
	n := r.Uint()
	if n > uint64(len(r.B)) {
		r.fail()
		return 0
	}
	return int(n)
}

// Raw takes len(dst) bytes.
func (r *Reader) Raw(dst []byte) {
	if len(r.B) < len(dst) {
		r.fail()
		return
	}
	copy(dst, r.B)
	r.B = r.B[len(dst):]
}

// Text takes text with its length.
func (r *Reader) Text() string {
	n := r.Count()
	v := string(r.B[:n])
	r.B = r.B[n:]
	return v
}

// Err returns ErrCorrupt if a value could not be taken or bytes are left over.
func (r *Reader) Err() error {
	if r.bad || len(r.B) > 0 {
		return ErrCorrupt
	}
	return nil
}

func (r *Reader) fail() { r.B, r.bad = nil, true }
