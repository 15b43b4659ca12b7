package attribution

import "vendue/exchange"

// AccountKind says whose account it is.
type AccountKind uint8

// The kinds.
const (
	AccountBuyer AccountKind = iota + 1
	AccountSeller
	AccountHouse
	AccountAffiliate
)

var accountWords = [...]string{"", "buyer", "seller", "house", "affiliate"}

// String returns the kind's word.
func (k AccountKind) String() string {
	if int(k) >= len(accountWords) {
		return "invalid"
	}
	return accountWords[k]
}

// MarshalText returns the word.
func (k AccountKind) MarshalText() ([]byte, error) { return []byte(k.String()), nil }

// Posting is one line of the ledger: a debit above zero (the account owes), a
// credit below (it is owed). The postings of one seq sum to zero. They follow
// from the decision of that seq, which nothing changes or removes.
type Posting struct {
	Seq     uint64         `json:"seq"`  // of the event it follows from
	Line    byte           `json:"line"` // among those of its seq
	Account AccountKind    `json:"account"`
	Name    string         `json:"name,omitempty"` // of the buyer, seller or affiliate
	Amount  exchange.Money `json:"amount"`
}

// postingsOf books a decision. Of a sold leg, the buyer owes the revenue, and the
// seller's payout and the house's margin come from it. Of whatever is credited,
// the commission moves from its payer's part to the affiliates; of a reversal,
// whose amounts are below zero, back. A returned leg's lines are those of its sale with the other sign. A leg that was credited by an event was
// booked when it was sold: only its commission is new.
func postingsOf(s *Sale) []Posting {
	lines := make([]Posting, 0, 5)
	post := func(kind AccountKind, name string, amount exchange.Money) {
		if amount != 0 {
			lines = append(lines, Posting{Seq: s.Seq, Line: byte(len(lines)), Account: kind, Name: name, Amount: amount})
		}
	}
	if s.Trigger == TriggerSold {
		post(AccountBuyer, string(s.Buyer), s.Revenue)
		post(AccountSeller, string(s.Seller), -s.Payout)
		post(AccountHouse, "", s.Payout-s.Revenue)
	}
	if s.Trigger == TriggerReturned {
		post(AccountBuyer, string(s.Buyer), -s.Revenue)
		post(AccountSeller, string(s.Seller), s.Payout)
		post(AccountHouse, "", s.Revenue-s.Payout)
	}
	if !s.Credited() {
		return lines
	}
	if s.rule.commission.PaidBy == exchange.PaidBySeller && s.Seller != "" {
		post(AccountSeller, string(s.Seller), s.Amount())
	} else {
		post(AccountHouse, "", s.Amount())
	}
	for i := range s.Credits {
		post(AccountAffiliate, string(s.Credits[i].Affiliate), -s.Credits[i].Amount)
	}
	return lines
}
