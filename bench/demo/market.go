package demo

import (
	"crypto/sha256"
	_ "embed"
	"fmt"
	"os"
	"text/template"
	"time"

	"vendue/bench/world"
	"vendue/exchange"
)

// member is one contract of the demo's market and the simulated buyer behind it.
type member struct {
	buyer, name string // the buyer's and the contract's
	manner      string // in words
	how         world.Manner
	terms       []string // further lines of the contract's config
	standing    string   // a standing price instead of a ping
	capDay      int
	key         string
	sim         *world.Buyer
}

// network is an affiliate and its tracker.
type network struct {
	affiliate, name, manner string
	how                     world.TrackerManner
	sim                     *world.Tracker
}

type market struct {
	cast     []member
	networks []network
	sellers  []seller
	listen   string
	admin    string
}

type seller struct{ id, name, campaign, key string }

// cents makes readable amounts of the cast below.
func cents(n int64) exchange.Money { return exchange.Money(n) * exchange.Micro / 100 }

// newCast lists the contracts. They bid close to each other, so that a refused
// post usually finds another bid above its promise.
func newCast() []member {
	ms := time.Millisecond
	return []member{
		{buyer: "acme", name: "acme-west", manner: "fast, western states, 1,500 a day", capDay: 1500,
			how:   world.Manner{BidMin: cents(1800), BidMax: cents(2400), PingDelay: world.Delay{Min: ms, Max: 4 * ms}, PostDelay: world.Delay{Min: 2 * ms, Max: 10 * ms}},
			terms: []string{"where: {state: [AZ, CA, NV, OR, WA], age: {min: 21, max: 75}}"}},
		{buyer: "zenith", name: "zenith-us", manner: "slow: 30 to 90 ms, 1% at 400 ms",
			how: world.Manner{BidMin: cents(1700), BidMax: cents(2300), PingDelay: world.Delay{Min: 30 * ms, Max: 90 * ms, Tail: 400 * ms, TailPart: 0.01}, PostDelay: world.Delay{Min: 20 * ms, Max: 80 * ms}}},
		{buyer: "borealis", name: "borealis-us", manner: "refuses a fifth of posts",
			how: world.Manner{BidMin: cents(1750), BidMax: cents(2250), NoBid: 0.1, PingDelay: world.Delay{Min: 2 * ms, Max: 12 * ms}, RefusePosts: 0.2, PostDelay: world.Delay{Min: 5 * ms, Max: 25 * ms}}},
		{buyer: "comet", name: "comet-insured", manner: "resets 4% after the whole body",
			how:   world.Manner{BidMin: cents(1700), BidMax: cents(2300), PingDelay: world.Delay{Min: 2 * ms, Max: 8 * ms}, ResetPosts: 0.04, RefusePosts: 0.02, PostDelay: world.Delay{Min: 2 * ms, Max: 12 * ms}},
			terms: []string{"where: {insured: true}"}},
		{buyer: "drift", name: "drift-us", manner: "never answers 3% of pings",
			how: world.Manner{BidMin: cents(1650), BidMax: cents(2250), NoBid: 0.2, HangPings: 0.03, PingDelay: world.Delay{Min: 3 * ms, Max: 15 * ms}, PostDelay: world.Delay{Min: 5 * ms, Max: 20 * ms}}},
		{buyer: "ember", name: "ember-us", manner: "garbage in 8% of pings",
			how:   world.Manner{BidMin: cents(1600), BidMax: cents(2300), GarblePings: 0.08, PingDelay: world.Delay{Min: ms, Max: 5 * ms}, GarblePosts: 0.002, PostDelay: world.Delay{Min: 2 * ms, Max: 10 * ms}},
			terms: []string{"where: {state: {not: [NY]}}"}},
		{buyer: "flicker", name: "flicker-us", manner: "up 4 s, down 1 s", capDay: 2000,
			how: world.Manner{BidMin: cents(1700), BidMax: cents(2350), PingDelay: world.Delay{Min: ms, Max: 6 * ms}, PostDelay: world.Delay{Min: 2 * ms, Max: 8 * ms}, Up: 4 * time.Second, Down: time.Second, DownStatus: 429}},
		{buyer: "zenith", name: "zenith-fixed", manner: "standing price, no ping", standing: "14.00",
			how: world.Manner{PostDelay: world.Delay{Min: 5 * ms, Max: 20 * ms}, RefusePosts: 0.02}},
	}
}

