package book

import (
	"strings"
	"sync"
	"time"

	"vendue/exchange"
)

// Quote is our price promise to a seller. It is immutable once opened; that it
// was used is the Quotes' to know.
type Quote struct {
	PingID   exchange.PingID
	Market   *exchange.Market // as of the ping, as are the campaign and the legs' contracts
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
	Told     int64     // Expires as the wall clock showed it at the ping, for telling: Unix nanoseconds
	Turn     *HeldTurn // of the first leg, where its tier picks by turns
}

// QuoteLeg is one bid behind a quote.
type QuoteLeg struct {
	Contract  *exchange.Contract // as of the ping
	Bid       exchange.Money
	Payout    exchange.Money
	Token     string
	ExpiresIn time.Duration // when the bid itself ends, from the quote's opening; 0: with the quote
}

// Lapsed tells whether a bid behind a quote has ended by itself.
func (q *Quote) Lapsed(leg *QuoteLeg, now time.Time) bool {
	return leg.ExpiresIn > 0 && !now.Before(q.Opened.Add(leg.ExpiresIn))
}

type refKey struct {
	seller exchange.SellerID
	ref    string
}

// Quotes holds the live quotes within a stated number of bytes. Safe for
// concurrent use; its lock is its own, so that pings never wait for the journal.
//
// A quote is kept as bytes, in a page with those that expire in the same second,
// and is read again by the few requests that come back to it. Neither the index
// nor the bytes hold a pointer. Kept as they were made, with values, legs and the
// request's body, a quote was five times as large, and the collector walked all
// of them: with 100,000 alive that was a tenth of what a ping costs.
type Quotes struct {
	mu       sync.Mutex
	byPing   map[exchange.PingID]place
	byRef    map[refKey]exchange.PingID
	pages    map[int64]*page // by second since first after which its quotes are gone
	first    time.Time       // when the first quote was opened: seconds of the wall clock may jump
	bytes    int64
	bytesMax int64
	scratch  sync.Pool // of *[]byte: a quote being written
}

// place is where a quote is.
type place struct {
	expires   time.Duration // since first
	chunk, at uint32        // in its page
	bytes     uint32
	terms     uint32 // in its page
	used      bool
}

// NewQuotes returns an empty room for quotes of at most bytesMax bytes.
func NewQuotes(bytesMax int64) *Quotes {
	return &Quotes{
		byPing: make(map[exchange.PingID]place), byRef: make(map[refKey]exchange.PingID), pages: make(map[int64]*page), bytesMax: bytesMax,
		scratch: sync.Pool{New: func() any { return new([]byte) }},
	}
}

// Full tells whether another quote may not fit.
func (q *Quotes) Full() bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.bytes >= q.bytesMax
}

// Open keeps a quote until it expires. Of two with one ref the later one answers
// repeats. It keeps nothing of what quote points to but the market, the campaign,
// the turn, and contracts that are not the market's.
func (q *Quotes) Open(quote *Quote) {
	buf := q.scratch.Get().(*[]byte)
	*buf = appendQuote((*buf)[:0], quote)
	q.open(quote, *buf)
	q.scratch.Put(buf)
}

func (q *Quotes) open(quote *Quote, record []byte) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.first.IsZero() {
		q.first = quote.Opened
	}
	expires := quote.Expires.Sub(q.first)
	end := endOf(expires)
	p := q.pages[end]
	if p == nil {
		p = &page{numbers: make(map[terms]uint32)}
		q.pages[end] = p
	}
	at, size := p.add(quote, record)
	at.expires = expires
	q.byPing[quote.PingID] = at
	if quote.Ref != "" {
		key := refKey{quote.Campaign.Seller.ID, strings.Clone(quote.Ref)}
		q.byRef[key] = quote.PingID
		p.refs = append(p.refs, key)
		size += int64(refBytes + len(quote.Ref))
	}
	p.bytes += size
	q.bytes += size
}

// Get returns the quote of a ping, nil if it is not live at now.
func (q *Quotes) Get(ping exchange.PingID, now time.Time) *Quote {
	k, ok := q.find(ping, now)
	if !ok {
		return nil
	}
	return k.quote()
}

// find returns what is kept of a ping's quote, if it is live at now. It is read once the lock is let go.
func (q *Quotes) find(ping exchange.PingID, now time.Time) (kept, bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	at, ok := q.byPing[ping]
	if !ok || now.Sub(q.first) >= at.expires {
		return kept{}, false
	}
	return q.pages[endOf(at.expires)].find(ping, at, q.first), true
}

// Use notes that a quote was posted. Whoever calls it holds the ping's claim.
func (q *Quotes) Use(ping exchange.PingID) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if at, ok := q.byPing[ping]; ok {
		at.used = true
		q.byPing[ping] = at
	}
}

// Used tells whether a quote was posted, or is gone: whoever waited for the
// ping's claim until then has to ask the journal which.
func (q *Quotes) Used(ping exchange.PingID) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	at, ok := q.byPing[ping]
	return !ok || at.used
}

// ByRef returns the live quote that a seller's ref opened and that was not posted, nil if there is none.
func (q *Quotes) ByRef(seller exchange.SellerID, ref string, now time.Time) *Quote {
	q.mu.Lock()
	ping, ok := q.byRef[refKey{seller, ref}]
	ok = ok && !q.byPing[ping].used
	q.mu.Unlock()
	if !ok {
		return nil
	}
	return q.Get(ping, now)
}

// Sweep forgets every quote that expired before now.
func (q *Quotes) Sweep(now time.Time) {
	q.mu.Lock()
	defer q.mu.Unlock()
	until := int64(now.Sub(q.first) / time.Second)
	for end, p := range q.pages {
		if end > until {
			continue
		}
		for _, ping := range p.pings {
			delete(q.byPing, ping)
		}
		for _, key := range p.refs {
			if _, lives := q.byPing[q.byRef[key]]; !lives { // else a later quote has the ref
				delete(q.byRef, key)
			}
		}
		for _, x := range p.extras {
			x.turn.Release()
		}
		q.bytes -= p.bytes
		delete(q.pages, end)
	}
}

// endOf is the page of quotes that expire then: the first second after which they are gone.
func endOf(expires time.Duration) int64 { return int64(expires/time.Second) + 1 }

// Size returns how many quotes are kept and how many bytes they take.
func (q *Quotes) Size() (count int, bytes int64) {
	q.mu.Lock()
	defer q.mu.Unlock()
	return len(q.byPing), q.bytes
}
