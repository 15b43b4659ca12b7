// Package book is the state that money depends on: caps and what is held or
// committed in them, the attempts in flight or in doubt, the live quotes, the
// requests being worked on, and the sellers' rates.
//
// It decides and remembers; it never does I/O, never reads a clock and never
// starts a goroutine. Time and old facts enter as values.
package book

import (
	"cmp"
	"fmt"
	"slices"
	"sync/atomic"

	"vendue/exchange"
)

// windowsKept is how many windows of a cap are remembered beside those with
// open holds, so that a clock stepping back over a boundary finds its counts.
const windowsKept = 3

// Book is the money state: a pure function of the journal's events.
//
// All methods but Used need the engine's lock. Used may be called by anyone at
// any time: pings look at caps without the lock, and what they see is advice;
// the reservation at the post is exact.
type Book struct {
	seq  uint64
	byID map[exchange.CapID]int
	caps atomic.Pointer[[]*capState] // grows only; a handle is a place in it
	open map[exchange.LeadID][]OpenLeg

	flying flying
	config string // hash of the last config accepted
	offers map[exchange.OfferID]exchange.OfferSet

	doubts       map[LegKey]int64 // the unknown attempts in open, and since when, without those of tests
	testDoubts   map[LegKey]int64
	inDoubtValue exchange.Money // their bids
	oldest       int64          // the least of doubts, 0: to be looked for
	conflicts    map[LegKey]Conflict
	evidence     *evidence
	traffic      traffic
	turns        *turns
}

type capState struct {
	id      exchange.CapID
	per     exchange.Window
	unit    exchange.CapUnit
	limit   int64 // below zero: no limit
	windows []capWindow
	// No window up to this start is opened again: what was committed in one of them is forgotten. 0: none is.
	forgotten int64

	// What Used reads: the latest window and how much of it is taken.
	latest atomic.Int64
	used   atomic.Int64

	bound atomic.Int64 // limit, for Bound
	plan  atomic.Pointer[plan]
}

type capWindow struct {
	Start     int64 `json:"start"`
	Held      int64 `json:"held"`
	Committed int64 `json:"committed"`
}

// OpenLeg is an attempt in flight, or unknown and unresolved. Its holds are reserved.
type OpenLeg struct {
	LeadID    exchange.LeadID
	Attempt   uint16
	Contract  exchange.ContractID
	Buyer     exchange.BuyerID
	Bid       exchange.Money
	Sale      exchange.SaleKind
	OnUnknown exchange.OnUnknown
	Holds     []exchange.Hold
	Since     int64 // Unix nanoseconds of its post_started
	Unknown   bool
	Test      bool
}

// New returns an empty book.
func New() *Book {
	b := &Book{
		byID: make(map[exchange.CapID]int), open: make(map[exchange.LeadID][]OpenLeg), flying: make(flying),
		offers: make(map[exchange.OfferID]exchange.OfferSet), doubts: make(map[LegKey]int64), testDoubts: make(map[LegKey]int64), conflicts: make(map[LegKey]Conflict), evidence: newEvidence(),
		turns: newTurns(),
	}
	b.caps.Store(new([]*capState))
	return b
}

// Seq returns the sequence number of the last event applied.
func (b *Book) Seq() uint64 { return b.seq }

// Config returns the hash of the last config accepted.
func (b *Book) Config() string { return b.config }

// Offers returns the terms of every offer, as the journal last set them. The map is the book's own.
func (b *Book) Offers() map[exchange.OfferID]exchange.OfferSet { return b.offers }

// Handle returns the place of a cap, for Used. A cap unknown so far gets one without a limit.
func (b *Book) Handle(id exchange.CapID) int {
	if h, ok := b.byID[id]; ok {
		return h
	}
	old := *b.caps.Load()
	fresh := &capState{id: id}
	fresh.setLimit(-1)
	grown := append(slices.Clone(old), fresh)
	b.caps.Store(&grown)
	b.byID[id] = len(old)
	return len(old)
}

// cap returns the state of a cap, made if need be.
func (b *Book) cap(id exchange.CapID) *capState {
	h := b.Handle(id) // first: it may put a longer list in place
	return (*b.caps.Load())[h]
}

// Used returns how much of a cap is reserved or committed in the window that starts at start. It needs no lock.
func (b *Book) Used(handle int, start int64) int64 {
	c := (*b.caps.Load())[handle]
	if c.latest.Load() != start {
		return 0 // a window that nothing has counted in yet, or one already past
	}
	return c.used.Load()
}

// CapUse is how one window of a cap stands.
type CapUse struct {
	Cap             exchange.CapID
	Per             exchange.Window
	Unit            exchange.CapUnit
	Limit           int64
	Start           int64
	Held, Committed int64
}

