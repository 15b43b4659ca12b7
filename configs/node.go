package configs

import (
	"bytes"
	"errors"
	"fmt"
	"strings"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/parser"
)

// depthMax bounds how deep the file nests; the deepest valid value lies at 8.
const depthMax = 16

// shape is what a node is.
type shape uint8

const (
	shapeNull shape = iota
	shapeScalar
	shapeList
	shapeTable
	shapeBroken // its fault is told already; nobody needs to hear more of it
)

var shapeWords = [...]string{"nothing", "a single value", "a list", "a table of keys", "nothing"}

// node is one value of the file. A scalar is text, whatever YAML thinks of its
// type: the reader of each key knows what it wants, and a zip code or a ${NAME}
// must not change its meaning by the look of it.
type node struct {
	pos
	shape   shape
	text    string // scalar: with ${NAME} expanded
	written string // scalar: as written, which is what the canonical text shows
	secret  bool   // hidden in the canonical text
	preset  bool   // of a format that ships with the house, not of this file
	items   []*node
	entries []entry // table: in the order of the file, each key once
}

// entry is one key of a table.
type entry struct {
	pos
	key   string
	value *node
}

// get returns the value of key, nil if there is none.
func (n *node) get(key string) *node {
	for i := range n.entries {
		if n.entries[i].key == key {
			return n.entries[i].value
		}
	}
	return nil
}

// add appends an entry to a table.
func (n *node) add(e entry) {
	if v := e.value; v.shape == shapeNull || (v.shape != shapeScalar && v.line > e.line) {
		v.pos = e.pos // a fault of the whole block is shown at its key
	}
	n.entries = append(n.entries, e)
}

// parse turns text into a tree of nodes, nil if it is not one YAML document with a table.
func (l *loader) parse(text []byte) *node {
	if root, ok := l.cut(string(text), pieceBytesMost); ok {
		return root
	}
	return l.parseAny(text)
}

// parseAny is parse for any YAML, read as a whole, and tells what is wrong with it.
func (l *loader) parseAny(text []byte) *node {
	if at, deep := tooDeep(text); deep {
		l.fault(at, "expected at most %d levels", depthMax)
		return nil
	}
	file, err := parseYAML(text)
	if err != nil {
		l.syntaxFault(err)
		return nil
	}
	var root *node
	for _, doc := range file.Docs {
		if doc.Body == nil {
			continue
		}
		if root != nil || doc.Body.Type() == ast.DirectiveType {
			l.fault(position(doc.Body), "expected one YAML document without directives")
			return nil
		}
		root = l.convert(doc.Body, 0)
	}
	if root != nil && root.shape == shapeBroken {
		return nil
	}
	if root == nil || root.shape != shapeTable {
		l.fault(pos{1, 1}, "expected a table with listen, data, verticals, sellers, buyers and trees")
		return nil
	}
	return root
}

// tooDeep finds text nested so far beyond any config that the parser, whose
// memory grows with the square of the depth, must not see it. It is a rough
// count: brackets in quotes count too, hence the room above depthMax.
func tooDeep(text []byte) (pos, bool) {
	const roughMax = 16 * depthMax
	open, line := 0, 0
	for row := range bytes.Lines(text) {
		line++
		marks := 0
		for _, word := range bytes.Fields(row) {
			if !bytes.Equal(word, []byte("-")) && word[0] != '?' && word[0] != '!' && word[0] != '&' {
				break
			}
			marks++
		}
		for _, c := range row {
			switch c {
			case '[', '{':
				open++
			case ']', '}':
				open = max(open-1, 0)
			}
			if open+marks > roughMax {
				return pos{line, 1}, true
			}
		}
	}
	return pos{}, false
}

// parseYAML keeps a panic of the parser from taking a running exchange down at a reload.
func parseYAML(text []byte) (file *ast.File, err error) {
	defer func() {
		if r := recover(); r != nil {
			err = errors.New("the text is not YAML")
		}
	}()
	return parser.ParseBytes(text, 0, parser.AllowDuplicateMapKey())
}

func (l *loader) syntaxFault(err error) {
	var syntax *yaml.SyntaxError
	at, text := pos{1, 1}, "not valid YAML"
	if errors.As(err, &syntax) {
		text = syntax.Message
		if strings.Contains(text, "'\t'") {
			text = "a tab stands here; expected spaces"
		}
		if syntax.Token != nil && syntax.Token.Position != nil {
			at = pos{syntax.Token.Position.Line, syntax.Token.Position.Column}
		}
	}
	l.fault(at, "expected valid YAML: %s", text)
}

