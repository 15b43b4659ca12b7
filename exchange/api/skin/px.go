package skin

import (
	"strings"

	"vendue/exchange/schema"
)

// px: /api/lead/ping, post and directpost, JSON or XML as Accept has it. Two zips that do not exist make a test that sells.
var px = platform{
	keys: map[string]string{
		"apitoken": toKey, "vertical": toID, "subid": "source.sub1", "source": "source.sub2", "transactionid": "ping_id",
	},
	style: styleByAccept,
	settle: func(r *Request) {
		if r.hasValue(zipNames, "90100", "90170") {
			r.Test, r.sold = true, true
		}
	},
	tell: tellPX,
	root: "Response",
	name: pascal,
}

func tellPX(a *Answer, r *Request) reply {
	out := reply{status: a.httpStatus()}
	id, success, payout, sold, message := a.PingID, "false", "null", "null", ""
	if r.Call != CallPing {
		id, sold = a.LeadID, "false"
	}
	switch a.Verdict {
	case Quoted:
		success, payout = "true", a.money()
	case Sold:
		success, payout, sold = "true", a.money(), "true"
	case Undecided:
		// Success is the word that stops a sale elsewhere; Sold is left open, and nothing is promised.
		success, payout, sold, message = "true", "0.00", "null", "Pending"
	case Unquoted, Unsold:
		message = "Unable to monetize"
		switch a.Reason {
		case "below_floor":
			message = "Bid too low"
		case "duplicate":
			message = "Duplicate"
		}
	default:
		message, sold = "BadRequest", "null"
		if a.later() {
			message = "Unavailable"
		}
	}
	environment := "Production"
	if a.Test {
		environment = "Testing"
	}
	out.items = []item{
		orNull("TransactionId", id), raw("Success", success), raw("Payout", payout), orNull("Message", message), pxErrors(a),
		raw("Sold", sold), text("Environment", environment),
	}
	if r.Call != CallPing {
		out.items = append(out.items, orNull("RedirectUrl", a.Redirect), orNull("MatchPingId", r.own["ping_id"].value))
	}
	if a.Verdict == Undecided {
		out.items = append(out.items, raw("Pending", "true"))
	}
	out.items = with(out.items, "Reason", a.Reason)
	return out
}

func orNull(name, value string) item {
	if value == "" {
		return raw(name, "null")
	}
	return text(name, value)
}

func pxErrors(a *Answer) item {
	if a.Verdict == Quoted || a.Verdict == Sold || a.Verdict == Undecided {
		return raw("Errors", "null")
	}
	list := []string{}
	for _, e := range a.Errors {
		said := "'" + e.Field + "' " + strings.TrimPrefix(e.Text, "missing: ")
		if e.Missing {
			said = "'" + e.Field + "' must not be empty."
		}
		list = append(list, string(schema.AppendString(nil, said)))
	}
	if len(list) == 0 && a.Message != "" {
		list = append(list, string(schema.AppendString(nil, a.Message)))
	}
	return item{name: "Errors", list: list, each: "Error"}
}
