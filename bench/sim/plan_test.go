package sim

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"time"

	"vendue/bench/house"
	"vendue/bench/world"
	"vendue/exchange"
)

// Addresses of the simulated network. None is ever resolved.
const (
	publicAddr = "10.0.0.1:80"
	hookSecret = "VENDUE_SIM_HOOK" // the environment's name of it
	hookAddr   = "10.3.0.1:80"
	adminAddr  = "10.0.0.1:81"
	dataDir    = "/data"
)

// Times of a run, in virtual time.
const (
	windowMax   = 250 * time.Millisecond
	southWait   = 10 * time.Second // what a campaign has that names none
	restartMax  = 2 * time.Second
	drainMax    = 30 * time.Second
	postbackMax = 12 * time.Hour // the schedule's steps up to the first of 6 h, and some more
)

const buyersMax = 6

// plan is what a seed picks before anything runs.
type plan struct {
	seed      uint64
	start     time.Time
	tree      []string // tiers; nil: one auction of all
	contracts []contract
	buyers    []string
	secure    map[string]bool // buyers behind TLS
	hookFlaky bool
	manners   map[string]world.Manner
	trackers  []world.TrackerManner
	weather   weather
	leads     int
	rate      float64
	intruders int // people that are sent over and over, at once and later
	syncMax   time.Duration
	postWait  time.Duration // of north's campaign; south's is southWait
	turns     []turn        // what happens to the daemon, in order
	doubtLeft bool          // some of what is in doubt stays so
	endWay    settleWay     // how the rest is settled
	patient   bool          // not before the daemon did what it can
}

// contract is one contract of the market; a reload may change its terms.
type contract struct {
	legsMax     int // buyers that it shares a lead with at most; 0: it sells exclusively
	buyer, name string
	price       int // dollars; 0: it is pinged
	caps        string
	where       string
	onUnknown   string
	paused      bool
	status      string        // how often it may be asked what became of a post; "": it cannot
	idempotent  bool          // it takes a second post as the first
	settle      string        // what a doubt counts as after a while; "": it stays
	frees       bool          // a return frees its caps
	within      time.Duration // how long it takes returns; 0: longer than a run
	pingMs      int
	postMs      int
}

// turnKind is what may happen to the daemon.
type turnKind int

const (
	crashAtTime  turnKind = iota // power is lost after a while
	crashAtWrite                 // at the n-th write to the network, right after it
	crashAtDisk                  // at the n-th write or sync of the disk, right before it
	failDisk                     // the n-th write or sync of the journal's log fails
	reload
	reloadBroken
	restart
	stepClock // somebody sets the wall clock
	turnKinds
)

var turnNames = [turnKinds]string{"power lost at a time", "power lost at a network write", "power lost at a disk write", "disk error", "reload", "broken reload", "clean restart", "clock set"}

// turn is one such event. It comes after wait; crashes and errors then at the n-th chance.
type turn struct {
	kind  turnKind
	wait  time.Duration
	nth   int
	kept  int  // percent of unsynced data
	stays bool // the disk fails from then on
	late  time.Duration
	steps bool // the clock is also set while the daemon is down
	again int  // a crash: also at this disk write of the start after it; 0: no
}

func newPlan(seed uint64) *plan {
	r := rand.New(rand.NewPCG(seed, 0x76656e647565))
	p := &plan{seed: seed, manners: make(map[string]world.Manner), secure: make(map[string]bool), hookFlaky: r.IntN(2) == 0, leads: 40 + r.IntN(80), rate: 2 + r.Float64()*20, intruders: 3 + r.IntN(6)}
	p.start = time.Date(2026, time.Month(1+r.IntN(12)), 1+r.IntN(28), r.IntN(24), r.IntN(60), r.IntN(60), r.IntN(1e9), time.UTC)
	if r.IntN(2) == 0 { // the hour, or the day in New York, ends in the middle of the run
		p.start = p.start.Truncate(time.Hour).Add(time.Hour - time.Duration(r.Int64N(int64(20*time.Second))))
	}
	if r.IntN(6) == 0 {
		p.start = clockChanges[r.IntN(len(clockChanges))].Add(-time.Duration(r.Int64N(int64(20 * time.Second))))
	}
	p.weather = drawWeather(r)
	p.syncMax = time.Duration(r.Int64N(int64(4 * time.Millisecond)))
	p.postWait = time.Duration(600+r.IntN(2400)) * time.Millisecond
	p.doubtLeft, p.endWay, p.patient = r.IntN(3) == 0, settleWay(r.IntN(int(settleWays))), r.IntN(2) == 0
	for b := range 2 + r.IntN(buyersMax-2) {
		name := fmt.Sprintf("buyer%d", b)
		p.buyers = append(p.buyers, name)
		p.manners[name], p.secure[name] = drawManner(r), r.IntN(3) == 0
		for c := range 1 + r.IntN(2) {
			p.contracts = append(p.contracts, drawContract(r, name, fmt.Sprintf("%s-c%d", name, c)))
		}
	}
	p.contracts[0].price, p.contracts[0].paused = 0, false // somebody is pinged
	p.drawShared(seed)
	p.drawReturns(seed)
	p.tree = drawTree(rand.New(rand.NewPCG(seed, 0x74726565)), p.contracts)
	for range 1 + r.IntN(2) {
		p.trackers = append(p.trackers, world.TrackerManner{Flaky: share(r, 0.5), Hang: share(r, 0.2), Down: r.IntN(5) == 0, Delay: delay(r, 200)})
	}
	span := time.Duration(float64(p.leads) / p.rate * float64(time.Second))
	for range r.IntN(6) {
		p.turns = append(p.turns, drawTurn(r, span))
	}
	return p
}

