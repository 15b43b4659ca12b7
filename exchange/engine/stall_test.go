package engine

import (
	"testing"
	"time"

	"vendue/exchange"
)

// A disk that stands still holds the lock that decides, for Append waits there
// once its memory is full. Posts wait with it; pings promise without it.
func TestPingsNeverWaitForTheJournal(t *testing.T) {
	w := newWorld(t, `
	seller s
	campaign c seller=s margin=20%
	buyer a
	contract c1 buyer=a bid=20
	tier auction c1`)
	d := newDisk()
	e, err := openEngine(t, d, w.market, w.buyers, nil)
	if err != nil {
		t.Fatal(err)
	}
	stands, goesOn := make(chan struct{}), make(chan struct{})
	d.before = func() {
		select {
		case stands <- struct{}{}: // the first append only: nobody else listens
			<-goesOn
		case <-goesOn:
		}
	}
	sold := make(chan PostAnswer, 1)
	go func() { sold <- e.Direct(directOf(e, "1", "")) }()
	<-stands
	pinged := make(chan PingAnswer)
	go func() {
		for range 50 {
			pinged <- e.Ping(pingOf(e, ""))
		}
	}()
	for range 50 {
		select {
		case ping := <-pinged:
			if ping.Reason != exchange.ReasonNone || ping.Quote == nil {
				t.Errorf("the ping was answered %s, expected a quote", ping.Reason)
			}
		case <-time.After(20 * time.Second):
			close(goesOn)
			t.Fatal("a ping waits for the journal")
		}
	}
	close(goesOn)
	if a := <-sold; a.View.Status != exchange.LeadSold {
		t.Errorf("after the disk went on the lead is %s, expected sold", a.View.Status)
	}
}
