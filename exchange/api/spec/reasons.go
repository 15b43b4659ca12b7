package spec

import "vendue/exchange"

// said of a reason: what it means, and what the seller can do.
type meaning struct{ what, todo string }

var reasons = map[exchange.Reason]meaning{
	exchange.ReasonNoBid:              {"Buyers were asked and none bid.", "Offer the lead elsewhere."},
	exchange.ReasonBelowFloor:         {"Buyers bid, but less than the floor or your min_price.", "Offer the lead elsewhere, or ask for less."},
	exchange.ReasonNoEligibleContract: {"No buyer's filter, hours and caps take this lead now.", "Offer the lead elsewhere; the same kind may sell at another hour."},
	exchange.ReasonDuplicate:          {"This person was sold within the time that the duplicate rule names.", "Do not send the person again before it is over."},
	exchange.ReasonCapSeller:          {"Your cap with us is full.", "Pause until the cap's window ends, or ask us for more."},
	exchange.ReasonCapCampaign:        {"This campaign's cap is full.", "Pause the campaign until the cap's window ends."},
	exchange.ReasonConsentMissing:     {"The campaign takes leads with consent only, and there was none.", "Send consent with the ping or direct."},
	exchange.ReasonSuppressed:         {"The person is on a suppression list.", "Do not send the person again."},
	exchange.ReasonTimeout:            {"Buyers were asked and at least one did not answer in time.", "Offer the lead elsewhere, or ping with a longer max_wait_ms."},
	exchange.ReasonPostRejected:       {"Every buyer who could have it refused the lead.", "Offer the lead elsewhere."},
	exchange.ReasonUnknown:            {"A buyer may have the lead: it was delivered, and no readable answer came. The answer's status is pending.", "Do not sell it elsewhere. Ask again with GET /v1/leads/LEAD_ID, or the same post with the same Idempotency-Key."},
	exchange.ReasonPingExpired:        {"The ping's price no longer stands.", "Ping again, and post within expires_in."},
	exchange.ReasonPingUnknown:        {"No ping of yours has this ping_id.", "Send the ping_id just as the ping's answer had it."},
	exchange.ReasonPingUsed:           {"The ping was posted before; lead_id is what became of it.", "Ask with GET /v1/leads/LEAD_ID. Ping once for each post."},
	exchange.ReasonNoTime:             {"No buyer could have answered in the time left.", "Allow more: raise max_wait_ms."},
}

// fault is a reason of a request, and the status it comes with.
type fault struct {
	status string
	meaning
}

var faults = map[exchange.Reason]fault{
	exchange.ReasonAuth:               {"401, 403", meaning{"The key is missing or unknown, or the campaign is not yours.", "Check the key and the campaign's name."}},
	exchange.ReasonInvalidField:       {"400, 404, 405, 409, 413, 415, 422", meaning{"The request cannot be read, or errors names the fields that are wrong and what was expected.", "Correct the fields and send it again; nothing was recorded. With 409 the same request is in flight: ask again."}},
	exchange.ReasonMissingField:       {"422", meaning{"Fields are missing; errors names them.", "Send them; nothing was recorded."}},
	exchange.ReasonRateLimited:        {"429", meaning{"More requests in this second than the campaign takes.", "Wait as long as Retry-After says."}},
	exchange.ReasonDraining:           {"503", meaning{"The exchange is about to restart.", "Wait as long as Retry-After says and send it again."}},
	exchange.ReasonOverloaded:         {"503", meaning{"The exchange is at its limits.", "Wait as long as Retry-After says and send it again."}},
	exchange.ReasonJournalUnavailable: {"503", meaning{"The exchange cannot write down what happens, so it sells nothing.", "Send the same post with the same Idempotency-Key again until it is answered otherwise."}},
}

// leadReasons are those of a lead, in the vocabulary's order.
func leadReasons() []reasonRow {
	var out []reasonRow
	for r := exchange.ReasonNone; r < exchange.ReasonCount; r++ {
		if m, ok := reasons[r]; ok {
			out = append(out, reasonRow{r.String(), m.what, m.todo})
		}
	}
	return out
}

// requestFaults are those of a request.
func requestFaults() []faultRow {
	var out []faultRow
	for r := exchange.ReasonNone; r < exchange.ReasonCount; r++ {
		if f, ok := faults[r]; ok {
			out = append(out, faultRow{f.status, r.String(), f.what, f.todo})
		}
	}
	return out
}
