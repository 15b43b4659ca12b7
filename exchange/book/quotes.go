package book

import (
	"sync"
	"time"

	"vendue/exchange"
)

// Quote is our price promise to a seller. It is immutable once opened; that it
// was used is the Quotes' to know.
type Quote struct {
	PingID   exchange.PingID
	Campaign *exchange.Campaign
	Ref      string
	LeadHash uint64 // of the ping's values: a ref that comes back with another lead is another ping
	Test     bool
	Sale     exchange.SaleKind
	Script   uint8 // test mode's forced ending, 0 for none
	Values   []exchange.Value
	Source   exchange.Source
	Consent  exchange.Consent
	Tier     int        // of the tree; the legs are its bids
	Legs     []QuoteLeg // best first; leg n has LegNo n+1
	Places   int        // how many of them the price promises: the first if exclusive, as many as share it if shared
	Price    exchange.Money
	Opened   time.Time
	Expires  time.Time
	Elapsed  time.Duration // of the ping that opened it
	Bytes    int64
	Turn     *HeldTurn // of the first leg, where its tier picks by turns

	used bool // under the Quotes' lock
}

// QuoteLeg is one bid behind a quote.
type QuoteLeg struct {
	Contract *exchange.Contract // as of the ping
	Bid      exchange.Money
	Payout   exchange.Money
	Token    string
	Expires  time.Time // when the bid itself ends; zero: with the quote
}

type refKey struct {
	seller exchange.SellerID
	ref    string
}

// Quotes holds the live quotes within a stated number of bytes. Safe for
// concurrent use; its lock is its own, so that pings never wait for the journal.
type Quotes struct {
	mu       sync.Mutex
	byPing   map[exchange.PingID]*Quote
	byRef    map[refKey]*Quote
	byExpiry map[int64][]*Quote // by second since first after which they are gone
	first    time.Time          // when the first quote was opened: seconds of the wall clock may jump
	bytes    int64
	bytesMax int64
}

// NewQuotes returns an empty room for quotes of at most bytesMax bytes.
func NewQuotes(bytesMax int64) *Quotes {
	return &Quotes{
		byPing: make(map[exchange.PingID]*Quote), byRef: make(map[refKey]*Quote),
		byExpiry: make(map[int64][]*Quote), bytesMax: bytesMax,
	}
}

// Full tells whether another quote may not fit.
func (q *Quotes) Full() bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.bytes >= q.bytesMax
}

// Open keeps a quote until it expires. Of two with one ref the later one answers repeats.
func (q *Quotes) Open(quote *Quote) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.byPing[quote.PingID] = quote
	if quote.Ref != "" {
		q.byRef[refKey{quote.Campaign.Seller.ID, quote.Ref}] = quote
	}
	if q.first.IsZero() {
		q.first = quote.Opened
	}
	end := q.secondOf(quote.Expires) + 1
	q.byExpiry[end] = append(q.byExpiry[end], quote)
	q.bytes += quote.Bytes
}

// Get returns the quote of a ping, nil if it is not live at now.
func (q *Quotes) Get(ping exchange.PingID, now time.Time) *Quote {
	q.mu.Lock()
	defer q.mu.Unlock()
	quote := q.byPing[ping]
	if quote == nil || !now.Before(quote.Expires) {
		return nil
	}
	return quote
}

// Use notes that a quote was posted. Whoever calls it holds the ping's claim.
func (q *Quotes) Use(quote *Quote) {
	q.mu.Lock()
	defer q.mu.Unlock()
	quote.used = true
}

// Used tells whether a quote was posted.
func (q *Quotes) Used(quote *Quote) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	return quote.used
}

// ByRef returns the live quote that a seller's ref opened and that was not posted, nil if there is none.
func (q *Quotes) ByRef(seller exchange.SellerID, ref string, now time.Time) *Quote {
	q.mu.Lock()
	defer q.mu.Unlock()
	quote := q.byRef[refKey{seller, ref}]
	if quote == nil || quote.used || !now.Before(quote.Expires) {
		return nil
	}
	return quote
}

// Sweep forgets every quote that expired before now.
func (q *Quotes) Sweep(now time.Time) {
	q.mu.Lock()
	defer q.mu.Unlock()
	until := q.secondOf(now)
	for end, quotes := range q.byExpiry {
		if end > until {
			continue
		}
		for _, quote := range quotes {
			delete(q.byPing, quote.PingID)
			quote.Turn.Release()
			key := refKey{quote.Campaign.Seller.ID, quote.Ref}
			if q.byRef[key] == quote {
				delete(q.byRef, key)
			}
			q.bytes -= quote.Bytes
		}
		delete(q.byExpiry, end)
	}
}

func (q *Quotes) secondOf(t time.Time) int64 { return int64(t.Sub(q.first) / time.Second) }

// Size returns how many quotes are kept and how many bytes they take.
func (q *Quotes) Size() (count int, bytes int64) {
	q.mu.Lock()
	defer q.mu.Unlock()
	return len(q.byPing), q.bytes
}
