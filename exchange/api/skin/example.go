package skin

import (
	"net/url"
	"strings"

	"vendue/exchange"
	"vendue/exchange/schema"
)

// Holes in an example, to be filled by whoever shows it.
const (
	HoleKey = "{key}" // the seller's key
	HoleID  = "{id}"  // what the step before was answered with
)

// Step is one request of an example.
type Step struct {
	Name   string // Ping, Post, ..
	Path   string
	Form   [][2]string // nil: Body
	Body   string      // JSON
	Take   string      // the name in the answer's JSON under which the next step's HoleID comes, "" if there is none
	Answer string      // what a sale is answered with
}

// Title returns the platform's name as people write it.
func (f Format) Title() string {
	return [...]string{"", "boberdoo", "LeadsPedia", "Lead Prosper", "Phonexa", "PX", "LeadConduit"}[f]
}

// Spells returns the name of a field that a seller in this skin would use.
func (in *Intake) Spells(field string) string {
	best := ""
	for theirs, ours := range in.Aliases {
		if ours == field && !strings.Contains(theirs, ".") && (best == "" || theirs < best) {
			best = theirs
		}
	}
	if best != "" {
		return best
	}
	return platformOf(in.Format).name(field)
}

// Ways tells how the format says what every format says: rows of what, and how.
func (in *Intake) Ways() [][2]string {
	var rows [][2]string
	id := in.ID
	for _, k := range spellings[in.Format] {
		switch k.to {
		case toKey:
			if in.Format == LeadConduit {
				rows = append(rows, [2]string{"your key", "the source in the URL, or a header as natively"})
				continue
			}
			rows = append(rows, [2]string{"your key", k.name})
		case toID:
			rows = append(rows, [2]string{"the campaign", k.name + " = " + id})
		case toSource:
			if in.Source != "" {
				rows = append(rows, [2]string{"and with it", k.name + " = " + in.Source})
			}
		case "ping_id":
			rows = append(rows, [2]string{"the ping's id, in the post", k.name})
		case "lead_id":
			rows = append(rows, [2]string{"to ask what became of a lead", k.name})
		case "min_price":
			rows = append(rows, [2]string{"the least price you take", k.name})
		}
	}
	return append(rows, [2]string{"a test", tests[in.Format]}, [2]string{"the answer's format", styles[in.Format]})
}

var tests = map[Format]string{
	Boberdoo:    "Test_Lead=1; with State=AK and Zip=99999 it ends in a sale",
	LeadsPedia:  "lp_test=1",
	LeadProsper: "lp_action=test",
	Phonexa:     "testMode=1; with testSold=1 it ends in a sale",
	PX:          "zip 90100 or 90170, which ends in a sale",
	LeadConduit: "test=1",
}

var styles = map[Format]string{
	Boberdoo:    "XML, or JSON with Format=JSON or by the path",
	LeadsPedia:  "JSON, or XML with lp_response=XML",
	LeadProsper: "JSON",
	Phonexa:     "JSON, always with status 200",
	PX:          "JSON, or XML if Accept prefers it",
	LeadConduit: "JSON, or XML if Accept prefers it",
}

