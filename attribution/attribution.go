package attribution

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/VictoriaMetrics/metrics"
	"github.com/rs/zerolog"

	"vendue/attribution/postback"
	"vendue/exchange"
)

const (
	// batchMax is how many entries one batch takes at most.
	batchMax = 1024
	// gatherPause is how long entries gather while they come faster than batches are worth. The first after a quiet
	// time is followed at once.
	gatherPause = 10 * time.Millisecond
	// busyRate is how many entries a second make a house busy: then they gather for busyPause more, unless somebody
	// waits for what is decided of them. A batch costs the same to begin and to end whatever it holds, and a lead that
	// is open at its end is written twice.
	busyRate  = 4000
	busyPause = 30 * time.Millisecond
	// faultPause is how long the follower waits after a fault before it tries again.
	faultPause = time.Second
	logEvery   = time.Minute
)

// Attribution follows the journal.
//
// One goroutine, the follower, owns the cursor, the fold and the totals. It
// reads durable entries in order, gathers what they lead to, writes it with the
// cursor in one batch, and only then makes it visible and wakes the
// postbacks. A fault (of the journal, the space, a record) leaves the cursor
// where it is: the same entries are read again after a pause, nothing is ever
// skipped, and Stats says so.
//
// mu guards what others may look at (stats and fault), and when the log was told. moved wakes who waits for the follower, and
// hurry is how they tell it that they do.
type Attribution struct {
	deps   Deps
	log    zerolog.Logger
	met    counters
	sender *postback.Sender
	desk   atomic.Pointer[desk]

	fold  fold    // the follower's alone
	state state   // the follower's alone
	over  overlay // the follower's alone

	horizon atomic.Int64 // of the state that is seen
	balance atomic.Pointer[Balance]

	mu      sync.Mutex
	seen    state
	moved   chan struct{} // closed, and replaced, when seen moves on
	hurry   chan struct{} // holds one: somebody waits for the follower
	durable uint64
	fault   string
	lastLog time.Time
	// lastUneven is when the log was told last that the sums disagree.
	lastUneven time.Time

	cancel context.CancelFunc
	done   sync.WaitGroup
}

type counters struct {
	entries, credits, faults, orphans *metrics.Counter
	reversed                          *metrics.Counter
	uncredited                        [WhyCount]*metrics.Counter
	batch                             *metrics.Histogram
}

// New reads the state from the space. Nothing moves until Use and Start.
func New(deps Deps) (*Attribution, error) {
	sender, err := postback.New(postback.Deps{Space: deps.Space, Vault: deps.Vault, Clock: deps.Clock, Log: deps.Log, Metrics: deps.Metrics, Answer: deps.Answer})
	if err != nil {
		return nil, err
	}
	a := &Attribution{deps: deps, log: deps.Log, sender: sender, over: newOverlay(deps.Journal, deps.Space)}
	if a.state, err = readState(deps.Space); err != nil {
		return nil, fmt.Errorf("cannot read attribution's state: %w", err)
	}
	if a.state.cursor == 1 && a.state.quiet > 0 {
		if err := a.beginAnew(); err != nil {
			return nil, fmt.Errorf("cannot make attribution's records anew: %w", err)
		}
	}
	a.fold.vault, a.fold.horizon = deps.Vault, a.state.horizon
	if a.fold.terms, err = loadTerms(deps.Space); err != nil {
		return nil, err
	}
	a.seen, a.moved, a.hurry = a.state, make(chan struct{}), make(chan struct{}, 1)
	a.durable = max(a.state.cursor, a.state.quiet) - 1 // what was followed once is known to be there
	a.horizon.Store(a.state.horizon)
	a.desk.Store(&desk{})
	a.met = newCounters(deps.Metrics, a)
	a.weigh()
	return a, nil
}

// beginAnew removes records of an earlier form: the journal tells all of it
// again. Postbacks stay as they are, and none is made a second time.
func (a *Attribution) beginAnew() error {
	a.log.Warn().Uint64("seq", a.state.quiet).Msg("credits are in an earlier form; they are made anew from the journal")
	return a.deps.Space.Commit(true, func(b Batch) {
		for _, prefix := range [...]string{
			prefixTerms, prefixClick, prefixOpen, prefixSale, prefixLead, prefixAwaited, prefixTold, prefixOldLedger,
		} {
			b.DeleteRange([]byte(prefix), after(prefix))
		}
		b.Set([]byte(keyState), a.state.encode())
	})
}

