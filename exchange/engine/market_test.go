package engine

import (
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"vendue/exchange"
)

// The fields of every test's leads, by slot.
const (
	slotZip = iota
	slotState
	slotPhone
	slotCount
)

// world is a market written as lines of text, and its buyers with what they will say:
//
//	zone NAME                      (UTC if it is not said)
//	seller NAME [cap=PER/UNIT/LIMIT[/DAY+DAY..|/even]]...
//	campaign NAME seller=S [floor= margin= bands=FROM:MARGIN,.. for=BUYER/MARGIN margin_min= window= post_wait= ttl= pings= posts= attempts= legs= shared_floor= consent cap=..]
//	buyer NAME [prepaid=OPENING cap=.. phones=N,..]         (phones that must not be sold to it; of a contract likewise)
//	suppress phones=N,..                   (whom nobody may be sold)
//	contract NAME buyer=B (price=P [shared_price=P] | bid=A[/SHARED][,A..]) [post=O[,O..] timeout= ping_timeout= takes= post_takes= expires= on_unknown=continue weight=90% sale=shared|any legs=N returns=24h return_reasons=w[,w..] return_frees paused cap=.. state=AZ]
//	         [status=V[,V..] every= status_takes= token idempotent at_once=N settle=sold|unsold/AFTER]
//	tier auction|expected|priority|round_robin|weighted CONTRACT[:WEIGHT]...    (expected: an auction by what bids are worth)
//	tree NAME                                     (of the campaigns and tiers that follow)
//	duplicate WITHIN [buyer]
//
// A bid is an amount, none, hang, duplicate, error or held (the house did not ask); a post accept, reject,
// repriced, undelivered, unknown, duplicate, busy (409) or hang; a status accept, reject, none or hang. The last of a list stands for all that follow.
type world struct {
	market *exchange.Market
	buyers *buyers
	last   *exchange.Campaign
	tree   *exchange.Tree
}

type contractScript struct {
	bids, posts []string
	expires     time.Duration
	takes       time.Duration // to bid
	postTakes   time.Duration
	statuses    []string
	statusTakes time.Duration
}

// buyers are scripted Bidders.
type buyers struct {
	mu        sync.Mutex
	scripts   map[exchange.ContractID]*contractScript
	onPost    func(*exchange.Delivery)
	delivered []string
	hung      chan string // gives a hanging post its outcome
	asked     int
	looked    []exchange.Inquiry
}

func next(list *[]string) string {
	if len(*list) == 0 {
		return ""
	}
	word := (*list)[0]
	if len(*list) > 1 {
		*list = (*list)[1:]
	}
	return word
}

func (b *buyers) Ask(ask *exchange.Ask) {
	end := ask.Start
	for i, c := range ask.Contracts {
		b.mu.Lock()
		b.asked++
		script := b.scripts[c.ID]
		word := next(&script.bids)
		b.mu.Unlock()
		a := &ask.Answers[i]
		until, limit := ask.Start.Add(script.takes), ask.Deadline
		if own := ask.Start.Add(c.PingTimeout); own.Before(limit) {
			limit = own
		}
		if until.After(limit) {
			word = "hang"
		}
		switch word {
		case "none":
			a.Reason = exchange.ReasonNoBid
		case "duplicate":
			a.Reason = exchange.ReasonDuplicate
		case "error":
			a.Reason, a.Detail = exchange.ReasonBuyerError, "not JSON"
		case "busy":
			a.Reason = exchange.ReasonConcurrency
		case "hang":
			a.Reason, until = exchange.ReasonTimeout, limit
		case "held":
			a.Reason, a.Unasked, until = exchange.ReasonBreaker, true, ask.Start
		default:
			alone, shared, either := strings.Cut(word, "/")
			if either {
				a.Shared = mustMoney(shared)
			}
			a.Bid, a.Token, a.ExpiresIn = mustMoney(alone), "token-"+string(c.ID), script.expires
		}
		if until.After(end) {
			end = until
		}
		a.Elapsed = until.Sub(ask.Start)
	}
	if wait := end.Sub(ask.Start); wait > 0 { // the engine's clock may be ahead of the bubble's
		time.Sleep(wait)
	}
}

