// Package crash kills the real exchange with SIGKILL at random moments under
// load, starts it again on what lies on the disk, and at the end compares the
// books of sellers, buyers, trackers and the journal. It proves the promise of
// the house: an answer that was given stands, and no lead is sold twice.
//
// It never looks into the house: it has a binary, its disk and its sockets.
package crash

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"path/filepath"
	"time"

	"vendue/bench/house"
	"vendue/bench/world"
)

// Options say how to run.
type Options struct {
	Bin    string
	Dir    string // for config and data
	Cycles int
	Rate   float64 // leads per second; 300 if zero
	Seed   uint64
	Out    io.Writer
}

// Result is what a run came to.
type Result struct {
	*world.Report
	Cycles int
	Faults []error // of single cycles: no restart, verify found something
}

// Err returns nil if nothing was lost.
func (r *Result) Err() error {
	return errors.Join(append(r.Faults, r.Report.Err())...)
}

const (
	killAfterMin  = 200 * time.Millisecond
	killAfterMax  = 1500 * time.Millisecond
	leadsPerCycle = 1_000_000             // numbers set aside, far more than are sent
	recoveryMax   = 80 * time.Millisecond // a restart is killed again within it
	postbackMax   = 60 * time.Second
	capPerCycle   = 20 // leads that the capped buyer takes over the whole run, for each cycle of it
)

// run is one run in progress.
type run struct {
	Options
	cfg     house.Config
	config  string
	random  *rand.Rand
	buyers  []*world.Buyer
	tracker *world.Tracker
	sellers []*world.Seller
	proc    *house.Process
	faults  []error
}

// Run plays the cycles and reconciles. An error means that the harness itself failed.
func Run(ctx context.Context, o Options) (*Result, error) {
	if o.Rate == 0 {
		o.Rate = 300
	}
	r := &run{Options: o, config: filepath.Join(o.Dir, "vendue.yaml"), random: rand.New(rand.NewPCG(o.Seed, 1))}
	if err := r.open(); err != nil {
		return nil, err
	}
	defer r.close()
	r.say("crash: %d cycles at %.0f leads a second, seed %d\n", o.Cycles, o.Rate, o.Seed)
	for n := range o.Cycles {
		if err := r.cycle(ctx, n); err != nil {
			return nil, fmt.Errorf("cycle %d of seed %d: %w", n, o.Seed, err)
		}
	}
	report, err := r.settle(ctx)
	if err != nil {
		return nil, fmt.Errorf("after the last cycle of seed %d: %w", o.Seed, err)
	}
	r.show(report)
	return &Result{Report: report, Cycles: o.Cycles, Faults: r.faults}, nil
}

func (r *run) say(format string, args ...any) { _, _ = fmt.Fprintf(r.Out, format, args...) }

// open starts the buyers and the tracker, writes the config and starts the exchange.
func (r *run) open() error {
	ms := time.Millisecond
	bid := func(m world.Manner) world.Manner {
		m.BidMin, m.BidMax = 18_000_000, 24_000_000
		m.PingDelay = world.Delay{Max: 4 * ms}
		m.PostDelay = world.Delay{Max: 40 * ms}
		return m
	}
	r.cfg = house.Config{Data: "./data", Campaign: []string{"window: 100ms", "post_wait: 3s", "floor: 5.00", "margin: 20%"}}
	for i, m := range []world.Manner{bid(world.Manner{}), bid(world.Manner{RefusePosts: 0.2}), bid(world.Manner{ResetPosts: 0.05}), bid(world.Manner{GarblePosts: 0.02, HangPings: 0.02})} {
		ln, err := world.Listen()
		if err != nil {
			return err
		}
		b := world.NewBuyer(fmt.Sprintf("buyer%d", i), r.Seed+uint64(i), m)
		b.Start(ln)
		r.buyers = append(r.buyers, b)
		r.cfg.Contracts = append(r.cfg.Contracts, house.Contract{Buyer: b.Name, Name: b.Name, URL: b.URL(""), PingLine: "timeout: 80ms", PostLine: "timeout: 1s"})
	}
	// The first buyer is capped so low that the cap is full long before the last kill.
	r.cfg.Contracts[0].Lines = []string{fmt.Sprintf("caps: [{per: total, leads: %d}]", r.cap())}
	ln, err := world.Listen()
	if err != nil {
		return err
	}
	r.tracker = world.NewTracker(r.Seed, world.TrackerManner{Flaky: 0.1})
	r.tracker.Start(ln)
	r.cfg.Affiliates = []house.Affiliate{{ID: "blog-42", URL: r.tracker.URL("/postback")}}
	if err := r.cfg.Ports(); err != nil {
		return err
	}
	if err := r.cfg.Write(r.config); err != nil {
		return err
	}
	r.proc, err = house.Start(r.Bin, r.config, &r.cfg)
	return err
}

