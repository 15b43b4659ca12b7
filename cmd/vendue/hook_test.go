package main

import (
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"
	"time"

	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"
)

// acmeKey is the demo key of configs/vendue.yaml.
const acmeKey = "vd_demo_acme_00000000000000000"

// A seller that was told pending hears from the house once the buyer has spoken: what it would have read by asking.
func TestSellersHook(t *testing.T) {
	t.Setenv("VENDUE_TEST_HOOK", "a secret of north's own")
	verifier, err := standardwebhooks.NewWebhookRaw([]byte("a secret of north's own"))
	if err != nil {
		t.Fatal(err)
	}
	type heard struct {
		id, kind, body string
		fault          error
	}
	told := make(chan heard, 16)
	seller := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err == nil {
			err = verifier.Verify(body, r.Header)
		}
		told <- heard{r.Header.Get("webhook-id"), r.Header.Get("Content-Type"), string(body), err}
	}))
	defer seller.Close()

	s := newScene(t, "")
	text, err := os.ReadFile(s.config)
	if err != nil {
		t.Fatal(err)
	}
	config := strings.NewReplacer(
		"currency: USD\n", "currency: USD\negress: {allow: [127.0.0.0/8]}\n",
		"    campaigns:\n", "    webhook: {url: \""+seller.URL+"/leads\", secret: env:VENDUE_TEST_HOOK}\n    campaigns:\n",
		"  acme:\n", "  acme:\n    key_sha256: 8e135c78fb639fc1a44b41ef3cecea2284ea20fe366bd7ee906f7ee303d37859\n",
		"/ping\"}", "/ping\", test_url: \""+s.buyer.URL+"/ping\"}", "/post\"}", "/post\", test_url: \""+s.buyer.URL+"/post\"}",
	).Replace(string(text))
	if err := os.WriteFile(s.config, []byte(config), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := s.app.Reload(); err != nil {
		t.Fatal(err)
	}

	public := "http://" + s.app.PublicAddr()
	for _, c := range []struct{ extra, verdict, want string }{
		{``, "true", `"environment":"live"`}, {``, "false", `"status":"rejected"`}, {`,"test":true`, "true", `"environment":"test"`},
	} {
		status, out := s.ask("POST", public+"/v1/direct", northKey, `{"campaign":"north-auto","lead":{"zip":"85001","phone":"6025550123"}`+c.extra+`}`)
		if status != 202 || out["status"] != "pending" {
			t.Fatalf("got %d %v", status, out)
		}
		id := out["lead_id"].(string)
		if status, out := s.ask("POST", public+"/v1/buyers/outcome", acmeKey, `{"lead_id":"`+id+`","accepted":`+c.verdict+`}`); status != 200 {
			t.Fatalf("got %d %v", status, out)
		}
		select {
		case h := <-told:
			if want := s.body(public + "/v1/leads/" + id); h.body != want || !strings.Contains(want, c.want) || !strings.Contains(want, `"final":true`) {
				t.Errorf("told %s, want %s with %s", h.body, want, c.want)
			}
			if h.fault != nil || h.kind != "application/json" || h.id != id+"-settled" {
				t.Errorf("told %+v", h)
			}
		case <-time.After(20 * time.Second):
			t.Fatal("the seller was never told")
		}
	}
	if len(told) > 0 {
		t.Errorf("told %d times too often", len(told))
	}
	s.must("sound:", "verify")
}

// body is what the seller reads at a URL, byte for byte.
func (s *scene) body(url string) string {
	s.t.Helper()
	req, err := http.NewRequest(http.MethodGet, url, nil)
	if err != nil {
		s.t.Fatal(err)
	}
	req.Header.Set("X-Api-Key", northKey)
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		s.t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	out, err := io.ReadAll(resp.Body)
	if err != nil {
		s.t.Fatal(err)
	}
	return string(out)
}
