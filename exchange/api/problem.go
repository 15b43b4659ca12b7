package api

import (
	"strconv"

	"github.com/tidwall/gjson"
	"github.com/valyala/fasthttp"

	"vendue/exchange"
	"vendue/exchange/api/skin"
)

// problem is a fault of the request itself, told as application/problem+json (RFC 9457).
type problem struct {
	status int
	reason exchange.Reason
	detail string
	errors []fieldError
}

// fieldError is what is wrong with one field. It never holds the field's value.
type fieldError struct {
	field   string
	text    string
	missing bool
}

var problemTitles = map[int]string{
	400: "Malformed request", 401: "Not authenticated", 403: "Not yours", 404: "Not found", 405: "Method not allowed",
	409: "Conflict", 413: "Body too large", 415: "Unsupported media type", 422: "Invalid or missing field",
	429: "Too many requests", 431: "Header too large", 503: "Not available now",
}

func statusText(status int) string { return strconv.Itoa(status) }

// problem writes p as the answer.
func (a *API) problem(ctx *fasthttp.RequestCtx, p problem) {
	if c := a.m.faults[p.status]; c != nil {
		c.Inc()
	}
	p.write(ctx)
}

// WriteProblem writes a fault found before any handler ran.
func (a *API) WriteProblem(ctx *fasthttp.RequestCtx, status int, detail string) {
	reason := exchange.ReasonInvalidField
	switch status {
	case 401, 403:
		reason = exchange.ReasonAuth
	case 503:
		reason = exchange.ReasonOverloaded
	}
	if route, ok := a.skinOf(string(ctx.Path())); ok {
		unread := skin.Unread(route, string(ctx.Request.Header.Peek(fasthttp.HeaderAccept)))
		a.refuse(ctx, unread, &refusal{status: status, reason: reason, Fault: skin.Fault{Detail: detail}})
		return
	}
	a.problem(ctx, problem{status: status, reason: reason, detail: detail})
}

func (p *problem) write(ctx *fasthttp.RequestCtx) {
	if p.status == 429 || p.status == 503 {
		ctx.Response.Header.Set(fasthttp.HeaderRetryAfter, "1")
	}
	b := make([]byte, 0, 256)
	b = append(b, `{"type":"about:blank","title":`...)
	b = gjson.AppendJSONString(b, problemTitles[p.status])
	b = append(b, `,"status":`...)
	b = strconv.AppendInt(b, int64(p.status), 10)
	b = append(b, `,"detail":`...)
	b = gjson.AppendJSONString(b, p.detail)
	b = append(b, `,"reason":"`...)
	b = append(b, p.reason.String()...)
	b = append(b, `","errors":[`...)
	for i, e := range p.errors {
		if i > 0 {
			b = append(b, ',')
		}
		b = append(b, `{"field":`...)
		b = gjson.AppendJSONString(b, e.field)
		b = append(b, `,"error":`...)
		b = gjson.AppendJSONString(b, e.text)
		b = append(b, '}')
	}
	b = append(b, "]}"...)
	ctx.Response.Header.SetContentType("application/problem+json")
	ctx.SetStatusCode(p.status)
	ctx.SetBody(b)
}

// invalid is the 422 of these fields: missing_field if that is all that is wrong.
func invalid(errors []fieldError) problem {
	p := problem{status: 422, reason: exchange.ReasonMissingField, detail: "a field is missing", errors: errors}
	for _, e := range errors {
		if !e.missing {
			p.reason, p.detail = exchange.ReasonInvalidField, "a field is invalid"
		}
	}
	return p
}

// requestProblem is the fault that a reason of a request stands for.
func requestProblem(reason exchange.Reason) problem {
	p := problem{status: 503, reason: reason}
	switch reason {
	case exchange.ReasonRateLimited:
		p.status, p.detail = 429, "more requests per second than the campaign's rate"
	case exchange.ReasonDraining:
		p.detail = "the exchange is shutting down"
	case exchange.ReasonJournalUnavailable:
		p.detail = "the journal cannot be written"
	default:
		p.detail = "the exchange is at its limits"
	}
	return p
}