// Words tells which of the format's words stands for which native one.
func (f Format) Words() [][2]string {
	switch f {
	case Boberdoo:
		return [][2]string{{"accepted, sold", "Matched"}, {"rejected", "Unmatched"}, {"pending", "Matched with price 0.00 and pending 1"}, {"a fault", "Error, with error"}}
	case LeadsPedia:
		return [][2]string{{"accepted, sold", "success"}, {"rejected", "failed, with msg and reason"}, {"pending", "success with price 0.00 and pending true"}, {"a fault", "failed, with errors"}}
	case LeadProsper:
		return [][2]string{{"accepted, sold", "ACCEPTED, code 0"}, {"rejected", "ERROR, code 9003"}, {"duplicate", "DUPLICATED, code 1008"},
			{"pending", "ACCEPTED with payout 0.00 and pending true"}, {"a fault", "ERROR, code 1001 if something is missing, else 9001, 9002, 9004"}}
	case Phonexa:
		return [][2]string{{"sold", "1"}, {"rejected", "2"}, {"pending", "3; ask with leadId"}, {"duplicate, a fault", "4, with errors"}}
	case PX:
		return [][2]string{{"accepted, sold", "Success true; after a post Sold true"}, {"rejected", "Success false, with Message"},
			{"pending", "Success true, Sold null, Payout 0, Pending true"}, {"a fault", "Success false, Message BadRequest, with Errors"}}
	default:
		return [][2]string{{"accepted, sold", "success"}, {"rejected", "failure, with reason"}, {"pending", "success with price 0 and pending true"}, {"a fault", "error, with reason"}}
	}
}

// Paths lists the format's paths for the intake, the key as a hole.
func (in *Intake) Paths() []string {
	switch in.Format {
	case Boberdoo:
		return []string{"/new_api/api.php", "/apiJSON.php", "/apiXML.php"}
	case LeadsPedia:
		return []string{"/ping.do", "/post.do"}
	case LeadProsper:
		return []string{"/ping", "/post", "/direct_post"}
	case Phonexa:
		return []string{"/lead/"}
	case PX:
		return []string{"/api/lead/ping", "/api/lead/post", "/api/lead/directpost"}
	default:
		return []string{in.flow("ping"), in.flow("submit")}
	}
}

// flow returns a path of LeadConduit's. A dollar is escaped, too: examples are shell.
func (in *Intake) flow(last string) string {
	id := strings.ReplaceAll(url.PathEscape(in.ID), "$", "%24")
	return "/flows/" + id + "/sources/" + HoleKey + "/" + last
}

// Steps is a test lead's way through the format, from the values that a vertical's fields have in the example.
func (in *Intake) Steps(v *exchange.Vertical, value func(*exchange.Field) string) []Step {
	ping, post := in.pairs(v, value, false), in.pairs(v, value, true)
	form := func(head [][2]string, lead [][2]string) [][2]string { return append(head, lead...) }
	id, source := in.ID, in.Source
	with := func(head [][2]string, name string) [][2]string {
		if source != "" {
			head = append(head, [2]string{name, source})
		}
		return head
	}
	switch in.Format {
	case Boberdoo:
		head := func(mode string) [][2]string {
			return with([][2]string{{"Key", HoleKey}, {"API_Action", "pingPostLead"}, {"Format", "JSON"}, {"Mode", mode}, {"TYPE", id}, {"Test_Lead", "1"}}, "SRC")
		}
		return []Step{
			{Name: "Ping", Path: "/new_api/api.php", Form: form(head("ping"), ping), Take: "lead_id", Answer: in.sample(CallPing)},
			{Name: "Post", Path: "/new_api/api.php", Form: form(append(head("post"), [2]string{"Lead_ID", HoleID}), post), Answer: in.sample(CallPost)},
		}
	case LeadsPedia:
		head := [][2]string{{"lp_campaign_id", id}, {"lp_campaign_key", HoleKey}, {"lp_response", "JSON"}, {"lp_test", "1"}}
		return []Step{
			{Name: "Ping", Path: "/ping.do", Form: form(head[:4:4], ping), Take: "ping_id", Answer: in.sample(CallPing)},
			{Name: "Post", Path: "/post.do", Form: form(append(head[:4:4], [2]string{"lp_ping_id", HoleID}), post), Answer: in.sample(CallPost)},
		}
	case LeadProsper:
		head := with([][2]string{{"lp_campaign_id", id}, {"lp_key", HoleKey}, {"lp_action", "test"}}, "lp_supplier_id")
		n := len(head)
		return []Step{
			{Name: "Ping", Path: "/ping", Body: object(form(head[:n:n], ping)), Take: "ping_id", Answer: in.sample(CallPing)},
			{Name: "Post", Path: "/post", Body: object(form(append(head[:n:n], [2]string{"lp_ping_id", HoleID}), post)), Answer: in.sample(CallPost)},
		}
	case Phonexa:
		head := with([][2]string{{"apiPassword", HoleKey}, {"productId", id}, {"price", "0"}, {"testMode", "1"}, {"testSold", "1"}}, "apiId")
		return []Step{{Name: "Lead", Path: "/lead/", Form: form(head, post), Answer: in.sample(CallDirect)}}
	case PX:
		if !hasPingZip(v) {
			return nil // its zip is what makes a test a test
		}
		head := [][2]string{{"ApiToken", HoleKey}, {"Vertical", id}}
		body := func(head, lead [][2]string) string {
			return strings.TrimSuffix(object(head), "}") + `,"ContactData":` + object(lead) + "}"
		}
		return []Step{
			{Name: "Ping", Path: "/api/lead/ping", Body: body(head, ping), Take: "TransactionId", Answer: in.sample(CallPing)},
			{Name: "Post", Path: "/api/lead/post", Body: body(append(head[:2:2], [2]string{"TransactionId", HoleID}), post), Answer: in.sample(CallPost)},
		}
	default:
		return []Step{
			{Name: "Ping", Path: in.flow("ping"), Form: form([][2]string{{"test", "1"}}, ping), Take: "id", Answer: in.sample(CallPing)},
			{Name: "Submit", Path: in.flow("submit"), Form: form([][2]string{{"ping_id", HoleID}}, post), Answer: in.sample(CallPost)},
		}
	}
}

