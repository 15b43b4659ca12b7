package skin

import "strings"

// spelled is a key as a format writes it.
type spelled struct{ to, name string }

// spellings are the formats' own names for the keys that faults, examples and the posting instructions show.
var spellings = map[Format][]spelled{
	Boberdoo:    {{toKey, "Key"}, {toID, "TYPE"}, {toSource, "SRC"}, {toTest, "Test_Lead"}, {"ping_id", "Lead_ID"}, {"min_price", "Cost"}},
	LeadsPedia:  {{toKey, "lp_campaign_key"}, {toID, "lp_campaign_id"}, {toTest, "lp_test"}, {"ping_id", "lp_ping_id"}},
	LeadProsper: {{toKey, "lp_key"}, {toID, "lp_campaign_id"}, {toSource, "lp_supplier_id"}, {toTest, "lp_action"}, {"ping_id", "lp_ping_id"}, {"bid_ids", "bid_id"}},
	Phonexa:     {{toKey, "apiPassword"}, {toID, "productId"}, {toSource, "apiId"}, {toTest, "testMode"}, {"lead_id", "leadId"}, {"min_price", "price"}},
	PX:          {{toKey, "ApiToken"}, {toID, "Vertical"}, {"ping_id", "TransactionId"}},
	LeadConduit: {{toKey, "source"}, {toID, "flow"}, {"ping_id", "ping_id"}},
}

// prefersXML tells whether an Accept header names XML, and before JSON.
func prefersXML(accept string) bool {
	accept = strings.ToLower(accept)
	x, j := strings.Index(accept, "xml"), strings.Index(accept, "json")
	return x >= 0 && (j < 0 || x < j)
}

func styleJSON(*Request) Style { return JSON }

func styleByAccept(r *Request) Style {
	if prefersXML(r.accept) {
		return XML
	}
	return JSON
}

// styleBy takes the format that the request names, and otherwise fallback.
func styleBy(r *Request, fallback Style) Style {
	switch strings.ToLower(r.format) {
	case "json":
		return JSON
	case "xml":
		return XML
	}
	return fallback
}

// hasValue tells whether a value of the lead under one of the names is among values.
func (r *Request) hasValue(of []string, values ...string) bool {
	for i := range r.lead {
		last := r.lead[i].path[strings.LastIndexByte(r.lead[i].path, '.')+1:]
		for _, n := range of {
			for _, v := range values {
				if last == n && strings.EqualFold(strings.TrimSpace(r.lead[i].value), v) {
					return true
				}
			}
		}
	}
	return false
}

var (
	zipNames   = []string{"zip", "zipcode", "postalcode", "postcode"}
	stateNames = []string{"state", "statecode"}
)
