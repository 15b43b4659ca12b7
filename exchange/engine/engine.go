// Package engine owns a lead's journey through the house: ping, post, direct,
// settle, recover. It holds the one lock under which money is decided, and it
// is the only owner of goroutines in exchange.
//
// It knows the store, the buyers and whoever watches by small interfaces; it
// never speaks HTTP and never reads a config.
package engine

import (
	"context"
	"errors"
	"fmt"
	"hash/maphash"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/VictoriaMetrics/metrics"
	"github.com/rs/zerolog"

	"vendue/exchange"
	"vendue/exchange/book"
	"vendue/exchange/pingtree"
)

// Store is the durable side of the house. A look-up sees every event whose
// Append has returned, on disk or not.
type Store interface {
	// Append gives events the next sequence numbers and their order on disk. One caller at a time.
	Append(at int64, events ...exchange.Event) (last uint64, t exchange.Ticket, err error)
	// Read calls fn with up to max durable entries from seq from on, and returns the seq to go on from.
	Read(from uint64, max int, fn func(exchange.Entry) error) (next uint64, err error)
	// LeadEntries appends every event of a lead in order.
	LeadEntries(id exchange.LeadID, dst []exchange.Entry) ([]exchange.Entry, error)
	LeadByKey(idem exchange.Fingerprint) (exchange.LeadID, bool, error)
	LeadByPing(ping exchange.PingID) (exchange.LeadID, bool, error)
	// LeadsByPerson calls fn with the leads of a person, newest first, until fn returns false.
	LeadsByPerson(person exchange.Fingerprint, since time.Time, fn func(exchange.LeadID) (bool, error)) error
	LoadSnapshot() (seq uint64, data []byte, ok bool, err error)
	SaveSnapshot(seq uint64, data []byte) error
}

// Bidders is how buyers are asked and given leads.
type Bidders interface {
	Ask(*exchange.Ask)
	Post(*exchange.Delivery) exchange.Receipt
	// Status asks, by the inquiry's deadline, what became of an attempt in doubt.
	Status(*exchange.Inquiry) exchange.Finding
}

// Observer is told of everything that finished. It must not keep what it is given.
type Observer interface {
	Auction(*exchange.Auction)
	Attempt(*exchange.Attempt)
}

// Fence is the place to exclude other nodes where several share the work. On one node nothing is to be done.
type Fence func(seller exchange.SellerID, key exchange.Fingerprint, ping exchange.PingID) error

// Config bounds the engine. Zero values mean the defaults.
type Config struct {
	Reserve         time.Duration // our own part of a ping's time; 5 ms
	QuoteBytesMax   int64         // 1 GiB
	InFlightMax     int           // requests worked on at once; 20,000
	SnapshotEvery   uint64        // events between snapshots; 200,000
	KeyKept         time.Duration // how long an Idempotency-Key is kept; 24 h
	PersonLeadsRead int           // how many earlier leads of one person are looked at; 1,000
	FanOutMax       int           // contracts of one tier asked about one lead; 200
	RepostLeadsMax  int           // whole leads in doubt kept for a re-post; 10,000
	RepostBytesMax  int64         // and their bytes; 32 MiB
}

func (c *Config) defaults() {
	c.Reserve = orElse(c.Reserve, 5*time.Millisecond)
	c.QuoteBytesMax = orElse(c.QuoteBytesMax, 1<<30)
	c.InFlightMax = orElse(c.InFlightMax, 20_000)
	c.SnapshotEvery = orElse(c.SnapshotEvery, 200_000)
	c.KeyKept = orElse(c.KeyKept, 24*time.Hour)
	c.PersonLeadsRead = orElse(c.PersonLeadsRead, 1000)
	c.FanOutMax = orElse(c.FanOutMax, 200)
	c.RepostLeadsMax = orElse(c.RepostLeadsMax, 10_000)
	c.RepostBytesMax = orElse(c.RepostBytesMax, 32<<20)
}

