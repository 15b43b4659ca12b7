package attribution

import (
	"slices"
	"time"

	"vendue/exchange"
)

// converted decides what an event earns: a commission of its own, or that of a
// sold leg that awaits it. The same event again changes nothing.
func (f *fold) converted(e exchange.Entry, ev *exchange.Converted) (*Sale, error) {
	if f.gone(ev.ClickID) {
		return nil, nil // nothing of its click is known any more, so nobody can earn
	}
	was, known, err := f.told(ev.ClickID, ev.Key)
	switch {
	case err != nil:
		return nil, err
	case ev.Rejected && !known:
		return nil, nil
	case ev.Rejected:
		return f.takenBack(e, ev, &was)
	case known:
		return nil, nil
	}
	s := &Sale{
		Seq: e.Seq, Trigger: TriggerConfirmed, At: e.At, Currency: ev.Currency,
		Event: ev.Event, EventKey: ev.Key, EventAmount: ev.Amount, EventClick: ev.ClickID,
	}
	c, _, err := f.click(ev.ClickID, e.Seq)
	if err != nil {
		return nil, err
	}
	rule := f.terms[c.offer]
	if rule.rules.EarnOn == exchange.EarnConfirmed && rule.rules.Event == ev.Event && rule.rules.NeedSold && !rule.removed {
		if err = f.confirm(s, c.offer, &rule); err == nil {
			s.name(ev.ClickID, &c)
		}
	} else {
		o := openLead{at: e.At, currency: ev.Currency, source: exchange.SourceFacts{Click: ev.ClickID}}
		err = f.decide(s, &o)
		if s.Credited() && (s.rule.rules.EarnOn != exchange.EarnConfirmed || s.rule.rules.Event != ev.Event) {
			s.Uncredited, s.Credits = WhyEvent, nil
		}
	}
	if err != nil {
		return nil, err
	}
	s.pay()
	f.keep(s)
	was = told{seq: e.Seq, body: ev.Body}
	if s.Credited() {
		was.credit = s.Seq
	}
	f.view.set(toldKey(ev.ClickID, ev.Key), was.encode())
	return s, nil
}

// name has an event's own click stand among its touches, beside those of the leg that it confirms.
func (s *Sale) name(id exchange.ClickID, c *click) {
	if !slices.ContainsFunc(s.Touches, func(t Touch) bool { return t.Seq == c.seq }) {
		s.Touches = append(s.Touches, Touch{
			Kind: TouchClick, Evidence: ByClickID, At: c.at, Seq: c.seq, Click: id, Affiliate: c.affiliate, Offer: c.offer, Dropped: WhyWeaker,
		})
	}
}

func (f *fold) told(id exchange.ClickID, key exchange.Fingerprint) (t told, ok bool, err error) {
	v, ok, err := f.view.get(toldKey(id, key))
	if err != nil || !ok {
		return t, false, err
	}
	t, err = decodeTold(v)
	return t, err == nil, err
}

func (f *fold) awaited(id exchange.ClickID) (a awaited, err error) {
	v, ok, err := f.view.get(awaitedKey(id))
	if err != nil || !ok {
		return a, err
	}
	return decodeAwaited(v)
}

func (f *fold) setAwaited(id exchange.ClickID, a *awaited) {
	if len(a.legs)+len(a.events) == 0 {
		f.view.del(awaitedKey(id))
		return
	}
	f.view.set(awaitedKey(id), a.encode())
}

