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
	Reasons   []ReasonCount // of unsold leads, the most frequent first
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
	s := Summary{Contracts: l.contractRows(&config)}
	l.mu.Lock()
	defer l.mu.Unlock()
	s.Counts, s.Tests, s.Uptime = l.total.Counts, l.tests, l.timeLocked()
	s.Ping, s.Post, s.Reasons = l.total.ping.latency(), l.total.post.latency(), l.total.reasonCounts()
	return s
}

func (l *Live) config() Config {
	if l.sources.Config == nil {
		return Config{}
	}
	return l.sources.Config()
}

// reasonCounts lists why leads were not sold, the most frequent first.
func (t *tally) reasonCounts() []ReasonCount {
	var out []ReasonCount
	for i, n := range t.reasons {
		if n > 0 {
			out = append(out, ReasonCount{Reason: exchange.Reason(i), Count: n})
		}
	}
	slices.SortStableFunc(out, func(x, y ReasonCount) int { return cmp.Compare(y.Count, x.Count) })
	return out
}
