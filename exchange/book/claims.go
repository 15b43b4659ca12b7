package book

import (
	"sync"
	"sync/atomic"
	"time"

	"vendue/exchange"
)

// ClaimKind keeps claims on different things apart.
type ClaimKind uint8

// The kinds.
const (
	ClaimKey    ClaimKind = iota + 1 // an Idempotency-Key
	ClaimPing                        // a ping being posted
	ClaimPerson                      // a person being sold
	ClaimLead                        // a lead being settled
	ClaimRef                         // a seller's ref being pinged
)

// Claim names one thing that only one request at a time may work on. Text holds an id's or a fingerprint's bytes.
type Claim struct {
	Kind ClaimKind
	Text [20]byte
}

// ClaimOf returns the claim on a fingerprint.
func ClaimOf(kind ClaimKind, f exchange.Fingerprint) (c Claim) {
	c.Kind = kind
	copy(c.Text[:], f[:])
	return c
}

// Claims says which requests are working on what. Whoever holds a claim is
// alone with that key, ping or person from before it looks into the store until
// its events are visible there; so a look-up needs no lock of the journal.
// Safe for concurrent use.
type Claims struct {
	mu   sync.Mutex
	held map[Claim]chan struct{} // the channel is made when somebody waits
}

// NewClaims returns an empty set.
func NewClaims() *Claims { return &Claims{held: make(map[Claim]chan struct{})} }

// Try takes the claim if nobody has it.
func (c *Claims) Try(claim Claim) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if _, taken := c.held[claim]; taken {
		return false
	}
	c.held[claim] = nil
	return true
}

// TryOrWatch takes the claim, or returns a channel that closes when its holder lets it go.
func (c *Claims) TryOrWatch(claim Claim) (released <-chan struct{}, taken bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	ch, held := c.held[claim]
	if !held {
		c.held[claim] = nil
		return nil, true
	}
	if ch == nil {
		ch = make(chan struct{})
		c.held[claim] = ch
	}
	return ch, false
}

// Release lets a held claim go.
func (c *Claims) Release(claim Claim) {
	c.mu.Lock()
	defer c.mu.Unlock()
	ch, held := c.held[claim]
	if !held {
		panic("BUG: release of a claim that nobody holds")
	}
	if ch != nil {
		close(ch)
	}
	delete(c.held, claim)
}

// Rate admits so many requests per second, with a burst of one second's worth.
// It keeps one number: when the next request would be due at an even pace. Safe for concurrent use.
type Rate struct{ due atomic.Int64 }

// Allow tells whether one more request is within perSecond; zero or less means
// no limit. now counts from some instant of the process: a wall clock that is set
// back would have sellers wait for it.
func (r *Rate) Allow(perSecond int, now time.Duration) bool {
	if perSecond <= 0 {
		return true
	}
	step := int64(time.Second) / int64(perSecond)
	t := int64(now)
	for {
		due := r.due.Load()
		from := max(due, t)
		if from+step-t > int64(time.Second) {
			return false
		}
		if r.due.CompareAndSwap(due, from+step) {
			return true
		}
	}
}
