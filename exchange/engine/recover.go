package engine

import (
	"fmt"
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
		if e.book, err = book.Restore(data); err != nil {
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
	now := time.Now()
	var events []exchange.Event
	e.book.EachOpen(func(l *book.OpenLeg) {
		if l.Unknown {
			return
		}
		events = append(events, &exchange.PostEnded{
			LeadID: l.LeadID, Attempt: l.Attempt, Outcome: exchange.OutcomeUnknown, Reason: exchange.ReasonUnknown,
			Status: exchange.LeadPending, LeadReason: exchange.ReasonUnknown,
			ElapsedMs: uint32(max(0, now.UnixNano()-l.Since) / int64(time.Millisecond)),
		})
	})
	if len(events) == 0 {
		return nil
	}
	e.mu.Lock()
	ticket, _, err := e.appendLocked(now, events...)
	e.mu.Unlock()
	if err != nil {
		return err
	}
	e.deps.Log.Warn().Int("attempts", len(events)).Msg("attempts in flight at the last stop are now unknown")
	return e.wait(ticket)
}

func (e *Engine) snapshotIfDue() error {
	e.mu.Lock()
	due := e.book.Seq() >= e.snapshot+e.cfg.SnapshotEvery
	e.mu.Unlock()
	if !due || e.broken.Load() {
		return nil
	}
	return e.saveSnapshot()
}

// saveSnapshot saves the book. The store syncs it behind the events it stands
// for, in one write-ahead log, so it can never be ahead of the journal.
func (e *Engine) saveSnapshot() error {
	e.mu.Lock()
	seq, data := e.book.Seq(), e.book.Snapshot()
	e.mu.Unlock()
	if seq == e.snapshot {
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

// Caps returns how every limited cap stands.
func (e *Engine) Caps() []book.CapUse {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.book.Caps()
}
