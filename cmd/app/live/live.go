package live

import (
	"strings"
	"sync"
	"time"

	"vendue/exchange"
)

// Limits of what is kept and shown.
const (
	ringSeconds  = 10*60 + 8 // ten minutes, the second that runs, and the steps' remainder
	contractsMax = 10_000    // rows kept; the contracts that come after share one
	rowsShownMax = 1_000     // rows in one answer, the busiest first
	capsShownMax = 500       // caps in one answer, the fullest first
)

// othersRow is the row that contracts share once there are contractsMax others.
const othersRow exchange.ContractID = "(others)"

// Sources is where the page finds what Live does not gather itself. Each is
// called once per answer, never under a lock of Live's; a nil one reads as nothing.
type Sources struct {
	Caps      func() []Cap
	InDoubt   func() (count int, value exchange.Money)     // attempts whose outcome is unknown, and their bids
	Doubtful  func() (oldest time.Duration, conflicts int) // how old the oldest of them is, and the verdicts against one that stands that nobody closed
	Postbacks func() Postbacks
	Journal   func() Journal
	Config    func() Config
	Ready     func() string    // "", or why the house is not ready
	Now       func() time.Time // nil: time.Now
}

// Cap is how the latest window of a cap stands, in leads or micro-units.
type Cap struct {
	ID        string // OWNER/NAME/PER/UNIT
	Per       string // hour, day, week, month or total
	Unit      string // leads or spend
	Limit     int64
	Held      int64 // reserved for attempts in flight or in doubt
	Committed int64
	Start     time.Time // of the window; zero if it has none, or nothing has counted in it yet
}

// Postbacks is how the notices to affiliates stand, and what was earned.
type Postbacks struct {
	Waiting    int64          `json:"waiting"`
	Delivered  int64          `json:"delivered"`
	Dead       int64          `json:"dead"`
	NotSent    int64          `json:"not_sent"`   // lacked a value that they needed
	Disabled   int64          `json:"disabled"`   // notices that their trackers switched off
	Unbalanced int64          `json:"unbalanced"` // by how much sold legs and credits, or postbacks and their ends, disagree: zero
	Credits    int64          `json:"credits"`
	Commission exchange.Money `json:"commission"`
}

// Journal is how far the journal is written, and how far it is on disk.
type Journal struct {
	Seq     uint64 `json:"seq"`
	Durable uint64 `json:"durable"`
}

// Config is what the page shows of the config that decides now.
type Config struct {
	Hash      string
	Currency  string // ISO 4217
	Contracts []ContractInfo
}

// ContractInfo names a contract of the config.
type ContractInfo struct {
	ID    exchange.ContractID
	Buyer exchange.BuyerID
}

// Counts is what some span of time brought. Leads = Sold + Unsold + Pending:
// each lead counts once, when its seller is answered for good or is told that
// it is pending; one that was offered a price and never posted does not count.
type Counts struct {
	Auctions int64          `json:"auctions"` // pings and directs that were cleared
	Quoted   int64          `json:"quoted"`   // of those, with a price
	Leads    int64          `json:"leads"`
	Sold     int64          `json:"sold"`
	Unsold   int64          `json:"unsold"`
	Pending  int64          `json:"pending"`
	Revenue  exchange.Money `json:"revenue"` // bids of accepted attempts
	Payout   exchange.Money `json:"payout"`  // of that, to sellers
}

// Margin is the house's part of the revenue.
func (c *Counts) Margin() exchange.Money { return c.Revenue - c.Payout }

func (c *Counts) add(o *Counts) {
	c.Auctions += o.Auctions
	c.Quoted += o.Quoted
	c.Leads += o.Leads
	c.Sold += o.Sold
	c.Unsold += o.Unsold
	c.Pending += o.Pending
	c.Revenue += o.Revenue
	c.Payout += o.Payout
}

// tally is what one span of time is told by: a second of the ring, a step of a plot, all since the start.
type tally struct {
	Counts
	reasons [exchange.ReasonCount]int64 // of unsold leads
	ping    hist                        // arrival of a ping to its answer
	post    hist                        // arrival of a post or direct to its answer
}

func (t *tally) merge(o *tally) {
	t.add(&o.Counts)
	for i, n := range o.reasons {
		t.reasons[i] += n
	}
	t.ping.merge(&o.ping)
	t.post.merge(&o.post)
}

// unsold counts a lead that ended without a sale.
func (t *tally) unsold(reason exchange.Reason) {
	t.Leads++
	t.Unsold++
	t.reasons[min(reason, exchange.ReasonCount-1)]++
}

