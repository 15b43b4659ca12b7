// Package adapters holds the wire formats that buyers speak. An adapter is
// pure: from a question to bytes, and from an answer's status, headers and
// body to a bid or a verdict. It is compiled once per accepted config and then
// shared by every goroutine, so it holds no state that changes.
//
// It never opens a connection, reads a clock, starts a goroutine or counts
// anything: the room above it does. It never repeats text of a buyer or a
// consumer in a detail: details are fixed words that may stand in any log.
package adapters

import (
	"fmt"
	"strings"
	"time"

	"vendue/exchange"
)

// Limits on what a buyer may say of one lead.
const (
	TokenBytesMax    = 1024
	RefBytesMax      = 256
	RedirectBytesMax = 2048
	ExpiresInMax     = 24 * time.Hour // a longer promise counts as this long
)

// Adapter is one wire format, bound to one vertical.
type Adapter interface {
	// ContentType returns the media type of the bodies that the adapter writes.
	ContentType() string
	// AppendShared appends what every contract that shares this adapter is told alike in one ask.
	AppendShared(dst []byte, ask *exchange.Ask) []byte
	// AppendPing appends the whole body for one contract; shared is what AppendShared made for the ask.
	AppendPing(dst, shared []byte, p *Ping) []byte
	// ReadPing reads the answer to a ping.
	ReadPing(r *Reply, terms *exchange.Contract) Bid
	// AppendPost appends the body that delivers the whole lead.
	AppendPost(dst []byte, d *exchange.Delivery, now time.Time) []byte
	// ReadPost reads the answer to a post.
	ReadPost(r *Reply, d *exchange.Delivery) Verdict
	// ReadStatus reads the answer of a status URL. What is not a clear verdict is none.
	ReadStatus(r *Reply) exchange.Finding
}

// Ping is one contract's part of an ask.
type Ping struct {
	Ask   *exchange.Ask
	Terms *exchange.Contract
	Tmax  time.Duration // what is left for the answer, whole milliseconds, at least one
}

// Bid is what a ping's answer says.
type Bid struct {
	Reason    exchange.Reason // ReasonNone: there is a bid; else no_bid or buyer_error
	Price     exchange.Money
	Shared    exchange.Money // of a contract that sells either way: for a place among several buyers; 0: none
	Token     string
	ExpiresIn time.Duration // 0: not said
	Detail    string        // of a buyer_error: what was wrong
	Rule      string        // of a format that is described by rules: the one that decided
}

// Verdict is what a post's answer says.
type Verdict struct {
	Outcome         exchange.Outcome // accepted, rejected or unknown
	Reason          exchange.Reason
	Ref             string // the buyer's own id of the lead
	RedirectURL     string
	RedirectDropped bool // there was one, but not one that a consumer may be sent to
	PriceChanged    bool
	Detail          string
	Rule            string // as a Bid's
}

// Reply is one whole answer. Its slices are valid only during the call they are given to.
type Reply struct {
	Status int
	Head   []byte // the header lines as they came
	Body   []byte // decoded of its transfer coding
}

// Header returns the first value of a header, "" if there is none. It allocates, and searches in turn.
func (r *Reply) Header(name string) string {
	for line := range strings.Lines(string(r.Head)) {
		key, value, ok := strings.Cut(line, ":")
		if ok && strings.EqualFold(key, name) {
			return strings.TrimSpace(value)
		}
	}
	return ""
}

// New returns the adapter of a format for a vertical. The empty name is the native format.
func New(format string, vertical *exchange.Vertical) (Adapter, error) {
	if vertical == nil {
		return nil, fmt.Errorf("expected a vertical")
	}
	switch format {
	case "", "native":
		return newNative(vertical), nil
	default:
		return nil, fmt.Errorf("format %q: expected native", format)
	}
}
