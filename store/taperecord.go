package store

import (
	"strconv"
	"time"

	"vendue/exchange"
)

// Attempt is the tape's record of one attempt to post a lead: what the journal
// has no room for. It holds no personal value.
type Attempt struct {
	LeadID   exchange.LeadID
	PingID   exchange.PingID
	At       time.Time
	Number   uint16 // of this lead, from 1
	Contract exchange.ContractID
	Outcome  exchange.Outcome
	Reason   exchange.Reason
	Status   int // HTTP status, 0 if none was read
	Elapsed  time.Duration
	Detail   string
}

// object appends the members of a JSON object. The zero value of a member
// that may be left out is left out, as the struct tags of exchange.Auction say.
type object struct{ buf []byte }

func (o *object) name(name string) {
	if c := o.buf[len(o.buf)-1]; c != '{' && c != '[' {
		o.buf = append(o.buf, ',')
	}
	o.buf = append(append(append(o.buf, '"'), name...), '"', ':')
}

func (o *object) text(name, v string) {
	if v != "" {
		o.name(name)
		o.buf = appendText(o.buf, v)
	}
}

// word is text that needs no escapes.
func (o *object) word(name, v string) {
	if v != "" {
		o.name(name)
		o.buf = append(append(append(o.buf, '"'), v...), '"')
	}
}

func (o *object) number(name string, v int64) {
	if v != 0 {
		o.name(name)
		o.buf = strconv.AppendInt(o.buf, v, 10)
	}
}

func (o *object) money(name string, v exchange.Money) {
	if v != 0 {
		o.name(name)
		o.buf = v.Append(o.buf)
	}
}

func (o *object) yes(name string, v bool) {
	if v {
		o.name(name)
		o.buf = append(o.buf, "true"...)
	}
}

func (o *object) millis(name string, d time.Duration) {
	o.name(name)
	o.buf = (exchange.Money(d.Microseconds()) * (exchange.Micro / 1000)).Append(o.buf)
}

func (o *object) time(name string, t time.Time) {
	o.name(name)
	o.buf = append(t.UTC().AppendFormat(append(o.buf, '"'), time.RFC3339Nano), '"')
}

// id opens the member that holds an id, whose text appendID appends.
func (o *object) id(name string, appendID func([]byte) []byte) {
	o.name(name)
	o.buf = append(appendID(append(o.buf, '"')), '"')
}

func appendAuction(dst []byte, a *exchange.Auction) []byte {
	o := object{buf: append(dst, '{')}
	o.id("ping_id", a.PingID.Append)
	o.time("at", a.At)
	o.text("config", a.ConfigHash)
	o.text("seller", string(a.Seller))
	o.text("campaign", string(a.Campaign))
	o.yes("test", a.Test)
	o.yes("direct", a.Direct)
	o.lead(a.Lead)
	o.word("sale", a.Sale.String())
	o.money("min_price", a.MinPrice)
	o.candidates(a.Candidates)
	if len(a.Excluded) > 0 {
		o.name("excluded")
		o.buf = append(o.buf, '[')
		for i := range a.Excluded {
			o.open()
			o.word("reason", a.Excluded[i].Reason.String())
			o.number("count", int64(a.Excluded[i].Count))
			o.buf = append(o.buf, '}')
		}
		o.buf = append(o.buf, ']')
	}
	o.word("reason", a.Reason.String())
	o.money("price", a.Price)
	o.millis("elapsed_ms", time.Duration(a.Elapsed))
	return append(o.buf, '}')
}

// open begins an object inside an array.
func (o *object) open() {
	if o.buf[len(o.buf)-1] != '[' {
		o.buf = append(o.buf, ',')
	}
	o.buf = append(o.buf, '{')
}

// lead writes the fields that a ping may carry.
func (o *object) lead(lead *exchange.Lead) {
	if lead == nil || lead.Vertical == nil {
		return
	}
	o.text("vertical", string(lead.Vertical.ID))
	o.name("lead")
	o.buf = append(o.buf, '{')
	for i := range lead.Values {
		field, v := &lead.Vertical.Fields[i], &lead.Values[i]
		if !v.Set || !onTape(field) {
			continue
		}
		o.name(field.Name)
		if field.Kind.Bare() {
			o.buf = append(o.buf, v.Text...)
		} else {
			o.buf = appendText(o.buf, v.Text)
		}
	}
	o.buf = append(o.buf, '}')
}

func (o *object) candidates(all []exchange.Candidate) {
	if len(all) == 0 {
		return
	}
	o.name("candidates")
	o.buf = append(o.buf, '[')
	for i := range all {
		c := &all[i]
		o.open()
		o.text("contract", string(c.Name))
		o.name("tier")
		o.buf = strconv.AppendInt(o.buf, int64(c.Tier), 10)
		o.number("leg", int64(c.Leg))
		o.word("reason", c.Reason.String())
		o.money("bid", c.Bid)
		o.money("payout", c.Payout)
		if c.Elapsed != 0 {
			o.millis("elapsed_ms", time.Duration(c.Elapsed))
		}
		o.text("detail", c.Detail)
		o.odds(c)
		o.buf = append(o.buf, '}')
	}
	o.buf = append(o.buf, ']')
}

func appendAttempt(dst []byte, a *Attempt) []byte {
	o := object{buf: append(dst, '{')}
	o.id("lead_id", a.LeadID.Append)
	if !a.PingID.IsZero() {
		o.id("ping_id", a.PingID.Append)
	}
	o.time("at", a.At)
	o.number("attempt", int64(a.Number))
	o.text("contract", string(a.Contract))
	o.word("outcome", a.Outcome.String())
	o.word("reason", a.Reason.String())
	o.number("http_status", int64(a.Status))
	o.millis("elapsed_ms", a.Elapsed)
	o.text("detail", a.Detail)
	return append(o.buf, '}')
}

// odds writes what a ranked candidate was ranked by.
func (o *object) odds(c *exchange.Candidate) {
	if c.Index == 0 {
		return
	}
	o.money("index", c.Index)
	o.name("odds")
	o.buf = append(o.buf, '{')
	o.number("accept_ppm", int64(c.Odds.Accept))
	o.number("unknown_ppm", int64(c.Odds.Unknown))
	o.number("unknown_sold_ppm", int64(c.Odds.UnknownSold))
	o.number("return_ppm", int64(c.Odds.Return))
	o.buf = append(o.buf, '}')
}