// share draws a share, nothing half of the time.
func share(r *rand.Rand, most float64) float64 {
	if r.IntN(2) == 0 {
		return 0
	}
	return r.Float64() * most
}

func delay(r *rand.Rand, mostMs int) world.Delay {
	d := world.Delay{Max: time.Duration(r.IntN(mostMs)) * time.Millisecond}
	if r.IntN(3) == 0 {
		d.Tail, d.TailPart = 4*time.Duration(mostMs)*time.Millisecond, r.Float64()*0.2
	}
	return d
}

func drawWeather(r *rand.Rand) weather {
	return weather{
		refuse: share(r, 0.2), hang: share(r, 0.1), cut: share(r, 0.3), lag: share(r, 1), slice: share(r, 0.3), short: share(r, 0.8),
		callers: share(r, 0.1), gates: share(r, 0.6),
	}
}

func drawManner(r *rand.Rand) world.Manner {
	m := world.Manner{
		BidMin: exchange.Money(4+r.IntN(10)) * exchange.Micro, NoBid: share(r, 0.4), PingDelay: delay(r, 120), HangPings: share(r, 0.1), GarblePings: share(r, 0.1),
		PostDelay: delay(r, 400), RefusePosts: share(r, 0.5), ResetPosts: share(r, 0.2), HangPosts: share(r, 0.1), GarblePosts: share(r, 0.1), Keep: true,
		StatusDelay: delay(r, 400), HangStatus: share(r, 0.2), GarbleStatus: share(r, 0.3), SilentStatus: share(r, 0.6),
	}
	m.BidMax = m.BidMin + exchange.Money(r.IntN(20))*exchange.Micro
	if r.IntN(4) == 0 {
		m.Up, m.Down = time.Duration(1+r.IntN(8))*time.Second, time.Duration(1+r.IntN(4))*time.Second
		m.DownStatus = []int{0, 408, 429, 500, 302}[r.IntN(5)]
	}
	if r.IntN(4) == 0 {
		m.ExpiresIn = 1 + r.IntN(60)
	}
	return m
}

func drawContract(r *rand.Rand, buyer, name string) contract {
	c := contract{buyer: buyer, name: name, pingMs: 40 + r.IntN(200), postMs: 300 + r.IntN(1500), onUnknown: "hold"}
	if r.IntN(4) == 0 {
		c.price = 5 + r.IntN(10)
	}
	if r.IntN(4) == 0 {
		c.onUnknown = "continue"
	}
	if r.IntN(5) == 0 {
		c.where = "{state: {not: [NY, CA]}}"
	}
	c.paused = r.IntN(12) == 0
	drawSettling(r, &c)
	c.caps = drawCaps(r)
	return c
}

// methods are those of a tree's tiers.
var methods = []string{"auction", "priority", "round_robin", "weighted"}

// drawTree spreads the contracts over one or two tiers of any method; nil: one auction of all.
func drawTree(r *rand.Rand, contracts []contract) (tree []string) {
	if r.IntN(3) == 0 {
		return nil
	}
	cut := len(contracts)
	if r.IntN(2) == 0 {
		cut = 1 + r.IntN(len(contracts))
	}
	for _, tier := range [][]contract{contracts[:cut], contracts[cut:]} {
		if len(tier) == 0 {
			continue
		}
		var names, weights []string
		for i := range tier {
			names = append(names, tier[i].name)
			weights = append(weights, fmt.Sprintf("%s: %d", tier[i].name, 1+r.IntN(3)))
		}
		method := methods[r.IntN(len(methods))]
		text := "- {method: " + method + ", contracts: [" + strings.Join(names, ", ") + "]"
		if method == "weighted" {
			text += ", weights: {" + strings.Join(weights, ", ") + "}"
		}
		tree = append(tree, text+"}")
	}
	return tree
}

// drawSettling picks how doubts about a contract's attempts end by themselves.
func drawSettling(r *rand.Rand, c *contract) {
	if r.IntN(3) == 0 {
		c.status = fmt.Sprintf("%ds", 1+r.IntN(10))
	}
	c.idempotent = r.IntN(4) == 0
	switch r.IntN(6) {
	case 0:
		c.settle = fmt.Sprintf("{as: assume_sold, after: %ds}", 3+r.IntN(60))
	case 1:
		c.settle = fmt.Sprintf("{as: assume_unsold, after: %ds}", 3+r.IntN(60))
	case 2:
		c.settle = "{as: hold}"
	}
}

