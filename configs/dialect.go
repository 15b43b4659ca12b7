package configs

import (
	"crypto/sha256"
	"embed"
	"fmt"
	"io/fs"
	"maps"
	"slices"
	"strings"

	"vendue/bidder"
	"vendue/bidder/adapters/dialect"
	"vendue/exchange"
)

// shippedFiles are the presets that ship with the house, one file each.
//
//go:embed dialects/*.yaml postbacks/*.yaml
var shippedFiles embed.FS

const nativeFormat = "native"

// Dialects returns the names of the formats that ship with the house, in order.
func Dialects() (names []string) {
	files, err := shippedFiles.ReadDir("dialects")
	if err != nil {
		panic("BUG: no presets: " + err.Error())
	}
	for _, f := range files {
		names = append(names, strings.TrimSuffix(f.Name(), ".yaml"))
	}
	return names
}

// formats are the wire formats a contract may name.
func formats() []string { return append([]string{nativeFormat}, Dialects()...) }

// speech is what a contract's block says of its format, beside the format's name.
type speech struct {
	c      *exchange.Contract
	at     pos
	format string // empty: none that we know, which is told already
	t      table  // the contract's
	ping   table
	post   table
	status table
	spoken [dialect.PhaseCount]bool // the phases that the format itself has
}

// dialect compiles the format that a contract speaks, nil for the native one.
func (l *loader) dialect(s *speech, wire *bidder.Contract) *dialect.Format {
	own := s.t.opt("dialect")
	if s.format == "" {
		return nil
	}
	if s.format == nativeFormat && own == nil {
		for _, key := range []string{"vars", "map", "auth"} {
			if n := s.t.opt(key); n != nil {
				l.fault(n.pos, "%s does not fit the native format; expected it with format: (a preset) or dialect:", key)
			}
		}
		return nil
	}
	root := &node{pos: s.at, shape: shapeTable}
	if s.format != nativeFormat {
		root = l.shipped(s.format, s.at)
	}
	if own != nil {
		if !l.expect(own, shapeTable) {
			return nil
		}
		root = merge(root, own)
	}
	if a := s.t.opt("auth"); a != nil {
		root = merge(root, &node{pos: a.pos, shape: shapeTable, entries: []entry{{pos: a.pos, key: "auth", value: &node{}}}}) // one kind replaces another
		root = merge(root, under(a, "auth"))
	}
	if m := s.t.opt("map"); m != nil && l.expect(m, shapeTable) {
		root = merge(root, under(m, "map"))
	}
	for id := range dialect.PhaseCount {
		s.spoken[id] = root.get(id.String()) != nil
	}
	for phase, t := range map[string]table{"ping": s.ping, "post": s.post, "status": s.status} {
		root = merge(root, overrides(t, phase))
	}
	before := len(l.faults)
	spec := l.spec(root, s)
	line, auth := l.auth(root.get("auth"))
	wire.Auth = auth
	for _, p := range spec.Phases {
		if p != nil && line != nil {
			p.Headers = append(p.Headers, *line)
		}
	}
	if s.c.Vertical == nil || len(l.faults) > before {
		return nil
	}
	f, faults := dialect.Compile(spec, s.c.Vertical)
	for _, fault := range faults {
		text := fault.Text
		if fault.Valid != nil || fault.Word != "" {
			text += didYouMean(fault.Word, fault.Valid)
		}
		l.fault(pos{fault.At.Line, fault.At.Col}, "%s", text)
	}
	return f
}

// shipped returns a shipped format's tree. Its faults are told where the contract names it.
func (l *loader) shipped(name string, at pos) *node {
	root := l.presetFile("dialects/" + name + ".yaml")
	move(root, at)
	return root
}

