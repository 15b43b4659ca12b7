package book

import (
	"testing"
	"time"

	"pgregory.net/rapid"

	"vendue/exchange"
)

var even = exchange.Odds{Accept: 500_000, Unknown: 10_000, UnknownSold: 500_000, Return: 50_000}

func TestWithoutEvidenceThePriorStands(t *testing.T) {
	var tally Tally
	if got := tally.Odds(even); got != even {
		t.Errorf("%+v", got)
	}
}

func TestEvidenceWinsInTheEnd(t *testing.T) {
	var tally Tally
	for i := range 5000 {
		outcome := exchange.OutcomeRejected
		if i%10 == 0 {
			outcome = exchange.OutcomeAccepted
		}
		tally.Ended(int64(i), outcome)
	}
	// A tenth of about 500 posts against a half of 30.
	if got := tally.Odds(even).Accept; got < 110_000 || got > 130_000 {
		t.Errorf("one in ten is taken, but %s is expected", got)
	}
	if tally.Posts > 501*tallyOne {
		t.Errorf("more than 500 posts are remembered: %d", tally.Posts/tallyOne)
	}
}

func TestOldPostsFade(t *testing.T) {
	var tally Tally
	for range 100 {
		tally.Ended(0, exchange.OutcomeAccepted)
	}
	fresh := tally.Posts
	tally.fade(int64(7 * 24 * time.Hour))
	if share := float64(tally.Posts) / float64(fresh); share < 0.35 || share > 0.38 {
		t.Errorf("after a week %.3f of the weight is left", share)
	}
	tally.fade(int64(time.Hour)) // the clock steps back
	week := tally.Posts
	tally.fade(int64(7 * 24 * time.Hour))
	if tally.Posts != week {
		t.Error("the same week passed twice")
	}
	tally.fade(int64(200 * 24 * time.Hour))
	if got := tally.Odds(even); got != even {
		t.Errorf("after half a year: %+v", got)
	}
}

// Whatever happens, odds are odds: none below zero, none above the whole, and
// a fold in two halves is the fold of the whole.
func TestOddsAreOdds(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var tally Tally
		at := int64(0)
		for range rapid.IntRange(0, 300).Draw(t, "steps") {
			at += rapid.Int64Range(-int64(time.Hour), int64(100*time.Hour)).Draw(t, "pass")
			switch rapid.IntRange(0, 5).Draw(t, "what") {
			case 0:
				tally.UnknownSettled(at, rapid.Bool().Draw(t, "sold"))
			case 1:
				tally.GivenBack(at)
			default:
				tally.Ended(at, exchange.Outcome(rapid.IntRange(1, 4).Draw(t, "outcome")))
			}
		}
		odds := tally.Odds(even)
		for _, p := range []exchange.PPM{odds.Accept, odds.Unknown, odds.UnknownSold, odds.Return, odds.Reject()} {
			if p < 0 || p > exchange.Whole {
				t.Fatalf("%+v of %+v", odds, tally)
			}
		}
	})
}