// confirm makes good the oldest sold leg of the event's click that awaits it:
// one event, one leg. If there is none yet, the event waits for it.
func (f *fold) confirm(s *Sale, offer exchange.OfferID, rule *terms) error {
	a, err := f.awaited(s.EventClick)
	if err != nil {
		return err
	}
	s.Offer, s.rule = offer, *rule
	late := false
	for i := 0; i < len(a.legs); i++ {
		leg, err := f.kept(a.legs[i])
		if err != nil {
			return err
		}
		switch st, err := f.standing(leg.Lead, leg.Attempt, s.Seq); {
		case err != nil:
			return err
		case st.returned: // it awaits nothing any more
			a.legs = slices.Delete(a.legs, i, i+1)
			f.setAwaited(s.EventClick, &a)
			i--
			continue
		}
		if !near(s.At, leg.At, leg.rule.rules.ConfirmSec) {
			late = true
			continue
		}
		s.Of, s.Lead, s.Attempt, s.Seller, s.Buyer, s.Contract = leg.Seq, leg.Lead, leg.Attempt, leg.Seller, leg.Buyer, leg.Contract
		s.Currency, s.Revenue, s.Payout = leg.Currency, leg.Revenue, leg.Payout
		s.Touches, s.Credits, s.Offer, s.rule = leg.Touches, leg.Credits, leg.Offer, leg.rule
		a.legs = slices.Delete(a.legs, i, i+1)
		f.setAwaited(s.EventClick, &a)
		return nil
	}
	if late {
		s.Uncredited = WhyConfirmLate
		return nil
	}
	s.Uncredited = WhyNotSold
	if len(a.events) < awaitedMax {
		a.events = append(a.events, s.Seq)
		f.setAwaited(s.EventClick, &a)
	}
	return nil
}

// await looks for an event that came before the sold leg that it confirms, as
// it does where the outcome of a post was in doubt. Without one the leg waits.
func (f *fold) await(s *Sale, id exchange.ClickID) error {
	if id.IsZero() || f.gone(id) {
		return nil // no event can name it
	}
	a, err := f.awaited(id)
	if err != nil {
		return err
	}
	for i, seq := range a.events {
		event, err := f.kept(seq)
		if err != nil {
			return err
		}
		if event.Event != s.rule.rules.Event || !near(event.At, s.At, s.rule.rules.ConfirmSec) {
			continue
		}
		s.Uncredited, s.Of = WhyNone, event.Seq
		s.Event, s.EventKey, s.EventAmount, s.EventClick = event.Event, event.EventKey, event.EventAmount, event.EventClick
		a.events = slices.Delete(a.events, i, i+1)
		f.setAwaited(id, &a)
		t, _, err := f.told(event.EventClick, event.EventKey)
		t.credit = s.Seq
		f.view.set(toldKey(event.EventClick, event.EventKey), t.encode())
		return err
	}
	if len(a.legs) < awaitedMax {
		a.legs = append(a.legs, s.Seq)
		f.setAwaited(id, &a)
	}
	return nil
}

// near tells whether an event may confirm a sale: it came at most window
// seconds after it. Before it there is no bound: the two clocks race.
func near(eventAt, saleAt, windowSec int64) bool {
	return windowSec == 0 || eventAt-saleAt <= min(windowSec, windowSecMax)*int64(time.Second)
}

// takenBack ends what an event led to: its credit is reversed, or it waits no longer.
func (f *fold) takenBack(e exchange.Entry, ev *exchange.Converted, was *told) (*Sale, error) {
	if was.rejected {
		return nil, nil
	}
	was.rejected = true
	f.view.set(toldKey(ev.ClickID, ev.Key), was.encode())
	if was.credit > 0 {
		return f.reverse(e, was.credit)
	}
	a, err := f.awaited(ev.ClickID)
	if i := slices.Index(a.events, was.seq); i >= 0 {
		a.events = slices.Delete(a.events, i, i+1)
		f.setAwaited(ev.ClickID, &a)
	}
	return nil, err
}

// reverse takes the credit of a decision back, whole. That of a leg that was
// given back has been taken back by the return.
func (f *fold) reverse(e exchange.Entry, credit uint64) (*Sale, error) {
	s, err := f.kept(credit)
	if err != nil {
		return nil, err
	}
	if s.IsLeg() {
		if st, err := f.standing(s.Lead, s.Attempt, e.Seq); err != nil || st.returned {
			return nil, err // the return took it back
		}
	}
	s.Seq, s.Of, s.Trigger, s.At = e.Seq, credit, TriggerReversed, e.At
	s.takeBack()
	f.keep(s)
	return s, nil
}
