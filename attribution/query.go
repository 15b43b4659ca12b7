package attribution

import (
	"math"

	"vendue/attribution/postback"
	"vendue/exchange"
)

// decisionsMax bounds what is read of one lead.
const decisionsMax = 1024

// Sales calls fn for each decision from seq from on, credited or not, in the
// order of the journal, until fn returns false.
func (a *Attribution) Sales(from uint64, fn func(Sale) bool) error {
	return a.deps.Space.Scan(saleKey(from), after(prefixSale), func(k, v []byte) (bool, error) {
		s, err := decodeSale(seqOf(k, prefixSale), v)
		if err != nil {
			return false, err
		}
		return fn(s), nil
	})
}

// Credits calls fn for each decision that credits somebody, or takes a credit back, from seq from on.
func (a *Attribution) Credits(from uint64, fn func(Sale) bool) error {
	return a.Sales(from, func(s Sale) bool { return !s.Credited() || fn(s) })
}

// Explain returns the decisions about a lead, in the order of the journal:
// touches considered, dropped and why, rule and result. It is empty for a lead
// that was not sold.
func (a *Attribution) Explain(lead exchange.LeadID) (sales []Sale, err error) {
	seqs, err := decisionsOf(a.deps.Journal, a.deps.Space, lead, math.MaxUint64)
	if err != nil {
		return nil, err
	}
	err = tellDecisions(seqs, func(s *Sale) { sales = append(sales, *s) }, a.deps.Space.Get)
	return sales, err
}

// Ledger calls fn for each posting from seq from on, until fn returns false.
func (a *Attribution) Ledger(from uint64, fn func(Posting) bool) error {
	return a.Sales(from, func(s Sale) bool {
		for _, p := range postingsOf(&s) {
			if !fn(p) {
				return false
			}
		}
		return true
	})
}

// Postbacks lists jobs: see postback.Sender.Jobs.
func (a *Attribution) Postbacks(f postback.Filter) ([]postback.Job, postback.Key, error) {
	return a.sender.Jobs(f)
}
