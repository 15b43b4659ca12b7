// Package app wires the rooms into a daemon that a command can run and a test
// can embed: New, Start, Stop, Reload. It owns the listeners, the process-wide
// settings and the order in which rooms begin and end; it decides nothing about leads.
package app

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/VictoriaMetrics/metrics"
	"github.com/rs/zerolog"
	"github.com/valyala/fasthttp"

	"vendue/attribution"
	"vendue/attribution/track"
	"vendue/bidder"
	"vendue/cmd/app/live"
	"vendue/configs"
	"vendue/exchange"
	"vendue/exchange/api"
	"vendue/exchange/engine"
	"vendue/store"
)

// Options say what to run and, for tests and simulations, on what. Nil functions mean the real thing.
type Options struct {
	Config  string                                                              // path of the YAML file
	Log     io.Writer                                                           // wide lines as JSON; nil: standard error
	Listen  func(network, addr string) (net.Listener, error)                    // the command socket's too: "unix" and its path
	Dial    func(network, addr string, timeout time.Duration) (net.Conn, error) // to buyers and trackers
	RootCAs *x509.CertPool                                                      // whose word on buyers' certificates counts; nil: the system's
	Store   func(*store.Config)                                                 // adjusts how the store is opened
	Engine  func(*engine.Config)                                                // adjusts the engine's bounds
	Clock   exchange.Clock                                                      // nil: time.Now
	Random  func() uint64                                                       // feeds ids; safe for concurrent use
}

// ConfigError holds the faults of a config that was refused.
type ConfigError struct{ Faults []configs.Fault }

// Error lists the faults, a line each.
func (e *ConfigError) Error() string {
	lines := make([]string, len(e.Faults))
	for i, f := range e.Faults {
		lines[i] = f.String()
	}
	return strings.Join(lines, "\n")
}

// App is one running exchange.
//
// States: made (New) -> serving (Start) -> stopped (Stop). reload serialises
// config changes; cfg is what runs now. failed gets the journal's fault, once.
type App struct {
	opts Options
	log  zerolog.Logger
	out  *logWriter
	set  *metrics.Set

	reload sync.Mutex
	breath breath         // the reload's
	pieces configs.Pieces // likewise: what the config in force said
	cfg    atomic.Pointer[configs.Config]

	store       *store.Store
	minter      *exchange.Minter
	transport   *bidder.Transport
	engine      *engine.Engine
	attribution *attribution.Attribution
	api         *api.API
	track       *track.Tracker
	live        *live.Live
	pressure    *pressure
	reloads     [2]*metrics.Counter // refused, accepted
	reloadTook  *metrics.Histogram  // of the accepted ones

	public, admin   *fasthttp.Server
	publicLn, admLn net.Listener
	sockLn          net.Listener
	serving         sync.WaitGroup
	failed          chan error
	began           time.Time
}

// New loads the config, opens the store and rebuilds the state. Nothing listens yet.
func New(opts Options) (a *App, err error) {
	if opts.Log == nil {
		opts.Log = os.Stderr
	}
	if opts.Listen == nil {
		opts.Listen = listen
	}
	if opts.Random == nil {
		opts.Random = rand.Uint64
	}
	var pieces configs.Pieces
	cfg, faults := configs.LoadGently(opts.Config, &pieces, func() {})
	if len(faults) > 0 {
		return nil, &ConfigError{faults}
	}
	a = &App{opts: opts, pieces: pieces, set: metrics.NewSet(), failed: make(chan error, 1), began: time.Now()}
	a.out = newLogWriter(opts.Log)
	a.log = newLog(a.out, cfg.LogLevel)
	made := a // a failed return has no App
	defer func() {
		if err != nil {
			made.abandon()
		}
	}()
	if err := a.openRooms(cfg); err != nil {
		return nil, err
	}
	if err := a.install(cfg); err != nil {
		return nil, err
	}
	return a, nil
}

