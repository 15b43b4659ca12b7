package skin

import (
	"slices"
	"strings"

	"vendue/exchange"
)

// What a foreign name may stand for, beside a field of the lead ("lead.NAME"),
// source.NAME and the native body's own keys. These never reach the native body by their names.
const (
	toKey     = "$key"
	toID      = "$id"
	toSource  = "$source"
	toMode    = "$mode"
	toAction  = "$action"
	toFormat  = "$format"
	toTest    = "$test"
	toSold    = "$sold" // a test that must end in a sale
	toCost    = "$cost" // the seller wants to be told the price as a cost, too
	toIgnored = "$ignored"
)

// norm returns a name without what the platforms and their sellers spell at
// will: case, underscores, dashes, spaces. Dots stay: they part levels.
func norm(name string) string {
	out := make([]byte, 0, len(name))
	for i := range len(name) {
		switch c := name[i]; {
		case c >= 'A' && c <= 'Z':
			out = append(out, c|0x20)
		case c == '[':
			out = append(out, '.')
		case c == '_' || c == '-' || c == ' ' || c == ']':
		default:
			out = append(out, c)
		}
	}
	return string(out)
}

// groups are names for one thing, normalised. Of several in one request, the one that stands first here counts.
var groups = [...][]string{
	{"firstname", "fname", "first", "givenname", "contactfirstname"},
	{"lastname", "lname", "last", "surname", "familyname", "contactlastname"},
	{"phone", "phonenumber", "primaryphone", "phonehome", "homephone", "phone1", "mobilephone", "phonemobile", "cellphone", "phonecell", "dayphone", "contactphone"},
	{"email", "emailaddress", "contactemail"},
	{"zip", "zipcode", "postalcode", "postcode"},
	{"state", "statecode"},
	{"city", "town"},
	{"address", "address1", "streetaddress", "street"},
	{"dob", "birthdate", "dateofbirth", "birthday"},
	{"gender", "sex"},
	{"ip", "ipaddress", "clientip", "userip"},
	{"useragent", "browseragent"},
	pageNames,
	certNames,
	jornayaNames,
	textNames,
	agreedNames,
}

// The groups that are a consumer's consent.
var (
	pageNames    = []string{"landingpage", "landingpageurl", "originalurl", "pageurl", "sourceurl", "websiteurl"}
	certNames    = []string{"trustedform", "trustedformcerturl", "trustedformurl", "xxtrustedformcerturl", "trustedformcertid", "xxtrustedformtoken"}
	jornayaNames = []string{"jornaya", "jornayaleadid", "universalleadid", "leadidtoken"}
	textNames    = []string{"tcpatext", "tcpalanguage", "tcpaconsenttext"}
	agreedNames  = []string{"tcpaconsent", "tcpaoptin", "tcpa"}
)

// name is what a foreign name stands for. Of several that stand for the same, the least rank counts.
type name struct {
	to   string
	rank int
}

// names finds what foreign names stand for, by their normalised spelling.
type names map[string]name

// namesFor gathers the names that a vertical's fields may come under: their
// own, those in common use, and the operator's, each before the one named earlier.
func namesFor(v *exchange.Vertical, aliases map[string]string) names {
	n := names{}
	for i := range v.Fields {
		own := norm(v.Fields[i].Name)
		for _, group := range groups {
			if !slices.Contains(group, own) {
				continue
			}
			for rank, other := range group {
				if _, taken := n[other]; !taken {
					n[other] = name{"lead." + v.Fields[i].Name, rank + 2}
				}
			}
		}
	}
	for i := range v.Fields {
		n[norm(v.Fields[i].Name)] = name{"lead." + v.Fields[i].Name, 1}
	}
	for theirs, ours := range aliases {
		to := "lead." + ours
		if _, field := v.Slots[ours]; !field {
			to = ours
		}
		n[norm(theirs)] = name{to, 0}
	}
	return n
}

// find returns what a path of names stands for: as a whole, else by its last part.
func (n names) find(path string) (name, bool) {
	if at, ok := n[path]; ok {
		return at, true
	}
	at, ok := n[path[strings.LastIndexByte(path, '.')+1:]]
	return at, ok
}

// Plain returns what of a foreign name counts.
func Plain(name string) string { return norm(name) }

// Owns tells whether a name is one of the format's own keys.
func (f Format) Owns(name string) bool {
	_, own := platformOf(f).keys[norm(name)]
	return own
}

// TargetOK tells whether an alias may stand for something that is no field of
// the vertical.
func TargetOK(target string) bool { return slices.Contains(Targets(), target) }

// Targets lists what an alias may stand for beside the vertical's fields.
func Targets() []string {
	return []string{
		"source.affiliate", "source.offer", "source.click_id", "source.sub1", "source.sub2", "source.sub3", "source.sub4", "source.sub5",
		"ref", "idempotency_key", "min_price", "max_wait_ms",
	}
}

// snake, title and pascal spell a field's name as platforms do.
func snake(field string) string { return field }

func title(field string) string { return capital(field, "_") }

func pascal(field string) string { return capital(field, "") }

func capital(field, between string) string {
	parts := strings.FieldsFunc(field, func(r rune) bool { return r == '_' || r == '-' || r == '.' })
	for i, p := range parts {
		parts[i] = strings.ToUpper(p[:1]) + p[1:]
	}
	return strings.Join(parts, between)
}
