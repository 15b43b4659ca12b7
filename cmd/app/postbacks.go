package app

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/valyala/fasthttp"

	"vendue/attribution"
	"vendue/attribution/postback"
	"vendue/exchange"
	"vendue/store"
)

// handlePostbacks serves what operators do about postbacks. It tells whether the path was one of its own.
func (a *App) handlePostbacks(ctx *fasthttp.RequestCtx, path string, trusted bool) bool {
	switch path {
	case "/api/postbacks":
		a.tellPostbacks(ctx, a.opener(ctx, trusted))
	case "/api/postbacks/disabled":
		a.tellDisabled(ctx)
	case "/api/postbacks/replay":
		if a.operator(ctx, trusted) {
			a.replayPostbacks(ctx)
		}
	case "/api/postbacks/enable":
		if a.operator(ctx, trusted) {
			a.enablePostback(ctx)
		}
	case "/api/postbacks/past":
		if a.operator(ctx, trusted) {
			a.tellPast(ctx)
		}
	default:
		return false
	}
	return true
}

// PostbackFilter says which postbacks are meant. An empty field takes all.
type PostbackFilter struct {
	State     string `json:"state,omitempty"` // waiting, delivered, dead, not_sent
	Affiliate string `json:"affiliate,omitempty"`
	Event     string `json:"event,omitempty"`
	Reason    string `json:"reason,omitempty"`
	Endpoint  string `json:"endpoint,omitempty"` // how it begins
	LeadID    string `json:"lead_id,omitempty"`
	From      string `json:"from,omitempty"`  // RFC 3339, included
	Until     string `json:"until,omitempty"` // excluded
	After     string `json:"after,omitempty"` // what the answer before said as next
	Limit     int    `json:"limit,omitempty"`
}

// filter turns the words into what the room takes. A fault names the field.
func (q *PostbackFilter) filter(minter *exchange.Minter) (f postback.Filter, err error) {
	f = postback.Filter{Affiliate: exchange.AffiliateID(q.Affiliate), Event: q.Event, Reason: q.Reason, Endpoint: q.Endpoint, Limit: q.Limit}
	var ok bool
	if f.State, ok = postback.ParseState(q.State); !ok {
		return f, errors.New("state: expected waiting, delivered, dead or not_sent")
	}
	if events := append(postback.Events(), postback.EventLeadSettled); q.Event != "" && !slices.Contains(events, q.Event) {
		return f, fmt.Errorf("event: expected one of %s", strings.Join(events, ", "))
	}
	if q.LeadID != "" {
		if f.Lead, ok = minter.ParseLead(q.LeadID); !ok {
			return f, errors.New("lead_id: expected the id of a lead of this house")
		}
	}
	for name, part := range map[string]struct {
		text string
		to   *int64
	}{"from": {q.From, &f.From}, "until": {q.Until, &f.Until}} {
		if part.text == "" {
			continue
		}
		t, err := time.Parse(time.RFC3339, part.text)
		if err != nil {
			return f, fmt.Errorf("%s: expected a time as in 2026-01-31T12:00:00Z", name)
		}
		*part.to = t.UnixNano()
	}
	if q.After != "" {
		if f.After, ok = postback.ParseKey(q.After); !ok {
			return f, errors.New("after: expected what the answer before said as next")
		}
	}
	if q.Limit < 0 {
		return f, errors.New("limit: expected a number of zero or more")
	}
	return f, nil
}

// Postback is a job as operators see it.
type Postback struct {
	ID           string            `json:"id"` // SEQ.NO: the event's seq, and the job's place among that event's
	State        string            `json:"state"`
	Affiliate    string            `json:"affiliate,omitempty"`
	Seller       string            `json:"seller,omitempty"`
	LeadID       string            `json:"lead_id,omitempty"`
	Event        string            `json:"event"`
	ConversionID string            `json:"conversion_id"`
	Endpoint     string            `json:"endpoint,omitempty"`
	Notice       string            `json:"notice"` // what a 410 switches off
	Created      time.Time         `json:"created"`
	Due          *time.Time        `json:"due,omitempty"` // of the next attempt, if one is set
	Revived      *time.Time        `json:"replayed,omitempty"`
	Reason       string            `json:"reason,omitempty"`
	Attempts     []PostbackAttempt `json:"attempts,omitempty"`
}

// PostbackAttempt is one try to deliver a job. Said is how the answer began
// where it was no acceptance; only operators are told.
type PostbackAttempt struct {
	At      time.Time `json:"at"`
	Status  int       `json:"status,omitempty"`
	Fault   string    `json:"fault,omitempty"`
	Verdict string    `json:"verdict"` // accepted, duplicate, rejected, unknown, unchecked, retry, refused, gone
	Said    string    `json:"said,omitempty"`
}

// PostbackList is the answer of GET /api/postbacks, in the order of the events.
type PostbackList struct {
	Counts    postback.Counts `json:"counts"`
	Postbacks []Postback      `json:"postbacks"`
	Next      string          `json:"next,omitempty"` // to go on with after=; none: this is the end
}

