package app

import (
	"encoding/json"
	"errors"
	"time"

	"github.com/valyala/fasthttp"

	"vendue/exchange"
	"vendue/exchange/engine"
)

// Limits of what operators ask about attempts in doubt at once.
const (
	doubtsToldMax    = 1000
	reconciledAtOnce = 1000 // lines of a buyer's list in one request
)

// handleDoubt serves what operators do about attempts in doubt and conflicts. It
// tells whether the path was one of its own.
func (a *App) handleDoubt(ctx *fasthttp.RequestCtx, path string, trusted bool) bool {
	switch path {
	case "/api/doubt":
		a.tellDoubts(ctx)
	case "/api/conflicts":
		a.tellConflicts(ctx)
	case "/api/settle":
		if a.operator(ctx, trusted) {
			a.settle(ctx)
		}
	case "/api/conflicts/close":
		if a.operator(ctx, trusted) {
			a.closeConflict(ctx)
		}
	case "/api/reconcile":
		if a.operator(ctx, trusted) {
			a.reconcile(ctx)
		}
	default:
		return false
	}
	return true
}

// Doubt is an attempt in doubt, as operators see it.
type Doubt struct {
	LeadID   string         `json:"lead_id"`
	BidID    string         `json:"bid_id"`
	Contract string         `json:"contract"`
	Buyer    string         `json:"buyer"`
	Bid      exchange.Money `json:"bid"`
	Since    time.Time      `json:"since"`
	AgeSec   int64          `json:"age_s"`
	Conflict bool           `json:"conflict"` // an open conflict stands on another attempt of the lead
}

// DoubtList is the answer of GET /api/doubt: the oldest first, those of test
// mode only with ?test=1, and then alone. Total counts those left out by the limit, too.
type DoubtList struct {
	Total  int     `json:"total"`
	Doubts []Doubt `json:"doubts"`
}

func (a *App) tellDoubts(ctx *fasthttp.RequestCtx) {
	list, total, err := a.engine.Doubts(ctx.QueryArgs().GetBool("test"), doubtsToldMax)
	if err != nil {
		a.unreadable(ctx, err)
		return
	}
	out := DoubtList{Total: total, Doubts: make([]Doubt, len(list))}
	for i := range list {
		d := &list[i]
		out.Doubts[i] = Doubt{
			LeadID: d.LeadID.String(), BidID: string(exchange.AppendBidID(nil, d.PingID, d.Leg)), Contract: string(d.Contract), Buyer: string(d.Buyer),
			Bid: d.Bid, Since: d.Since, AgeSec: int64(a.engine.Now().Sub(d.Since).Seconds()), Conflict: d.Conflict,
		}
	}
	tellJSON(ctx, out)
}

// Conflict is a verdict against one that stands, as operators see it.
type Conflict struct {
	LeadID   string         `json:"lead_id"`
	BidID    string         `json:"bid_id"`
	Contract string         `json:"contract"`
	Buyer    string         `json:"buyer"`
	Bid      exchange.Money `json:"bid"`
	Stands   string         `json:"stands"`   // sold, rejected or returned
	Accepted bool           `json:"accepted"` // what was said against it
	By       string         `json:"by"`
	At       time.Time      `json:"at"`
}

// ConflictList is the answer of GET /api/conflicts: the oldest first.
type ConflictList struct {
	Total     int        `json:"total"`
	Conflicts []Conflict `json:"conflicts"`
}

func (a *App) tellConflicts(ctx *fasthttp.RequestCtx) {
	list, total, err := a.engine.Conflicts(doubtsToldMax)
	if err != nil {
		a.unreadable(ctx, err)
		return
	}
	out := ConflictList{Total: total, Conflicts: make([]Conflict, len(list))}
	for i := range list {
		c := &list[i]
		out.Conflicts[i] = Conflict{
			LeadID: c.LeadID.String(), BidID: string(exchange.AppendBidID(nil, c.PingID, c.Leg)), Contract: string(c.Contract), Buyer: string(c.Buyer),
			Bid: c.Bid, Stands: c.Stands.String(), Accepted: c.Accepted, By: c.By.String(), At: c.At,
		}
	}
	tellJSON(ctx, out)
}

func (a *App) unreadable(ctx *fasthttp.RequestCtx, err error) {
	a.log.Error().Err(err).Msg("cannot read the journal")
	a.api.WriteProblem(ctx, fasthttp.StatusServiceUnavailable, "the journal cannot be read")
}

