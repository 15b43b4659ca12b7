package engine

import (
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"vendue/exchange"
)

// Who follows the journal may know of an event's sync before the engine does, and is told of the lead with it; a seller who
// asks then hears the same. What it was after an earlier event stays what it was.
func TestALeadIsToldAsFarAsItIsOnDisk(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, `
	seller s
	campaign c seller=s margin=20%
	buyer a
	contract c1 buyer=a bid=20 post=unknown
	tier auction c1`)
		d := newDisk()
		e, err := openEngine(t, d, w.market, w.buyers, nil)
		if err != nil {
			t.Fatal(err)
		}
		id := e.Direct(directOf(e, "1", "")).View.LeadID
		d.syncTakes = time.Minute
		settled := make(chan Settled)
		go func() {
			done, _ := e.Settle(&Verdict{LeadID: id.String(), Accepted: true, By: exchange.SettledByOperator})
			settled <- done
		}()
		time.Sleep(time.Second)
		d.mu.Lock()
		seq := uint64(len(d.entries))
		d.mu.Unlock()
		for _, step := range []struct {
			seq  uint64
			want exchange.LeadStatus
		}{{seq - 1, exchange.LeadPending}, {seq, exchange.LeadSold}, {seq - 1, exchange.LeadPending}} {
			before, err1 := e.Lead("s", id.String())
			at, err2 := e.LeadAt(id, step.seq)
			after, err3 := e.Lead("s", id.String())
			if err := errors.Join(err1, err2, err3); err != nil || at.Status != step.want {
				t.Errorf("at %d the lead is %s, want %s: %v", step.seq, at.Status, step.want, err)
			}
			if step.want == exchange.LeadSold && (before.Status != exchange.LeadPending || after.Status != exchange.LeadSold) {
				t.Errorf("its seller was told %s before and %s after", before.Status, after.Status)
			}
		}
		if done := <-settled; done != SettledNow {
			t.Errorf("settled: %v", done)
		}
	})
}
