package main

import (
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"vendue/attribution/postback"
	"vendue/cmd/app"
)

// TestTryShowsWhatEveryEventSends has an affiliate told of every kind of event, and each rendered again by
// `vendue postback try`, by the seq of what it told of: the two are the same, byte for byte.
func TestTryShowsWhatEveryEventSends(t *testing.T) {
	t.Setenv("VENDUE_TEST_TRACKER", postbackSecret)
	k := newTracker(t)
	s := newScene(t, "")
	text, err := os.ReadFile(s.config)
	if err != nil {
		t.Fatal(err)
	}
	template := k.URL + "/pb?e={event}&s={status}&p={payout?none}&c={aff_click_id}&l={lead_id?none}&sub={sub1|drop}&id={conversion_id}"
	config := string(text) + "egress: {allow: [127.0.0.0/8]}\naffiliates:\n  blog-42:\n    postbacks:\n"
	for _, event := range postback.Events() {
		config += "      - {on: " + event + ", url: \"" + template + "\"}\n"
	}
	config += "offers:\n  auto:\n    landing: \"https://quotes.example.com/auto\"\n    earn_on: confirmed_event\n    require: sold\n" +
		"    confirm: {event: bought, token: env:VENDUE_TEST_TRACKER}\n    commission: {percent: 25, of: payout, paid_by: seller}\n"
	if err := os.WriteFile(s.config, []byte(config), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := s.app.Reload(); err != nil {
		t.Fatal(err)
	}
	tell := func(click, more string) {
		url := "http://" + s.app.PublicAddr() + "/conversion?click_id=" + click + "&event=bought&txid=1&token=" + postbackSecret + more
		if status, out := s.ask("GET", url, "", ""); status != http.StatusOK {
			t.Fatalf("a conversion: %d %v", status, out)
		}
	}
	reversed, returned := s.clickID("/c/auto?aff=blog-42&cid=their-1&sub1=a%20b"), s.clickID("/c/auto?aff=blog-42&cid=their-2")
	first, second := s.sell(reversed), s.sell(returned)
	tell(reversed, "")
	tell(returned, "")
	tell(reversed, "&status=rejected")
	if status, out := s.ask("POST", "http://"+s.app.PublicAddr()+"/v1/returns", opsKey, `{"lead_id":"`+second+`","reason":"invalid_phone"}`); status != http.StatusOK {
		t.Fatalf("a return: %d %v", status, out)
	}
	s.until("0 wait, 11 are delivered", "postback", "dead")

	var tried []string
	try := func(seq uint64, on string) string {
		out := s.until("GET ", "postback", "try", "--config", s.config, "--url", template, "--seq", fmt.Sprint(seq), "--on", on)
		line := regexp.MustCompile(`(?m)^  GET (.*)$`).FindStringSubmatch(out)
		return line[1]
	}
	for _, lead := range []string{first, second} {
		for seq, events := range s.firedOf(lead) {
			for _, on := range events {
				tried = append(tried, try(seq, on))
			}
			if got := try(seq, ""); !strings.Contains(got, "/pb?e="+events[0]+"&") {
				t.Errorf("seq %d without --on is told as %s, want %s", seq, got, events[0])
			}
			out := s.until("postback ", "postback", "try", "--config", s.config, "--affiliate", "blog-42", "--seq", fmt.Sprint(seq))
			if isClick := events[0] == postback.EventClick; strings.Contains(out, " on click, ") != isClick || strings.Contains(out, " on lead.sold, ") == isClick {
				t.Errorf("the affiliate's postbacks of seq %d: %s", seq, out)
			}
		}
	}
	sent := k.requests()
	for i := range sent {
		sent[i] = k.URL + sent[i]
	}
	slices.Sort(sent)
	slices.Sort(tried)
	if !slices.Equal(sent, tried) {
		t.Errorf("sent\n%s\ntried\n%s", strings.Join(sent, "\n"), strings.Join(tried, "\n"))
	}
	all := strings.Join(tried, "\n")
	for _, want := range []string{
		"e=click&s=click&p=none&c=their-1&l=none&sub=a%20b&id=", "e=commission.pending&s=pending&p=5.00&c=their-2&l=" + second + "&id=", "e=lead.sold&s=sold&p=5.00&c=their-1&l=" + first,
		"e=commission.approved&s=approved&p=5.00&c=their-2", "e=commission.reversed&s=reversed&p=-5.00&c=their-1", "e=lead.returned&s=returned&p=-5.00&c=their-2", "e=commission.reversed&s=reversed&p=-5.00&c=their-2",
	} {
		if !strings.Contains(all, want) {
			t.Errorf("no event says %s", want)
		}
	}
}

// firedOf lists the seqs of a lead's click and decisions, and the events that each fires.
func (s *scene) firedOf(lead string) map[uint64][]string {
	s.t.Helper()
	var report app.CreditReport
	_, text := s.command("credit", "--lead", lead, "--json")
	if err := json.Unmarshal([]byte(text), &report); err != nil || len(report.Decisions) != 3 {
		s.t.Fatalf("%v: %s", err, text)
	}
	fires := map[string][]string{
		"sold":      {postback.EventCommissionPending}, // it awaits its confirmation
		"confirmed": {postback.EventLeadSold, postback.EventCommissionApproved},
		"reversed":  {postback.EventCommissionReversed},
		"returned":  {postback.EventLeadReturned, postback.EventCommissionReversed},
	}
	out := map[uint64][]string{report.Decisions[0].Touches[0].Seq: {postback.EventClick}}
	for _, d := range report.Decisions {
		out[d.Seq] = fires[d.Trigger]
	}
	return out
}
