package bidder

import (
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"vendue/bidder/adapters"
	"vendue/bidder/gate"
	"vendue/exchange"
)

// Bidder speaks to the buyers of one accepted config. It is immutable but for
// its contracts' guesses of how fast they answer, and safe for concurrent use.
// A reload makes another; both may be used until the old one's last auction ends.
type Bidder struct {
	t         *Transport
	contracts []*contract
}

// contract is one contract, compiled.
type contract struct {
	terms   *exchange.Contract
	adapter adapters.Adapter
	shares  bool         // the adapter tells several contracts the same
	ping    [2]*endpoint // live and test; nil: not pinged
	post    [2]*endpoint
	status  [2]*inquiry // nil: the buyer has no status URL
	secret  []byte
	ms      *contractMetrics
	rules   *gate.Rules
	gate    *gate.State  // the contract's, kept over reloads
	buyer   *gate.State  // of all of its buyer's contracts; nil: their pings have no limits
	limits  *gate.Limits // the buyer's
	pace    atomic.Int64 // how long an answer usually takes, nanoseconds; 0: none came yet
}

// New compiles a config. All faults are returned at once, each naming the
// contract and the field. The transport begins to connect to new buyers.
func New(cfg Config, t *Transport) (*Bidder, error) {
	b := &Bidder{t: t, contracts: make([]*contract, len(cfg.Contracts))}
	natives := make(map[*exchange.Vertical]adapters.Adapter)
	var faults []error
	for i := range cfg.Contracts {
		from := &cfg.Contracts[i]
		if from.Terms == nil || from.Terms.Index != i {
			return nil, fmt.Errorf("BUG: contract %d of the bidder's config is not contract %d of the market", i, i)
		}
		c, err := compileWith(natives, from, t)
		if err != nil {
			faults = append(faults, err)
		}
		c.keepGate(from, t)
		b.contracts[i] = c
		if cfg.Breathe != nil {
			cfg.Breathe()
		}
	}
	if len(faults) > 0 {
		return nil, errors.Join(faults...)
	}
	return b, nil
}

// compileWith picks the contract's adapter. Contracts that share the native one share the work of an ask.
func compileWith(natives map[*exchange.Vertical]adapters.Adapter, from *Contract, t *Transport) (*contract, error) {
	if from.Dialect != nil {
		return compile(from, from.Dialect, t)
	}
	a := natives[from.Terms.Vertical]
	if a == nil {
		var err error
		if a, err = adapters.New("", from.Terms.Vertical); err != nil {
			return nil, fmt.Errorf("contract %s: %w", from.Terms.ID, err)
		}
		natives[from.Terms.Vertical] = a
	}
	return compile(from, a, t)
}

func compile(from *Contract, adapter adapters.Adapter, t *Transport) (*contract, error) {
	c := &contract{terms: from.Terms, adapter: adapter, shares: from.Dialect == nil, secret: from.Secret, ms: t.metricsOf(from.Terms.ID, from.Dialect != nil)}
	if from.Dialect != nil {
		return c, c.compileSpoken(from, t)
	}
	var faults []error
	both := func(phase string, e Endpoint) (ends [2]*endpoint) {
		urls := [2]string{e.URL, e.TestURL}
		if urls[1] == "" {
			urls[1] = urls[0]
		}
		for i, u := range urls {
			if u == "" {
				continue
			}
			if i == 1 && u == urls[0] {
				ends[1] = ends[0]
				continue
			}
			end, err := newEndpoint(t, u, e.Headers, adapter.ContentType())
			if err != nil {
				faults = append(faults, fmt.Errorf("contract %s: %s: %w", from.Terms.ID, phase, err))
			}
			ends[i] = end
		}
		return ends
	}
	c.ping, c.post = both("ping", from.Ping), both("post", from.Post)
	if err := c.compileStatus(from, t); err != nil {
		faults = append(faults, err)
	}
	if c.terms.Pinged && from.Ping.URL == "" {
		faults = append(faults, fmt.Errorf("contract %s: ping: url: missing", from.Terms.ID))
	}
	if from.Post.URL == "" {
		faults = append(faults, fmt.Errorf("contract %s: post: url: missing", from.Terms.ID))
	}
	return c, errors.Join(faults...)
}

func (c *contract) compileStatus(from *Contract, t *Transport) (err error) {
	test := from.Status.TestURL
	if test == "" {
		test = from.Status.URL
	}
	for i, text := range [...]string{from.Status.URL, test} {
		if text == "" || err != nil {
			continue
		}
		if c.status[i], err = newInquiry(t, text, from.Status.Headers, c.adapter.ContentType()); err != nil {
			err = fmt.Errorf("contract %s: status: %w", from.Terms.ID, err)
		}
	}
	return err
}

// contract returns what was compiled for terms.
func (b *Bidder) contract(terms *exchange.Contract) *contract {
	if terms.Index >= len(b.contracts) || b.contracts[terms.Index].terms != terms {
		panic("BUG: contract " + string(terms.ID) + " is of another config")
	}
	return b.contracts[terms.Index]
}

// side is the place of live and test endpoints.
func side(test bool) int {
	if test {
		return 1
	}
	return 0
}

// took notes how long an answer took. Two auctions may lose one another's
// note: it is a guess, and only the order of waiting hangs on it.
func (c *contract) took(d time.Duration) {
	old := c.pace.Load()
	if old == 0 {
		c.pace.Store(int64(d))
		return
	}
	c.pace.Store(old + (int64(d)-old)/4)
}
