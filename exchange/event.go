package exchange

import "slices"

// Entry is one event in its place in the journal.
type Entry struct {
	Seq   uint64 // from 1, without gaps
	At    int64  // Unix nanoseconds
	Event Event
}

// Event is a fact that money depends on. Each carries what was decided, so
// that applying it reads neither config nor clock.
type Event interface {
	Kind() EventKind
}

// EventKind names a kind of event. The numbers are part of the journal's format.
type EventKind uint8

// The kinds.
const (
	KindConfigAccepted EventKind = iota + 1
	KindLimitSet
	KindOfferSet
	KindPostStarted
	KindPostEnded
	KindLeadRefused
	KindLegSettled
	KindLegConflict
	KindClicked
	KindConflictClosed
	KindConverted
	KindLegReturned
)

var eventWords = [...]string{"", "config_accepted", "limit_set", "offer_set", "post_started", "post_ended", "lead_refused", "leg_settled", "conflict", "click", "conflict_closed", "conversion", "leg_returned"}

// String returns the event's word, as `vendue log` prints it.
func (k EventKind) String() string {
	if int(k) >= len(eventWords) {
		return "invalid"
	}
	return eventWords[k]
}

// MarshalText returns the word.
func (k EventKind) MarshalText() ([]byte, error) { return []byte(k.String()), nil }

// EventWords returns the words of all kinds.
func EventWords() []string { return slices.Clone(eventWords[1:]) }

// ParseEventKind returns the kind that word names.
func ParseEventKind(word string) (EventKind, bool) {
	for k, w := range eventWords {
		if w == word && k > 0 {
			return EventKind(k), true
		}
	}
	return 0, false
}

// Sealed is foreign text under the house's AEAD key. It is never printed.
type Sealed []byte

// MarshalText hides what is sealed.
func (s Sealed) MarshalText() ([]byte, error) {
	if len(s) == 0 {
		return nil, nil
	}
	return []byte("(sealed)"), nil
}

// Fingerprint is a keyed hash of something that must not be kept as it is: a person, a key, a body.
type Fingerprint [16]byte

// IsZero tells whether nothing was hashed.
func (f Fingerprint) IsZero() bool { return f == Fingerprint{} }

// MarshalText returns f in hexadecimal, empty for the zero fingerprint.
func (f Fingerprint) MarshalText() ([]byte, error) {
	const digits = "0123456789abcdef"
	if f.IsZero() {
		return nil, nil
	}
	out := make([]byte, 0, 2*len(f))
	for _, b := range f {
		out = append(out, digits[b>>4], digits[b&15])
	}
	return out, nil
}

// Ticket stands for events that are in the journal's order but may not be on disk yet.
type Ticket interface {
	// Wait returns when they are on disk. It is called once; an error means that the journal is broken.
	Wait() error
}

// Vault holds the keys of the data directory.
type Vault interface {
	// Seal encrypts text; the empty text seals to nil.
	Seal(text string) Sealed
	// Unseal returns what Seal was given.
	Unseal(s Sealed) (string, error)
	// Fingerprint hashes the parts, each with its length, under a key.
	Fingerprint(parts ...string) Fingerprint
}

// ConfigAccepted says which config decides from here on.
type ConfigAccepted struct {
	Hash string `json:"hash"`
	Text string `json:"text"` // canonical, without secrets
}

// LimitSet gives a cap its limit. Limit below zero: there is none any more.
type LimitSet struct {
	Cap   CapID   `json:"cap"`
	Per   Window  `json:"per"`
	Unit  CapUnit `json:"unit"`
	Limit int64   `json:"limit"`
}

// OfferSet gives an offer its terms, so that credits are a function of the journal alone.
type OfferSet struct {
	Offer      OfferID    `json:"offer"`
	Model      Model      `json:"model"`
	WindowSec  int64      `json:"window_s"`
	Commission Commission `json:"commission"`
	Removed    bool       `json:"removed,omitempty"`
	OfferRules
}

// Hold is a cap's reservation, in the window of its post_started.
type Hold struct {
	Cap    CapID `json:"cap"`
	Window int64 `json:"window"` // Unix second of its start
	Amount int64 `json:"amount"`
}

