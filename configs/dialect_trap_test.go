package configs

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/cockroachdb/datadriven"

	"vendue/bidder/adapters"
	"vendue/bidder/adapters/dialect"
	"vendue/exchange"
)

// nonsense is what comes when something stands between us and the buyer, or
// the buyer fails: to no format may it be a win, whatever its status.
var nonsense = []string{
	"", "<html><body>Success. status=success, accepted, Matched</body></html>", "<!DOCTYPE HTML><title>1</title>", "{}", "[]", "null", "true", "1", `""`, "{", "<a>", "=", ",",
	`{"id":"1","lead_id":"1","ping_id":"1","leadId":"1","LeadIdentifier":"1","TransactionId":"1","bidId":"1","lead":{"id":"1"}}`, // an id alone
	`{"status":"Rejected","bid":0,"price":0,"payout":0}`, `{"error":"no id\" here","lead_id":"1"}`,
	"\x00\x01\x02", "\xff\xfe{\x00}\x00", strings.Repeat("[", 1000), "Bad Gateway", "upstream connect error or disconnect/reset before headers",
}

// won tells whether the answer would be a bid or a sale.
func won(f *dialect.Format, c *exchange.Contract, cmd string, status int, body string) bool {
	reply := &adapters.Reply{Status: status, Body: []byte(body)}
	if cmd == "bid" {
		return f.ReadPing(reply, c).Reason == exchange.ReasonNone
	}
	return f.ReadPost(reply, &exchange.Delivery{Leg: 1, Contract: c, Price: 21500000, Lead: sampleLead(c.Vertical)}).Outcome == exchange.OutcomeAccepted
}

// TestTraps puts to every format what each may meet, and spoils every answer
// of its cases that wins: with another status or cut short it wins no more,
// with its names or its entities written otherwise it still does.
func TestTraps(t *testing.T) {
	folders, err := filepath.Glob("testdata/dialects/*")
	if err != nil {
		t.Fatal(err)
	}
	met := map[string]bool{}
	for _, dir := range folders {
		t.Run(filepath.Base(dir), func(t *testing.T) {
			lines, err := os.ReadFile(filepath.Join(dir, "contract.yaml"))
			if err != nil {
				t.Fatal(err)
			}
			c, f := spoken(t, string(lines))
			if name, _, _ := strings.Cut(filepath.Base(dir), "_"); name != "own" {
				met[name] = true
				meetsNonsense(t, c, f)
			}
			files, err := filepath.Glob(filepath.Join(dir, "*.txt"))
			if err != nil {
				t.Fatal(err)
			}
			wins := 0
			for _, file := range files {
				datadriven.RunTest(t, file, func(t *testing.T, d *datadriven.TestData) string {
					out := runCase(t, d, c, f)
					if body := strings.TrimRight(d.Input, "\n"); body != "" && (strings.HasPrefix(out, "bid ") || strings.HasPrefix(out, "accepted")) && !rewriting() {
						wins++
						spoil(t, d, c, f, body)
					}
					return out
				})
			}
			if wins == 0 && !rewriting() {
				t.Error("no case wins")
			}
		})
	}
	for _, name := range Dialects() {
		if !met[name] {
			t.Errorf("preset %q has no folder of cases", name)
		}
	}
}

func meetsNonsense(t *testing.T, c *exchange.Contract, f *dialect.Format) {
	t.Helper()
	for _, cmd := range []string{"bid", "verdict"} {
		if cmd == "bid" && !c.Pinged {
			continue
		}
		for _, status := range []int{200, 201, 204, 302, 400, 408, 429, 500} {
			for _, body := range nonsense {
				if won(f, c, cmd, status, body) {
					t.Errorf("%s: status %d with %.60q wins", cmd, status, body)
				}
			}
		}
	}
	if b := f.ReadPing; c.Pinged && b(&adapters.Reply{Status: 204}, c).Reason != exchange.ReasonNoBid {
		t.Errorf("an empty 204 is %v; expected no_bid", b(&adapters.Reply{Status: 204}, c).Reason)
	}
	d := &exchange.Delivery{Leg: 1, Contract: c, Lead: sampleLead(c.Vertical)}
	for _, status := range []int{204, 200, 302, 408, 500, 503} {
		if v := f.ReadPost(&adapters.Reply{Status: status}, d); v.Outcome != exchange.OutcomeUnknown {
			t.Errorf("a post answered with an empty %d is %v; expected unknown", status, v.Outcome)
		}
	}
}

// spoil changes an answer that wins.
func spoil(t *testing.T, d *datadriven.TestData, c *exchange.Contract, f *dialect.Format, body string) {
	t.Helper()
	for _, status := range []int{302, 400, 404, 408, 409, 500, 503} {
		if won(f, c, d.Cmd, status, body) {
			d.Fatalf(t, "it wins with status %d too", status)
		}
	}
	structured := strings.HasPrefix(body, "{") || strings.HasPrefix(body, "[") || strings.HasPrefix(body, "<") || strings.HasPrefix(body, "&lt;")
	if !structured || strings.Contains(d.Pos, "own_text") {
		return // text cut short is text; that it came whole is the Content-Length's word
	}
	for n := range len(body) {
		if won(f, c, d.Cmd, 200, body[:n]) {
			d.Fatalf(t, "it wins cut short: %q", body[:n])
		}
	}
	for _, same := range likewise(body) {
		if !won(f, c, d.Cmd, 200, same) {
			d.Fatalf(t, "it does not win as %q", same)
		}
	}
}

// likewise returns other spellings of an answer.
func likewise(body string) []string {
	out := []string{"\ufeff" + body, "\r\n " + body + "\r\n"}
	if strings.HasPrefix(body, "{") { // other letters for the names
		parts := strings.Split(body, `"`)
		for i := 2; i < len(parts); i += 2 {
			if strings.HasPrefix(strings.TrimSpace(parts[i]), ":") {
				parts[i-1] = strings.ToUpper(parts[i-1])
			}
		}
		out = append(out, strings.Join(parts, `"`), strings.NewReplacer(`":`, "\" :\n\t", ",", " , ").Replace(body))
	}
	if strings.HasPrefix(body, "<") && !strings.HasPrefix(body, "<string") {
		out = append(out, strings.NewReplacer("&", "&amp;", "<", "&lt;", ">", "&gt;").Replace(body))
	}
	return slices.DeleteFunc(out, func(s string) bool { return strings.Contains(s, `\u`) })
}
