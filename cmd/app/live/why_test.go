package live

import (
	"context"
	"strings"
	"testing"

	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"
)

const explainedPing = "06gzvkq3a8t00g4j1c9x5nd7ew2b8y6m"

// explainedBody is what /api/explain answers of explainedPing, the tape's record left out.
const explainedBody = `{"ping_id":"` + explainedPing + `","why":{"headline":"ping ` + explainedPing + ` of north-auto at 2026-03-02T15:00:00Z: 16.00 to the seller, 143.00 ms",
"winner":"acme-west won: of 2 prices that are enough its 20.00 is the highest; next zenith-us with 18.00. Of it 16.00 is for the seller",
"contracts":[{"contract":"acme-west","reason":"won","said":"bid 20.00, of which 16.00 is for the seller"},
{"contract":"zenith-us","reason":"outbid","said":"place 2 with 18.00, of which 14.40 would be for the seller"},
{"contract":"<b>bold</b>","reason":"buyer_error","said":"could not be asked, or its answer could not be read: not JSON"}],
"others":[{"count":1012,"reason":"filtered","said":"the lead does not pass the filter"}],
"asked":{"contract":"asleep","reason":"paused","said":"the contract is paused"},
"attempts":["attempt 1 to acme-west: accepted after 1s","attempt 1 to acme-west: given back 1h0m0s after the sale, wrong_number; nobody owes its 20.00 or gets its 16.00"],
"notes":["asleep was judged anew"]}}`

// asksWhy enters a contract and a ping as an operator does, and reads the card.
func asksWhy(ctx context.Context, t *testing.T) {
	t.Helper()
	expectText(ctx, t, "#why-note", "Enter the id of a ping or a lead: who was asked, what each bid, and why the winner won.")
	err := chromedp.Do(ctx,
		chromedp.SendKeys(chromedp.CSS("#why-contract"), "asleep"),
		chromedp.SendKeys(chromedp.CSS("#why-id"), " "+explainedPing+" "+kb.Enter),
		chromedp.WaitVisible(chromedp.CSS("#why tbody tr")))
	if err != nil {
		t.Fatalf("the card tells nothing: %v", err)
	}
	const rows = `[...document.querySelectorAll('#why tbody tr')].map(r => [...r.cells].map(c => c.textContent).join('|')).join('\n')`
	want := strings.Join([]string{
		"acme-west|won|bid 20.00, of which 16.00 is for the seller",
		"zenith-us|outbid|place 2 with 18.00, of which 14.40 would be for the seller",
		"<b>bold</b>|buyer_error|could not be asked, or its answer could not be read: not JSON",
		"asleep|paused|the contract is paused",
		"1,012 more|filtered|the lead does not pass the filter",
	}, "\n")
	if got := evaluate[string](ctx, t, rows); got != want {
		t.Errorf("the card shows\n%s\nwant\n%s", got, want)
	}
	note := evaluate[string](ctx, t, `document.querySelector('#why-note').textContent`)
	for _, part := range []string{"acme-west won: of 2 prices", "accepted after 1s. attempt 1 to acme-west: given back 1h0m0s", "asleep was judged anew"} {
		if !strings.Contains(note, part) {
			t.Errorf("the card's note is %q, want %q in it", note, part)
		}
	}
}
