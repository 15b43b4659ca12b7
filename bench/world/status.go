package world

import "github.com/valyala/fasthttp"

// status answers GET /status?bid=.. from the buyer's books. What it has no
// record of, it says nothing about: the post may still be under way.
func (b *Buyer) status(ctx *fasthttp.RequestCtx, m *Manner) {
	r := newDice(b.seed^0x57a705, uint64(b.asked.Add(1)))
	hang, garble, silent := r.hits(m.HangStatus), r.hits(m.GarbleStatus), r.hits(m.SilentStatus)
	delay := m.StatusDelay.draw(&r)
	switch {
	case b.down(ctx, m):
		return
	case hang, !b.server.wait(delay):
		b.server.drop(ctx, hang)
		return
	case garble:
		ctx.SetBodyString(`{"accepted":"perhaps"}`)
		return
	}
	receipt := b.receipt(string(ctx.QueryArgs().Peek("bid")))
	if receipt == nil || silent {
		ctx.SetStatusCode(fasthttp.StatusNotFound)
		return
	}
	b.answer(ctx, *receipt)
}

// Booked tells whether the buyer has a record of a leg.
func (b *Buyer) Booked(bid string) bool { return b.receipt(bid) != nil }

// receipt finds what the buyer booked of a leg, nil if nothing.
func (b *Buyer) receipt(bid string) *Receipt {
	b.mu.Lock()
	defer b.mu.Unlock()
	for i := range b.receipts {
		if b.receipts[i].BidID == bid {
			found := b.receipts[i]
			return &found
		}
	}
	return nil
}
