package app

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/valyala/fasthttp"

	"vendue/exchange"
	"vendue/exchange/pingtree"
	"vendue/exchange/schema"
	"vendue/store"
)

// Explained is an auction put into words: what came of each contract and why.
type Explained struct {
	Headline  string   `json:"headline"`
	Winner    string   `json:"winner,omitempty"` // why the first leg is the first
	Contracts []Said   `json:"contracts"`        // those that were asked, or might have been
	Others    []Said   `json:"others"`           // the rest, counted by reason
	Asked     *Said    `json:"asked,omitempty"`  // the contract asked about, where it is none of Contracts
	Attempts  []string `json:"attempts"`         // to post the lead, in order, and then what came back
	Notes     []string `json:"notes"`            // what the words above cannot know
}

// Said is what is said of one contract, or of all with one reason.
type Said struct {
	Contract exchange.ContractID `json:"contract,omitempty"`
	Count    int                 `json:"count,omitempty"`
	Reason   string              `json:"reason"` // a contract's reason, won or eligible
	Said     string              `json:"said"`
}

// Faults of an explanation.
var (
	ErrNoPing     = errors.New("expected a ping_id or a lead_id of this house")
	ErrNotOnTape  = errors.New("the tape does not hold this ping")
	ErrNoContract = errors.New("no such contract in the config")
)

// Explainer puts auctions of a store's tape into words.
type Explainer struct {
	Store  *store.Store
	Minter *exchange.Minter
	Market *exchange.Market // the config that decides now; nil: none is at hand
	Caps   pingtree.CapsView
}

// Find returns the auction that a ping_id or a lead_id names, and the lead, if there is one.
func (x *Explainer) Find(id string) (*exchange.Auction, exchange.LeadID, error) {
	lead, isLead := x.Minter.ParseLead(id)
	ping, isPing := x.Minter.ParsePing(id)
	switch {
	case isLead:
		view, err := x.view(lead)
		if err != nil {
			return nil, lead, err
		}
		ping = view.Facts.PingID
	case isPing:
		found, ok, err := x.Store.LeadByPing(ping)
		if err != nil {
			return nil, lead, err
		}
		if ok {
			lead = found
		}
	default:
		return nil, lead, ErrNoPing
	}
	a, ok, err := x.Store.Tape().FindAuction(ping)
	if err == nil && !ok {
		err = ErrNotOnTape
	}
	return a, lead, err
}

// Explain puts an auction into words, and, if contract is not empty, says why that one was or was not asked.
func (x *Explainer) Explain(a *exchange.Auction, lead exchange.LeadID, contract exchange.ContractID) (*Explained, error) {
	out := &Explained{Headline: headline(a), Contracts: []Said{}, Others: []Said{}, Attempts: []string{}, Notes: []string{}}
	var tree *exchange.Tree
	if x.Market != nil && x.Market.Hash == a.ConfigHash && x.Market.Campaigns[a.Campaign] != nil {
		tree = x.Market.Campaigns[a.Campaign].Tree
	}
	asked := false
	for i := range a.Candidates {
		c := &a.Candidates[i]
		said := candidateSaid(c, a)
		if c.Leg == 1 {
			out.Winner = fmt.Sprintf("%s won: %s", c.Name, whyWon(c, a, tree))
		}
		out.Contracts, asked = append(out.Contracts, said), asked || c.Name == contract
	}
	slices.SortStableFunc(out.Contracts, func(p, q Said) int { return cmp.Compare(b2i(p.Reason != "won"), b2i(q.Reason != "won")) })
	for _, e := range a.Excluded {
		out.Others = append(out.Others, Said{Count: e.Count, Reason: e.Reason.String(), Said: reasonSaid(e.Reason)})
	}
	if contract != "" && !asked {
		said, err := x.about(a, contract)
		if err != nil {
			return nil, err
		}
		out.Asked = &said
		out.Notes = append(out.Notes, fmt.Sprintf("%s was judged anew: caps and concurrency are told as they stand now, and consent's named buyers are not on the tape", contract))
		if x.Market.Hash != a.ConfigHash {
			out.Notes = append(out.Notes, "another config decides now than then")
		}
	}
	attempts, err := x.Store.Tape().AttemptsOf(lead)
	for _, t := range attempts {
		text := fmt.Sprintf("attempt %d to %s: %s after %s", t.Number, t.Contract, t.Outcome, t.Elapsed.Round(time.Millisecond))
		for _, more := range []string{t.Reason.String(), t.Detail} {
			if more != "" {
				text += ", " + more
			}
		}
		out.Attempts = append(out.Attempts, text)
	}
	if err != nil || lead.IsZero() {
		return out, err
	}
	view, err := x.view(lead)
	for i := range view.Legs {
		if leg := &view.Legs[i]; leg.Status == exchange.LegReturned {
			out.Attempts = append(out.Attempts, fmt.Sprintf("attempt %d to %s: given back %s after the sale, %s; nobody owes its %s or gets its %s",
				leg.Attempt, leg.Contract, time.Duration(leg.ReturnedAt-leg.SoldAt).Round(time.Second), leg.ReturnReason, leg.Bid, leg.Payout))
		}
	}
	return out, err
}

