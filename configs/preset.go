package configs

import (
	"fmt"
	"path"
	"slices"
	"strings"

	"vendue/attribution/postback"
)

// preset is how one kind of tracker wants to be told: a file of postbacks/.
//
// Its texts are templates in which <key> stands for what the config gives for
// that key, and <status> for the event's word. A query parameter whose key was
// not given, whose status is empty, or whose {secret} there is none for, is left out.
type preset struct {
	name     string
	url      string
	post     bool // may be a POST, with the query as its body
	keys     []presetKey
	oneOf    []string // keys of which one is needed
	query    []postback.Field
	required []string          // of the query
	events   map[string]string // the tracker's status of each
	verdict  postback.Rules
}

type presetKey struct {
	name, kind, fallback string
	optional             bool
}

// PresetNames returns the names of all presets, sorted.
func PresetNames() []string {
	files, err := shippedFiles.ReadDir("postbacks")
	if err != nil {
		panic("BUG: " + err.Error())
	}
	names := make([]string, len(files))
	for i, f := range files {
		names[i] = strings.TrimSuffix(f.Name(), ".yaml")
	}
	slices.Sort(names)
	return names
}

// loadPreset reads a preset of the house's own. A test reads them all, so a fault is a bug.
func loadPreset(name string) *preset {
	file := path.Join("postbacks", name+".yaml")
	text, err := shippedFiles.ReadFile(file)
	if err != nil {
		panic("BUG: " + err.Error())
	}
	l := newLoader(file, ".", func(string) (string, bool) { return "", false })
	p := &preset{name: name}
	if root := l.parse(text); root != nil {
		l.preset(root, p)
	}
	if len(l.faults) > 0 {
		panic("BUG: " + l.sorted()[0].String())
	}
	return p
}

func (l *loader) preset(root *node, p *preset) {
	t := l.table(root, "title", "url", "post", "keys", "one_of", "query", "required", "events", "verdict")
	l.label(t.need("title"), "")
	p.url, _ = l.text(t.need("url"))
	p.post = l.boolean(t.opt("post"))
	for _, e := range l.named(t.need("keys")) {
		k := l.table(e.value, "type", "optional", "default")
		kinds := []string{"word", "number", "host", "label", "url"}
		key := presetKey{name: e.key, kind: kinds[l.word(k.need("type"), 0, kinds...)], optional: l.boolean(k.opt("optional"))}
		key.fallback, _ = l.text(k.opt("default"))
		p.keys = append(p.keys, key)
	}
	p.oneOf = l.plainTexts(t.opt("one_of"))
	for _, e := range l.named(t.need("query")) {
		value, _ := l.text(e.value)
		p.query = append(p.query, postback.Field{Name: e.key, Value: value})
	}
	p.required = l.plainTexts(t.need("required"))
	p.events = map[string]string{}
	for _, e := range l.named(t.need("events")) {
		p.events[e.key], _ = l.text(e.value)
		if !slices.Contains(postback.Events(), e.key) {
			l.fault(e.pos, "no event %q", e.key)
		}
	}
	p.verdict = l.rules(t.need("verdict"))
}

// plainTexts returns the scalars of a list.
func (l *loader) plainTexts(n *node) (out []string) {
	for _, item := range l.list(n) {
		if s, ok := l.text(item); ok {
			out = append(out, s)
		}
	}
	return out
}

// rules reads how an answer's body is to be judged.
func (l *loader) rules(n *node) postback.Rules {
	t := l.table(n, "accepted", "duplicate", "rejected")
	return postback.Rules{Accepted: l.plainTexts(t.opt("accepted")), Duplicate: l.plainTexts(t.opt("duplicate")), Rejected: l.plainTexts(t.opt("rejected"))}
}