func (r *run) cap() int { return capPerCycle * r.Cycles }

func (r *run) close() {
	if r.proc != nil {
		r.proc.Kill()
	}
	for _, b := range r.buyers {
		b.Close()
	}
	if r.tracker != nil {
		r.tracker.Close()
	}
	for _, s := range r.sellers {
		s.Close()
	}
}

// cycle sends traffic, kills the exchange at a random moment, verifies the
// disk, starts it again, and lets the seller ask for everything it was told or not told.
func (r *run) cycle(ctx context.Context, n int) error {
	seller := world.NewSeller(world.Traffic{
		Addr: r.cfg.Listen, Seed: r.Seed, First: n * leadsPerCycle, Count: leadsPerCycle, Rate: r.Rate, Direct: 0.4,
		ViaClick: 0.2, Named: 0.2, Offer: "auto", Affiliates: []string{"blog-42"}, Timeout: 5 * time.Second,
		Campaigns: []world.Intake{{Campaign: "north-auto", Key: house.NorthKey}},
	})
	r.sellers = append(r.sellers, seller)
	traffic, stop := context.WithCancel(ctx)
	done := make(chan struct{})
	go func() {
		defer close(done)
		seller.Run(traffic)
	}()
	after := killAfterMin + time.Duration(r.random.Int64N(int64(killAfterMax-killAfterMin)))
	timer := time.NewTimer(after)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	case <-r.proc.Exited():
		r.faults = append(r.faults, fmt.Errorf("cycle %d: the exchange ended by itself\n%s", n, r.proc.Log()))
	}
	r.proc.Kill()
	stop()
	<-done
	if ctx.Err() != nil {
		return ctx.Err()
	}
	began := time.Now()
	if err := r.restart(n); err != nil {
		return err
	}
	s := seller.Stats()
	r.say("  cycle %3d: killed after %4d ms: %4d leads, %4d sold, %3d pending, %3d unanswered; verified and ready after %d ms\n",
		n, after.Milliseconds(), s.Sent, s.Sold, s.Pending, s.NoAnswer, time.Since(began).Milliseconds())
	return seller.Ask(ctx)
}

// restart starts the exchange again on what the kill left. In one cycle of
// three it is killed once more while it recovers; in the others the disk is verified first.
func (r *run) restart(n int) (err error) {
	if r.random.IntN(3) == 0 {
		again, err := house.Launch(r.Bin, r.config, &r.cfg)
		if err != nil {
			return err
		}
		timer := time.NewTimer(time.Duration(r.random.Int64N(int64(recoveryMax))))
		defer timer.Stop()
		select {
		case <-timer.C:
		case <-again.Exited():
			r.faults = append(r.faults, fmt.Errorf("cycle %d: the exchange ended while it recovered\n%s", n, again.Log()))
		}
		again.Kill()
	} else if err := r.verify(n); err != nil {
		return err
	}
	r.proc, err = house.Start(r.Bin, r.config, &r.cfg)
	return err
}