func position(n ast.Node) pos {
	switch v := n.(type) {
	case *ast.MappingNode:
		if !v.IsFlowStyle && len(v.Values) > 0 {
			return position(v.Values[0].Key)
		}
	case *ast.MappingValueNode:
		return position(v.Key)
	}
	if t := n.GetToken(); t != nil && t.Position != nil {
		return pos{max(t.Position.Line, 1), max(t.Position.Column, 1)}
	}
	return pos{1, 1}
}

func (l *loader) convert(from ast.Node, depth int) *node {
	if from == nil {
		return &node{pos: pos{1, 1}}
	}
	n := &node{pos: position(from)}
	if depth > depthMax {
		n.shape = shapeBroken
		l.fault(n.pos, "expected at most %d levels", depthMax)
		return n
	}
	switch v := from.(type) {
	case *ast.NullNode:
	case *ast.MappingNode:
		n.shape = shapeTable
		l.convertEntries(n, v.Values, depth)
	case *ast.MappingValueNode:
		n.shape = shapeTable
		l.convertEntries(n, []*ast.MappingValueNode{v}, depth)
	case *ast.SequenceNode:
		n.shape = shapeList
		n.items = make([]*node, 0, len(v.Values))
		for _, item := range v.Values {
			n.items = append(n.items, l.convert(item, depth+1))
		}
	case *ast.LiteralNode:
		l.scalar(n, v.Value.Value)
	case *ast.StringNode:
		l.scalar(n, v.Value)
	case *ast.IntegerNode, *ast.FloatNode, *ast.BoolNode, *ast.InfinityNode, *ast.NanNode:
		l.scalar(n, from.GetToken().Value)
	default:
		n.shape = shapeBroken
		l.fault(n.pos, "anchors, aliases, tags and merge keys are not supported; write the value out")
	}
	return n
}

func (l *loader) convertEntries(n *node, values []*ast.MappingValueNode, depth int) {
	n.entries = make([]entry, 0, len(values))
	seen := make(map[string]pos, len(values))
	for _, v := range values {
		at := position(v.Key)
		var key string
		switch k := v.Key.(type) {
		case *ast.StringNode:
			key = k.Value
		case *ast.IntegerNode, *ast.FloatNode, *ast.BoolNode:
			key = k.GetToken().Value
		default:
			l.fault(at, "expected a plain key")
			continue
		}
		if first, twice := seen[key]; twice {
			l.fault(at, "key %q stands twice; the first is at line %d", key, first.line)
			continue
		}
		seen[key] = at
		n.add(entry{pos: at, key: key, value: l.convert(v.Value, depth+1)})
	}
}

// scalar fills n from text and expands ${NAME}; $${ stands for ${.
func (l *loader) scalar(n *node, text string) {
	n.shape, n.text, n.written = shapeScalar, text, text
	if !strings.Contains(text, "${") {
		return
	}
	var out strings.Builder
	for rest := text; ; {
		before, after, found := strings.Cut(rest, "${")
		if !found {
			out.WriteString(before)
			break
		}
		if escaped, ok := strings.CutSuffix(before, "$"); ok {
			out.WriteString(escaped)
			out.WriteString("${")
			rest = after
			continue
		}
		out.WriteString(before)
		name, tail, closed := strings.Cut(after, "}")
		value, err := l.lookup(name, closed)
		if err != nil {
			l.fault(n.pos, "%s", err)
			n.shape = shapeBroken
			return
		}
		out.WriteString(value)
		rest = tail
	}
	n.text = out.String()
}

func (l *loader) lookup(name string, closed bool) (string, error) {
	if !closed || !envName(name) {
		return "", errors.New("expected ${NAME} of letters, digits and _; write $${ for a plain ${")
	}
	value, set := l.getenv(name)
	if !set {
		return "", fmt.Errorf("the environment has no %s", name)
	}
	return value, nil
}

func envName(s string) bool {
	for i := range len(s) {
		c := s[i]
		letter := c == '_' || (c|0x20 >= 'a' && c|0x20 <= 'z')
		if !letter && (i == 0 || c < '0' || c > '9') {
			return false
		}
	}
	return s != ""
}
