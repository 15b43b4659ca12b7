package dialect

import (
	"bytes"
	"strings"
	"sync"
	"unsafe"
)

// replyKind is how an answer is written.
type replyKind uint8

const (
	replySniff replyKind = iota
	replyJSON
	replyXML
	replyForm
	replyCSV
	replyText
)

var replyWords = []string{"json", "xml", "form", "csv", "text"}

// found is one value of an answer.
type found struct {
	text string // a view of the answer; a list or table is its raw text
	kind foundKind
}

type foundKind uint8

const (
	absent foundKind = iota
	isNull
	isText
	isNumeric
	isBool
	isTable // or a list
)

// there tells whether the value says anything.
func (f *found) there() bool { return f.kind > isNull && f.text != "" }

// document is what was read of one answer.
type document struct {
	body   string
	values [pathsMax]found
	items  []item // of the list of bids
	listed bool   // there is such a list, perhaps an empty one
	sink   sink
}

// documents are the memory of answers being read: the readers call one another
// in turn, which keeps it off the stack.
var documents = sync.Pool{New: func() any { return new(document) }}

func takeDocument() *document {
	doc, _ := documents.Get().(*document)
	return doc
}

// release drops every view of the answer, and keeps the memory.
func (d *document) release() {
	clear(d.items)
	*d = document{items: d.items[:0]}
	documents.Put(d)
}

// item is what was read of one bid in a list.
type item [itemPathsMax]found

// node is a step of the paths that a phase reads. Its children are compared
// without case: a buyer's Status and status are one.
type node struct {
	children []child
	leaf     int   // 1 more than the value's place; 0: none
	strict   bool  // given twice it is a fault, for which one counts would be a guess
	each     *node // what is read of each item, if the bids lie here
}

type child struct {
	name string
	at   int // as the place in a list, else -1
	node *node
}

// find returns the child of a key, nil if nobody wants it.
func (n *node) find(key string) *node {
	if n == nil {
		return nil
	}
	for i := range n.children {
		if foldEqual(n.children[i].name, key) {
			return n.children[i].node
		}
	}
	return nil
}

func (n *node) index(at int) *node {
	if n == nil {
		return nil
	}
	for i := range n.children {
		if n.children[i].at == at {
			return n.children[i].node
		}
	}
	return nil
}

// foldEqual compares with an ASCII word in lower case.
func foldEqual(lower, s string) bool {
	if len(lower) != len(s) {
		return false
	}
	for i := range len(s) {
		c := s[i]
		if c >= 'A' && c <= 'Z' {
			c |= 0x20
		}
		if c != lower[i] {
			return false
		}
	}
	return true
}

// The faults of an answer as a whole: fixed words.
const (
	faultEmpty = "body: empty"
	faultJSON  = "body: expected JSON"
	faultXML   = "body: expected XML"
	faultForm  = "body: expected a form"
	faultCSV   = "body: expected one line of comma-separated values"
	faultTwice = "body: a field is given twice"
	faultDeep  = "body: nested too deep"
	faultHTML  = "body: an HTML page"
	faultUTF8  = "body: expected UTF-8"
)

// sink takes the values as they are found, whatever the answer's format.
type sink struct {
	doc   *document
	item  int // 1 more than the item being read; 0: none
	fault string
}

func (k *sink) set(n *node, kind foundKind, text string) {
	if n == nil || n.leaf == 0 {
		return
	}
	to := &k.doc.values[(n.leaf-1)%pathsMax]
	if k.item > 0 {
		to = &k.doc.items[k.item-1][(n.leaf-1)%itemPathsMax]
	}
	if to.kind != absent {
		if n.strict && to.text != text {
			k.fault = faultTwice
		}
		return
	}
	*to = found{text: text, kind: kind}
}

// begin starts an item; false if there are too many already.
func (k *sink) begin() bool {
	if len(k.doc.items) == itemsMax {
		return false
	}
	k.doc.items = append(k.doc.items, item{})
	k.item = len(k.doc.items)
	return true
}

// read reads an answer's body into doc. A fault leaves no values.
func (r *reader) read(raw []byte, doc *document) (fault string) {
	raw = bytes.TrimPrefix(raw, []byte("\xef\xbb\xbf"))
	// A view instead of a copy: the body is not written to until the caller is done.
	body := strings.TrimSpace(unsafe.String(unsafe.SliceData(raw), len(raw)))
	doc.body = body
	kind := r.kind
	if kind == replySniff {
		kind = sniff(body)
	}
	if kind == replyText {
		if isHTML(body) {
			return faultHTML // a proxy's page may hold any word
		}
		return ""
	}
	if body == "" {
		return faultEmpty
	}
	k := &doc.sink
	k.doc = doc
	switch kind {
	case replyJSON:
		fault = readJSON(body, r.root, k)
	case replyXML:
		fault = readXML(body, r.root, k)
	case replyForm:
		fault = readForm(body, r.root, k)
	default:
		fault = readCSV(body, r.root, k)
	}
	if fault == "" {
		fault = k.fault
	}
	if fault != "" {
		clear(doc.items)
		*doc = document{body: body, items: doc.items[:0]}
	}
	return fault
}

// sniff guesses how a body is written.
func sniff(body string) replyKind {
	if body == "" {
		return replyText
	}
	switch body[0] {
	case '{', '[':
		return replyJSON
	case '<':
		return replyXML
	case '&':
		if strings.HasPrefix(body, "&lt;") {
			return replyXML
		}
	}
	switch at := strings.IndexAny(body, "=,\n "); {
	case at < 0:
		return replyText
	case body[at] == '=' && at > 0:
		return replyForm
	case body[at] == ',':
		return replyCSV
	default:
		return replyText
	}
}

// isHTML tells whether a body is a page for people.
func isHTML(body string) bool {
	head := body[:min(len(body), 200)]
	for _, mark := range [...]string{"<!doctype html", "<html"} {
		if strings.HasPrefix(strings.ToLower(head), mark) {
			return true
		}
	}
	return false
}