// Caps returns the latest window of every cap that has a limit, by id.
func (b *Book) Caps() []CapUse {
	var out []CapUse
	for _, c := range *b.caps.Load() {
		if c.limit < 0 {
			continue
		}
		use := CapUse{Cap: c.id, Per: c.per, Unit: c.unit, Limit: c.limit}
		if n := len(c.windows); n > 0 {
			w := c.windows[n-1]
			use.Start, use.Held, use.Committed = w.Start, w.Held, w.Committed
		}
		out = append(out, use)
	}
	slices.SortFunc(out, func(x, y CapUse) int { return cmp.Compare(x.Cap, y.Cap) })
	return out
}

// Limit returns a cap's limit, below zero if it has none.
func (b *Book) Limit(id exchange.CapID) int64 {
	if h, ok := b.byID[id]; ok {
		return (*b.caps.Load())[h].limit
	}
	return -1
}

// Limits calls fn with every cap that has a limit.
func (b *Book) Limits(fn func(exchange.CapID, exchange.Window, exchange.CapUnit, int64)) {
	for _, c := range *b.caps.Load() {
		if c.limit >= 0 {
			fn(c.id, c.per, c.unit, c.limit)
		}
	}
}

// CanHold tells whether every hold fits under its limit now; if not, which does not.
func (b *Book) CanHold(holds []exchange.Hold) (full int, ok bool) {
	for i := range holds {
		c := b.cap(holds[i].Cap)
		if c.limit < 0 {
			continue
		}
		var used int64
		if w := c.window(holds[i].Window); w != nil {
			used = w.Held + w.Committed
		}
		if used+holds[i].Amount > c.limit || c.forgot(holds[i].Window) {
			return i, false
		}
	}
	return 0, true
}

// Open returns the attempts of a lead that are in flight or in doubt. The slice is the book's own.
func (b *Book) Open(lead exchange.LeadID) []OpenLeg { return b.open[lead] }

// EachOpen calls fn with every attempt in flight or in doubt, in no order.
func (b *Book) EachOpen(fn func(*OpenLeg)) {
	for _, legs := range b.open {
		for i := range legs {
			fn(&legs[i])
		}
	}
}

// InDoubt counts the unknown attempts and sums their bids. Tests are nobody's money and do not count.
func (b *Book) InDoubt() (count int, value exchange.Money) { return len(b.doubts), b.inDoubtValue }

// Apply moves the book on by one event. An event that cannot follow what the
// book holds means that the journal or the house is broken: it panics.
func (b *Book) Apply(e exchange.Entry) {
	if e.Seq != b.seq+1 {
		panic(fmt.Sprintf("BUG: book at seq %d was given seq %d", b.seq, e.Seq))
	}
	b.seq = e.Seq
	switch ev := e.Event.(type) {
	case *exchange.ConfigAccepted:
		b.config = ev.Hash
	case *exchange.OfferSet:
		b.offers[ev.Offer] = *ev
		if ev.Removed {
			delete(b.offers, ev.Offer)
		}
	case *exchange.LimitSet:
		c := b.cap(ev.Cap)
		c.per, c.unit = ev.Per, ev.Unit
		c.setLimit(ev.Limit)
	case *exchange.PostStarted:
		b.evidence.start(ev)
		b.traffic.started(e.At, ev)
		b.turns.start(ev.Contract, ev.Turn)
		b.start(e.At, ev)
	case *exchange.LeadRefused:
		b.traffic.refused(e.At, ev)
	case *exchange.PostEnded:
		b.evidence.ended(e.At, &b.open[ev.LeadID][b.mustFind(ev.LeadID, ev.Attempt)], ev)
		switch ev.Outcome {
		case exchange.OutcomeAccepted:
			b.close(ev.LeadID, ev.Attempt, true)
		case exchange.OutcomeUnknown:
			b.doubt(ev.LeadID, ev.Attempt)
		default:
			b.close(ev.LeadID, ev.Attempt, false)
		}
		b.letGo(ev.LeadID, ev.Status)
	case *exchange.LegSettled:
		b.evidence.settled(e.At, &b.open[ev.LeadID][b.mustFind(ev.LeadID, ev.Attempt)], ev.Accepted)
		b.close(ev.LeadID, ev.Attempt, ev.Accepted)
		b.letGo(ev.LeadID, ev.Status)
	case *exchange.LegGivenBack:
		b.evidence.givenBack(e.At, ev)
		b.free(ev.Frees)
	case *exchange.LegConflict:
		key := LegKey{ev.LeadID, ev.Attempt}
		b.conflicts[key] = Conflict{LegKey: key, Accepted: ev.Accepted, By: ev.By, At: e.At}
	case *exchange.ConflictClosed:
		delete(b.conflicts, LegKey{ev.LeadID, ev.Attempt})
	}
}