func drawCaps(r *rand.Rand) string {
	var caps []string
	for _, per := range []string{"hour", "day", "total"} {
		switch r.IntN(6) {
		case 0:
			text := fmt.Sprintf("{per: %s, leads: %d", per, 1+r.IntN(30))
			if per == "day" && r.IntN(2) == 0 {
				text += ", pace: even"
			}
			caps = append(caps, text+"}")
		case 1:
			caps = append(caps, fmt.Sprintf("{per: %s, spend: %d}", per, 20+r.IntN(400)))
		}
	}
	return strings.Join(caps, ", ")
}

func drawTurn(r *rand.Rand, span time.Duration) turn {
	t := turn{kind: turnKind(r.IntN(int(turnKinds))), wait: time.Duration(r.Int64N(int64(span)/3 + 1)), kept: []int{0, 0, 50, 100}[r.IntN(4)], stays: r.IntN(2) == 0}
	t.nth = 1 + r.IntN(60)
	if r.IntN(4) == 0 {
		t.again = 1 + r.IntN(30)
	}
	t.steps = r.IntN(3) == 0
	t.late = time.Duration(r.Int64N(int64(restartMax)))
	return t
}

// shake changes what a reload may change.
func (p *plan) shake(r *rand.Rand) {
	for i := range p.contracts {
		c := &p.contracts[i]
		switch r.IntN(5) {
		case 0:
			c.caps = drawCaps(r)
		case 1:
			c.onUnknown = []string{"hold", "continue"}[r.IntN(2)]
		case 2:
			c.paused = !c.paused
		case 3:
			c.where = []string{"", "{age: {min: 30}}"}[r.IntN(2)]
		}
	}
}

// config is the market as it stands.
func (p *plan) config() string {
	cfg := house.Config{
		Listen: publicAddr, Admin: adminAddr, Data: dataDir, North: []string{`webhook: {url: "http://` + hookAddr + `/settled", secret: env:` + hookSecret + `}`},
		Campaign: []string{fmt.Sprintf("window: %s", windowMax), fmt.Sprintf("post_wait: %s", p.postWait), "quote_ttl: 30s", "floor: 3.00", "margin: 20%"},
	}
	for i := range p.contracts {
		c := &p.contracts[i]
		k := house.Contract{
			Buyer: c.buyer, Name: c.name, URL: p.buyerURL(c.buyer),
			PingLine: fmt.Sprintf("timeout: %dms", c.pingMs), PostLine: fmt.Sprintf("timeout: %dms, on_unknown: %s", c.postMs, c.onUnknown),
		}
		if c.price > 0 {
			k.Price = fmt.Sprintf("%d.00", c.price)
		}
		if c.idempotent {
			k.PostLine += ", idempotent: true"
		}
		if c.status != "" {
			k.Lines = append(k.Lines, fmt.Sprintf(`status: {url: "%s/status?bid={bid_id}", every: %s, timeout: 500ms}`, k.URL, c.status))
		}
		if c.settle != "" {
			k.Lines = append(k.Lines, "settle: "+c.settle)
		}
		if c.caps != "" {
			k.Lines = append(k.Lines, "caps: ["+c.caps+"]")
		}
		if c.where != "" {
			k.Lines = append(k.Lines, "where: "+c.where)
		}
		k.Lines = append(append(k.Lines, fmt.Sprintf("paused: %t", c.paused)), c.returnLines()...)
		if c.legsMax > 0 {
			k.Sale, k.Lines = "shared", append(k.Lines, fmt.Sprintf("max_legs: %d", c.legsMax))
		}
		cfg.Contracts = append(cfg.Contracts, k)
	}
	cfg.Tree = p.tree
	for i := range p.trackers {
		cfg.Affiliates = append(cfg.Affiliates, house.Affiliate{ID: affiliate(i), URL: "http://" + trackerAddr(i) + "/postback", Returns: true})
	}
	return cfg.Text()
}

func (p *plan) idempotents() map[string]bool {
	all := make(map[string]bool)
	for i := range p.contracts {
		all[p.contracts[i].name] = p.contracts[i].idempotent
	}
	return all
}

func (p *plan) buyerAddr(name string) string {
	port := ":80"
	if p.secure[name] {
		port = ":443"
	}
	return "10.1.0." + strings.TrimPrefix(name, "buyer") + port
}

func (p *plan) buyerURL(name string) string {
	scheme := "http://"
	if p.secure[name] {
		scheme = "https://"
	}
	return scheme + p.buyerAddr(name)
}

func trackerAddr(i int) string { return fmt.Sprintf("10.2.0.%d:80", i) }
func affiliate(i int) string   { return fmt.Sprintf("blog-%d", i) }