// ask reads what a config gives for a preset's keys.
func (l *loader) ask(t table, p *preset) map[string]string {
	given := map[string]string{}
	for _, k := range p.keys {
		n := t.opt(k.name)
		needed := !k.optional && k.fallback == ""
		if n == nil && needed && t.node.shape != shapeBroken {
			l.fault(t.node.pos, "key %q is missing: preset %s needs it", k.name, p.name)
		}
		value, ok := l.text(n)
		if !ok {
			if k.fallback != "" {
				given[k.name] = k.fallback
			}
			continue
		}
		if want := k.misfit(value); want != "" {
			l.fault(n.pos, "%s: expected %s", k.name, want)
			continue
		}
		given[k.name] = value
	}
	if len(p.oneOf) > 0 && !slices.ContainsFunc(p.oneOf, func(k string) bool { return given[k] != "" }) {
		l.fault(t.node.pos, "preset %s needs one of %s", p.name, strings.Join(p.oneOf, ", "))
	}
	return given
}

// misfit tells what a key's value should have been, nothing if it is fine.
func (k *presetKey) misfit(value string) string {
	charset := func(extra string) bool {
		return value != "" && len(value) <= 200 && strings.IndexFunc(value, func(c rune) bool {
			return (c < '0' || c > '9') && (c|0x20 < 'a' || c|0x20 > 'z') && !strings.ContainsRune(extra, c)
		}) < 0
	}
	switch k.kind {
	case "number":
		if value == "" || len(value) > 18 || strings.Trim(value, "0123456789") != "" {
			return "a whole number"
		}
	case "label":
		if !charset("-") || len(value) > 63 {
			return "one part of a host's name: letters, digits and -"
		}
	case "host":
		if _, err := postback.Parse("https://" + value); err != nil || !charset("-.:[]") {
			return "a host such as track.example.com, and at most a port"
		}
	case "url":
		if t, err := postback.Parse(value); err != nil || strings.ContainsAny(value, "{?") || t.Endpoint() == "" {
			return "a URL without macros and without a query"
		}
	default:
		if !charset("-._~") {
			return "a word of letters, digits and -._~"
		}
	}
	return ""
}

// order fills a preset in. status overrides the event's word if it is not empty;
// more adds to the query or replaces parts of it, and an empty value takes one away.
func (p *preset) order(o *postback.Order, given map[string]string, status string, more []postback.Field) error {
	word, ok := p.events[o.On]
	if !ok {
		names := make([]string, 0, len(p.events))
		for name := range p.events {
			names = append(names, name)
		}
		slices.Sort(names)
		return fmt.Errorf("preset %s cannot tell of %s; it can of %s", p.name, o.On, strings.Join(names, ", "))
	}
	if status != "" {
		word = status
	}
	fields, err := p.fields(more)
	if err != nil {
		return err
	}
	var out []postback.Field
	for _, f := range fields {
		value, whole := fillKeys(f.Value, given, word)
		if whole && (o.Secret != nil || !strings.Contains(value, "{secret}")) {
			out = append(out, postback.Field{Name: f.Name, Value: value})
		} else if slices.Contains(p.required, f.Name) {
			return fmt.Errorf("preset %s needs %s, and nothing is given for it", p.name, f.Name)
		}
	}
	if o.URL, _ = fillKeys(p.url, given, word); o.Post {
		o.Body = out
		return nil
	}
	for i, f := range out {
		o.URL += "?&"[min(i, 1):min(i, 1)+1] + f.Name + "=" + f.Value
	}
	return nil
}

// fields returns the query with what the config says of it.
func (p *preset) fields(more []postback.Field) ([]postback.Field, error) {
	fields := slices.Clone(p.query)
	for _, m := range more {
		i := slices.IndexFunc(fields, func(f postback.Field) bool { return f.Name == m.Name })
		switch {
		case m.Value == "" && slices.Contains(p.required, m.Name):
			return nil, fmt.Errorf("preset %s cannot do without %s", p.name, m.Name)
		case m.Value == "" && i >= 0:
			fields = slices.Delete(fields, i, i+1)
		case i >= 0:
			fields[i].Value = m.Value
		case m.Value != "":
			fields = append(fields, m)
		}
	}
	return fields, nil
}

// fillKeys puts keys in. whole is false if one was not given.
func fillKeys(text string, given map[string]string, status string) (out string, whole bool) {
	for {
		before, rest, found := strings.Cut(text, "<")
		out += before
		if !found {
			return out, true
		}
		name, after, _ := strings.Cut(rest, ">")
		value := given[name]
		if name == "status" {
			value = status
		}
		if value == "" {
			return "", false
		}
		out, text = out+value, after
	}
}
