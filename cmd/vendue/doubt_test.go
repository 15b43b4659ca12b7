package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"vendue/cmd/app"
)

// The demo keys of configs/vendue.yaml.
const (
	northKey = "vd_demo_north_0000000000000000"
	opsKey   = "vd_demo_ops_000000000000000000"
)

const doubtConfig = `listen: 127.0.0.1:0
admin: 127.0.0.1:0
data: ./data
currency: USD
time_zone: UTC
log_level: error
verticals:
  auto:
    fields:
      zip: {type: zip, ping: required}
      phone: {type: phone, post: required, personal: true}
operators:
  ops: {key_sha256: 3e8584ad5602ce6b1483ba5ea817181aee6284161011ccdc17eb7b3185d593ae}
sellers:
  north:
    key_sha256: eb737c6b489e2c1fa4adfb9c7528d4c81b98d3ccad7c4273914bd75d414397e0
    campaigns:
      north-auto: {vertical: auto, tree: auto, floor: 5.00}
buyers:
  acme:
    contracts:
      acme-west:
        vertical: auto
        caps: [{per: total, leads: 100}]
        ping: {url: "%[1]s/ping"}
        post: {url: "%[1]s/post"}
        %[2]s
trees:
  auto: [{contracts: [acme-west]}]
`

// scene is a whole exchange in a directory, and one buyer that never says what it did with a post.
type scene struct {
	t      *testing.T
	app    *app.App
	config string
	data   string
	buyer  *httptest.Server

	mu      sync.Mutex
	verdict string   // what the status URL says
	looked  []string // its requests' targets
}

func newScene(t *testing.T, lines string) *scene {
	s := &scene{t: t}
	dir := t.TempDir()
	s.config, s.data = filepath.Join(dir, "vendue.yaml"), filepath.Join(dir, "data")
	s.buyer = httptest.NewServer(http.HandlerFunc(s.serve))
	t.Cleanup(s.buyer.Close)
	if err := os.WriteFile(s.config, fmt.Appendf(nil, doubtConfig, s.buyer.URL, strings.ReplaceAll(lines, "URL", s.buyer.URL)), 0o600); err != nil {
		t.Fatal(err)
	}
	s.start()
	t.Cleanup(s.stop)
	return s
}

func (s *scene) serve(w http.ResponseWriter, r *http.Request) {
	switch {
	case r.URL.Path == "/ping":
		_, _ = io.WriteString(w, `{"bid":20,"token":"a/b"}`)
	case strings.HasPrefix(r.URL.Path, "/status/"):
		s.mu.Lock()
		defer s.mu.Unlock()
		s.looked = append(s.looked, r.RequestURI)
		if s.verdict == "" {
			w.WriteHeader(http.StatusNotFound)
			return
		}
		_, _ = io.WriteString(w, s.verdict)
	default:
		w.WriteHeader(http.StatusInternalServerError)
	}
}

func (s *scene) start() {
	a, err := app.New(app.Options{Config: s.config, Log: io.Discard})
	if err == nil {
		err = a.Start()
	}
	if err != nil {
		s.t.Fatal(err)
	}
	s.app = a
}

func (s *scene) stop() {
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	if err := s.app.Stop(ctx); err != nil {
		s.t.Error(err)
	}
}

// ask sends a request and returns the status and the answer's fields.
func (s *scene) ask(method, url, key, body string) (int, map[string]any) {
	s.t.Helper()
	req, err := http.NewRequest(method, url, strings.NewReader(body))
	if err != nil {
		s.t.Fatal(err)
	}
	req.Header.Set("X-Api-Key", key)
	req.Header.Set("Content-Type", "application/json")
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		s.t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	var out map[string]any
	if err := json.NewDecoder(resp.Body).Decode(&out); err != nil {
		s.t.Fatal(err)
	}
	return resp.StatusCode, out
}

