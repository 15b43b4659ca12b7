package exchange

import "time"

// Ask is one question to many buyers: what do you bid for this lead? The
// engine fills it, the bidder answers it in place. Contracts and Answers run in parallel.
type Ask struct {
	PingID    PingID
	Campaign  CampaignID
	Lead      *Lead // ping fields only
	Sale      SaleKind
	Test      bool
	Start     time.Time
	Deadline  time.Time   // when the last answer counts; a contract's own PingTimeout from Start may end sooner
	Contracts []*Contract // all Pinged
	Answers   []Answer
	// Enough tells, after a bid came, whether those who have not answered (neither
	// a Reason nor a Bid) can be left: they then count as outbid. Nil: never.
	Enough func() bool
}

// Answer is what one buyer said to an Ask.
type Answer struct {
	Reason    Reason // ReasonNone: there is a bid; else no_bid, timeout, buyer_error, no_time or concurrency
	Unasked   bool   // the house itself held the ping back: breaker, ping_limit, concurrency or throttled
	Bid       Money
	Shared    Money         // of a contract that sells either way: its bid for a place among several buyers; 0: none
	Token     string        // the buyer's own reference to the bid, "" if none
	ExpiresIn time.Duration // 0: not said
	Elapsed   time.Duration // from Start to the answer, or to giving up
	Detail    string        // what was wrong, for the tape; never a personal value
}

// Delivery is one attempt to post a whole lead to one buyer.
type Delivery struct {
	LeadID   LeadID
	PingID   PingID
	Leg      LegNo
	Contract *Contract
	Token    string
	Price    Money // the bid: what the buyer pays
	Sale     SaleKind
	Lead     *Lead // every field, personal ones too
	Consent  *Consent
	Test     bool
	Deadline time.Time
}

// Receipt is how a Delivery ended.
type Receipt struct {
	Outcome      Outcome // never OutcomeNone
	Reason       Reason  // of a rejected attempt: post_rejected or duplicate; of the others what went wrong: timeout, buyer_error, ..
	BuyerRef     string  // the buyer's own id of the lead
	RedirectURL  string
	PriceChanged bool // accepted at a price other than the bid; the sale stands at the bid
	Status       int  // HTTP status, 0 if none was read
	Elapsed      time.Duration
	Detail       string // what was seen, for the log; never a personal value
}

// Inquiry asks a buyer what became of an attempt whose outcome is unknown.
type Inquiry struct {
	LeadID   LeadID
	PingID   PingID
	Leg      LegNo
	Contract *Contract // StatusEvery above zero
	Token    string
	Test     bool
	Deadline time.Time
}

// Finding is what a buyer said to an Inquiry.
type Finding struct {
	Known    bool // there is a verdict; if not, ask again
	Accepted bool
	BuyerRef string // the buyer's own id of the lead
	Detail   string // why there is no verdict, for the log; never a personal value
}
