//go:build linux

package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"vendue/bench/peers"
)

// plan is what one call of the bench measures.
type plan struct {
	scale
	work string // folder for journals
	only string // names of parts, comma-separated; "" is all
}

// part is one question and the code that answers it on the page.
type part struct {
	name  string
	run   func(context.Context, *tour) error
	asked bool // it takes long, and is measured only where it is named
}

// parts in the order of the page.
func parts() []part {
	return []part{
		{name: "main", run: mainPart}, {name: "buyers", run: buyersPart}, {name: "connections", run: connectionsPart}, {name: "delay", run: delayPart}, {name: "hang", run: hangPart},
		{name: "contracts", run: contractsPart}, {name: "reload", run: reloadPart}, {name: "tls", run: tlsPart},
		{name: "journal", run: journalPart}, {name: "affiliates", run: affiliatesPart}, {name: "memory", run: memoryPart, asked: true},
	}
}

func partNames() (names []string) {
	for _, p := range parts() {
		names = append(names, p.name)
	}
	return names
}

// tour is one part's view of the bench: its stage, and the page it writes to.
type tour struct {
	plan
	*stage
	page *page
	bin  string
}

// measureAll runs the parts that are wanted, each on a stage of its own.
func measureAll(ctx context.Context, p *page, pl plan) error {
	var named []string
	if pl.only != "" {
		named = strings.Split(pl.only, ",")
	}
	for _, name := range named {
		if known := partNames(); !slices.Contains(known, name) {
			return fmt.Errorf("no part %q: expected some of %s", name, strings.Join(known, ", "))
		}
	}
	work, err := os.MkdirTemp(pl.work, "bench-")
	if err != nil {
		return fmt.Errorf("cannot make a folder for the journals: %w", err)
	}
	defer func() { _ = os.RemoveAll(work) }()
	if work, err = filepath.Abs(work); err != nil {
		return fmt.Errorf("cannot name the folder: %w", err)
	}
	bin, err := buildVendue(work)
	if err != nil {
		return err
	}
	for _, part := range parts() {
		if named == nil && part.asked || named != nil && !slices.Contains(named, part.name) {
			continue
		}
		began := time.Now()
		fmt.Fprintf(os.Stderr, "%s\n", part.name)
		if err := runPart(ctx, part, &tour{plan: pl, page: p, bin: bin}, work); err != nil {
			return fmt.Errorf("part %s: %w", part.name, err)
		}
		fmt.Fprintf(os.Stderr, "    %s\n", time.Since(began).Round(time.Second))
	}
	p.done()
	return nil
}

func runPart(ctx context.Context, part part, t *tour, work string) (err error) {
	if t.stage, err = newStage(work, t.bin); err != nil {
		return err
	}
	defer t.close()
	return part.run(ctx, t)
}

// closedPace is the closed loop that CPU is compared in.
func (t *tour) closedPace() pace { return pace{warm: t.warm, measure: t.closed} }

// openPace is the open loop that latency is read in.
func (t *tour) openPace(rate float64) pace { return pace{rate: rate, warm: t.warm, measure: t.open} }

// Names of the exchange's rows.
const (
	namePing   = "vendue ping"
	namePair   = "vendue ping+post"
	nameDirect = "vendue direct"
	nameStrict = "vendue direct, strict"
)

// market starts buyers, an exchange over them, and the peers that are asked for.
func (t *tour) market(ctx context.Context, n int, buyerArgs []string, kinds ...string) (e *exchange, bare []*side, err error) {
	addrs, err := t.buyers(ctx, append([]string{"-n", fmt.Sprint(n)}, buyerArgs...)...)
	if err != nil {
		return nil, nil, err
	}
	if e, err = t.exchange(ctx, &market{buyers: urls("http", addrs)}); err != nil {
		return nil, nil, err
	}
	bare, err = t.peers(ctx, addrs, kinds...)
	return e, bare, err
}

func urls(scheme string, addrs []string) []string {
	out := make([]string, len(addrs))
	for i, a := range addrs {
		out[i] = scheme + "://" + a
	}
	return out
}

func (e *exchange) three() []*side {
	return []*side{e.side(namePing, pingSteps(campaign)), e.side(namePair, pingPostSteps()), e.side(nameDirect, directSteps())}
}

