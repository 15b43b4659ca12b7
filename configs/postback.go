package configs

import (
	"errors"
	"slices"
	"strings"

	"vendue/attribution"
	"vendue/attribution/postback"
	"vendue/exchange"
)

// secretsMax bounds the named secrets of one postback.
const secretsMax = 16

// postback reads one notice that an affiliate wants: a URL of its own, or a preset.
func (l *loader) postback(item *node, affiliate exchange.AffiliateID) {
	known := []string{"on", "url", "preset", "method", "format", "body", "query", "status", "secret", "secrets", "verdict", "scheme"}
	p, ok := l.presetOf(item)
	if !ok {
		return // which keys it has, nobody can say
	}
	if p != nil {
		for _, k := range p.keys {
			known = append(known, k.name)
		}
	}
	t, before := l.table(item, known...), len(l.faults)
	events := attribution.FiredEvents()
	o := postback.Order{On: events[l.word(t.need("on"), 0, events...)]}
	o.Post = l.word(t.opt("method"), 0, "GET", "POST") == 1
	o.Form = l.word(t.opt("format"), 0, "json", "form") == 1
	l.postbackSecrets(t, &o)
	if n := t.opt("verdict"); n != nil {
		o.Verdict = l.rules(n)
	}
	if p == nil {
		o.URL, _ = l.text(t.need("url"))
		o.Body = l.fields(t.opt("body"), false)
		for _, key := range []string{"query", "status", "scheme"} {
			if n := t.opt(key); n != nil {
				l.fault(n.pos, "%s goes with a preset; expected it in the url", key)
			}
		}
	} else {
		l.presetOrder(t, p, &o)
	}
	if t.opt("format") != nil && !o.Post {
		l.fault(t.opt("format").pos, "format is that of a POST's body; expected method: POST")
	}
	if len(l.faults) == before {
		l.compile(t, affiliate, o)
	}
	a := &l.cfg.Attribution.Affiliates[len(l.cfg.Attribution.Affiliates)-1]
	a.Postbacks = append(a.Postbacks, o)
}

// presetOf returns the preset that a postback names, nil if none; ok is false if there is none of that name.
func (l *loader) presetOf(item *node) (p *preset, ok bool) {
	n := item.get("preset")
	if n == nil || n.shape != shapeScalar {
		return nil, true
	}
	names := PresetNames()
	if i := l.word(n, -1, names...); i >= 0 {
		l.presetFile("postbacks/" + names[i] + ".yaml")
		return loadPreset(names[i]), true
	}
	return nil, false
}

func (l *loader) presetOrder(t table, p *preset, o *postback.Order) {
	o.Preset = p.name
	if t.opt("verdict") == nil {
		o.Verdict = p.verdict
	}
	for _, key := range []string{"url", "body"} {
		if n := t.opt(key); n != nil {
			l.fault(n.pos, "%s and preset; expected one of the two", key)
		}
	}
	if n := t.opt("method"); n != nil && o.Post && !p.post {
		l.fault(n.pos, "preset %s takes a GET only", p.name)
	}
	before := len(l.faults)
	given := l.ask(t, p)
	status, _ := l.text(t.opt("status"))
	if k := (presetKey{kind: "word"}); status != "" && k.misfit(status) != "" {
		l.fault(t.opt("status").pos, "status: expected %s", k.misfit(status))
	}
	more := l.fields(t.opt("query"), !o.Post)
	if len(l.faults) > before {
		return
	}
	if err := p.order(o, given, status, more); err != nil {
		l.fault(t.opt("preset").pos, "%s", err)
	}
	plain := l.word(t.opt("scheme"), 0, "https", "http") == 1
	switch rest, fixed := strings.CutPrefix(o.URL, "https://"); {
	case t.opt("scheme") != nil && strings.HasPrefix(p.url, "<"):
		l.fault(t.opt("scheme").pos, "preset %s has the scheme in its URL; expected it there", p.name)
	case plain && fixed:
		o.URL = "http://" + rest
	}
}

// fields reads a table of templates. What becomes a part of a URL is checked here, where its place is known.
func (l *loader) fields(n *node, inURL bool) (out []postback.Field) {
	for _, e := range l.named(n) {
		value, ok := l.text(e.value)
		if !ok {
			continue
		}
		if err := postback.CheckValue(value); err != nil && inURL {
			l.fault(e.value.pos, "%s, %s", e.key, err)
		}
		out = append(out, postback.Field{Name: e.key, Value: value})
	}
	return out
}

func (l *loader) postbackSecrets(t table, o *postback.Order) {
	o.Secret = l.secret(t.opt("secret"))
	entries := l.named(t.opt("secrets"))
	if len(entries) > secretsMax {
		l.fault(t.opt("secrets").pos, "expected at most %d secrets", secretsMax)
	}
	for _, e := range entries {
		if o.Secrets == nil {
			o.Secrets = map[string][]byte{}
		}
		o.Secrets[e.key] = l.secret(e.value)
	}
}

// compile checks an order with the room that will render it, and tells a fault where it stands.
func (l *loader) compile(t table, affiliate exchange.AffiliateID, o postback.Order) {
	_, err := postback.Compile(affiliate, o)
	if err == nil {
		return
	}
	var fault *postback.FieldError
	at, text := t.node.pos, err.Error()
	if errors.As(err, &fault) {
		at, text = l.placeOf(t, fault, o.Preset), fault.Error()
		if fault.Field == "url" && o.Preset == "" {
			text = "postback's URL, " + fault.Err.Error()
		} else if o.Preset != "" {
			text = "preset " + o.Preset + ": " + text
		}
	}
	l.fault(at, "%s", text)
}

// placeOf finds the node that a fault of an order is about.
func (l *loader) placeOf(t table, fault *postback.FieldError, preset string) pos {
	field, inner, _ := strings.Cut(fault.Field, ".")
	if preset != "" && field != "verdict" {
		field = "preset"
	}
	n := t.opt(field)
	if n == nil {
		return t.node.pos
	}
	if i := slices.IndexFunc(n.entries, func(e entry) bool { return e.key == inner }); i >= 0 {
		return n.entries[i].value.pos
	}
	return n.pos
}
