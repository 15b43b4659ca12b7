package api

import (
	"strconv"
	"time"

	"github.com/tidwall/gjson"

	"vendue/exchange"
	"vendue/exchange/engine"
)

// messages say a lead's reason in words. They never name a value.
var messages = map[exchange.Reason]string{
	exchange.ReasonNoBid:              "no buyer bid",
	exchange.ReasonBelowFloor:         "every bid was below the least price",
	exchange.ReasonNoEligibleContract: "no buyer's filter, hours and caps take this lead",
	exchange.ReasonDuplicate:          "this person was sold within the vertical's time",
	exchange.ReasonCapSeller:          "the seller's cap is full",
	exchange.ReasonCapCampaign:        "the campaign's cap is full",
	exchange.ReasonConsentMissing:     "the campaign takes leads with consent only",
	exchange.ReasonSuppressed:         "this person is on a suppression list",
	exchange.ReasonTimeout:            "no buyer bid in time",
	exchange.ReasonPostRejected:       "no buyer took the lead",
	exchange.ReasonUnknown:            "a buyer may have the lead; ask again",
	exchange.ReasonPingExpired:        "the ping has expired; ping again",
	exchange.ReasonPingUnknown:        "no such ping of yours",
	exchange.ReasonPingUsed:           "the ping was posted already; lead_id is what became of it",
	exchange.ReasonNoTime:             "no buyer could answer in the time left",
}

func appendBool(dst []byte, v bool) []byte { return strconv.AppendBool(dst, v) }

// appendEnd closes an answer with what all answers carry.
func appendEnd(dst []byte, elapsedMs int64, test bool) []byte {
	dst = append(dst, `,"elapsed_ms":`...)
	dst = strconv.AppendInt(dst, elapsedMs, 10)
	if test {
		return append(dst, `,"environment":"test"}`...)
	}
	return append(dst, `,"environment":"live"}`...)
}

func appendReason(dst []byte, r exchange.Reason) []byte {
	dst = append(dst, `,"reason":"`...)
	dst = append(dst, r.String()...)
	dst = append(dst, `","message":"`...)
	dst = append(dst, messages[r]...)
	return append(dst, '"')
}

// appendInstant appends a time of UTC as in 2026-01-31T12:00:00.000Z. The years
// are those of a clock: four digits. time.AppendFormat reads its layout each time, and takes three times as long.
func appendInstant(dst []byte, t time.Time) []byte {
	year, month, day := t.Date()
	hour, minute, second := t.Clock()
	digits := func(n, div int, end byte) {
		for ; div > 0; div /= 10 {
			dst = append(dst, byte('0'+n/div%10))
		}
		dst = append(dst, end)
	}
	digits(year, 1000, '-')
	digits(int(month), 10, '-')
	digits(day, 10, 'T')
	digits(hour, 10, ':')
	digits(minute, 10, ':')
	digits(second, 10, '.')
	digits(t.Nanosecond()/1_000_000, 100, 'Z')
	return dst
}

// appendQuote is the answer to a ping that has a price.
func appendQuote(dst []byte, ans *engine.PingAnswer, currency string, now time.Time) []byte {
	q := ans.Quote
	left := q.Expires.Sub(now)
	if !ans.Cached {
		left = q.Expires.Sub(q.Opened)
	}
	dst = append(dst, `{"status":"accepted","ping_id":"`...)
	dst = q.PingID.Append(dst)
	dst = append(dst, `","price":`...)
	dst = q.Price.Append(dst)
	dst = append(dst, `,"currency":"`...)
	dst = append(dst, currency...)
	dst = append(dst, `","expires_at":"`...)
	dst = appendInstant(dst, time.Unix(0, q.Told).UTC())
	dst = append(dst, `","expires_in":`...)
	dst = strconv.AppendInt(dst, int64((left+time.Second-1)/time.Second), 10)
	dst = append(dst, `,"sale":"`...)
	dst = append(dst, q.Sale.String()...)
	dst = append(dst, `","bids":[`...)
	for i := range q.Legs[:q.Places] {
		dst = appendBid(dst, ans, i)
	}
	dst = append(dst, ']')
	if ans.Cached {
		dst = append(dst, `,"cached":true`...)
	}
	return appendEnd(dst, ans.Elapsed.Milliseconds(), q.Test)
}

