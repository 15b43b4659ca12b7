package world

import (
	"time"

	"vendue/exchange"
)

// Manner is how a simulated buyer behaves. Shares run from 0 to 1. The zero
// Manner answers at once, never bids, and accepts every post.
type Manner struct {
	BidMin, BidMax exchange.Money // bids are spread evenly between them, in whole cents; both zero: it never bids
	NoBid          float64        // share of pings that it declines
	PingDelay      Delay
	HangPings      float64 // share of pings that it never answers
	GarblePings    float64 // share of pings answered with something unreadable

	PostDelay   Delay
	RefusePosts float64 // share of posts that it declines
	ResetPosts  float64 // share of posts after whose whole body it resets the connection
	HangPosts   float64 // share of posts that it never answers
	GarblePosts float64 // share of posts answered with something unreadable

	StatusDelay  Delay
	HangStatus   float64 // share of look-ups that it never answers
	GarbleStatus float64 // share of look-ups answered with something unreadable
	SilentStatus float64 // share of look-ups of which it says that it knows nothing, though it does

	Up, Down   time.Duration // flapping: up for Up, then DownStatus to everything for Down, and again; Up zero: never down
	DownStatus int           // 503 if zero
	ExpiresIn  int           // seconds that it says a bid lives; 0: not said
	Keep       bool          // keep the raw bodies of pings and posts
}

// Delay is a spread of waits: most between Min and Max, a share at Tail.
type Delay struct {
	Min, Max time.Duration
	Tail     time.Duration
	TailPart float64
}

// draw returns the delay of one request.
func (d Delay) draw(r *dice) time.Duration {
	if d.TailPart > 0 && r.hits(d.TailPart) {
		return d.Tail
	}
	if d.Max <= d.Min {
		return d.Min
	}
	return d.Min + time.Duration(r.next()%uint64(d.Max-d.Min))
}

// bid returns the amount of one bid, in whole cents.
func (m *Manner) bid(r *dice) exchange.Money {
	const cent = exchange.Micro / 100
	if m.BidMax <= m.BidMin {
		return m.BidMin
	}
	steps := uint64((m.BidMax-m.BidMin)/cent) + 1
	return m.BidMin + exchange.Money(r.next()%steps)*cent
}

// dice is a small random source (splitmix64) made anew for each request from
// the actor's seed and the request's number: no lock, and the n-th request
// always fares the same.
type dice struct{ state uint64 }

func newDice(seed, n uint64) dice {
	return dice{state: seed ^ (n+1)*0x9e3779b97f4a7c15}
}

func (r *dice) next() uint64 {
	r.state += 0x9e3779b97f4a7c15
	z := r.state
	z = (z ^ z>>30) * 0xbf58476d1ce4e5b9
	z = (z ^ z>>27) * 0x94d049bb133111eb
	return z ^ z>>31
}

// hits is true in the given share of calls.
func (r *dice) hits(share float64) bool {
	return share > 0 && float64(r.next()>>11)/(1<<53) < share
}
