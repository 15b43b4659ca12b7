package main

import (
	"fmt"
	"testing"
)

func TestCapsTellUsedHeldAndLeft(t *testing.T) {
	s := newScene(t, "")
	s.must("contract/acme-west/total/leads  0     0     100   100", "caps")
	lead := s.doubt()
	s.must("contract/acme-west/total/leads  0     1     99    100", "caps")
	s.must("settled", "doubt", "settle", "--lead", lead, "--accepted=true")
	s.must("contract/acme-west/total/leads  1     0     99    100", "caps")
	status, out := s.ask("GET", "http://"+s.app.AdminAddr()+"/api/caps", "", "")
	caps, ok := out["caps"].([]any)
	if status != 200 || !ok || len(caps) != 1 {
		t.Fatalf("got %d %v", status, out)
	}
	if got := fmt.Sprint(caps[0]); got != "map[committed:1 held:0 id:contract/acme-west/total/leads left:99 limit:100 per:total start:1970-01-01T00:00:00Z unit:leads]" {
		t.Errorf("got %s", got)
	}
}