// appendBid appends one of the legs that a quote's price is the sum of.
func appendBid(dst []byte, ans *engine.PingAnswer, i int) []byte {
	q := ans.Quote
	if i > 0 {
		dst = append(dst, ',')
	}
	dst = append(dst, `{"bid_id":"`...)
	dst = exchange.AppendBidID(dst, q.PingID, exchange.LegNo(i+1))
	dst = append(dst, `","price":`...)
	dst = q.Legs[i].Payout.Append(dst)
	dst = append(dst, `,"sale":"`...)
	dst = append(dst, q.Sale.String()...)
	dst = append(dst, '"')
	if q.Campaign.ShowBuyers {
		dst = append(dst, `,"buyer_name":`...)
		dst = gjson.AppendJSONString(dst, q.Legs[i].Contract.Buyer.Name)
	}
	return append(dst, '}')
}

// appendNoQuote is the answer to a ping without a price.
func appendNoQuote(dst []byte, ans *engine.PingAnswer, test bool) []byte {
	dst = append(dst, `{"status":"rejected"`...)
	dst = appendReason(dst, ans.Reason)
	dst = append(dst, `,"ping_id":"`...)
	dst = ans.PingID.Append(dst)
	dst = append(dst, '"')
	return appendEnd(dst, ans.Elapsed.Milliseconds(), test)
}

// statusOf is how a seller is told that a lead stands: while attempts are under
// way it is pending, or sold if one of its legs is.
func statusOf(v *exchange.LeadView) exchange.LeadStatus {
	if v.Status != exchange.LeadOpen {
		return v.Status
	}
	return v.StatusWith(0, exchange.LegPending)
}

// appendLead is a post's answer. It is a function of the lead's events alone:
// the same events give the same bytes, before and after any crash.
func (a *API) appendLead(dst []byte, v *exchange.LeadView) ([]byte, error) {
	status := statusOf(v)
	dst = append(dst, `{"status":"`...)
	dst = append(dst, status.String()...)
	dst = append(dst, '"')
	switch {
	case status == exchange.LeadPending:
		dst = appendReason(dst, exchange.ReasonUnknown)
	case v.Reason != exchange.ReasonNone:
		dst = appendReason(dst, v.Reason)
	}
	told := v.LeadID
	if !v.First.IsZero() {
		told = v.First
	}
	dst = append(dst, `,"lead_id":"`...)
	dst = told.Append(dst)
	dst = append(dst, '"')
	dst, err := a.appendSale(dst, v, status)
	if err != nil {
		return nil, err
	}
	return appendEnd(dst, int64(v.ElapsedMs), v.Facts.Test), nil
}

// appendSale appends what was paid and the legs: sold ones first, then by attempt.
func (a *API) appendSale(dst []byte, v *exchange.LeadView, status exchange.LeadStatus) ([]byte, error) {
	final := v.Status != exchange.LeadPending && v.Status != exchange.LeadOpen
	legs := make([]byte, 0, 256)
	redirect := ""
	for _, want := range [...]exchange.LegStatus{exchange.LegSold, exchange.LegPending, exchange.LegReturned, exchange.LegRejected} {
		for i := range v.Legs {
			leg := &v.Legs[i]
			if leg.Status != want {
				continue
			}
			final = final && want != exchange.LegPending
			url, err := a.vault.Unseal(leg.RedirectURL)
			if err != nil {
				return nil, err
			}
			if redirect == "" && want == exchange.LegSold {
				redirect = url
			}
			legs = a.appendLeg(legs, v, leg, url)
		}
	}
	if status == exchange.LeadSold || status == exchange.LeadReturned {
		dst = append(dst, `,"price":`...)
		dst = v.Price().Append(dst)
		dst = append(dst, `,"currency":"`...)
		dst = append(dst, v.Facts.Currency...)
		dst = append(dst, '"')
	}
	if redirect != "" {
		dst = append(dst, `,"redirect_url":`...)
		dst = gjson.AppendJSONString(dst, redirect)
	}
	dst = append(dst, `,"final":`...)
	dst = appendBool(dst, final)
	if len(legs) > 0 {
		dst = append(dst, `,"legs":[`...)
		dst = append(dst, legs...)
		dst = append(dst, ']')
	}
	return dst, nil
}

func (a *API) appendLeg(dst []byte, v *exchange.LeadView, leg *exchange.LegView, redirect string) []byte {
	if len(dst) > 0 {
		dst = append(dst, ',')
	}
	dst = append(dst, `{"bid_id":"`...)
	dst = exchange.AppendBidID(dst, v.Facts.PingID, leg.Leg)
	dst = append(dst, `","price":`...)
	dst = leg.Payout.Append(dst)
	dst = append(dst, `,"status":"`...)
	dst = append(dst, leg.Status.String()...)
	dst = append(dst, '"')
	if redirect != "" {
		dst = append(dst, `,"redirect_url":`...)
		dst = gjson.AppendJSONString(dst, redirect)
	}
	return append(dst, '}')
}