func (r *run) verify(n int) error {
	v, err := house.Run(r.Bin, "verify", "--data", filepath.Join(r.Dir, "data"))
	if err == nil && v.Code != 0 {
		r.faults = append(r.faults, fmt.Errorf("cycle %d: verify exits %d after kill -9\n%s%s", n, v.Code, v.Out, v.Err))
	}
	return err
}

func (r *run) journal() (*world.Journal, error) {
	l, err := house.Run(r.Bin, "log", "--data", filepath.Join(r.Dir, "data"))
	if err != nil {
		return nil, err
	}
	if l.Code != 0 {
		return nil, fmt.Errorf("vendue log exits %d: %s", l.Code, l.Err)
	}
	j := world.NewJournal()
	return j, j.AddLines([]byte(l.Out))
}

// settle lets the buyers resolve what is in doubt, asks for every lead again, and compares the books.
func (r *run) settle(ctx context.Context) (*world.Report, error) {
	journal, err := r.journal()
	if err != nil {
		return nil, err
	}
	if err := r.tellVerdicts(journal); err != nil {
		return nil, err
	}
	books := &world.Books{Asked: true, Postbacks: true, Credits: -1, Caps: map[string]int{r.buyers[0].Name: r.cap()}}
	for _, s := range r.sellers {
		if err := s.Ask(ctx); err != nil {
			return nil, err
		}
		books.Answers = append(books.Answers, s.Answers()...)
	}
	for _, b := range r.buyers {
		books.Receipts = append(books.Receipts, b.Receipts()...)
	}
	if books.Journal, err = r.journal(); err != nil {
		return nil, err
	}
	due := world.Reconcile(books).Brought
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for limit := time.Now().Add(postbackMax); r.tracker.Accepted() < due && time.Now().Before(limit); <-tick.C {
	}
	if err := r.proc.Stop(15 * time.Second); err != nil {
		r.faults = append(r.faults, err)
	}
	if books.Journal, err = r.journal(); err != nil {
		return nil, err
	}
	books.Notices = r.tracker.Notices()
	return world.Reconcile(books), r.verify(r.Cycles)
}

// tellVerdicts settles each leg in doubt by what the buyer booked; a post that never came to it was not accepted.
func (r *run) tellVerdicts(journal *world.Journal) error {
	api := world.NewClient(r.cfg.Listen, nil)
	defer api.Close()
	for _, b := range r.buyers {
		booked := make(map[string]world.Receipt)
		for _, receipt := range b.Receipts() {
			booked[receipt.LeadID] = receipt
		}
		var verdicts []world.Receipt
		for id, lead := range journal.Leads {
			for i := range lead.Legs {
				leg := &lead.Legs[i]
				if leg.Contract != b.Name || !leg.Doubt() {
					continue
				}
				receipt, ok := booked[id]
				if !ok {
					receipt = world.Receipt{Buyer: b.Name, LeadID: id}
				}
				verdicts = append(verdicts, receipt)
			}
		}
		if _, err := world.Settle(api, house.BuyerKey(b.Name), verdicts); err != nil {
			r.faults = append(r.faults, err)
		}
	}
	return nil
}

func (r *run) show(p *world.Report) {
	r.say("crash: %d cycles of seed %d: %d leads, %d told sold, %d told rejected, %d pending, %d never answered\n", r.Cycles, r.Seed, p.Leads, p.Sold, p.Rejected, p.Pending, p.Unanswered)
	r.say("crash: journal %d events, %d sales, %d in doubt; buyers %d receipts, %d accepting; trackers %d conversions in %d postbacks of %d brought\n",
		p.Events, p.SaleLegs, p.DoubtLegs, p.Receipts, p.Accepting, p.Conversions, p.Notices, p.Brought)
	r.say("crash: %d disagreements, %d faults\n", len(p.Faults), len(r.faults))
}
