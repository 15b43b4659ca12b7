package book

import (
	"time"

	"vendue/exchange"
)

// One post counts as tallyOne, so that old ones can fade in whole numbers.
const (
	tallyOne   = 1_000_000
	tallyPosts = 500              // a post fades to 1/e behind so many later ones
	tallyHours = 7 * 24           // and in so many hours
	tallyAges  = 20 * tallyHours  // after so many nothing is left of it
	tallyPrior = 30 * tallyOne    // what is expected counts as so many posts
	hour       = int64(time.Hour) // in nanoseconds
)

// Tally counts how posts to a contract ended, the recent ones more than the old
// ones: a post fades to about a third behind 500 later ones, or in a week. It is
// whole numbers and a fold of the journal's events, so a replay gives the same.
// The zero Tally has seen nothing.
type Tally struct {
	Posts    int64 `json:"posts"`
	Accepted int64 `json:"accepted"`
	Unknown  int64 `json:"unknown"`
	Settled  int64 `json:"settled"` // of the unknown ones
	Sold     int64 `json:"sold"`    // of the settled ones
	Kept     int64 `json:"kept"`    // sales that can be given back: accepted, or settled as sold
	Returned int64 `json:"returned"`
	Hour     int64 `json:"hour"` // Unix hour that the counts have faded to
}

func (t *Tally) counts() [7]*int64 {
	return [7]*int64{&t.Posts, &t.Accepted, &t.Unknown, &t.Settled, &t.Sold, &t.Kept, &t.Returned}
}

// fade lets time pass up to at, Unix nanoseconds. A clock that steps back makes nothing younger.
func (t *Tally) fade(at int64) {
	now := at / hour
	hours := now - t.Hour
	if hours <= 0 {
		return
	}
	t.Hour = now
	if hours > tallyAges {
		for _, n := range t.counts() {
			*n = 0
		}
		return
	}
	for _, n := range t.counts() {
		for h := int64(0); h < hours && *n > 0; h++ {
			*n -= max(*n/tallyHours, 1)
		}
	}
}

// Ended counts one post that the buyer got.
func (t *Tally) Ended(at int64, outcome exchange.Outcome) {
	t.fade(at)
	for _, n := range t.counts() {
		*n -= *n / tallyPosts
	}
	t.Posts += tallyOne
	switch outcome {
	case exchange.OutcomeAccepted:
		t.Accepted += tallyOne
		t.Kept += tallyOne
	case exchange.OutcomeUnknown:
		t.Unknown += tallyOne
	}
}

// UnknownSettled counts how a post turned out that had ended unknown.
func (t *Tally) UnknownSettled(at int64, sold bool) {
	t.fade(at)
	t.Settled += tallyOne
	if sold {
		t.Sold += tallyOne
		t.Kept += tallyOne
	}
}

// GivenBack counts one return.
func (t *Tally) GivenBack(at int64) {
	t.fade(at)
	t.Returned += tallyOne
}

// Odds returns what to expect, shrunk towards what is expected of the like: the
// prior counts as thirty posts, so without evidence it is all there is.
func (t *Tally) Odds(prior exchange.Odds) exchange.Odds {
	return exchange.Odds{
		Accept:      shrunk(t.Accepted, t.Posts, prior.Accept),
		Unknown:     shrunk(t.Unknown, t.Posts, prior.Unknown),
		UnknownSold: shrunk(t.Sold, t.Settled, prior.UnknownSold),
		Return:      shrunk(min(t.Returned, t.Kept), t.Kept, prior.Return),
	}
}

func shrunk(n, of int64, prior exchange.PPM) exchange.PPM {
	return exchange.PPM((n*int64(exchange.Whole) + tallyPrior*int64(prior)) / (of + tallyPrior))
}
