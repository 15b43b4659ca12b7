package book

import (
	"math"
	"math/bits"
	"time"

	"vendue/exchange"
)

// A day's cap that is to be spread evenly has a plan for each day: how much of it
// may be used by the end of each quarter of an hour, by the leads that earlier days
// brought at that hour. Hours in which the contract is closed get nothing.
//
// The plan bounds less than the cap and is no fact of the journal: the cap itself
// is reserved and held as ever, and a restart may plan the rest of a day a little differently.
const (
	planStep    = 15 * 60 // seconds
	planSteps   = 112     // no day has more: 28 hours
	planWhole   = 1 << 32
	trafficPast = 7    // days behind which a day fades to a third
	trafficOne  = 1000 // one lead
	trafficHope = 2    // leads that are expected in any hour, whatever was seen
)

// traffic counts the leads of each hour of the day, in UTC: over all sellers, tests
// left out. It is a fold of the journal's events.
type traffic [24]trafficHour

type trafficHour struct {
	Hour int64 `json:"hour"` // Unix hour that Now counts
	Now  int64 `json:"now"`
	Past int64 `json:"past"` // of the days before it, faded, in trafficOne
}

func (t *traffic) started(at int64, ev *exchange.PostStarted) {
	if ev.Lead != nil && !ev.Lead.Test {
		t.note(at)
	}
}

func (t *traffic) refused(at int64, ev *exchange.LeadRefused) {
	if !ev.Lead.Test {
		t.note(at)
	}
}

// note counts a lead. A clock that steps back counts in the hour that it has come to.
func (t *traffic) note(at int64) {
	now := at / hour
	h := &t[now%24]
	if now > h.Hour {
		h.Past = h.before(now)
		h.Hour, h.Now = now, 0
	}
	h.Now++
}

// before returns what the hour of the day brought on the days before the Unix hour now, faded.
func (h *trafficHour) before(now int64) int64 {
	days := (now - h.Hour) / 24
	if h.Hour == 0 || days <= 0 {
		return h.Past
	}
	past := h.Now * trafficOne
	if h.Past > 0 {
		past = h.Past + (past-h.Past)/trafficPast
	}
	for range min(days-1, 20*trafficPast) {
		past -= past / trafficPast
	}
	return past
}

func (t *traffic) snapshot() *traffic {
	if *t == (traffic{}) {
		return nil
	}
	out := *t
	return &out
}

// plan is one day of a cap. It is immutable.
type plan struct {
	start, end int64 // Unix seconds
	shares     [planSteps]int64
}

// share returns what part of the day's cap may be used at now, of planWhole, and whether the plan is of that day.
func (p *plan) share(now time.Time) (int64, bool) {
	at := now.Unix()
	if p == nil || at < p.start || at >= p.end {
		return 0, false
	}
	return p.shares[min((at-p.start)/planStep, planSteps-1)], true
}

// Replan plans the day of now for a cap that is to be spread, if that is not done
// yet. open tells whether its contract takes leads at a time; nil: always.
func (b *Book) Replan(c *exchange.Cap, now time.Time, zone *time.Location, open func(time.Time) bool) {
	state := (*b.caps.Load())[c.Handle]
	if _, planned := state.plan.Load().share(now); planned {
		return
	}
	p := &plan{start: c.Per.Start(now, zone)}
	p.end = c.Per.Start(time.Unix(p.start, 0).Add(36*time.Hour), zone) // no day has 36 hours
	steps := min((p.end-p.start+planStep-1)/planStep, planSteps)
	var total int64
	for i := range steps {
		at := time.Unix(p.start+i*planStep+planStep/2, 0)
		if open == nil || open(at) {
			h := at.Unix() / 3600
			total += b.traffic[h%24].before(h) + trafficHope*trafficOne
		}
		p.shares[i] = total
	}
	for i := range p.shares {
		switch {
		case total == 0 || int64(i) >= steps:
			p.shares[i] = planWhole // never open, or beyond the day
		default:
			p.shares[i] = mulDiv(p.shares[i], planWhole, total, 0)
		}
	}
	state.plan.Store(p)
}

// Bound returns what bounds a cap at now: the limit that was set last, and what of
// it may be used by now, exchange.Unscheduled if it has no plan. It needs no lock.
func (b *Book) Bound(c *exchange.Cap, now time.Time) (limit, schedule int64) {
	state := (*b.caps.Load())[c.Handle]
	limit = state.bound.Load()
	if limit < 0 {
		return math.MaxInt64, exchange.Unscheduled
	}
	if !c.Even {
		return limit, exchange.Unscheduled
	}
	share, planned := state.plan.Load().share(now)
	if !planned {
		return limit, exchange.Unscheduled
	}
	return limit, max(mulDiv(limit, share, planWhole, planWhole-1), 1) // rounded up: the first step has one lead at least
}

// Ahead tells whether a cap that is spread has no more to give until later. The
// window is that of now.
func (b *Book) Ahead(c *exchange.Cap, window int64, now time.Time) bool {
	if !c.Even {
		return false
	}
	_, schedule := b.Bound(c, now)
	return b.Used(c.Handle, window) >= schedule
}

func (c *capState) setLimit(limit int64) {
	c.limit = limit
	c.bound.Store(limit)
}

// mulDiv returns (n*m+plus)/d. The result fits, for n or m is at most d and plus less than it.
func mulDiv(n, m, d, plus int64) int64 {
	high, low := bits.Mul64(uint64(n), uint64(m))
	low, carry := bits.Add64(low, uint64(plus), 0)
	q, _ := bits.Div64(high+carry, low, uint64(d))
	return int64(q)
}

// Taken returns what is held and committed in the latest window of a cap.
func (b *Book) Taken(id exchange.CapID) (held, committed int64) {
	h, ok := b.byID[id]
	if !ok {
		return 0, 0
	}
	windows := (*b.caps.Load())[h].windows
	if len(windows) == 0 {
		return 0, 0
	}
	w := windows[len(windows)-1]
	return w.Held, w.Committed
}