func (b *buyers) Post(d *exchange.Delivery) exchange.Receipt {
	if b.onPost != nil {
		b.onPost(d)
	}
	b.mu.Lock()
	word := next(&b.scripts[d.Contract.ID].posts)
	takes := b.scripts[d.Contract.ID].postTakes
	b.delivered = append(b.delivered, string(d.Contract.ID))
	b.mu.Unlock()
	if takes > 0 {
		time.Sleep(takes)
	}
	if word == "hang" {
		word = <-b.hung
	}
	switch word {
	case "reject":
		return exchange.Receipt{Outcome: exchange.OutcomeRejected, Reason: exchange.ReasonPostRejected, Status: 200}
	case "undelivered":
		return exchange.Receipt{Outcome: exchange.OutcomeNotDelivered, Reason: exchange.ReasonBuyerError}
	case "duplicate":
		return exchange.Receipt{Outcome: exchange.OutcomeRejected, Reason: exchange.ReasonDuplicate, Status: 200}
	case "busy":
		return exchange.Receipt{Outcome: exchange.OutcomeRejected, Reason: exchange.ReasonPostRejected, Status: 409}
	case "unknown":
		return exchange.Receipt{Outcome: exchange.OutcomeUnknown, Reason: exchange.ReasonTimeout}
	case "repriced":
		return exchange.Receipt{Outcome: exchange.OutcomeAccepted, PriceChanged: true, Status: 200}
	default:
		return exchange.Receipt{Outcome: exchange.OutcomeAccepted, Status: 200, BuyerRef: "ref", RedirectURL: "https://" + string(d.Contract.ID) + ".example/"}
	}
}

func (b *buyers) Status(q *exchange.Inquiry) exchange.Finding {
	b.mu.Lock()
	word := next(&b.scripts[q.Contract.ID].statuses)
	takes := b.scripts[q.Contract.ID].statusTakes
	b.looked = append(b.looked, *q)
	b.mu.Unlock()
	if takes > 0 {
		time.Sleep(takes)
	}
	switch word {
	case "accept", "reject":
		return exchange.Finding{Known: true, Accepted: word == "accept", BuyerRef: "looked up"}
	case "hang":
		time.Sleep(time.Until(q.Deadline))
	}
	return exchange.Finding{Detail: "no verdict"}
}

func mustMoney(s string) exchange.Money {
	m, err := exchange.ParseMoney(s)
	if err != nil {
		panic(fmt.Sprintf("%q: %v", s, err))
	}
	return m
}

func newWorld(t testing.TB, text string) *world {
	v := &exchange.Vertical{ID: "auto", Slots: map[string]int{"zip": slotZip, "state": slotState, "phone": slotPhone}, Fields: []exchange.Field{
		{Name: "zip", Kind: exchange.FieldZip, Ping: exchange.NeedRequired},
		{Name: "state", Kind: exchange.FieldState, Ping: exchange.NeedOptional},
		{Name: "phone", Kind: exchange.FieldPhone, Post: exchange.NeedRequired, Personal: true},
	}}
	m := &exchange.Market{
		Hash: fmt.Sprintf("%x", plainVault{}.Fingerprint(text))[:8], Currency: exchange.Currency{Code: "USD", MinorDigits: 2}, Zone: time.UTC,
		Verticals: map[exchange.VerticalID]*exchange.Vertical{"auto": v}, Sellers: map[exchange.SellerID]*exchange.Seller{},
		Campaigns: map[exchange.CampaignID]*exchange.Campaign{}, Buyers: map[exchange.BuyerID]*exchange.Buyer{},
		ByName: map[exchange.ContractID]*exchange.Contract{}, Offers: map[exchange.OfferID]*exchange.Offer{"offer": {ID: "offer"}},
		Affiliates: map[exchange.AffiliateID]struct{}{"blog": {}},
	}
	w := &world{market: m, tree: &exchange.Tree{ID: "tree"}, buyers: &buyers{scripts: map[exchange.ContractID]*contractScript{}, hung: make(chan string)}}
	for line := range strings.Lines(text) {
		words := strings.Fields(line)
		if len(words) == 0 {
			continue
		}
		if !w.line(v, words) {
			t.Fatalf("cannot read the market's line %q", line)
		}
	}
	return w
}