// SourceFacts is what is kept of a Source: names the market knows, an id of our making, the rest sealed.
type SourceFacts struct {
	Affiliate AffiliateID `json:"affiliate,omitempty"`
	Offer     OfferID     `json:"offer,omitempty"`
	Click     ClickID     `json:"click_id,omitzero"`
	Foreign   Sealed      `json:"foreign,omitempty"` // JSON of a foreign click_id and the subs: {"click_id":"..","subs":["..",..]}
	Cookie    ClickID     `json:"cookie,omitzero"`   // the click that the consumer's first-party cookie named
	Coupon    AffiliateID `json:"coupon,omitempty"`  // whose the lead's coupon code was when it came
}

// LeadFacts stands in the first event of a lead.
type LeadFacts struct {
	PingID   PingID      `json:"ping_id,omitzero"`
	Direct   bool        `json:"direct,omitempty"` // the seller was never told the ping_id
	Seller   SellerID    `json:"seller"`
	Campaign CampaignID  `json:"campaign"`
	Vertical VerticalID  `json:"vertical"`
	Currency string      `json:"currency"`
	Test     bool        `json:"test,omitempty"`
	Idem     Fingerprint `json:"idem,omitzero"` // of seller and Idempotency-Key; zero without a key
	Body     Fingerprint `json:"body,omitzero"` // of the request's body, to tell a repeat from a clash
	Person   Fingerprint `json:"person,omitzero"`
	Source   SourceFacts `json:"source,omitzero"`
}

// PostStarted is synced before the first byte of personal data leaves.
type PostStarted struct {
	LeadID    LeadID     `json:"lead_id"`
	Attempt   uint16     `json:"attempt"`        // of this lead, from 1
	Lead      *LeadFacts `json:"lead,omitempty"` // with attempt 1
	Leg       LegNo      `json:"leg"`
	Contract  ContractID `json:"contract"`
	Buyer     BuyerID    `json:"buyer"`
	Sale      SaleKind   `json:"sale"`
	Bid       Money      `json:"bid"`
	Payout    Money      `json:"payout"` // to the seller, if accepted
	Margin    Margin     `json:"margin"` // the rule that stood behind the quote
	OnUnknown OnUnknown  `json:"on_unknown,omitempty"`
	Holds     []Hold     `json:"holds,omitempty"`
	Token     Sealed     `json:"token,omitempty"`    // the buyer's own reference to the bid, where its status URL asks for it
	Turn      Turn       `json:"turn,omitzero"`      // that the attempt takes, where its tier picks by turns
	LegsMax   uint16     `json:"legs_max,omitempty"` // of a shared sale: the buyers that may have the lead at most
}

// Turn says in which tier a post is its contract's turn, and with which weight. Weight 0: it is nobody's.
type Turn struct {
	Tree   TreeID `json:"tree,omitempty"`
	Tier   uint16 `json:"tier"`
	Weight uint32 `json:"weight"`
}

// LeadStatus is how a lead stands.
type LeadStatus uint8

// The statuses. LeadOpen: a post is in flight.
const (
	LeadOpen LeadStatus = iota
	LeadSold
	LeadRejected
	LeadPending
	LeadReturned
)

var leadStatusWords = [...]string{"open", "sold", "rejected", "pending", "returned"}

// String returns the status's word.
func (s LeadStatus) String() string {
	if int(s) >= len(leadStatusWords) {
		return "invalid"
	}
	return leadStatusWords[s]
}

// MarshalText returns the word.
func (s LeadStatus) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// PostEnded is how an attempt ended. It is synced before the seller is answered.
type PostEnded struct {
	LeadID       LeadID     `json:"lead_id"`
	Attempt      uint16     `json:"attempt"`
	Outcome      Outcome    `json:"outcome"`
	Reason       Reason     `json:"reason,omitempty"` // of the attempt
	HTTPStatus   uint16     `json:"http_status,omitempty"`
	PriceChanged bool       `json:"price_changed,omitempty"`
	BuyerRef     Sealed     `json:"buyer_ref,omitempty"`
	RedirectURL  Sealed     `json:"redirect_url,omitempty"`
	Status       LeadStatus `json:"status"`                // of the lead; LeadOpen: another attempt follows
	LeadReason   Reason     `json:"lead_reason,omitempty"` // why not sold, or unknown
	ElapsedMs    uint32     `json:"elapsed_ms"`            // from the request's arrival
	NoTime       bool       `json:"no_time,omitempty"`     // another buyer would have had it, but did not fit in the seller's wait
}

