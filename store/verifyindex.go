package store

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"slices"

	"github.com/cockroachdb/pebble/v2"

	"vendue/exchange"
)

// verifyAtOnce is how many index keys, or events, are gathered and then looked
// up in the order in which they lie on disk. One by one in the order of the
// journal, each look-up was a search of its own and most of verify's time.
const verifyAtOnce = 64 << 10

// claims are the index keys that a run of events must have.
type claims struct {
	data []byte
	list []claim
}

type claim struct {
	at         int // of the key in data; the value follows it
	key, value int // their sizes
	seq        uint64
	kind       exchange.EventKind
}

func (c *claims) add(e exchange.Entry, key, value []byte) {
	c.list = append(c.list, claim{len(c.data), len(key), len(value), e.Seq, e.Event.Kind()})
	c.data = append(append(c.data, key...), value...)
}

func (c *claims) pair(l *claim) (key, value []byte) {
	split := l.at + l.key
	return c.data[l.at:split], c.data[split : split+l.value]
}

// settle checks that the index holds every claim as its event made it, or as a later event did.
func (v *verifier) settle() (err error) {
	c := &v.claims
	slices.SortFunc(c.list, func(a, b claim) int {
		return cmp.Or(bytes.Compare(c.data[a.at:a.at+a.key], c.data[b.at:b.at+b.key]), cmp.Compare(a.seq, b.seq))
	})
	it, err := v.index.NewIter(nil)
	if err != nil {
		return fmt.Errorf("cannot read the index: %w", err)
	}
	defer func() { err = errors.Join(err, it.Close()) }()
	var found []Finding
	for i := range c.list {
		l := &c.list[i]
		text, err := v.settleOne(it, l)
		if err != nil {
			return err
		}
		if text != "" {
			found = append(found, Finding{l.seq, fmt.Sprintf("index %c: the key of this %s %s", c.data[l.at], l.kind, text)})
		}
	}
	slices.SortStableFunc(found, func(a, b Finding) int { return cmp.Compare(a.Seq, b.Seq) })
	for _, f := range found {
		v.report.fault(f.Seq, "%s", f.Text)
	}
	c.data, c.list = c.data[:0], c.list[:0]
	return nil
}

// settleOne says what is wrong with one claim, "" if nothing is.
func (v *verifier) settleOne(it *pebble.Iterator, l *claim) (string, error) {
	key, want := v.claims.pair(l)
	if !it.SeekGE(key) || !bytes.Equal(it.Key(), key) {
		if err := it.Error(); err != nil {
			return "", fmt.Errorf("cannot read the index at key %x: %w", key, err)
		}
		if v.gone.excuses(key, want) {
			return "", nil
		}
		return "is missing", nil
	}
	got, err := it.ValueAndErr()
	if err != nil {
		return "", fmt.Errorf("cannot read the index at key %x: %w", key, err)
	}
	at, formed := indexSeq(key, got)
	switch {
	case formed && at == l.seq && bytes.Equal(got, want):
		v.exact[key[0]]++
	case !formed || at <= l.seq:
		return "holds something else", nil
	}
	return "", nil // a later event's claim to the key is settled with that event
}

// scan calls fn with the index keys of one keyspace.
func (v *verifier) scan(prefix byte, fn func(key, value []byte) error) error {
	keys := span{db: v.index, what: "the index", lo: []byte{prefix}, hi: []byte{prefix + 1}}
	return keys.each(func(key, value []byte) (bool, error) { return true, fn(key, value) })
}

// indexes counts the keys of each index. No two events make the same key and
// value, so if there are as many as are exactly what some event made, there are
// no others; only if there are more is it worth to ask each of them for its event.
func (v *verifier) indexes() error {
	for _, p := range []byte(indexPrefixes) {
		var n uint64
		err := v.scan(p, func(key, value []byte) error {
			if seq, ok := indexSeq(key, value); !ok || seq <= v.last {
				n++ // what was appended meanwhile does not count
			}
			return nil
		})
		if err == nil && n != v.exact[p] {
			err = v.surplus(p)
		}
		if err != nil {
			return err
		}
		v.report.IndexKeys += n
	}
	return nil
}

// surplus looks for the keys of one index that the event they name does not make.
func (v *verifier) surplus(p byte) error {
	return v.scan(p, func(key, value []byte) error {
		seq, ok := indexSeq(key, value)
		if ok && seq > v.last {
			return nil
		}
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
}

// leads reads every lead's events together and follows its story.
func (v *verifier) leads() error {
	w := storyWalk{v: v}
	err := v.scan(prefixLead, func(key, _ []byte) error {
		seq, ok := indexSeq(key, nil)
		if !ok || seq > v.last {
			return nil
		}
		w.places = append(w.places, storyPlace{lead: exchange.LeadID(key[1 : 1+idBytes]), seq: seq})
		if len(w.places) < verifyAtOnce {
			return nil
		}
		return w.walk()
	})
	if err == nil {
		err = w.walk()
	}
	w.finish()
	return err
}

// storyWalk follows the leads' stories, a run of the lead index at a time.
type storyWalk struct {
	v       *verifier
	places  []storyPlace
	current exchange.LeadID
	story   story
}

// storyPlace is one event of a lead.
type storyPlace struct {
	lead  exchange.LeadID
	seq   uint64
	entry exchange.Entry // without event if it is not sound, which is told already
}

// walk reads the events of the places in the journal's order, and then follows the stories in the leads'.
func (w *storyWalk) walk() (err error) {
	order := make([]int, len(w.places))
	for i := range order {
		order[i] = i
	}
	slices.SortFunc(order, func(a, b int) int { return cmp.Compare(w.places[a].seq, w.places[b].seq) })
	it, err := w.v.s.db.NewIter(nil)
	if err != nil {
		return fmt.Errorf("cannot read the journal: %w", err)
	}
	defer func() { err = errors.Join(err, it.Close()) }()
	var key []byte
	for _, i := range order {
		p := &w.places[i]
		if key = eventKey(key[:0], p.seq); !it.SeekGE(key) || !bytes.Equal(it.Key(), key) {
			if err := it.Error(); err != nil {
				return fmt.Errorf("cannot read the journal at key %x: %w", key, err)
			}
			continue
		}
		rec, err := it.ValueAndErr()
		if err != nil {
			return fmt.Errorf("cannot read the journal at key %x: %w", key, err)
		}
		if e, err := decodeRecord(p.seq, rec); err == nil {
			p.entry = e
		}
	}
	for i := range w.places {
		p := &w.places[i]
		if p.lead != w.current {
			w.finish()
			w.current, w.story = p.lead, storyOf(p.lead)
		}
		if p.entry.Event != nil {
			w.story.next(p.entry, &w.v.report)
		}
	}
	w.places = w.places[:0]
	return nil
}

// finish counts the lead whose story ends.
func (w *storyWalk) finish() {
	if w.story.view.LastSeq != 0 || w.story.begun {
		w.v.report.Leads++
	}
}