func (w *world) line(v *exchange.Vertical, words []string) bool {
	m, name := w.market, ""
	if len(words) > 1 {
		name = words[1]
	}
	switch words[0] {
	case "zone":
		m.Zone = mustZone(name)
	case "seller":
		s := &exchange.Seller{ID: exchange.SellerID(name), Name: name}
		s.Caps = readCaps("seller/"+name, words[2:], exchange.ReasonCapSeller, exchange.ReasonCapSeller)
		m.Sellers[s.ID] = s
	case "campaign":
		c := &exchange.Campaign{
			ID: exchange.CampaignID(name), Vertical: v, Tree: w.tree, Window: 250 * time.Millisecond, PostWait: 10 * time.Second, QuoteTTL: 5 * time.Minute,
			Caps: readCaps("campaign/"+name, words[2:], exchange.ReasonCapCampaign, exchange.ReasonCapCampaign),
		}
		m.Campaigns[c.ID], w.last = c, c
		return readCampaign(m, c, words[2:])
	case "buyer":
		b := &exchange.Buyer{ID: exchange.BuyerID(name), Name: name, Suppress: readSuppressed(words[2:])}
		b.Caps = readCaps("buyer/"+name, words[2:], exchange.ReasonCapBuyer, exchange.ReasonBudget)
		readPrepaid(b, words[2:])
		m.Buyers[b.ID] = b
	case "suppress":
		v.Suppress = readSuppressed(words[1:])
	case "contract":
		c := &exchange.Contract{
			ID: exchange.ContractID(name), Index: len(m.Contracts), Vertical: v, Sale: exchange.SaleExclusive, Pinged: true,
			PingTimeout: 200 * time.Millisecond, PostTimeout: 3 * time.Second, Suppress: readSuppressed(words[2:]),
			Caps: readCaps("contract/"+name, words[2:], exchange.ReasonCapContract, exchange.ReasonBudget),
		}
		m.Contracts, m.ByName[c.ID] = append(m.Contracts, c), c
		w.buyers.scripts[c.ID] = &contractScript{}
		return readContract(m, c, w.buyers.scripts[c.ID], words[2:])
	case "tree": // of the campaigns and tiers that follow
		w.tree = &exchange.Tree{ID: exchange.TreeID(name)}
	case "tier":
		tier := exchange.Tier{Method: exchange.MethodAuction}
		if name == "priority" {
			tier.Method = exchange.MethodPriority
		}
		if name == "round_robin" || name == "weighted" {
			tier.Method = map[string]exchange.Method{"round_robin": exchange.MethodRoundRobin, "weighted": exchange.MethodWeighted}[name]
			tier.Weights = map[exchange.ContractID]uint32{}
		}
		if name == "expected" {
			tier.Rank = exchange.RankExpected
		}
		for _, id := range words[2:] {
			if name, weight, ok := strings.Cut(id, ":"); ok {
				id, tier.Weights[exchange.ContractID(name)] = name, uint32(mustInt(weight))
			}
			tier.Contracts = append(tier.Contracts, m.ByName[exchange.ContractID(id)])
		}
		w.tree.Tiers = append(w.tree.Tiers, tier)
	case "duplicate":
		v.Duplicate = exchange.DuplicateRule{Fields: []int{slotPhone}, Within: int64(mustDuration(name).Seconds())}
		if slices.Contains(words, "buyer") {
			v.Duplicate.Scope = exchange.ScopeBuyer
		}
	default:
		return false
	}
	return true
}

func readCampaign(m *exchange.Market, c *exchange.Campaign, words []string) bool {
	for _, word := range words {
		key, value, _ := strings.Cut(word, "=")
		switch key {
		case "seller":
			c.Seller = m.Sellers[exchange.SellerID(value)]
		case "floor":
			c.Floor = mustMoney(value)
		case "margin":
			c.Margin = readMargin(value)
		case "bands":
			c.MarginBands = readBands(value)
		case "for":
			buyer, rule, _ := strings.Cut(value, "/")
			c.MarginBy = map[exchange.BuyerID]exchange.MarginRule{exchange.BuyerID(buyer): readBands(rule)}
		case "margin_min":
			c.MarginMin = readMargin(value)
		case "window":
			c.Window = mustDuration(value)
		case "post_wait":
			c.PostWait = mustDuration(value)
		case "ttl":
			c.QuoteTTL = mustDuration(value)
		case "pings":
			c.PingsPerSecond = mustInt(value)
		case "posts":
			c.PostsPerSecond = mustInt(value)
		case "attempts":
			c.Attempts = mustInt(value)
		case "legs":
			c.LegsMax = mustInt(value)
		case "shared_floor":
			c.SharedFloor = mustMoney(value)
		case "consent":
			c.ConsentRequired = true
		case "cap":
		default:
			return false
		}
	}
	return c.Seller != nil
}

