package postback

import (
	"fmt"
	"net"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"github.com/VictoriaMetrics/metrics"
	"github.com/rs/zerolog"

	"vendue/exchange"
)

const (
	// perEndpointMax is how many requests may be at one endpoint at once, runningMax at all of them.
	perEndpointMax = 64
	runningMax     = 4096
	// queueMax is how many due jobs of one endpoint are kept in memory; the rest wait on disk.
	queueMax = 256
	// failingAfter faults in a row an endpoint gets one request at a time until one succeeds.
	failingAfter = 5
	// breakStep is by how much each fault beyond that makes the time between two of those requests longer, up to
	// breakMax. A few jobs keep their schedule; a million do not drum on a dead tracker.
	breakStep = time.Millisecond
	breakMax  = 10 * time.Second
	// freeShare: an endpoint may have this part of the places that are free.
	freeShare = 64
	// stopGrace is how long Stop lets requests in flight end by themselves.
	stopGrace = 2 * time.Second
	// commitPause is how long the sender waits after its space refused a write.
	commitPause = time.Second
	logEvery    = time.Minute
)

// Deps is what the sender stands on.
type Deps struct {
	Space   Space
	Vault   exchange.Vault
	Clock   exchange.Clock // nil: time.Now
	Log     zerolog.Logger
	Metrics *metrics.Set
	// Answer is what a seller is told of a lead now; every event up to seq is on disk and counts. nil: no Hooks are used.
	Answer func(lead exchange.LeadID, seq uint64) ([]byte, error)
}

// Config is what a reload may change.
type Config struct {
	EgressAllow []netip.Prefix // private ranges that may be reached
	Dial        func(network, addr string, timeout time.Duration) (net.Conn, error)
	Hooks       []Hook  // at most one of a seller
	Plans       []*Plan // what affiliates ask for: their secrets, and how to read the answers
}

// Sender delivers the jobs in its space.
//
// Jobs enter by Add, inside the batch of whoever decides that one is due, and
// are announced by Wake once that batch is applied. One goroutine, the
// dispatcher, owns the lines of all endpoints: it reads due jobs from disk,
// starts a goroutine per attempt, and writes the ends of many attempts in one
// synced batch. Everything it knows can be read again from the space, so a
// restart continues where the disk stood; an attempt whose end was not written
// is made again under the same id.
//
// An endpoint is scheme, host and port. Each has its own line and at most
// perEndpointMax requests at once, and fewer when free places grow scarce, so
// that many slow ones cannot take all of runningMax. A failing one has a single
// request at a time, with a pause that grows to breakMax, until one is answered. A dead tracker therefore holds at most one place, and delays
// nobody.
//
// What others than the dispatcher want changed in its records (a replay, a
// notice switched on again) it does itself, between two turns: asks.
//
// A pool of workers over one shared queue was the simpler design: ten seconds
// of timeouts at one tracker filled it, and everyone waited.
type Sender struct {
	space Space
	vault exchange.Vault
	log   zerolog.Logger
	met   senderMetrics
	http  *client
	clock exchange.Clock // steady: what is due, and when, is on disk in numbers

	answer func(lead exchange.LeadID, seq uint64) ([]byte, error)
	hooks  atomic.Pointer[map[exchange.SellerID]hook] // replaced whole at a reload
	plans  atomic.Pointer[map[Notice]*Plan]           // too

	created struct { // written by the one who calls Add
		jobs, notSent atomic.Uint64
	}
	settled struct { // written by the dispatcher
		delivered, dead, notSent, revived atomic.Uint64 // revived: not sent, and now waiting
	}
	failing atomic.Int64 // endpoints that are asked one request at a time

	mu    sync.Mutex
	woken map[string]struct{} // endpoints with new jobs
	gone  map[Notice]Disabled

	wake    chan struct{}
	results chan result
	asks    chan func()
	started atomic.Bool
	ended   chan struct{} // closed when the dispatcher is gone
	stop    chan struct{}
	done    sync.WaitGroup
	line    lines // the dispatcher's alone
}

type senderMetrics struct {
	attempts [verdictCount]*metrics.Counter
	seconds  *metrics.Histogram
	notSent  *metrics.Counter
	faults   *metrics.Counter
}

// New returns a sender that stands still until Start. It reads the totals and
// the notices that are gone from the space.
func New(deps Deps) (*Sender, error) {
	s := &Sender{
		space: deps.Space, vault: deps.Vault, log: deps.Log, http: newClient(deps.Clock), clock: deps.Clock.Steady(), answer: deps.Answer,
		woken: make(map[string]struct{}), gone: make(map[Notice]Disabled), asks: make(chan func()), ended: make(chan struct{}),
		wake: make(chan struct{}, 1), results: make(chan result, runningMax), stop: make(chan struct{}),
	}
	s.Use(Config{})
	s.line.byID = make(map[endpointID]*endpoint)
	if err := s.restore(); err != nil {
		return nil, fmt.Errorf("cannot read the state of postbacks: %w", err)
	}
	s.met = newSenderMetrics(deps.Metrics, s)
	return s, nil
}

