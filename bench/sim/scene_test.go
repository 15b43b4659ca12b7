package sim

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/tidwall/gjson"

	"vendue/bench/world"

	"vendue/bench/house"
	"vendue/exchange"
	"vendue/store"
)

// scene is one seed's run. All but judge happens in the bubble.
type scene struct {
	t     *testing.T
	plan  *plan
	tally *tally
	dir   string

	authority *authority

	net      *network
	op       *operator
	witness  *witness
	buyers   map[string]*world.Buyer
	trackers []*world.Tracker
	sellers  []*world.Seller
	hook     *world.Hook
	gossip   *gossip
	returner *returner
	intruder *intruder
	callers  *world.Client // of gossip, intruder and the final questions
	admin    *world.Client

	took   time.Duration
	faults []string
	lines  []byte // the journal as the daemon prints it

	inDoubt [2][]gjson.Result // what is listed in the end, without tests and of tests
}

func (w *scene) wrong(format string, args ...any) {
	w.faults = append(w.faults, fmt.Sprintf(format, args...))
}

// run plays the seed from the first lead to the last book.
func (w *scene) run() {
	time.Sleep(time.Until(w.plan.start)) // a bubble begins in the year 2000
	began := time.Now()
	w.open()
	defer w.close()
	w.op.writeConfig(w.plan.config())
	if w.op.boot() && w.play() {
		w.rest()
	}
	w.op.ended.Wait()
	w.took = time.Since(began)
	for _, method := range methods {
		w.tally.add("tier by "+method, strings.Count(strings.Join(w.plan.tree, " "), "method: "+method+","))
	}
}

// open starts everyone but the daemon.
func (w *scene) open() {
	p := w.plan
	w.net, w.witness = newNetwork(p.seed, w.tally), newWitness()
	w.op = newOperator(p, w.net, w.tally, w.dir)
	w.op.roots = w.authority.roots
	w.buyers = make(map[string]*world.Buyer)
	for i, name := range p.buyers {
		b := world.NewBuyer(name, p.seed+uint64(i), p.manners[name])
		b.Start(w.net.listen(p.buyerAddr(name), nil, w.admit(name)))
		w.buyers[name] = b
	}
	w.hook = world.NewHook(p.hookFlaky)
	w.hook.Start(w.net.listen(hookAddr, nil, nil))
	var affiliates []string
	for i, m := range p.trackers {
		tr := world.NewTracker(p.seed+uint64(i), m)
		tr.Start(w.net.listen(trackerAddr(i), nil, nil))
		w.trackers = append(w.trackers, tr)
		affiliates = append(affiliates, affiliate(i))
	}
	intakes := []world.Intake{{Campaign: "north-auto", Key: house.NorthKey}, {Campaign: "south-auto", Key: house.SouthKey}, {Campaign: "north-auto", Key: house.NorthTestKey}}
	for i, in := range intakes {
		wait := p.postWait
		if in.Key == house.SouthKey {
			wait = southWait
		}
		w.sellers = append(w.sellers, world.NewSeller(world.Traffic{
			Addr: publicAddr, Dial: w.dialWitnessed(wait), Seed: p.seed, Campaigns: []world.Intake{in}, First: i * p.leads, Count: p.leads / (1 + i),
			Rate: p.rate / float64(1+i), Direct: 0.3, ViaClick: 0.2, Named: 0.3, Offer: "auto", Affiliates: affiliates,
		}))
	}
	w.callers, w.admin = world.NewClient(publicAddr, w.dial), world.NewClient(adminAddr, w.dial)
	w.gossip = &gossip{buyers: w.buyers, client: w.callers, admin: w.admin, tally: w.tally, random: rand.New(rand.NewPCG(p.seed, 6)), wrong: make(map[string]bool)}
	w.returner = newReturner(w)
	w.intruder = &intruder{seed: p.seed, client: w.callers, tally: w.tally, finals: make(map[string]string), answers: make(map[string]*world.Answer)}
}

