package skin

// leadConduit: /flows/{flow}/sources/{source}/ping and submit. The URL is the
// secret: its source is the seller's key, unless a header has the key; then it
// is a name. A submit with a ping's id is held to that ping's price.
var leadConduit = platform{
	keys:   map[string]string{"test": toTest},
	style:  styleByAccept,
	settle: settleLeadConduit,
	tell:   tellLeadConduit,
	root:   "result",
	name:   snake,
}

func settleLeadConduit(r *Request) {
	if r.Key == "" {
		r.Key = r.secret
	} else {
		r.source = r.secret
	}
	if r.Call != CallDirect {
		return
	}
	// lead_id and LeadiD are also what a consent witness is called: only an id of our own making is a ping's.
	rest := r.lead[:0:0]
	for _, p := range r.lead {
		switch p.path {
		case "pingid", "leadid", "lead.id", "lead.pingid":
			if ours(p.value) {
				r.Call = CallPost
				r.own["ping_id"] = p
				continue
			}
		}
		rest = append(rest, p)
	}
	r.lead = rest
}

// ours tells whether text has the shape of an id of our own making.
func ours(text string) bool {
	if len(text) != 32 {
		return false
	}
	for i := range len(text) {
		if c := text[i]; (c < '0' || c > '9') && (c < 'a' || c > 'z') {
			return false
		}
	}
	return true
}

func tellLeadConduit(a *Answer, r *Request) reply {
	out := reply{status: a.httpStatus()}
	id := a.LeadID
	if r.Call == CallPing {
		id = a.PingID
	}
	lead := item{name: "lead", kids: []item{text("id", id)}}
	switch a.Verdict {
	case Quoted, Sold:
		if a.Verdict == Sold {
			out.status = 201
		}
		out.items = []item{text("outcome", "success"), lead, raw("price", a.money())}
		out.items = with(out.items, "redirect_url", a.Redirect)
		return out
	case Undecided:
		// There is no word for it. success is the one that stops a sale elsewhere; nothing is promised.
		if out.status == 200 {
			out.status = 201
		}
		out.items = []item{text("outcome", "success")}
		if id != "" {
			out.items = append(out.items, lead)
		}
		out.items = append(out.items, raw("price", "0"), text("reason", a.text()), raw("pending", "true"))
		return out
	case Unquoted, Unsold:
		out.items = []item{text("outcome", "failure"), text("reason", sentence(a.text()))}
		if id != "" {
			out.items = append(out.items, lead)
		}
		out.items = append(out.items, raw("price", "0"), text("code", a.Reason))
	default:
		out.items = []item{text("outcome", "error"), text("reason", sentence(a.text())), raw("price", "0"), text("code", a.Reason)}
	}
	if a.later() {
		out.items = append(out.items, raw("retry_after", "1"))
	}
	return out
}

// sentence begins text with a capital.
func sentence(text string) string {
	if text == "" || text[0] < 'a' || text[0] > 'z' {
		return text
	}
	return string(text[0]&^0x20) + text[1:]
}