// second is one slot of the ring. It belongs to second number n since the start, -1 to none.
type second struct {
	n int64
	tally
}

// Live gathers figures. It is safe for concurrent use. Leads of test mode are counted apart and nowhere else.
//
// One lock guards all of it. An auction of ten candidates holds it for a
// quarter of a microsecond; whoever reads takes it for one row or one step of a
// plot at a time, which is no longer. Atomic counters were considered instead:
// an auction touches thirty, all of them shared by every core, and no reader
// could tell a consistent sum.
//
// Time is the number of seconds since New. It never runs backwards: when the
// clock does, time stands still for that instant and goes on from there, so
// nothing counted is lost or counted into a second long past.
type Live struct {
	sources Sources
	page    page

	mu      sync.Mutex
	base    time.Time     // where time counts from; moved when the clock steps back
	latest  time.Duration // the time last read
	ring    []second      // second n stands in slot n % len
	total   tally         // since the start
	tests   int64
	rows    map[exchange.ContractID]*row
	seen    []*row  // the same rows, only ever appended to
	answers answers // has a lock of its own, taken before mu
}

// New returns a Live whose time begins now.
func New(s Sources) *Live {
	if s.Now == nil {
		s.Now = time.Now
	}
	l := &Live{sources: s, page: newPage(), base: s.Now(), ring: make([]second, ringSeconds), rows: map[exchange.ContractID]*row{}}
	for i := range l.ring {
		l.ring[i].n = -1
	}
	return l
}

// timeLocked reads the clock and returns the time since the start.
func (l *Live) timeLocked() time.Duration {
	d := l.sources.Now().Sub(l.base)
	if d < l.latest {
		l.base = l.base.Add(d - l.latest)
		d = l.latest
	}
	l.latest = d
	return d
}

// secondLocked returns the tally of the second that runs.
func (l *Live) secondLocked() *tally {
	n := int64(l.timeLocked() / time.Second)
	s := &l.ring[n%ringSeconds]
	if s.n != n {
		*s = second{n: n}
	}
	return &s.tally
}

// rowLocked returns the row of a contract, making one at first sight.
func (l *Live) rowLocked(id exchange.ContractID) *row {
	if r := l.rows[id]; r != nil {
		return r
	}
	if len(l.rows) >= contractsMax && id != othersRow {
		return l.rowLocked(othersRow)
	}
	id = exchange.ContractID(strings.Clone(string(id)))
	r := &row{ContractRow: ContractRow{Contract: id}}
	l.rows[id], l.seen = r, append(l.seen, r)
	return r
}

// Auction counts one finished ping or direct. It keeps nothing of a and allocates only at first sight of a contract.
func (l *Live) Auction(a *exchange.Auction) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if a.Test {
		if !a.Direct {
			l.tests++ // a direct is told of again by its attempt
		}
		return
	}
	now := l.secondLocked()
	now.auction(a)
	l.total.auction(a)
	for i := range a.Candidates {
		c := &a.Candidates[i]
		l.rowLocked(c.Name).candidate(c)
	}
}

func (t *tally) auction(a *exchange.Auction) {
	t.Auctions++
	if a.Reason == exchange.ReasonNone {
		t.Quoted++
	}
	if a.Direct {
		return // its attempt says how long its seller waited, and how it ended
	}
	t.ping.add(time.Duration(a.Elapsed))
	if a.Reason != exchange.ReasonNone {
		t.unsold(a.Reason)
	}
}

// Attempt counts one finished attempt to post a lead, or a lead refused before any (Attempt 0). It keeps nothing of a.
func (l *Live) Attempt(a *exchange.Attempt) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if a.Test {
		if a.Status != exchange.LeadOpen {
			l.tests++
		}
		return
	}
	now := l.secondLocked()
	now.attempt(a)
	l.total.attempt(a)
	if a.Attempt > 0 {
		l.rowLocked(a.Contract).attempt(a)
	}
}

func (t *tally) attempt(a *exchange.Attempt) {
	if a.Outcome == exchange.OutcomeAccepted {
		t.Revenue += a.Bid
		t.Payout += a.Payout
	}
	switch a.Status {
	case exchange.LeadOpen:
		return // the lead goes on to another buyer
	case exchange.LeadSold:
		t.Leads++
		t.Sold++
	case exchange.LeadPending:
		t.Leads++
		t.Pending++
	default:
		t.unsold(a.LeadReason)
	}
	t.post.add(time.Duration(a.Elapsed))
}
