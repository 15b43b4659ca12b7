package engine

import (
	"testing"
	"testing/synctest"
	"time"

	"vendue/exchange"
)

// Who follows the journal may know of an event's sync before the engine does, and is told of the lead with it; nobody else is.
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
		}{{0, exchange.LeadPending}, {seq - 1, exchange.LeadPending}, {seq, exchange.LeadSold}, {0, exchange.LeadSold}} {
			if view, err := e.LeadAt(id, step.seq); err != nil || view.Status != step.want {
				t.Errorf("at %d the lead is %s, want %s: %v", step.seq, view.Status, step.want, err)
			}
		}
		if done := <-settled; done != SettledNow {
			t.Errorf("settled: %v", done)
		}
	})
}
