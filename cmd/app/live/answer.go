package live

import (
	"cmp"
	"encoding/json"
	"runtime"
	"slices"
	"strconv"
	"sync"
	"time"

	"vendue/exchange"
)

// answerKept is how long one answer serves everyone who asks: however many look on, the lock is taken four times a second.
const answerKept = 250 * time.Millisecond

// answers keeps the last answer. Its lock is held while one is made, so only one ever is.
type answers struct {
	mu   sync.Mutex
	made time.Duration // since the start
	body []byte
}

// answer is what GET /api/live returns; Handle's comment tells its shape.
type answer struct {
	Now       time.Time      `json:"now"`
	UptimeS   int64          `json:"uptime_s"`
	Go        string         `json:"go"`
	Ready     bool           `json:"ready"`
	NotReady  string         `json:"not_ready,omitempty"`
	Config    string         `json:"config"`
	Currency  string         `json:"currency"`
	Journal   Journal        `json:"journal"`
	InDoubt   inDoubt        `json:"in_doubt"`
	Postbacks Postbacks      `json:"postbacks"`
	Minute    span           `json:"minute"`
	Total     span           `json:"total"`
	Tests     int64          `json:"tests"`
	Series    series         `json:"series"`
	Unsold    []unsold       `json:"unsold"`
	Contracts []contractView `json:"contracts"`
	RowsLeft  int            `json:"contracts_left_off,omitempty"`
	Caps      []CapView      `json:"caps"`
	CapsLeft  int            `json:"caps_left_off,omitempty"`
}

type inDoubt struct {
	Count     int            `json:"count"`
	Value     exchange.Money `json:"value"`
	OldestS   int64          `json:"oldest_s"`
	Conflicts int            `json:"conflicts"`
}

// span is what some time brought. SpanS is how many whole seconds it is about.
type span struct {
	SpanS int64 `json:"span_s"`
	Counts
	Margin  exchange.Money `json:"margin"`
	PingP50 ms             `json:"ping_p50_ms"`
	PingP99 ms             `json:"ping_p99_ms"`
	PostP50 ms             `json:"post_p50_ms"`
	PostP99 ms             `json:"post_p99_ms"`
}

func spanOf(seconds int64, t *tally) span {
	ping, post := t.ping.latency(), t.post.latency()
	return span{
		SpanS: seconds, Counts: t.Counts, Margin: t.Margin(),
		PingP50: ms(ping.P50), PingP99: ms(ping.P99), PostP50: ms(post.P50), PostP99: ms(post.P99),
	}
}

// series is the plots' data: parallel lists, oldest first, one place per step.
type series struct {
	SpanS   int64            `json:"span_s"`
	StepS   int64            `json:"step_s"`
	EndAgo  int64            `json:"end_ago_s"` // how long ago the last step ended
	Sold    []int64          `json:"sold"`
	Unsold  []int64          `json:"unsold"`
	Pending []int64          `json:"pending"`
	Revenue []exchange.Money `json:"revenue"`
	Payout  []exchange.Money `json:"payout"`
	PingP50 []ms             `json:"ping_p50_ms"`
	PingP99 []ms             `json:"ping_p99_ms"`
	PostP50 []ms             `json:"post_p50_ms"`
	PostP99 []ms             `json:"post_p99_ms"`
}

// ms is a duration that JSON shows in milliseconds, and as null if it is negative.
type ms time.Duration

// MarshalJSON writes m in milliseconds with at most three decimals.
func (m ms) MarshalJSON() ([]byte, error) {
	if m < 0 {
		return []byte("null"), nil
	}
	return strconv.AppendFloat(nil, float64(time.Duration(m).Microseconds())/1000, 'f', -1, 64), nil
}

type unsold struct {
	reason exchange.Reason
	Reason string `json:"reason"`
	Recent int64  `json:"recent"`
	Total  int64  `json:"total"`
}

