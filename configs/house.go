package configs

import (
	"io/fs"
	"net"
	"net/netip"
	"path/filepath"
	"strconv"
	"time"
	_ "time/tzdata" // a config must mean the same on a machine without zone files

	"golang.org/x/text/currency"

	"vendue/exchange"
	"vendue/exchange/api/skin"
)

const (
	year          = 365 * 24 * time.Hour
	bidMax        = time.Minute     // for anything buyers have to bid in
	postMax       = 5 * time.Minute // for anything buyers have to take a lead in
	rememberedMax = 10 * year       //  for anything that is remembered
)

// loader builds one Config and gathers what is wrong on the way.
type loader struct {
	file    string
	dir     string
	getenv  func(string) (string, bool)
	breathe func() // called after every small piece of work
	pieces  *Pieces
	faults  []Fault
	cfg     Config
	market  *exchange.Market

	keys      map[[32]byte]string // whose each key is
	contracts map[exchange.ContractID]pos
	campaigns map[exchange.CampaignID]pos
	trees     map[exchange.TreeID]*exchange.Tree
	names     names
	lists     lists
	files     fs.FS               // of the presets
	presets   map[string][32]byte // what each that is used says
	intakes   []*skin.Intake

	suppressed suppressions
}

// names are the valid words of each kind, in the order of the file, for didYouMean.
type names struct{ verticals, buyers, contracts, trees []string }

func newLoader(file, dir string, getenv func(string) (string, bool)) *loader {
	market := &exchange.Market{
		Verticals:  map[exchange.VerticalID]*exchange.Vertical{},
		Sellers:    map[exchange.SellerID]*exchange.Seller{},
		Campaigns:  map[exchange.CampaignID]*exchange.Campaign{},
		Buyers:     map[exchange.BuyerID]*exchange.Buyer{},
		ByName:     map[exchange.ContractID]*exchange.Contract{},
		Offers:     map[exchange.OfferID]*exchange.Offer{},
		Affiliates: map[exchange.AffiliateID]struct{}{},
		Keys:       map[[32]byte]exchange.Principal{},
	}
	return &loader{
		file: file, dir: dir, getenv: getenv, breathe: func() {}, pieces: &Pieces{}, market: market,
		cfg:       Config{Market: market},
		keys:      map[[32]byte]string{},
		contracts: map[exchange.ContractID]pos{},
		campaigns: map[exchange.CampaignID]pos{},
		trees:     map[exchange.TreeID]*exchange.Tree{},
		files:     shippedFiles,
		presets:   map[string][32]byte{},
	}
}

// house reads the whole file. Each section is read after those it refers to.
func (l *loader) house(root *node) {
	t := l.table(root, "listen", "public_url", "admin", "data", "currency", "time_zone", "egress", "limits", "node", "reserve",
		"tape_days", "log_level", "verticals", "operators", "sellers", "buyers", "trees", "affiliates", "offers")
	l.addresses(t)
	l.clockAndCoin(t)
	l.limits(t.opt("limits"))
	l.egress(t.opt("egress"))
	if data, ok := l.text(t.need("data")); ok {
		l.cfg.Data = l.path(data)
		if data == "" {
			l.fault(t.opt("data").pos, "expected the path of a directory")
		}
	}
	l.cfg.Node = uint16(l.integer(t.opt("node"), 0, 0, 4095))
	l.cfg.Reserve = l.duration(t.opt("reserve"), 5*time.Millisecond, span{0, time.Second})
	l.cfg.TapeDays = int(l.integer(t.opt("tape_days"), 14, 1, 3650))
	levels := []string{"debug", "info", "warn", "error"}
	l.cfg.LogLevel = levels[l.word(t.opt("log_level"), 1, levels...)]

	for _, e := range l.named(t.need("verticals")) {
		l.vertical(e)
	}
	for _, e := range l.named(t.opt("buyers")) {
		l.buyer(e)
	}
	for _, e := range l.named(t.opt("trees")) {
		l.tree(e)
	}
	for _, e := range l.named(t.opt("affiliates")) {
		l.affiliate(e)
	}
	for _, e := range l.named(t.opt("offers")) {
		l.offer(e)
	}
	for _, e := range l.named(t.opt("operators")) {
		l.operator(e)
	}
	for _, e := range l.named(t.opt("sellers")) {
		l.seller(e)
	}
	l.cfg.API.Skins = skin.NewSet(l.intakes)
	l.publicURL(t.opt("public_url"))
}

