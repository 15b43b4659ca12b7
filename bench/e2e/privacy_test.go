package e2e

import (
	"bytes"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"vendue/bench/house"
	"vendue/bench/world"
)

// marked is a lead whose every personal value bears a marker, with the forms in which each may appear.
func marked(n int) (l world.Lead, markers []string) {
	l = world.Lead{
		Zip: "85001", State: "AZ", Age: 41, Insured: true, Credit: "good",
		First: fmt.Sprintf("Qzfirst%dmarker", n), Last: fmt.Sprintf("Qzlast%dmarker", n),
		Phone: fmt.Sprintf("+1602773%04d", 4100+n), Email: fmt.Sprintf("qzmail%dmarker@example.com", n),
	}
	return l, []string{l.First, l.Last, strings.ToLower(l.First), strings.ToLower(l.Last), l.Phone[1:], l.Phone[2:], fmt.Sprintf("qzmail%dmarker", n)}
}

// TestPersonalDataReachesTheWinnerOnly plants markers in every personal field,
// walks every path with them, and searches everything that the house lets out or writes.
func TestPersonalDataReachesTheWinnerOnly(t *testing.T) {
	s := newScene(t)
	keep := func(m world.Manner) world.Manner { m.Keep = true; return m }
	winner := s.buyer("winner", keep(bids(20)))
	loser := s.buyer("loser", keep(bids(10)))
	tracker := s.tracker("blog-42", world.TrackerManner{})
	s.start()
	var all []string
	var answers bytes.Buffer
	send := func(path, body, idem string) world.Reply {
		r := s.send(path, body, idem)
		answers.Write(r.Body)
		return r
	}
	leads := make([]world.Lead, 6)
	for n := range leads {
		l, markers := marked(n)
		leads[n], all = l, append(all, markers...)
	}
	source := `,"source":{"affiliate":"blog-42","offer":"auto","click_id":"their-click","sub1":"their-sub"}`
	// Personal fields in a ping are dropped at the door.
	ping := send("/v1/ping", `{"campaign":"north-auto"`+source+`,"lead":`+string(leads[0].AppendWhole(nil))+`}`, "")
	s.is(&ping, 200, "status", "accepted")
	s.is2(send("/v1/post", postBody(ping.Get("ping_id").String(), &leads[0]), "m-0"), "sold")
	s.is2(send("/v1/direct", directBody(&leads[0], ""), "m-dup"), "rejected")
	s.is2(send("/v1/direct", directBody(&leads[1], source), "m-1"), "sold")
	winner.SetManner(keep(world.Manner{BidMin: dollars(20), ResetPosts: 1}))
	s.is2(send("/v1/direct", directBody(&leads[2], source), "m-2"), "pending")
	winner.SetManner(keep(world.Manner{BidMin: dollars(20), GarblePosts: 1}))
	s.is2(send("/v1/direct", directBody(&leads[3], source), "m-3"), "pending")
	winner.SetManner(keep(world.Manner{BidMin: dollars(20), RefusePosts: 1}))
	loser.SetManner(world.Manner{})
	s.is2(send("/v1/direct", directBody(&leads[4], source), "m-4"), "rejected")
	// A fault must name the field and never the value.
	bad := leads[5]
	bad.Phone, bad.Email = "qzbadphone", "qzbademail"
	all = append(all, "qzbadphone", "qzbademail")
	r := send("/v1/direct", strings.Replace(directBody(&bad, ""), `"AZ"`, `"`+bad.First+`"`, 1), "m-5")
	s.is(&r, 422)
	send("/v1/post", `{"ping_id":"`+leads[5].First+`","lead":`+string(leads[5].AppendWhole(nil))+`}`, "")
	send("/v1/ping", string(leads[5].AppendWhole(nil))+"}", "")
	s.awaitNotices(tracker, 2)
	s.searchAll(all, answers.String(), loser, tracker)
	found := string(bytes.Join(winner.Kept(), nil))
	for n := range 5 {
		if !strings.Contains(found, leads[n].First) || !strings.Contains(found, leads[n].Phone) {
			t.Errorf("the winner of lead %d lacks its person", n)
		}
	}
	for _, body := range winner.Kept() {
		if bytes.Contains(body, []byte(`"tmax_ms"`)) {
			clean(t, "a ping to the winner", string(body), all)
		}
	}
}

func (s *scene) is2(r world.Reply, status string) {
	s.t.Helper()
	if got := r.Get("status").String(); got != status {
		s.t.Fatalf("want %s, got %d %s", status, r.Status, r.Body)
	}
}

// searchAll looks for the markers in all that leaves the house or lies on its disk.
func (s *scene) searchAll(markers []string, answers string, loser *world.Buyer, tracker *world.Tracker) {
	s.t.Helper()
	clean(s.t, "an answer", answers, markers)
	clean(s.t, "what the loser was sent", string(bytes.Join(loser.Kept(), nil)), markers)
	clean(s.t, "a postback", fmt.Sprint(tracker.Notices()), markers)
	for _, path := range []string{"/metrics", "/", "/readyz", "/debug/vars"} {
		r, err := s.admin.Fetch(path, house.OpsKey)
		s.ok(err)
		clean(s.t, "admin "+path, string(r.Body), markers)
	}
	clean(s.t, "vendue log, live", s.command(0, "log", "--data", s.dataDir()).Out, markers)
	s.ok(s.proc.Stop(10e9))
	clean(s.t, "the daemon's output", s.proc.Log(), markers)
	clean(s.t, "vendue log", s.command(0, "log", "--data", s.dataDir()).Out, markers)
	s.ok(filepath.WalkDir(s.dataDir(), func(path string, d fs.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() {
			return err
		}
		text, err := os.ReadFile(path)
		if err == nil {
			clean(s.t, "file "+filepath.Base(path), string(text), markers)
		}
		return err
	}))
}

func clean(t *testing.T, where, text string, markers []string) {
	t.Helper()
	for _, m := range markers {
		if i := strings.Index(text, m); i >= 0 {
			t.Errorf("%s holds marker %q: ..%q..", where, m, text[max(0, i-60):min(len(text), i+60)])
		}
	}
}