// doubt makes a lead whose outcome nobody knows.
func (s *scene) doubt() string {
	s.t.Helper()
	status, out := s.ask("POST", "http://"+s.app.PublicAddr()+"/v1/direct", northKey, `{"campaign":"north-auto","lead":{"zip":"85001","phone":"6025550123"}}`)
	if status != 202 || out["status"] != "pending" {
		s.t.Fatalf("got %d %v", status, out)
	}
	return out["lead_id"].(string)
}

func (s *scene) lead(id string) string {
	_, out := s.ask("GET", "http://"+s.app.PublicAddr()+"/v1/leads/"+id, northKey, "")
	return out["status"].(string)
}

// command runs a command as its user does and returns its exit code and output.
func (s *scene) command(args ...string) (int, string) {
	s.t.Helper()
	var out bytes.Buffer
	code := runWith(append(args, "--data", s.data), &out, &out)
	return code, out.String()
}

func (s *scene) must(want string, args ...string) {
	s.t.Helper()
	if code, out := s.command(args...); code != exitFine || !strings.Contains(out, want) {
		s.t.Fatalf("vendue %s: exit %d, %q; want %q", strings.Join(args, " "), code, out, want)
	}
}

func TestDoubtBySettling(t *testing.T) {
	s := newScene(t, "")
	one, two := s.doubt(), s.doubt()
	s.must("2 in doubt, 2 shown", "doubt", "list")
	s.must(one+" ", "doubt", "list")
	s.must("settled: accepted=false", "doubt", "settle", "--lead", one, "--accepted=false")
	s.must("settled before: accepted=false", "doubt", "settle", "--lead", one, "--accepted=false")
	if got := s.lead(one); got != "rejected" {
		t.Errorf("the seller is told %s", got)
	}
	if code, out := s.command("doubt", "settle", "--lead", one, "--accepted=true"); code != exitWanted || !strings.Contains(out, "conflict is on record") {
		t.Errorf("a late accept: exit %d, %q", code, out)
	}
	s.must("1 open, 1 shown", "conflicts", "list")
	s.must("stands rejected, accepted=true by operator", "conflicts", "list")

	admin := "http://" + s.app.AdminAddr()
	if status, _ := s.ask("POST", admin+"/api/conflicts/close", northKey, `{"lead_id":"`+one+`"}`); status != 401 {
		t.Errorf("a seller closes a conflict: %d", status)
	}
	if status, _ := s.ask("POST", admin+"/api/conflicts/close", opsKey, `{"lead_id":"`+two+`"}`); status != 404 {
		t.Errorf("a lead without a conflict: %d", status)
	}
	if status, out := s.ask("POST", admin+"/api/conflicts/close", opsKey, `{"lead_id":"`+one+`"}`); status != 200 || out["repeated"] != false {
		t.Errorf("got %d %v", status, out)
	}
	s.must("closed before", "conflicts", "close", "--lead", one)
	s.must("0 open, 0 shown", "conflicts", "list")
	s.must(`"operator":"ops"`, "log", "--type", "conflict_closed")
	s.must("sound:", "verify")
	if status, out := s.ask("GET", admin+"/api/doubt", opsKey, ""); status != 200 || out["total"] != 1.0 {
		t.Errorf("got %d %v", status, out)
	}
}