// mainPart: ten buyers that answer at once, CPU per auction beside every peer.
//
// Pings and directs share an exchange, as they do where others measure it, and the dearer units have
// another: what an exchange has sold before it keeps in memory and merges later, so that directs on
// one that sells all four cost some 5% more.
func mainPart(ctx context.Context, t *tour) error {
	addrs, err := t.buyers(ctx, "-n", "10")
	if err != nil {
		return err
	}
	m := &market{buyers: urls("http", addrs)}
	e, err := t.exchange(ctx, m)
	if err != nil {
		return err
	}
	other, err := t.exchange(ctx, m)
	if err != nil {
		return err
	}
	bare, err := t.peers(ctx, addrs, peers.Raw, peers.RawLog, peers.FastHTTP, peers.NetHTTP, nodeJS)
	if err != nil {
		return err
	}
	sides := append([]*side{
		e.side(namePing, pingSteps(campaign)), other.side(namePair, pingPostSteps()),
		e.side(nameDirect, directSteps()), other.side(nameStrict, strictSteps()),
	}, bare...)
	rows, err := compare(ctx, t.rounds, t.closedPace(), sides...)
	if err != nil {
		return err
	}
	t.page.main(rows)
	if err := other.stop(); err != nil {
		return err
	}
	return e.stop()
}

// buyersPart: the same with other numbers of buyers.
func buyersPart(ctx context.Context, t *tour) error {
	byN := map[int][]row{}
	if ten := t.page.mainRows; ten != nil {
		byN[10] = ten
	}
	for _, n := range t.counts {
		e, bare, err := t.market(ctx, n, nil, peers.Raw, peers.RawLog, peers.FastHTTP, peers.NetHTTP)
		if err != nil {
			return err
		}
		if byN[n], err = compare(ctx, t.rounds, t.closedPace(), append(e.three(), bare...)...); err != nil {
			return err
		}
		if err := t.strike(e); err != nil {
			return err
		}
	}
	t.page.byBuyers(byN)
	return nil
}

// connectionsPart: the same with other numbers of sellers' connections, each with a unit in flight.
func connectionsPart(ctx context.Context, t *tour) error {
	e, bare, err := t.market(ctx, 10, nil, peers.Raw)
	if err != nil {
		return err
	}
	sides := append([]*side{e.side(namePing, pingSteps(campaign)), e.side(nameDirect, directSteps())}, bare...)
	var all [][]row
	for _, n := range t.conns {
		p := t.closedPace()
		p.conns = n
		rows, err := compare(ctx, t.rounds, p, sides...)
		if err != nil {
			return err
		}
		all = append(all, rows)
	}
	t.page.byConns(t.conns, all)
	return nil
}

// strike ends an exchange and every other process of the stage.
func (t *tour) strike(e *exchange) error {
	err := e.stop()
	for _, c := range t.children {
		c.kill()
	}
	t.children = nil
	return err
}

// delayPart: latency above the buyers' own, at a fixed rate.
func delayPart(ctx context.Context, t *tour) error {
	var all []delayRows
	for _, d := range t.delays {
		e, bare, err := t.market(ctx, 10, []string{"-delay", d.String()}, peers.Raw, peers.RawLog, peers.FastHTTP, peers.NetHTTP)
		if err != nil {
			return err
		}
		sides := append([]*side{e.side(namePing, pingSteps(campaign)), e.side(nameDirect, directSteps())}, bare...)
		rows, err := compare(ctx, t.rounds, t.openPace(delayRate), sides...)
		if err != nil {
			return err
		}
		m, err := e.metrics()
		if err != nil {
			return err
		}
		all = append(all, delayRows{d, rows, 1e6 * m.Quantile("vendue_store_sync_seconds", 0.5), 1e6 * m.Quantile("vendue_engine_lock_held_seconds", 0.99)})
		if err := t.strike(e); err != nil {
			return err
		}
	}
	t.page.delays(all)
	return nil
}

// delayRate is the open loop's rate, per second.
const delayRate = 1000

// Pings a second of the hanging part: to the campaign that asks the one who
// hangs, and to the one that does not. An exchange keeps a connection for some
// seconds in case a late answer comes, and has a bound on them per buyer. A rate
// that runs into it was tried: most pings then skipped the buyer, and the figure
// looked far better than it is.
const (
	hangRate  = 100
	spareRate = 500
)

