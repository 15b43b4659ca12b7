package main

import (
	"crypto/sha256"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

const suppressingConfig = `
listen: 127.0.0.1:0
data: ./data
currency: USD
time_zone: UTC
verticals: {auto: {fields: {zip: {type: zip, ping: required}, email: {type: email, post: required, personal: true}}SUPPRESS}}
sellers: {north: {key_sha256: eb737c6b489e2c1fa4adfb9c7528d4c81b98d3ccad7c4273914bd75d414397e0, campaigns: {c: {vertical: auto, tree: t}}}}
buyers:
  a: {suppress: list.txt, contracts: {west: {vertical: auto, price: 20, post: {url: "http://127.0.0.1/"}}}}
  b: {contracts: {south: {vertical: auto, price: 18, suppress: list.txt, post: {url: "http://127.0.0.1/"}}, north: {vertical: auto, price: 18, post: {url: "http://127.0.0.1/"}}}}
trees: {t: [{contracts: [west, south, north]}]}
`

// TestExplainLooksIntoSuppressionLists explains a person on a list as a whole lead and as a ping, and somebody else.
func TestExplainLooksIntoSuppressionLists(t *testing.T) {
	dir := t.TempDir()
	write := func(name, text string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	write("list.txt", fmt.Sprintf("%x\n", sha256.Sum256([]byte("ann@example.com"))))
	all := "west eligible\nsouth eligible\nnorth eligible\n"
	listed := "west suppressed on a suppression list of buyer a\nsouth suppressed on a suppression list of the contract\nnorth eligible\n"
	nobody := "suppressed on a suppression list of vertical auto, which nobody is sold\n"
	for _, tc := range []struct{ name, vertical, lead, want string }{
		{"whole", "", `"zip":"85001","email":"Ann@Example.com"`, listed},
		{"another", "", `"zip":"85001","email":"bob@example.com"`, all},
		{"ping", "", `"zip":"85001"`, all},
		{"nobody", ", suppress: list.txt", `"zip":"85001","email":"ann@example.com"`, "west " + nobody + "south " + nobody + "north " + nobody},
	} {
		t.Run(tc.name, func(t *testing.T) {
			config := write("vendue.yaml", strings.Replace(suppressingConfig, "SUPPRESS", tc.vertical, 1))
			lead := write("lead.json", `{"campaign":"c","lead":{`+tc.lead+`}}`)
			var out strings.Builder
			if err := explain(&out, config, lead, time.Now()); err != nil || out.String() != tc.want {
				t.Errorf("got %q (%v), want %q", out.String(), err, tc.want)
			}
		})
	}
}