// admit is how a buyer takes connections: under witness, behind TLS if it has that.
func (w *scene) admit(name string) func(net.Conn) net.Conn {
	if !w.plan.secure[name] {
		return func(c net.Conn) net.Conn { return &buyerWire{Conn: c, w: w.witness} }
	}
	g := w.net.guard(w.plan.buyerAddr(name), w.authority)
	return func(c net.Conn) net.Conn { return &buyerWire{Conn: g.admit(c), w: w.witness} }
}

func (w *scene) dial(address string, timeout time.Duration) (net.Conn, error) {
	return w.net.dial(address, nil, timeout)
}

// dialWitnessed dials for a seller whose posts are to be answered within wait.
func (w *scene) dialWitnessed(wait time.Duration) world.Dial {
	return func(address string, timeout time.Duration) (net.Conn, error) {
		c, err := w.net.dial(address, nil, timeout)
		if err != nil {
			return nil, err
		}
		return &sellerWire{Conn: c, w: w.witness, wait: wait}, nil
	}
}

// play is the storm: traffic, gossip and intruders, while the operator works through its turns.
func (w *scene) play() bool {
	storm := w.plan.weather
	w.net.weather.Store(&storm)
	ctx, cancel := context.WithCancel(context.Background())
	var traffic, talk sync.WaitGroup
	for _, s := range w.sellers {
		traffic.Go(func() { s.Run(ctx) })
	}
	for n := range w.plan.intruders {
		r := rand.New(rand.NewPCG(w.plan.seed, 100+uint64(n)))
		traffic.Go(func() {
			time.Sleep(time.Duration(r.Int64N(int64(5 * time.Second))))
			w.intruder.person(n, r)
		})
	}
	talk.Go(func() { w.gossip.run(ctx, w.plan.buyers) })
	talk.Go(func() { w.returner.run(ctx, w.plan.buyers) })
	up := w.op.run()
	traffic.Wait()
	cancel()
	talk.Wait()
	w.net.weather.Store(new(weather))
	w.hangUp() // connections keep the weather they were made in
	return up
}

// rest lets everything come to its end in calm weather, and compares the books.
func (w *scene) rest() {
	ctx := context.Background()
	for _, name := range w.plan.buyers {
		w.buyers[name].SetManner(world.Manner{BidMin: 10 * exchange.Micro, BidMax: 12 * exchange.Micro})
	}
	for _, tr := range w.trackers {
		tr.SetManner(world.TrackerManner{})
	}
	w.gossip.settle()
	for _, s := range w.sellers { // whoever had no answer sends again, on connections from before the calm: there may be new doubts
		if err := s.Ask(ctx); err != nil {
			w.wrong("I3: %v", err)
		}
	}
	if w.plan.patient {
		time.Sleep(3 * time.Minute) // the daemon settles by itself what it can
	}
	w.settleDoubts()
	w.awaitResolver()
	w.returner.giveBack(w)
	books := &world.Books{Asked: true, Postbacks: true, Reversals: true, Receipts: w.gossip.receipts()}
	for _, s := range w.sellers {
		if err := s.Ask(ctx); err != nil {
			w.wrong("I3: %v", err)
		}
		books.Answers = append(books.Answers, s.Answers()...)
	}
	asked, err := w.intruder.ask()
	if err != nil {
		w.wrong("I3: %v", err)
	}
	books.Answers = append(books.Answers, asked...)
	books.Receipts = w.gossip.receipts()
	live := w.awaitPostbacks()
	hooked := w.askHooked()
	w.inDoubt = [2][]gjson.Result{w.doubts(false), w.doubts(true)}
	books.Credits = int(live.Get("postbacks.credits").Int())
	w.readJournal()
	page, _ := w.admin.Fetch("/metrics", "")
	if want := fmt.Sprintf("\nvendue_engine_in_doubt %d\n", len(w.inDoubt[0])); !strings.Contains(string(page.Body), want) {
		w.wrong("the metrics tell of another number of doubts than the list: want %s", want)
	}
	w.op.stop()
	w.compare(books, live, hooked)
	w.checkMarkers(page.Body)
}