func (b *Book) start(at int64, ev *exchange.PostStarted) {
	legs := b.open[ev.LeadID]
	for i := range legs {
		if (legs[i].Sale == exchange.SaleExclusive || ev.Sale == exchange.SaleExclusive) && (!legs[i].Unknown || legs[i].OnUnknown != exchange.OnUnknownContinue) {
			panic(fmt.Sprintf("BUG: attempt %d of lead %s while attempt %d may be sold", ev.Attempt, ev.LeadID, legs[i].Attempt))
		}
	}
	if ev.LegsMax > 0 && len(legs) >= int(ev.LegsMax) {
		panic(fmt.Sprintf("BUG: attempt %d of lead %s where %d of %d may be sold", ev.Attempt, ev.LeadID, len(legs), ev.LegsMax))
	}
	for i := range ev.Holds {
		h := &ev.Holds[i]
		c := b.cap(h.Cap)
		w := c.openWindow(h.Window)
		w.Held += h.Amount
		if c.limit >= 0 && w.Held+w.Committed > c.limit {
			panic(fmt.Sprintf("BUG: cap %s passed: %d of %d", h.Cap, w.Held+w.Committed, c.limit))
		}
		c.publish()
	}
	legs = append(legs, OpenLeg{
		LeadID: ev.LeadID, Attempt: ev.Attempt, Contract: ev.Contract, Buyer: ev.Buyer, Bid: ev.Bid,
		Sale: ev.Sale, OnUnknown: ev.OnUnknown, Holds: ev.Holds, Since: at, Test: b.evidence.isTest(ev),
	})
	b.open[ev.LeadID] = legs
	b.flying.add(&legs[len(legs)-1], 1)
}

// mustFind returns the place of an open attempt.
func (b *Book) mustFind(lead exchange.LeadID, attempt uint16) int {
	i := slices.IndexFunc(b.open[lead], func(l OpenLeg) bool { return l.Attempt == attempt })
	if i < 0 {
		panic(fmt.Sprintf("BUG: attempt %d of lead %s is not open", attempt, lead))
	}
	return i
}

func (b *Book) doubt(lead exchange.LeadID, attempt uint16) {
	leg := &b.open[lead][b.mustFind(lead, attempt)]
	b.flying.add(leg, -1)
	leg.Unknown = true
	b.addDoubt(leg)
}

// close ends an open attempt: its holds are committed, or released.
func (b *Book) close(lead exchange.LeadID, attempt uint16, commit bool) {
	i := b.mustFind(lead, attempt)
	legs := b.open[lead]
	leg := &legs[i]
	for k := range leg.Holds {
		h := &leg.Holds[k]
		c := b.cap(h.Cap)
		w := c.window(h.Window)
		w.Held -= h.Amount
		if commit {
			w.Committed += h.Amount
		}
		c.publish()
	}
	b.flying.add(leg, -1)
	if leg.Unknown {
		b.dropDoubt(leg)
	}
	if len(legs) == 1 {
		delete(b.open, lead)
		return
	}
	b.open[lead] = slices.Delete(legs, i, i+1)
}

// letGo forgets whose a lead is once nothing more can come of it: nothing is
// open, and no other attempt follows.
func (b *Book) letGo(lead exchange.LeadID, status exchange.LeadStatus) {
	if status != exchange.LeadOpen && len(b.open[lead]) == 0 {
		delete(b.evidence.campaigns, lead)
	}
}

func (c *capState) window(start int64) *capWindow {
	for i := len(c.windows) - 1; i >= 0; i-- {
		if c.windows[i].Start == start {
			return &c.windows[i]
		}
	}
	return nil
}

// openWindow returns the window that starts at start, made if need be, and
// drops old ones that nothing is held in.
func (c *capState) openWindow(start int64) *capWindow {
	if w := c.window(start); w != nil {
		return w
	}
	at, _ := slices.BinarySearchFunc(c.windows, start, func(w capWindow, s int64) int { return cmp.Compare(w.Start, s) })
	c.windows = slices.Insert(c.windows, at, capWindow{Start: start})
	past := len(c.windows) - windowsKept
	kept := c.windows[:0]
	for i, w := range c.windows {
		if i >= past || w.Held != 0 || w.Start == start {
			kept = append(kept, w)
		} else if w.Committed != 0 {
			c.forgotten = max(c.forgotten, w.Start)
		}
	}
	c.windows = kept
	return c.window(start)
}

// forgot tells whether nobody knows any more what counts in the window that
// starts at start: a clock was set back so far that the cap must be taken for full.
func (c *capState) forgot(start int64) bool {
	return c.forgotten != 0 && start <= c.forgotten && c.window(start) == nil
}

// publish shows the latest window to Used. The order matters: a reader that
// sees the new start before the new count only sees a fuller cap.
func (c *capState) publish() {
	w := &c.windows[len(c.windows)-1]
	c.used.Store(w.Held + w.Committed)
	c.latest.Store(w.Start)
}
