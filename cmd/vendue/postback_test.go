package main

import (
	"net/http"
	"net/http/httptest"
	"os"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
)

const postbackSecret = "tracker-secret-1"

// tracker is an affiliate's tracker that answers as it is told.
type tracker struct {
	*httptest.Server
	mu     sync.Mutex
	status int
	body   string
	asked  []string
}

func newTracker(t *testing.T) *tracker {
	k := &tracker{status: 200}
	k.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		k.mu.Lock()
		defer k.mu.Unlock()
		k.asked = append(k.asked, r.RequestURI)
		w.WriteHeader(k.status)
		_, _ = w.Write([]byte(k.body))
	}))
	t.Cleanup(k.Close)
	return k
}

func (k *tracker) say(status int, body string) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.status, k.body = status, body
}

func (k *tracker) requests() []string {
	k.mu.Lock()
	defer k.mu.Unlock()
	return append([]string(nil), k.asked...)
}

// until asks a command again until its output matches.
func (s *scene) until(want string, args ...string) string {
	s.t.Helper()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	re := regexp.MustCompile(want)
	for end := time.Now().Add(20 * time.Second); ; <-tick.C {
		code, out := s.command(args...)
		if code == exitFine && re.MatchString(out) {
			return out
		}
		if time.Now().After(end) {
			s.t.Fatalf("vendue %s: exit %d, %q; want %q", strings.Join(args, " "), code, out, want)
		}
	}
}

// sell makes a sold lead of blog-42's.
func (s *scene) sell(click string) string {
	s.t.Helper()
	source := `,"source":{"affiliate":"blog-42","offer":"auto","click_id":"` + click + `","sub1":"a b"}`
	_, out := s.ask("POST", "http://"+s.app.PublicAddr()+"/v1/direct", northKey, `{"campaign":"north-auto","lead":{"zip":"85001","phone":"6025550123"}`+source+`}`)
	id, _ := out["lead_id"].(string)
	s.must("settled: accepted=true", "doubt", "settle", "--lead", id, "--accepted=true")
	return id
}

