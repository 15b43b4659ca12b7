package world

import (
	"net"
	"sync"
	"sync/atomic"

	"github.com/valyala/fasthttp"

	"vendue/exchange"
)

// Notice is a tracker's own record of one postback.
type Notice struct {
	Path       string         `json:"path"`
	Conversion string         `json:"conversion"` // the query's conv
	LeadID     string         `json:"lead_id"`    // the query's lead
	ClickID    string         `json:"click_id"`   // the query's cid: the affiliate's own click
	Affiliate  string         `json:"affiliate"`  // the query's aff
	Event      string         `json:"event"`
	Amount     exchange.Money `json:"amount"` // below zero if it could not be read
	Status     int            `json:"status"` // what the tracker answered
}

// TrackerManner is how a tracker behaves.
type TrackerManner struct {
	Flaky float64 // share of conversions whose first postback is answered with 503
	Down  bool    // everything is answered with 503
	Delay Delay
	Hang  float64 // share of conversions whose first postback is never answered
}

// NoticeQuery is the query that a postback's URL must end in for a Tracker to read it.
const NoticeQuery = "conv={conversion_id}&lead={lead_id}&cid={aff_click_id?none}&aff={affiliate_id}&amount={payout}&event={event}"

// Tracker is a simulated affiliate network: it takes postbacks on any path and
// keeps a Notice of each, also of those it answered with an error. GET
// /receipts gives them as JSON lines.
//
// States and locking are those of Buyer.
type Tracker struct {
	seed   uint64
	manner atomic.Pointer[TrackerManner]
	server server
	count  atomic.Int64

	mu      sync.Mutex
	notices []Notice
	seen    map[string]bool // conversions told
	taken   map[string]bool // conversions answered with 200
}

// NewTracker returns a tracker that behaves by m.
func NewTracker(seed uint64, m TrackerManner) *Tracker {
	t := &Tracker{seed: seed, seen: make(map[string]bool), taken: make(map[string]bool)}
	t.manner.Store(&m)
	return t
}

// Start serves on ln, which the tracker then owns, until Close.
func (t *Tracker) Start(ln net.Listener) { t.server.start(ln, t.handle) }

// Close ends every connection and waits.
func (t *Tracker) Close() { t.server.close() }

// SetManner changes how the tracker behaves from the next postback on.
func (t *Tracker) SetManner(m TrackerManner) { t.manner.Store(&m) }

// URL returns the address of one of the tracker's paths.
func (t *Tracker) URL(path string) string { return "http://" + t.server.ln.Addr().String() + path }

// Accepted returns how many distinct conversions the tracker answered with 200.
func (t *Tracker) Accepted() int {
	t.mu.Lock()
	defer t.mu.Unlock()
	return len(t.taken)
}

// Count returns how many postbacks came.
func (t *Tracker) Count() int64 { return t.count.Load() }

// Notices returns a copy of the tracker's records, oldest first.
func (t *Tracker) Notices() []Notice {
	t.mu.Lock()
	defer t.mu.Unlock()
	return append([]Notice(nil), t.notices...)
}

func (t *Tracker) handle(ctx *fasthttp.RequestCtx) {
	if string(ctx.Path()) == "/receipts" {
		writeLines(ctx, t.Notices())
		return
	}
	m := t.manner.Load()
	r := newDice(t.seed, uint64(t.count.Add(1)))
	flaky, hang := r.hits(m.Flaky), r.hits(m.Hang)
	status := fasthttp.StatusOK
	n := readNotice(ctx)
	t.mu.Lock()
	if first := !t.seen[n.Conversion]; first {
		t.seen[n.Conversion] = true
	} else {
		flaky, hang = false, false
	}
	if flaky || m.Down {
		status = fasthttp.StatusServiceUnavailable
	}
	if status == fasthttp.StatusOK && !hang {
		t.taken[n.Conversion] = true
	}
	n.Status = status
	t.notices = append(t.notices, n)
	t.mu.Unlock()
	if hang || !t.server.wait(m.Delay.draw(&r)) {
		t.server.drop(ctx, hang)
		return
	}
	ctx.SetStatusCode(status)
	ctx.SetBodyString("OK")
}

func readNotice(ctx *fasthttp.RequestCtx) Notice {
	q := ctx.QueryArgs()
	amount, err := exchange.ParseMoney(string(q.Peek("amount")))
	if err != nil {
		amount = -1
	}
	return Notice{
		Path: string(ctx.Path()), Conversion: string(q.Peek("conv")), LeadID: string(q.Peek("lead")),
		ClickID: string(q.Peek("cid")), Affiliate: string(q.Peek("aff")), Event: string(q.Peek("event")), Amount: amount,
	}
}
