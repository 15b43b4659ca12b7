package e2e

import (
	"encoding/json"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"vendue/bench/house"
	"vendue/bench/world"
)

// route is a path of the document and what may be asked of it.
type route struct {
	path    string
	admin   bool
	methods []string
}

// routes reads the document's paths.
func (s *scene) routes() (out []route) {
	s.t.Helper()
	r, err := s.admin.Fetch("/openapi.json", "")
	s.ok(err)
	type item map[string]json.RawMessage
	var document struct {
		Paths      map[string]item `json:"paths"`
		Components struct {
			PathItems map[string]item `json:"pathItems"`
		} `json:"components"`
	}
	s.ok(json.Unmarshal(r.Body, &document))
	for _, path := range slices.Sorted(maps.Keys(document.Paths)) {
		is := document.Paths[path]
		one := route{path: path, admin: is["servers"] != nil}
		if ref := is["$ref"]; ref != nil {
			name := strings.Trim(string(ref), `"`)
			is = document.Components.PathItems[name[strings.LastIndexByte(name, '/')+1:]]
		}
		for _, method := range []string{"GET", "HEAD", "POST", "PUT", "DELETE"} {
			if is[strings.ToLower(method)] != nil {
				one.methods = append(one.methods, method)
			}
		}
		out = append(out, one)
	}
	return out
}

// Every path of the document is served by the methods it names, and refuses any
// other with a body of its kind: the scene holds each answer against the document.
func TestDocumentedRoutesAreServed(t *testing.T) {
	s := newScene(t)
	s.buyer("acme", bids(20))
	s.cfg.Campaign = []string{"window: 250ms", everySkin, "spec_sha256: " + house.KeyHash(pageSecret)}
	s.start()
	l := s.lead()
	q := s.quote(&l)
	sold := s.post(&q, &l, "")
	s.is(&sold, 200, "status", "sold")
	fill := strings.NewReplacer("{lead_id}", sold.Get("lead_id").String(), "{ping_id}", q.Get("ping_id").String(), "{secret}", pageSecret,
		"{offer}", "auto", "{profile}", "cmdline", "{flow}", "north-auto", "{source}", "north")
	served := s.routes()
	if len(served) < 50 {
		t.Fatalf("the document has %d paths", len(served))
	}
	for _, r := range served {
		client := s.api
		if r.admin {
			client = s.admin
		}
		path := fill.Replace(r.path)
		for _, method := range r.methods {
			call := world.Call{Method: method, Path: path, Key: house.NorthKey}
			if method == "POST" {
				call.Body = []byte("{}")
			}
			got, err := client.Do(call)
			s.ok(err)
			if got.Status == 405 || strings.Contains(string(got.Body), "no such path") {
				t.Errorf("%s %s is in the document and not served: %d %s", method, path, got.Status, got.Body)
			}
		}
		if strings.HasPrefix(path, "/debug/pprof/") {
			continue // its handler takes any method
		}
		got, err := client.Do(world.Call{Method: "DELETE", Path: path, Key: house.NorthKey})
		s.ok(err)
		if got.Status != 405 || len(got.Body) == 0 {
			t.Errorf("DELETE %s: %d %q", path, got.Status, got.Body)
		}
	}
}

// Every path that the house's own code compares with is in the document.
func TestServedRoutesAreDocumented(t *testing.T) {
	s := newScene(t)
	s.buyer("acme", bids(20))
	s.start()
	var known []string
	for _, r := range s.routes() {
		known = append(known, r.path)
	}
	literal := regexp.MustCompile("\"(/(?:v1|api|c|p\\.gif|conversion|spec|metrics|healthz|readyz|openapi\\.json|debug|new_api|ping|post|direct|lead|flows)[a-zA-Z0-9_./]*)\"")
	found := 0
	for _, room := range []string{"cmd/app", "cmd/app/live", "exchange/api", "exchange/api/skin", "attribution/track"} {
		files, err := filepath.Glob(filepath.Join("..", "..", room, "*.go"))
		if err != nil || len(files) == 0 {
			t.Fatalf("%s: %v", room, err)
		}
		for _, file := range files {
			if strings.HasSuffix(file, "_test.go") {
				continue
			}
			source, err := os.ReadFile(file)
			s.ok(err)
			for _, m := range literal.FindAllStringSubmatch(string(source), -1) {
				found++
				if !slices.ContainsFunc(known, func(k string) bool {
					return k == m[1] || k == m[1]+"/" || (strings.HasSuffix(m[1], "/") && strings.HasPrefix(k, m[1]))
				}) {
					t.Errorf("%s serves %s, which the document does not have", file, m[1])
				}
			}
		}
	}
	if found < 60 {
		t.Errorf("found %d paths in the code; expected at least 60", found)
	}
}