func newSenderMetrics(set *metrics.Set, s *Sender) (m senderMetrics) {
	for v := VerdictNone + 1; v < verdictCount; v++ {
		m.attempts[v] = set.NewCounter(`vendue_attribution_postback_attempts_total{verdict="` + v.String() + `"}`)
	}
	m.seconds = set.NewHistogram("vendue_attribution_postback_attempt_seconds")
	m.notSent = set.NewCounter("vendue_attribution_postback_not_sent_total")
	m.faults = set.NewCounter("vendue_attribution_postback_faults_total")
	set.NewGauge("vendue_attribution_postback_waiting", func() float64 { return float64(s.Counts().Waiting) })
	set.NewGauge("vendue_attribution_postback_delivered", func() float64 { return float64(s.Counts().Delivered) })
	set.NewGauge("vendue_attribution_postback_dead", func() float64 { return float64(s.Counts().Dead) })
	set.NewGauge("vendue_attribution_postback_disabled", func() float64 { return float64(s.DisabledCount()) })
	set.NewGauge("vendue_attribution_postback_failing_endpoints", func() float64 { return float64(s.failing.Load()) })
	return m
}

func (s *Sender) restore() error {
	jobs, notSent, err := readTotals(s.space, keyCreated)
	if err != nil {
		return err
	}
	delivered, dead, err := readTotals(s.space, keySettled)
	if err != nil {
		return err
	}
	lapsed, revived, err := readTotals(s.space, keyLapsed)
	if err != nil {
		return err
	}
	s.settled.notSent.Store(lapsed)
	s.settled.revived.Store(revived)
	s.created.jobs.Store(jobs)
	s.created.notSent.Store(notSent)
	s.settled.delivered.Store(delivered)
	s.settled.dead.Store(dead)
	return s.space.Scan([]byte(prefixGone), after(prefixGone), func(k, v []byte) (bool, error) {
		d, err := decodeDisabled(k, v)
		s.gone[d.Notice] = d
		return true, err
	})
}

// Use takes what a config says from here on.
func (s *Sender) Use(cfg Config) {
	s.http.use(cfg)
	hooks := hooksOf(cfg.Hooks)
	s.hooks.Store(&hooks)
	plans := make(map[Notice]*Plan, len(cfg.Plans))
	for _, p := range cfg.Plans {
		plans[p.Notice] = p
	}
	s.plans.Store(&plans)
}

// Start begins to deliver.
func (s *Sender) Start() {
	s.done.Add(1)
	s.started.Store(true)
	go func() {
		defer s.done.Done()
		defer close(s.ended)
		s.dispatch()
	}()
}

// Stop returns when every goroutine of the sender has ended: after stopGrace,
// and a dial's timeout at worst. What was in flight and did not end is sent
// again at the next start.
func (s *Sender) Stop() {
	close(s.stop)
	s.done.Wait()
}

// Intake gathers the jobs of one batch. It is not safe for concurrent use, and
// only one may be open at a time: it carries the totals of what was created.
type Intake struct {
	sender    *Sender
	jobs      []Job
	endpoints []string
	notSent   uint64
}

// Now is the time by which jobs are due, Unix nanoseconds.
func (in *Intake) Now() int64 { return in.sender.clock.Now().UnixNano() }

// NewIntake returns an empty intake.
func (s *Sender) NewIntake() *Intake { return &Intake{sender: s} }

// Add takes a job whose URL is the plain text to ask for, none for a webhook's; reason, if not
// empty, says why it cannot be sent and makes it one that is never tried.
func (in *Intake) Add(j Job, url []byte, reason string) {
	j.State, j.Reason = Waiting, reason
	if in.sender.isGone(j.Notice) && reason == "" {
		j.Reason = "gone"
	}
	if reason == "" && len(url) > 0 {
		j.URL = in.sender.vault.Seal(string(url))
	}
	if j.Reason != "" {
		j.State = NotSent
		in.notSent++
	} else {
		in.endpoints = append(in.endpoints, j.Endpoint)
	}
	in.jobs = append(in.jobs, j)
}

// Write puts the jobs and the totals into the batch that decided them.
func (in *Intake) Write(b Batch) {
	if len(in.jobs) == 0 {
		return
	}
	for i := range in.jobs {
		j := &in.jobs[i]
		b.Set(jobKey(j.Key), j.encode())
		if j.State == Waiting {
			b.Set(dueKey(endpointOf(j.Endpoint), j.order(), j.Key), nil)
		} else {
			b.Set(deadKey(j.Key), nil)
		}
	}
	s := in.sender
	b.Set([]byte(keyCreated), encodeTotals(s.created.jobs.Load()+uint64(len(in.jobs)), s.created.notSent.Load()+in.notSent))
}

// Done announces the jobs, after the batch was applied.
func (in *Intake) Done() {
	s := in.sender
	s.created.notSent.Add(in.notSent)
	s.created.jobs.Add(uint64(len(in.jobs)))
	s.met.notSent.Add(int(in.notSent))
	if len(in.endpoints) > 0 {
		s.mu.Lock()
		for _, ep := range in.endpoints {
			s.woken[ep] = struct{}{}
		}
		s.mu.Unlock()
		select {
		case s.wake <- struct{}{}:
		default:
		}
	}
}

// Counts says where the jobs stand.
func (s *Sender) Counts() Counts {
	// A job may be found on disk and settled an instant before Done counts it.
	delivered, dead := s.settled.delivered.Load(), s.settled.dead.Load()
	notSent, jobs := s.created.notSent.Load()+s.settled.notSent.Load()-s.settled.revived.Load(), s.created.jobs.Load()
	c := Counts{Created: jobs, Delivered: delivered, Dead: dead, NotSent: notSent}
	if ended := notSent + delivered + dead; ended < jobs {
		c.Waiting = jobs - ended
	}
	return c
}

func (s *Sender) isGone(n Notice) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	_, ok := s.gone[n]
	return ok
}
