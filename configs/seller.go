package configs

import (
	"time"

	"vendue/attribution/postback"
	"vendue/exchange"
)

func (l *loader) seller(e entry) {
	t := l.table(e.value, "name", "key_sha256", "test_key_sha256", "webhook", "caps", "margin", "margin_min", "campaigns")
	s := &exchange.Seller{ID: exchange.SellerID(e.key), Name: l.label(t.opt("name"), e.key)}
	l.market.Sellers[s.ID] = s
	l.key(t.need("key_sha256"), "sellers."+e.key, exchange.Principal{Seller: s})
	l.key(t.opt("test_key_sha256"), "sellers."+e.key, exchange.Principal{Seller: s, Test: true})
	l.webhook(t.opt("webhook"), s.ID)
	s.Caps = l.caps(t.opt("caps"), owner{"seller", e.key, exchange.ReasonCapSeller, exchange.ReasonCapSeller})
	for _, c := range l.named(t.opt("campaigns")) {
		l.campaign(c, s, t)
	}
}

// webhook reads where a seller wants to hear how its pending leads ended.
func (l *loader) webhook(n *node, seller exchange.SellerID) {
	if n == nil {
		return
	}
	t := l.table(n, "url", "secret")
	h := postback.Hook{Seller: seller, Secret: l.secret(t.opt("secret"))}
	url := t.need("url")
	if s, ok := l.text(url); ok {
		h.URL = s
		if err := postback.CheckHook(s); err != nil {
			l.fault(url.pos, "webhook's URL, %s", err)
		}
	}
	l.cfg.Attribution.Hooks = append(l.cfg.Attribution.Hooks, h)
}

func (l *loader) campaign(e entry, s *exchange.Seller, seller table) {
	id := exchange.CampaignID(e.key)
	if first, taken := l.campaigns[id]; taken {
		l.fault(e.pos, "campaign %q stands at line %d already; expected a name of its own", e.key, first.line)
	}
	l.campaigns[id] = e.pos
	t := l.table(e.value, "vertical", "tree", "window", "post_wait", "quote_ttl", "floor", "margin", "margin_min", "buyer_margins", "rate",
		"attempts", "max_legs", "shared_floor", "show_buyers", "consent", "caps", "skins", "spec_sha256")
	c := &exchange.Campaign{
		ID:              id,
		Seller:          s,
		Vertical:        l.verticalOf(t.need("vertical")),
		Tree:            l.treeOf(t.need("tree")),
		Window:          l.duration(t.opt("window"), 250*time.Millisecond, span{time.Millisecond, bidMax}),
		PostWait:        l.duration(t.opt("post_wait"), 10*time.Second, span{time.Millisecond, postMax}),
		QuoteTTL:        l.duration(t.opt("quote_ttl"), 5*time.Minute, span{time.Second, 24 * time.Hour}),
		Floor:           l.money(t.opt("floor"), 0),
		Attempts:        int(l.integer(t.opt("attempts"), 0, 1, 1000)),
		LegsMax:         int(l.integer(t.opt("max_legs"), 0, 1, legsMax)),
		SharedFloor:     l.price(t.opt("shared_floor")),
		ShowBuyers:      l.boolean(t.opt("show_buyers")),
		ConsentRequired: l.word(t.opt("consent"), 0, "optional", "required") == 1,
		Caps:            l.caps(t.opt("caps"), owner{"campaign", e.key, exchange.ReasonCapCampaign, exchange.ReasonCapCampaign}),
	}
	l.margins(t, seller, c)
	rate := l.table(t.opt("rate"), "pings", "posts")
	c.PingsPerSecond = int(l.integer(rate.opt("pings"), 0, 1, 10_000_000))
	c.PostsPerSecond = int(l.integer(rate.opt("posts"), 0, 1, 10_000_000))
	l.market.Campaigns[id] = c
	l.skins(t.opt("skins"), c)
	l.page(t.opt("spec_sha256"), c)
	l.possible(e, t, c)
}

// treeOf returns the tree that n names, nil if there is none.
func (l *loader) treeOf(n *node) *exchange.Tree {
	name, ok := l.text(n)
	if !ok {
		return nil
	}
	tree := l.trees[exchange.TreeID(name)]
	if tree == nil {
		l.fault(n.pos, "no tree %q%s", name, didYouMean(name, l.names.trees))
	}
	return tree
}

// possible finds what each key alone allows and all together make impossible.
func (l *loader) possible(e entry, t table, c *exchange.Campaign) {
	at := func(key string) pos {
		if n := t.opt(key); n != nil {
			return n.pos
		}
		return e.pos
	}
	if c.Window <= l.cfg.Reserve {
		l.fault(at("window"), "window %s leaves no time to bid; expected more than the house's reserve of %s", c.Window, l.cfg.Reserve)
	}
	if c.Tree == nil {
		return
	}
	for _, tier := range c.Tree.Tiers {
		for _, contract := range tier.Contracts {
			if c.Vertical != nil && contract.Vertical != nil && contract.Vertical != c.Vertical {
				l.fault(at("tree"), "tree %q holds contract %q of vertical %q; expected vertical %q", c.Tree.ID, contract.ID, contract.Vertical.ID, c.Vertical.ID)
			}
		}
	}
}