// hangPart: one of ten buyers never answers; two campaigns at once, one of
// which does not ask it.
func hangPart(ctx context.Context, t *tour) error {
	addrs, err := t.buyers(ctx, "-n", "10", "-hang", "1")
	if err != nil {
		return err
	}
	e, err := t.exchange(ctx, &market{buyers: urls("http", addrs), asked: true})
	if err != nil {
		return err
	}
	alone, err := compare(ctx, t.rounds, t.openPace(spareRate), e.side("without it, alone", pingSteps(clean)))
	if err != nil {
		return err
	}
	var asks, spared []figures
	for range t.rounds {
		a, b, err := t.both(ctx, e)
		if err != nil {
			return err
		}
		asks, spared = append(asks, a), append(spared, b)
	}
	m, err := e.metrics()
	if err != nil {
		return err
	}
	late := m.Sum("vendue_bidder_answers_total", `contract="b9-c"`, `result="timeout"`)
	rows := append(alone, row{name: "without it, beside the next", median: medians(spared)}, row{name: "with it", median: medians(asks)})
	progress(rows[1:])
	t.page.hang(rows, late, m.Sum("vendue_bidder_answers_total", `contract="b9-c"`))
	return e.stop()
}

// both asks two campaigns of one exchange at once.
func (t *tour) both(ctx context.Context, e *exchange) (asks, spared figures, err error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	type result struct {
		figures
		err error
	}
	other := make(chan result, 1)
	serial := e.serial + 1<<32
	s := e.side("", pingSteps(clean))
	s.serial = &serial
	go func() {
		f, _, err := once(ctx, s, t.openPace(spareRate))
		other <- result{f, err}
	}()
	asks, _, err = once(ctx, e.side("", pingSteps(campaign)), t.openPace(hangRate))
	if err != nil {
		cancel()
	}
	r := <-other
	if err == nil {
		err = r.err
	}
	return asks, r.figures, err
}

// contractsPart: the same ten candidates among more and more contracts.
func contractsPart(ctx context.Context, t *tour) error {
	addrs, err := t.buyers(ctx, "-n", "10")
	if err != nil {
		return err
	}
	var sides []*side
	var exchanges []*exchange
	for _, n := range append([]int{10}, t.contracts...) {
		e, err := t.exchange(ctx, &market{buyers: urls("http", addrs), fillers: n - 10})
		if err != nil {
			return err
		}
		exchanges = append(exchanges, e)
		sides = append(sides, e.side(fmt.Sprintf("ping, %d contracts", n), pingSteps(campaign)), e.side(fmt.Sprintf("direct, %d contracts", n), directSteps()))
	}
	rows, err := compare(ctx, t.rounds, t.closedPace(), sides...)
	if err != nil {
		return err
	}
	t.page.contracts(rows, exchanges[len(exchanges)-1].ready)
	for _, e := range exchanges {
		if err := e.stop(); err != nil {
			return err
		}
	}
	return nil
}

// handshakes is how long the TLS part asks before it measures: its first instant
// brings hundreds of handshakes, which make pings late.
const handshakes = 3 * time.Second

// tlsPart: the same ten buyers behind TLS, on connections kept open.
func tlsPart(ctx context.Context, t *tour) error {
	cert := filepath.Join(t.dir, "cert.pem")
	secure, err := t.buyers(ctx, "-n", "10", "-tls", cert)
	if err != nil {
		return err
	}
	plain, err := t.buyers(ctx, "-n", "10")
	if err != nil {
		return err
	}
	open, err := t.exchange(ctx, &market{buyers: urls("http", plain), asked: true})
	if err != nil {
		return err
	}
	sealed, err := t.exchange(ctx, &market{buyers: urls("https", secure), asked: true}, "SSL_CERT_FILE="+cert)
	if err != nil {
		return err
	}
	if _, _, err := once(ctx, sealed.side("handshakes", pingSteps(campaign)), pace{warm: t.warm, measure: handshakes}); err != nil {
		return err
	}
	rows, err := compare(ctx, t.rounds, t.closedPace(),
		open.side("ping, plain", pingSteps(campaign)), sealed.side("ping, TLS", pingSteps(campaign)),
		open.side("direct, plain", directSteps()), sealed.side("direct, TLS", directSteps()))
	if err != nil {
		return err
	}
	t.page.tls(rows)
	if err := open.stop(); err != nil {
		return err
	}
	return sealed.stop()
}
