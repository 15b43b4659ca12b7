package app

import (
	"github.com/tidwall/gjson"
	"github.com/valyala/fasthttp"

	"vendue/exchange"
	"vendue/exchange/engine"
)

// Balance is the answer of POST /api/balance: how a prepaid buyer stands.
type Balance struct {
	Buyer string         `json:"buyer"`
	Paid  exchange.Money `json:"paid"` // all that it ever paid in
	Held  exchange.Money `json:"held"`
	Spent exchange.Money `json:"spent"`
	Left  exchange.Money `json:"left"`
}

// pay adds to a prepaid buyer's balance: {"buyer":"..","amount":50,"paid":150}.
func (a *App) pay(ctx *fasthttp.RequestCtx) {
	body := string(ctx.PostBody())
	buyer, amount, before := gjson.Get(body, "buyer"), gjson.Get(body, "amount"), gjson.Get(body, "paid")
	sum, err := exchange.ParseMoney(amount.String())
	known := exchange.Money(-1)
	if err == nil && before.Exists() {
		if known, err = exchange.ParseMoney(before.String()); known < 0 {
			known = 0
		}
	}
	if !gjson.Valid(body) || buyer.Type != gjson.String || err != nil || sum == 0 {
		a.api.WriteProblem(ctx, fasthttp.StatusUnprocessableEntity, `expected {"buyer":"..","amount":AMOUNT, "paid":AMOUNT, optional: what stands as paid in before}`)
		return
	}
	b, done, err := a.engine.Pay(exchange.BuyerID(buyer.Str), sum, known)
	switch done {
	case engine.PaidDone:
		tellJSON(ctx, Balance{Buyer: string(b.Buyer), Paid: b.Paid, Held: b.Held, Spent: b.Spent, Left: b.Paid - b.Held - b.Spent})
	case engine.PaidNobody:
		a.api.WriteProblem(ctx, fasthttp.StatusNotFound, "no buyer of that name has prepaid: in the config")
	case engine.PaidElse:
		a.api.WriteProblem(ctx, fasthttp.StatusConflict, "another amount stands as paid in: "+b.Paid.String()+"; nothing was changed")
	case engine.PaidBelow:
		a.api.WriteProblem(ctx, fasthttp.StatusConflict, "of "+b.Paid.String()+" paid in "+(b.Paid-b.Held-b.Spent).String()+" are left; nothing was changed")
	default:
		a.log.Error().Err(err).Msg("a payment was not recorded")
		a.api.WriteProblem(ctx, fasthttp.StatusServiceUnavailable, "the payment was not recorded; ask what stands before it is sent again")
	}
}
