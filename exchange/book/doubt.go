package book

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"slices"
	"time"

	"vendue/exchange"
)

// LegKey names one attempt.
type LegKey struct {
	LeadID  exchange.LeadID
	Attempt uint16
}

func (k LegKey) compare(other LegKey) int {
	return cmp.Or(bytes.Compare(k.LeadID[:], other.LeadID[:]), cmp.Compare(k.Attempt, other.Attempt))
}

// Conflict is a verdict against one that stands, until someone closes it.
type Conflict struct {
	LegKey
	Accepted bool // the verdict that came late
	By       exchange.Settler
	At       int64 // Unix nanoseconds
}

// Doubt returns an attempt that is in doubt, nil if it is not. It is the book's own.
func (b *Book) Doubt(key LegKey) *OpenLeg {
	legs := b.open[key.LeadID]
	for i := range legs {
		if legs[i].Attempt == key.Attempt && legs[i].Unknown {
			return &legs[i]
		}
	}
	return nil
}

// Doubts returns a copy of every attempt in doubt, those of tests too, the oldest first.
func (b *Book) Doubts() []OpenLeg {
	out := make([]OpenLeg, 0, len(b.doubts)+len(b.testDoubts))
	for _, keys := range [2]map[LegKey]int64{b.doubts, b.testDoubts} {
		for key := range keys {
			out = append(out, *b.Doubt(key))
		}
	}
	slices.SortFunc(out, func(x, y OpenLeg) int {
		return cmp.Or(cmp.Compare(x.Since, y.Since), LegKey{x.LeadID, x.Attempt}.compare(LegKey{y.LeadID, y.Attempt}))
	})
	return out
}

// OldestDoubt returns when the oldest attempt in doubt, tests left out, started, Unix nanoseconds; 0: none is.
func (b *Book) OldestDoubt() int64 {
	if b.oldest == 0 {
		for _, since := range b.doubts {
			if b.oldest == 0 || since < b.oldest {
				b.oldest = since
			}
		}
	}
	return b.oldest
}

// addDoubt counts an attempt that became unknown.
func (b *Book) addDoubt(leg *OpenLeg) {
	if leg.Test {
		b.testDoubts[LegKey{leg.LeadID, leg.Attempt}] = leg.Since
		return
	}
	b.doubts[LegKey{leg.LeadID, leg.Attempt}] = leg.Since
	b.inDoubtValue += leg.Bid
	if b.oldest != 0 {
		b.oldest = min(b.oldest, leg.Since)
	}
}

func (b *Book) dropDoubt(leg *OpenLeg) {
	if leg.Test {
		delete(b.testDoubts, LegKey{leg.LeadID, leg.Attempt})
		return
	}
	delete(b.doubts, LegKey{leg.LeadID, leg.Attempt})
	b.inDoubtValue -= leg.Bid
	if leg.Since == b.oldest {
		b.oldest = 0 // looked for when it is next asked for
	}
}

// OpenConflicts counts the conflicts that nobody has closed.
func (b *Book) OpenConflicts() int { return len(b.conflicts) }

// Conflicts returns the conflicts that nobody has closed, the oldest first.
func (b *Book) Conflicts() []Conflict {
	out := make([]Conflict, 0, len(b.conflicts))
	for _, c := range b.conflicts {
		out = append(out, c)
	}
	slices.SortFunc(out, func(x, y Conflict) int { return cmp.Or(cmp.Compare(x.At, y.At), x.compare(y.LegKey)) })
	return out
}

// Step is what can be done about an attempt in doubt.
type Step uint8

// The steps.
const (
	StepNone   Step = iota // wait for somebody's word
	StepAsk                // ask the buyer's status URL
	StepRepost             // post again to a buyer declared idempotent
	StepAssume             // settle as the contract says
)

// Tries is what was tried about an attempt in doubt so far.
type Tries struct {
	Count int
	Last  time.Time // when the last try ended, or when looking began
	Kept  bool      // the whole lead is still at hand
}

// The pace of looking: the first try comes after tryFirst, each further one after
// twice as long, up to the contract's own `every`; and no more often than an
// agePart-th of the doubt's age, so that what stays in doubt for weeks is asked ever more seldom.
const (
	tryFirst = time.Second
	tryEvery = 30 * time.Second // of a contract that only takes re-posts
	agePart  = 50
)

// NextStep says what to do next about an attempt in doubt under its contract's
// terms, and when. A status URL and re-posts take turns.
func NextStep(leg *OpenLeg, t *Tries, c *exchange.Contract) (step Step, at time.Time) {
	canAsk, canRepost := c.StatusEvery > 0, c.Idempotent && t.Kept && !c.Paused
	since := time.Unix(0, leg.Since)
	if canAsk || canRepost {
		step = StepAsk
		if !canAsk || (canRepost && t.Count%2 == 1) {
			step = StepRepost
		}
		every := tryEvery
		if canAsk {
			every = c.StatusEvery
		}
		wait := min(tryFirst<<min(t.Count, 30), every)
		wait = max(wait, t.Last.Sub(since)/agePart)
		at = t.Last.Add(jittered(wait, leg, t.Count))
	}
	if c.SettleAs != exchange.SettleHold {
		if end := since.Add(c.SettleAfter); step == StepNone || !at.Before(end) {
			return StepAssume, end
		}
	}
	return step, at
}

// jittered moves a wait by up to a fifth either way, so that doubts that began
// together are not asked about together. It hangs on the attempt alone: the same journal gives the same times.
func jittered(wait time.Duration, leg *OpenLeg, tries int) time.Duration {
	h := binary.BigEndian.Uint64(leg.LeadID[len(leg.LeadID)-8:]) ^ uint64(leg.Attempt)<<32 ^ uint64(tries)
	h = (h ^ h>>33) * 0xff51afd7ed558ccd
	h ^= h >> 33
	return wait + time.Duration(int64(h%401)-200)*(wait/1000)
}