func (a *App) tellPostbacks(ctx *fasthttp.RequestCtx, vault exchange.Vault) {
	arg := func(name string) string { return string(ctx.QueryArgs().Peek(name)) }
	limit, err := strconv.Atoi(orElse(arg("limit"), "100"))
	q := PostbackFilter{
		State: arg("state"), Affiliate: arg("affiliate"), Event: arg("event"), Reason: arg("reason"), Endpoint: arg("endpoint"),
		LeadID: arg("lead_id"), From: arg("from"), Until: arg("until"), After: arg("after"), Limit: limit,
	}
	var f postback.Filter
	if err == nil {
		f, err = q.filter(a.minter)
	} else {
		err = errors.New("limit: expected a number of zero or more")
	}
	if err != nil {
		a.api.WriteProblem(ctx, fasthttp.StatusUnprocessableEntity, err.Error())
		return
	}
	jobs, next, err := a.attribution.Postbacks(f)
	if err != nil {
		a.unreadable(ctx, err)
		return
	}
	out := PostbackList{Counts: a.attribution.Stats().Postbacks, Postbacks: make([]Postback, len(jobs)), Next: next.String()}
	for i := range jobs {
		out.Postbacks[i] = postbackOf(&jobs[i], vault)
	}
	tellJSON(ctx, out)
}

// opener is what opens what trackers said, for operators; nil for others.
func (a *App) opener(ctx *fasthttp.RequestCtx, trusted bool) exchange.Vault {
	if trusted || a.principal(ctx).Operator != "" {
		return a.store.Vault()
	}
	return nil
}

// postbackOf tells of a job: with what its tracker said, if vault is not nil.
func postbackOf(j *postback.Job, vault exchange.Vault) Postback {
	p := Postback{
		ID: j.Key.String(), State: j.State.String(), Affiliate: string(j.Affiliate), Seller: string(j.Seller), Event: j.Event,
		ConversionID: j.ConversionID, Endpoint: j.Endpoint, Notice: j.Notice.String(), Created: time.Unix(0, j.Created).UTC(), Reason: j.Reason,
	}
	if !j.Lead.IsZero() {
		p.LeadID = j.Lead.String()
	}
	if j.Revived != 0 {
		at := time.Unix(0, j.Revived).UTC()
		p.Revived = &at
	}
	if at := j.RetryAt(); !at.IsZero() && j.State == postback.Waiting {
		p.Due = &at
	}
	for i := range j.Attempts {
		try := &j.Attempts[i]
		told := PostbackAttempt{At: time.Unix(0, try.At).UTC(), Status: try.Status, Fault: try.Fault, Verdict: try.Verdict.String()}
		if vault != nil {
			told.Said = postback.Said(vault, try)
		}
		p.Attempts = append(p.Attempts, told)
	}
	return p
}

// PostbackReplay is the answer of POST /api/postbacks/replay.
type PostbackReplay struct {
	Replayed int    `json:"replayed"`
	Skipped  int    `json:"skipped"`        // have nothing that could be sent, or their notice is switched off
	Next     string `json:"next,omitempty"` // to go on with as after; none: all were looked at
}

// replayPostbacks takes a PostbackFilter whose state is dead or not_sent.
func (a *App) replayPostbacks(ctx *fasthttp.RequestCtx) {
	var q PostbackFilter
	err := json.Unmarshal(ctx.PostBody(), &q)
	if err != nil {
		err = errors.New(`expected {"state":"dead"|"not_sent","affiliate":"..","event":"..","reason":"..","endpoint":"..","lead_id":"..","from":"RFC 3339","until":"..","after":"..","limit":N}`)
	}
	var f postback.Filter
	if err == nil {
		f, err = q.filter(a.minter)
	}
	if err == nil && f.State != postback.Dead && f.State != postback.NotSent {
		err = errors.New("state: expected dead or not_sent")
	}
	if err != nil {
		a.api.WriteProblem(ctx, fasthttp.StatusUnprocessableEntity, err.Error())
		return
	}
	done, err := a.attribution.Sender().Replay(f)
	if err != nil {
		a.log.Error().Err(err).Msg("cannot replay postbacks")
		a.api.WriteProblem(ctx, fasthttp.StatusServiceUnavailable, "postbacks cannot be replayed now; the log says why")
		return
	}
	a.log.Info().Int("replayed", done.Revived).Int("skipped", done.Skipped).Str("by", cmp.Or(string(a.principal(ctx).Operator), "socket")).Msg("postbacks replayed")
	tellJSON(ctx, PostbackReplay{done.Revived, done.Skipped, done.Next.String()})
}

// DisabledPostback is a notice that its tracker answered with 410: nothing is sent of it until it is enabled.
type DisabledPostback struct {
	Notice    string    `json:"notice"`
	Since     time.Time `json:"since"`
	Affiliate string    `json:"affiliate,omitempty"`
	Seller    string    `json:"seller,omitempty"`
	Event     string    `json:"event,omitempty"`
	Endpoint  string    `json:"endpoint,omitempty"`
}

