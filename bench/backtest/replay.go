package backtest

import (
	"hash/fnv"
	"time"

	"github.com/VictoriaMetrics/metrics"
	"github.com/rs/zerolog"

	"vendue/cmd/app"
	"vendue/exchange"
	"vendue/exchange/engine"
)

// sweepEvery is after how many auctions quotes that nobody posted are forgotten.
const sweepEvery = 256

// replay is one config at work on the tape: the engine, with a clock, a store
// and buyers that know the auction at hand and no other. One goroutine.
type replay struct {
	Figures
	market *exchange.Market
	engine *engine.Engine
	past   *past
	rates  *rates
	now    time.Time // of the engine's clock
	seq    uint64    // of the journal that is not kept

	auction   *exchange.Auction
	known     map[exchange.ContractID]*exchange.Candidate
	wasShared bool // the auction's lead had several buyers
	post      *posted
}

func newReplay(market *exchange.Market, p *past, r *rates) (*replay, error) {
	it := &replay{market: market, past: p, rates: r, known: map[exchange.ContractID]*exchange.Candidate{}, now: r.from}
	n := uint64(0)
	minter, err := exchange.NewMinter(make([]byte, 16), 0, func() uint64 { n++; return n })
	if err != nil {
		return nil, err
	}
	it.engine, err = engine.New(engine.Config{}, engine.Deps{
		Store: (*nowhere)(it), Vault: vault{}, Minter: minter, Observer: it, Clock: func() time.Time { return it.now }, Log: zerolog.Nop(), Metrics: metrics.NewSet(),
	})
	if err != nil {
		return nil, err
	}
	return it, it.engine.Install(market, it, market.Hash)
}

// play gives one auction of the tape to the engine, and its post.
func (r *replay) play(a *exchange.Auction) {
	campaign := r.market.Campaigns[a.Campaign]
	if campaign == nil {
		r.NoCampaign++
		return
	}
	if r.Auctions%sweepEvery == 0 {
		r.engine.Sweep()
	}
	r.Auctions++
	r.auction, r.post, r.now = a, r.past.byPing[a.PingID], a.At
	clear(r.known)
	r.wasShared = false
	for i := range a.Candidates {
		c := &a.Candidates[i]
		r.known[c.Name] = c
		r.wasShared = r.wasShared || c.Leg > 1 && c.Reason == exchange.ReasonNone
	}
	ping := engine.PingRequest{
		Snap: r.engine.Snapshot(), Campaign: campaign, Arrival: a.At, MinPrice: a.MinPrice, Sale: a.Sale,
		Consent: exchange.Consent{Given: true, Raw: "{}"}, Values: app.TapeValues(a, campaign.Vertical),
	}
	if a.Direct {
		if r.refusedThen() {
			return
		}
		r.tell(r.engine.Direct(&engine.DirectRequest{PingRequest: ping}))
		return
	}
	ans := r.engine.Ping(&ping)
	if ans.Quote == nil || !r.isPosted() || r.refusedThen() {
		return
	}
	if a.Reason == exchange.ReasonNone && ans.Quote.Price < a.Price {
		r.LowerPrice++
	}
	r.tell(r.engine.Post(&engine.PostRequest{
		Snap: ping.Snap, Seller: campaign.Seller, Arrival: r.now, PingID: ans.PingID.String(),
		Decode: func(_ *exchange.Vertical, values []exchange.Value) ([]exchange.Value, bool) { return values, true },
	}))
}

// isPosted tells whether the seller posts the lead: as it did then, or, if it had no price then, as often as its campaign does.
func (r *replay) isPosted() bool {
	if r.auction.Reason == exchange.ReasonNone {
		return r.post != nil
	}
	if !draw(r.auction.PingID, "post", r.rates.posts(r.auction.Campaign)) {
		return false
	}
	r.EstimatedPosted++
	return true
}

// refusedThen tells whether the post was refused before any attempt for what the tape does not know, such as a duplicate.
func (r *replay) refusedThen() bool {
	if r.post == nil || len(r.post.endings) > 0 {
		return false
	}
	switch r.post.refused {
	case exchange.ReasonDuplicate, exchange.ReasonSuppressed, exchange.ReasonConsentMissing, exchange.ReasonPingExpired:
		r.PostRefused++
		return true
	}
	return false
}

func (r *replay) tell(ans engine.PostAnswer) {
	if ans.Fault != engine.FaultNone || len(ans.View.Legs) == 0 {
		return
	}
	r.Posted++
	switch ans.View.Status {
	case exchange.LeadSold:
		r.Sold++
	case exchange.LeadPending:
		r.Pending++
	}
}

// Ask answers for the buyers as they did then.
func (r *replay) Ask(ask *exchange.Ask) {
	var took time.Duration
	for i, c := range ask.Contracts {
		limit := min(c.PingTimeout, ask.Deadline.Sub(ask.Start))
		a := &ask.Answers[i]
		*a = r.answer(c, limit)
		took = max(took, a.Elapsed)
	}
	r.now = r.now.Add(took)
}

