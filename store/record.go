package store

import (
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/cespare/xxhash/v2"

	"vendue/exchange"
)

// A record is one event as the journal keeps it:
//
//	xxhash64 of the rest, 8 bytes little endian | version of the kind's form 1 | kind 1 | seq 8, big endian | at 8, big endian | payload
//
// The seq stands in the value as well as in the key, so that a record that
// strayed to another key is a damaged one.
const (
	recordSumBytes    = 8
	recordHeaderBytes = recordSumBytes + 1 + 1 + 8 + 8
	// recordBytesMax bounds one event. It stays far below what Pebble takes in one batch.
	recordBytesMax = 8 << 20
)

var (
	errChecksum = errors.New("the checksum does not match")
	errVersion  = errors.New("written by a newer version of the house")
	errKind     = errors.New("no such kind of event")
	errSeq      = errors.New("the record belongs to another place")
	errTooLarge = errors.New("the event is too large")
)

// versionOf returns the version in which events of a kind are written. Older ones are read for ever.
//
//	post_ended 2: with no_time
//	post_started 2: with the token; 3: with cookie and coupon; 4: with the turn and legs_max
//	lead_refused 2: with cookie and coupon
//	offer_set 2: with the finer terms
//	click 2: with view, prev and coupon
func versionOf(k exchange.EventKind) uint8 {
	switch k {
	case exchange.KindPostStarted:
		return 4
	case exchange.KindPostEnded, exchange.KindLeadRefused, exchange.KindOfferSet, exchange.KindClicked:
		return 2
	default:
		return 1
	}
}

// appendRecord appends e's record to dst. w is scratch that the caller keeps between calls.
func appendRecord(w *wire, dst []byte, e exchange.Entry) ([]byte, error) {
	start := len(dst)
	dst = append(dst, 0, 0, 0, 0, 0, 0, 0, 0, versionOf(e.Event.Kind()), byte(e.Event.Kind()))
	dst = binary.BigEndian.AppendUint64(dst, e.Seq)
	dst = binary.BigEndian.AppendUint64(dst, uint64(e.At))
	*w = wire{buf: dst, version: versionOf(e.Event.Kind())}
	walkEvent(w, e.Event)
	dst, w.buf = w.buf, nil
	if len(dst)-start > recordBytesMax {
		return dst[:start], fmt.Errorf("%w: %d bytes of %s, expected at most %d", errTooLarge, len(dst)-start, e.Event.Kind(), recordBytesMax)
	}
	binary.LittleEndian.PutUint64(dst[start:], xxhash.Sum64(dst[start+recordSumBytes:]))
	return dst, nil
}

// decodeRecord reads the record that stands at seq. The entry shares no memory with rec.
func decodeRecord(seq uint64, rec []byte) (exchange.Entry, error) {
	if len(rec) < recordHeaderBytes {
		return exchange.Entry{}, errTruncated
	}
	if binary.LittleEndian.Uint64(rec) != xxhash.Sum64(rec[recordSumBytes:]) {
		return exchange.Entry{}, errChecksum
	}
	if got := binary.BigEndian.Uint64(rec[10:]); got != seq {
		return exchange.Entry{}, fmt.Errorf("%w: %d", errSeq, got)
	}
	event := newEvent(exchange.EventKind(rec[9]))
	if event == nil {
		return exchange.Entry{}, fmt.Errorf("%w: %d", errKind, rec[9])
	}
	if v := rec[8]; v == 0 || v > versionOf(event.Kind()) {
		return exchange.Entry{}, fmt.Errorf("%w: format %d of %s", errVersion, v, event.Kind())
	}
	w := wire{buf: rec[recordHeaderBytes:], decode: true, version: rec[8]}
	walkEvent(&w, event)
	if err := w.end(); err != nil {
		return exchange.Entry{}, fmt.Errorf("%s: %w", event.Kind(), err)
	}
	return exchange.Entry{Seq: seq, At: int64(binary.BigEndian.Uint64(rec[18:])), Event: event}, nil
}

func newEvent(k exchange.EventKind) exchange.Event {
	switch k {
	case exchange.KindConfigAccepted:
		return new(exchange.ConfigAccepted)
	case exchange.KindLimitSet:
		return new(exchange.LimitSet)
	case exchange.KindOfferSet:
		return new(exchange.OfferSet)
	case exchange.KindPostStarted:
		return new(exchange.PostStarted)
	case exchange.KindPostEnded:
		return new(exchange.PostEnded)
	case exchange.KindLeadRefused:
		return new(exchange.LeadRefused)
	case exchange.KindLegSettled:
		return new(exchange.LegSettled)
	case exchange.KindLegConflict:
		return new(exchange.LegConflict)
	case exchange.KindConflictClosed:
		return new(exchange.ConflictClosed)
	case exchange.KindClicked:
		return new(exchange.Clicked)
	case exchange.KindConverted:
		return new(exchange.Converted)
	case exchange.KindLegReturned:
		return new(exchange.LegGivenBack)
	default:
		return nil
	}
}
