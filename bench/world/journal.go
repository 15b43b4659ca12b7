package world

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/tidwall/gjson"

	"vendue/exchange"
)

// Journal is what a reader of `vendue log` can know: each lead as its events tell it.
type Journal struct {
	Events  int
	LastSeq uint64
	Gaps    []string // where the sequence is not one by one
	Leads   map[string]*JournalLead
	clicks  map[string]journalClick // by id
	offers  map[string]bool         // with terms
}

type journalClick struct {
	affiliate string
	at        time.Time
}

// JournalLead is one lead in the journal.
type JournalLead struct {
	ID, Status, Reason string
	PingID             string
	Seller, Campaign   string
	Test               bool
	Affiliate, Offer   string // as the source named them
	ClickID            string
	Legs               []JournalLeg // by attempt
}

// JournalLeg is one attempt in the journal.
type JournalLeg struct {
	Leg             int64
	Contract, Buyer string
	Sale            string
	At              time.Time // of the sale: when the buyer's answer was written, or, if that was settled later, when the attempt began
	Continues       bool      // on_unknown: continue
	Bid, Payout     exchange.Money
	Outcome         string // accepted, rejected, not_delivered, unknown; "" while in flight
	Reason          string
	Settled         string // accepted or rejected, once an unknown was resolved
	By              string // who settled it
	Conflicts       int
	Returns         int  // how often the buyer gave it back: once at most
	Freed           bool // a return gave its caps their places back
	Unsold          bool // it was given back and was not sold
}

// Accepted tells whether the leg stands as sold.
func (l *JournalLeg) Accepted() bool { return l.Outcome == "accepted" || l.Settled == "accepted" }

// Returned tells whether the buyer gave the leg back.
func (l *JournalLeg) Returned() bool { return l.Returns > 0 }

// Doubt tells whether the buyer may have the lead.
func (l *JournalLeg) Doubt() bool {
	return l.Settled == "" && (l.Outcome == "" || l.Outcome == "unknown")
}

// assumed tells whether nobody said how the leg ended: a deadline settled it.
func (l *JournalLeg) assumed() bool { return l.By == exchange.SettledByDeadline.String() }

// leg returns the leg of a number, nil if there is none.
func (l *JournalLead) leg(number int64) *JournalLeg {
	if l == nil {
		return nil
	}
	for i := range l.Legs {
		if l.Legs[i].Leg == number {
			return &l.Legs[i]
		}
	}
	return nil
}

// Sold tells whether any leg stands as sold.
func (l *JournalLead) Sold() bool { return l.sales() > 0 }

// sales counts the legs that stand as sold.
func (l *JournalLead) sales() (n int) {
	for i := range l.Legs {
		if l.Legs[i].Accepted() {
			n++
		}
	}
	return n
}

// NewJournal returns an empty journal.
func NewJournal() *Journal {
	return &Journal{Leads: make(map[string]*JournalLead), clicks: make(map[string]journalClick), offers: make(map[string]bool)}
}

// AddLines reads JSON lines as `vendue log` prints them.
func (j *Journal) AddLines(text []byte) error {
	var err error
	gjson.ForEachLine(string(text), func(line gjson.Result) bool {
		err = j.add(line)
		return err == nil
	})
	return err
}

// AddEntry takes an entry in the house's own form.
func (j *Journal) AddEntry(e exchange.Entry) error {
	event, err := json.Marshal(e.Event)
	if err != nil {
		return fmt.Errorf("cannot write event %d as JSON: %w", e.Seq, err)
	}
	head := fmt.Sprintf(`{"seq":%d,"at":%q,"type":%q`, e.Seq, time.Unix(0, e.At).UTC().Format(time.RFC3339Nano), e.Event.Kind())
	if len(event) > 2 {
		head += ","
	}
	return j.add(gjson.Parse(head + string(event[1:])))
}

func (j *Journal) add(line gjson.Result) error {
	seq, kind := line.Get("seq").Uint(), line.Get("type").String()
	if seq == 0 || kind == "" {
		return fmt.Errorf("journal line after event %d: expected seq and type", j.LastSeq)
	}
	if seq != j.LastSeq+1 {
		j.Gaps = append(j.Gaps, fmt.Sprintf("event %d follows %d", seq, j.LastSeq))
	}
	j.LastSeq = seq
	j.Events++
	switch kind {
	case "post_started":
		return j.started(line)
	case "lead_refused":
		lead := j.lead(line, line.Get("lead"))
		lead.Status, lead.Reason = "rejected", line.Get("reason").String()
	case "post_ended", "leg_settled", "leg_returned", "conflict":
		return j.moved(line, kind)
	case "offer_set":
		j.offers[line.Get("offer").String()] = true
		if line.Get("removed").Bool() {
			delete(j.offers, line.Get("offer").String())
		}
	case "click":
		j.clicks[line.Get("click_id").String()] = journalClick{line.Get("affiliate").String(), line.Get("at").Time()}
	}
	return nil
}