func (r *replay) answer(c *exchange.Contract, limit time.Duration) exchange.Answer {
	row, was := r.row(c.ID), r.known[c.ID]
	r.Asked++
	row.Asked++
	known := false
	if was != nil {
		_, known = wasAsked(was)
	}
	if !known {
		r.NotKnown++
		row.NotKnown++
		return exchange.Answer{Reason: exchange.ReasonNoBid}
	}
	elapsed := time.Duration(was.Elapsed)
	switch {
	case elapsed > limit:
		return exchange.Answer{Reason: exchange.ReasonTimeout, Elapsed: limit}
	case was.Bid == 0:
		return exchange.Answer{Reason: was.Reason, Elapsed: elapsed}
	case c.MaxBid > 0 && was.Bid > c.MaxBid:
		return exchange.Answer{Reason: exchange.ReasonBuyerError, Elapsed: elapsed}
	}
	if r.wasShared && c.Sale == exchange.SaleAny {
		return exchange.Answer{Shared: was.Bid, Elapsed: elapsed} // the price that counted was for a place
	}
	return exchange.Answer{Bid: was.Bid, Elapsed: elapsed}
}

// Post ends an attempt as it ended then, or, where nobody tried it at this price, by
// how often the contract takes leads. The legs of a shared sale come at once: it only reads.
func (r *replay) Post(d *exchange.Delivery) exchange.Receipt {
	if e := r.post.ending(d.Contract.ID, d.Price); e != nil {
		return receipt(e.outcome)
	}
	if draw(r.auction.PingID, string(d.Contract.ID), r.rates.accepts(d.Contract.ID)) {
		return receipt(exchange.OutcomeAccepted)
	}
	return receipt(exchange.OutcomeRejected)
}

func receipt(outcome exchange.Outcome) exchange.Receipt {
	reason := exchange.ReasonNone
	if outcome != exchange.OutcomeAccepted {
		reason = exchange.ReasonPostRejected
	}
	return exchange.Receipt{Outcome: outcome, Reason: reason}
}

// Status is never asked: nothing waits here.
func (*replay) Status(*exchange.Inquiry) exchange.Finding { return exchange.Finding{} }

// Auction counts what an auction came to.
func (r *replay) Auction(a *exchange.Auction) {
	if a.Reason == exchange.ReasonNone {
		r.Priced++
	}
}

// Attempt counts how a post ended.
func (r *replay) Attempt(a *exchange.Attempt) {
	if a.Attempt > 0 {
		r.attempt(a.Contract, a.Outcome, a.Bid, a.Payout, r.post.ending(a.Contract, a.Bid) == nil)
	}
}

// draw decides by chance, but always alike for one ping and one question, whatever the config.
func draw(ping exchange.PingID, question string, chance exchange.PPM) bool {
	h := fnv.New64a()
	_, _ = h.Write(ping[:])
	_, _ = h.Write([]byte(question))
	return exchange.PPM(h.Sum64()>>11%uint64(exchange.Whole)) < chance
}

// nowhere is the replay as a store: it numbers events and forgets them.
type nowhere replay

// Append numbers the events.
func (s *nowhere) Append(_ int64, events ...exchange.Event) (uint64, exchange.Ticket, error) {
	s.seq += uint64(len(events))
	return s.seq, written{}, nil
}

type written struct{}

// Wait returns at once.
func (written) Wait() error { return nil }

// Read finds nothing.
func (*nowhere) Read(from uint64, _ int, _ func(exchange.Entry) error) (uint64, error) {
	return from, nil
}

// LeadEntries finds nothing: no lead here is asked for again.
func (*nowhere) LeadEntries(_ exchange.LeadID, dst []exchange.Entry) ([]exchange.Entry, error) {
	return dst, nil
}

// LeadByKey finds nothing.
func (*nowhere) LeadByKey(exchange.Fingerprint) (exchange.LeadID, bool, error) {
	return exchange.LeadID{}, false, nil
}

// LeadByPing finds nothing.
func (*nowhere) LeadByPing(exchange.PingID) (exchange.LeadID, bool, error) {
	return exchange.LeadID{}, false, nil
}

// LeadsByPerson finds nobody: the tape holds no persons.
func (*nowhere) LeadsByPerson(exchange.Fingerprint, time.Time, func(exchange.LeadID) (bool, error)) error {
	return nil
}

// LoadSnapshot finds none.
func (*nowhere) LoadSnapshot() (uint64, []byte, bool, error) { return 0, nil, false, nil }

// SaveSnapshot saves nothing.
func (*nowhere) SaveSnapshot(uint64, []byte) error { return nil }

// vault has nothing to hide: what it is given goes nowhere.
type vault struct{}

// Seal forgets the text.
func (vault) Seal(string) exchange.Sealed { return nil }

// Unseal has nothing.
func (vault) Unseal(exchange.Sealed) (string, error) { return "", nil }

// Fingerprint tells nobody from another.
func (vault) Fingerprint(...string) exchange.Fingerprint { return exchange.Fingerprint{} }
