package attribution

import (
	"bytes"
	"strings"
	"testing"

	"github.com/rs/zerolog"

	"vendue/attribution/internal/fake"
)

// TestImbalanceIsTold has totals that cannot be, and finds them in the log and the metric, without a batch.
func TestImbalanceIsTold(t *testing.T) {
	for name, totals := range map[string]Totals{
		"legs":     {Sold: 3, Credits: 1},
		"accepted": {Accepted: Tally{Told: 1}},
		"events":   {Events: Tally{Told: ^uint64(0), Credited: 1, Uncredited: [WhyCount]uint64{WhyDirect: ^uint64(0) - 1}}},
	} {
		space := fake.NewSpace()
		st := state{cursor: 4, totals: totals}
		if name == "events" { // a reason that fell below none hides in the sum
			st.totals.Events.Told = 0
			st.totals.Events.Uncredited[WhyDirect] = ^uint64(0)
		}
		space.Put(keyState, string(st.encode()))
		set, log := newSet(), &bytes.Buffer{}
		a, err := New(Deps{Journal: fake.NewJournal(), Space: space, Vault: fake.Vault{}, Log: zerolog.New(log), Metrics: set})
		if err != nil {
			t.Fatal(err)
		}
		var text bytes.Buffer
		set.WritePrometheus(&text)
		if !strings.Contains(log.String(), "do not balance") || strings.Contains(text.String(), `unbalanced{of="`+name+`"} 0`) || a.Balance().Off() == 0 {
			t.Errorf("%s went untold: %s", name, log)
		}
	}
}