// DisabledList is the answer of GET /api/postbacks/disabled: the oldest first.
type DisabledList struct {
	Disabled []DisabledPostback `json:"disabled"`
}

func (a *App) tellDisabled(ctx *fasthttp.RequestCtx) {
	list := a.attribution.Sender().Disabled()
	out := DisabledList{Disabled: make([]DisabledPostback, len(list))}
	for i, d := range list {
		out.Disabled[i] = DisabledPostback{d.Notice.String(), time.Unix(0, d.At).UTC(), string(d.Affiliate), string(d.Seller), d.Event, d.Endpoint}
	}
	tellJSON(ctx, out)
}

// enablePostback takes {"notice":"16 hexadecimal digits"}.
func (a *App) enablePostback(ctx *fasthttp.RequestCtx) {
	var body struct {
		Notice string `json:"notice"`
	}
	n, err := uint64(0), json.Unmarshal(ctx.PostBody(), &body)
	if err == nil {
		n, err = strconv.ParseUint(body.Notice, 16, 64)
	}
	if err != nil {
		a.api.WriteProblem(ctx, fasthttp.StatusUnprocessableEntity, `expected {"notice":"16 hexadecimal digits"}`)
		return
	}
	was, err := a.attribution.Sender().Enable(postback.Notice(n))
	if err != nil {
		a.log.Error().Err(err).Msg("cannot enable a postback")
		a.api.WriteProblem(ctx, fasthttp.StatusServiceUnavailable, "the postback cannot be enabled now; the log says why")
		return
	}
	if was {
		a.log.Info().Str("notice", body.Notice).Str("by", cmp.Or(string(a.principal(ctx).Operator), "socket")).Msg("postback enabled")
	}
	tellJSON(ctx, map[string]any{"notice": body.Notice, "enabled": true, "repeated": !was})
}

// PastQuery asks what a postback could say of past events: one of seq and lead_id.
type PastQuery struct {
	Seq    uint64 `json:"seq,omitempty"`
	LeadID string `json:"lead_id,omitempty"`
	On     string `json:"on,omitempty"` // the event to tell it as
}

// PastEvent is an event that a postback could tell of.
type PastEvent struct {
	Seq        uint64      `json:"seq"`
	Event      string      `json:"event"`
	LeadID     string      `json:"lead_id,omitempty"`
	Affiliate  string      `json:"affiliate,omitempty"`
	Uncredited string      `json:"uncredited,omitempty"` // why no notice of it went out
	Values     []PastValue `json:"values"`
}

// PastValue is what a macro says of an event, and where that comes from.
type PastValue struct {
	Macro string `json:"macro"`
	Value string `json:"value"`
	From  string `json:"from"`
}

// Past finds what postbacks could say of past events, in a store that is open for reading.
func Past(s *store.Store, q PastQuery) ([]PastEvent, error) {
	minter, err := exchange.NewMinter(s.IDKey(), 0, func() uint64 { return 0 })
	if err != nil {
		return nil, err
	}
	ask, err := q.query(minter)
	if err != nil {
		return nil, err
	}
	list, err := attribution.PastEvents(s, space{s.Space("attribution")}, s.Vault(), ask)
	return pastOf(list), err
}

func (q *PastQuery) query(minter *exchange.Minter) (out attribution.PastQuery, err error) {
	out = attribution.PastQuery{Seq: q.Seq, On: q.On}
	if (q.Seq == 0) == (q.LeadID == "") {
		return out, errors.New("expected seq or lead_id, one of the two")
	}
	ok := true
	if q.Seq == 0 {
		out.Lead, ok = minter.ParseLead(q.LeadID)
	}
	if !ok {
		return out, errors.New("lead_id: expected the id of a lead of this house")
	}
	return out, nil
}

func pastOf(list []attribution.Past) []PastEvent {
	out := make([]PastEvent, len(list))
	for i, p := range list {
		e := PastEvent{Seq: p.Seq, Event: p.Event, Affiliate: string(p.Affiliate), Uncredited: p.Uncredited.String()}
		if !p.Lead.IsZero() {
			e.LeadID = p.Lead.String()
		}
		for m, from := range p.Origins {
			if from != "" {
				e.Values = append(e.Values, PastValue{postback.Macro(m).String(), p.Values[m], from})
			}
		}
		out[i] = e
	}
	return out
}

// tellPast takes a PastQuery. Affiliates' own ids are in the answer, so it is for operators.
func (a *App) tellPast(ctx *fasthttp.RequestCtx) {
	var q PastQuery
	err := json.Unmarshal(ctx.PostBody(), &q)
	if err != nil {
		err = errors.New(`expected {"seq":N} or {"lead_id":".."}`)
	}
	var ask attribution.PastQuery
	if err == nil {
		ask, err = q.query(a.minter)
	}
	if err != nil {
		a.api.WriteProblem(ctx, fasthttp.StatusUnprocessableEntity, strings.TrimSpace(err.Error()))
		return
	}
	list, err := a.attribution.Past(ask)
	if err != nil {
		a.unreadable(ctx, err)
		return
	}
	tellJSON(ctx, pastOf(list))
}
