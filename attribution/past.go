package attribution

import (
	"fmt"

	"vendue/attribution/postback"
	"vendue/exchange"
)

// Past is an event that a postback could tell of, with what each macro would
// say of it and where that comes from. It decides nothing and sends nothing.
type Past struct {
	Seq        uint64
	Event      string
	Lead       exchange.LeadID // none of a click
	Affiliate  exchange.AffiliateID
	Uncredited Why // why no notice went out of itself; WhyNone: it is credited
	Values     *postback.Values
	Origins    *postback.Values // where each value comes from, in words
}

// PastQuery names an event: a sold leg or a click by its seq, or the sold legs of a lead.
type PastQuery struct {
	Seq  uint64 // 0: by Lead
	Lead exchange.LeadID
	On   string // the event to tell it as; empty: what it is
}

// PastEvents finds events by a query, those of a lead in the order of the
// journal. It reads only, so it may run beside the follower, or without one.
func PastEvents(journal Journal, space Space, vault exchange.Vault, q PastQuery) (list []Past, err error) {
	a := &Attribution{deps: Deps{Journal: journal, Space: space, Vault: vault}}
	if q.Seq == 0 {
		sales, err := a.Explain(q.Lead)
		for i := range sales {
			if !contradicts(&sales[i], q.On) {
				list = append(list, pastSale(vault, &sales[i], q.On)...)
			}
		}
		return list, err
	}
	v, ok, err := space.Get(saleKey(q.Seq))
	if err != nil {
		return nil, err
	}
	if ok {
		s, err := decodeSale(q.Seq, v)
		return pastSale(vault, &s, q.On), err
	}
	_, err = journal.Read(q.Seq, 1, func(e exchange.Entry) error {
		if ev, ok := e.Event.(*exchange.Clicked); ok && e.Seq == q.Seq {
			list = append(list, pastClick(vault, e, ev))
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("cannot read the journal: %w", err)
	}
	return list, nil
}

// contradicts reports whether a decision that takes a credit back was asked for
// as an event that gives one: no notice of that event is ever made of it.
func contradicts(s *Sale, on string) bool {
	back := s.Trigger == TriggerReturned || s.Trigger == TriggerReversed
	return back && (on == EventLeadSold || on == postback.EventCommissionPending || on == postback.EventCommissionApproved)
}

// pastSale tells a decision once for each of its credits; once without one if it has none.
func pastSale(vault exchange.Vault, s *Sale, on string) (list []Past) {
	if on == "" || on == postback.EventClick {
		on = EventLeadSold
		if events := eventsOf(s); len(events) > 0 {
			on = events[0]
		}
	}
	for i := range s.Credits {
		list = append(list, pastCredit(vault, s, &s.Credits[i], on))
	}
	if list == nil {
		list = append(list, pastCredit(vault, s, &Credit{}, on))
	}
	return list
}

func pastCredit(vault exchange.Vault, s *Sale, c *Credit, on string) Past {
	theirs := "the lead's source"
	if !c.Click.IsZero() {
		theirs = "click " + c.Click.String()
	}
	credit := fmt.Sprintf("the credit of seq %d", s.Seq)
	if !s.Credited() {
		credit = fmt.Sprintf("no credit (%s)", s.Uncredited)
	}
	o := origins(on)
	for m, from := range map[postback.Macro]string{
		postback.MacroAffClickID: theirs + ": cid", postback.MacroClickID: "the credited click",
		postback.MacroConversionID: "made of lead, attempt and affiliate", postback.MacroLeadID: "the lead", postback.MacroOrderID: "the lead's id",
		postback.MacroPayout: credit + ": commission", postback.MacroCurrency: "the lead's currency",
		postback.MacroAffiliateID: credit, postback.MacroOfferID: credit, postback.MacroClickTS: "the credited click's time", postback.MacroConvTS: "the sale's time",
	} {
		o[m] = from
	}
	if c.Click.IsZero() {
		o[postback.MacroAffClickID] = "the lead's source.click_id"
	}
	for m := postback.MacroSub1; m <= postback.MacroSub5; m++ {
		o[m] = theirs
	}
	return Past{Seq: s.Seq, Event: on, Lead: s.Lead, Affiliate: c.Affiliate, Uncredited: s.Uncredited, Values: valuesOf(vault, s, c, on), Origins: o}
}

func pastClick(vault exchange.Vault, e exchange.Entry, ev *exchange.Clicked) Past {
	o := origins(postback.EventClick)
	for m := postback.MacroAffClickID; m <= postback.MacroConvTS; m++ {
		if o[m] == "" {
			o[m] = fmt.Sprintf("the click of seq %d", e.Seq)
		}
	}
	for _, m := range []postback.Macro{postback.MacroLeadID, postback.MacroOrderID, postback.MacroPayout, postback.MacroCurrency} {
		o[m] = "a click has none"
	}
	o[postback.MacroConversionID] = "made of click, affiliate and event"
	return Past{Seq: e.Seq, Event: postback.EventClick, Affiliate: ev.Affiliate, Values: clickValues(vault, e.At, ev), Origins: o}
}

// origins says of each macro what is true of every event.
func origins(on string) *postback.Values {
	o := &postback.Values{postback.MacroEvent: "on: " + on, postback.MacroStatus: "on: " + on}
	for m := postback.MacroEmail; m <= postback.MacroIP; m++ {
		o[m] = "the journal holds no personal data"
	}
	o[postback.MacroSecret], o[postback.MacroTS], o[postback.MacroSig] = "the config's secret", "the attempt's time", "made at the attempt"
	return o
}

// Past finds past events: see PastEvents.
func (a *Attribution) Past(q PastQuery) ([]Past, error) {
	return PastEvents(a.deps.Journal, a.deps.Space, a.deps.Vault, q)
}

// Sender returns what delivers the postbacks, for those who look after it.
func (a *Attribution) Sender() *postback.Sender { return a.sender }