func (a *App) openRooms(cfg *configs.Config) (err error) {
	storeCfg := store.Config{Dir: cfg.Data, Log: a.log, Metrics: a.set, TapeDays: cfg.TapeDays, OnFault: a.fail}
	if a.opts.Store != nil {
		a.opts.Store(&storeCfg)
	}
	if a.store, err = store.Open(storeCfg); err != nil {
		return err
	}
	if a.minter, err = exchange.NewMinter(a.store.IDKey(), cfg.Node, a.opts.Random); err != nil {
		return err
	}
	a.transport = bidder.NewTransport(bidder.TransportConfig{Dial: a.opts.Dial, RootCAs: a.opts.RootCAs, Clock: a.opts.Clock}, a.log, a.set)
	engineCfg := engine.Config{Reserve: cfg.Reserve, QuoteBytesMax: cfg.Limits.QuoteBytesMax}
	if a.opts.Engine != nil {
		a.opts.Engine(&engineCfg)
	}
	a.live = live.New(a.sources())
	a.engine, err = engine.New(engineCfg, engine.Deps{
		Store: a.store, Vault: a.store.Vault(), Minter: a.minter, Observer: &watcher{a}, Clock: a.opts.Clock, OnFault: a.fail, Log: a.log, Metrics: a.set, Breathe: a.breath.take,
	})
	if err != nil {
		return err
	}
	a.attribution, err = attribution.New(attribution.Deps{
		Journal: a.store, Space: space{a.store.Space("attribution")}, Vault: a.store.Vault(), Clock: a.opts.Clock, Log: a.log, Metrics: a.set,
		Answer: func(id exchange.LeadID, seq uint64) ([]byte, error) { return a.api.Answer(id, seq) },
	})
	if err != nil {
		return err
	}
	a.api = api.New(api.Deps{Engine: a.engine, Vault: a.store.Vault(), Log: a.log, Metrics: a.set})
	a.track = track.New(track.Deps{Recorder: a.engine, Decider: a.attribution, Vault: a.store.Vault(), Minter: a.minter, Clock: a.opts.Clock, Log: a.log, Metrics: a.set})
	a.pressure = newPressure(a.set)
	a.reloads[0] = a.set.NewCounter(`vendue_app_reloads_total{result="refused"}`)
	a.reloads[1] = a.set.NewCounter(`vendue_app_reloads_total{result="accepted"}`)
	a.reloadTook = a.set.NewHistogram("vendue_app_reload_seconds")
	return nil
}

// install makes a loaded config the one that runs. It is all or nothing: what
// can fail comes before the swap of the market.
func (a *App) install(cfg *configs.Config) error {
	cfg.Bidder.Breathe = a.breath.take
	bidders, err := bidder.New(cfg.Bidder, a.transport)
	if err != nil {
		return fmt.Errorf("cannot use the buyers' endpoints: %w", err)
	}
	if err := a.engine.Install(cfg.Market, bidders, cfg.Text); err != nil {
		return fmt.Errorf("cannot journal the config: %w", err)
	}
	follow := cfg.Attribution
	follow.Dial = a.opts.Dial
	a.attribution.Use(follow)
	a.track.Use(follow)
	a.api.Use(cfg.API)
	a.store.KeepPersons(duplicatesSought(cfg.Market))
	a.pressure.most.Store(int64(cfg.Limits.InFlightMax))
	a.pressure.bodies.most.Store(cfg.Limits.BodiesBytesMax)
	a.cfg.Store(cfg)
	return nil
}

// duplicatesSought is how far back a lead's duplicates are looked for at most.
func duplicatesSought(m *exchange.Market) (most time.Duration) {
	for _, v := range m.Verticals {
		most = max(most, time.Duration(v.Duplicate.Within)*time.Second)
	}
	return most
}

// Start begins to serve. The public listener opens last.
func (a *App) Start() (err error) {
	cfg := a.cfg.Load()
	a.engine.Start()
	a.attribution.Start()
	a.admin = a.adminServer()
	a.public = a.publicServer(cfg)
	if a.admLn, err = a.opts.Listen("tcp", cfg.Admin); err != nil {
		return fmt.Errorf("cannot listen on admin %s: %w", cfg.Admin, err)
	}
	if a.sockLn, err = a.opts.Listen("unix", filepath.Join(cfg.Data, socketName)); err != nil {
		a.log.Warn().Err(err).Msg("no command socket; vendue log and verify cannot reach this daemon")
	} else {
		a.serve(a.socketServer(), a.sockLn)
	}
	if a.publicLn, err = a.opts.Listen("tcp", cfg.Listen); err != nil {
		_ = a.admLn.Close() // nothing was served
		return fmt.Errorf("cannot listen on %s: %w", cfg.Listen, err)
	}
	if _, ok := a.publicLn.(*net.TCPListener); ok {
		if a.pressure.gate, err = newGate(); err != nil {
			return err
		}
	}
	a.serve(a.public, &publicListener{Listener: a.publicLn, gate: a.pressure.gate, bodies: &a.pressure.bodies})
	// The admin side speaks last: who reads ready there must find the public side open.
	a.serve(a.admin, a.admLn)
	r := a.store.Recovery()
	a.log.Info().Str("listen", a.PublicAddr()).Str("admin", a.AdminAddr()).Str("config", cfg.Hash[:12]).
		Uint64("seq", a.store.Seq()).Interface("recovery", r).Dur("took", time.Since(a.began)).Msg("serving")
	return nil
}

