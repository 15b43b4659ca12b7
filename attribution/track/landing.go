package track

import (
	"strings"

	"vendue/exchange"
)

// landing is an offer's page, cut where the click id goes.
type landing struct {
	plain         string // as the operator wrote it
	before, after string // around the click id
}

// newLanding finds the place of click_id in a URL: at the end of its query,
// before the fragment. A click_id that stands there already gives way.
func newLanding(url string) landing {
	page, fragment, marked := strings.Cut(url, "#")
	if marked {
		fragment = "#" + fragment
	}
	page, query, _ := strings.Cut(page, "?")
	joined := "?"
	for pair := range strings.SplitSeq(query, "&") {
		if name, _, _ := strings.Cut(pair, "="); name != "click_id" && pair != "" {
			joined += pair + "&"
		}
	}
	return landing{plain: url, before: page + joined + "click_id=", after: fragment}
}

func (l *landing) with(id exchange.ClickID) string {
	return l.before + id.String() + l.after
}