func orElse[T comparable](v, other T) T {
	var zero T
	if v == zero {
		return other
	}
	return v
}

// Deps is what the engine works with.
type Deps struct {
	Store    Store
	Vault    exchange.Vault
	Minter   *exchange.Minter
	Observer Observer
	Clock    exchange.Clock // nil: time.Now
	Fence    Fence          // nil: one node
	OnFault  func(error)    // called once when the journal failed, under the lock: it must not block or call the engine
	Log      zerolog.Logger
	Metrics  *metrics.Set
	Breathe  func() // called by Install after every small piece of work done without the lock, for its caller to give way in; nil: it runs through
}

// Snapshot is one accepted config, ready to decide with. It is immutable.
type Snapshot struct {
	Market  *exchange.Market
	Bidders Bidders
	trees   map[exchange.CampaignID]*pingtree.Tree
	paced   bool // some caps are spread over their days
	rates   map[exchange.CampaignID]*campaignRates
	strays  map[exchange.SellerID]*book.Rate // posts without a live quote: no campaign's rate bounds them
}

type campaignRates struct{ pings, posts book.Rate }

// Engine moves leads. All its methods are safe for concurrent use.
//
// mu is the one lock. Under it, and only under it: decide on money, take the
// sequence number, apply to the book, hand the batch to the store. It is never
// held while waiting for disk, buyers or look-ups. What a request must be alone
// with (a key, a ping, a person) it claims before it looks into the store and
// lets go after its events are visible there; taking the store's answers under
// the lock instead would have put disk reads into it.
//
// The book and the store's look-ups know events that are not on disk yet. What
// is told of a lead is folded from those up to synced alone, and a journey has
// the claim on its lead from start to end, so a verdict never meets half of it.
type Engine struct {
	cfg   Config
	deps  Deps
	began time.Time
	snap  atomic.Pointer[Snapshot]
	seed  maphash.Seed
	m     engineMetrics
	runs  sync.Pool // *auctionRun
	fault sync.Once

	mu       sync.Mutex
	book     *book.Book
	snapshot uint64 // seq of the last snapshot saved

	quotes   *book.Quotes
	late     lateness
	claims   *book.Claims
	resolver *resolver
	inFlight atomic.Int64
	draining atomic.Bool
	broken   atomic.Bool
	synced   atomic.Uint64 // every event up to it is on disk

	stop    context.Context // ends when Stop begins to stop goroutines
	end     context.CancelFunc
	stopped sync.WaitGroup
}

// New returns an engine whose book is what the journal says, with every attempt
// that a crash cut short turned into an unknown. Install a market, then Start.
func New(cfg Config, deps Deps) (*Engine, error) {
	cfg.defaults()
	if deps.Fence == nil {
		deps.Fence = func(exchange.SellerID, exchange.Fingerprint, exchange.PingID) error { return nil }
	}
	if deps.Breathe == nil {
		deps.Breathe = func() {}
	}
	e := &Engine{
		cfg: cfg, deps: deps, began: deps.Clock.Now(), seed: maphash.MakeSeed(),
		quotes: book.NewQuotes(cfg.QuoteBytesMax), claims: book.NewClaims(),
	}
	e.stop, e.end = context.WithCancel(context.Background())
	e.runs.New = func() any {
		run := new(auctionRun)
		run.isEnough = run.enough
		return run
	}
	e.resolver = newResolver(e)
	if err := e.recover(); err != nil {
		return nil, err
	}
	e.m = newMetrics(deps.Metrics, e)
	return e, nil
}

// Now tells the time by the engine's clock.
func (e *Engine) Now() time.Time { return e.deps.Clock.Now() }

// steady is an instant as the time since the engine was made, which no setting of the wall clock moves.
func (e *Engine) steady(t time.Time) time.Duration { return t.Sub(e.began) }

