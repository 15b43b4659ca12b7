package app

import (
	"time"

	"github.com/valyala/fasthttp"

	"vendue/cmd/app/live"
	"vendue/exchange/book"
)

// CapList is the answer of GET /api/caps: every cap, by id, as it stands in the window that runs now.
type CapList struct {
	Caps []live.CapView `json:"caps"`
}

func (a *App) tellCaps(ctx *fasthttp.RequestCtx) {
	uses := a.engine.CapsNow()
	out := CapList{Caps: make([]live.CapView, len(uses))}
	for i := range uses {
		c := capOf(&uses[i])
		out.Caps[i] = c.View()
	}
	tellJSON(ctx, out)
}

func capOf(u *book.CapUse) live.Cap {
	return live.Cap{
		ID: string(u.Cap), Per: u.Per.String(), Unit: u.Unit.String(), Limit: u.Limit,
		Held: u.Held, Committed: u.Committed, Start: time.Unix(u.Start, 0).UTC(),
	}
}
