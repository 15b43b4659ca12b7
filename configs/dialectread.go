package configs

import (
	"strings"

	"vendue/bidder/adapters/dialect"
)

// placed reads a text with places in it.
func (l *loader) placed(n *node) dialect.Text {
	s, ok := l.text(n)
	if !ok {
		return dialect.Text{}
	}
	return dialect.Text{At: at(n.pos), Text: s}
}

// words reads one word or a list of them.
func (l *loader) words(n *node) (out []string) {
	if n == nil {
		return nil
	}
	items := []*node{n}
	if n.shape != shapeScalar {
		items = l.list(n)
	}
	for _, item := range items {
		if s, ok := l.text(item); ok {
			out = append(out, s)
		}
	}
	if len(out) > 64 {
		l.fault(n.pos, "expected at most 64 words")
	}
	return out
}

// entries reads the map of a format: what is sent, in that order.
func (l *loader) entries(n *node) (out []dialect.Entry) {
	if n == nil || !l.expect(n, shapeTable) {
		return nil
	}
	for _, e := range n.entries {
		d := dialect.Entry{At: at(e.pos), Target: e.key, Lenient: e.value.preset}
		if e.value.shape != shapeTable {
			d.Value = l.placed(e.value)
			out = append(out, d)
			continue
		}
		t := l.table(e.value, "value", "default", "values", "as", "on", "type", "keep_empty")
		d.Value, d.As, d.Keep = l.placed(t.need("value")), l.words(t.opt("as")), l.boolean(t.opt("keep_empty"))
		d.Default, _ = l.text(t.opt("default"))
		d.On = []string{"", "ping", "post", "status", "both"}[1+l.word(t.opt("on"), -1, "ping", "post", "status", "both")]
		d.Type = []string{"", "string", "number", "bool"}[1+l.word(t.opt("type"), -1, "string", "number", "bool")]
		if values := t.opt("values"); values != nil && l.expect(values, shapeTable) {
			d.Values = map[string]string{}
			for _, v := range values.entries {
				if v.value.shape == shapeNull {
					d.Values[v.key] = ""
				} else if s, ok := l.text(v.value); ok {
					d.Values[v.key] = s
				}
			}
		}
		out = append(out, d)
	}
	return out
}

// rest reads what becomes of the fields that the map does not name.
func (l *loader) rest(n *node) (r dialect.Rest) {
	if n == nil {
		return r
	}
	manners := []string{"drop", "as_is", "Title_Case", "PascalCase", "camelCase"}
	r.At = at(n.pos)
	if n.shape == shapeScalar {
		r.Names = manners[l.word(n, 0, manners...)]
		return r
	}
	t := l.table(n, "names", "under", "as")
	r.Names, r.As = manners[l.word(t.need("names"), 0, manners...)], l.words(t.opt("as"))
	r.Under, _ = l.text(t.opt("under"))
	return r
}

// phase reads one phase of a format.
func (l *loader) phase(n *node, where pos) *dialect.Phase {
	t := l.table(n, "method", "url", "test_url", "encode", "wrap", "template", "content_type", "headers", "reply")
	p := &dialect.Phase{At: at(where), URL: l.placed(t.opt("url")), TestURL: l.placed(t.opt("test_url")), Template: l.placed(t.opt("template"))}
	if n != nil && !n.preset {
		p.At = at(n.pos)
	}
	if p.URL.Text == "" {
		p.URL.At = p.At
	}
	p.MethodAt, p.EncodeAt, p.WrapAt = p.At, p.At, p.At
	for _, k := range []struct {
		key string
		to  *string
		at  *dialect.At
	}{
		{"method", &p.Method, &p.MethodAt}, {"encode", &p.Encode, &p.EncodeAt}, {"wrap", &p.Wrap, &p.WrapAt}, {"content_type", &p.ContentType, &dialect.At{}},
	} {
		if v := t.opt(k.key); v != nil {
			*k.to, _ = l.text(v)
			*k.at = at(v.pos)
		}
	}
	p.Method = strings.ToUpper(p.Method)
	headers := t.opt("headers")
	for _, h := range l.headers(headers) {
		p.Headers = append(p.Headers, dialect.Header{Name: h.Name, Value: dialect.Text{At: at(headers.get(h.Name).pos), Text: h.Value}})
	}
	if r := t.need("reply"); r != nil {
		p.Reply = l.reply(r)
	}
	return p
}

