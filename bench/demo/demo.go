// Package demo runs a whole market in one process: the daemon it is given,
// simulated buyers of many manners, affiliate trackers and open-loop traffic
// over real sockets. It shows how it goes, and at the end proves that
// everyone's books agree.
//
// It knows the daemon only through the config it writes, its two addresses and
// its journal. It never reaches into the house.
package demo

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	"vendue/bench/world"
)

// Daemon is a running exchange.
type Daemon interface {
	PublicAddr() string // host:port of the sellers' listener
	AdminAddr() string
	Stop() error // drains and returns when all is on disk
}

// Options say what to run.
type Options struct {
	Leads    int           // 12,000 if zero
	Rate     float64       // leads per second; 400 if zero
	Duration time.Duration // how long to send; if set, Leads is Rate times it
	Seed     uint64        // of every actor
	Out      io.Writer
	// Start runs the exchange on a config file.
	Start func(configPath string) (Daemon, error)
	// Journal gives the journal of a stopped exchange, line by line, as `vendue log` prints it.
	Journal func(dataDir string, line func([]byte) error) error
}

const (
	leadsDefault    = 12_000
	rateDefault     = 400.0
	postbackWaitMax = 60 * time.Second
)

func (o *Options) fill() {
	if o.Rate <= 0 {
		o.Rate = rateDefault
	}
	switch {
	case o.Duration > 0:
		o.Leads = int(o.Rate * o.Duration.Seconds())
	case o.Leads <= 0:
		o.Leads = leadsDefault
	}
	o.Leads = max(o.Leads, 1)
}

// run is one demo in progress.
type run struct {
	Options
	dir    string
	market *market
	daemon Daemon
	seller *world.Seller
	admin  *world.Client
	began  time.Time
}

// Run plays the market and returns nil only if all books agree. It leaves nothing behind.
func Run(ctx context.Context, o Options) (err error) {
	o.fill()
	r := &run{Options: o}
	if r.dir, err = os.MkdirTemp("", "vendue-demo-"); err != nil {
		return fmt.Errorf("cannot make a directory for the demo: %w", err)
	}
	defer func() { err = errors.Join(err, os.RemoveAll(r.dir)) }()
	if r.market, err = openMarket(o.Seed); err != nil {
		return err
	}
	defer r.market.close()
	config := filepath.Join(r.dir, "vendue.yaml")
	if err = r.market.writeConfig(config); err != nil {
		return err
	}
	if r.daemon, err = o.Start(config); err != nil {
		return fmt.Errorf("cannot start the exchange: %w", err)
	}
	stopped := false
	defer func() {
		if !stopped {
			err = errors.Join(err, r.daemon.Stop())
		}
	}()
	if err = r.play(ctx); err != nil {
		return err
	}
	metrics := r.readMetrics()
	stopped = true
	if err = r.daemon.Stop(); err != nil {
		return fmt.Errorf("cannot stop the exchange: %w", err)
	}
	return r.prove(metrics)
}

// play sends the traffic, lets the buyers settle what they could not tell, and waits for the postbacks.
func (r *run) play(ctx context.Context) error {
	r.admin = world.NewClient(r.daemon.AdminAddr(), nil)
	r.seller = world.NewSeller(world.Traffic{
		Addr: r.daemon.PublicAddr(), Seed: r.Seed, Campaigns: r.market.intakes(), Count: r.Leads, Rate: r.Rate,
		Direct: 0.2, ViaClick: 0.25, Named: 0.25, Offer: "auto", Affiliates: r.market.affiliates(),
	})
	defer r.seller.Close()
	r.say("\nVendue demo: %d leads at %.0f a second, %d buyers' contracts, %d affiliates\n", r.Leads, r.Rate, len(r.market.cast), len(r.market.networks))
	r.say("Live page:   http://%s/\n\n", r.daemon.AdminAddr())
	r.began = time.Now()
	r.progress(func() { r.seller.Run(ctx) })
	if err := ctx.Err(); err != nil {
		return fmt.Errorf("the demo was interrupted: %w", err)
	}
	return r.settle(ctx)
}

func (r *run) settle(ctx context.Context) error {
	public := world.NewClient(r.daemon.PublicAddr(), nil)
	defer public.Close()
	settled, untold := 0, 0
	for i := range r.market.cast {
		m := &r.market.cast[i]
		receipts := world.Untold(m.sim.Receipts())
		untold += len(receipts)
		// One in five stays in doubt, so that the end of the page shows what that looks like.
		n, err := world.Settle(public, m.key, receipts[:len(receipts)*4/5])
		if err != nil {
			return fmt.Errorf("buyer %s cannot settle its leads: %w", m.buyer, err)
		}
		settled += n
	}
	r.say("\nBuyers hung up on %d posts; %d of those verdicts came later by /v1/buyers/outcome.\n", untold, settled)
	if err := r.seller.Ask(ctx); err != nil {
		return fmt.Errorf("sellers cannot ask for their leads: %w", err)
	}
	return r.awaitPostbacks(ctx)
}

// awaitPostbacks waits until each sale that an affiliate brought was told. A
// credit that never comes is found by the reconciliation, not here.
func (r *run) awaitPostbacks(ctx context.Context) error {
	due := 0
	answers := r.seller.Answers()
	for i := range answers {
		if answers[i].Affiliate != "" && answers[i].Last().Status == "sold" {
			due++
		}
	}
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	for limit := time.Now().Add(postbackWaitMax); time.Now().Before(limit) && r.market.accepted() < due; {
		select {
		case <-tick.C:
		case <-ctx.Done():
			return fmt.Errorf("the demo was interrupted: %w", ctx.Err())
		}
	}
	return nil
}

func (r *run) readMetrics() world.Metrics {
	reply, err := r.admin.Fetch("/metrics", "")
	r.admin.Close()
	if err != nil {
		return nil // the table then shows dashes
	}
	return world.ReadMetrics(reply.Body)
}
