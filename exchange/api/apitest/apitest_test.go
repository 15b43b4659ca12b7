package apitest

import (
	"strings"
	"testing"
)

const small = `{"openapi":"3.1.0","paths":{
 "/v1/{x}":{"get":{"responses":{
   "200":{"description":"","headers":{"Retry-After":{"required":true,"schema":{"pattern":"^[0-9]+$"}}},
     "content":{"application/json":{"schema":{"$ref":"#/components/schemas/A","properties":{"n":{"const":1}}},"example":{"n":2}}}},
   "302":{"description":""},
   "404":{"$ref":"#/components/responses/NotFound"}}}},
 "/v1/fixed":{"post":{"requestBody":{"content":{"application/json":{"schema":{"$ref":"#/components/schemas/A"}}}},"responses":{
   "200":{"description":"","content":{"application/x-ndjson":{"schema":{"$ref":"#/components/schemas/A"}}}}}}},
 "/private":{"servers":[],"get":{"responses":{"200":{"description":"","content":{"text/plain":{"schema":{"const":"ok\n"}}}}}}}},
"components":{
 "responses":{
   "NotFound":{"description":"","content":{"application/json":{"schema":{"const":"gone"}}}},
   "MethodNotAllowed":{"description":"","headers":{"Allow":{"required":true,"schema":{"type":"string"}}}}},
 "schemas":{"A":{"type":"object","required":["n"],"additionalProperties":false,"properties":{"n":{"type":"integer"},"at":{"format":"date-time"}}}}}}`

func TestCheck(t *testing.T) {
	d, err := Parse([]byte(small))
	if err != nil {
		t.Fatal(err)
	}
	const jsonType, lines = "application/json", "application/x-ndjson"
	for _, c := range []struct {
		request string // METHOD PATH, with "admin" before it
		status  int
		headers string // Name: value; ..
		body    string
		fault   string // a part of it; "": none
	}{
		{"GET /v1/a?q=1", 200, "Content-Type: application/json; charset=utf-8;Retry-After: 1", `{"n":1}`, ""},
		{"GET /v1/a", 200, "Content-Type: " + jsonType, `{"n":1}`, "Retry-After is missing"},
		{"GET /v1/a", 200, "Content-Type: " + jsonType + ";Retry-After: soon", `{"n":1}`, "Retry-After"},
		{"GET /v1/a", 200, "Content-Type: text/html;Retry-After: 1", `{"n":1}`, "content type"},
		{"GET /v1/a", 200, "Content-Type: " + jsonType + ";Retry-After: 1", `{"n":2}`, "/n"},
		{"GET /v1/a", 200, "Content-Type: " + jsonType + ";Retry-After: 1", `{"n":1,"m":1}`, "additional"},
		{"GET /v1/a", 200, "Content-Type: " + jsonType + ";Retry-After: 1", `{"n":1,"at":"noon"}`, "date-time"},
		{"GET /v1/a", 200, "Content-Type: " + jsonType + ";Retry-After: 1", `{"n":1`, "not JSON"},
		{"GET /v1/a", 201, "", "", "no such answer"},
		{"GET /v1/a", 302, "", "", ""},
		{"GET /v1/a", 302, "", "text", "no body"},
		{"GET /v1/a", 404, "Content-Type: " + jsonType, `"gone"`, ""},
		{"GET /nowhere", 404, "Content-Type: " + jsonType, `"gone"`, ""},
		{"GET /nowhere", 404, "Content-Type: " + jsonType, `"here"`, "gone"},
		{"GET /nowhere", 200, "", "", "no such answer"},
		{"GET /v1/", 404, "Content-Type: " + jsonType, `"gone"`, ""},
		{"GET /v1/fixed", 405, "Allow: POST", "", ""},
		{"GET /v1/fixed", 405, "", "", "Allow is missing"},
		{"GET /v1/fixed", 200, "", "", "no such answer"},
		{"POST /v1/fixed", 200, "Content-Type: " + lines, "{\"n\":1}\n{\"n\":2}\n", ""},
		{"POST /v1/fixed", 200, "Content-Type: " + lines, "{\"n\":1}\n{\"m\":2}\n", "missing property"},
		{"admin GET /private", 200, "Content-Type: text/plain", "ok\n", ""},
		{"admin GET /private", 200, "Content-Type: text/plain", "no\n", "ok"},
		{"GET /private", 200, "Content-Type: text/plain", "ok\n", "no such answer"},
	} {
		request, admin := strings.CutPrefix(c.request, "admin ")
		method, path, _ := strings.Cut(request, " ")
		err := d.Check(&Answer{Admin: admin, Method: method, Path: path, Status: c.status, Body: []byte(c.body), Header: func(name string) string {
			for header := range strings.SplitSeq(c.headers, ";") {
				if value, ok := strings.CutPrefix(header, name+": "); ok {
					return value
				}
			}
			return ""
		}})
		if (err == nil) != (c.fault == "") || (err != nil && !strings.Contains(err.Error(), c.fault)) {
			t.Errorf("%s %d %q: error %v, want %q", c.request, c.status, c.body, err, c.fault)
		}
	}
}

func TestCheckRequestAndExamples(t *testing.T) {
	d, err := Parse([]byte(small))
	if err != nil {
		t.Fatal(err)
	}
	if err := d.CheckRequest(false, "POST", "/v1/fixed", []byte(`{"n":7}`)); err != nil {
		t.Error(err)
	}
	if d.CheckRequest(false, "POST", "/v1/fixed", []byte(`{"n":"7"}`)) == nil {
		t.Error("a bad request passed")
	}
	if n, err := d.CheckExamples(); n != 1 || err == nil {
		t.Errorf("%d examples, error %v; the one there is is wrong", n, err)
	}
	if _, err := Parse([]byte(`{"openapi":"3.0.0"}`)); err == nil {
		t.Error("another version passed")
	}
}
