package skin

import (
	"slices"
	"strings"

	"vendue/exchange"
)

// Format is a platform whose wire format a seller may speak.
type Format uint8

// The formats.
const (
	Boberdoo Format = iota + 1
	LeadsPedia
	LeadProsper
	Phonexa
	PX
	LeadConduit
)

var formatWords = [...]string{"", "boberdoo", "leadspedia", "leadprosper", "phonexa", "px", "leadconduit"}

// String returns the word the config uses.
func (f Format) String() string {
	if int(f) >= len(formatWords) {
		return "invalid"
	}
	return formatWords[f]
}

// Words returns the formats' words, in order from the first format.
func Words() []string { return slices.Clone(formatWords[1:]) }

// platform is what a format's file tells of it.
type platform struct {
	keys   map[string]string             // top-level names, normalised, and what they mean
	style  func(*Request) Style          // how the seller wants to be answered
	settle func(*Request)                // what is special once every key is read; nil: nothing
	tell   func(*Answer, *Request) reply // the answer in the platform's words
	root   string                        // of an answer in XML
	wrap   string                        // the key that an answer in JSON stands under, "" if none
	name   func(string) string           // how the platform would spell the name of one of our fields
}

// platformOf returns what is known of a format, which must be valid.
func platformOf(f Format) *platform {
	switch f {
	case Boberdoo:
		return &boberdoo
	case LeadsPedia:
		return &leadsPedia
	case LeadProsper:
		return &leadProsper
	case Phonexa:
		return &phonexa
	case PX:
		return &px
	case LeadConduit:
		return &leadConduit
	default:
		panic("BUG: no such format")
	}
}

// Call is what a request wants.
type Call uint8

// The calls. CallUnsaid: the body says it.
const (
	CallUnsaid Call = iota
	CallPing
	CallPost
	CallDirect
	CallLook // what became of a lead
)

// Route is what a path tells of a request.
type Route struct {
	Format Format
	Call   Call
	Get    bool // may come as GET, everything in the query
	Style  Style
	id     string // of the campaign, in the platform's words
	secret string // the part of the path that only the seller knows
}

// Find returns the route of a path, if it is one of a skin.
func Find(path string) (r Route, ok bool) {
	switch path {
	case "/new_api/api.php", "/api.php":
		return Route{Format: Boberdoo, Get: true, Style: XML}, true
	case "/new_api/apiJSON.php", "/apiJSON.php":
		return Route{Format: Boberdoo, Get: true, Style: JSON}, true
	case "/new_api/apiXML.php", "/apiXML.php":
		return Route{Format: Boberdoo, Get: true, Style: XML}, true
	case "/ping.do":
		return Route{Format: LeadsPedia, Call: CallPing, Get: true}, true
	case "/post.do":
		return Route{Format: LeadsPedia, Call: CallPost, Get: true}, true
	case "/ping":
		return Route{Format: LeadProsper, Call: CallPing}, true
	case "/post":
		return Route{Format: LeadProsper, Call: CallPost}, true
	case "/direct_post":
		return Route{Format: LeadProsper, Call: CallDirect}, true
	case "/lead/", "/lead":
		return Route{Format: Phonexa, Call: CallDirect}, true
	case "/api/lead/ping":
		return Route{Format: PX, Call: CallPing}, true
	case "/api/lead/post":
		return Route{Format: PX, Call: CallPost}, true
	case "/api/lead/directpost":
		return Route{Format: PX, Call: CallDirect}, true
	}
	return findFlow(path)
}

// findFlow reads /flows/{flow}/sources/{source}/ping or submit.
func findFlow(path string) (r Route, ok bool) {
	rest, ok := strings.CutPrefix(path, "/flows/")
	if !ok {
		return r, false
	}
	parts := strings.Split(rest, "/")
	if len(parts) != 4 || parts[1] != "sources" || parts[0] == "" || parts[2] == "" {
		return r, false
	}
	r = Route{Format: LeadConduit, id: parts[0], secret: parts[2]}
	switch parts[3] {
	case "ping":
		r.Call = CallPing
	case "submit":
		r.Call = CallDirect
	default:
		return r, false
	}
	return r, true
}

// Config is one campaign in one skin. The zero value of an option is its default.
type Config struct {
	Format   Format
	Campaign exchange.CampaignID
	Seller   exchange.SellerID
	ID       string            // what the platform calls the campaign, product or lead type; "": the campaign's own name
	Source   string            // what else must be named to mean this campaign: SRC, supplier, apiId; "": nothing
	Key      [32]byte          // SHA-256 of a key for this campaign alone; zero: the seller's own key
	Aliases  map[string]string // their name: our field, or source.NAME, ref or idempotency_key
	Values   map[string]map[string]string
}

// Intake is a Config ready for use. It is immutable.
type Intake struct {
	Config
	names  names
	values map[string]map[string]string // by field, then by their value in lower case
	zips   []string                     // the fields that a forced ending is asked for by
}

// NewIntake makes ready what cfg says of a campaign of a vertical. cfg was
// checked: its aliases and values name fields of the vertical.
func NewIntake(cfg Config, v *exchange.Vertical) *Intake {
	if cfg.ID == "" {
		cfg.ID = string(cfg.Campaign)
	}
	in := &Intake{Config: cfg, names: namesFor(v, cfg.Aliases), values: map[string]map[string]string{}}
	for field, values := range cfg.Values {
		in.values[field] = map[string]string{}
		for theirs, ours := range values {
			in.values[field][strings.ToLower(theirs)] = ours
		}
	}
	for i := range v.Fields {
		if v.Fields[i].Kind == exchange.FieldZip {
			in.zips = append(in.zips, v.Fields[i].Name)
		}
	}
	return in
}

// Set is every intake of a config. The zero Set has none.
type Set struct {
	intakes map[place]*Intake
	keys    map[keyOf]exchange.SellerID
	formats [len(formatWords)]bool
}

type place struct {
	format     Format
	seller     exchange.SellerID
	id, source string
}

type keyOf struct {
	format Format
	sum    [32]byte
}

func (c *Config) place() place {
	id := c.ID
	if id == "" {
		id = string(c.Campaign)
	}
	return place{c.Format, c.Seller, strings.ToLower(id), strings.ToLower(c.Source)}
}

// SamePlace tells whether a request could mean either of two campaigns.
func (c *Config) SamePlace(other *Config) bool { return c.place() == other.place() }

// NewSet gathers intakes, no two of which have the same place.
func NewSet(intakes []*Intake) *Set {
	s := &Set{intakes: map[place]*Intake{}, keys: map[keyOf]exchange.SellerID{}}
	for _, in := range intakes {
		s.intakes[in.place()] = in
		s.formats[in.Format] = true
		if in.Key != [32]byte{} {
			s.keys[keyOf{in.Format, in.Key}] = in.Seller
		}
	}
	return s
}

// Speaks tells whether any campaign is in a format's skin.
func (s *Set) Speaks(f Format) bool { return s.formats[f] }

// Holder returns the seller to whom a campaign's own key was given.
func (s *Set) Holder(f Format, sum [32]byte) (exchange.SellerID, bool) {
	seller, ok := s.keys[keyOf{f, sum}]
	return seller, ok
}

// Find returns the intake that a seller's request means, nil if none.
func (s *Set) Find(seller exchange.SellerID, r *Request) *Intake {
	at := place{r.Format, seller, strings.ToLower(r.id), strings.ToLower(r.source)}
	if in := s.intakes[at]; in != nil {
		return in
	}
	at.source = ""
	return s.intakes[at]
}
