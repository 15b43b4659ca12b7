package skin

// leadsPedia: /ping.do and /post.do, form or query. A post.do without a ping id is a direct post.
var leadsPedia = platform{
	keys: map[string]string{
		"lpcampaignid": toID, "lpcampaignkey": toKey, "lpresponse": toFormat, "lptest": toTest, "lppingid": "ping_id",
		"lps1": "source.sub1", "lps2": "source.sub2", "lps3": "source.sub3", "lps4": "source.sub4", "lps5": "source.sub5",
	},
	style: func(r *Request) Style { return styleBy(r, styleByAccept(r)) },
	settle: func(r *Request) {
		if r.Call == CallPost && r.own["ping_id"].value == "" {
			r.Call = CallDirect
		}
	},
	tell: tellLeadsPedia,
	root: "response",
	name: snake,
}

func tellLeadsPedia(a *Answer, _ *Request) reply {
	out := reply{status: a.httpStatus()}
	result, msg := "failed", a.text()
	switch a.Verdict {
	case Quoted:
		result, msg = "success", "Ping Accepted"
	case Sold:
		result, msg = "success", "Lead Accepted"
	case Undecided:
		// There is no word for it. success is the one that stops a sale elsewhere; nothing is promised.
		result = "success"
	}
	out.items = []item{text("result", result), text("msg", msg)}
	out.items = with(out.items, "ping_id", a.PingID)
	out.items = with(out.items, "lead_id", a.LeadID)
	switch a.Verdict {
	case Quoted, Sold:
		out.items = with(out.items, "price", a.money())
	case Undecided:
		out.items = append(out.items, text("price", "0.00"), raw("pending", "true"))
	case Unquoted, Unsold:
		out.items = with(out.items, "reason", a.Reason)
	default:
		if len(a.Errors) > 0 {
			out.items = append(out.items, item{name: "errors", list: a.fieldErrors("field", "error"), each: "error"})
		}
	}
	out.items = with(out.items, "redirect_url", a.Redirect)
	return out
}