// settleDoubts has the buyers say what they booked of every leg in doubt, or of two thirds of them.
func (w *scene) settleDoubts() {
	w.readJournal()
	pings, doubts := make(map[string]string), make(map[string]world.Receipt)
	gjson.ForEachLine(string(w.lines), func(line gjson.Result) bool {
		id, attempt := line.Get("lead_id").Str, line.Get("attempt").Raw
		switch line.Get("type").Str {
		case "post_started":
			if ping := line.Get("lead.ping_id").Str; ping != "" {
				pings[id] = ping
			}
			doubts[id+attempt] = world.Receipt{Buyer: line.Get("buyer").Str, LeadID: id, BidID: pings[id] + "-" + line.Get("leg").Raw}
		case "post_ended":
			if line.Get("outcome").Str != "unknown" {
				delete(doubts, id+attempt)
			}
		case "leg_settled":
			delete(doubts, id+attempt)
		}
		return true
	})
	if w.plan.endWay == byList && !w.plan.doubtLeft {
		w.settleLists()
		w.tally.add("doubts settled at the end", len(doubts))
		return
	}
	booked := make(map[string]bool)
	for _, r := range w.gossip.receipts() {
		booked[legOf(&r)] = r.Accepted
	}
	n := 0
	for _, r := range doubts {
		if n++; w.plan.doubtLeft && n%3 == 0 {
			continue
		}
		r.Accepted = booked[legOf(&r)]
		if err := w.settleBy(w.plan.endWay, &r); err != nil {
			w.wrong("a doubt cannot be settled: %v", err)
		}
	}
	w.tally.add("doubts settled at the end", n)
}

func (w *scene) readJournal() {
	reply, err := w.admin.Fetch("/api/log", "")
	if err != nil || reply.Status != 200 {
		w.wrong("the journal cannot be read: status %d, error %v", reply.Status, err)
	}
	w.lines = reply.Body
}

// awaitPostbacks waits until no postback waits and returns the live figures.
func (w *scene) awaitPostbacks() (live gjson.Result) {
	time.Sleep(time.Second) // attribution follows the journal
	for limit := time.Now().Add(postbackMax); time.Now().Before(limit); time.Sleep(time.Minute) {
		reply, err := w.admin.Fetch("/api/live", "")
		if err != nil {
			w.wrong("the live figures cannot be read: %v", err)
			return live
		}
		live = gjson.ParseBytes(reply.Body)
		if live.Get("postbacks.waiting").Int() == 0 && live.Get("journal.seq").Int() == live.Get("journal.durable").Int() {
			return live
		}
	}
	w.wrong("I8: %s postbacks still wait after %s", live.Get("postbacks.waiting").Raw, postbackMax)
	return live
}

// compare reads the stopped daemon's journal and holds every book against it.
func (w *scene) compare(books *world.Books, live gjson.Result, hooked map[string]string) {
	s, err := store.OpenReadOnly(store.Config{Dir: dataDir, FS: w.op.disk.FS()})
	if err != nil {
		w.wrong("the journal cannot be opened: %v", err)
		return
	}
	audit, err := newAudit(w)
	if err != nil {
		w.wrong("%v", err)
	}
	books.Journal = world.NewJournal()
	w.lines = w.lines[:0]
	_, err = s.Read(1, 1<<30, func(e exchange.Entry) error {
		audit.entry(e)
		w.lines = append(store.AppendJSON(w.lines, e), '\n')
		return books.Journal.AddEntry(e)
	})
	if err != nil {
		w.wrong("the journal cannot be read: %v", err)
	}
	if err := s.Close(); err != nil {
		w.wrong("%v", err)
	}
	audit.done()
	w.checkCaps(audit, live)
	w.checkDoubts(audit, false, w.inDoubt[0])
	w.checkDoubts(audit, true, w.inDoubt[1])
	w.checkStatuses(books)
	w.returner.check(books.Journal)
	w.checkHook(audit, hooked)
	for _, tr := range w.trackers {
		books.Notices = append(books.Notices, tr.Notices()...)
	}
	books.Idempotent = w.plan.idempotents()
	r := world.Reconcile(books)
	for i := range r.Faults {
		w.wrong("books: %s", r.Faults[i].String())
	}
	w.faults = slices.Concat(w.faults, audit.faults, w.gossip.faults, w.returner.faults, w.intruder.faults, w.witness.late)
	for kind, n := range map[string]int{
		"leads checked": r.Leads, "leads sold": r.Sold, "attempts": audit.attempts, "events": r.Events, "legs left in doubt": r.DoubtLegs, "test attempts": audit.tests, "receipts": r.Receipts,
		"legs given back": r.Returned, "credits": r.Brought, "postbacks": r.Notices, "answers timed": w.witness.asked, "leads never answered": r.Unanswered,
	} {
		w.tally.add(kind, n)
	}
}

