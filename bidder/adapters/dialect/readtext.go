package dialect

import (
	"encoding/csv"
	"encoding/xml"
	"errors"
	"io"
	"net/url"
	"strconv"
	"strings"

	"golang.org/x/text/encoding/htmlindex"
)

// Limits on answers other than JSON; the answer as a whole is bounded by the transport.
const (
	formFieldsMax = 256
	csvFieldsMax  = 64
	xmlTokensMax  = 20_000
)

// unescaper undoes one layer of XML's own entities.
var unescaper = strings.NewReplacer("&lt;", "<", "&gt;", ">", "&quot;", `"`, "&apos;", "'", "&#39;", "'", "&#34;", `"`, "&amp;", "&")

// readXML reads an answer in XML. No document type is taken, so there are no
// entities but XML's own five; a document that was escaped as a whole, or that
// lies as text within one element, is read as what it was meant to be.
func readXML(text string, root *node, k *sink) (fault string) {
	if isHTML(text) {
		return faultHTML
	}
	for range 2 {
		if strings.HasPrefix(text, "&lt;") {
			text = strings.TrimSpace(unescaper.Replace(text))
		}
		inner, fault := walkXML(text, root, k)
		if fault != "" || inner == "" {
			return fault
		}
		doc := k.doc
		*doc = document{body: doc.body}
		*k = sink{doc: doc}
		text = inner
	}
	return faultXML
}

// xmlReader is the walk through one document.
type xmlReader struct {
	sink  *sink
	stack []*xmlLevel
}

type xmlLevel struct {
	node     *node
	own      *node // of a root that paths do not name, if it is itself a value
	text     strings.Builder
	children bool
	item     bool // this element is one bid of a list
}

// walkXML returns the document that lies as text within the only element, if one does.
func walkXML(text string, root *node, k *sink) (inner, fault string) {
	dec := xml.NewDecoder(strings.NewReader(text))
	dec.CharsetReader = func(label string, in io.Reader) (io.Reader, error) {
		enc, err := htmlindex.Get(label)
		if err != nil {
			return nil, err
		}
		return enc.NewDecoder().Reader(in), nil
	}
	r := xmlReader{sink: k, stack: []*xmlLevel{{node: root}}}
	for range xmlTokensMax {
		token, err := dec.Token()
		if errors.Is(err, io.EOF) {
			if !r.stack[0].children || len(r.stack) > 1 {
				return "", faultXML
			}
			return inner, ""
		}
		if err != nil {
			return "", faultXML
		}
		switch t := token.(type) {
		case xml.StartElement:
			if len(r.stack) == 1 && r.stack[0].children {
				return "", faultXML // two roots
			}
			if len(r.stack) > depthMax {
				return "", faultDeep
			}
			r.open(&t)
		case xml.EndElement:
			inner = r.close()
		case xml.CharData:
			if level := r.top(); len(r.stack) > 1 {
				level.text.Write(t)
			} else if strings.TrimSpace(string(t)) != "" {
				return "", faultXML
			}
		case xml.Directive:
			return "", faultXML // a document type: nothing good comes of one
		}
	}
	return "", faultXML
}

func (r *xmlReader) top() *xmlLevel { return r.stack[len(r.stack)-1] }

func (r *xmlReader) open(t *xml.StartElement) {
	parent := r.top()
	parent.children = true
	level := &xmlLevel{node: parent.node.find(t.Name.Local)}
	if root := level.node; len(r.stack) == 1 && (root == nil || len(root.children) == 0 && root.each == nil) {
		level.node, level.own = parent.node, root // paths that do not name the root begin within it
	}
	if n := level.node; n != nil && n.each != nil && r.sink.item == 0 {
		r.sink.doc.listed = true
		level.item, level.node = true, nil
		if r.sink.begin() {
			level.node = n.each
		}
	}
	for _, a := range t.Attr {
		to := level.node.find("@" + a.Name.Local)
		if to == nil {
			to = level.node.find(a.Name.Local) // an attribute is found as an element is, unless a path says @
		}
		r.sink.set(to, isText, a.Value)
	}
	r.stack = append(r.stack, level)
}

// close ends an element. Text within the root that is a document itself is returned.
func (r *xmlReader) close() (inner string) {
	level := r.top()
	r.stack = r.stack[:len(r.stack)-1]
	text := strings.TrimSpace(level.text.String())
	if len(r.stack) == 1 && !level.children && strings.HasPrefix(text, "<") {
		inner = text
	}
	kind := isText
	if level.children {
		kind = isTable
	} else if strings.Contains(text, "&") {
		text = unescaper.Replace(text) // escaped twice
	}
	if level.own != nil {
		r.sink.set(level.own, kind, text)
	} else {
		r.sink.set(level.node, kind, text)
	}
	if level.item {
		r.sink.item = 0
	}
	return inner
}

// readForm reads key=value pairs with & between.
func readForm(text string, root *node, k *sink) (fault string) {
	for range formFieldsMax {
		var pair string
		pair, text, _ = strings.Cut(text, "&")
		key, value, ok := strings.Cut(pair, "=")
		if pair != "" && !ok {
			return faultForm
		}
		key, err := unescapeForm(key)
		if err == nil {
			value, err = unescapeForm(value)
		}
		if err != nil {
			return faultForm
		}
		k.set(root.find(key), isText, strings.TrimSpace(value))
		if text == "" {
			return ""
		}
	}
	return faultForm
}

func unescapeForm(s string) (string, error) {
	if !strings.ContainsAny(s, "%+") {
		return s, nil
	}
	return url.QueryUnescape(s)
}

// readCSV reads one record; a path is the number of a value, from 0.
func readCSV(text string, root *node, k *sink) (fault string) {
	r := csv.NewReader(strings.NewReader(text))
	r.TrimLeadingSpace, r.FieldsPerRecord = true, -1
	record, err := r.Read()
	if err != nil || len(record) > csvFieldsMax {
		return faultCSV
	}
	if _, err := r.Read(); !errors.Is(err, io.EOF) {
		return faultCSV
	}
	for i, value := range record {
		k.set(root.find(strconv.Itoa(i)), isText, strings.TrimSpace(value))
	}
	return ""
}
