package book

import (
	"cmp"
	"maps"
	"slices"
	"sync"

	"vendue/exchange"
)

// turns say whose turn it is in the tiers that go by turns. A contract of
// weight w that has had n of them stands at (2n+1)/2w; who stands lowest is
// next, and of equals the first listed. So of any so many turns in a row as the
// weights sum to, each contract that was always there has exactly its weight,
// and its turns lie well apart.
//
// A turn is held from the ping on, so that two pings at once do not get the same
// one, until the lead is posted or the quote is gone. What counts, and what
// the journal tells, is the posts, whatever came of them. When a refused one gave
// its turn back, a buyer that refused every post was asked first for ever: where
// contracts are asked one by one nobody else of its tier was sold a lead, and to
// refuse the poor ones cost nothing.
// Turns that are held are no part of the book's state.
//
// A contract that was away (hours, caps, filters), or whose quotes were not
// posted, catches up one round at most; a new one begins where the others are.
// Credits that grow with every lead a contract may see would share each lead by
// the weights; but then the journal would have to name all who might have had it.
//
// Writers of what is posted have the engine's lock and mu; pings have mu alone.
type turns struct {
	mu       sync.Mutex
	tiers    map[tierKey]*tierTurns
	starting *HeldTurn // becomes a post's with the next event; written under the engine's lock
}

type tierKey struct {
	Tree exchange.TreeID `json:"tree"`
	Tier uint16          `json:"tier"`
}

// tierTurns is one tier. past/pastOf is where the contract stood that had the latest turn.
type tierTurns struct {
	past, pastOf int64
	by           map[exchange.ContractID]turn
	held         map[exchange.ContractID]int64
}

// turn is how many turns a contract has had, at the weight it had at the last one.
type turn struct{ had, weight int64 }

// Seat is a contract that waits for its turn in a tier.
type Seat struct {
	Contract exchange.ContractID
	Place    int // in the tier's listed order
	Weight   int64
	had      int64
}

// HeldTurn is a turn that was taken and is not a post's yet.
type HeldTurn struct {
	of       *turns
	key      tierKey
	contract exchange.ContractID
	released bool // under of.mu
}

func newTurns() *turns { return &turns{tiers: make(map[tierKey]*tierTurns)} }

// SortTurns sorts the seats of a tier by whose turn it is, and holds the first
// one's turn if take is set: nil otherwise. It needs no lock.
func (b *Book) SortTurns(tree exchange.TreeID, tier int, seats []Seat, take bool) *HeldTurn {
	t, key := b.turns, tierKey{tree, uint16(tier)}
	t.mu.Lock()
	defer t.mu.Unlock()
	at := t.tier(key)
	for i := range seats {
		s := &seats[i]
		s.had = at.had(s.Contract, s.Weight) + at.held[s.Contract]
	}
	slices.SortFunc(seats, func(x, y Seat) int {
		return cmp.Or(cmp.Compare((2*x.had+1)*y.Weight, (2*y.had+1)*x.Weight), cmp.Compare(x.Place, y.Place))
	})
	if !take || len(seats) == 0 {
		return nil
	}
	at.held[seats[0].Contract]++
	return &HeldTurn{of: t, key: key, contract: seats[0].Contract}
}

// Release lets a held turn go: its lead went to somebody else or to nobody. A
// second time, of one that became a post's, or of nil, it does nothing.
func (h *HeldTurn) Release() {
	if h == nil {
		return
	}
	h.of.mu.Lock()
	defer h.of.mu.Unlock()
	h.releaseLocked()
}

func (h *HeldTurn) releaseLocked() {
	if h.released {
		return
	}
	h.released = true
	at := h.of.tiers[h.key]
	if at.held[h.contract]--; at.held[h.contract] == 0 {
		delete(at.held, h.contract)
	}
}

// Posting says that the next post_started is that of the lead a turn was held
// for: the turn counts as that post's then, if it is the contract's own, and is
// let go in the same instant. The engine's lock is held.
func (b *Book) Posting(h *HeldTurn) { b.turns.starting = h }

func (t *turns) tier(key tierKey) *tierTurns {
	at := t.tiers[key]
	if at == nil {
		at = &tierTurns{pastOf: 1, by: make(map[exchange.ContractID]turn), held: make(map[exchange.ContractID]int64)}
		t.tiers[key] = at
	}
	return at
}

// had returns how many turns a contract counts as having had at a weight: no
// fewer than lets it stand one round behind the latest turn, and if it is new as
// many as let it stand beside it.
func (at *tierTurns) had(contract exchange.ContractID, weight int64) int64 {
	c, known := at.by[contract]
	if !known {
		return standing(at.past, at.pastOf, weight)
	}
	had := c.had
	if c.weight != weight {
		had = ceil(had*weight, c.weight)
	}
	return max(had, standing(at.past-at.pastOf, at.pastOf, weight))
}

// standing is the least n with (2n+1)/2w at or above past/of.
func standing(past, of, weight int64) int64 { return ceil(2*past*weight-of, 2*of) }

func ceil(n, of int64) int64 {
	if n <= 0 {
		return 0
	}
	return (n + of - 1) / of
}

// start counts a post.
func (t *turns) start(contract exchange.ContractID, by exchange.Turn) {
	held := t.starting
	t.starting = nil
	if by.Weight == 0 && held == nil {
		return
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if held != nil {
		held.releaseLocked()
	}
	if by.Weight == 0 {
		return
	}
	at, weight := t.tier(tierKey{by.Tree, by.Tier}), int64(by.Weight)
	had := at.had(contract, weight)
	if (2*had+1)*at.pastOf > at.past*2*weight {
		at.past, at.pastOf = 2*had+1, 2*weight
	}
	at.by[contract] = turn{had + 1, weight}
}

type snapshotTier struct {
	tierKey
	Past   int64          `json:"past"`
	PastOf int64          `json:"past_of"`
	Turns  []snapshotTurn `json:"turns"`
}

type snapshotTurn struct {
	Contract exchange.ContractID `json:"contract"`
	Had      int64               `json:"had"`
	Weight   int64               `json:"weight"`
}

func (t *turns) snapshot() (out []snapshotTier) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for key, at := range t.tiers {
		if len(at.by) == 0 {
			continue
		}
		s := snapshotTier{tierKey: key, Past: at.past, PastOf: at.pastOf}
		for _, id := range slices.Sorted(maps.Keys(at.by)) {
			s.Turns = append(s.Turns, snapshotTurn{id, at.by[id].had, at.by[id].weight})
		}
		out = append(out, s)
	}
	slices.SortFunc(out, func(x, y snapshotTier) int {
		return cmp.Or(cmp.Compare(x.Tree, y.Tree), cmp.Compare(x.Tier, y.Tier))
	})
	return out
}

func (t *turns) restore(tiers []snapshotTier) {
	for _, s := range tiers {
		at := t.tier(s.tierKey)
		at.past, at.pastOf = s.Past, s.PastOf
		for _, c := range s.Turns {
			at.by[c.Contract] = turn{c.Had, c.Weight}
		}
	}
}
