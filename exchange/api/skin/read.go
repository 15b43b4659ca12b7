package skin

import (
	"encoding/xml"
	"errors"
	"io"
	"net/url"
	"strings"
	"unicode/utf8"

	"github.com/tidwall/gjson"
)

// Limits of a foreign body.
const (
	pairsMax    = 512
	bracketsMax = 256 // of JSON
	depthMax    = 16
	nameMax     = 256 // bytes
)

// Input is a request as it came.
type Input struct {
	ContentType string
	Accept      string
	Query       string // raw
	Body        string // must outlive the Request
	Key         string // of the header that the native face knows, "" if none
}

// kind says how a value was written.
type kind uint8

const (
	kindText kind = iota
	kindBare      // a JSON number, true or false
	kindList
)

// pair is one value of a request. Path is normalised, Name as it was written last on it.
type pair struct {
	path  string
	name  string
	value string
	kind  kind
}

// What cannot be read at all.
var (
	errType    = errors.New("expected a form, JSON or XML")
	errCharset = errors.New("expected UTF-8")
	errForm    = errors.New("the form is not well written")
	errJSON    = errors.New("the body is not a JSON object")
	errXML     = errors.New("the body is not well-formed XML without DTD and entities of its own")
	errMany    = errors.New("the request has more than 512 values")
	errDeep    = errors.New("the body nests too deep")
	errName    = errors.New("a name is longer than 256 bytes")
)

// pairs reads every value of the query and the body.
func pairs(in *Input) ([]pair, error) {
	p := &pairReader{}
	if err := p.form(in.Query); err != nil {
		return nil, err
	}
	kind, params, _ := strings.Cut(strings.ToLower(in.ContentType), ";")
	if _, charset, ok := strings.Cut(params, "charset="); ok {
		charset = strings.Trim(strings.TrimSpace(charset), `"`)
		if charset != "utf-8" && charset != "utf8" && charset != "us-ascii" {
			return nil, errCharset
		}
	}
	if !utf8.ValidString(in.Body) {
		return nil, errCharset
	}
	if strings.TrimSpace(in.Body) == "" {
		return p.pairs, nil
	}
	err := p.body(strings.TrimSpace(kind), in.Body)
	return p.pairs, err
}

type pairReader struct {
	pairs []pair
}

// body reads a body by what it is said to be, or, unsaid, by how it begins.
func (p *pairReader) body(kind, text string) error {
	switch {
	case kind == "application/json" || strings.HasSuffix(kind, "+json"):
		return p.json(text)
	case kind == "application/xml" || kind == "text/xml" || strings.HasSuffix(kind, "+xml"):
		return p.xml(text)
	case kind == "application/x-www-form-urlencoded" || kind == "" || kind == "text/plain" || kind == "application/octet-stream":
	default:
		return errType
	}
	// Senders leave the type at their library's default and send what they like.
	switch strings.TrimSpace(text)[0] {
	case '{':
		return p.json(text)
	case '<':
		return p.xml(text)
	default:
		return p.form(strings.TrimSpace(text))
	}
}

func (p *pairReader) add(path, value string, k kind) error {
	if len(path) > nameMax {
		return errName
	}
	if len(p.pairs) == pairsMax {
		return errMany
	}
	p.pairs = append(p.pairs, pair{path: norm(path), name: path[strings.LastIndexByte(path, '.')+1:], value: value, kind: k})
	return nil
}

func (p *pairReader) form(text string) error {
	for text != "" {
		var part string
		part, text, _ = strings.Cut(text, "&")
		if part == "" {
			continue
		}
		key, value, _ := strings.Cut(part, "=")
		k, err := url.QueryUnescape(key)
		if err != nil {
			return errForm
		}
		v, err := url.QueryUnescape(value)
		if err != nil {
			return errForm
		}
		if !utf8.ValidString(k) || !utf8.ValidString(v) {
			return errCharset
		}
		if err := p.add(k, v, kindText); err != nil {
			return err
		}
	}
	return nil
}

func (p *pairReader) json(text string) error {
	if strings.Count(text, "{")+strings.Count(text, "[") > bracketsMax {
		return errDeep
	}
	if !gjson.Valid(text) {
		return errJSON
	}
	root := gjson.Parse(text)
	if !root.IsObject() {
		return errJSON
	}
	return p.object("", root, 0)
}

func (p *pairReader) object(prefix string, v gjson.Result, depth int) (err error) {
	if depth > depthMax {
		return errDeep
	}
	v.ForEach(func(key, value gjson.Result) bool {
		path := prefix + key.Str
		switch {
		case value.IsObject() && depth == 0 && strings.EqualFold(key.Str, "request"):
			err = p.object("", value, depth+1)
		case value.IsObject():
			err = p.object(path+".", value, depth+1)
		case value.IsArray():
			err = p.add(path, "", kindList)
		case value.Type == gjson.Null:
		case value.Type == gjson.String:
			err = p.add(path, value.Str, kindText)
		default:
			err = p.add(path, value.Raw, kindBare)
		}
		return err == nil
	})
	return err
}

// xml takes the text of every element that holds no other, by the names on the way to it.
func (p *pairReader) xml(text string) error {
	d := xml.NewDecoder(strings.NewReader(text))
	var open []string
	var value strings.Builder
	leaf, rooted := false, false
	for {
		token, err := d.Token()
		switch {
		case errors.Is(err, io.EOF):
			if len(open) > 0 || !rooted {
				return errXML
			}
			return nil
		case err != nil:
			return errXML
		}
		switch t := token.(type) {
		case xml.StartElement:
			if len(open) == 0 && rooted {
				return errXML
			}
			if len(open) == depthMax {
				return errDeep
			}
			open, rooted, leaf = append(open, t.Name.Local), true, true
			value.Reset()
		case xml.EndElement:
			if leaf && len(open) > 1 {
				if err := p.add(strings.Join(open[1:], "."), strings.TrimSpace(value.String()), kindText); err != nil {
					return err
				}
			}
			open, leaf = open[:len(open)-1], false
		case xml.CharData:
			if len(open) == 0 && strings.TrimSpace(string(t)) != "" {
				return errXML
			}
			value.Write(t)
		case xml.Directive:
			return errXML
		}
	}
}
