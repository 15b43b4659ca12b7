package attribution

import (
	"context"
	"time"

	"vendue/exchange"
)

// Known is what the house knows of a click that somebody names.
type Known struct {
	Offer     exchange.OfferID
	Affiliate exchange.AffiliateID
	At        int64 // Unix nanoseconds
	Found     bool
	Left      bool // it was a click once, too long ago
}

// followMax is how long a caller waits for the follower to come to what is in the journal now.
const followMax = 2 * time.Second

// Click finds a click of ours. One that was journaled a moment ago may be ahead of the follower, which is waited for.
func (a *Attribution) Click(id exchange.ClickID) (k Known, err error) {
	if id.Time().UnixMilli() < a.horizon.Load() {
		return Known{Left: true}, nil
	}
	for range 2 {
		v, ok, err := a.deps.Space.Get(clickKey(id))
		if err != nil {
			return k, err
		}
		if ok {
			c, err := decodeClick(v)
			return Known{Offer: c.offer, Affiliate: c.affiliate, At: c.at, Found: true}, err
		}
		if err := a.Follow(); err != nil {
			return k, err
		}
	}
	return k, nil
}

// Verdict is what became of an event that was told.
type Verdict struct {
	Known    bool // it was told before, or just now
	Same     bool // as it was told: the same amount and currency
	Rejected bool // and taken back
	Seq      uint64
	Credited bool
	Why      Why // why not
}

// Told finds an event of a click, and what was decided of it.
func (a *Attribution) Told(id exchange.ClickID, key, body exchange.Fingerprint) (v Verdict, err error) {
	b, ok, err := a.deps.Space.Get(toldKey(id, key))
	if err != nil || !ok {
		return v, err
	}
	t, err := decodeTold(b)
	if err != nil {
		return v, err
	}
	v = Verdict{Known: true, Same: t.body == body, Rejected: t.rejected, Seq: t.seq, Credited: t.credit > 0 && !t.rejected}
	if v.Credited {
		return v, nil
	}
	b, ok, err = a.deps.Space.Get(saleKey(t.seq))
	if err != nil || !ok {
		return v, err
	}
	s, err := decodeSale(t.seq, b)
	v.Why = s.Uncredited
	return v, err
}

// Follow waits until all that is durable now was followed. An error says that
// it was not, in time: what was journaled stands all the same.
func (a *Attribution) Follow() error {
	ctx, cancel := context.WithTimeout(context.Background(), followMax)
	defer cancel()
	durable, err := a.deps.Journal.WaitDurable(ctx, 0)
	if err != nil {
		return err
	}
	for {
		a.mu.Lock()
		done, moved := a.seen.cursor > durable, a.moved
		a.mu.Unlock()
		if done {
			return nil
		}
		select {
		case a.hurry <- struct{}{}:
		default: // the follower is told already
		}
		select {
		case <-moved:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}