// Start begins the engine's housekeeping. Stop ends it.
func (e *Engine) Start() {
	e.stopped.Go(e.keepHouse)
	e.stopped.Go(e.resolver.run)
}

// Drain refuses new requests from here on; those in flight go on.
func (e *Engine) Drain() { e.draining.Store(true) }

// Stopping returns a context that ends with the engine, for those who follow the journal.
func (e *Engine) Stopping() context.Context { return e.stop }

// Stop refuses new requests, waits for those in flight until ctx ends, ends the
// engine's goroutines, and saves the book if nothing is left in flight.
func (e *Engine) Stop(ctx context.Context) error {
	e.draining.Store(true)
	err := e.idle(ctx)
	e.end()
	e.stopped.Wait()
	if err != nil || e.broken.Load() {
		return err
	}
	return e.saveSnapshot()
}

// idle waits until no request is in flight, or ctx ends.
func (e *Engine) idle(ctx context.Context) error {
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for e.inFlight.Load() > 0 {
		select {
		case <-ctx.Done():
			return fmt.Errorf("%d requests still in flight: %w", e.inFlight.Load(), ctx.Err())
		case <-tick.C:
		}
	}
	return nil
}

// keepHouse forgets expired quotes and saves the book now and then.
func (e *Engine) keepHouse() {
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	for {
		select {
		case <-e.stop.Done():
			return
		case <-tick.C:
			e.quotes.Sweep(e.Now())
			e.planDay(e.snap.Load())
			if err := e.snapshotIfDue(); err != nil {
				e.deps.Log.Error().Err(err).Msg("cannot save the book")
			}
		}
	}
}

// Snapshot returns the config that decides now. A request takes it once and keeps to it.
func (e *Engine) Snapshot() *Snapshot { return e.snap.Load() }

// Ready tells why the engine does not take traffic, ReasonNone if it does.
func (e *Engine) Ready() exchange.Reason {
	switch {
	case e.broken.Load():
		return exchange.ReasonJournalUnavailable
	case e.draining.Load():
		return exchange.ReasonDraining
	case e.snap.Load() == nil:
		return exchange.ReasonOverloaded
	}
	return exchange.ReasonNone
}

// enter admits a request, or says why not. Whoever enters must leave.
func (e *Engine) enter() exchange.Reason {
	n := e.inFlight.Add(1)
	reason := e.Ready()
	if reason == exchange.ReasonNone && n > int64(e.cfg.InFlightMax) {
		reason = exchange.ReasonOverloaded
	}
	if reason != exchange.ReasonNone {
		e.inFlight.Add(-1)
	}
	return reason
}

func (e *Engine) leave() { e.inFlight.Add(-1) }

// Install makes a market the one that decides: it journals the config, the
// limits and the terms that differ, then swaps one pointer. Requests in flight
// keep the market they began with.
func (e *Engine) Install(market *exchange.Market, bidders Bidders, text string) error {
	next := &Snapshot{
		Market: market, Bidders: bidders,
		trees:  make(map[exchange.CampaignID]*pingtree.Tree, len(market.Campaigns)),
		rates:  make(map[exchange.CampaignID]*campaignRates, len(market.Campaigns)),
		strays: make(map[exchange.SellerID]*book.Rate, len(market.Sellers)),
	}
	old := e.snap.Load()
	for id := range market.Sellers {
		next.strays[id] = new(book.Rate)
		if old != nil && old.strays[id] != nil {
			next.strays[id] = old.strays[id]
		}
	}
	for id, c := range market.Campaigns {
		next.trees[id] = pingtree.CompileGently(c.Tree, c.Vertical, e.deps.Breathe)
		next.rates[id] = new(campaignRates)
		if old != nil && old.rates[id] != nil {
			next.rates[id] = old.rates[id]
		}
	}
	evenCaps(market, func(*exchange.Cap, *exchange.Hours) { next.paced = true })
	batches, err := e.accept(market, text)
	if err != nil {
		return err
	}
	if err := e.waitAll(batches); err != nil {
		return err
	}
	e.planDay(next)
	e.snap.Store(next)
	e.mu.Lock()
	e.resolver.replan(e.Now())
	e.mu.Unlock()
	return nil
}

