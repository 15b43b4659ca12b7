package main

import (
	"encoding/json"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

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
	tried := s.until("on lead.returned, of seq", "postback", "try", "--config", s.config, "--affiliate", "blog-42", "--lead", lead)
	if strings.Count(tried, " on lead.sold, of seq") != 1 || !strings.Contains(tried, "p=-5.00") {
		t.Errorf("the return is told as a sale, or not as a return:\n%s", tried)
	}
	s.reconciles(lead)
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
		if code, out := s.command("reconcile", "--affiliate", "blog-42", "--file", os.DevNull, "--from", "2020-01-01", "--to", "2030-01-01"); code != exitWanted || !strings.Contains(out, "names the columns") {
			t.Errorf("exit %d: %s", code, out)
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

// reconciles holds lists of blog-42's against its one credit, which was given back.
func (s *scene) reconciles(lead string) {
	s.t.Helper()
	list := filepath.Join(s.t.TempDir(), "theirs.csv")
	now := time.Now().UTC()
	args := []string{
		"reconcile", "--affiliate", "blog-42", "--file", list, "--from", now.AddDate(0, 0, -3).Format(time.DateOnly), "--to", now.AddDate(0, 0, 3).Format(time.DateOnly),
	}
	for _, c := range []struct {
		text, want string
		code       int
		more       []string
	}{
		{"sub1;payout;status\ntheir-1;5,00;declined\n", "matched                               1           0.00           0.00           0.00", exitFine, nil},
		{"sub1;payout;status\ntheir-1;5,00;approved\ntheir-2;1,00;\n", "only_theirs.after_return              1           0.00           5.00           5.00", exitWanted, nil},
		{"sub1;payout\ntheir-1;5,00\ntheir-1;5,00\n", "only_theirs.duplicate,3,", exitWanted, []string{"--format", "csv"}},
		{"order;payout\n" + lead + ";5,00\n", `"class": "only_theirs.after_return"`, exitWanted, []string{"--format", "json", "--columns", "id=order"}},
		{"sub1;payout\nTotal;\n", "line 2, column 2: expected an amount", exitWanted, nil},
		{"sub1;payout\nTotal;\ntheir-1;0\n", "left out: line 2", exitWanted, []string{"--skip-bad"}},
		{"sub1;payout\n", "0 lines of theirs", exitFine, nil},
		{"", "--edge", exitUsage, []string{"--edge", "-1h"}},
		{"", "--zone", exitUsage, []string{"--zone", "Mars"}},
		{"", "--decimal", exitUsage, []string{"--decimal", ";"}},
		{"", "--format", exitUsage, []string{"--format", "xml"}},
		{"", "--to: expected a time after", exitUsage, []string{"--to", "2020-01-01"}},
		{"", "--from: expected a day", exitUsage, []string{"--from", "yesterday"}},
		{"", "--columns", exitUsage, []string{"--columns", "x=y"}},
	} {
		if err := os.WriteFile(list, []byte(c.text), 0o600); err != nil {
			s.t.Fatal(err)
		}
		code, out := s.command(append(append([]string{}, args...), c.more...)...)
		if code != c.code || !strings.Contains(out, c.want) {
			s.t.Errorf("%q: exit %d, %s\nwant exit %d, %s", c.text, code, out, c.code, c.want)
		}
	}
	if status, _ := s.ask("GET", "http://"+s.app.AdminAddr()+"/api/conversions?affiliate=blog-42", northKey, ""); status != http.StatusUnauthorized {
		s.t.Errorf("a seller is told conversions: %d", status)
	}
	if status, out := s.ask("GET", "http://"+s.app.AdminAddr()+"/api/conversions?affiliate=blog-42", opsKey, ""); status != http.StatusUnprocessableEntity {
		s.t.Errorf("no window: %d %v", status, out)
	}
}
