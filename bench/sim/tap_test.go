package sim

import (
	"bytes"
	"fmt"
	"net"
	"strings"
	"sync"
	"time"

	"github.com/tidwall/gjson"

	"vendue/exchange"
)

// witness sees what passes on the wires of sellers and buyers, and keeps what
// their own books leave out: quotes, bids, and how long answers took.
//
// mu guards all of it.
type witness struct {
	mu     sync.Mutex
	quotes map[string]exchange.Money          // what a ping's seller was quoted
	bids   map[bidKey]map[exchange.Money]bool // what a contract bid, by ping
	late   []string
	asked  int
}

type bidKey struct{ ping, contract string }

func newWitness() *witness {
	return &witness{quotes: make(map[string]exchange.Money), bids: make(map[bidKey]map[exchange.Money]bool)}
}

// answerSlack is how much later than promised an answer may come: syncs take time here, code does not.
const answerSlack = 25 * time.Millisecond

// answerMax says by when a request is answered.
func answerMax(path string, postWait time.Duration) time.Duration {
	switch {
	case strings.HasPrefix(path, "POST /v1/ping"):
		return windowMax
	case strings.HasPrefix(path, "POST /v1/post"):
		return postWait
	case strings.HasPrefix(path, "POST /v1/direct"):
		return windowMax + postWait
	default:
		return time.Second
	}
}

// sellerWire is a seller's connection under witness: one request at a time.
type sellerWire struct {
	net.Conn
	w     *witness
	wait  time.Duration // the campaign's post_wait
	path  string
	at    time.Time
	reply []byte
}

// Write notes a new request.
func (c *sellerWire) Write(p []byte) (int, error) {
	if c.at.IsZero() || len(c.reply) > 0 {
		c.path, c.at, c.reply = string(p[:max(0, bytes.IndexByte(p, '\r'))]), time.Now(), nil
	}
	return c.Conn.Write(p)
}

// Read notes the answer.
func (c *sellerWire) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	if n == 0 || c.at.IsZero() {
		return n, err
	}
	if len(c.reply) == 0 {
		c.w.answered(c.path, time.Since(c.at), answerMax(c.path, c.wait))
	}
	c.reply = append(c.reply, p[:n]...)
	if _, body, ok := bytes.Cut(c.reply, []byte("\r\n\r\n")); ok && strings.HasPrefix(c.path, "POST /v1/ping") && gjson.ValidBytes(body) {
		c.w.quoted(gjson.GetBytes(body, "ping_id").Str, gjson.GetBytes(body, "price").Raw)
	}
	return n, err
}

func (w *witness) answered(path string, took, most time.Duration) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.asked++
	if took > most+answerSlack {
		w.late = append(w.late, fmt.Sprintf("I6: %s was answered after %s, want %s at most", path, took, most))
	}
}

func (w *witness) quoted(ping, price string) {
	m, err := exchange.ParseMoney(price)
	if ping == "" || err != nil {
		return
	}
	w.mu.Lock()
	w.quotes[ping] = m
	w.mu.Unlock()
}

// buyerWire is a buyer's connection under witness.
type buyerWire struct {
	net.Conn
	w   *witness
	req []byte
}

// Read notes what the exchange asks.
func (c *buyerWire) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	c.req = append(c.req, p[:n]...)
	return n, err
}

// Write notes what the buyer answers.
func (c *buyerWire) Write(p []byte) (int, error) {
	if bytes.HasPrefix(c.req, []byte("POST /ping")) {
		_, asked, _ := bytes.Cut(c.req, []byte("\r\n\r\n"))
		_, body, _ := bytes.Cut(p, []byte("\r\n\r\n"))
		if m, err := exchange.ParseMoney(gjson.GetBytes(body, "bid").Raw); err == nil {
			c.w.bid(bidKey{gjson.GetBytes(asked, "ping_id").Str, gjson.GetBytes(asked, "contract").Str}, m)
		}
	}
	c.req = c.req[:0]
	return c.Conn.Write(p)
}

func (w *witness) bid(k bidKey, m exchange.Money) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.bids[k] == nil {
		w.bids[k] = make(map[exchange.Money]bool)
	}
	w.bids[k][m] = true
}
