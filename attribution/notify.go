package attribution

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"strconv"
	"time"

	"vendue/attribution/postback"
	"vendue/exchange"
)

// EventLeadSold is the name of the event that a postback may be on.
const EventLeadSold = "lead.sold"

// desk is one config as the follower needs it. It is immutable.
type desk struct {
	notices map[exchange.AffiliateID][]notice
}

// notice is one postback of an affiliate.
type notice struct {
	on       string
	id       postback.Notice
	template *postback.Template // nil: it cannot be parsed, which the config should have refused
}

func newDesk(cfg Config) (d *desk, broken int) {
	d = &desk{notices: make(map[exchange.AffiliateID][]notice, len(cfg.Affiliates))}
	for _, aff := range cfg.Affiliates {
		for _, p := range aff.Postbacks {
			t, err := postback.Parse(p.URL)
			if err != nil {
				broken++
				t = nil
			}
			d.notices[aff.ID] = append(d.notices[aff.ID], notice{on: p.On, id: postback.NoticeOf(aff.ID, p.On, p.URL), template: t})
		}
	}
	return d, broken
}

// notify adds the jobs that a credited sale calls for.
func (d *desk) notify(in *postback.Intake, vault exchange.Vault, s *Sale) {
	if !s.Credited() || len(d.notices[s.Affiliate]) == 0 {
		return
	}
	values := valuesOf(vault, s, EventLeadSold)
	no := uint16(0)
	for _, n := range d.notices[s.Affiliate] {
		if n.on != EventLeadSold {
			continue
		}
		j := postback.Job{
			Key: postback.Key{Seq: s.Seq, No: no}, Affiliate: s.Affiliate, Lead: s.Lead, Event: n.on,
			ConversionID: values[postback.MacroConversionID], Notice: n.id, Created: in.Now(),
		}
		no++
		if n.template == nil {
			in.Add(j, nil, "template")
			continue
		}
		j.Endpoint = n.template.Endpoint()
		url, err := n.template.AppendURL(nil, values)
		in.Add(j, url, notSentReason(err))
	}
}

func notSentReason(err error) string {
	var missing *postback.MissingError
	switch {
	case err == nil:
		return ""
	case errors.As(err, &missing), errors.Is(err, postback.ErrDotSegment), errors.Is(err, postback.ErrURLTooLong):
		return err.Error()
	default:
		return "template"
	}
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
	v[postback.MacroStatus] = "sold"
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
