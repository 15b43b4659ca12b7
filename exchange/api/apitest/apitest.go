package apitest

import (
	"bytes"
	"errors"
	"fmt"
	"mime"
	"slices"
	"strconv"
	"strings"
	"sync"

	"github.com/santhosh-tekuri/jsonschema/v6"
)

const documentURL = "urn:vendue:openapi"

// Document is a parsed OpenAPI 3.1 document. It is safe for concurrent use: mu
// guards the compiler and what it made so far; the rest never changes.
type Document struct {
	root  map[string]any
	paths []string // in the document's words

	mu       sync.Mutex
	compiler *jsonschema.Compiler
	schemas  map[string]*jsonschema.Schema // by JSON pointer
}

// Answer is one answer and what it answers.
type Answer struct {
	Admin        bool   // it came from the admin listener
	Method, Path string // the path may have a query
	Status       int
	Header       func(name string) string // "" if the answer has none
	Body         []byte
}

// Parse reads a document.
func Parse(text []byte) (*Document, error) {
	value, err := jsonschema.UnmarshalJSON(bytes.NewReader(text))
	if err != nil {
		return nil, fmt.Errorf("cannot read the document: %w", err)
	}
	root, ok := value.(map[string]any)
	if !ok || root["openapi"] != "3.1.0" {
		return nil, errors.New("expected an OpenAPI 3.1.0 document")
	}
	d := &Document{root: root, compiler: jsonschema.NewCompiler(), schemas: make(map[string]*jsonschema.Schema)}
	d.compiler.DefaultDraft(jsonschema.Draft2020)
	d.compiler.AssertFormat()
	if err := d.compiler.AddResource(documentURL, value); err != nil {
		return nil, fmt.Errorf("cannot take the document: %w", err)
	}
	for path := range object(root["paths"]) {
		d.paths = append(d.paths, path)
	}
	slices.Sort(d.paths)
	return d, nil
}

// Check returns what of an answer the document does not say: its status, a
// header that is missing or odd, its content type, its body.
func (d *Document) Check(a *Answer) error {
	where, err := d.response(a)
	if err == nil {
		err = d.checkHeaders(where, a)
	}
	if err == nil {
		err = d.checkBody(where, a)
	}
	if err != nil {
		return fmt.Errorf("%s %s: %d: %w", a.Method, a.Path, a.Status, err)
	}
	return nil
}

// CheckRequest returns what of a JSON body the document does not allow to be
// sent. A path that the document does not have has no body to be wrong.
func (d *Document) CheckRequest(admin bool, method, path string, body []byte) error {
	known, found := d.path(admin, path)
	where := d.follow(pointer("paths", known)) + pointer(strings.ToLower(method), "requestBody", "content", "application/json", "schema")
	if !found || d.at(where) == nil {
		return nil
	}
	if err := d.validate(where, body); err != nil {
		return fmt.Errorf("%s %s: the request: %w", method, path, err)
	}
	return nil
}

// CheckSent returns what of a body that the house sends the document's webhook of that name does not say.
func (d *Document) CheckSent(webhook string, body []byte) error {
	where := pointer("webhooks", webhook, "post", "requestBody", "content", "application/json", "schema")
	if d.at(where) == nil {
		return fmt.Errorf("the document has no webhook %s", webhook)
	}
	if err := d.validate(where, body); err != nil {
		return fmt.Errorf("%s: %w", webhook, err)
	}
	return nil
}

// CheckExamples holds each example of the document against the schema beside it.
func (d *Document) CheckExamples() (checked int, err error) {
	var walk func(where string, node any)
	walk = func(where string, node any) {
		for name, child := range object(node) {
			walk(where+pointer(name), child)
		}
		for i, child := range list(node) {
			walk(where+pointer(strconv.Itoa(i)), child)
		}
		n := object(node)
		if n["schema"] == nil {
			return
		}
		examples := map[string]any{}
		for name, e := range object(n["examples"]) {
			examples[name] = object(e)["value"]
		}
		if e, ok := n["example"]; ok {
			examples["example"] = e
		}
		for name, example := range examples {
			checked++
			if e := d.hold(where+"/schema", example); e != nil {
				err = errors.Join(err, fmt.Errorf("%s: %s: %w", where, name, e))
			}
		}
	}
	walk("", d.root)
	return checked, err
}

// Enum returns the words of an enumeration among the schemas, nil if it is none.
func (d *Document) Enum(name string) []string {
	var words []string
	for _, word := range list(object(d.at(pointer("components", "schemas", name)))["enum"]) {
		words = append(words, fmt.Sprint(word))
	}
	return words
}