func newCounters(set *metrics.Set, a *Attribution) (c counters) {
	c.entries = set.NewCounter("vendue_attribution_entries_total")
	c.credits = set.NewCounter("vendue_attribution_credits_total")
	c.reversed = set.NewCounter("vendue_attribution_reversed_total")
	c.faults = set.NewCounter("vendue_attribution_faults_total")
	c.orphans = set.NewCounter("vendue_attribution_orphans_total")
	c.batch = set.NewHistogram("vendue_attribution_batch_seconds")
	for w := WhyNone + 1; w < WhyCount; w++ {
		c.uncredited[w] = set.NewCounter(`vendue_attribution_uncredited_total{reason="` + w.String() + `"}`)
	}
	set.NewGauge("vendue_attribution_cursor_seq", func() float64 { return float64(a.Stats().Cursor) })
	balanceMetrics(set, a)
	set.NewGauge("vendue_attribution_lag_entries", func() float64 { return float64(a.Stats().Lag) })
	return c
}

// Use takes an accepted config: the postbacks, the webhooks and the addresses they may reach.
// Terms of offers come from the journal, not from here.
func (a *Attribution) Use(cfg Config) {
	d, broken := newDesk(cfg)
	if broken > 0 {
		a.log.Error().Int("templates", broken).Msg("postback templates cannot be parsed; their notices will stand as not sent")
	}
	a.sender.Use(postback.Config{EgressAllow: cfg.EgressAllow, Dial: cfg.Dial, Hooks: cfg.Hooks, Plans: d.plans})
	a.desk.Store(d)
}

// Start begins to follow and to deliver.
func (a *Attribution) Start() {
	ctx, cancel := context.WithCancel(context.Background())
	a.cancel = cancel
	a.sender.Start()
	a.done.Add(1)
	go func() {
		defer a.done.Done()
		a.follow(ctx)
	}()
}

// Stop returns when every goroutine has ended. A batch in hand is finished;
// requests in flight get two seconds, and are made again at the next start if
// that did not do. It is called once; without a Start it does nothing.
func (a *Attribution) Stop() {
	if a.cancel == nil {
		return
	}
	a.cancel()
	a.done.Wait()
	a.sender.Stop()
}

func (a *Attribution) follow(ctx context.Context) {
	var last time.Time // when the batch before was begun
	for ctx.Err() == nil {
		began := time.Now()
		n, err := a.step(batchMax)
		if err == nil && n == 0 {
			var durable uint64
			if durable, err = a.deps.Journal.WaitDurable(ctx, a.state.cursor-1); err == nil {
				a.mu.Lock()
				a.durable, a.fault = durable, ""
				a.mu.Unlock()
				continue
			}
		}
		busy := float64(n) >= busyRate*began.Sub(last).Seconds()
		last = began
		switch {
		case ctx.Err() != nil || err == nil && n == batchMax:
			continue
		case err != nil:
			a.failed(err)
			rest(ctx, faultPause, nil)
			continue
		}
		rest(ctx, gatherPause, nil)
		if busy {
			rest(ctx, busyPause, a.hurry)
		}
	}
}

// rest waits until the pause is over, unless it is cut short.
func rest(ctx context.Context, pause time.Duration, hurry <-chan struct{}) {
	timer := time.NewTimer(pause)
	defer timer.Stop()
	select {
	case <-ctx.Done():
	case <-hurry:
	case <-timer.C:
	}
}

func (a *Attribution) failed(err error) {
	a.met.faults.Inc()
	a.mu.Lock()
	defer a.mu.Unlock()
	a.fault = err.Error()
	if time.Since(a.lastLog) >= logEvery {
		a.lastLog = time.Now()
		a.log.Error().Err(err).Uint64("seq", a.state.cursor).Msg("attribution cannot go on; it tries again")
	}
}

