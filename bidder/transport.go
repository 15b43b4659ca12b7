package bidder

import (
	"crypto/tls"
	"net"
	"sync"
	"time"

	"github.com/VictoriaMetrics/metrics"
	"github.com/rs/zerolog"

	"vendue/bidder/gate"
)

// The transport's own times.
const (
	tickEvery   = time.Second           // between looks at idle connections
	drainEvery  = 10 * time.Millisecond // between looks at late ones
	drainMax    = 3 * time.Second       // how long a late answer is waited for
	connAgeMax  = 5 * time.Minute       // so that a name's new addresses are followed
	dialWarmMax = 5 * time.Second       // of a dial that nobody waits for
	backoffMin  = time.Second           // after a failed one
	backoffMax  = 30 * time.Second
)

// Transport keeps the connections to buyers. It outlives reloads: each
// accepted config has a Bidder, and all of them use one Transport.
//
// A connection is idle in its host, in use by one Ask or Post, or draining: its
// answer did not come in time, so it waits here until that answer is whole and
// can no longer be taken for another's.
//
// One goroutine, run, owns the upkeep: it dials ahead, sweeps the draining
// connections and closes idle ones. A goroutine per draining connection was
// simpler still, but cost a stack and two wake-ups per late answer.
//
// mu guards hosts, draining and closed. It is never held over I/O.
type Transport struct {
	cfg TransportConfig
	log zerolog.Logger
	set *metrics.Set
	ms  *transportMetrics
	tls *tls.Config

	mu        sync.Mutex
	hosts     map[hostKey]*host
	draining  []late
	gates     map[string]*gate.State // of contracts and buyers, by "contract/ID" and "buyer/ID"
	contracts map[metricsKey]*contractMetrics
	closed    bool

	keepers keepers

	wake chan struct{} // there is something to drain, or a new host to warm
	stop chan struct{}
	done chan struct{}
	wg   sync.WaitGroup // dials and pumps
}

// late is a connection whose answer is overdue.
type late struct {
	conn  *conn
	terms *contractMetrics
	since time.Time
	due   time.Time // when to look next
}

// NewTransport starts a transport. Zero values of cfg mean its defaults.
func NewTransport(cfg TransportConfig, log zerolog.Logger, ms *metrics.Set) *Transport {
	if cfg.Dial == nil {
		// A dialer resolves the name at each dial.
		cfg.Dial = func(network, addr string, timeout time.Duration) (net.Conn, error) {
			return (&net.Dialer{Timeout: timeout, KeepAlive: 15 * time.Second}).Dial(network, addr)
		}
	}
	cfg.ConnsPerHostMax = orDefault(cfg.ConnsPerHostMax, 512)
	cfg.WarmConnsPerHost = min(orDefault(cfg.WarmConnsPerHost, 8), cfg.ConnsPerHostMax)
	cfg.ReplyBytesMax = max(orDefault(cfg.ReplyBytesMax, 64<<10), replyBytesFirst)
	cfg.IdleMax = orDefault(cfg.IdleMax, 50*time.Second)
	t := &Transport{
		cfg: cfg, log: log, set: ms,
		tls: &tls.Config{
			MinVersion:         tls.VersionTLS12,
			RootCAs:            cfg.RootCAs,
			ClientSessionCache: tls.NewLRUClientSessionCache(1024),
			NextProtos:         []string{"http/1.1"},
		},
		hosts: make(map[hostKey]*host), contracts: make(map[metricsKey]*contractMetrics),
		gates: make(map[string]*gate.State),
		wake:  make(chan struct{}, 1),
		stop:  make(chan struct{}),
		done:  make(chan struct{}),
	}
	t.ms = newTransportMetrics(ms)
	go t.run()
	return t
}

func orDefault[T int | time.Duration](v, def T) T {
	if v <= 0 {
		return def
	}
	return v
}

func (t *Transport) now() time.Time { return t.cfg.Clock.Now() }

// Close closes every connection and waits for the transport's goroutines. Asks
// and posts still running finish first, at their own deadlines.
func (t *Transport) Close() error {
	t.mu.Lock()
	already := t.closed
	t.closed = true
	t.mu.Unlock()
	if !already {
		close(t.stop)
	}
	<-t.done
	t.wg.Wait()
	return nil
}

// host returns the pool for one address, made at first asking. Hosts are never
// forgotten: there are as many as buyers' addresses since the start.
func (t *Transport) host(key hostKey) *host {
	t.mu.Lock()
	defer t.mu.Unlock()
	h := t.hosts[key]
	if h == nil {
		h = newHost(t, key)
		t.hosts[key] = h
		poke(t.wake) // a reload asks for each contract's hosts, most of them known: waking for those cost more than compiling
	}
	h.touch(t.now())
	return h
}

// run is the upkeep. It ends with Close.
func (t *Transport) run() {
	defer close(t.done)
	tick := time.NewTicker(tickEvery)
	defer tick.Stop()
	drain := time.NewTimer(drainEvery)
	drain.Stop()
	defer drain.Stop()
	for {
		select {
		case <-t.stop:
			t.shut()
			return
		case <-t.wake:
			t.upkeep(t.now())
			drain.Reset(drainEvery)
		case <-tick.C:
			t.upkeep(t.now())
		case <-drain.C:
			if t.sweep(t.now()) > 0 {
				drain.Reset(drainEvery)
			}
		}
	}
}

// upkeep gives every host its turn.
func (t *Transport) upkeep(now time.Time) {
	t.mu.Lock()
	hosts := make([]*host, 0, len(t.hosts))
	for _, h := range t.hosts {
		hosts = append(hosts, h)
	}
	t.mu.Unlock()
	for _, h := range hosts {
		h.upkeep(now)
	}
}

// drain takes a connection whose answer did not come in time.
func (t *Transport) drain(c *conn, terms *contractMetrics, now time.Time) {
	t.mu.Lock()
	if t.closed {
		t.mu.Unlock()
		c.host.discard(c)
		return
	}
	t.draining = append(t.draining, late{conn: c, terms: terms, since: now, due: now.Add(drainEvery)})
	first := len(t.draining) == 1
	t.mu.Unlock()
	if first {
		poke(t.wake)
	}
}

// sweep looks at the connections that are due and returns how many drain on.
// The wait between two looks at one grows by half each time: a connection late
// by a little comes back soon, a dead one costs fifteen looks in all.
func (t *Transport) sweep(now time.Time) int {
	t.mu.Lock()
	list := t.draining
	t.draining = nil
	t.mu.Unlock()
	kept := list[:0]
	for _, l := range list {
		if now.Before(l.due) {
			kept = append(kept, l)
			continue
		}
		switch err := l.conn.poll(); {
		case err == nil:
			l.terms.late.Inc()
			l.conn.host.release(l.conn, now)
		case !isBlocked(err), now.Sub(l.since) >= drainMax:
			l.conn.host.discard(l.conn)
		default:
			l.due = now.Add(now.Sub(l.since) / 2)
			kept = append(kept, l)
		}
	}
	clear(list[len(kept):])
	t.mu.Lock()
	t.draining = append(kept, t.draining...)
	left := len(t.draining)
	t.mu.Unlock()
	return left
}

// shut closes what is idle or draining; what is in use closes when released.
func (t *Transport) shut() {
	t.mu.Lock()
	list := t.draining
	t.draining = nil
	hosts := t.hosts
	t.hosts = make(map[hostKey]*host)
	t.mu.Unlock()
	for _, l := range list {
		l.conn.host.discard(l.conn)
	}
	for _, h := range hosts {
		h.shut()
	}
}
