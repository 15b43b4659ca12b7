package world

import (
	"net"
	"sync"
	"sync/atomic"
	"time"

	"github.com/tidwall/gjson"
	"github.com/valyala/fasthttp"

	"vendue/exchange"
)

// Told is what a buyer let the exchange know of its verdict.
type Told string

// What a buyer may tell.
const (
	ToldAnswer  Told = "answer"  // a readable verdict was written
	ToldReset   Told = "reset"   // the connection was reset after the whole body
	ToldHang    Told = "hang"    // nothing was ever written
	ToldGarbage Told = "garbage" // something unreadable was written
	ToldDown    Told = "down"    // an HTTP error was written
)

// Receipt is a buyer's own record of one post.
type Receipt struct {
	Buyer    string         `json:"buyer"`
	Contract string         `json:"contract"`
	LeadID   string         `json:"lead_id"`
	BidID    string         `json:"bid_id"`
	Key      string         `json:"key"` // the Idempotency-Key
	Price    exchange.Money `json:"price"`
	Accepted bool           `json:"accepted"`
	Told     Told           `json:"told"`
	Test     bool           `json:"test,omitempty"`
	Repeats  int            `json:"repeats,omitempty"` // further posts with the same key
	Phone    string         `json:"phone,omitempty"`
}

// BuyerCounts is what a buyer saw so far.
type BuyerCounts struct {
	Pings, Bids, Posts, Accepted, Refused, Untold int64
}

// Buyer is a simulated buyer: POST /ping and /post in the native format, GET
// /status?bid=.. for what it booked of a leg, GET /receipts for its books as JSON lines.
//
// States: new, serving (Start), closed (Close). The manner is swapped as one
// pointer; mu guards receipts, byKey and kept, and a key has one receipt.
type Buyer struct {
	Name   string
	seed   uint64
	manner atomic.Pointer[Manner]
	server server
	began  time.Time

	pings, bids, posts, asked atomic.Int64

	mu       sync.Mutex
	receipts []Receipt
	byKey    map[string]int
	kept     [][]byte
}

// NewBuyer returns a buyer that behaves by m; two with the same seed fare the same.
func NewBuyer(name string, seed uint64, m Manner) *Buyer {
	b := &Buyer{Name: name, seed: seed, byKey: make(map[string]int)}
	b.manner.Store(&m)
	return b
}

// Start serves on ln, which the buyer then owns, until Close.
func (b *Buyer) Start(ln net.Listener) {
	b.began = time.Now()
	b.server.start(ln, b.handle)
}

// Close ends every connection and waits.
func (b *Buyer) Close() { b.server.close() }

// URL returns the address of one of the buyer's paths, such as "/ping".
func (b *Buyer) URL(path string) string { return "http://" + b.server.ln.Addr().String() + path }

// SetManner changes how the buyer behaves from the next request on.
func (b *Buyer) SetManner(m Manner) { b.manner.Store(&m) }

// Receipts returns a copy of the buyer's records, oldest first.
func (b *Buyer) Receipts() []Receipt {
	b.mu.Lock()
	defer b.mu.Unlock()
	return append([]Receipt(nil), b.receipts...)
}

// Kept returns the raw bodies received while the manner said Keep.
func (b *Buyer) Kept() [][]byte {
	b.mu.Lock()
	defer b.mu.Unlock()
	return append([][]byte(nil), b.kept...)
}

// Counts returns what the buyer saw so far.
func (b *Buyer) Counts() BuyerCounts {
	c := BuyerCounts{Pings: b.pings.Load(), Bids: b.bids.Load(), Posts: b.posts.Load()}
	b.mu.Lock()
	defer b.mu.Unlock()
	for i := range b.receipts {
		switch r := &b.receipts[i]; {
		case r.Told != ToldAnswer:
			c.Untold++
		case r.Accepted:
			c.Accepted++
		default:
			c.Refused++
		}
	}
	return c
}

func (b *Buyer) handle(ctx *fasthttp.RequestCtx) {
	m := b.manner.Load()
	switch path := string(ctx.Path()); path {
	case "/receipts":
		writeLines(ctx, b.Receipts())
	case "/status":
		b.status(ctx, m)
	case "/ping", "/post":
		if m.Keep {
			b.keep(ctx.PostBody())
		}
		if path == "/ping" {
			b.ping(ctx, m)
		} else {
			b.post(ctx, m)
		}
	default:
		ctx.SetStatusCode(fasthttp.StatusNotFound)
	}
}