// answerPath reads the path of a value of an answer.
func (l *loader) answerPath(n *node) dialect.Path {
	s, ok := l.text(n)
	if !ok {
		return dialect.Path{}
	}
	return dialect.Path{At: at(n.pos), Text: s}
}

// reply reads how the answers of a phase are read.
func (l *loader) reply(n *node) dialect.Reply {
	t := l.table(n, "as", "reject", "accept", "price", "bids", "tokens", "expires_in", "ref", "redirect", "reason", "reasons")
	r := dialect.Reply{
		At: at(n.pos), Reject: l.answerRules(t.opt("reject")), Accept: l.answerRules(t.opt("accept")), Tokens: l.tokens(t.opt("tokens")),
		ExpiresIn: l.answerPath(t.opt("expires_in")), Ref: l.answerPath(t.opt("ref")), Redirect: l.answerPath(t.opt("redirect")),
		Reason: l.answerPath(t.opt("reason")),
	}
	r.As, _ = l.text(t.opt("as"))
	if p := t.opt("price"); p != nil {
		r.Price = l.answerPrice(p)
	}
	if b := t.opt("bids"); b != nil {
		bt := l.table(b, "path", "price", "take", "tokens")
		r.Bids = &dialect.Bids{
			At: at(b.pos), Path: l.answerPath(bt.need("path")), Price: l.answerPath(bt.need("price")),
			Take: l.answerRules(bt.opt("take")), Tokens: l.tokens(bt.opt("tokens")),
		}
	}
	if words := t.opt("reasons"); words != nil && l.expect(words, shapeTable) {
		for _, e := range words.entries {
			if s, ok := l.text(e.value); ok {
				r.Reasons = append(r.Reasons, dialect.ReasonWord{At: at(e.pos), Word: e.key, Reason: s})
			}
		}
	}
	return r
}

func (l *loader) answerPrice(n *node) dialect.Price {
	p := dialect.Price{At: at(n.pos)}
	if n.shape == shapeScalar {
		p.Path = l.answerPath(n)
		return p
	}
	t := l.table(n, "path", "unit", "fixed")
	p.Path, p.Fixed = l.answerPath(t.opt("path")), l.placed(t.opt("fixed"))
	p.Cents = l.word(t.opt("unit"), 0, "whole", "cents") == 1
	return p
}

func (l *loader) tokens(n *node) (out []dialect.Token) {
	if n == nil || !l.expect(n, shapeTable) {
		return nil
	}
	for _, e := range n.entries {
		d := dialect.Token{At: at(e.pos), Name: e.key}
		if e.value.shape == shapeTable {
			t := l.table(e.value, "path", "optional")
			d.Path, d.Optional = l.answerPath(t.need("path")), l.boolean(t.opt("optional"))
		} else {
			d.Path = l.answerPath(e.value)
		}
		out = append(out, d)
	}
	return out
}

// answerRules reads a list of tests of an answer.
func (l *loader) answerRules(n *node) (out []dialect.Rule) {
	for _, item := range l.list(n) {
		t := l.table(item, "http", "path", "equals", "not", "contains", "exists", "above", "nonzero", "and", "reason")
		r := dialect.Rule{
			At: at(item.pos), HTTP: l.words(t.opt("http")), Path: l.answerPath(t.opt("path")), Equals: l.words(t.opt("equals")),
			Not: l.words(t.opt("not")), Contains: l.words(t.opt("contains")), Nonzero: l.boolean(t.opt("nonzero")), And: l.answerRules(t.opt("and")),
		}
		if e := t.opt("exists"); e != nil {
			r.Exists = []string{"false", "true"}[l.word(e, 0, "false", "true")]
		}
		r.Above, _ = l.text(t.opt("above"))
		r.Reason, _ = l.text(t.opt("reason"))
		out = append(out, r)
	}
	return out
}