func (l *loader) addresses(t table) {
	l.cfg.Listen = l.address(t.need("listen"), "")
	l.cfg.Admin = l.address(t.opt("admin"), "127.0.0.1:8081")
	_, port, _ := net.SplitHostPort(l.cfg.Listen)
	if l.cfg.Listen == l.cfg.Admin && l.cfg.Listen != "" && port != "0" {
		at := t.opt("listen").pos
		if n := t.opt("admin"); n != nil {
			at = n.pos
		}
		l.fault(at, "admin and listen are the same address; expected two, and admin kept private")
	}
}

func (l *loader) address(n *node, fallback string) string {
	s, ok := l.text(n)
	if !ok {
		return fallback
	}
	_, port, err := net.SplitHostPort(s)
	if _, bad := strconv.ParseUint(port, 10, 16); err != nil || bad != nil {
		l.fault(n.pos, "expected HOST:PORT such as 127.0.0.1:8080")
		return fallback
	}
	return s
}

func (l *loader) clockAndCoin(t table) {
	if code, ok := l.text(t.need("currency")); ok {
		unit, err := currency.ParseISO(code)
		if err != nil || unit.String() != code {
			l.fault(t.opt("currency").pos, "expected an ISO 4217 currency code such as USD")
		}
		places, _ := currency.Standard.Rounding(unit)
		l.market.Currency = exchange.Currency{Code: code, MinorDigits: places}
		l.cfg.Attribution.Currency = l.market.Currency
	}
	l.market.Zone = time.UTC
	if name, ok := l.text(t.need("time_zone")); ok {
		zone, err := time.LoadLocation(name)
		if err != nil || name == "" || name == "Local" {
			l.fault(t.opt("time_zone").pos, "expected an IANA time zone such as America/New_York or UTC")
			return
		}
		l.market.Zone = zone
	}
}

// bodyBytesMost is how large a body may be let be.
const bodyBytesMost = 16 << 20

func (l *loader) limits(n *node) {
	t := l.table(n, "body_bytes", "bodies_bytes", "quote_bytes", "connections", "in_flight")
	l.cfg.Limits = Limits{
		BodyBytesMax:   int(l.integer(t.opt("body_bytes"), 64<<10, 1<<10, bodyBytesMost)),
		BodiesBytesMax: l.integer(t.opt("bodies_bytes"), 256<<20, bodyBytesMost, 1<<40), // so that the largest there may be has room
		QuoteBytesMax:  l.integer(t.opt("quote_bytes"), 1<<30, 1<<20, 1<<40),
		ConnectionsMax: int(l.integer(t.opt("connections"), 20_000, 1, 1_000_000)),
		InFlightMax:    int(l.integer(t.opt("in_flight"), 0, 1, 1_000_000)),
	}
}

func (l *loader) egress(n *node) {
	t := l.table(n, "allow")
	for _, item := range l.list(t.opt("allow")) {
		s, ok := l.text(item)
		if !ok {
			continue
		}
		prefix, err := netip.ParsePrefix(s)
		switch {
		case err != nil:
			l.fault(item.pos, "expected an address range such as 10.0.0.0/8")
		case prefix != prefix.Masked():
			l.fault(item.pos, "%s is not the beginning of its range; did you mean %q?", s, prefix.Masked())
		default:
			l.cfg.EgressAllow = append(l.cfg.EgressAllow, prefix)
		}
	}
	l.cfg.Attribution.EgressAllow = l.cfg.EgressAllow
}

// path makes a path absolute, from the file's own directory.
func (l *loader) path(s string) string {
	if filepath.IsAbs(s) {
		return filepath.Clean(s)
	}
	return filepath.Join(l.dir, s)
}

func (l *loader) operator(e entry) {
	t := l.table(e.value, "key_sha256")
	l.key(t.need("key_sha256"), "operators."+e.key, exchange.Principal{Operator: exchange.OperatorID(e.key)})
}