// response finds the pointer to what the document says of an answer's status.
func (d *Document) response(a *Answer) (string, error) {
	known, found := d.path(a.Admin, a.Path)
	operation := d.follow(pointer("paths", known)) + pointer(strings.ToLower(a.Method))
	where := operation + pointer("responses", strconv.Itoa(a.Status))
	switch {
	case !found && a.Status == 404:
		where = pointer("components", "responses", "NotFound")
	case found && d.at(operation) == nil && a.Status == 405:
		where = pointer("components", "responses", "MethodNotAllowed")
		if own := d.follow(pointer("paths", known)) + pointer("post", "responses", "405"); d.at(own) != nil {
			where = own // told in another's words
		}
	}
	if where = d.follow(where); d.at(where) == nil {
		return "", errors.New("the document has no such answer")
	}
	return where, nil
}

// path finds the document's path that a request's path is one of, rather one
// without parameters.
func (d *Document) path(admin bool, path string) (string, bool) {
	path, _, _ = strings.Cut(path, "?")
	best, found := "", false
	for _, known := range d.paths {
		_, private := object(object(d.root["paths"])[known])["servers"]
		if private == admin && samePath(known, path) && (!found || !strings.Contains(known, "{")) {
			best, found = known, true
		}
	}
	return best, found
}

func samePath(known, path string) bool {
	want, got := strings.Split(known, "/"), strings.Split(path, "/")
	if len(want) != len(got) {
		return false
	}
	for i := range want {
		if strings.HasPrefix(want[i], "{") && got[i] != "" {
			continue
		}
		if want[i] != got[i] {
			return false
		}
	}
	return true
}

func (d *Document) checkHeaders(where string, a *Answer) error {
	for name := range object(object(d.at(where))["headers"]) {
		header := d.follow(where + pointer("headers", name))
		value := a.Header(name)
		if value == "" {
			if object(d.at(header))["required"] == true {
				return fmt.Errorf("the header %s is missing", name)
			}
			continue
		}
		if err := d.hold(header+"/schema", value); err != nil {
			return fmt.Errorf("the header %s: %w", name, err)
		}
	}
	return nil
}

func (d *Document) checkBody(where string, a *Answer) error {
	content := object(object(d.at(where))["content"])
	if len(content) == 0 {
		if len(a.Body) > 0 {
			return errors.New("the document has no body here")
		}
		return nil
	}
	kind, _, err := mime.ParseMediaType(a.Header("Content-Type"))
	media, ok := content[kind]
	if err != nil || !ok {
		return fmt.Errorf("the document has no content type %q here", a.Header("Content-Type"))
	}
	if object(media)["schema"] == nil {
		return nil
	}
	schema := where + pointer("content", kind, "schema")
	switch {
	case kind == "application/x-ndjson":
		for line := range bytes.Lines(a.Body) {
			if err := d.validate(schema, line); err != nil {
				return err
			}
		}
		return nil
	case strings.HasPrefix(kind, "text/"):
		return d.hold(schema, string(a.Body))
	default:
		return d.validate(schema, a.Body)
	}
}

// validate holds a JSON text against the schema at a pointer.
func (d *Document) validate(where string, text []byte) error {
	value, err := jsonschema.UnmarshalJSON(bytes.NewReader(text))
	if err != nil {
		return fmt.Errorf("not JSON: %w", err)
	}
	return d.hold(where, value)
}

// hold holds a value against the schema at a pointer.
func (d *Document) hold(where string, value any) error {
	d.mu.Lock()
	schema, ok := d.schemas[where]
	if !ok {
		var err error
		if schema, err = d.compiler.Compile(documentURL + "#" + where); err != nil {
			d.mu.Unlock()
			return fmt.Errorf("the document's own fault: %w", err)
		}
		d.schemas[where] = schema
	}
	d.mu.Unlock()
	return schema.Validate(value)
}

// follow returns where a pointer leads to if there is a reference.
func (d *Document) follow(where string) string {
	if ref, ok := object(d.at(where))["$ref"].(string); ok {
		return strings.TrimPrefix(ref, "#")
	}
	return where
}

// at returns what a pointer points to, nil if there is nothing.
func (d *Document) at(where string) any {
	var node any = d.root
	for part := range strings.SplitSeq(strings.TrimPrefix(where, "/"), "/") {
		node = object(node)[strings.NewReplacer("~1", "/", "~0", "~").Replace(part)]
	}
	return node
}

func pointer(parts ...string) string {
	var b strings.Builder
	for _, part := range parts {
		b.WriteByte('/')
		b.WriteString(strings.NewReplacer("~", "~0", "/", "~1").Replace(part))
	}
	return b.String()
}

func object(node any) map[string]any {
	o, _ := node.(map[string]any)
	return o
}

func list(node any) []any {
	l, _ := node.([]any)
	return l
}