func TestDoubtByImport(t *testing.T) {
	s := newScene(t, "")
	accepted, rest, refused := s.doubt(), s.doubt(), s.doubt()
	s.must("settled: accepted=false", "doubt", "settle", "--lead", refused, "--accepted=false")
	list := filepath.Join(t.TempDir(), "list.csv")
	write := func(text string) {
		if err := os.WriteFile(list, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	args := []string{"doubt", "import", "--buyer", "acme", "--file", list, "--assume-rest-unsold-before", time.Now().Add(time.Hour).Format(time.RFC3339)}

	write("lead_id\n" + accepted + "\njane@example.com\n" + refused + "\n")
	code, out := s.command(args...)
	if code != exitWanted || !strings.Contains(out, "3 lines: 1 settled, 0 already, 1 conflict, 1 unknown") || !strings.Contains(out, "line 3: unknown") ||
		!strings.Contains(out, "line 4: conflict") || !strings.Contains(out, "nothing was assumed") || strings.Contains(out, "jane") {
		t.Errorf("exit %d, %q", code, out)
	}
	if got := s.lead(rest); got != "pending" {
		t.Errorf("the rest is %s though a line was not understood", got)
	}
	write(accepted + "\n")
	code, out = s.command(args...)
	if code != exitFine || !strings.Contains(out, "1 lines: 0 settled, 1 already") || !strings.Contains(out, "1 assumed unsold") {
		t.Errorf("exit %d, %q", code, out)
	}
	for id, want := range map[string]string{accepted: "sold", rest: "rejected", refused: "rejected"} {
		if got := s.lead(id); got != want {
			t.Errorf("got %s, want %s", got, want)
		}
	}
	if code, out := s.command("doubt", "import", "--buyer", "acmee", "--file", list); code != exitWanted || !strings.Contains(out, "buyer: expected one of") {
		t.Errorf("an unknown buyer: exit %d, %q", code, out)
	}
	s.must("1 open", "conflicts", "list")
	s.must("sound:", "verify")
}

// The status URL settles in a real house, also after a restart, with the bid's own token.
func TestDoubtByStatusURL(t *testing.T) {
	s := newScene(t, `status: {url: "URL/status/{lead_id}?ref={token}", every: 1s}`)
	id := s.doubt()
	s.stop()
	s.mu.Lock()
	s.verdict, s.looked = `{"accepted":true,"id":"A1"}`, nil
	s.mu.Unlock()
	s.start()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for end := time.Now().Add(20 * time.Second); s.lead(id) != "sold"; <-tick.C {
		if time.Now().After(end) {
			t.Fatal("the lead was never settled")
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.looked) != 1 || s.looked[0] != "/status/"+id+"?ref=a%2Fb" {
		t.Errorf("asked %v", s.looked)
	}
	s.must(`"by":"status_url"`, "log", "--type", "leg_settled")
	s.must("sound:", "verify")
}

func TestDoubtWithoutADaemon(t *testing.T) {
	var out bytes.Buffer
	if code := runWith([]string{"doubt", "list", "--data", t.TempDir()}, &out, &out); code != exitWanted || !strings.Contains(out.String(), "is vendue serve running?") {
		t.Errorf("exit %d, %q", code, out.String())
	}
	for _, args := range [][]string{{"doubt"}, {"conflicts"}, {"doubt", "settle", "--data", "x", "--lead", "y", "--accepted=perhaps"}, {"doubt", "import", "--data", "x", "--buyer", "b", "--file", "f", "--assume-rest-unsold-before", "now"}} {
		if code := runWith(args, &out, &out); code != exitUsage {
			t.Errorf("vendue %s: exit %d, want %d", strings.Join(args, " "), code, exitUsage)
		}
	}
}

func TestParseList(t *testing.T) {
	for text, want := range map[string]string{
		"":                             "0",
		"a\nb\n":                       "2",
		"\ufefflead_id,bid_id\na,1\n":  "1",
		"Lead_ID\r\na\r\n\r\nb\r\n":    "2",
		"a,\"x\n":                      "line 1: expected CSV",
		"a\n,b\n":                      "line 2: expected a lead_id",
		" a , 1 ,secret\n\"b\",2,more": "2",
	} {
		lines, err := parseList(strings.NewReader(text))
		got := fmt.Sprint(len(lines))
		if err != nil {
			got = err.Error()
		}
		if got != want {
			t.Errorf("%q: got %s, want %s", text, got, want)
		}
		for i, line := range lines {
			if line.LeadID != string(rune('a'+i)) || strings.Contains(line.BidID, " ") {
				t.Errorf("%q: read %+v", text, line)
			}
		}
	}
}