// presetFile returns the tree of a preset's file and notes for the config's hash
// what it says: another binary may ship another text under the same name.
func (l *loader) presetFile(file string) *node {
	text, err := fs.ReadFile(l.files, file)
	if err != nil {
		panic("BUG: no preset " + file)
	}
	of := newLoader(file, "", l.getenv)
	of.breathe, of.pieces = l.breathe, l.pieces
	root := of.parse(text)
	if root == nil {
		panic("BUG: preset " + of.sorted()[0].String())
	}
	if _, known := l.presets[file]; !known {
		l.presets[file] = sha256.Sum256([]byte(canonical(root, l.breathe)))
	}
	return root
}

// presetSums returns what the canonical text does not show of the presets: what they say, in one line each.
func (l *loader) presetSums() (out string) {
	for _, file := range slices.Sorted(maps.Keys(l.presets)) {
		out += fmt.Sprintf("%x %s\n", l.presets[file], file)
	}
	return out
}

// move puts a whole tree at one place and marks it as a preset's.
func move(n *node, at pos) {
	n.pos, n.preset = at, true
	for _, item := range n.items {
		move(item, at)
	}
	for i := range n.entries {
		n.entries[i].pos = at
		move(n.entries[i].value, at)
	}
}

// merge returns base with over's keys laid over it, tables within tables. A key
// that over leaves empty is taken away.
func merge(base, over *node) *node {
	if base == nil || base.shape != shapeTable || over.shape != shapeTable {
		return over
	}
	out := &node{pos: over.pos, shape: shapeTable, entries: slices.Clone(base.entries)}
	for _, e := range over.entries {
		at := slices.IndexFunc(out.entries, func(b entry) bool { return b.key == e.key })
		switch {
		case e.value.shape == shapeNull && at >= 0:
			out.entries = slices.Delete(out.entries, at, at+1)
		case at >= 0:
			out.entries[at] = entry{pos: e.pos, key: e.key, value: merge(out.entries[at].value, e.value)}
		default:
			out.entries = append(out.entries, e)
		}
	}
	return out
}

// under returns a table with n at one key.
func under(n *node, key string) *node {
	return &node{pos: n.pos, shape: shapeTable, entries: []entry{{pos: n.pos, key: key, value: n}}}
}

// overrides returns what a contract's phase lays over the format's.
func overrides(t table, phase string) *node {
	out := &node{pos: t.node.pos, shape: shapeTable}
	if t.node.shape != shapeTable {
		return &node{shape: shapeTable}
	}
	for _, e := range t.node.entries {
		if e.key == "url" || e.key == "test_url" || e.key == "headers" {
			out.entries = append(out.entries, e)
		}
	}
	if len(out.entries) == 0 {
		return &node{shape: shapeTable}
	}
	return under(out, phase)
}

// spec reads a whole merged description.
func (l *loader) spec(root *node, s *speech) *dialect.Spec {
	t := l.table(root, "about", "vars", "map", "rest", "auth", "ping", "post", "direct", "status")
	spec := &dialect.Spec{At: at(s.at), Map: l.entries(t.opt("map")), Rest: l.rest(t.opt("rest"))}
	ping, post, status := t.opt("ping"), t.opt("post"), t.opt("status")
	if direct := t.opt("direct"); direct != nil && !s.c.Pinged && post != nil {
		if l.expect(direct, shapeTable) {
			post = merge(post, direct)
			post = merge(post, valueOf(overrides(s.post, "post"), "post"))
		}
	}
	switch {
	case s.c.Pinged && !s.spoken[dialect.Ping]:
		l.fault(s.ping.node.pos, "this format has no ping; expected price: (a standing price), or dialect: with a ping")
		return spec
	case !s.spoken[dialect.Post]:
		l.fault(s.at, "the format has no post; expected dialect: with post:")
		return spec
	}
	if s.c.Pinged {
		spec.Phases[dialect.Ping] = l.phase(ping, s.at)
	}
	spec.Phases[dialect.Post] = l.phase(post, s.at)
	if s.status.node.shape == shapeTable {
		if status == nil || status.get("reply") == nil {
			// A format that says nothing of it reads the outcome as it reads a post's answer.
			reply := &node{pos: s.at, shape: shapeTable}
			for _, key := range []string{"as", "reject", "accept", "ref"} {
				if n := valueOf(post, "reply").get(key); n != nil {
					reply.entries = append(reply.entries, entry{pos: n.pos, key: key, value: n})
				}
			}
			base := &node{pos: s.at, shape: shapeTable}
			if status != nil {
				base = status
			}
			status = merge(base, under(reply, "reply"))
		}
		spec.Phases[dialect.Status] = l.phase(status, s.at)
	}
	spec.Vars = l.vars(t.opt("vars"), s, root)
	return spec
}

