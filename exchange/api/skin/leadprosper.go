package skin

// leadProsper: /ping, /post and /direct_post. A new supplier's key is a test key there; here that is the seller's test key.
var leadProsper = platform{
	keys: map[string]string{
		"lpcampaignid": toID, "lpsupplierid": toSource, "lpkey": toKey, "lpaction": toTest, "lppingid": "ping_id",
		"bidid": "bid_ids", "bidids": "bid_ids", "lpbidid": "bid_ids",
		"lpsubid1": "source.sub1", "lpsubid2": "source.sub2", "lpsubid3": "source.sub3", "lpsubid4": "source.sub4", "lpsubid5": "source.sub5",
	},
	style: styleJSON,
	tell:  tellLeadProsper,
	name:  snake,
}

// The codes. Those above 9000 are our own: theirs for the like are not public.
const (
	prosperFine      = "0"
	prosperMissing   = "1001"
	prosperDuplicate = "1008"
	prosperInvalid   = "9001"
	prosperAuth      = "9002"
	prosperNoBuyer   = "9003"
	prosperLater     = "9004"
)

func tellLeadProsper(a *Answer, _ *Request) reply {
	out := reply{status: a.httpStatus()}
	say := func(status, code, payout string) {
		out.items = []item{text("status", status), raw("code", code)}
		out.items = with(out.items, "ping_id", a.PingID)
		out.items = with(out.items, "lead_id", a.LeadID)
		out.items = append(out.items, raw("payout", payout))
	}
	switch a.Verdict {
	case Quoted, Sold:
		say("ACCEPTED", prosperFine, a.money())
		out.items = with(out.items, "redirect_url", a.Redirect)
		return out
	case Undecided:
		// There is no word for it. ACCEPTED is the one that stops a sale elsewhere; nothing is promised.
		say("ACCEPTED", prosperFine, "0.00")
		out.items = append(out.items, raw("pending", "true"))
	case Unquoted, Unsold:
		if a.duplicate() {
			say("DUPLICATED", prosperDuplicate, "0")
		} else {
			say("ERROR", prosperNoBuyer, "0")
		}
	default:
		code := prosperInvalid
		switch {
		case a.missing():
			code = prosperMissing
		case a.Reason == "auth":
			code = prosperAuth
		case a.later():
			code = prosperLater
		}
		say("ERROR", code, "0")
	}
	out.items = append(out.items, text("message", a.text()))
	out.items = with(out.items, "reason", a.Reason)
	return out
}