// view is how a lead stands by the journal.
func (x *Explainer) view(lead exchange.LeadID) (view exchange.LeadView, err error) {
	entries, err := x.Store.LeadEntries(lead, nil)
	for _, e := range entries {
		view.Apply(e)
	}
	return view, err
}

func b2i(b bool) int {
	if b {
		return 1
	}
	return 0
}

func headline(a *exchange.Auction) string {
	what := "ping"
	if a.Direct {
		what = "direct"
	}
	end := "no price: " + a.Reason.String()
	if a.Reason == exchange.ReasonNone {
		end = a.Price.String() + " to the seller"
	}
	return fmt.Sprintf("%s %s of %s at %s: %s, %s ms", what, a.PingID, a.Campaign, a.At.UTC().Format(time.RFC3339Nano), end, a.Elapsed.Append(nil))
}

// rivals counts the bids of the winner's tier that were enough, itself included.
func rivals(a *exchange.Auction, tier int) (n int, next *exchange.Candidate) {
	for i := range a.Candidates {
		if c := &a.Candidates[i]; c.Tier == tier && c.Leg > 0 {
			if n++; c.Leg == 2 {
				next = c
			}
		}
	}
	return n, next
}

// whyWon says why the first leg came before the others. tree is nil if the config is another by now.
func whyWon(c *exchange.Candidate, a *exchange.Auction, tree *exchange.Tree) string {
	n, next := rivals(a, c.Tier)
	method := exchange.Method(0)
	if tree != nil && c.Tier < len(tree.Tiers) {
		method = tree.Tiers[c.Tier].Method
	}
	var why string
	switch {
	case c.Index != 0:
		why = "its bid of " + c.Bid.String() + " is worth the most, " + worth(c)
		if next != nil {
			why += fmt.Sprintf("; next %s, whose %s is worth %s", next.Name, next.Bid, next.Index)
		}
	case method == exchange.MethodWeighted:
		why = fmt.Sprintf("it was its turn, with weight %d, and its %s is enough", tree.Tiers[c.Tier].Weights[c.Name], c.Bid)
	case method == exchange.MethodRoundRobin:
		why = fmt.Sprintf("it was its turn, and its %s is enough", c.Bid)
	case method == exchange.MethodPriority:
		why = fmt.Sprintf("it is the first listed of %d whose price is enough, at %s", n, c.Bid)
	case n == 1:
		why = fmt.Sprintf("its %s was the only price that is enough", c.Bid)
	case next.Bid == c.Bid:
		why = fmt.Sprintf("of %d prices that are enough its %s is as high as %s's, and the lot fell on it", n, c.Bid, next.Name)
	case next.Bid > c.Bid:
		why = fmt.Sprintf("of %d prices that are enough its %s came first by its tier's order or weights", n, c.Bid)
	default:
		why = fmt.Sprintf("of %d prices that are enough its %s is the highest; next %s with %s", n, c.Bid, next.Name, next.Bid)
	}
	if c.Tier > 0 {
		why += fmt.Sprintf("; tier %d, for the %d before it had no price that is enough", c.Tier+1, c.Tier)
	}
	return fmt.Sprintf("%s. Of it %s is for the seller", why, c.Payout) + together(a)
}

