package engine

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"math"
	"slices"
	"time"

	"vendue/exchange"
	"vendue/exchange/book"
)

// readAtOnce is how many entries one Read of a replay asks for.
const readAtOnce = 4096

// recover builds the book from the newest snapshot and the journal after it,
// then turns every attempt without an outcome into an unknown: the buyer may
// have the lead, and only evidence will tell.
func (e *Engine) recover() error {
	e.book = book.New()
	seq, data, ok, err := e.deps.Store.LoadSnapshot()
	if err != nil {
		return fmt.Errorf("cannot load the book's snapshot: %w", err)
	}
	if ok {
		e.book, err = book.Restore(data)
		if errors.Is(err, book.ErrForm) {
			e.deps.Log.Warn().Msg("the book's snapshot is of another form; it is made anew from the journal")
			e.book, seq, err = book.New(), 0, nil
		}
		if err != nil {
			return err
		}
		if e.book.Seq() != seq {
			return fmt.Errorf("the book's snapshot is of seq %d, not %d", e.book.Seq(), seq)
		}
		e.snapshot = seq
	}
	if err := Replay(e.deps.Store, e.book); err != nil {
		return err
	}
	e.synced.Store(e.book.Seq())
	return e.doubtInFlight()
}

// Replay applies to the book what the journal holds beyond it.
func Replay(store interface {
	Read(from uint64, max int, fn func(exchange.Entry) error) (next uint64, err error)
}, b *book.Book) error {
	for {
		from := b.Seq() + 1
		next, err := store.Read(from, readAtOnce, func(entry exchange.Entry) error {
			b.Apply(entry)
			return nil
		})
		if err != nil {
			return fmt.Errorf("cannot replay the journal from seq %d: %w", from, err)
		}
		if next == from {
			return nil
		}
	}
}

func (e *Engine) doubtInFlight() error {
	now := e.Now()
	var cut []*exchange.PostEnded
	e.book.EachOpen(func(l *book.OpenLeg) {
		if l.Unknown {
			return
		}
		elapsed := max(0, now.UnixNano()-l.Since) / int64(time.Millisecond)
		cut = append(cut, &exchange.PostEnded{
			LeadID: l.LeadID, Attempt: l.Attempt, Outcome: exchange.OutcomeUnknown, Reason: exchange.ReasonUnknown,
			Status: exchange.LeadPending, LeadReason: exchange.ReasonUnknown, ElapsedMs: uint32(min(elapsed, math.MaxUint32)),
		})
	})
	if len(cut) == 0 {
		return nil
	}
	slices.SortFunc(cut, func(x, y *exchange.PostEnded) int { // a map has no order
		return cmp.Or(bytes.Compare(x.LeadID[:], y.LeadID[:]), cmp.Compare(x.Attempt, y.Attempt))
	})
	events := make([]exchange.Event, len(cut))
	for i, ended := range cut {
		if err := e.restOfShared(ended); err != nil {
			return err
		}
		events[i] = ended
	}
	e.mu.Lock()
	batches, err := e.appendManyLocked(now, events)
	e.mu.Unlock()
	if err != nil {
		return err
	}
	e.deps.Log.Warn().Int("attempts", len(events)).Msg("attempts in flight at the last stop are now unknown")
	return e.waitAll(batches)
}

func (e *Engine) snapshotIfDue() error {
	e.mu.Lock()
	due := e.book.Seq() >= e.snapshot+e.cfg.SnapshotEvery
	e.mu.Unlock()
	if !due {
		return nil
	}
	return e.saveSnapshot()
}

// saveSnapshot saves the book once the events it stands for are on disk: a
// snapshot ahead of the journal would be a state that never was. One caller at a time.
func (e *Engine) saveSnapshot() error {
	e.mu.Lock()
	seq, data, saved := e.book.Seq(), []byte(nil), e.snapshot
	if seq != saved {
		data = e.book.Snapshot()
	}
	e.mu.Unlock()
	if seq == saved || !e.awaitSynced(seq) {
		return nil
	}
	if err := e.deps.Store.SaveSnapshot(seq, data); err != nil {
		return err
	}
	e.mu.Lock()
	e.snapshot = seq
	e.mu.Unlock()
	return nil
}

// awaitSynced waits until every event up to seq is on disk, and returns false
// if the journal fails first. Somebody else waits for each of those events.
func (e *Engine) awaitSynced(seq uint64) bool {
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for e.synced.Load() < seq {
		if e.broken.Load() {
			return false
		}
		<-tick.C
	}
	return true
}

// Caps returns how every limited cap stood when something last counted in it.
func (e *Engine) Caps() []book.CapUse {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.book.Caps()
}

// CapsNow returns how every limited cap stands in the window that runs now.
func (e *Engine) CapsNow() []book.CapUse {
	uses, now, zone := e.Caps(), e.Now(), time.UTC
	if snap := e.snap.Load(); snap != nil {
		zone = snap.Market.Zone
	}
	for i := range uses {
		u := &uses[i]
		if start := u.Per.Start(now, zone); u.Start < start {
			u.Start, u.Held, u.Committed = start, 0, 0 // its window is over; what is still held there bounds nothing now
		}
	}
	return uses
}
