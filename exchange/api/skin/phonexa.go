package skin

import "vendue/exchange/schema"

// phonexa: everything at once to /lead/, answered with 200 whatever it says. With leadId it asks what became of a lead.
var phonexa = platform{
	keys: map[string]string{
		"apiid": toSource, "apipassword": toKey, "productid": toID, "price": "min_price", "testmode": toTest, "testsold": toSold,
		"leadid": "lead_id", "closeconnection": toIgnored,
	},
	style: styleJSON,
	settle: func(r *Request) {
		if r.LeadID() != "" {
			r.Call = CallLook
		}
	},
	tell: tellPhonexa,
	name: camel,
}

func camel(field string) string {
	s := pascal(field)
	if s == "" {
		return s
	}
	return string(s[0]|0x20) + s[1:]
}

func tellPhonexa(a *Answer, _ *Request) reply {
	out := reply{status: 200}
	status := "4"
	switch a.Verdict {
	case Sold:
		status = "1"
	case Unsold:
		status = "2"
		if a.duplicate() {
			status = "4"
			a.Errors = []FieldError{{Field: "Duplicate Application", Text: a.Message}}
		}
	case Undecided:
		status = "3"
	default:
		if len(a.Errors) == 0 {
			a.Errors = []FieldError{{Field: "request", Text: a.Message}}
		}
	}
	out.items = []item{raw("status", status)}
	out.items = with(out.items, "id", a.LeadID)
	out.items = with(out.items, "leadId", a.LeadID)
	if a.Verdict == Sold {
		out.items = append(out.items, text("price", a.money()))
	}
	out.items = with(out.items, "redirectUrl", a.Redirect)
	if status == "4" {
		list := []string{}
		for _, e := range a.Errors {
			b := append(schema.AppendString([]byte{'{'}, e.Field), ':')
			list = append(list, string(append(schema.AppendString(b, e.Text), '}')))
		}
		out.items = append(out.items, item{name: "errors", list: list, each: "error"})
	} else {
		out.items = with(out.items, "message", a.text())
	}
	out.items = with(out.items, "reason", a.Reason)
	return out
}