func (b *Buyer) keep(body []byte) {
	b.mu.Lock()
	b.kept = append(b.kept, append([]byte(nil), body...))
	b.mu.Unlock()
}

// down tells whether a flapping buyer is down just now, and says so if it is.
func (b *Buyer) down(ctx *fasthttp.RequestCtx, m *Manner) bool {
	if m.Up <= 0 || time.Since(b.began)%(m.Up+m.Down) < m.Up {
		return false
	}
	status := m.DownStatus
	if status == 0 {
		status = fasthttp.StatusServiceUnavailable
	}
	ctx.SetStatusCode(status)
	return true
}

func (b *Buyer) ping(ctx *fasthttp.RequestCtx, m *Manner) {
	r := newDice(b.seed, uint64(b.pings.Add(1)))
	hang, garble, decline := r.hits(m.HangPings), r.hits(m.GarblePings), r.hits(m.NoBid)
	amount := m.bid(&r)
	switch {
	case b.down(ctx, m):
		return
	case hang:
		b.server.drop(ctx, true)
		return
	case !b.server.wait(m.PingDelay.draw(&r)):
		b.server.drop(ctx, false)
		return
	case garble:
		ctx.SetBodyString("<html><body>Service is busy</body></html>")
		return
	case decline || amount == 0:
		ctx.SetStatusCode(fasthttp.StatusNoContent)
		return
	}
	b.bids.Add(1)
	body := append(make([]byte, 0, 64), `{"bid":`...)
	body = amount.Append(body)
	if m.ExpiresIn > 0 {
		body = append(body, `,"expires_in":`...)
		body = appendInt(body, m.ExpiresIn)
	}
	body = append(body, `,"token":"t`...)
	body = appendInt(body, int(b.bids.Load()))
	body = append(body, `"}`...)
	ctx.SetContentType("application/json")
	ctx.SetBody(body)
}

func (b *Buyer) post(ctx *fasthttp.RequestCtx, m *Manner) {
	r := newDice(^b.seed, uint64(b.posts.Add(1)))
	told, refuse := ToldAnswer, r.hits(m.RefusePosts)
	switch {
	case r.hits(m.ResetPosts):
		told = ToldReset
	case r.hits(m.HangPosts):
		told = ToldHang
	case r.hits(m.GarblePosts):
		told = ToldGarbage
	}
	delay := m.PostDelay.draw(&r)
	if b.down(ctx, m) {
		// A buyer that is down takes nothing.
		told, refuse = ToldDown, true
	}
	receipt := b.book(ctx, told, !refuse)
	if told != ToldDown && !b.server.wait(delay) {
		b.server.drop(ctx, false)
		return
	}
	switch told {
	case ToldDown:
	case ToldReset, ToldHang:
		b.server.drop(ctx, told == ToldHang)
	case ToldGarbage:
		ctx.SetBodyString("<html><body>Thank you!</body></html>")
	default:
		b.answer(ctx, receipt)
	}
}

// book records the post; a repeat of a key finds its first verdict.
func (b *Buyer) book(ctx *fasthttp.RequestCtx, told Told, accepted bool) Receipt {
	body := ctx.PostBody()
	got := gjson.GetManyBytes(body, "lead_id", "bid_id", "price", "contract", "test", "lead.phone")
	price, err := exchange.ParseMoney(got[2].Raw)
	if err != nil {
		price = -1 // no sale has this price: the books will not agree
	}
	key := string(ctx.Request.Header.Peek("Idempotency-Key"))
	if key == "" {
		key = "none:" + got[1].String()
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if i, ok := b.byKey[key]; ok {
		b.receipts[i].Repeats++
		return b.receipts[i]
	}
	b.byKey[key] = len(b.receipts)
	// gjson's strings are copies already: GetManyBytes does not alias the body.
	b.receipts = append(b.receipts, Receipt{
		Buyer: b.Name, Contract: got[3].String(), LeadID: got[0].String(), BidID: got[1].String(), Key: key,
		Price: price, Accepted: accepted, Told: told, Test: got[4].Bool(), Phone: got[5].String(),
	})
	return b.receipts[len(b.receipts)-1]
}

func (b *Buyer) answer(ctx *fasthttp.RequestCtx, r Receipt) {
	ctx.SetContentType("application/json")
	if !r.Accepted {
		ctx.SetBodyString(`{"accepted":false,"reason":"not_wanted"}`)
		return
	}
	ctx.SetBodyString(`{"accepted":true,"id":"` + b.Name + "-" + r.BidID + `","redirect_url":"https://` + b.Name + `.example.com/welcome"}`)
}