// accept journals what is new in a market and gives its caps their handles.
func (e *Engine) accept(market *exchange.Market, text string) ([]written, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	var events []exchange.Event
	if e.book.Config() != market.Hash {
		events = append(events, &exchange.ConfigAccepted{Hash: market.Hash, Text: text})
	}
	caps := eachCap(market)
	events = append(events, limitChanges(e.book, caps)...)
	events = append(events, offerChanges(e.book, market)...)
	for _, c := range caps {
		c.Handle = e.book.Handle(c.ID)
	}
	return e.appendManyLocked(e.Now(), events)
}

// written is a batch in the journal's order. The zero batch holds nothing.
type written struct {
	ticket      exchange.Ticket
	first, last uint64
}

// batchEventsMax bounds the events of one batch: what the store takes at once.
const batchEventsMax = 1000

// appendManyLocked appends any number of events, in as many batches as that takes. The lock is held.
func (e *Engine) appendManyLocked(now time.Time, events []exchange.Event) (batches []written, err error) {
	for chunk := range slices.Chunk(events, batchEventsMax) {
		w, err := e.appendLocked(now, chunk...)
		if err != nil {
			return nil, err
		}
		batches = append(batches, w)
	}
	return batches, nil
}

// ErrBroken says that the journal failed and the house takes no more traffic.
var ErrBroken = errors.New("the journal failed")

// ErrNotReady says that the house takes no events now.
var ErrNotReady = errors.New("the house takes no events now")

// appendLocked puts events into the journal's order and into the book, and
// returns where. The lock is held.
func (e *Engine) appendLocked(now time.Time, events ...exchange.Event) (written, error) {
	if e.broken.Load() {
		return written{}, ErrBroken
	}
	at := now.UnixNano()
	last, ticket, err := e.deps.Store.Append(at, events...)
	if err != nil {
		e.fail(err)
		return written{}, err
	}
	first := last - uint64(len(events)) + 1
	for i, ev := range events {
		e.book.Apply(exchange.Entry{Seq: first + uint64(i), At: at, Event: ev})
		e.resolver.note(ev, now)
	}
	return written{ticket, first, last}, nil
}

// wait returns when a batch, and so all before it, is on disk.
func (e *Engine) wait(w written) error {
	if err := w.ticket.Wait(); err != nil {
		e.fail(err)
		return err
	}
	e.raiseSynced(w.last)
	return nil
}

// raiseSynced takes note that every event up to seq is on disk.
func (e *Engine) raiseSynced(seq uint64) {
	for {
		synced := e.synced.Load()
		if synced >= seq || e.synced.CompareAndSwap(synced, seq) {
			return
		}
	}
}

func (e *Engine) waitAll(batches []written) error {
	for _, w := range batches {
		if err := e.wait(w); err != nil {
			return err
		}
	}
	return nil
}

// fail stops the house: what cannot be recorded is not sold.
func (e *Engine) fail(err error) {
	e.broken.Store(true)
	e.fault.Do(func() {
		e.deps.Log.Error().Err(err).Msg("the journal failed; taking no more traffic")
		if e.deps.OnFault != nil {
			e.deps.OnFault(err)
		}
	})
}

// Record journals one event from outside the journey (a click) and returns when
// it is on disk. ErrNotReady: the house starts, drains or is full.
func (e *Engine) Record(ev exchange.Event) error {
	if reason := e.enter(); reason != exchange.ReasonNone {
		return fmt.Errorf("%w: %s", ErrNotReady, reason)
	}
	defer e.leave()
	e.mu.Lock()
	w, err := e.appendLocked(e.Now(), ev)
	e.mu.Unlock()
	if err != nil {
		return err
	}
	return e.wait(w)
}