// closeConflict takes {"lead_id":"..","bid_id":"optional if one conflict"}.
func (a *App) closeConflict(ctx *fasthttp.RequestCtx) {
	var body struct {
		LeadID string `json:"lead_id"`
		BidID  string `json:"bid_id"`
	}
	if err := json.Unmarshal(ctx.PostBody(), &body); err != nil || body.LeadID == "" {
		a.api.WriteProblem(ctx, fasthttp.StatusUnprocessableEntity, `expected {"lead_id":"..","bid_id":"optional if one conflict"}`)
		return
	}
	switch closed := a.engine.CloseConflict(body.LeadID, body.BidID, a.principal(ctx).Operator); closed {
	case engine.ClosedNow, engine.ClosedBefore:
		tellJSON(ctx, map[string]any{"lead_id": body.LeadID, "closed": true, "repeated": closed == engine.ClosedBefore})
	case engine.ClosedNotFound:
		a.api.WriteProblem(ctx, fasthttp.StatusNotFound, "lead_id: no conflict of this lead and bid")
	case engine.ClosedAmbiguous:
		a.api.WriteProblem(ctx, fasthttp.StatusUnprocessableEntity, "bid_id: several conflicts of this lead; expected the bid_id of one")
	case engine.ClosedBusy:
		a.api.WriteProblem(ctx, fasthttp.StatusConflict, "lead_id: the lead is being worked on; try again")
	default:
		a.api.WriteProblem(ctx, fasthttp.StatusServiceUnavailable, "the journal takes no events now")
	}
}

// Reconcile is the body of POST /api/reconcile: a part of a buyer's list of the
// leads that it accepted, at most 1000, or, once the whole list was taken, the
// word that the rest is unsold.
type Reconcile struct {
	Buyer                  string     `json:"buyer"`
	Accepted               []Accepted `json:"accepted,omitempty"`
	AssumeRestUnsoldBefore *time.Time `json:"assume_rest_unsold_before,omitempty"`
}

// Accepted is one line of such a list. BidID may be empty if the buyer has one leg of the lead.
type Accepted struct {
	LeadID string `json:"lead_id"`
	BidID  string `json:"bid_id,omitempty"`
}

// Reconciled is the answer: what became of each line, in their order (settled,
// already, conflict, unknown, ambiguous, in_flight), or how many were assumed
// unsold and how many are left for another call.
type Reconciled struct {
	Lines   []string `json:"lines,omitempty"`
	Assumed int      `json:"assumed"`
	Left    int      `json:"left"`
}

func readReconcile(body []byte) (r Reconcile, err error) {
	switch err = json.Unmarshal(body, &r); {
	case err != nil:
		return r, errors.New(`expected {"buyer":"..","accepted":[{"lead_id":".."}]} or {"buyer":"..","assume_rest_unsold_before":"RFC 3339"}`)
	case len(r.Accepted) > reconciledAtOnce:
		return r, errors.New("accepted: expected at most 1000 at once")
	case (len(r.Accepted) > 0) == (r.AssumeRestUnsoldBefore != nil):
		return r, errors.New("expected accepted or assume_rest_unsold_before, one of the two")
	}
	return r, nil
}

func (a *App) reconcile(ctx *fasthttp.RequestCtx) {
	r, err := readReconcile(ctx.PostBody())
	buyer := exchange.BuyerID(r.Buyer)
	if err == nil && a.cfg.Load().Market.Buyers[buyer] == nil {
		err = errors.New("buyer: expected one of the config's buyers")
	}
	if err != nil {
		a.api.WriteProblem(ctx, fasthttp.StatusUnprocessableEntity, err.Error())
		return
	}
	var out Reconciled
	if r.AssumeRestUnsoldBefore != nil {
		var ok bool
		if out.Assumed, out.Left, ok = a.engine.AssumeUnsold(buyer, *r.AssumeRestUnsoldBefore); !ok {
			a.api.WriteProblem(ctx, fasthttp.StatusServiceUnavailable, "the journal takes no events now")
			return
		}
	}
	words := map[engine.Settled]string{
		engine.SettledNow: "settled", engine.SettledBefore: "already", engine.SettledConflict: "conflict",
		engine.SettledNotFound: "unknown", engine.SettledAmbiguous: "ambiguous", engine.SettledInFlight: "in_flight",
	}
	for _, line := range r.Accepted {
		done, _ := a.engine.Settle(&engine.Verdict{
			LeadID: line.LeadID, BidID: line.BidID, Buyer: buyer, Accepted: true, By: exchange.SettledByReconciliation,
		})
		word, ok := words[done]
		if !ok {
			a.api.WriteProblem(ctx, fasthttp.StatusServiceUnavailable, "the journal takes no events now")
			return
		}
		out.Lines = append(out.Lines, word)
	}
	tellJSON(ctx, out)
}
