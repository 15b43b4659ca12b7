package house

import (
	"crypto/sha256"
	"fmt"
	"os"
	"strings"

	"vendue/bench/world"
)

// Config is a small market for the suites. Its zero fields take defaults that
// suit a test: seller north with the campaign north-auto, and one tree with
// every pinged contract in an auction and every standing price in the tier after it.
type Config struct {
	Listen, Admin, Data string
	Campaign            []string // lines of north-auto beside vertical and tree; the defaults if nil
	Fields              []string // further fields of the vertical
	Duplicate           string   // the vertical's duplicate rule; "none" for none
	Contracts           []Contract
	North               []string            // further lines of the seller north
	BuyerLines          map[string][]string // further lines by buyer
	Tree                []string            // tiers as YAML items; made from the contracts if nil
	Affiliates          []Affiliate
	Extra               []string // further top-level lines
}

// Contract is one contract of the market.
type Contract struct {
	Buyer, Name string
	URL         string // of the buyer, without path
	Price       string // a standing price: then it is never pinged
	PingLine    string // inside ping: {..}, beside url; "timeout: 200ms" if empty
	PostLine    string // inside post: {..}, beside url; "timeout: 3s" if empty
	Lines       []string
	Sale        string   // exclusive if it is not said
	Raw         []string // its lines beside vertical and sale, in place of all of these
}

// Affiliate is one affiliate and its tracker.
type Affiliate struct {
	ID, URL string
	Returns bool // it wants to hear of returns too
}

// The keys of the suites' market.
const (
	NorthKey     = "vd_test_north_0000000000000000"
	NorthTestKey = "vd_test_northtest_000000000000"
	SouthKey     = "vd_test_south_0000000000000000"
	OpsKey       = "vd_test_ops_000000000000000000"
)

// BuyerKey returns the key of a buyer.
func BuyerKey(buyer string) string { return "vd_test_buyer_" + buyer + "_00000000" }

// KeyHash is how a config names a key.
func KeyHash(key string) string { return fmt.Sprintf("%x", sha256.Sum256([]byte(key))) }

// Ports picks free addresses for both listeners.
func (c *Config) Ports() (err error) {
	if c.Listen, err = world.FreeAddr(); err == nil {
		c.Admin, err = world.FreeAddr()
	}
	return err
}

const fields = `      zip:        {type: zip,   ping: required}
      state:      {type: state, ping: required}
      age:        {type: int,   ping: required, min: 16, max: 110}
      insured:    {type: bool,  ping: optional}
      credit:     {type: enum,  ping: optional, values: [excellent, good, fair, poor]}
      first_name: {type: text,  post: required, personal: true, max: 80}
      last_name:  {type: text,  post: required, personal: true, max: 80}
      phone:      {type: phone, post: required, personal: true}
      email:      {type: email, post: required, personal: true}
`

