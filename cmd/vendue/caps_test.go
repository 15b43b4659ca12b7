package main

import (
	"fmt"
	"os"
	"strings"
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

func TestBalanceIsPaidIn(t *testing.T) {
	s := newScene(t, "")
	config, err := os.ReadFile(s.config)
	if err != nil {
		t.Fatal(err)
	}
	text := strings.Replace(string(config), "  acme:\n", "  acme:\n    prepaid: {opening: 25}\n", 1)
	if err := os.WriteFile(s.config, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := s.app.Reload(); err != nil {
		t.Fatal(err)
	}
	s.must("buyer/acme/total/balance        0.00  0.00  25.00  25.00", "caps")
	s.doubt()
	s.must("buyer/acme/total/balance        0.00  20.00  5.00  25.00", "caps")
	s.must("acme: 35.00 paid in, 0.00 spent, 20.00 held, 15.00 left", "balance", "add", "--buyer", "acme", "--amount", "10", "--paid", "25")
	for want, args := range map[string][]string{
		"another amount stands as paid in: 35.00": {"--buyer", "acme", "--amount", "10", "--paid", "25"},
		"15.00 are left":        {"--buyer", "acme", "--amount=-16"},
		"no buyer of that name": {"--buyer", "nobody", "--amount", "5"},
	} {
		if code, out := s.command(append([]string{"balance", "add"}, args...)...); code != exitWanted || !strings.Contains(out, want) {
			t.Errorf("exit %d, %q; want %q", code, out, want)
		}
	}
	if code, out := s.command("balance", "add", "--buyer", "acme", "--amount", "ten"); code != exitUsage || !strings.Contains(out, "--amount") {
		t.Errorf("exit %d, %q", code, out)
	}
	admin := "http://" + s.app.AdminAddr() + "/api/balance"
	for _, c := range []struct {
		key, body string
		status    int
	}{{northKey, `{"buyer":"acme","amount":1}`, 401}, {opsKey, `{"buyer":"acme"}`, 422}, {opsKey, `{"buyer":"acme","amount":0}`, 422}, {opsKey, `{"buyer":"acme","amount":"1.5"}`, 200}} {
		if status, out := s.ask("POST", admin, c.key, c.body); status != c.status {
			t.Errorf("%s: %d %v", c.body, status, out)
		}
	}
	s.must("sound:", "verify")
}

func TestPingsTellWhatIsWorthSending(t *testing.T) {
	s := newScene(t, "")
	s.doubt()
	s.must("acme-west  closed   1      0       0        0", "pings")
	s.buyer.Close()
	for range 30 {
		s.ask("POST", "http://"+s.app.PublicAddr()+"/v1/ping", northKey, `{"campaign":"north-auto","lead":{"zip":"85001"}}`)
	}
	s.must("acme-west  open     ", "pings")
	status, out := s.ask("POST", "http://"+s.app.PublicAddr()+"/v1/ping", northKey, `{"campaign":"north-auto","lead":{"zip":"85001"}}`)
	if status != 200 || out["reason"] != "no_eligible_contract" {
		t.Errorf("with the only breaker open: %d %v", status, out)
	}
	s.must("breaker", "explain", "--ping", out["ping_id"].(string))
}
