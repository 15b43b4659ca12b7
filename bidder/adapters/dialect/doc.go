// Package dialect speaks the formats that are described by data: a preset or a
// contract's own block says how a request is put together and how an answer is
// read. It owns what such a description may say, what is wrong with one, and
// the bytes that come of it.
//
// A description (Spec) is compiled once per accepted config into a Format.
// After that a ping costs copying, escaping and one pass over the answer: no
// regular expression, no reflection, no map of names.
//
// It never opens a connection, reads a clock, holds state or decides what an
// answer is worth to anyone. A detail never repeats a buyer's text but masked.
package dialect

import "vendue/exchange"

// Limits on one description.
const (
	EntriesMax   = 256 // of a map
	RulesMax     = 32  // of one phase, rejecting and accepting each
	TokensMax    = 8   // carried from ping to post
	TemplateMax  = 32 << 10
	pathsMax     = 32 // that one phase reads of an answer
	itemPathsMax = 8  // and of one bid in a list
	itemsMax     = 64 // bids in one answer that are looked at
	depthMax     = 32 // of an answer
	wordsMax     = 64 // in one list of words
)

// At is a place in the config: where a fault of the description is told.
type At struct{ Line, Col int }

// Fault is something wrong with a description.
type Fault struct {
	At    At
	Text  string
	Word  string   // the word that is none of Valid, if that is the fault
	Valid []string // what it could have been
}

// Text is a template: text with places such as {zip}, {var.Key} or {token.id}.
type Text struct {
	At   At
	Text string
}

// Spec describes one format as one contract speaks it.
type Spec struct {
	At     At
	Vars   map[string]string // what the contract gives; read while compiling only
	Map    []Entry           // the fields of a request, in the order sent
	Rest   Rest
	Phases [PhaseCount]*Phase // nil: the format does not have it
}

// PhaseID is one of the three things said to a buyer.
type PhaseID uint8

// The phases.
const (
	Ping PhaseID = iota
	Post
	Status
	PhaseCount
)

var phaseWords = [...]string{"ping", "post", "status"}

// String returns the config's word.
func (p PhaseID) String() string { return phaseWords[p] }

// Entry is one field of a request.
type Entry struct {
	At      At
	Target  string // the field's name; dots nest it in JSON and XML, numbers make lists
	Value   Text
	Default string            // sent as it stands where the value is empty
	Values  map[string]string // other words for some values; "*" is any other
	As      []string          // transforms, in turn
	On      string            // ping, post, status, or empty: wherever its values are known
	Type    string            // string, number, bool (JSON); empty: as the lead's field is
	Keep    bool              // sent even if empty
	Lenient bool              // of a preset: left out where the vertical lacks the field
}

// Rest says what becomes of the vertical's fields that no entry names.
type Rest struct {
	At    At
	Names string   // drop, as_is, Title_Case, PascalCase or camelCase; empty: drop
	Under string   // the path they lie under
	As    []string // transforms, each for the fields of its type
}

// Phase is one request and how its answer is read.
type Phase struct {
	At          At
	Method      string // GET, POST or PUT; empty: POST, or GET where nothing is sent in a body
	URL         Text
	TestURL     Text
	Encode      string // json, form, query, xml, text or none
	Wrap        string // the key or element that everything lies within
	Template    Text   // json, xml, text: the body itself, instead of the map
	ContentType string
	Headers     []Header
	Reply       Reply

	MethodAt, EncodeAt, WrapAt At // where those three stand
}

// Header is one request header.
type Header struct {
	Name  string
	Value Text
}

// Reply says how an answer is read.
type Reply struct {
	At        At
	As        string // json, xml, form, csv or text; empty: as it looks
	Reject    []Rule // first, in turn
	Accept    []Rule
	Price     Price
	Bids      *Bids
	Tokens    []Token // of a ping: carried to the post
	ExpiresIn Path    // seconds
	Ref       Path    // the buyer's own id of the lead
	Redirect  Path
	Reason    Path
	Reasons   []ReasonWord
}

// Path names a value of an answer: keys with dots between, alternatives with |.
type Path struct {
	At   At
	Text string
}

// Rule is one test of an answer.
type Rule struct {
	At       At
	HTTP     []string // 200, 4xx
	Path     Path     // empty: the body's text
	Equals   []string // case does not count
	Not      []string
	Contains []string
	Exists   string // true or false
	Above    string // a number
	Nonzero  bool
	And      []Rule // tests that must hold too
	Reason   string // of a rejecting rule: our word for it
}

// Price says where a price stands.
type Price struct {
	At    At
	Path  Path
	Cents bool
	Fixed Text // instead of a path; of vars and text only
}

// Bids is a list of bids in one answer.
type Bids struct {
	At     At
	Path   Path
	Price  Path
	Take   []Rule // all must hold of a bid that we may take
	Tokens []Token
}

// Token is a value of the ping's answer that the post needs.
type Token struct {
	At       At
	Name     string
	Path     Path
	Optional bool
}

// ReasonWord maps a buyer's word to one of ours. A * at either end stands for anything.
type ReasonWord struct {
	At     At
	Word   string
	Reason string
}

// pingReasons and postReasons are what a buyer's refusal may be called.
var (
	pingReasons = []exchange.Reason{
		exchange.ReasonNoBid, exchange.ReasonDuplicate, exchange.ReasonFiltered, exchange.ReasonHours, exchange.ReasonPaused,
		exchange.ReasonCapContract, exchange.ReasonBudget, exchange.ReasonThrottled,
	}
	postReasons = []exchange.Reason{exchange.ReasonPostRejected, exchange.ReasonDuplicate}
)
