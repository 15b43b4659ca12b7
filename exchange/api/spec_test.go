package api

import (
	"slices"
	"strings"
	"testing"

	"vendue/exchange"
	"vendue/exchange/api/spec"
)

// The posting instructions tell of every key that a seller's body may have.
func TestInstructionsNameEveryKey(t *testing.T) {
	c := &exchange.Campaign{ID: "c", Seller: &exchange.Seller{ID: "s", Name: "S"}, ConsentRequired: true,
		Vertical: &exchange.Vertical{ID: "auto", Fields: []exchange.Field{{Name: "make", Ping: exchange.NeedRequired}}}}
	var page strings.Builder
	if err := spec.NewRenderer().Write(&page, spec.Markdown, &spec.Source{Campaign: c, Currency: "USD", URL: "https://x.example"}); err != nil {
		t.Fatal(err)
	}
	_, beside, _ := strings.Cut(page.String(), "## Beside the lead")
	beside, _, _ = strings.Cut(beside, "## Examples")
	ofBuyers := []string{"lead_id", "bid_id", "accepted", "id", "reason", "note"}
	told := []string{"lead", "cookie", "sub2", "sub3", "sub4"} // the fields; a page's own; "sub1 to sub5"
	for _, key := range bodyKeys {
		if !slices.Contains(ofBuyers, key) && !slices.Contains(told, key) && !strings.Contains(beside, key) {
			t.Errorf("key %q is not told of", key)
		}
	}
	if !strings.Contains(beside, "required, at least one of them") {
		t.Error("a campaign that wants consent does not say so")
	}
}