// valueOf returns the table at a key of a table, an empty one if there is none.
func valueOf(n *node, key string) *node {
	if v := n.get(key); v != nil {
		return v
	}
	return &node{shape: shapeTable}
}

func at(p pos) dialect.At { return dialect.At{Line: p.line, Col: p.col} }

// vars reads what the contract gives of what the format asks for. A var is asked
// for where the description holds it: one that only an overridden URL held is not.
func (l *loader) vars(declared *node, s *speech, root *node) map[string]string {
	out := map[string]string{}
	t := table{l: l, node: &node{shape: shapeBroken}}
	if given := s.t.opt("vars"); given != nil && l.expect(given, shapeTable) {
		t.node = given
	}
	var names []string
	secret := map[string]bool{}
	if declared != nil && l.expect(declared, shapeTable) {
		for _, e := range declared.entries {
			names = append(names, e.key)
			d := l.table(e.value, "about", "default", "secret")
			secret[e.key] = l.boolean(d.opt("secret"))
			if t.opt(e.key) == nil && !asksFor(root, e.key) {
				continue
			}
			if text, ok := l.text(d.opt("default")); ok && t.opt(e.key) == nil {
				out[e.key] = text
			} else if t.opt(e.key) == nil {
				about, _ := l.text(d.opt("about"))
				l.fault(s.at, "the format asks for var %q: %s", e.key, about)
				out[e.key] = ""
			}
		}
	}
	for _, e := range t.node.entries {
		switch {
		case !nameOK(e.key):
			l.fault(e.pos, "name %q: expected letters, digits, - and _", e.key)
			continue
		case !slices.Contains(names, e.key) && !asksFor(root, e.key):
			l.fault(e.pos, "the format has no place for var %q%s", e.key, didYouMean(e.key, names))
		}
		out[e.key] = l.variable(e.value, secret[e.key])
	}
	return out
}

// variable returns a var's text; env: and file: are followed as for any secret.
func (l *loader) variable(n *node, secret bool) string {
	text, ok := l.text(n)
	if !ok {
		return ""
	}
	if strings.HasPrefix(n.written, "env:") || strings.HasPrefix(n.written, "file:") || secret {
		value := string(l.secret(n))
		l.cfg.Bidder.Secrets = append(l.cfg.Bidder.Secrets, value)
		return value
	}
	if len(text) > 4096 {
		l.fault(n.pos, "expected a text of at most 4096 bytes")
	}
	return text
}

// asksFor tells whether a text of the description holds {var.NAME}.
func asksFor(n *node, name string) bool {
	if strings.Contains(n.text, "{var."+name+"}") {
		return true
	}
	if slices.ContainsFunc(n.items, func(i *node) bool { return asksFor(i, name) }) {
		return true
	}
	return slices.ContainsFunc(n.entries, func(e entry) bool { return asksFor(e.value, name) })
}

// spoken notes of a contract what only its compiled format can tell.
func (l *loader) spoken(c *exchange.Contract, f *dialect.Format) {
	c.CanTest = f.TellsTest(dialect.Post) && (!c.Pinged || f.TellsTest(dialect.Ping))
	c.StatusToken = f.Request(dialect.Status) != nil && f.UsesToken(dialect.Status)
}
