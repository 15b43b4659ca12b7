package book

import (
	"cmp"
	"maps"
	"slices"
	"sync"

	"vendue/exchange"
)

// expected is what is expected of a post before there is any evidence. It only
// has to be alike for all: then the order of the bids is the order of their worth.
var expected = exchange.Odds{Accept: 700_000, Unknown: 10_000, UnknownSold: 500_000, Return: 50_000}

// goesOn is how often, before there is any evidence, a rejected lead still fits into the seller's wait.
const goesOn exchange.PPM = 800_000

// evidence is how posts ended, by contract and campaign, as the journal tells
// it: what Expect goes by. Posts of tests are nobody's.
//
// Estimates lean on the next wider ones: a contract's at a campaign on the
// contract's everywhere, and those on the house's.
//
// Writers have the engine's lock and mu; pings read under mu alone. Copies
// behind atomics were simpler to read, and an allocation for every post.
type evidence struct {
	mu    sync.RWMutex
	house Tally
	posts map[oddsKey]*Tally
	again map[exchange.CampaignID]*Tally // after rejects: accepted means that another attempt fitted in the wait

	campaigns map[exchange.LeadID]exchange.CampaignID // of the leads with open attempts, tests left out
}

// oddsKey names a contract at a campaign, or everywhere if the campaign is empty.
type oddsKey struct {
	Contract exchange.ContractID `json:"contract"`
	Campaign exchange.CampaignID `json:"campaign,omitempty"`
}

func newEvidence() *evidence {
	return &evidence{
		posts: make(map[oddsKey]*Tally), again: make(map[exchange.CampaignID]*Tally),
		campaigns: make(map[exchange.LeadID]exchange.CampaignID),
	}
}

// Expect returns what to expect of a post to each of the contracts from a
// campaign at a time in Unix nanoseconds, appended to dst, and how likely another
// attempt still fits in the seller's wait after a reject. It needs no lock.
func (b *Book) Expect(campaign exchange.CampaignID, at int64, contracts []exchange.ContractID, dst []exchange.Odds) ([]exchange.Odds, exchange.PPM) {
	e := b.evidence
	e.mu.RLock()
	defer e.mu.RUnlock()
	house := e.house.oddsAt(at, expected)
	for _, c := range contracts {
		odds := house
		if t := e.posts[oddsKey{Contract: c}]; t != nil {
			odds = t.oddsAt(at, odds)
		}
		if t := e.posts[oddsKey{c, campaign}]; t != nil {
			odds = t.oddsAt(at, odds)
		}
		dst = append(dst, odds)
	}
	again := goesOn
	if t := e.again[campaign]; t != nil {
		again = t.oddsAt(at, exchange.Odds{Accept: goesOn}).Accept
	}
	return dst, again
}

// oddsAt returns the odds as they will have faded at a time. The tally stays as it is.
func (t *Tally) oddsAt(at int64, prior exchange.Odds) exchange.Odds {
	now := *t
	now.fade(at)
	return now.Odds(prior)
}

func (e *evidence) start(ev *exchange.PostStarted) {
	if ev.Lead != nil && !ev.Lead.Test {
		e.campaigns[ev.LeadID] = ev.Lead.Campaign
	}
}

// isTest tells whether an attempt that was just started is of a test.
func (e *evidence) isTest(ev *exchange.PostStarted) bool {
	_, live := e.campaigns[ev.LeadID]
	return !live
}

// ended counts an attempt's end. The leg is as it was before.
func (e *evidence) ended(at int64, leg *OpenLeg, ev *exchange.PostEnded) {
	campaign, live := e.campaigns[ev.LeadID]
	if !live {
		return
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	if ev.Outcome != exchange.OutcomeNotDelivered { // it says nothing of what the buyer would have done
		e.house.Ended(at, ev.Outcome)
		tallyOf(e.posts, oddsKey{Contract: leg.Contract}).Ended(at, ev.Outcome)
		tallyOf(e.posts, oddsKey{leg.Contract, campaign}).Ended(at, ev.Outcome)
	}
	if leg.Sale == exchange.SaleShared {
		return // whether another one follows says little: there are others at the same time
	}
	if ev.Outcome == exchange.OutcomeRejected || ev.Outcome == exchange.OutcomeNotDelivered {
		switch {
		case ev.Status == exchange.LeadOpen:
			tallyOf(e.again, campaign).Ended(at, exchange.OutcomeAccepted)
		case ev.NoTime:
			tallyOf(e.again, campaign).Ended(at, exchange.OutcomeRejected)
		}
	}
}

// settled counts how an unknown attempt turned out. The leg is as it was before.
func (e *evidence) settled(at int64, leg *OpenLeg, sold bool) {
	campaign, live := e.campaigns[leg.LeadID]
	if !live {
		return
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	e.house.UnknownSettled(at, sold)
	tallyOf(e.posts, oddsKey{Contract: leg.Contract}).UnknownSettled(at, sold)
	tallyOf(e.posts, oddsKey{leg.Contract, campaign}).UnknownSettled(at, sold)
}

func tallyOf[K comparable](m map[K]*Tally, key K) *Tally {
	t := m[key]
	if t == nil {
		t = new(Tally)
		m[key] = t
	}
	return t
}

// snapshotEvidence is the evidence in a snapshot, sorted.
type snapshotEvidence struct {
	House Tally           `json:"house"`
	Posts []snapshotTally `json:"posts,omitempty"`
	Again []snapshotTally `json:"again,omitempty"`
}

type snapshotTally struct {
	oddsKey
	Tally
}

func (e *evidence) snapshot() *snapshotEvidence {
	if len(e.posts) == 0 && len(e.again) == 0 {
		return nil
	}
	s := &snapshotEvidence{House: e.house}
	for _, key := range slices.SortedFunc(maps.Keys(e.posts), func(x, y oddsKey) int {
		return cmp.Or(cmp.Compare(x.Contract, y.Contract), cmp.Compare(x.Campaign, y.Campaign))
	}) {
		s.Posts = append(s.Posts, snapshotTally{key, *e.posts[key]})
	}
	for _, campaign := range slices.Sorted(maps.Keys(e.again)) {
		s.Again = append(s.Again, snapshotTally{oddsKey{Campaign: campaign}, *e.again[campaign]})
	}
	return s
}

func (e *evidence) restore(s *snapshotEvidence) {
	if s == nil {
		return
	}
	e.house = s.House
	for _, t := range s.Posts {
		*tallyOf(e.posts, t.oddsKey) = t.Tally
	}
	for _, t := range s.Again {
		*tallyOf(e.again, t.Campaign) = t.Tally
	}
}
