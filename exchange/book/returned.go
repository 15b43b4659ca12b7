package book

import "vendue/exchange"

// free gives caps back what a sale took of them that was given back. A window
// that is forgotten has nothing left to give it to.
func (b *Book) free(holds []exchange.Hold) {
	for i := range holds {
		h := &holds[i]
		c := b.cap(h.Cap)
		if w := c.window(h.Window); w != nil {
			w.Committed = max(0, w.Committed-h.Amount)
			c.publish()
		}
	}
}

// givenBack counts a return.
func (e *evidence) givenBack(at int64, ev *exchange.LegGivenBack) {
	if ev.Test {
		return
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	e.house.GivenBack(at)
	tallyOf(e.posts, oddsKey{Contract: ev.Contract}).GivenBack(at)
	tallyOf(e.posts, oddsKey{ev.Contract, ev.Campaign}).GivenBack(at)
}
