package configs

import (
	"encoding/hex"
	"net/url"
	"strings"

	"vendue/exchange"
	"vendue/exchange/api/skin"
	"vendue/exchange/schema"
)

// Limits of one skin's tables.
const (
	aliasesMax = 1000
	aliasMax   = 200 // bytes
)

// skins reads in which platforms' formats a campaign may be spoken to: a list
// of formats, or a table of them with options.
func (l *loader) skins(n *node, c *exchange.Campaign) {
	if n == nil {
		return
	}
	if n.shape == shapeList {
		for _, item := range n.items {
			if word, ok := l.text(item); ok {
				l.skin(entry{pos: item.pos, key: word, value: &node{pos: item.pos}}, c)
			}
		}
		return
	}
	if !l.expect(n, shapeTable) {
		return
	}
	for _, e := range n.entries {
		l.skin(e, c)
	}
}

func (l *loader) skin(e entry, c *exchange.Campaign) {
	words := skin.Words()
	format := skin.Format(0)
	for i, word := range words {
		if word == e.key {
			format = skin.Format(i + 1)
		}
	}
	if format == 0 {
		l.fault(e.pos, "unknown format %q%s", e.key, didYouMean(e.key, words))
		return
	}
	t := l.table(e.value, "id", "source", "key_sha256", "aliases", "values")
	cfg := skin.Config{Format: format, Campaign: c.ID, Seller: c.Seller.ID}
	cfg.ID, cfg.Source = l.word255(t.opt("id")), l.word255(t.opt("source"))
	cfg.Key = l.skinKey(t.opt("key_sha256"), c.Seller.ID)
	if c.Vertical == nil {
		return // its fault is told
	}
	cfg.Aliases = l.aliases(t.opt("aliases"), c.Vertical, format)
	cfg.Values = l.values(t.opt("values"), c.Vertical)
	for _, other := range l.intakes {
		if other.SamePlace(&cfg) {
			l.fault(e.pos, "a %s request could mean campaign %q as well; expected another id or source", format, other.Campaign)
			return
		}
	}
	l.intakes = append(l.intakes, skin.NewIntake(cfg, c.Vertical))
}

// word255 returns a text of 1 to 255 bytes, "" if there is none.
func (l *loader) word255(n *node) string {
	s, ok := l.text(n)
	if ok && (s == "" || len(s) > 255) {
		l.fault(n.pos, "expected 1 to 255 bytes")
	}
	return s
}

// skinKey reads the hash of a key that is good in one skin alone.
func (l *loader) skinKey(n *node, seller exchange.SellerID) (sum [32]byte) {
	s, ok := l.text(n)
	if !ok {
		return sum
	}
	raw, err := hex.DecodeString(s)
	if err != nil || len(raw) != 32 {
		l.fault(n.pos, "expected a SHA-256 as 64 hexadecimal digits, of the key that the seller sends")
		return sum
	}
	sum = [32]byte(raw)
	owner := "sellers." + string(seller)
	if other, taken := l.keys[sum]; taken && other != owner {
		l.fault(n.pos, "the same key belongs to %s; expected a key of its own", other)
	}
	l.keys[sum] = owner
	return sum
}

// aliases reads what a platform's names stand for.
func (l *loader) aliases(n *node, v *exchange.Vertical, format skin.Format) map[string]string {
	if n == nil || !l.expect(n, shapeTable) {
		return nil
	}
	if len(n.entries) > aliasesMax {
		l.fault(n.pos, "expected at most %d aliases", aliasesMax)
		return nil
	}
	out := map[string]string{}
	seen := map[string]string{}
	for _, e := range n.entries {
		target, ok := l.text(e.value)
		if !ok {
			continue
		}
		plain := skin.Plain(e.key)
		_, field := v.Slots[target]
		switch first, again := seen[plain]; {
		case plain == "" || len(e.key) > aliasMax:
			l.fault(e.pos, "expected a name of 1 to %d bytes", aliasMax)
		case format.Owns(e.key):
			l.fault(e.pos, "%q is a key of the format itself", e.key)
		case again:
			l.fault(e.pos, "%q is the same name as %q; case, dashes and underscores do not count", e.key, first)
		case !field && !skin.TargetOK(target):
			l.fault(e.value.pos, "vertical %q has no field %q%s", v.ID, target, didYouMean(target, append(fieldNames(v), skin.Targets()...)))
		}
		seen[plain] = e.key
		out[e.key] = target
	}
	return out
}

// values reads what a platform's values of a field are called here.
func (l *loader) values(n *node, v *exchange.Vertical) map[string]map[string]string {
	if n == nil || !l.expect(n, shapeTable) {
		return nil
	}
	out := map[string]map[string]string{}
	for _, e := range n.entries {
		slot, ok := l.slotOf(e.key, e.pos, v)
		if !ok || !l.expect(e.value, shapeTable) {
			continue
		}
		if len(e.value.entries) > aliasesMax {
			l.fault(e.value.pos, "expected at most %d values", aliasesMax)
			continue
		}
		out[e.key] = map[string]string{}
		for _, pair := range e.value.entries {
			ours, ok := l.text(pair.value)
			if !ok {
				continue
			}
			if _, err := schema.Normalize(&v.Fields[slot], schema.Input{Text: ours}); err != nil {
				l.fault(pair.value.pos, "field %q: %s", e.key, err)
			}
			out[e.key][pair.key] = ours
		}
	}
	return out
}

// page reads the hash of the secret that opens a campaign's posting instructions.
func (l *loader) page(n *node, c *exchange.Campaign) {
	s, ok := l.text(n)
	if !ok {
		return
	}
	raw, err := hex.DecodeString(s)
	if err != nil || len(raw) != 32 {
		l.fault(n.pos, "expected a SHA-256 as 64 hexadecimal digits, of the secret in /spec/SECRET; make one with: vendue key new")
		return
	}
	sum := [32]byte(raw)
	if other, taken := l.keys[sum]; taken {
		l.fault(n.pos, "%s has this as a key; expected a secret of its own, for who knows a page's address must not be able to sell", other)
		return
	}
	l.keys[sum] = "the page of campaign " + string(c.ID)
	if l.cfg.API.Pages == nil {
		l.cfg.API.Pages = map[[32]byte]exchange.CampaignID{}
	}
	l.cfg.API.Pages[sum] = c.ID
}

// publicURL reads how sellers reach the public listener; without it they are told its address.
func (l *loader) publicURL(n *node) {
	l.cfg.API.URL = "http://" + l.cfg.Listen
	s, ok := l.text(n)
	if !ok {
		return
	}
	u, err := url.Parse(s)
	if err != nil || (u.Scheme != "http" && u.Scheme != "https") || u.Hostname() == "" || u.User != nil || u.RawQuery != "" || u.Fragment != "" ||
		strings.ContainsAny(s, "$`\"'\\{} ") {
		l.fault(n.pos, "expected a plain URL such as https://leads.example.com")
		return
	}
	l.cfg.API.URL = strings.TrimRight(s, "/")
}
