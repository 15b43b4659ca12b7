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
func FiredEvents() []string {
	return []string{
		postback.EventLeadSold, postback.EventLeadReturned, postback.EventClick, postback.EventCommissionPending, postback.EventCommissionApproved, postback.EventCommissionReversed,
	}
}

// eventsOf is what a decision tells its affiliates. A sale that awaits its
// confirmation is no lead.sold yet: that one tells of a credit.
func eventsOf(s *Sale) []string {
	switch {
	case s.Uncredited == WhyAwaiting:
		return []string{postback.EventCommissionPending}
	case s.Uncredited == WhyReturned: // it awaited its confirmation: no lead.sold was told
		return []string{postback.EventCommissionReversed}
	case !s.Credited():
		return nil
	case s.Trigger == TriggerReturned:
		return []string{postback.EventLeadReturned, postback.EventCommissionReversed}
	case s.Trigger == TriggerReversed:
		return []string{postback.EventCommissionReversed}
	case s.IsLeg():
		return []string{EventLeadSold, postback.EventCommissionApproved}
	default:
		return []string{postback.EventCommissionApproved}
	}
}

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

// notify adds the jobs that a decision calls for: of each of its credits, each
// postback that its affiliate wants.
func (d *desk) notify(in *postback.Intake, vault exchange.Vault, s *Sale) {
	no := uint16(0)
	for _, event := range eventsOf(s) {
		for i := range s.Credits {
			c := &s.Credits[i]
			if len(d.notices[c.Affiliate]) > 0 {
				no = d.fire(in, c.Affiliate, postback.Job{Key: postback.Key{Seq: s.Seq, No: no}, Lead: s.Lead, Event: event}, valuesOf(vault, s, c, event))
			}
		}
	}
}

func setSubs(v *postback.Values, subs []string) {
	for i, sub := range subs[:min(len(subs), 5)] {
		v[postback.MacroSub1+postback.Macro(i)] = sub
	}
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

// valuesOf gives every macro its value. It is a function of the decision alone.
func valuesOf(vault exchange.Vault, s *Sale, c *Credit, event string) *postback.Values {
	theirs := unseal(vault, c.Foreign)
	own := theirs.CID
	v := &postback.Values{}
	if c.Click.IsZero() {
		own = theirs.ClickID
	} else {
		v[postback.MacroClickID] = c.Click.String()
	}
	v[postback.MacroAffClickID] = own
	v[postback.MacroConversionID] = ConversionID(s, c)
	if !s.Lead.IsZero() {
		v[postback.MacroLeadID] = s.Lead.String()
		v[postback.MacroOrderID] = s.Lead.String()
	}
	v[postback.MacroPayout] = decimal(c.Amount, minorDigits(s.Currency))
	v[postback.MacroCurrency] = s.Currency
	v[postback.MacroEvent] = event
	v[postback.MacroStatus] = postback.StatusOf(event)
	v[postback.MacroAffiliateID] = string(c.Affiliate)
	v[postback.MacroOfferID] = string(s.Offer)
	setSubs(v, theirs.Subs)
	v[postback.MacroConvTS] = unixSeconds(s.At)
	if c.Touch < len(s.Touches) && !s.Touches[c.Touch].Click.IsZero() {
		v[postback.MacroClickTS] = unixSeconds(s.Touches[c.Touch].At)
	}
	return v
}

func unixSeconds(ns int64) string { return strconv.FormatInt(ns/int64(time.Second), 10) }

// ConversionID names a credit, in 32 hexadecimal digits, which every tracker's
// field takes. It is the same from pending to reversed, so that a tracker takes
// what comes later for a change of what it has.
func ConversionID(s *Sale, c *Credit) string {
	h := sha256.New()
	h.Write(s.Lead[:])
	h.Write([]byte{byte(s.Attempt >> 8), byte(s.Attempt), byte(len(c.Affiliate) >> 8), byte(len(c.Affiliate))})
	h.Write([]byte(c.Affiliate))
	h.Write([]byte(EventLeadSold)) // whatever the event: the ids that trackers have must stay what they are
	if s.Attempt == 0 {
		h.Write(s.EventKey[:])
	}
	return hex.EncodeToString(h.Sum(nil)[:16])
}

// decimal writes an amount with exactly digits decimals.
func decimal(m exchange.Money, digits int) string {
	if m < 0 {
		return "-" + decimal(-m, digits)
	}
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