// TestPostbacksFromTheCommandLine has a tracker lie, come to its senses, and say that a postback is gone.
func TestPostbacksFromTheCommandLine(t *testing.T) {
	t.Setenv("VENDUE_TEST_TRACKER", postbackSecret)
	k := newTracker(t)
	s := newScene(t, "")
	text, err := os.ReadFile(s.config)
	if err != nil {
		t.Fatal(err)
	}
	config := string(text) + "egress: {allow: [127.0.0.0/8]}\n" +
		"affiliates:\n  blog-42:\n    postbacks:\n" +
		"      - {on: lead.sold, preset: generic, endpoint: \"" + k.URL + "/pb\", secret: env:VENDUE_TEST_TRACKER}\n" +
		"      - {on: lead.sold, url: \"" + k.URL + "/two?c={click_id|required}\"}\n" +
		"offers:\n  auto: {landing: \"https://quotes.example.com/auto\", commission: {percent: 25, of: payout, paid_by: seller}}\n"
	if err := os.WriteFile(s.config, []byte(config), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := s.app.Reload(); err != nil {
		t.Fatal(err)
	}
	k.say(200, `{"success":false,"error":"no such click"}`)
	lead := s.sell("their-1")
	list := s.until(`1 shown; of 2 in all 0 wait, 0 are delivered, 1 are dead, 1 not sent`, "postback", "dead", "--attempts", "--reason", "rejected")
	if !strings.Contains(list, "dead blog-42 lead.sold "+lead+" "+k.URL+" rejected 1 attempts") || !strings.Contains(list, `rejected 200 "{\"success\":false,\"error\":\"no such click\"}"`) {
		t.Errorf("the list says %s", list)
	}
	s.must("not_sent blog-42 lead.sold "+lead+" "+k.URL+" missing_click_id", "postback", "dead", "--state", "not_sent")
	s.must("0 shown", "postback", "dead", "--affiliate", "other")
	s.must("0 replayed, 1 skipped", "postback", "replay", "--state", "not_sent")

	k.say(200, "ok")
	s.must("0 replayed, 0 skipped", "postback", "replay", "--until", "2020-01-01T00:00:00Z")
	s.must("1 replayed, 0 skipped", "postback", "replay", "--lead", lead)
	list = s.until(`1 are delivered, 0 are dead`, "postback", "dead", "--state", "delivered", "--attempts")
	if !strings.Contains(list, "rejected 200") || !strings.Contains(list, "accepted 200") {
		t.Errorf("a replayed one does not keep its attempts: %s", list)
	}
	asked := k.requests()
	if len(asked) != 2 || asked[0] != asked[1] || !strings.Contains(asked[0], "click_id=their-1&") || !strings.HasSuffix(asked[0], "&token="+postbackSecret) {
		t.Errorf("asked %q", asked)
	}
	s.must("0 replayed, 0 skipped", "postback", "replay", "--lead", lead)

	k.say(410, "")
	second := s.sell("their-2")
	s.until(second+".* gone 1 attempts", "postback", "dead", "--reason", "gone")
	off := s.until("1 switched off", "postback", "disabled")
	notice, _, _ := strings.Cut(off, " ")
	s.must("0 replayed, 1 skipped", "postback", "replay", "--reason", "gone")
	s.must("enabled", "postback", "enable", "--notice", notice)
	s.must("was not switched off", "postback", "enable", "--notice", notice)
	s.must("0 switched off", "postback", "disabled")
	k.say(200, "duplicate")
	s.must("1 replayed, 0 skipped", "postback", "replay", "--reason", "gone")
	s.until("2 are delivered, 0 are dead", "postback", "dead")

	s.tries(lead)
	s.refuses()
	s.must("sound:", "verify")
}

// tries renders postbacks against the first lead's sale, beside the daemon and without it.
func (s *scene) tries(lead string) {
	s.t.Helper()
	for range 2 {
		out := s.until("(?s)preset generic.*not sent: missing_click_id", "postback", "try", "--config", s.config, "--affiliate", "blog-42", "--lead", lead)
		for _, want := range []string{`{aff_click_id} "their-1"  the lead's source.click_id`, `{payout} "5.00"`, `{secret} (the config's secret)`, "click_id=their-1&", "&token=-hidden-"} {
			if !strings.Contains(out, want) {
				s.t.Errorf("try says %s, want %s", out, want)
			}
		}
		if strings.Contains(out, postbackSecret) {
			s.t.Errorf("try tells a secret: %s", out)
		}
		seq := regexp.MustCompile(`of seq (\d+), which is blog-42's`).FindStringSubmatch(out)
		if seq == nil {
			s.t.Fatalf("try says %s", out)
		}
		n, _ := strconv.Atoi(seq[1])
		s.must("GET https://x.example/?s=a%20b&e=lead.sold\n", "postback", "try", "--config", s.config, "--url", "https://x.example/?s={s1}&e={event}", "--seq", strconv.Itoa(n))
		if s.app != nil {
			s.stop()
			defer s.start()
			s.app = nil
		}
	}
}

// refuses checks what the commands say to wrong usage.
func (s *scene) refuses() {
	s.t.Helper()
	for want, args := range map[string][]string{
		"one of the two":           {"try", "--config", s.config, "--seq", "1"},
		"--seq or --lead":          {"try", "--config", s.config, "--affiliate", "blog-42"},
		"the affiliate has 2":      {"try", "--config", s.config, "--affiliate", "blog-42", "--n", "3", "--seq", "1"},
		"no such affiliate":        {"try", "--config", s.config, "--affiliate", "x", "--seq", "1"},
		"no such sold leg":         {"try", "--config", s.config, "--affiliate", "blog-42", "--seq", "1"},
		"unknown macro {payot}":    {"try", "--config", s.config, "--url", "https://x.example/{payot}", "--seq", "1", "--on", "click", "--lead", ""},
		"state: expected waiting":  {"dead", "--state", "gone"},
		"event: expected one of":   {"dead", "--event", "lead.sould"},
		"lead_id: expected the id": {"dead", "--lead", "x"},
		"from: expected a time":    {"replay", "--from", "yesterday"},
		"state: expected dead or":  {"replay", "--state", "delivered"},
		"16 hexadecimal digits":    {"enable", "--notice", "x"},
	} {
		if code, out := s.command(append([]string{"postback"}, args...)...); code == exitFine || !strings.Contains(out, want) {
			s.t.Errorf("%v: exit %d, %q; want %q", args, code, out, want)
		}
	}
}
