package main

import (
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

const tryConfig = `
listen: 127.0.0.1:0
data: ./data
currency: USD
time_zone: UTC
verticals:
  auto:
    fields:
      zip: {type: zip, ping: required}
      first_name: {type: text, post: required, personal: true}
      phone: {type: phone, post: required, personal: true}
sellers:
  s:
    key_sha256: eb737c6b489e2c1fa4adfb9c7528d4c81b98d3ccad7c4273914bd75d414397e0
    campaigns:
      c: {vertical: auto, tree: t}
trees:
  t: [{contracts: [x]}]
buyers:
  b:
    contracts:
      x:
        vertical: auto
        format: boberdoo
        vars: {tenant: acme, Key: "env:TRY_KEY", TYPE: 33, SRC: north}
        ping: {url: "URL/ping"}
        post: {url: "URL/post"}
`

const tryLead = `{"campaign":"c","lead":{"zip":"85001","first_name":"Zebulon","phone":"6025550143"}}`

// tried runs the command on a config, and returns what it wrote.
func tried(t *testing.T, url, reply string, args ...string) (string, int) {
	t.Helper()
	t.Setenv("TRY_KEY", `s3cr+t"x`)
	dir := t.TempDir()
	for name, text := range map[string]string{"v.yaml": strings.ReplaceAll(tryConfig, "URL", url), "lead.json": tryLead, "reply": reply} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	args = append([]string{"buyer", "try", "--config", filepath.Join(dir, "v.yaml"), "--contract", "x", "--lead", filepath.Join(dir, "lead.json")}, args...)
	if reply != "" {
		args = append(args, "--reply", filepath.Join(dir, "reply"))
	}
	var out strings.Builder
	code := runWith(args, &out, &out)
	return out.String(), code
}

// What is shown holds no secret and no personal value, unless asked; what is pasted is read aloud.
func TestBuyerTry(t *testing.T) {
	out, code := tried(t, "https://acme.example", `{"response":{"status":"Matched","lead_id":"7","price":"21.50"}}`)
	for _, want := range []string{"POST /ping HTTP/1.1", `"Key":"(hidden)"`, "read as: a bid", "price: 21.50", "token: Lead_ID=7", "rule: response.status is Matched", `"Lead_ID":"7"`, `"First_Name":"xxxxxxx"`} {
		if !strings.Contains(out, want) {
			t.Errorf("no %q in\n%s", want, out)
		}
	}
	if code != exitFine || strings.Contains(out, "s3cr") || strings.Contains(out, "Zebulon") || strings.Contains(out, "6025550143") {
		t.Errorf("code %d\n%s", code, out)
	}
	out, _ = tried(t, "https://acme.example", "HTTP/1.1 403 Forbidden\r\nContent-Length: 2\r\n\r\nno", "--phase", "post", "--show-personal")
	if !strings.Contains(out, "Zebulon") || strings.Contains(out, "s3cr") || !strings.Contains(out, "read as: rejected") || !strings.Contains(out, "why: status 403") {
		t.Errorf("got\n%s", out)
	}
	if _, code := tried(t, "https://acme.example", "x", "--live"); code != exitUsage {
		t.Errorf("code %d", code)
	}
}

// --live sends the lead as it is, and only then does anyone hear of it.
func TestBuyerTryLive(t *testing.T) {
	var got string
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		got += r.URL.Path + string(body)
		_, _ = io.WriteString(w, `{"response":{"status":"Unmatched","error":"Duplicate"}}`)
	}))
	defer s.Close()
	if out, _ := tried(t, s.URL, ""); got != "" || !strings.Contains(out, "--- post") {
		t.Errorf("sent %q", got)
	}
	out, code := tried(t, s.URL, "", "--live", "--phase", "post", "--token", "Lead_ID=9")
	if code != exitFine || !strings.HasPrefix(got, "/post") || !strings.Contains(got, "Zebulon") || strings.Contains(out, "Zebulon") || !strings.Contains(out, "read as: rejected\nreason: duplicate") {
		t.Errorf("code %d, sent %q\n%s", code, got, out)
	}
}
