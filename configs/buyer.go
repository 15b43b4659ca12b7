package configs

import (
	"strings"
	"time"

	"vendue/bidder"
	"vendue/exchange"
)

func (l *loader) buyer(e entry) {
	t := l.table(e.value, "name", "key_sha256", "caps", "margin", "ping_limits", "prepaid", "suppress", "contracts")
	b := &exchange.Buyer{ID: exchange.BuyerID(e.key), Name: l.label(t.opt("name"), e.key)}
	l.market.Buyers[b.ID] = b
	l.names.buyers = append(l.names.buyers, e.key)
	margin := l.marginRule(t.opt("margin"))
	l.key(t.opt("key_sha256"), "buyers."+e.key, exchange.Principal{Buyer: b})
	b.Caps = l.caps(t.opt("caps"), owner{"buyer", e.key, exchange.ReasonCapBuyer, exchange.ReasonBudget})
	l.prepaid(t.opt("prepaid"), b)
	b.Suppress = l.suppress(t.opt("suppress"))
	first := len(l.cfg.Bidder.Contracts)
	for _, c := range l.named(t.opt("contracts")) {
		l.contract(c, b, margin)
	}
	limits, contracts := l.pingLimits(t.opt("ping_limits")), l.cfg.Bidder.Contracts[first:]
	for i := range contracts {
		contracts[i].Buyer = limits
	}
}

func (l *loader) contract(e entry, b *exchange.Buyer, margin exchange.MarginRule) {
	l.breathe()
	id := exchange.ContractID(e.key)
	if first, taken := l.contracts[id]; taken {
		l.fault(e.pos, "contract %q stands at line %d already; expected a name of its own", e.key, first.line)
	}
	l.contracts[id] = e.pos
	l.names.contracts = append(l.names.contracts, e.key)
	t := l.table(e.value, "vertical", "sale", "paused", "where", "hours", "caps", "price", "ping", "post", "status", "settle", "format", "dialect", "vars", "map", "auth", "secret", "bid_weight", "margin",
		"suppress", "max_legs", "shared_price", "return_within", "return_reasons", "return_frees")
	c := &exchange.Contract{
		ID:       id,
		Index:    len(l.market.Contracts),
		Buyer:    b,
		Vertical: l.verticalOf(t.need("vertical")),
		Sale:     exchange.SaleKind((l.word(t.opt("sale"), 0, "exclusive", "shared", "any") + 1) % 3),
		Paused:   l.boolean(t.opt("paused")),
		Hours:    l.hours(t.opt("hours")),
		Caps:     l.caps(t.opt("caps"), owner{"contract", e.key, exchange.ReasonCapContract, exchange.ReasonBudget}),
		Price:    l.price(t.opt("price")),
		Pinged:   t.opt("ping") != nil,
		CanTest:  true,
	}
	if c.Margin = margin; t.opt("margin") != nil {
		c.Margin = l.marginRule(t.opt("margin"))
	}
	l.shared(t, c)
	c.BidWeight = l.weight(t.opt("bid_weight"))
	switch {
	case c.Pinged && t.opt("price") != nil:
		l.fault(t.opt("price").pos, "a contract has a standing price or a ping; expected one of the two")
	case !c.Pinged && t.opt("price") == nil && e.value.shape == shapeTable:
		l.fault(e.pos, "expected price: (a standing price) or ping: (a live bid)")
	}
	if c.Vertical != nil {
		c.Where = l.where(t.opt("where"), c.Vertical)
	}
	wire := bidder.Contract{Terms: c, Secret: l.secret(t.opt("secret"))}
	said := speech{c: c, at: e.pos, t: t, format: nativeFormat}
	if n := t.opt("format"); n != nil {
		said.at, said.format = n.pos, ""
		if i := l.word(n, -1, formats()...); i >= 0 {
			said.format = formats()[i]
		}
	}
	native := said.format == nativeFormat && t.opt("dialect") == nil
	said.ping = l.table(t.opt("ping"), "url", "test_url", "headers", "timeout", "max_bid", "limits", "breaker", "adaptive", "throttle", "throttle_below")
	if c.Pinged {
		c.PingTimeout = l.duration(said.ping.opt("timeout"), 200*time.Millisecond, span{time.Millisecond, bidMax})
		c.MaxBid = l.price(said.ping.opt("max_bid"))
		wire.Pings = l.pingRules(&said.ping)
	}
	p := l.table(t.need("post"), "url", "test_url", "headers", "timeout", "on_unknown", "idempotent", "at_once")
	said.post = p
	if native {
		if c.Pinged {
			wire.Ping = l.endpoint(said.ping)
		}
		wire.Post = l.endpoint(p)
	}
	l.posts(p, c)
	l.status(t.opt("status"), &said, &wire)
	if wire.Dialect = l.dialect(&said, &wire); wire.Dialect != nil {
		l.spoken(c, wire.Dialect)
	}
	l.settle(t.opt("settle"), c)
	l.returns(t, c)
	l.market.Contracts = append(l.market.Contracts, c)
	l.market.ByName[id] = c
	l.cfg.Bidder.Contracts = append(l.cfg.Bidder.Contracts, wire)
}

