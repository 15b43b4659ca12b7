package main

import (
	"encoding/json"
	"net/http"
	"os"
	"strings"
	"testing"

	"vendue/cmd/app"
)

// TestCreditFromTheCommandLine has a lead brought by a click and beside it a name, and one by nobody, explained with and without a daemon.
func TestCreditFromTheCommandLine(t *testing.T) {
	k := newTracker(t)
	s := newScene(t, "")
	text, err := os.ReadFile(s.config)
	if err != nil {
		t.Fatal(err)
	}
	config := string(text) + "egress: {allow: [127.0.0.0/8]}\n" +
		"affiliates:\n  blog-42:\n    postbacks:\n      - {on: lead.sold, preset: generic, endpoint: \"" + k.URL + "/pb\"}\n" +
		"      - {on: lead.returned, url: \"" + k.URL + "/back?c={aff_click_id}&s={status}&p={payout}\"}\n" + "  site-1: {}\n" +
		"offers:\n  auto: {landing: \"https://quotes.example.com/auto\", attribution: {window: 30d}, commission: {percent: 25, of: payout, paid_by: seller}}\n"
	if err := os.WriteFile(s.config, []byte(config), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := s.app.Reload(); err != nil {
		t.Fatal(err)
	}
	k.say(200, "ok")
	sold := func(phone, source string) string {
		_, out := s.ask("POST", "http://"+s.app.PublicAddr()+"/v1/direct", northKey, `{"campaign":"north-auto","lead":{"zip":"85001","phone":"`+phone+`"}`+source+`}`)
		id, _ := out["lead_id"].(string)
		s.must("settled: accepted=true", "doubt", "settle", "--lead", id, "--accepted=true")
		return id
	}
	click := s.clickID("/c/auto?aff=blog-42&cid=their-1")
	lead := sold("6025550123", `,"source":{"affiliate":"site-1","click_id":"`+click+`"}`)
	direct := sold("6025550124", "")
	s.until("result: nobody is credited: direct", "credit", "--lead", direct)
	if status, out := s.ask("POST", "http://"+s.app.PublicAddr()+"/v1/returns", opsKey, `{"lead_id":"`+lead+`","reason":"invalid_phone"}`); status != 200 {
		t.Fatalf("a return: %d %v", status, out)
	}
	s.until("(?s)returned leg 1 .* result: returned, commission -5.00 USD.*lead.returned to blog-42 .*: delivered", "credit", "--lead", lead)
	if asked := k.requests(); asked[len(asked)-1] != "/back?c=their-1&s=returned&p=-5.00" {
		t.Errorf("the tracker was told %s", asked[len(asked)-1])
	}
	for range 2 {
		out := s.until("delivered, 1 attempts, at last accepted", "credit", "--lead", lead)
		for _, want := range []string{
			"sold leg 1 to acme-west by north", "touch: click by click_id " + click + ", affiliate blog-42, offer auto", "before: stands",
			"touch: named by name, affiliate site-1, offer auto, 0s before: weaker_evidence (better evidence decided)",
			"rule of offer auto: last_touch within 720h0m0s, 25% of payout paid by seller, earned on sold", "result: credited, commission 5.00 USD", "blog-42 5.00 USD, conversion ",
		} {
			if !strings.Contains(out, want) {
				t.Errorf("%s\nwant %s", out, want)
			}
		}
		var report app.CreditReport
		code, text := s.command("credit", "--lead", lead, "--json")
		if err := json.Unmarshal([]byte(text), &report); err != nil || code != exitFine || len(report.Decisions) != 2 || len(report.Decisions[0].Touches) != 2 {
			t.Errorf("exit %d, %v: %s", code, err, text)
		}
		if code, out := s.command("credit", "--lead", "nobody"); code != exitWanted || !strings.Contains(out, "expected the id of a lead") {
			t.Errorf("exit %d: %s", code, out)
		}
		if s.app != nil {
			s.stop()
			defer s.start()
			s.app = nil
		}
	}
}

// clickID follows a link of the house and returns the click that its landing page is told.
func (s *scene) clickID(path string) string {
	s.t.Helper()
	client := &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	resp, err := client.Get("http://" + s.app.PublicAddr() + path)
	if err != nil {
		s.t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	to, err := resp.Location()
	if err != nil {
		s.t.Fatal(err)
	}
	return to.Query().Get("click_id")
}