// openMarket starts every simulated buyer and tracker, and picks the exchange's ports.
func openMarket(seed uint64) (*market, error) {
	m := &market{
		cast: newCast(),
		networks: []network{
			{affiliate: "blog-42", name: "Blog 42", manner: "healthy"},
			{affiliate: "social-7", name: "Social Seven", manner: "first answer is 503 for 5%", how: world.TrackerManner{Flaky: 0.05, Delay: world.Delay{Max: 20 * time.Millisecond}}},
		},
		sellers: []seller{
			{"north", "North Media", "north-auto", "vd_demo_north_0000000000000000"},
			{"south", "South Leads", "south-auto", "vd_demo_south_0000000000000000"},
		},
	}
	for i := range m.cast {
		c := &m.cast[i]
		c.key = "vd_demo_" + c.buyer + "_0000000000000000"
		ln, err := world.Listen()
		if err != nil {
			m.close()
			return nil, err
		}
		c.sim = world.NewBuyer(c.name, seed+uint64(i), c.how)
		c.sim.Start(ln)
	}
	for i := range m.networks {
		n := &m.networks[i]
		ln, err := world.Listen()
		if err != nil {
			m.close()
			return nil, err
		}
		n.sim = world.NewTracker(seed+uint64(i), n.how)
		n.sim.Start(ln)
	}
	var err error
	if m.listen, err = world.FreeAddr(); err == nil {
		m.admin, err = world.FreeAddr()
	}
	if err != nil {
		m.close()
		return nil, err
	}
	return m, nil
}

func (m *market) close() {
	for i := range m.cast {
		if m.cast[i].sim != nil {
			m.cast[i].sim.Close()
		}
	}
	for i := range m.networks {
		if m.networks[i].sim != nil {
			m.networks[i].sim.Close()
		}
	}
}

func (m *market) intakes() []world.Intake {
	out := make([]world.Intake, 0, len(m.sellers))
	for i := range m.sellers {
		out = append(out, world.Intake{Campaign: m.sellers[i].campaign, Key: m.sellers[i].key})
	}
	return out
}

func (m *market) affiliates() []string {
	out := make([]string, 0, len(m.networks))
	for i := range m.networks {
		out = append(out, m.networks[i].affiliate)
	}
	return out
}

func (m *market) receipts() []world.Receipt {
	var out []world.Receipt
	for i := range m.cast {
		out = append(out, m.cast[i].sim.Receipts()...)
	}
	return out
}

func (m *market) notices() []world.Notice {
	var out []world.Notice
	for i := range m.networks {
		out = append(out, m.networks[i].sim.Notices()...)
	}
	return out
}

// postbacks counts what came; accepted counts the conversions that a tracker took.
func (m *market) postbacks() (n int64) {
	for i := range m.networks {
		n += m.networks[i].sim.Count()
	}
	return n
}

func (m *market) accepted() (n int) {
	for i := range m.networks {
		n += m.networks[i].sim.Accepted()
	}
	return n
}

//go:embed vendue.yaml.tmpl
var configText string

// writeConfig writes the config as an operator would.
func (m *market) writeConfig(path string) error {
	t, err := template.New("vendue.yaml").Parse(configText)
	if err != nil {
		panic("BUG: the demo's config template: " + err.Error())
	}
	f, err := os.Create(path)
	if err != nil {
		return fmt.Errorf("cannot write the demo's config: %w", err)
	}
	err = t.Execute(f, m.view())
	if closed := f.Close(); err == nil {
		err = closed
	}
	if err != nil {
		return fmt.Errorf("cannot write the demo's config: %w", err)
	}
	return nil
}

// The view types are what the template sees.
type (
	viewContract struct {
		Name, Base, Standing string
		CapDay               int
		Terms                []string
	}
	viewBuyer struct {
		ID, KeySHA256 string
		Contracts     []viewContract
	}
	viewParty struct{ ID, Name, Campaign, KeySHA256, URL string }
	view      struct {
		Listen, Admin     string
		Buyers            []viewBuyer
		Sellers           []viewParty
		Affiliates        []viewParty
		Auction, Standing []string
	}
)

func (m *market) view() view {
	v := view{Listen: m.listen, Admin: m.admin}
	place := make(map[string]int)
	for i := range m.cast {
		c := &m.cast[i]
		at, ok := place[c.buyer]
		if !ok {
			at = len(v.Buyers)
			place[c.buyer] = at
			v.Buyers = append(v.Buyers, viewBuyer{ID: c.buyer, KeySHA256: keyHash(c.key)})
		}
		v.Buyers[at].Contracts = append(v.Buyers[at].Contracts, viewContract{Name: c.name, Base: c.sim.URL(""), Standing: c.standing, CapDay: c.capDay, Terms: c.terms})
		if c.standing == "" {
			v.Auction = append(v.Auction, c.name)
		} else {
			v.Standing = append(v.Standing, c.name)
		}
	}
	for i := range m.sellers {
		s := &m.sellers[i]
		v.Sellers = append(v.Sellers, viewParty{ID: s.id, Name: s.name, Campaign: s.campaign, KeySHA256: keyHash(s.key)})
	}
	for i := range m.networks {
		n := &m.networks[i]
		v.Affiliates = append(v.Affiliates, viewParty{ID: n.affiliate, Name: n.name, URL: n.sim.URL("/postback?") + world.NoticeQuery})
	}
	return v
}

func keyHash(key string) string { return fmt.Sprintf("%x", sha256.Sum256([]byte(key))) }
