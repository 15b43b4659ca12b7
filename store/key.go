package store

import (
	"encoding/binary"
	"time"

	"vendue/exchange"
)

// The first byte of a key names its keyspace. Every index key carries the seq
// of the one event it was made from, in the key or in the value.
const (
	prefixClick  = 'c' // no longer written; old indexes have it
	prefixEvent  = 'e' // seq 8                           -> record
	prefixPing   = 'g' // ping 20                         -> lead 20 | seq 8, the last event wins
	prefixIdem   = 'i' // idem 16                         -> lead 20 | seq 8, the last event wins
	prefixLead   = 'l' // lead 20 | seq 8                 -> nothing
	prefixPerson = 'p' // person 16 | lead 20             -> seq 8
	prefixSpace  = 'x' // name | 0 | the owner's own key  -> the owner's own value
)

// indexPrefixes are the keyspaces that follow from the events alone.
const indexPrefixes = string(prefixPing) + string(prefixIdem) + string(prefixLead) + string(prefixPerson)

const (
	idBytes      = len(exchange.LeadID{})
	seqBytes     = 8
	seqLimit     = ^uint64(0)
	keyBytesMost = 1 + 16 + idBytes + seqBytes
)

func appendSeq(dst []byte, seq uint64) []byte { return binary.BigEndian.AppendUint64(dst, seq) }

func eventKey(dst []byte, seq uint64) []byte {
	return appendSeq(append(dst, prefixEvent), seq)
}

// indexKeys makes the index keys of one event. It keeps its buffers between events.
type indexKeys struct {
	key, value []byte
}

// each calls fn with every index key of e and its value. Both are valid only during the call.
func (x *indexKeys) each(e exchange.Entry, fn func(key, value []byte) error) error {
	switch ev := e.Event.(type) {
	case *exchange.PostStarted:
		if ev.Lead != nil {
			if err := x.facts(e.Seq, ev.LeadID, ev.Lead, fn); err != nil {
				return err
			}
			if !ev.Lead.Person.IsZero() {
				x.key = append(append(append(x.key[:0], prefixPerson), ev.Lead.Person[:]...), ev.LeadID[:]...)
				x.value = appendSeq(x.value[:0], e.Seq)
				if err := fn(x.key, x.value); err != nil {
					return err
				}
			}
			if err := x.ping(e.Seq, ev.LeadID, ev.Lead, fn); err != nil {
				return err
			}
		}
		return x.lead(e.Seq, ev.LeadID, fn)
	case *exchange.LeadRefused:
		if err := x.facts(e.Seq, ev.LeadID, &ev.Lead, fn); err != nil {
			return err
		}
		if usesPing(ev.Reason) {
			if err := x.ping(e.Seq, ev.LeadID, &ev.Lead, fn); err != nil {
				return err
			}
		}
		return x.lead(e.Seq, ev.LeadID, fn)
	case *exchange.PostEnded:
		return x.lead(e.Seq, ev.LeadID, fn)
	case *exchange.LegSettled:
		return x.lead(e.Seq, ev.LeadID, fn)
	case *exchange.LegConflict:
		return x.lead(e.Seq, ev.LeadID, fn)
	case *exchange.ConflictClosed:
		return x.lead(e.Seq, ev.LeadID, fn)
	case *exchange.LegGivenBack:
		return x.lead(e.Seq, ev.LeadID, fn)
	default:
		return nil
	}
}

func (x *indexKeys) lead(seq uint64, lead exchange.LeadID, fn func(key, value []byte) error) error {
	x.key = leadKey(x.key[:0], lead, seq)
	return fn(x.key, nil)
}

func (x *indexKeys) facts(seq uint64, lead exchange.LeadID, f *exchange.LeadFacts, fn func(key, value []byte) error) error {
	if f.Idem.IsZero() {
		return nil
	}
	x.key = append(append(x.key[:0], prefixIdem), f.Idem[:]...)
	x.value = appendSeq(append(x.value[:0], lead[:]...), seq)
	return fn(x.key, x.value)
}

func (x *indexKeys) ping(seq uint64, lead exchange.LeadID, f *exchange.LeadFacts, fn func(key, value []byte) error) error {
	if f.Direct || f.PingID.IsZero() {
		return nil
	}
	x.key = append(append(x.key[:0], prefixPing), f.PingID[:]...)
	x.value = appendSeq(append(x.value[:0], lead[:]...), seq)
	return fn(x.key, x.value)
}

// usesPing tells whether a refused post used its ping up. One that named a
// dead, unknown or used ping must not hide the lead that the ping became.
func usesPing(r exchange.Reason) bool {
	return r != exchange.ReasonPingExpired && r != exchange.ReasonPingUnknown && r != exchange.ReasonPingUsed
}

func leadKey(dst []byte, lead exchange.LeadID, seq uint64) []byte {
	return appendSeq(append(append(dst, prefixLead), lead[:]...), seq)
}

// indexSeq returns the seq of the event that an index key says it was made from.
func indexSeq(key, value []byte) (seq uint64, ok bool) {
	from, size := value, 0
	switch key[0] {
	case prefixLead:
		from, size = key, 1+idBytes+seqBytes
	case prefixPing, prefixIdem:
		size = idBytes + seqBytes
	case prefixPerson:
		size = seqBytes
	}
	if size == 0 || len(from) != size {
		return 0, false
	}
	return binary.BigEndian.Uint64(from[size-seqBytes:]), true
}

// idTimeBytes writes the leading bytes that ids made at t or later sort at or above.
func idTimeBytes(dst []byte, t time.Time) []byte {
	ms := max(t.UnixMilli(), 0)
	var b [8]byte
	binary.BigEndian.PutUint64(b[:], uint64(ms)<<16)
	return append(dst, b[:6]...)
}

// after returns the least key that is above every key with this prefix, nil if there is none.
func after(prefix []byte) []byte {
	end := append([]byte(nil), prefix...)
	for i := len(end) - 1; i >= 0; i-- {
		if end[i]++; end[i] != 0 {
			return end[:i+1]
		}
	}
	return nil
}
