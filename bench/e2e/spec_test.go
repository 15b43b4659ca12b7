package e2e

import (
	"os"
	"os/exec"
	"regexp"
	"strings"
	"testing"

	"vendue/bench/house"
	"vendue/exchange/api/apitest"
)

const pageSecret = "vd_test_page_000000000000000000"

// everySkin are a campaign's lines that switch all skins on.
const everySkin = "skins: [boberdoo, leadspedia, leadprosper, phonexa, px, leadconduit]"

var shellBlock = regexp.MustCompile("(?s)```sh\n(.*?)```")

// The examples of the posting instructions run as they are, and each of them sells its test lead.
func TestPostingInstructionsRunAsTheyAre(t *testing.T) {
	s := newScene(t)
	acme := s.buyer("acme", bids(20))
	s.cfg.Campaign = []string{"window: 250ms", "floor: 5.00", "margin: 20%", everySkin, "spec_sha256: " + house.KeyHash(pageSecret)}
	s.start()
	page := s.command(0, "spec", "--config", s.configPath(), "--campaign", "north-auto").Out
	blocks := shellBlock.FindAllStringSubmatch(page, -1)
	sales := []string{
		`"status":"sold"`, `"status":"sold"`, `"status":"sold"`, `"status":"Matched"`, `"msg":"Lead Accepted"`, `"status":"ACCEPTED","code":0,"lead_id"`,
		`"status":1`, `"Sold":true`, `"outcome":"success"`,
	}
	if len(blocks) != len(sales) {
		t.Fatalf("want %d examples, got %d", len(sales), len(blocks))
	}
	for i, block := range blocks {
		sh := exec.Command("sh", "-eu", "-c", block[1])
		sh.Env = append(os.Environ(), "KEY="+house.NorthKey)
		out, err := sh.CombinedOutput()
		if err != nil || !strings.Contains(string(out), sales[i]) {
			t.Errorf("want %s of\n%s\ngot %v:\n%s", sales[i], block[1], err, out)
		}
	}
	if c := acme.Counts(); c.Pings+c.Posts != 0 {
		t.Errorf("an example called a buyer: %+v", c)
	}
	for path, want := range map[string]string{
		"/spec/" + pageSecret + ".md": page, "/spec/" + pageSecret: "<title>Posting instructions: north-auto</title>",
	} {
		r, err := s.api.Fetch(path, "")
		s.ok(err)
		s.is(&r, 200)
		if !strings.Contains(string(r.Body), want) {
			t.Errorf("%s: not the page of the command", path)
		}
	}
	for _, path := range []string{"/spec/", "/spec/" + pageSecret + "x", "/spec/" + house.NorthKey, "/spec/north-auto.md"} {
		r, err := s.api.Fetch(path, "")
		s.ok(err)
		s.is(&r, 404)
	}
	for _, secret := range []string{"margin", "20%", "acme", house.KeyHash(pageSecret), house.NorthKey} {
		if strings.Contains(page, secret) {
			t.Errorf("the page tells %q", secret)
		}
	}
	s.command(2, "spec", "--config", s.configPath(), "--campaign", "north-auto", "--format", "pdf")
	if r := s.command(1, "spec", "--config", s.configPath(), "--campaign", "nobody"); !strings.Contains(r.Err, "north-auto") {
		t.Errorf("a wrong campaign is not helped: %s", r.Err)
	}
}

// What buyers are sent is what the document's webhooks say.
func TestBuyersAreSentWhatTheDocumentSays(t *testing.T) {
	s := newScene(t)
	manner := bids(20)
	manner.Keep = true
	acme := s.buyer("acme", manner)
	s.start()
	sold := s.sell("")
	s.is(&sold, 200, "status", "sold")
	r, err := s.admin.Fetch("/openapi.json", "")
	s.ok(err)
	document, err := apitest.Parse(r.Body)
	s.ok(err)
	kept := acme.Kept()
	if len(kept) != 2 {
		t.Fatalf("want a ping and a post, got %d bodies", len(kept))
	}
	s.ok(document.CheckSent("buyerPing", kept[0]))
	s.ok(document.CheckSent("buyerPost", kept[1]))
	if document.CheckSent("buyerPost", kept[0]) == nil {
		t.Error("a ping passes for a post")
	}
}
