package gate

import (
	"math/rand/v2"
	"testing"
	"time"

	"vendue/exchange"
)

// A buyer that leaves some of its pings unanswered is found out though nearly all of them are cut short at
// the learnt wait; one that has become slower, or leaves few unanswered, is not taken for it.
func TestHangsAreFoundThoughPingsAreCutShort(t *testing.T) {
	const learning, asked = 2000, 8000
	for _, c := range []struct {
		name  string
		hangs int           // in a hundred
		slow  time.Duration // the others' time
		opens bool
	}{
		{"a third hang", 33, 5 * time.Millisecond, true},
		{"half hang", 50, 5 * time.Millisecond, true},
		{"most hang", 90, 5 * time.Millisecond, true},
		{"few hang", 4, 5 * time.Millisecond, false},
		{"slower, and few hang", 4, own / 2, false},
	} {
		var s State
		dice, now := rand.New(rand.NewPCG(1, 2)), time.Unix(1e9, 0)
		for n := range learning + asked {
			now = now.Add(20 * time.Millisecond)
			a, takes := exchange.Answer{Bid: 1}, 5*time.Millisecond
			if n > learning {
				if takes = c.slow; dice.IntN(100) < c.hangs {
					takes = time.Hour
				}
			}
			ticket, wait, stop := s.Admit(&Rules{}, want(now))
			if stop != exchange.ReasonNone {
				continue
			}
			if a.Elapsed = takes; takes > wait {
				a = exchange.Answer{Reason: exchange.ReasonTimeout, Elapsed: wait}
			}
			s.Ended(&ticket, nil, &a, now)
		}
		if opens := s.View(now).Opens; (opens > 0) != c.opens {
			t.Errorf("%s: the breaker opened %d times", c.name, opens)
		}
	}
}
