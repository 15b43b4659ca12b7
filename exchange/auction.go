package exchange

import "time"

// Auction is the tape's record of one ping or direct: what was asked, bid and
// decided. It holds ping fields, never a personal one.
type Auction struct {
	PingID     PingID      `json:"ping_id"`
	At         time.Time   `json:"at"`
	ConfigHash string      `json:"config"`
	Seller     SellerID    `json:"seller"`
	Campaign   CampaignID  `json:"campaign"`
	Test       bool        `json:"test,omitempty"`
	Direct     bool        `json:"direct,omitempty"`
	Lead       *Lead       `json:"-"` // ping fields; the tape writes them by name
	Sale       SaleKind    `json:"sale"`
	MinPrice   Money       `json:"min_price,omitempty"`
	Candidates []Candidate `json:"candidates,omitempty"`
	Excluded   []Excluded  `json:"excluded,omitempty"`
	Reason     Reason      `json:"reason,omitempty"` // why there is no price; ReasonNone: there is one
	Price      Money       `json:"price,omitempty"`  // to the seller
	Elapsed    Millis      `json:"elapsed_ms"`
}

// Candidate is a contract that could see the lead and what came of it.
type Candidate struct {
	Contract *Contract  `json:"-"`
	Name     ContractID `json:"contract"`
	Tier     int        `json:"tier"`
	Leg      LegNo      `json:"leg,omitempty"` // its place among the legs, 0 if it is none
	Reason   Reason     `json:"reason,omitempty"`
	Bid      Money      `json:"bid,omitempty"`
	Payout   Money      `json:"payout,omitempty"`
	Elapsed  Millis     `json:"elapsed_ms,omitempty"`
	Detail   string     `json:"detail,omitempty"`
	Index    Money      `json:"index,omitempty"` // what it was ranked by, where that was not the bid
	Odds     Odds       `json:"odds,omitzero"`   // and what was expected of a post to it
}

// Excluded counts the contracts that could not see the lead for one reason.
type Excluded struct {
	Reason Reason `json:"reason"`
	Count  int    `json:"count"`
}

// Millis is a duration that JSON shows in milliseconds with three decimals.
type Millis time.Duration

// MarshalJSON writes m in milliseconds.
func (m Millis) MarshalJSON() ([]byte, error) { return m.Append(nil), nil }

// Append appends m as MarshalJSON writes it.
func (m Millis) Append(dst []byte) []byte {
	return (Money(time.Duration(m).Microseconds()) * (Micro / 1000)).Append(dst)
}

// Attempt is the tape's record of one post to one buyer, or of a lead refused
// before any (Attempt 0). It holds no personal value.
type Attempt struct {
	LeadID       LeadID     `json:"lead_id"`
	PingID       PingID     `json:"ping_id,omitzero"`
	At           time.Time  `json:"at"`
	Seller       SellerID   `json:"seller"`
	Campaign     CampaignID `json:"campaign,omitempty"`
	Test         bool       `json:"test,omitempty"`
	Attempt      uint16     `json:"attempt"`
	Contract     ContractID `json:"contract,omitempty"`
	Buyer        BuyerID    `json:"buyer,omitempty"`
	Bid          Money      `json:"bid,omitempty"`
	Payout       Money      `json:"payout,omitempty"`
	Outcome      Outcome    `json:"outcome,omitempty"`
	Reason       Reason     `json:"reason,omitempty"`
	HTTPStatus   int        `json:"http_status,omitempty"`
	PriceChanged bool       `json:"price_changed,omitempty"`
	Detail       string     `json:"detail,omitempty"`
	BuyerTime    Millis     `json:"buyer_ms,omitempty"`
	Status       LeadStatus `json:"status"`                // of the lead after it
	LeadReason   Reason     `json:"lead_reason,omitempty"` // why not sold
	Elapsed      Millis     `json:"elapsed_ms"`            // from the request's arrival
}