// together tells of a shared price what all its legs come to.
func together(a *exchange.Auction) string {
	if !isShared(a) {
		return ""
	}
	more, sum := -1, exchange.Money(0)
	for i := range a.Candidates {
		if c := &a.Candidates[i]; c.Leg > 0 && c.Reason == exchange.ReasonNone {
			more++
			sum += c.Bid
		}
	}
	return fmt.Sprintf("; with %d more it shares the lead, at %s together", more, sum)
}

// worth tells the numbers behind an index.
func worth(c *exchange.Candidate) string {
	o := c.Odds
	return fmt.Sprintf("%s: posts to it are accepted %s of the time, unknown %s (of which sold %s), and %s of the sold come back",
		c.Index, o.Accept, o.Unknown, o.UnknownSold, o.Return)
}

// isShared tells whether the price is that of several legs.
func isShared(a *exchange.Auction) bool {
	return slices.ContainsFunc(a.Candidates, func(c exchange.Candidate) bool { return c.Leg > 1 && c.Reason == exchange.ReasonNone })
}

func candidateSaid(c *exchange.Candidate, a *exchange.Auction) Said {
	said := Said{Contract: c.Name, Reason: c.Reason.String()}
	took := time.Duration(c.Elapsed).Round(time.Millisecond).String()
	switch {
	case c.Leg == 1:
		said.Reason, said.Said = "won", fmt.Sprintf("bid %s, of which %s is for the seller", c.Bid, c.Payout)
	case c.Leg > 1 && c.Reason == exchange.ReasonNone:
		said.Reason, said.Said = "won", fmt.Sprintf("shares the lead at %s, of which %s is for the seller", c.Bid, c.Payout)
	case c.Leg > 1:
		said.Said = fmt.Sprintf("place %d with %s, of which %s would be for the seller", c.Leg, c.Bid, c.Payout)
		if c.Bid < a.Price && !isShared(a) {
			said.Said += "; less than the price promised, so it may not stand in"
		}
	case c.Reason == exchange.ReasonBelowFloor:
		said.Said = fmt.Sprintf("bid %s, which would leave the seller %s: below the floor", c.Bid, c.Payout)
	case c.Reason == exchange.ReasonNoBid:
		said.Said = "declined after " + took
	case c.Reason == exchange.ReasonTimeout:
		said.Said = "did not answer in " + took
	default:
		said.Said = reasonSaid(c.Reason)
	}
	if c.Index != 0 && c.Leg != 1 {
		said.Said += "; worth " + worth(c)
	}
	if c.Detail != "" {
		said.Said += ": " + c.Detail
	}
	return said
}

// reasonSaid is what a contract's reason means.
func reasonSaid(r exchange.Reason) string {
	switch r {
	case exchange.ReasonFiltered:
		return "the lead does not pass the filter"
	case exchange.ReasonHours:
		return "outside its hours"
	case exchange.ReasonPaused:
		return "paused"
	case exchange.ReasonCapContract, exchange.ReasonCapBuyer, exchange.ReasonBudget:
		return "no room under a cap"
	case exchange.ReasonConcurrency:
		return "as many leads or questions as it takes at once were open"
	case exchange.ReasonSaleType:
		return "buys exclusive or shared, and the seller wants the other"
	case exchange.ReasonNotNamed:
		return "its buyer is not among those the consent names"
	case exchange.ReasonNoTime:
		return "no time was left to ask"
	case exchange.ReasonBuyerError:
		return "could not be asked, or its answer could not be read"
	case exchange.ReasonDuplicate:
		return "its buyer has the person already"
	case exchange.ReasonTest:
		return "cannot tell a test from a live lead"
	case exchange.ReasonOutbid:
		return "another came before it"
	case exchange.ReasonThrottled:
		return "not asked: too unlikely to bid, or more contracts than are asked at once"
	default:
		return strings.ReplaceAll(r.String(), "_", " ")
	}
}