// posts reads how a contract is posted to.
func (l *loader) posts(p table, c *exchange.Contract) {
	c.PostTimeout = l.duration(p.opt("timeout"), 3*time.Second, span{time.Millisecond, postMax})
	c.OnUnknown = exchange.OnUnknown(l.word(p.opt("on_unknown"), 0, "hold", "continue"))
	c.Idempotent = l.boolean(p.opt("idempotent"))
	c.PostsAtOnce = int(l.integer(p.opt("at_once"), 0, 1, whole))
}

// weight reads what a contract's bids are ranked at, 0 if they are ranked as they are.
func (l *loader) weight(n *node) exchange.PPM {
	s, ok := l.text(n)
	if !ok {
		return 0
	}
	weight, ok := percent(s)
	if !ok || weight <= 0 {
		l.fault(n.pos, "expected a percentage above 0%% and at most 100%%, such as 90%%")
	}
	return weight
}

// status reads where the buyer tells what became of a post whose outcome is unknown.
func (l *loader) status(n *node, said *speech, wire *bidder.Contract) {
	said.status = l.table(n, "url", "test_url", "headers", "every", "timeout")
	if n == nil {
		return
	}
	t, c := said.status, said.c
	if said.format == nativeFormat && said.t.opt("dialect") == nil {
		wire.Status = bidder.Endpoint{URL: l.statusURL(t.need("url"), c), TestURL: l.statusURL(t.opt("test_url"), c), Headers: l.headers(t.opt("headers"))}
	}
	c.StatusEvery = l.duration(t.opt("every"), 30*time.Second, span{time.Second, 24 * time.Hour})
	c.StatusTimeout = l.duration(t.opt("timeout"), 3*time.Second, span{time.Millisecond, time.Minute})
}

func (l *loader) statusURL(n *node, c *exchange.Contract) string {
	s, ok := l.text(n)
	if !ok {
		return ""
	}
	u, err := bidder.ParseStatusURL(s)
	switch {
	case err != nil:
		l.fault(n.pos, "%s", strings.TrimPrefix(err.Error(), "url: "))
	case len(s) > 4096:
		l.fault(n.pos, "expected a URL of at most 4096 bytes")
	default:
		c.StatusToken = c.StatusToken || u.Uses("token")
	}
	return s
}

// settle reads what an attempt counts as that nobody has settled by a deadline.
func (l *loader) settle(n *node, c *exchange.Contract) {
	if n == nil {
		return
	}
	t := l.table(n, "after", "as")
	c.SettleAs = exchange.SettleAs(l.word(t.need("as"), 0, "hold", "assume_sold", "assume_unsold"))
	after := t.opt("after")
	if c.SettleAs != exchange.SettleHold {
		after = t.need("after")
	}
	c.SettleAfter = l.duration(after, 0, span{time.Second, year})
}

func (l *loader) tree(e entry) {
	tree := &exchange.Tree{ID: exchange.TreeID(e.key)}
	l.trees[tree.ID] = tree
	l.names.trees = append(l.names.trees, e.key)
	items := l.list(e.value)
	if len(items) == 0 && (e.value.shape == shapeList || e.value.shape == shapeNull) {
		l.fault(e.pos, "tree %q: expected at least one tier", e.key)
	}
	listed := map[exchange.ContractID]pos{}
	for _, item := range items {
		t := l.table(item, "method", "rank", "window", "contracts", "weights")
		tier := exchange.Tier{
			Method: exchange.Method(l.word(t.opt("method"), 0, exchange.MethodAuction.String(), exchange.MethodPriority.String(),
				exchange.MethodWeighted.String(), exchange.MethodRoundRobin.String()) + 1),
			Window: l.duration(t.opt("window"), 0, span{time.Millisecond, bidMax}),
		}
		if n := t.opt("rank"); n != nil {
			if tier.Rank = exchange.RankBy(l.word(n, 0, "bid", "expected")); tier.Method != exchange.MethodAuction {
				l.fault(n.pos, "rank says how an auction orders its bids; a tier of method %s has an order of its own", tier.Method)
			}
		}
		names := t.need("contracts")
		contracts := l.list(names)
		if names != nil && len(contracts) == 0 && (names.shape == shapeList || names.shape == shapeNull) {
			l.fault(names.pos, "expected at least one contract")
		}
		for _, n := range contracts {
			if c := l.contractOf(n, listed); c != nil {
				tier.Contracts = append(tier.Contracts, c)
			}
		}
		l.weights(item, t.opt("weights"), &tier)
		tree.Tiers = append(tree.Tiers, tier)
	}
}

// contractOf returns the contract that an item of a tier names, nil if there is none.
func (l *loader) contractOf(n *node, listed map[exchange.ContractID]pos) *exchange.Contract {
	l.breathe()
	name, ok := l.text(n)
	if !ok {
		return nil
	}
	c := l.market.ByName[exchange.ContractID(name)]
	if c == nil {
		l.fault(n.pos, "no contract %q%s", name, didYouMean(name, l.names.contracts))
		return nil
	}
	if first, twice := listed[c.ID]; twice {
		l.fault(n.pos, "contract %q stands in this tree at line %d already; a lead is offered to it once", name, first.line)
	}
	listed[c.ID] = n.pos
	return c
}
