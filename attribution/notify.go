package attribution

import (
	"crypto/sha256"
	"encoding/hex"
	"strconv"
	"time"

	"vendue/attribution/postback"
	"vendue/exchange"
)

// EventLeadSold is the event of a sold leg.
const EventLeadSold = postback.EventLeadSold

// FiredEvents are the events that the fold knows how to fire. A postback on
// any other would wait for ever, so configs refuses it.
func FiredEvents() []string { return []string{postback.EventLeadSold, postback.EventClick} }

// desk is one config as the follower needs it. It is immutable.
type desk struct {
	notices map[exchange.AffiliateID][]notice
	plans   []*postback.Plan
}

// notice is one postback of an affiliate.
type notice struct {
	on   string
	id   postback.Notice
	plan *postback.Plan // nil: it cannot be parsed, which the config should have refused
}

func newDesk(cfg Config) (d *desk, broken int) {
	d = &desk{notices: make(map[exchange.AffiliateID][]notice, len(cfg.Affiliates))}
	for _, aff := range cfg.Affiliates {
		for _, p := range aff.Postbacks {
			n := notice{on: p.On}
			plan, err := postback.Compile(aff.ID, p)
			if err != nil {
				broken++
				n.id = postback.NoticeOf(aff.ID, p.On, p.URL)
			} else {
				n.id, n.plan = plan.Notice, plan
				d.plans = append(d.plans, plan)
			}
			d.notices[aff.ID] = append(d.notices[aff.ID], n)
		}
	}
	return d, broken
}

// notify adds the jobs that a credited sale calls for.
func (d *desk) notify(in *postback.Intake, vault exchange.Vault, s *Sale) {
	if !s.Credited() || len(d.notices[s.Affiliate]) == 0 {
		return
	}
	d.fire(in, s.Affiliate, postback.Job{Key: postback.Key{Seq: s.Seq}, Lead: s.Lead, Event: EventLeadSold}, valuesOf(vault, s, EventLeadSold))
}

// fire adds a job for each postback of an affiliate on j's event, whose seq,
// lead and event are set. Several events of one seq need places of their own:
// j.Key.No is the first that is free, and what is returned the next.
func (d *desk) fire(in *postback.Intake, affiliate exchange.AffiliateID, j postback.Job, values *postback.Values) uint16 {
	for _, n := range d.notices[affiliate] {
		if n.on != j.Event {
			continue
		}
		j.Affiliate, j.ConversionID, j.Notice, j.Created = affiliate, values[postback.MacroConversionID], n.id, in.Now()
		if n.plan == nil {
			in.Add(j, nil, "template")
		} else {
			j.Endpoint = n.plan.Endpoint()
			text, err := n.plan.Render(values)
			in.Add(j, text, postback.NotSentReason(err))
		}
		j.Key.No++
	}
	return j.Key.No
}

// valuesOf gives every macro its value. It is a function of the sale alone.
func valuesOf(vault exchange.Vault, s *Sale, event string) *postback.Values {
	theirs := unseal(vault, s.Foreign)
	own := theirs.CID
	v := &postback.Values{}
	if s.Click.IsZero() {
		own = theirs.ClickID
	} else {
		v[postback.MacroClickID] = s.Click.String()
	}
	v[postback.MacroAffClickID] = own
	v[postback.MacroConversionID] = conversionID(s, event)
	v[postback.MacroLeadID] = s.Lead.String()
	v[postback.MacroOrderID] = s.Lead.String()
	v[postback.MacroPayout] = decimal(s.Amount, minorDigits(s.Currency))
	v[postback.MacroCurrency] = s.Currency
	v[postback.MacroEvent] = event
	v[postback.MacroStatus] = postback.StatusOf(event)
	v[postback.MacroAffiliateID] = string(s.Affiliate)
	v[postback.MacroOfferID] = string(s.Offer)
	for i, sub := range theirs.Subs[:min(len(theirs.Subs), 5)] {
		v[postback.MacroSub1+postback.Macro(i)] = sub
	}
	v[postback.MacroConvTS] = unixSeconds(s.At)
	for i := range s.Touches {
		if t := &s.Touches[i]; t.Kind == TouchClick && t.Dropped == WhyNone {
			v[postback.MacroClickTS] = unixSeconds(t.At)
		}
	}
	return v
}

func unixSeconds(ns int64) string { return strconv.FormatInt(ns/int64(time.Second), 10) }

// conversionID is 32 hexadecimal digits, which every tracker's field takes. It
// is the same however often it is made: for the leg, the affiliate, the event.
func conversionID(s *Sale, event string) string {
	h := sha256.New()
	h.Write(s.Lead[:])
	h.Write([]byte{byte(s.Attempt >> 8), byte(s.Attempt), byte(len(s.Affiliate) >> 8), byte(len(s.Affiliate))})
	h.Write([]byte(s.Affiliate))
	h.Write([]byte(event))
	return hex.EncodeToString(h.Sum(nil)[:16])
}

// decimal writes an amount with exactly digits decimals.
func decimal(m exchange.Money, digits int) string {
	unit := exchange.Micro
	for range digits {
		unit /= 10
	}
	minor := strconv.FormatInt(int64(m/unit), 10)
	if digits == 0 {
		return minor
	}
	for len(minor) <= digits {
		minor = "0" + minor
	}
	return minor[:len(minor)-digits] + "." + minor[len(minor)-digits:]
}
