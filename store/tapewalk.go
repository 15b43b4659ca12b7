package store

import (
	"fmt"
	"time"

	"vendue/exchange"
)

// A tape record is its form, one byte, and then the fields in the order of its
// walk. It is written in the path of every auction and read by hand now and
// then, so what it says is put into JSON when it is read.
//
// A record that begins with a brace is JSON already: the tape's first form.
const (
	tapeAuction byte = 1
	tapeAttempt byte = 2
	tapeRanked  byte = 3 // an auction with indexes and odds
	tapeJSON    byte = '{'
)

// appendTapeAuction appends a's record.
func appendTapeAuction(dst []byte, a *exchange.Auction) []byte {
	w := wire{buf: append(dst, tapeRanked), version: tapeRanked}
	walkAuction(&w, a)
	return w.buf
}

// appendTapeAttempt appends a's record.
func appendTapeAttempt(dst []byte, a *Attempt) []byte {
	w := wire{buf: append(dst, tapeAttempt)}
	walkAttempt(&w, a)
	return w.buf
}

// tapeText appends a record as JSON.
func tapeText(dst, record []byte) ([]byte, error) {
	if len(record) == 0 {
		return dst, errTruncated
	}
	w := wire{buf: record[1:], decode: true, version: record[0]}
	switch record[0] {
	case tapeJSON:
		return append(dst, record...), nil
	case tapeAuction, tapeRanked:
		var a exchange.Auction
		walkAuction(&w, &a)
		if err := w.end(); err != nil {
			return dst, fmt.Errorf("a damaged auction on the tape: %w", err)
		}
		return appendAuction(dst, &a), nil
	case tapeAttempt:
		var a Attempt
		walkAttempt(&w, &a)
		if err := w.end(); err != nil {
			return dst, fmt.Errorf("a damaged attempt on the tape: %w", err)
		}
		return appendAttempt(dst, &a), nil
	default:
		return dst, fmt.Errorf("%w: form %d of a tape record", errVersion, record[0])
	}
}

// instant carries a time to the nanosecond.
func instant(w *wire, t *time.Time) {
	var ns int64
	if !w.decode {
		ns = t.UnixNano()
	}
	signed(w, &ns)
	if w.decode {
		*t = time.Unix(0, ns).UTC()
	}
}

// small carries a small count.
func small(w *wire, n *int) {
	v := uint64(*n)
	unsigned(w, &v)
	if w.decode {
		*n = int(v)
	}
}

func walkAuction(w *wire, a *exchange.Auction) {
	fixed(w, a.PingID[:])
	instant(w, &a.At)
	text(w, &a.ConfigHash)
	text(w, &a.Seller)
	text(w, &a.Campaign)
	boolean(w, &a.Test)
	boolean(w, &a.Direct)
	if w.decode {
		a.Lead = decodeTapeLead(w)
	} else {
		appendTapeLead(w, a.Lead)
	}
	unsigned(w, &a.Sale)
	signed(w, &a.MinPrice)
	walkCandidates(w, &a.Candidates)
	const excludedBytesMin = 2
	n := count(w, len(a.Excluded), excludedBytesMin)
	if w.decode {
		a.Excluded = make([]exchange.Excluded, n)
	}
	for i := range a.Excluded {
		unsigned(w, &a.Excluded[i].Reason)
		small(w, &a.Excluded[i].Count)
	}
	unsigned(w, &a.Reason)
	signed(w, &a.Price)
	signed(w, &a.Elapsed)
}

func walkCandidates(w *wire, all *[]exchange.Candidate) {
	const candidateBytesMin = 8
	n := count(w, len(*all), candidateBytesMin)
	if w.decode {
		*all = make([]exchange.Candidate, n)
	}
	for i := range *all {
		c := &(*all)[i]
		text(w, &c.Name)
		small(w, &c.Tier)
		unsigned(w, &c.Leg)
		unsigned(w, &c.Reason)
		signed(w, &c.Bid)
		signed(w, &c.Payout)
		signed(w, &c.Elapsed)
		text(w, &c.Detail)
		if w.version < tapeRanked {
			continue
		}
		if signed(w, &c.Index); c.Index != 0 {
			signed(w, &c.Odds.Accept)
			signed(w, &c.Odds.Unknown)
			signed(w, &c.Odds.UnknownSold)
			signed(w, &c.Odds.Return)
		}
	}
}

// onTape tells whether a field may stand on the tape. A direct's lead holds
// personal ones too; they are not for it.
func onTape(f *exchange.Field) bool { return !f.Personal && f.Ping != exchange.NeedNot }

// appendTapeLead writes the fields by name, for the vertical may have others when the record is read.
func appendTapeLead(w *wire, lead *exchange.Lead) {
	if lead == nil || lead.Vertical == nil {
		count(w, 0, 1)
		return
	}
	n := 1
	for i := range lead.Values {
		if lead.Values[i].Set && onTape(&lead.Vertical.Fields[i]) {
			n++
		}
	}
	count(w, n, 1) // the vertical counts as one, so that no lead and an empty one differ
	text(w, &lead.Vertical.ID)
	for i := range lead.Values {
		f, v := &lead.Vertical.Fields[i], &lead.Values[i]
		if !v.Set || !onTape(f) {
			continue
		}
		text(w, &f.Name)
		unsigned(w, &f.Kind)
		text(w, &v.Text)
	}
}

func decodeTapeLead(w *wire) *exchange.Lead {
	const fieldBytesMin = 1 // of the vertical; a field has three
	n := count(w, 0, fieldBytesMin)
	if n == 0 {
		return nil
	}
	v := &exchange.Vertical{Fields: make([]exchange.Field, n-1)}
	lead := &exchange.Lead{Vertical: v, Values: make([]exchange.Value, n-1)}
	text(w, &v.ID)
	for i := range v.Fields {
		v.Fields[i].Ping, lead.Values[i].Set = exchange.NeedOptional, true
		text(w, &v.Fields[i].Name)
		unsigned(w, &v.Fields[i].Kind)
		text(w, &lead.Values[i].Text)
	}
	return lead
}

func walkAttempt(w *wire, a *Attempt) {
	fixed(w, a.LeadID[:])
	fixed(w, a.PingID[:])
	instant(w, &a.At)
	unsigned(w, &a.Number)
	text(w, &a.Contract)
	unsigned(w, &a.Outcome)
	unsigned(w, &a.Reason)
	small(w, &a.Status)
	signed(w, &a.Elapsed)
	text(w, &a.Detail)
}
