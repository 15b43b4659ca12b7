package skin

// boberdoo: API_Action=pingPostLead with Mode ping, post or full. XML unless Format=JSON or the path says JSON.
var boberdoo = platform{
	keys: map[string]string{
		"key": toKey, "apiaction": toAction, "mode": toMode, "format": toFormat, "type": toID, "src": toSource,
		"leadid": "ping_id", "testlead": toTest, "cost": "min_price", "subid": "source.sub1", "pubid": "source.sub2",
		"returnleadcost": toCost, "allowedtimessold": "max_legs",
		"returnbestprice": toIgnored, "matchwithpartnerhashes": toIgnored, "hashtype": toIgnored, "emailhash": toIgnored, "phonehash": toIgnored,
	},
	style:  func(r *Request) Style { return styleBy(r, r.Style) },
	settle: settleBoberdoo,
	tell:   tellBoberdoo,
	root:   "response",
	wrap:   "response",
	name:   title,
}

func settleBoberdoo(r *Request) {
	switch norm(r.mode) {
	case "ping":
		r.Call = CallPing
	case "post":
		r.Call = CallPost
	case "full":
		r.Call = CallDirect
	}
	if r.action != "" && norm(r.action) != "pingpostlead" {
		r.Call, r.mode = CallUnsaid, r.action
	}
	// The tenants' own test lead: a match is certain.
	r.sold = r.Test && r.hasValue(zipNames, "99999") && r.hasValue(stateNames, "AK")
}

func tellBoberdoo(a *Answer, r *Request) reply {
	out := reply{status: a.httpStatus()}
	var status, price string
	id := a.PingID
	switch a.Verdict {
	case Quoted:
		status, price = "Matched", a.money()
	case Sold:
		status, id, price = "Matched", a.LeadID, a.money()
	case Undecided:
		// There is no word for it. Matched is the one that stops a sale elsewhere; nothing is promised.
		status, id, price = "Matched", a.LeadID, "0.00"
	case Unquoted:
		status = "Unmatched"
	case Unsold:
		status, id = "Unmatched", a.LeadID
	default:
		out.items = []item{text("status", "Error"), text("error", a.text())}
		return out
	}
	out.items = with([]item{text("status", status)}, "lead_id", id)
	out.items = with(out.items, "price", price)
	if r.cost {
		out.items = with(out.items, "cost", price)
	}
	out.items = with(out.items, "redirect_url", a.Redirect)
	switch a.Verdict {
	case Undecided:
		out.items = append(out.items, text("pending", "1"), text("message", a.text()))
	case Unquoted, Unsold:
		out.items = append(out.items, text("reason", a.Reason), text("error", a.text()))
	}
	return out
}