// Text renders the config.
func (c *Config) Text() string {
	var w strings.Builder
	add := func(format string, args ...any) { fmt.Fprintf(&w, format+"\n", args...) }
	add("listen: %s\nadmin: %s\ndata: %s\ncurrency: USD\ntime_zone: America/New_York\negress: {allow: [127.0.0.0/8]}", c.Listen, c.Admin, c.Data)
	lines(&w, "", c.Extra)
	add("verticals:\n  auto:\n    fields:\n%s", strings.TrimSuffix(fields, "\n"))
	lines(&w, "      ", c.Fields)
	switch c.Duplicate {
	case "":
		add("    duplicate: {fields: [phone], within: 720h, scope: anyone}")
	case "none":
	default:
		add("    duplicate: %s", c.Duplicate)
	}
	add("operators:\n  ops: {key_sha256: %s}", KeyHash(OpsKey))
	add("sellers:\n  north:\n    name: North Media\n    key_sha256: %s\n    test_key_sha256: %s",
		KeyHash(NorthKey), KeyHash(NorthTestKey))
	lines(&w, "    ", c.North)
	add("    campaigns:\n      north-auto:\n        vertical: auto\n        tree: auto")
	if c.Campaign == nil {
		c.Campaign = []string{"window: 250ms", "post_wait: 5s", "quote_ttl: 5m", "floor: 5.00", "margin: 20%"}
	}
	lines(&w, "        ", c.Campaign)
	add("  south:\n    name: South Leads\n    key_sha256: %s\n    campaigns:\n      south-auto: {vertical: auto, tree: auto, floor: 5.00, margin: 20%%}", KeyHash(SouthKey))
	c.buyers(&w)
	c.tree(&w)
	if len(c.Affiliates) > 0 {
		add("affiliates:")
	}
	for _, a := range c.Affiliates {
		add("  %s:\n    name: %s\n    postbacks:\n      - {on: lead.sold, url: \"%s\"}", a.ID, a.ID, a.URL+"?"+world.NoticeQuery)
		if a.Returns {
			add("      - {on: lead.returned, url: \"%s\"}", a.URL+"?"+world.NoticeQuery)
		}
	}
	add("offers:\n  auto:\n    landing: \"https://quotes.example.com/auto?from=vendue\"\n    attribution: {model: last_touch, window: 30d}\n    commission: {percent: 25, of: payout, paid_by: seller}")
	return w.String()
}

func lines(w *strings.Builder, indent string, list []string) {
	for _, l := range list {
		w.WriteString(indent + l + "\n")
	}
}

func (c *Config) buyers(w *strings.Builder) {
	w.WriteString("buyers:\n")
	done := make(map[string]bool)
	for i := range c.Contracts {
		buyer := c.Contracts[i].Buyer
		if done[buyer] {
			continue
		}
		done[buyer] = true
		fmt.Fprintf(w, "  %s:\n    name: %s\n    key_sha256: %s\n", buyer, buyer, KeyHash(BuyerKey(buyer)))
		lines(w, "    ", c.BuyerLines[buyer])
		w.WriteString("    contracts:\n")
		for j := range c.Contracts {
			if c.Contracts[j].Buyer == buyer {
				c.Contracts[j].write(w)
			}
		}
	}
}

func (k *Contract) write(w *strings.Builder) {
	fmt.Fprintf(w, "      %s:\n        vertical: auto\n        sale: %s\n", k.Name, or(k.Sale, "exclusive"))
	lines(w, "        ", k.Lines)
	lines(w, "        ", k.Raw)
	if k.Raw != nil {
		return
	}
	if k.Price != "" {
		fmt.Fprintf(w, "        price: %s\n", k.Price)
	} else {
		fmt.Fprintf(w, "        ping: {url: \"%s/ping\", %s}\n", k.URL, or(k.PingLine, "timeout: 200ms"))
	}
	fmt.Fprintf(w, "        post: {url: \"%s/post\", %s}\n", k.URL, or(k.PostLine, "timeout: 3s"))
}

func or(text, fallback string) string {
	if text == "" {
		return fallback
	}
	return text
}

func (c *Config) tree(w *strings.Builder) {
	w.WriteString("trees:\n  auto:\n")
	if c.Tree != nil {
		lines(w, "    ", c.Tree)
		return
	}
	var live, standing []string
	for i := range c.Contracts {
		if c.Contracts[i].Price == "" {
			live = append(live, c.Contracts[i].Name)
		} else {
			standing = append(standing, c.Contracts[i].Name)
		}
	}
	if len(live) > 0 {
		fmt.Fprintf(w, "    - {method: auction, contracts: [%s]}\n", strings.Join(live, ", "))
	}
	if len(standing) > 0 {
		fmt.Fprintf(w, "    - {method: priority, contracts: [%s]}\n", strings.Join(standing, ", "))
	}
}

// Write writes the config to path.
func (c *Config) Write(path string) error {
	if err := os.WriteFile(path, []byte(c.Text()), 0o600); err != nil {
		return fmt.Errorf("cannot write the config: %w", err)
	}
	return nil
}