func readContract(m *exchange.Market, c *exchange.Contract, script *contractScript, words []string) bool {
	for _, word := range words {
		key, value, _ := strings.Cut(word, "=")
		switch key {
		case "buyer":
			c.Buyer = m.Buyers[exchange.BuyerID(value)]
		case "price":
			c.Price, c.Pinged = mustMoney(value), false
		case "bid":
			script.bids = strings.Split(value, ",")
		case "post":
			script.posts = strings.Split(value, ",")
		case "expires":
			script.expires = mustDuration(value)
		case "takes":
			script.takes = mustDuration(value)
		case "post_takes":
			script.postTakes = mustDuration(value)
		case "timeout":
			c.PostTimeout = mustDuration(value)
		case "ping_timeout":
			c.PingTimeout = mustDuration(value)
		case "on_unknown":
			c.OnUnknown = exchange.OnUnknownContinue
		case "margin":
			c.Margin = readBands(value)
		case "weight":
			c.BidWeight = readMargin(value).Rate
		case "sale":
			c.Sale = map[string]exchange.SaleKind{"shared": exchange.SaleShared, "any": exchange.SaleAny}[value]
		case "legs":
			c.LegsMax = mustInt(value)
		case "shared_price":
			c.Shared = mustMoney(value)
		case "status":
			script.statuses = strings.Split(value, ",")
			c.StatusEvery, c.StatusTimeout = 30*time.Second, 3*time.Second
		case "every":
			c.StatusEvery = mustDuration(value)
		case "status_takes":
			script.statusTakes = mustDuration(value)
		case "token":
			c.StatusToken = true
		case "at_once":
			c.PostsAtOnce = mustInt(value)
		case "idempotent":
			c.Idempotent = true
		case "settle":
			as, after, _ := strings.Cut(value, "/")
			c.SettleAs = map[string]exchange.SettleAs{"sold": exchange.SettleSold, "unsold": exchange.SettleUnsold}[as]
			c.SettleAfter = mustDuration(after)
		case "paused":
			c.Paused = true
		case "returns":
			c.ReturnWithin = mustDuration(value)
		case "return_reasons":
			c.ReturnReasons = strings.Split(value, ",")
		case "return_frees":
			c.ReturnFrees = true
		case "can_test":
			c.CanTest = true
		case "state":
			c.Where = []exchange.Condition{{Slot: slotState, Kind: exchange.ConditionIn, Texts: strings.Split(value, ",")}}
		case "cap", "phones":
		default:
			return false
		}
	}
	return c.Buyer != nil
}

// readBands reads MARGIN, or FROM:MARGIN[,FROM:MARGIN..].
func readBands(s string) (rule exchange.MarginRule) {
	for _, band := range strings.Split(s, ",") {
		from, margin, ok := strings.Cut(band, ":")
		if !ok {
			from, margin = "0", band
		}
		rule = append(rule, exchange.MarginBand{From: mustMoney(from), Margin: readMargin(margin)})
	}
	return rule
}

func readMargin(s string) exchange.Margin {
	if rate, ok := strings.CutSuffix(s, "%"); ok {
		return exchange.Margin{Rate: exchange.PPM(mustInt(rate)) * exchange.Whole / 100}
	}
	return exchange.Margin{Fixed: mustMoney(s)}
}

func readCaps(owner string, words []string, leads, spend exchange.Reason) (caps []exchange.Cap) {
	windows := map[string]exchange.Window{"hour": exchange.PerHour, "day": exchange.PerDay, "week": exchange.PerWeek, "month": exchange.PerMonth, "total": exchange.PerTotal}
	for _, word := range words {
		value, ok := strings.CutPrefix(word, "cap=")
		if !ok {
			continue
		}
		parts := strings.Split(value, "/")
		c := exchange.Cap{ID: exchange.CapID(owner + "/" + parts[0] + "/" + parts[1]), Per: windows[parts[0]], Unit: exchange.CapLeads, Limit: int64(mustInt(parts[2])), Full: leads}
		if len(parts) > 3 && parts[3] == "even" {
			c.Even = true
		} else if len(parts) > 3 {
			c.ID, c.Days = c.ID+exchange.CapID("/"+parts[3]), readDays(parts[3])
		}
		if parts[1] == "spend" {
			c.Unit, c.Limit, c.Full = exchange.CapSpend, c.Limit*int64(exchange.Micro), spend
		}
		caps = append(caps, c)
	}
	return caps
}

func readSuppressed(words []string) []*exchange.Suppression {
	for _, word := range words {
		if list, ok := strings.CutPrefix(word, "phones="); ok {
			var rows []uint64
			for phone := range strings.SplitSeq(list, ",") {
				sum := sha256.Sum256([]byte(phone))
				rows = append(rows, binary.BigEndian.Uint64(sum[:]))
			}
			return []*exchange.Suppression{exchange.NewSuppression(rows, exchange.SuppressedBySHA256)}
		}
	}
	return nil
}

func mustDuration(s string) time.Duration {
	d, err := time.ParseDuration(s)
	if err != nil {
		panic(err)
	}
	return d
}

func mustInt(s string) int {
	n, err := strconv.Atoi(s)
	if err != nil {
		panic(err)
	}
	return n
}