type contractView struct {
	ContractRow
	AvgBid  exchange.Money `json:"avg_bid"`
	PingP95 ms             `json:"ping_p95_ms"`
	PostP95 ms             `json:"post_p95_ms"`
}

// CapView is a cap in its own unit: leads, or money.
type CapView struct {
	ID        string     `json:"id"`
	Per       string     `json:"per"`
	Unit      string     `json:"unit"`
	Limit     any        `json:"limit"`
	Held      any        `json:"held"`
	Committed any        `json:"committed"`
	Left      any        `json:"left"`
	Start     *time.Time `json:"start"`
}

// json returns the answer as it stands, at most answerKept old.
func (l *Live) json() ([]byte, error) {
	l.answers.mu.Lock()
	defer l.answers.mu.Unlock()
	l.mu.Lock()
	now := l.timeLocked()
	l.mu.Unlock()
	if l.answers.body != nil && now-l.answers.made < answerKept {
		return l.answers.body, nil
	}
	a := answer{Now: l.sources.Now().UTC().Truncate(time.Millisecond), Go: runtime.Version()}
	l.askSources(&a)
	config := l.config()
	a.Config, a.Currency = config.Hash, config.Currency
	rows := l.fillFigures(&a, &config)
	a.showRows(rows)
	body, err := json.Marshal(&a)
	if err != nil {
		return nil, err
	}
	l.answers.made, l.answers.body = now, body
	return body, nil
}

// askSources fills what others know. Nothing of Live's own is locked but the making of answers.
func (l *Live) askSources(a *answer) {
	s := &l.sources
	a.Ready = true
	if s.Ready != nil {
		a.NotReady = s.Ready()
		a.Ready = a.NotReady == ""
	}
	if s.Journal != nil {
		a.Journal = s.Journal()
	}
	if s.InDoubt != nil {
		a.InDoubt.Count, a.InDoubt.Value = s.InDoubt()
	}
	if s.Doubtful != nil {
		var oldest time.Duration
		oldest, a.InDoubt.Conflicts = s.Doubtful()
		a.InDoubt.OldestS = int64(oldest.Seconds())
	}
	if s.Postbacks != nil {
		a.Postbacks = s.Postbacks()
	}
	a.Caps = []CapView{}
	if s.Caps != nil {
		a.showCaps(s.Caps())
	}
}

// fillFigures takes from Live what it gathered, and returns the rows. Seconds that are over change no
// more, so they are read a step at a time and nobody who counts waits for the whole.
func (l *Live) fillFigures(a *answer, config *Config) []ContractRow {
	now := l.fillTotals(a)
	var minute tally
	from := max(now-60, 0)
	l.gather(&minute, from, now)
	a.Minute = spanOf(now-from, &minute)
	var recent [exchange.ReasonCount]int64
	a.Series = l.seriesUntil(now, &recent)
	for i := range a.Unsold {
		a.Unsold[i].Recent = recent[a.Unsold[i].reason]
	}
	return l.contractRows(config)
}

// fillTotals takes the figures since the start and returns the second that runs.
func (l *Live) fillTotals(a *answer) (now int64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	now = int64(l.timeLocked() / time.Second)
	a.UptimeS, a.Tests = now, l.tests
	a.Total = spanOf(now, &l.total)
	a.Unsold = make([]unsold, 0, 8)
	for _, r := range l.total.reasonCounts() {
		a.Unsold = append(a.Unsold, unsold{reason: r.Reason, Reason: r.Reason.String(), Total: r.Count})
	}
	return now
}

// gather adds the seconds from from until before to, all of them over.
func (l *Live) gather(t *tally, from, to int64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for n := from; n < to; n++ {
		if s := &l.ring[n%ringSeconds]; s.n == n {
			t.merge(&s.tally)
		}
	}
}