// step follows at most max entries and returns how many there were.
func (a *Attribution) step(max int) (int, error) {
	start := time.Now()
	next, terms := a.state, a.fold.terms
	a.fold.horizon = next.horizon
	over := &a.over
	over.reset()
	a.fold.view = over
	intake := a.sender.NewIntake()
	a.fold.settled = func(seq uint64, seller exchange.SellerID, lead exchange.LeadID) {
		if seq >= next.quiet {
			intake.Settled(seq, seller, lead)
		}
	}
	desk := a.desk.Load()
	var count decided
	cursor, err := a.deps.Journal.Read(next.cursor, max, func(e exchange.Entry) error {
		if e.Seq != next.cursor {
			return fmt.Errorf("journal told seq %d, expected %d", e.Seq, next.cursor)
		}
		next.cursor++
		sale, err := a.fold.apply(e)
		if err != nil {
			return err
		}
		loud := e.Seq >= next.quiet
		if loud {
			desk.clicked(intake, a.deps.Vault, e)
		}
		if sale == nil {
			return nil
		}
		next.totals.add(sale)
		count.add(sale)
		if loud {
			desk.notify(intake, a.deps.Vault, sale)
		}
		return nil
	})
	n := int(next.cursor - a.state.cursor)
	next.horizon = a.fold.horizon
	if err == nil && cursor != next.cursor {
		err = fmt.Errorf("journal goes on at seq %d after %d entries from %d", cursor, n, a.state.cursor)
	}
	if err == nil && n > 0 {
		// Not synced: a crash that loses this batch loses the cursor with it, and the journal tells it again. Jobs are
		// synced with their ends, and the space never keeps a later commit without an earlier one.
		err = a.deps.Space.Commit(false, func(b Batch) {
			over.write(b)
			intake.Write(b)
			b.Set([]byte(keyState), next.encode())
		})
	}
	if err != nil {
		a.fold.terms, a.fold.orphans = terms, 0
		return 0, fmt.Errorf("cannot follow the journal: %w", err)
	}
	if n == 0 {
		return 0, nil
	}
	a.state = next
	a.publish(&count, n)
	intake.Done()
	a.weigh()
	a.met.batch.UpdateDuration(start)
	return n, nil
}

// decided counts the decisions of one batch.
type decided struct {
	credits, reversed int
	uncredited        [WhyCount]int
}

func (d *decided) add(s *Sale) {
	switch taken := s.Trigger == TriggerReversed || s.Trigger == TriggerReturned; {
	case taken && s.Credited():
		d.reversed++
	case taken: // nobody had earned by it
	case s.Credited():
		d.credits++
	default:
		d.uncredited[s.Uncredited]++
	}
}

func (a *Attribution) publish(count *decided, n int) {
	a.met.entries.Add(n)
	a.met.orphans.Add(a.fold.orphans)
	if a.fold.orphans > 0 {
		a.log.Error().Int("times", a.fold.orphans).Msg("journal tells the end of attempts it did not tell the start of")
		a.fold.orphans = 0
	}
	a.met.credits.Add(count.credits)
	a.met.reversed.Add(count.reversed)
	for w := WhyNone + 1; w < WhyCount; w++ {
		a.met.uncredited[w].Add(count.uncredited[w])
	}
	a.mu.Lock()
	a.seen, a.fault = a.state, ""
	a.horizon.Store(a.state.horizon)
	close(a.moved)
	a.moved = make(chan struct{})
	a.durable = max(a.durable, a.state.cursor-1)
	a.mu.Unlock()
}

// Stats is how attribution stands.
type Stats struct {
	Totals
	Cursor    uint64          `json:"cursor"` // seq of the last entry that was followed
	Lag       uint64          `json:"lag"`    // entries known to be durable and not followed yet
	Fault     string          `json:"fault,omitempty"`
	Postbacks postback.Counts `json:"postbacks"`
}

// Stats returns the totals, the cursor and where the postbacks stand. It is cheap.
func (a *Attribution) Stats() Stats {
	a.mu.Lock()
	s := Stats{Totals: a.seen.totals, Cursor: a.seen.cursor - 1, Fault: a.fault}
	s.Lag = max(a.durable, s.Cursor) - s.Cursor
	a.mu.Unlock()
	s.Postbacks = a.sender.Counts()
	return s
}

// Healthy returns an error while attribution cannot follow the journal.
func (a *Attribution) Healthy() error {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.fault != "" {
		return errors.New(a.fault)
	}
	return nil
}