func hasPingZip(v *exchange.Vertical) bool {
	for i := range v.Fields {
		if v.Fields[i].Kind == exchange.FieldZip && v.Fields[i].Ping != exchange.NeedNot {
			return true
		}
	}
	return false
}

// pairs are the values of an example by the names of the skin.
func (in *Intake) pairs(v *exchange.Vertical, value func(*exchange.Field) string, whole bool) [][2]string {
	var out [][2]string
	for i := range v.Fields {
		f := &v.Fields[i]
		if f.Ping == exchange.NeedNot && !whole {
			continue
		}
		said := value(f)
		if in.Format == PX && f.Kind == exchange.FieldZip {
			said = "90100"
		}
		out = append(out, [2]string{in.Spells(f.Name), said})
	}
	return out
}

func object(pairs [][2]string) string {
	b := []byte{'{'}
	for i, p := range pairs {
		if i > 0 {
			b = append(b, ',')
		}
		b = schema.AppendString(append(schema.AppendString(b, p[0]), ':'), p[1])
	}
	return string(append(b, '}'))
}

// sample is what the format says of a sale.
func (in *Intake) sample(call Call) string {
	const ping, lead = "06gzvkq3a8t00g4j1c9x5nd7ew2b8y6m", "06gzvm0r4wq00g5b7t2s9k3xhc8n1pdf"
	r := &Request{Route: Route{Format: in.Format, Call: call}, own: map[string]pair{}}
	a := &Answer{Verdict: Quoted, Status: 200, PingID: ping, Price: "16.00", Test: true}
	if call != CallPing {
		a.Verdict, a.LeadID, a.PingID, a.Redirect = Sold, lead, "", "https://test.example/thanks"
		r.own["ping_id"] = pair{value: ping}
	}
	return string(r.Tell(a).Body)
}

// Of returns the intakes of a campaign, in the order of the formats.
func (s *Set) Of(campaign exchange.CampaignID) []*Intake {
	var out []*Intake
	for f := Boberdoo; int(f) < len(formatWords); f++ {
		for _, in := range s.intakes {
			if in.Format == f && in.Campaign == campaign {
				out = append(out, in)
			}
		}
	}
	return out
}