// about judges a contract for the auction's lead by the config at hand.
func (x *Explainer) about(a *exchange.Auction, contract exchange.ContractID) (Said, error) {
	if x.Market == nil {
		return Said{}, errors.New("a config is needed to judge a contract that was not asked")
	}
	c, campaign := x.Market.ByName[contract], x.Market.Campaigns[a.Campaign]
	if c == nil || campaign == nil {
		return Said{}, ErrNoContract
	}
	lead := exchange.Lead{Vertical: campaign.Vertical, Values: TapeValues(a, campaign.Vertical)}
	query := pingtree.Query{Lead: &lead, Now: a.At, Zone: x.Market.Zone, Sale: a.Sale, Test: a.Test, Caps: x.Caps}
	reason, detail := pingtree.Compile(campaign.Tree, campaign.Vertical).Why(c, &query)
	if reason != exchange.ReasonNone {
		return Said{Contract: contract, Reason: reason.String(), Said: detail}, nil
	}
	return Said{Contract: contract, Reason: "eligible", Said: "could see the lead, but was not asked: an earlier tier had a price, or its turn did not come"}, nil
}

// TapeValues returns an auction's ping fields in the slots of a vertical, which may be another config's.
func TapeValues(a *exchange.Auction, v *exchange.Vertical) []exchange.Value {
	values := make([]exchange.Value, len(v.Fields))
	if a.Lead == nil {
		return values
	}
	for i := range a.Lead.Values {
		slot, ok := v.Slots[a.Lead.Vertical.Fields[i].Name]
		if !ok {
			continue
		}
		if value, err := schema.Normalize(&v.Fields[slot], schema.Input{Text: a.Lead.Values[i].Text}); err == nil {
			values[slot] = value
		}
	}
	return values
}

// WriteText writes the explanation for a person.
func (e *Explained) WriteText(w io.Writer) error {
	var b strings.Builder
	line := func(format string, args ...any) { fmt.Fprintf(&b, format+"\n", args...) }
	line("%s", e.Headline)
	if e.Winner != "" {
		line("%s", e.Winner)
	}
	all := e.Contracts
	if e.Asked != nil {
		all = append(slices.Clone(all), *e.Asked)
	}
	for _, s := range all {
		line("  %-24s %-12s %s", s.Contract, s.Reason, s.Said)
	}
	for _, s := range e.Others {
		line("  %-24s %-12s %s", fmt.Sprintf("%d more", s.Count), s.Reason, s.Said)
	}
	for _, s := range e.Attempts {
		line("%s", s)
	}
	for _, s := range e.Notes {
		line("note: %s", s)
	}
	_, err := io.WriteString(w, b.String())
	return err
}

// explain answers what the tape holds of an auction, with why: /api/explain/{ping_id or lead_id}?contract=NAME.
func (a *App) explain(ctx *fasthttp.RequestCtx, id string) {
	a.store.Tape().Flush()
	x := Explainer{Store: a.store, Minter: a.minter, Market: a.cfg.Load().Market, Caps: a.engine}
	auction, lead, err := x.Find(id)
	var why *Explained
	var record []byte
	if err == nil {
		why, err = x.Explain(auction, lead, exchange.ContractID(ctx.QueryArgs().Peek("contract")))
	}
	if err == nil {
		var found bool
		if record, found, err = a.store.Tape().Find(auction.PingID); err == nil && !found {
			err = ErrNotOnTape // its day was dropped meanwhile
		}
	}
	switch {
	case errors.Is(err, ErrNoPing):
		a.api.WriteProblem(ctx, fasthttp.StatusNotFound, "no such ping or lead")
	case errors.Is(err, ErrNotOnTape), errors.Is(err, ErrNoContract):
		a.api.WriteProblem(ctx, fasthttp.StatusNotFound, err.Error())
	case err != nil:
		a.log.Error().Err(err).Msg("cannot read the tape")
		a.api.WriteProblem(ctx, fasthttp.StatusServiceUnavailable, "the tape cannot be read")
	default:
		tellJSON(ctx, why)
		body := append(record[:len(record)-1], `,"why":`...)
		ctx.SetBody(append(append(body, ctx.Response.Body()...), '}', '\n'))
	}
}