// scaleOf picks how much time a plot shows and in what steps, so that a young
// house fills its plots too. Ten minutes are the most.
func scaleOf(uptime int64) (spanS, stepS int64) {
	switch {
	case uptime < 60:
		return 60, 1
	case uptime < 120:
		return 120, 1
	case uptime < 300:
		return 300, 2
	default:
		return 600, 5
	}
}

// seriesUntil cuts the seconds that are over into steps that begin at whole
// multiples of the step: a step once shown never changes. reasons gathers those of all steps.
func (l *Live) seriesUntil(now int64, reasons *[exchange.ReasonCount]int64) series {
	spanS, stepS := scaleOf(now)
	end := now - now%stepS
	s := series{
		SpanS: spanS, StepS: stepS, EndAgo: now - end, Sold: []int64{}, Unsold: []int64{}, Pending: []int64{},
		Revenue: []exchange.Money{}, Payout: []exchange.Money{}, PingP50: []ms{}, PingP99: []ms{}, PostP50: []ms{}, PostP99: []ms{},
	}
	for from := max(end-spanS, 0); from < end; from += stepS {
		var t tally
		l.gather(&t, from, from+stepS)
		for i, n := range t.reasons {
			reasons[i] += n
		}
		ping, post := t.ping.latency(), t.post.latency()
		s.Sold, s.Unsold, s.Pending = append(s.Sold, t.Sold), append(s.Unsold, t.Unsold), append(s.Pending, t.Pending)
		s.Revenue, s.Payout = append(s.Revenue, t.Revenue), append(s.Payout, t.Payout)
		s.PingP50, s.PingP99 = append(s.PingP50, ms(ping.P50)), append(s.PingP99, ms(ping.P99))
		s.PostP50, s.PostP99 = append(s.PostP50, ms(post.P50)), append(s.PostP99, ms(post.P99))
	}
	return s
}

// showRows puts the busiest rows into the answer, by name.
func (a *answer) showRows(rows []ContractRow) {
	if len(rows) > rowsShownMax {
		slices.SortStableFunc(rows, func(x, y ContractRow) int { return cmp.Compare(y.Pings+y.Posts, x.Pings+x.Posts) })
		a.RowsLeft = len(rows) - rowsShownMax
		rows = rows[:rowsShownMax]
		slices.SortFunc(rows, func(x, y ContractRow) int { return cmp.Compare(x.Contract, y.Contract) })
	}
	a.Contracts = make([]contractView, len(rows))
	for i := range rows {
		a.Contracts[i] = contractView{ContractRow: rows[i], AvgBid: rows[i].AvgBid(), PingP95: ms(rows[i].PingP95), PostP95: ms(rows[i].PostP95)}
	}
}

// showCaps puts the fullest caps into the answer, the fullest first.
func (a *answer) showCaps(caps []Cap) {
	caps = slices.Clone(caps)
	used := func(c *Cap) float64 { return float64(c.Held+c.Committed) / float64(max(c.Limit, 1)) }
	slices.SortStableFunc(caps, func(x, y Cap) int {
		return cmp.Or(cmp.Compare(used(&y), used(&x)), cmp.Compare(x.ID, y.ID))
	})
	if len(caps) > capsShownMax {
		a.CapsLeft = len(caps) - capsShownMax
		caps = caps[:capsShownMax]
	}
	for i := range caps {
		a.Caps = append(a.Caps, caps[i].View())
	}
}

// View returns the cap as it is shown.
func (c *Cap) View() CapView {
	amount := func(n int64) any {
		if c.Unit == exchange.CapSpend.String() {
			return exchange.Money(n)
		}
		return n
	}
	v := CapView{
		ID: c.ID, Per: c.Per, Unit: c.Unit, Limit: amount(c.Limit), Held: amount(c.Held), Committed: amount(c.Committed),
		Left: amount(max(c.Limit-c.Held-c.Committed, 0)),
	}
	if start := c.Start; !start.IsZero() {
		v.Start = &start
	}
	return v
}
