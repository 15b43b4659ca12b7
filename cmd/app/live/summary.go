package live

import (
	"cmp"
	"slices"
	"time"

	"vendue/exchange"
)

// Summary is everything since the start.
type Summary struct {
	Counts
	Tests     int64         // requests in test mode, counted nowhere else
	Uptime    time.Duration // since New
	Ping      Latency       // of pings, arrival to answer
	Post      Latency       // of posts and directs, arrival to answer
	Unsold    []ReasonCount // the most frequent first
	Contracts []ContractRow // by name
}

// ReasonCount is how many leads were not sold for one reason.
type ReasonCount struct {
	Reason exchange.Reason
	Count  int64
}

// Summary returns the totals and a row per contract since the start.
func (l *Live) Summary() Summary {
	config := l.config()
	l.mu.Lock()
	defer l.mu.Unlock()
	return Summary{
		Counts: l.total.Counts, Tests: l.tests, Uptime: l.timeLocked(),
		Ping: l.total.ping.latency(), Post: l.total.post.latency(),
		Unsold: l.total.unsoldReasons(), Contracts: l.rowsLocked(&config),
	}
}

func (l *Live) config() Config {
	if l.sources.Config == nil {
		return Config{}
	}
	return l.sources.Config()
}

func (t *tally) unsoldReasons() []ReasonCount {
	var out []ReasonCount
	for i, n := range t.reasons {
		if n > 0 {
			out = append(out, ReasonCount{Reason: exchange.Reason(i), Count: n})
		}
	}
	slices.SortStableFunc(out, func(x, y ReasonCount) int { return cmp.Compare(y.Count, x.Count) })
	return out
}