func (j *Journal) lead(line, facts gjson.Result) *JournalLead {
	id := line.Get("lead_id").String()
	lead := &JournalLead{
		ID: id, PingID: facts.Get("ping_id").String(), Seller: facts.Get("seller").String(), Campaign: facts.Get("campaign").String(), Test: facts.Get("test").Bool(),
		Affiliate: facts.Get("source.affiliate").String(), Offer: facts.Get("source.offer").String(), ClickID: facts.Get("source.click_id").String(),
	}
	j.Leads[id] = lead
	return lead
}

func (j *Journal) started(line gjson.Result) error {
	id := line.Get("lead_id").String()
	lead := j.Leads[id]
	if line.Get("lead").Exists() {
		if lead != nil {
			return fmt.Errorf("lead %s begins twice, again at event %d", id, j.LastSeq)
		}
		lead = j.lead(line, line.Get("lead"))
	}
	if attempt := line.Get("attempt").Int(); lead == nil || int(attempt) != len(lead.Legs)+1 {
		return fmt.Errorf("event %d: attempt %d of lead %s is out of order", j.LastSeq, attempt, id)
	}
	lead.Status = "open"
	lead.Legs = append(lead.Legs, JournalLeg{
		Leg: line.Get("leg").Int(), Contract: line.Get("contract").String(), Buyer: line.Get("buyer").String(), Sale: line.Get("sale").String(), At: line.Get("at").Time(),
		Continues: continues(line.Get("on_unknown")), Bid: readMoney(line.Get("bid").Raw), Payout: readMoney(line.Get("payout").Raw),
	})
	return nil
}

// continues reads on_unknown as a number or a word.
func continues(v gjson.Result) bool {
	return v.Int() == int64(exchange.OnUnknownContinue) || v.String() == "continue"
}

func (j *Journal) moved(line gjson.Result, kind string) error {
	id, attempt := line.Get("lead_id").String(), line.Get("attempt").Int()
	lead := j.Leads[id]
	if lead == nil || attempt < 1 || int(attempt) > len(lead.Legs) {
		return fmt.Errorf("event %d: %s of an attempt %d of lead %s that never started", j.LastSeq, kind, attempt, id)
	}
	leg := &lead.Legs[attempt-1]
	switch kind {
	case "conflict":
		leg.Conflicts++
		return nil
	case "leg_settled":
		leg.Settled, leg.By = "rejected", line.Get("by").String()
		if line.Get("accepted").Bool() {
			leg.Settled = "accepted"
		}
	case "leg_returned":
		leg.Returns++
		leg.Unsold = leg.Unsold || !leg.Accepted()
		leg.Freed = slices.ContainsFunc(line.Get("frees").Array(), func(h gjson.Result) bool { return strings.HasPrefix(h.Get("cap").String(), "contract/") })
		lead.Reason = ""
	default:
		leg.Outcome, leg.Reason = line.Get("outcome").String(), line.Get("reason").String()
		if leg.Outcome == "accepted" {
			leg.At = line.Get("at").Time()
		}
		lead.Reason = line.Get("lead_reason").String()
	}
	lead.Status = line.Get("status").String()
	return nil
}

// broughtBy returns the affiliate that sales of the lead owe credits, how many,
// and how many of these were given back; "" for nobody. A click of ours comes
// first, then the name in the source. An affiliate needs an offer's terms: the
// named one's, or those of the only one. A click earns nothing on a sale before it, by the clock of the day.
func (j *Journal) broughtBy(lead *JournalLead) (affiliate string, sales, returned int) {
	click, clicked := j.clicks[lead.ClickID]
	switch {
	case clicked:
		affiliate = click.affiliate
	case lead.Offer == "" && len(j.offers) != 1:
		return "", 0, 0
	default:
		affiliate = lead.Affiliate
	}
	for i := range lead.Legs {
		leg := &lead.Legs[i]
		if !leg.Accepted() || clicked && !leg.At.After(click.at) {
			continue
		}
		sales++
		if leg.Returned() {
			returned++
		}
	}
	return affiliate, sales, returned
}
