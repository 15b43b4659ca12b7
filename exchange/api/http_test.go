package api

import (
	"fmt"
	"regexp"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cockroachdb/datadriven"

	"vendue/exchange"
	"vendue/exchange/api/skin"
)

var (
	anID  = regexp.MustCompile(`[0-9a-hjkmnp-tv-z]{32}`)
	aName = regexp.MustCompile(`\$\d+`)
)

// TestHTTP plays requests and shows the whole answers. Ids are shown as $1, $2, .. and stand for themselves in later requests.
//
//	METHOD PATH [key=none|seller|test|buyer|other] [type=json|form|none|TYPE] [idem=KEY] [x-api-key=KEY] [accept=TYPE]
//	market [pings=N] [shared] | buyer OUTCOME | break | advance D | drain
func TestHTTP(t *testing.T) { datadriven.Walk(t, "testdata/http", play) }

// TestSkins plays foreign requests; north-auto has every skin.
func TestSkins(t *testing.T) { datadriven.Walk(t, "testdata/skins", play) }

func play(t *testing.T, path string) {
	synctest.Test(t, func(t *testing.T) {
		c := &conversation{house: newHouse(t, nil), names: map[string]string{}}
		datadriven.RunTest(t, path, c.run)
	})
}

// shareOut makes the market's contract one of two that share leads.
func shareOut(m *exchange.Market, tree *exchange.Tree) {
	if len(tree.Tiers[0].Contracts) > 1 {
		return // the other campaign's tree, too
	}
	first := tree.Tiers[0].Contracts[0]
	first.Sale = exchange.SaleShared
	second := *first
	second.ID, second.Buyer = "east", &exchange.Buyer{ID: "zenith", Name: "Zenith"}
	m.ByName[second.ID] = &second
	tree.Tiers[0].Contracts = append(tree.Tiers[0].Contracts, &second)
}

type conversation struct {
	*house
	names map[string]string // id to $n
}

func (c *conversation) run(t *testing.T, d *datadriven.TestData) string {
	switch d.Cmd {
	case "market":
		c.house = newHouse(t, func(m *exchange.Market) {
			for _, campaign := range m.Campaigns {
				d.MaybeScanArgs(t, "pings", &campaign.PingsPerSecond)
				if d.HasArg("shared") {
					shareOut(m, campaign.Tree)
				}
			}
		})
	case "buyer":
		outcomes := map[string]exchange.Outcome{"accepts": exchange.OutcomeAccepted, "rejects": exchange.OutcomeRejected, "vanishes": exchange.OutcomeUnknown}
		c.buyer.outcome.Store(int32(outcomes[d.CmdArgs[0].Key]))
	case "break":
		c.disk.broken.Store(true)
	case "drain":
		c.engine.Drain()
	case "advance":
		pause, err := time.ParseDuration(d.CmdArgs[0].Key)
		if err != nil {
			t.Fatal(err)
		}
		time.Sleep(pause)
	default:
		return c.request(t, d)
	}
	return ""
}

func (c *conversation) request(t *testing.T, d *datadriven.TestData) string {
	arg := func(name, otherwise string) string {
		for _, a := range d.CmdArgs {
			if a.Key == name {
				return strings.Join(a.Vals, "")
			}
		}
		return otherwise
	}
	key := map[string]string{"none": "", "seller": sellerKey, "test": testKey, "buyer": buyerKey, "operator": operatorKey, "other": otherKey, "wrong": "wrong"}[arg("key", "seller")]
	kind := arg("type", "json")
	if full, ok := map[string]string{"json": jsonType, "form": formType, "xml": "text/xml; charset=utf-8", "none": ""}[kind]; ok {
		kind = full
	}
	var headers []string
	if idem := arg("idem", ""); idem != "" {
		headers = append(headers, "Idempotency-Key", idem)
	}
	if k := arg("x-api-key", ""); k != "" {
		headers = append(headers, "X-Api-Key", k)
	}
	if accept := arg("accept", ""); accept != "" {
		headers = append(headers, "Accept", accept)
	}
	ctx := c.do(d.Cmd+" "+c.expand(strings.Join(append([]string{d.CmdArgs[0].Key}, d.CmdArgs[0].Vals...), "=")), key, kind, c.expand(d.Input), headers...)
	out := fmt.Sprintf("%d", ctx.Response.StatusCode())
	for _, name := range []string{"Retry-After", "Allow", "WWW-Authenticate"} {
		if v := ctx.Response.Header.Peek(name); len(v) > 0 {
			out += fmt.Sprintf(" %s=%s", name, v)
		}
	}
	wantType := "application/json"
	if ctx.Response.StatusCode() >= 400 {
		wantType = "application/problem+json"
	}
	bare, _, _ := strings.Cut(d.CmdArgs[0].Key, "?") // a query has = in it, which parts arguments
	if _, foreign := skin.Find(bare); foreign {
		wantType = string(ctx.Response.Header.ContentType())
	}
	if got := string(ctx.Response.Header.ContentType()); got != wantType {
		t.Errorf("%s: content type %s", d.Pos, got)
	}
	return out + "\n" + c.shorten(string(ctx.Response.Body())) + "\n"
}

func (c *conversation) expand(text string) string {
	return aName.ReplaceAllStringFunc(text, func(name string) string {
		for id, n := range c.names {
			if n == name {
				return id
			}
		}
		return name
	})
}

func (c *conversation) shorten(text string) string {
	return anID.ReplaceAllStringFunc(text, func(id string) string {
		if c.names[id] == "" {
			c.names[id] = fmt.Sprintf("$%d", len(c.names)+1)
		}
		return c.names[id]
	})
}
