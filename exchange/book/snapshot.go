package book

import (
	"cmp"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"slices"

	"vendue/exchange"
)

// form counts the changes of what the same events make of the book: 1 since a
// refused post uses up its turn.
const form = 1

// ErrForm means that a snapshot was made by other rules than this book's: the journal has to be replayed from its start.
var ErrForm = errors.New("the book's snapshot is of another form")

// The snapshot's format. Lists are sorted, so that equal books give equal bytes.
type snapshot struct {
	Seq    uint64          `json:"seq"`
	Form   int             `json:"form,omitempty"`
	Config string          `json:"config"`
	Offers []snapshotOffer `json:"offers"`
	Caps   []snapshotCap   `json:"caps"`
	Open   []snapshotLeg   `json:"open"`
	// Left out while empty, as in snapshots from before there were any.
	Conflicts []snapshotConflict `json:"conflicts,omitempty"`
	Evidence  *snapshotEvidence  `json:"evidence,omitempty"`
	Turns     []snapshotTier     `json:"turns,omitempty"`
	Traffic   *traffic           `json:"traffic,omitempty"`
}

type snapshotOffer struct {
	Offer     exchange.OfferID `json:"offer"`
	Model     uint8            `json:"model"`
	WindowSec int64            `json:"window_s"`
	RatePPM   int64            `json:"rate_ppm"`
	Of        uint8            `json:"of"`
	PaidBy    uint8            `json:"paid_by"`
	// Left out where an offer has none, as in snapshots from before there were any.
	Rules *exchange.OfferRules `json:"rules,omitempty"`
}

type snapshotCap struct {
	ID      exchange.CapID `json:"id"`
	PerNo   uint8          `json:"per"`
	UnitNo  uint8          `json:"unit"`
	Limit   int64          `json:"limit"`
	Windows []capWindow    `json:"windows"`
	// Left out while zero, as in snapshots from before there was any.
	Forgotten int64 `json:"forgotten,omitempty"`
}

type snapshotLeg struct {
	Lead      string              `json:"lead"`
	Attempt   uint16              `json:"attempt"`
	Contract  exchange.ContractID `json:"contract"`
	Buyer     exchange.BuyerID    `json:"buyer"`
	Bid       int64               `json:"bid"`
	Sale      uint8               `json:"sale"`
	OnUnknown uint8               `json:"on_unknown"`
	Holds     []exchange.Hold     `json:"holds"`
	Since     int64               `json:"since"`
	Unknown   bool                `json:"unknown"`
	Campaign  exchange.CampaignID `json:"campaign,omitempty"` // left out of a test
	Test      bool                `json:"test,omitempty"`
}

type snapshotConflict struct {
	Lead     string `json:"lead"`
	Attempt  uint16 `json:"attempt"`
	Accepted bool   `json:"accepted"`
	By       uint8  `json:"by"`
	At       int64  `json:"at"`
}

// Snapshot returns the book's state as bytes: the same bytes for the same state.
// Caps that were only asked for, never limited or counted, are not part of it.
func (b *Book) Snapshot() []byte {
	s := snapshot{Seq: b.seq, Form: form, Config: b.config, Offers: []snapshotOffer{}, Caps: []snapshotCap{}, Open: []snapshotLeg{}}
	for _, o := range b.offers {
		entry := snapshotOffer{
			Offer: o.Offer, Model: uint8(o.Model), WindowSec: o.WindowSec,
			RatePPM: int64(o.Commission.Rate), Of: uint8(o.Commission.Of), PaidBy: uint8(o.Commission.PaidBy),
		}
		if o.OfferRules != (exchange.OfferRules{}) {
			entry.Rules = &o.OfferRules
		}
		s.Offers = append(s.Offers, entry)
	}
	slices.SortFunc(s.Offers, func(x, y snapshotOffer) int { return cmp.Compare(x.Offer, y.Offer) })
	for _, c := range *b.caps.Load() {
		if c.limit < 0 && len(c.windows) == 0 && c.per == 0 {
			continue
		}
		s.Caps = append(s.Caps, snapshotCap{ID: c.id, PerNo: uint8(c.per), UnitNo: uint8(c.unit), Limit: c.limit, Windows: c.windows, Forgotten: c.forgotten})
	}
	slices.SortFunc(s.Caps, func(x, y snapshotCap) int { return cmp.Compare(x.ID, y.ID) })
	b.EachOpen(func(l *OpenLeg) {
		s.Open = append(s.Open, snapshotLeg{
			Lead: hex.EncodeToString(l.LeadID[:]), Attempt: l.Attempt, Contract: l.Contract, Buyer: l.Buyer, Bid: int64(l.Bid),
			Sale: uint8(l.Sale), OnUnknown: uint8(l.OnUnknown), Holds: l.Holds, Since: l.Since, Unknown: l.Unknown,
			Campaign: b.evidence.campaigns[l.LeadID], Test: l.Test,
		})
	})
	slices.SortFunc(s.Open, func(x, y snapshotLeg) int {
		return cmp.Or(cmp.Compare(x.Lead, y.Lead), cmp.Compare(x.Attempt, y.Attempt))
	})
	for _, c := range b.Conflicts() {
		s.Conflicts = append(s.Conflicts, snapshotConflict{
			Lead: hex.EncodeToString(c.LeadID[:]), Attempt: c.Attempt, Accepted: c.Accepted, By: uint8(c.By), At: c.At,
		})
	}
	s.Evidence, s.Turns, s.Traffic = b.evidence.snapshot(), b.turns.snapshot(), b.traffic.snapshot()
	out, err := json.Marshal(s)
	if err != nil {
		panic("BUG: cannot encode a snapshot: " + err.Error())
	}
	return out
}