// checkCaps holds the daemon's own count of its caps against the audit's.
func (w *scene) checkCaps(a *audit, live gjson.Result) {
	for _, c := range live.Get("caps").Array() {
		id, start := exchange.CapID(c.Get("id").Str), int64(0)
		if t, err := time.Parse(time.RFC3339, c.Get("start").Str); err == nil {
			start = t.Unix()
		}
		u, scale := a.used[capWindow{id, start}], exchange.Money(1)
		if u == nil {
			u = new(usage)
		}
		if c.Get("unit").Str == exchange.CapLeads.String() {
			scale = exchange.Micro
		}
		if held, committed := moneyOf(c.Get("held")), moneyOf(c.Get("committed")); held != exchange.Money(u.held)*scale || committed != exchange.Money(u.committed)*scale {
			w.wrong("I4: cap %s stands at %s held and %s committed; the journal gives %d and %d", id, held, committed, u.held, u.committed)
		}
		w.tally.add("caps recounted", 1)
	}
}

// personal matches what only a winner may see.
var personal = regexp.MustCompile(`@example\.com|\+1[2-9]\d{9}`)

// checkMarkers looks for personal values where none may be.
func (w *scene) checkMarkers(page []byte) {
	look := func(where string, text []byte) {
		if at := personal.FindIndex(text); at != nil {
			w.wrong("I5: a personal value in %s: %q", where, text[max(0, at[0]-40):min(len(text), at[1]+20)])
		}
		w.tally.add("bytes searched for personal values", len(text))
	}
	look("the log", w.op.logs.text())
	look("the metrics", page)
	look("the journal", w.lines)
	for _, b := range w.buyers {
		for _, body := range b.Kept() {
			if bytes.Contains(body, []byte(`"tmax_ms"`)) {
				look("a ping", body)
			}
		}
	}
	if err := w.op.disk.Each(dataDir, look); err != nil {
		w.wrong("%v", err)
	}
}

// hangUp closes the callers' idle connections.
func (w *scene) hangUp() {
	for _, s := range w.sellers {
		s.Close()
	}
	w.callers.Close()
	w.admin.Close()
}

// close ends everyone, and waits until the last connection is gone.
func (w *scene) close() {
	w.hangUp()
	if w.op.life != nil {
		w.op.stop() // the run ended early
	}
	for _, b := range w.buyers {
		b.Close()
	}
	for _, tr := range w.trackers {
		tr.Close()
	}
	w.hook.Close()
	time.Sleep(time.Minute) // clients' and servers' upkeep ends by itself
}

// judge fails the test if anything was wrong, and keeps what the run left.
func (w *scene) judge() {
	w.faults = append(w.faults, w.op.faults...)
	if len(w.faults) == 0 {
		return
	}
	const shown = 12
	for _, f := range w.faults[:min(shown, len(w.faults))] {
		w.t.Errorf("%s", f)
	}
	dir := filepath.Join(*keep, fmt.Sprintf("seed-%d", w.plan.seed))
	err := w.keep(dir)
	w.t.Errorf("seed %d: %d faults; journal, log and disk are in %s (%v); turns %+v", w.plan.seed, len(w.faults), dir, err, w.plan.turns)
}

// keep writes what the run left to a directory.
func (w *scene) keep(dir string) error {
	if err := os.RemoveAll(dir); err != nil {
		return err
	}
	var faults error
	put := func(name string, data []byte) {
		name = filepath.Join(dir, name)
		faults = errors.Join(faults, os.MkdirAll(filepath.Dir(name), 0o700), os.WriteFile(name, data, 0o600))
	}
	put("journal.jsonl", w.lines)
	put("log.jsonl", w.op.logs.text())
	put("vendue.yaml", []byte(w.plan.config()))
	return errors.Join(faults, w.op.disk.Each(dataDir, put))
}