// LeadRefused ends a lead that no buyer was ever sent.
type LeadRefused struct {
	LeadID    LeadID    `json:"lead_id"`
	Lead      LeadFacts `json:"lead"`
	Reason    Reason    `json:"reason"`
	First     LeadID    `json:"first,omitzero"` // with ping_used: the lead that used the ping
	ElapsedMs uint32    `json:"elapsed_ms"`
}

// Settler is who resolved an unknown outcome.
type Settler uint8

// The settlers.
const (
	SettledByBuyer Settler = iota + 1
	SettledByOperator
	SettledByStatusURL
	SettledByRepost
	SettledByDeadline
	SettledByReconciliation
)

var settlerWords = [...]string{"", "buyer", "operator", "status_url", "repost", "deadline", "reconciliation"}

// String returns the settler's word.
func (s Settler) String() string {
	if int(s) >= len(settlerWords) {
		return "invalid"
	}
	return settlerWords[s]
}

// MarshalText returns the word.
func (s Settler) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// LegSettled resolves an unknown attempt.
type LegSettled struct {
	LeadID   LeadID     `json:"lead_id"`
	Attempt  uint16     `json:"attempt"`
	Accepted bool       `json:"accepted"`
	By       Settler    `json:"by"`
	BuyerRef Sealed     `json:"buyer_ref,omitempty"`
	Status   LeadStatus `json:"status"` // of the lead, after it
}

// LegConflict is a verdict against one that stands. It changes nothing; someone must see it.
type LegConflict struct {
	LeadID   LeadID  `json:"lead_id"`
	Attempt  uint16  `json:"attempt"`
	Accepted bool    `json:"accepted"` // the late verdict
	By       Settler `json:"by"`
}

// ConflictClosed says that someone saw to an attempt's conflict. The verdict that stood stands.
type ConflictClosed struct {
	LeadID   LeadID     `json:"lead_id"`
	Attempt  uint16     `json:"attempt"`
	Operator OperatorID `json:"operator,omitempty"` // empty: by the house's own command
}

// Clicked is a consumer's visit through an offer's link, or a sight of its
// picture. It is synced before the redirect.
type Clicked struct {
	ClickID   ClickID     `json:"click_id"`
	Offer     OfferID     `json:"offer"`
	Affiliate AffiliateID `json:"affiliate,omitempty"`
	Foreign   Sealed      `json:"foreign,omitempty"` // JSON: {"cid":"..","subs":["..",..],"code":".."}
	View      bool        `json:"view,omitempty"`    // a sight, not a visit
	Prev      ClickID     `json:"prev,omitzero"`     // the touch before it that the browser's cookie named
	Coupon    AffiliateID `json:"coupon,omitempty"`  // whose the link's coupon code was
}

// Converted is an event that an offer's owner told of one of its clicks, or took back.
type Converted struct {
	ClickID  ClickID     `json:"click_id"`
	Event    string      `json:"event"`            // a word of the config
	Key      Fingerprint `json:"key"`              // of click, event and txid: the same event once only
	Body     Fingerprint `json:"body"`             // of amount and currency, to tell a repeat from a clash
	Amount   Money       `json:"amount,omitempty"` // as told; 0: none was
	Currency string      `json:"currency"`
	TxID     Sealed      `json:"txid,omitempty"`
	Rejected bool        `json:"rejected,omitempty"` // an event told before does not count after all
	Pixel    bool        `json:"pixel,omitempty"`    // a browser told it
}

// Kind returns the event's kind.
func (*ConfigAccepted) Kind() EventKind { return KindConfigAccepted }

// Kind returns the event's kind.
func (*LimitSet) Kind() EventKind { return KindLimitSet }

// Kind returns the event's kind.
func (*OfferSet) Kind() EventKind { return KindOfferSet }

// Kind returns the event's kind.
func (*PostStarted) Kind() EventKind { return KindPostStarted }

// Kind returns the event's kind.
func (*PostEnded) Kind() EventKind { return KindPostEnded }

// Kind returns the event's kind.
func (*LeadRefused) Kind() EventKind { return KindLeadRefused }

// Kind returns the event's kind.
func (*LegSettled) Kind() EventKind { return KindLegSettled }

// Kind returns the event's kind.
func (*LegConflict) Kind() EventKind { return KindLegConflict }

// Kind returns the event's kind.
func (*Clicked) Kind() EventKind { return KindClicked }

// Kind returns the event's kind.
func (*Converted) Kind() EventKind { return KindConverted }

// Kind returns the event's kind.
func (*ConflictClosed) Kind() EventKind { return KindConflictClosed }
