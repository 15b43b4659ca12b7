package book

import (
	"testing"
	"time"

	"vendue/exchange"
)

var began = time.Unix(1_800_000_000, 0)

// steps plays a doubt on: each try ends as soon as it is due. It returns what was done and how long after the start, in whole seconds.
func steps(c *exchange.Contract, t Tries, n int) (did []Step, after []time.Duration) {
	leg := &OpenLeg{LeadID: exchange.LeadID{19: 7}, Attempt: 1, Since: began.UnixNano()}
	t.Last = began
	for range n {
		step, at := NextStep(leg, &t, c)
		did = append(did, step)
		if step == StepNone {
			return did, after
		}
		after = append(after, at.Sub(began))
		t.Count, t.Last = t.Count+1, at
		if step == StepAssume {
			return did, after
		}
	}
	return did, after
}

func TestNextStepWithoutMeansWaits(t *testing.T) {
	for _, c := range []exchange.Contract{{}, {Idempotent: true}, {SettleAfter: time.Hour}} {
		if did, _ := steps(&c, Tries{}, 1); did[0] != StepNone {
			t.Errorf("%+v: got step %d", c, did[0])
		}
	}
	paused := exchange.Contract{Idempotent: true, Paused: true}
	if did, _ := steps(&paused, Tries{Kept: true}, 1); did[0] != StepNone {
		t.Error("a paused contract is sent a lead")
	}
}

func TestNextStepAsksSoonThenEvery(t *testing.T) {
	did, after := steps(&exchange.Contract{StatusEvery: 8 * time.Second}, Tries{Kept: true}, 60)
	last := time.Duration(0)
	for i, at := range after {
		want := min(time.Second<<min(i, 10), 8*time.Second)
		want = max(want, last/agePart)
		if got := at - last; did[i] != StepAsk || got < want*4/5 || got > want*6/5 {
			t.Fatalf("try %d: step %d after %s, want about %s", i, did[i], got, want)
		}
		last = at
	}
	// A year of doubt costs few look-ups.
	_, after = steps(&exchange.Contract{StatusEvery: time.Second}, Tries{}, 2000)
	if after[1999] < 365*24*time.Hour {
		t.Errorf("2000 look-ups within %s", after[1999])
	}
}

func TestNextStepTakesTurns(t *testing.T) {
	c := exchange.Contract{StatusEvery: time.Minute, Idempotent: true}
	did, _ := steps(&c, Tries{Kept: true}, 4)
	if did[0] != StepAsk || did[1] != StepRepost || did[2] != StepAsk || did[3] != StepRepost {
		t.Errorf("got %v", did)
	}
	c.StatusEvery = 0
	if did, _ := steps(&c, Tries{Kept: true}, 2); did[0] != StepRepost || did[1] != StepRepost {
		t.Errorf("got %v", did)
	}
}

func TestNextStepAssumesAtTheDeadline(t *testing.T) {
	for _, as := range []exchange.SettleAs{exchange.SettleSold, exchange.SettleUnsold} {
		did, after := steps(&exchange.Contract{SettleAs: as, SettleAfter: time.Hour}, Tries{}, 5)
		if len(did) != 1 || did[0] != StepAssume || after[0] != time.Hour {
			t.Errorf("got %v %v", did, after)
		}
		did, after = steps(&exchange.Contract{SettleAs: as, SettleAfter: 10 * time.Second, StatusEvery: time.Minute}, Tries{}, 50)
		if n := len(did); n < 3 || did[n-1] != StepAssume || after[n-1] != 10*time.Second {
			t.Errorf("got %v %v", did, after)
		}
	}
}

func TestJitterSpreads(t *testing.T) {
	seen := map[time.Duration]bool{}
	for i := range 100 {
		leg := &OpenLeg{LeadID: exchange.LeadID{19: byte(i)}, Attempt: 1, Since: began.UnixNano()}
		_, at := NextStep(leg, &Tries{Last: began}, &exchange.Contract{StatusEvery: time.Second})
		if d := at.Sub(began); d < 800*time.Millisecond || d > 1200*time.Millisecond {
			t.Fatalf("first look-up after %s", d)
		}
		seen[at.Sub(began)] = true
	}
	if len(seen) < 50 {
		t.Errorf("100 doubts are asked about at %d instants", len(seen))
	}
}