// Restore returns the book that Snapshot wrote, ErrForm if that was another version's.
func Restore(data []byte) (b *Book, err error) {
	var s snapshot
	if err := json.Unmarshal(data, &s); err != nil {
		return nil, fmt.Errorf("cannot read the book's snapshot: %w", err)
	}
	if s.Form != form {
		return nil, ErrForm
	}
	b = New()
	b.seq, b.config = s.Seq, s.Config
	for _, o := range s.Offers {
		set := exchange.OfferSet{
			Offer: o.Offer, Model: exchange.Model(o.Model), WindowSec: o.WindowSec,
			Commission: exchange.Commission{Rate: exchange.PPM(o.RatePPM), Of: exchange.CommissionBase(o.Of), PaidBy: exchange.CommissionPayer(o.PaidBy)},
		}
		if o.Rules != nil {
			set.OfferRules = *o.Rules
		}
		b.offers[o.Offer] = set
	}
	for _, sc := range s.Caps {
		c := b.cap(sc.ID)
		c.per, c.unit, c.windows, c.forgotten = exchange.Window(sc.PerNo), exchange.CapUnit(sc.UnitNo), sc.Windows, sc.Forgotten
		c.setLimit(sc.Limit)
		if len(c.windows) > 0 {
			c.publish()
		}
	}
	for _, sl := range s.Open {
		leg := OpenLeg{
			Attempt: sl.Attempt, Contract: sl.Contract, Buyer: sl.Buyer, Bid: exchange.Money(sl.Bid),
			Sale: exchange.SaleKind(sl.Sale), OnUnknown: exchange.OnUnknown(sl.OnUnknown), Holds: sl.Holds, Since: sl.Since, Unknown: sl.Unknown, Test: sl.Test,
		}
		if leg.LeadID, err = readLead(sl.Lead); err != nil {
			return nil, err
		}
		b.open[leg.LeadID] = append(b.open[leg.LeadID], leg)
		b.flying.add(&leg, 1)
		if sl.Campaign != "" {
			b.evidence.campaigns[leg.LeadID] = sl.Campaign
		}
		if leg.Unknown {
			b.addDoubt(&leg)
		}
	}
	for _, sc := range s.Conflicts {
		c := Conflict{LegKey: LegKey{Attempt: sc.Attempt}, Accepted: sc.Accepted, By: exchange.Settler(sc.By), At: sc.At}
		if c.LeadID, err = readLead(sc.Lead); err != nil {
			return nil, err
		}
		b.conflicts[c.LegKey] = c
	}
	b.evidence.restore(s.Evidence)
	if s.Traffic != nil {
		b.traffic = *s.Traffic
	}
	b.turns.restore(s.Turns)
	return b, nil
}

func readLead(text string) (id exchange.LeadID, err error) {
	raw, err := hex.DecodeString(text)
	if err != nil || len(raw) != len(id) {
		return id, fmt.Errorf("cannot read the book's snapshot: bad lead id %q", text)
	}
	return exchange.LeadID(raw), nil
}