func (a *App) serve(s *fasthttp.Server, ln net.Listener) {
	a.serving.Go(func() {
		if err := s.Serve(ln); err != nil && !errors.Is(err, net.ErrClosed) {
			a.log.Error().Err(err).Stringer("addr", ln.Addr()).Msg("the listener ended")
		}
	})
}

// PublicAddr is where sellers reach the exchange.
func (a *App) PublicAddr() string { return a.publicLn.Addr().String() }

// AdminAddr is where operators do.
func (a *App) AdminAddr() string { return a.admLn.Addr().String() }

// DataDir is where the journal is.
func (a *App) DataDir() string { return a.cfg.Load().Data }

// What the house needs beside what its limits bound, and for each connection: see DESIGN.md.
const (
	restBytes = 512 << 20
	connBytes = 28 << 10
)

// MemoryMax is how many bytes the house should get by on: all its limits reached at once.
func (a *App) MemoryMax() int64 {
	l := a.cfg.Load().Limits
	return 2*l.QuoteBytesMax + 2*l.BodiesBytesMax + connBytes*int64(l.ConnectionsMax) + restBytes
}

// Failed gives the fault that ended the exchange, once, if one does.
func (a *App) Failed() <-chan error { return a.failed }

// Live gives the figures of the live page.
func (a *App) Live() *live.Live { return a.live }

func (a *App) fail(err error) {
	select {
	case a.failed <- err:
	default:
	}
}

// Reload loads the config file again and makes it the one that runs. With any
// fault the old one stays, whole. Addresses and the data directory stay as they were.
func (a *App) Reload() error {
	a.reload.Lock()
	defer a.reload.Unlock()
	began := time.Now()
	old := a.cfg.Load()
	a.breath.begin()
	defer a.breath.end()
	cfg, faults := configs.LoadGently(a.opts.Config, &a.pieces, a.breath.take)
	if len(faults) > 0 {
		a.reloads[0].Inc()
		for _, f := range faults {
			a.log.Error().Str("fault", f.String()).Msg("the new config was refused")
		}
		return &ConfigError{faults}
	}
	if now, was := cfg.Market.Currency.Code, old.Market.Currency.Code; now != was {
		// Quotes, caps and the ledger count in it; what they hold cannot be told anew.
		a.reloads[0].Inc()
		return &ConfigError{[]configs.Fault{{File: a.opts.Config, Line: 1, Col: 1, Text: fmt.Sprintf("currency cannot change while the exchange runs: expected %s", was)}}}
	}
	if cfg.Data != old.Data || cfg.Listen != old.Listen || cfg.Admin != old.Admin || cfg.Node != old.Node {
		a.log.Warn().Msg("data, listen, admin and node take effect at the next start")
		cfg.Data, cfg.Listen, cfg.Admin, cfg.Node = old.Data, old.Listen, old.Admin, old.Node
	}
	if err := a.install(cfg); err != nil {
		a.reloads[0].Inc()
		return err
	}
	a.reloads[1].Inc()
	a.reloadTook.UpdateDuration(began)
	a.log.Info().Str("config", cfg.Hash[:12]).Msg("config reloaded")
	return nil
}

// Stop drains: no new requests, those in flight end, what is due is on disk.
// When ctx ends first, what is left is cut off and an error says so.
func (a *App) Stop(ctx context.Context) error {
	a.engine.Drain()
	var errs []error
	if a.public != nil {
		errs = append(errs, shutdown(ctx, a.public))
	}
	errs = append(errs, a.engine.Stop(ctx))
	if a.admin != nil {
		a.attribution.Stop()
	}
	errs = append(errs, a.transport.Close())
	if a.admin != nil {
		short, cancel := context.WithTimeout(context.Background(), time.Second)
		defer cancel()
		_ = shutdown(short, a.admin) // a page that polls must not hold the exchange
	}
	// A server that was told to end before it began to accept leaves its listener open.
	for _, ln := range [...]net.Listener{a.sockLn, a.publicLn, a.admLn} {
		if ln != nil {
			_ = ln.Close()
		}
	}
	a.serving.Wait()
	a.pressure.close()
	errs = append(errs, a.store.Close())
	err := errors.Join(errs...)
	a.log.Info().AnErr("error", err).Msg("stopped")
	return errors.Join(err, a.out.Close())
}

func shutdown(ctx context.Context, s *fasthttp.Server) error {
	if err := s.ShutdownWithContext(ctx); err != nil {
		return fmt.Errorf("connections still open: %w", err)
	}
	return nil
}

// abandon lets go of what a failed New had opened.
func (a *App) abandon() {
	if a.transport != nil {
		_ = a.transport.Close()
	}
	if a.store != nil {
		_ = a.store.Close()
	}
	_ = a.out.Close()
}
