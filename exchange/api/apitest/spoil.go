package apitest

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
)

// Spoil is one way to make a request's body other than the document has it.
type Spoil struct {
	Name string // what was done to which property
	do   func(body map[string]any)
}

// Sample is a JSON body that the document shows as an example, and every way to spoil it that
// its schema tells of.
type Sample struct {
	body   map[string]any
	Spoils []Spoil
}

// depthMax bounds how deep spoils go; a body of ours nests two levels.
const depthMax = 4

// Sample returns the sample of a POST's JSON body, nil if the document has none.
func (d *Document) Sample(path string) *Sample {
	where := d.follow(pointer("paths", path)) + pointer("post", "requestBody", "content", "application/json")
	media := object(d.at(where))
	body := object(media["example"])
	for _, name := range slices.Sorted(maps.Keys(object(media["examples"]))) {
		if shown := object(object(object(media["examples"])[name])["value"]); len(shown) > len(body) {
			body = shown
		}
	}
	if len(body) == 0 {
		return nil
	}
	s := &Sample{body: body}
	s.walk(d, where+"/schema", body, nil)
	return s
}

// SampleOf returns the sample of a body that no schema tells of.
func SampleOf(body []byte) (*Sample, error) {
	s := &Sample{}
	if err := json.Unmarshal(body, &s.body); err != nil {
		return nil, fmt.Errorf("not an object: %w", err)
	}
	s.walk(&Document{}, "", s.body, nil)
	return s, nil
}

// With returns the sample's body after some spoils.
func (s *Sample) With(spoils ...Spoil) []byte {
	text, err := json.Marshal(s.body)
	if err != nil {
		panic("BUG: the document's example is not JSON: " + err.Error())
	}
	var body map[string]any
	if err := json.Unmarshal(text, &body); err != nil {
		panic("BUG: the document's example is no object: " + err.Error())
	}
	for _, spoil := range spoils {
		spoil.do(body)
	}
	if text, err = json.Marshal(body); err != nil {
		panic("BUG: a spoiled body is not JSON: " + err.Error())
	}
	return text
}

// walk adds the spoils of each property that a schema or an example has.
func (s *Sample) walk(d *Document, where string, shown map[string]any, path []string) {
	if len(path) == depthMax {
		return
	}
	known := d.properties(where)
	for name := range shown {
		if _, ok := known[name]; !ok {
			known[name] = ""
		}
	}
	for _, name := range slices.Sorted(maps.Keys(known)) {
		at := append(slices.Clone(path), name)
		s.property(d, known[name], at)
		if child := object(shown[name]); child != nil {
			s.walk(d, known[name], child, at)
		}
	}
	s.set(append(slices.Clone(path), "no_such_property"), "extra", "x")
}

// properties are a schema's, with the pointer to each one's own schema.
func (d *Document) properties(where string) map[string]string {
	out := map[string]string{}
	for hops := 0; where != "" && hops < 8; hops++ {
		for name := range object(object(d.at(where))["properties"]) {
			if _, ok := out[name]; !ok {
				out[name] = where + pointer("properties", name)
			}
		}
		next := d.follow(where)
		if next == where {
			break
		}
		where = next
	}
	return out
}

// rules gathers what a schema and those it refers to say.
func (d *Document) rules(where string) map[string]any {
	out := map[string]any{}
	for hops := 0; where != "" && hops < 8; hops++ {
		for key, value := range object(d.at(where)) {
			if _, ok := out[key]; !ok {
				out[key] = value
			}
		}
		next := d.follow(where)
		if next == where {
			break
		}
		where = next
	}
	return out
}

func (s *Sample) property(d *Document, where string, at []string) {
	s.Spoils = append(s.Spoils, Spoil{Name: "drop " + strings.Join(at, "."), do: func(body map[string]any) {
		if parent := reach(body, at); parent != nil {
			delete(parent, at[len(at)-1])
		}
	}})
	wrong := map[string]any{
		"null": nil, "a number": -7.5, "a huge number": 1e300, "text": "nonsense", "no text": "", "true": true, "a list": []any{1, "x"}, "an object": map[string]any{"x": 1},
		"a list of lists": []any{[]any{}}, "long text": strings.Repeat("é", 10_000), "control characters": "a\x00\x1b\n", "a long list": slices.Repeat([]any{"x"}, 300),
	}
	for _, name := range slices.Sorted(maps.Keys(wrong)) {
		s.set(at, name, wrong[name])
	}
	rules := d.rules(where)
	for _, limit := range []struct {
		key  string
		move float64
	}{{"maximum", 1}, {"minimum", -1}, {"exclusiveMinimum", 0}, {"exclusiveMaximum", 0}} {
		if bound, ok := rules[limit.key].(json.Number); ok {
			n, err := bound.Float64()
			if err == nil {
				s.set(at, "beyond its "+limit.key, n+limit.move)
				s.set(at, "beyond its "+limit.key+" as text", fmt.Sprint(n+limit.move))
			}
		}
	}
	if bound, ok := rules["maxLength"].(json.Number); ok {
		if n, err := bound.Int64(); err == nil {
			s.set(at, "too long", strings.Repeat("x", int(n)+1))
		}
	}
}

func (s *Sample) set(at []string, how string, value any) {
	s.Spoils = append(s.Spoils, Spoil{Name: strings.Join(at, ".") + " is " + how, do: func(body map[string]any) {
		if parent := reach(body, at); parent != nil {
			parent[at[len(at)-1]] = value
		}
	}})
}

// reach returns the object that a path's last name belongs to, nil if it is gone.
func reach(body map[string]any, at []string) map[string]any {
	for _, name := range at[:len(at)-1] {
		if body = object(body[name]); body == nil {
			return nil
		}
	}
	return body
}
