package store

import (
	"encoding/binary"
	"errors"
	"fmt"
)

// errTruncated and its kin are the faults of a record's payload.
var (
	errTruncated = errors.New("the record ends early")
	errRange     = errors.New("a number does not fit its field")
	errTrailing  = errors.New("the record has bytes after its end")
)

// wire carries one event's fields, in one order, in one of two directions: it
// appends them to buf, or it takes them from the front of buf. Each event has
// one walk over its fields that serves both, so the two cannot drift apart.
//
// The first fault sticks; what is decoded after it is zero.
type wire struct {
	buf     []byte
	decode  bool
	version uint8 // of the record
	err     error
}

func (w *wire) fail(err error) {
	if w.err == nil {
		w.err = err
	}
	w.buf = nil
}

// integer is every unsigned kind that the events use.
type integer interface {
	~uint8 | ~uint16 | ~uint32 | ~uint64
}

// unsigned carries v as a varint.
func unsigned[T integer](w *wire, v *T) {
	if !w.decode {
		w.buf = binary.AppendUvarint(w.buf, uint64(*v))
		return
	}
	n, size := binary.Uvarint(w.buf)
	switch {
	case size <= 0:
		w.fail(errTruncated)
	case uint64(T(n)) != n:
		w.fail(errRange)
	default:
		*v, w.buf = T(n), w.buf[size:]
	}
}

// signed carries v as a zigzag varint.
func signed[T ~int64](w *wire, v *T) {
	if !w.decode {
		w.buf = binary.AppendVarint(w.buf, int64(*v))
		return
	}
	n, size := binary.Varint(w.buf)
	if size <= 0 {
		w.fail(errTruncated)
		return
	}
	*v, w.buf = T(n), w.buf[size:]
}

// boolean carries a bool as one byte.
func boolean(w *wire, v *bool) {
	n := uint8(0)
	if *v {
		n = 1
	}
	unsigned(w, &n)
	if !w.decode {
		return // the event may be shared: encoding only reads it
	}
	if n > 1 {
		w.fail(errRange)
	}
	*v = n == 1 && w.err == nil
}

// fixed carries bytes whose number both sides know.
func fixed(w *wire, v []byte) {
	if !w.decode {
		w.buf = append(w.buf, v...)
		return
	}
	if len(w.buf) < len(v) {
		w.fail(errTruncated)
		return
	}
	copy(v, w.buf)
	w.buf = w.buf[len(v):]
}

// count carries the length of what follows. Decoding, it refuses a length that
// what is left cannot hold at elementMin bytes each, so that a lying length
// allocates nothing.
func count(w *wire, n, elementMin int) int {
	size := uint64(n)
	unsigned(w, &size)
	if w.decode && size > uint64(len(w.buf)/elementMin) {
		w.fail(errTruncated)
	}
	if w.err != nil {
		return 0
	}
	return int(size)
}

// text carries a string. What is decoded is a copy.
func text[T ~string](w *wire, v *T) {
	n := count(w, len(*v), 1)
	if !w.decode {
		w.buf = append(w.buf, *v...)
		return
	}
	*v, w.buf = T(w.buf[:n]), w.buf[n:]
}

// blob carries bytes. What is decoded is a copy, nil if empty.
func blob[T ~[]byte](w *wire, v *T) {
	n := count(w, len(*v), 1)
	if !w.decode {
		w.buf = append(w.buf, *v...)
		return
	}
	*v = nil
	if n > 0 {
		*v = append(T(nil), w.buf[:n]...)
	}
	w.buf = w.buf[n:]
}

// end tells whether a decoded payload was used up without a fault.
func (w *wire) end() error {
	if w.err == nil && len(w.buf) > 0 {
		return fmt.Errorf("%w: %d", errTrailing, len(w.buf))
	}
	return w.err
}
