package app

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/valyala/fasthttp"

	"vendue/attribution"
	"vendue/attribution/reconcile"
	"vendue/exchange"
	"vendue/store"
)

// ConversionQuery asks for an affiliate's credits by the time of their sales.
type ConversionQuery struct {
	Affiliate string
	From      string // RFC 3339, included
	Until     string // excluded
}

func (q *ConversionQuery) query() (out attribution.ConversionQuery, err error) {
	if q.Affiliate == "" {
		return out, errors.New("affiliate: expected an affiliate's name")
	}
	out.Affiliate = exchange.AffiliateID(q.Affiliate)
	if out.From, err = time.Parse(time.RFC3339, q.From); err != nil {
		return out, errors.New("from: expected a time as in 2026-01-31T12:00:00Z")
	}
	if out.Until, err = time.Parse(time.RFC3339, q.Until); err != nil || !out.From.Before(out.Until) {
		return out, fmt.Errorf("until: expected a time after from, as in 2026-01-31T12:00:00Z")
	}
	return out, nil
}

// Conversions lists credits from a store that is open for reading.
func Conversions(s *store.Store, q ConversionQuery) ([]reconcile.Ours, error) {
	ask, err := q.query()
	if err != nil {
		return nil, err
	}
	return attribution.Conversions(s, space{s.Space("attribution")}, s.Vault(), ask)
}

// tellConversions streams credits as JSON lines. Affiliates' own ids are in them, so it is for operators.
func (a *App) tellConversions(ctx *fasthttp.RequestCtx, trusted bool) {
	if !trusted && a.principal(ctx).Operator == "" {
		a.api.WriteProblem(ctx, fasthttp.StatusUnauthorized, "expected an operator's key")
		return
	}
	arg := func(name string) string { return string(ctx.QueryArgs().Peek(name)) }
	q := ConversionQuery{Affiliate: arg("affiliate"), From: arg("from"), Until: arg("until")}
	ask, err := q.query()
	if err != nil {
		a.api.WriteProblem(ctx, fasthttp.StatusUnprocessableEntity, err.Error())
		return
	}
	list, err := a.attribution.Conversions(ask)
	if err != nil {
		a.unreadable(ctx, err)
		return
	}
	ctx.SetContentType("application/x-ndjson")
	ctx.SetBodyStreamWriter(func(w *bufio.Writer) {
		out := json.NewEncoder(w)
		for i := range list {
			if out.Encode(&list[i]) != nil {
				return // the reader is gone
			}
		}
	})
}
