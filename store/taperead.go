package store

import (
	"encoding/binary"
	"fmt"
	"time"

	"vendue/exchange"
)

// TapeReader is told what the tape holds, as values. Either function may be nil.
// What it is given is its own. False ends the reading.
type TapeReader struct {
	Auction func(*exchange.Auction) bool
	Attempt func(*Attempt) bool
	Skipped int // records of the tape's first form, which are JSON and not read
}

// FindAuction returns the record of a ping's auction, and false if the tape does not hold it.
func (t *Tape) FindAuction(ping exchange.PingID) (a *exchange.Auction, found bool, err error) {
	var key [tapeKeyBytes]byte
	tapeKey(&key, ping, ping.Time(), 0)
	r := TapeReader{Auction: func(it *exchange.Auction) bool {
		a = it
		return false
	}}
	err = t.read(key[:], append(key[:], 0), &r)
	return a, a != nil, err
}

// AttemptsOf returns the records of a lead's attempts, in order.
func (t *Tape) AttemptsOf(lead exchange.LeadID) (all []*Attempt, err error) {
	var lo, hi [tapeKeyBytes]byte
	tapeKey(&lo, lead, lead.Time(), 0)
	tapeKey(&hi, lead, lead.Time(), ^uint16(0))
	err = t.read(lo[:], hi[:], &TapeReader{Attempt: func(a *Attempt) bool {
		all = append(all, a)
		return true
	}})
	return all, err
}

// ReadSpan reads the records of [from, until) by day, and in a day by their ids' time.
func (t *Tape) ReadSpan(from, until time.Time, r *TapeReader) error {
	lo := binary.BigEndian.AppendUint32(nil, tapeDay(from))
	hi := binary.BigEndian.AppendUint32(nil, tapeDay(until)+1)
	within := func(at time.Time) bool { return !at.Before(from) && at.Before(until) }
	inner := *r
	if r.Auction != nil {
		inner.Auction = func(a *exchange.Auction) bool { return !within(a.At) || r.Auction(a) }
	}
	if r.Attempt != nil {
		inner.Attempt = func(a *Attempt) bool { return !within(a.At) || r.Attempt(a) }
	}
	err := t.read(lo, hi, &inner)
	r.Skipped = inner.Skipped
	return err
}

// read gives r the records of the keys in [lo, hi).
func (t *Tape) read(lo, hi []byte, r *TapeReader) error {
	if t.db == nil {
		return nil
	}
	if t.dead.Load() {
		return errTape
	}
	return span{db: t.db, what: "the tape", lo: lo, hi: hi}.each(func(_, record []byte) (bool, error) { return r.record(record) })
}

func (r *TapeReader) record(record []byte) (more bool, err error) {
	if len(record) == 0 {
		return false, errTruncated
	}
	w := wire{buf: record[1:], decode: true, version: record[0]}
	switch record[0] {
	case tapeJSON:
		r.Skipped++
		return true, nil
	case tapeAttempt:
		if r.Attempt == nil {
			return true, nil
		}
		a := new(Attempt)
		walkAttempt(&w, a)
		if err := w.end(); err != nil {
			return false, fmt.Errorf("a damaged attempt on the tape: %w", err)
		}
		return r.Attempt(a), nil
	default:
		if record[0] > tapeRanked {
			return false, fmt.Errorf("%w: form %d of a tape record", errVersion, record[0])
		}
		if r.Auction == nil {
			return true, nil
		}
		a := new(exchange.Auction)
		walkAuction(&w, a)
		if err := w.end(); err != nil {
			return false, fmt.Errorf("a damaged auction on the tape: %w", err)
		}
		return r.Auction(a), nil
	}
}
