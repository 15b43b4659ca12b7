package e2e

import (
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"vendue/bench/house"
	"vendue/bench/world"
)

// traffic runs leads in the background; the returned function ends it and gives the seller.
func (s *scene) traffic(rate float64) (finish func() *world.Seller) {
	seller := world.NewSeller(world.Traffic{
		Addr: s.cfg.Listen, Seed: 11, Rate: rate, Count: 1 << 20, Direct: 0.5,
		Campaigns: []world.Intake{{Campaign: "north-auto", Key: house.NorthKey}},
	})
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		seller.Run(ctx)
	}()
	finish = func() *world.Seller { cancel(); <-done; return seller }
	s.t.Cleanup(func() { finish(); seller.Close() })
	return finish
}

func TestReloadUnderTrafficDropsNothing(t *testing.T) {
	s := newScene(t)
	s.buyer("old", bids(10))
	s.start()
	finish := s.traffic(200)
	s.buyer("new", bids(30))
	s.eventually(5*time.Second, "the old buyer sells", func() bool { return s.buyers["old"].Counts().Accepted > 20 })
	s.ok(s.cfg.Write(s.configPath()))
	s.ok(s.proc.Signal(syscall.SIGHUP))
	s.eventually(5*time.Second, "the new buyer sells", func() bool { return s.buyers["new"].Counts().Accepted > 20 })
	s.ok(os.WriteFile(s.configPath(), []byte("listen: [\n"), 0o600))
	s.ok(s.proc.Signal(syscall.SIGHUP))
	sold := s.buyers["new"].Counts().Accepted
	s.eventually(5*time.Second, "the new buyer sells on after a bad reload", func() bool { return s.buyers["new"].Counts().Accepted > sold+20 })
	s.ok(s.cfg.Write(s.configPath()))
	for range 5 {
		s.ok(s.proc.Signal(syscall.SIGHUP))
		sold = s.buyers["new"].Counts().Accepted
		s.eventually(5*time.Second, "sales go on", func() bool { return s.buyers["new"].Counts().Accepted > sold+5 })
	}
	seller := finish()
	if st := seller.Stats(); st.Faults+st.NoAnswer+st.NoPrice+st.Rejected+st.Pending != 0 || st.Sold != st.Sent {
		t.Errorf("a reload dropped leads: %+v", st)
	}
	report := world.Reconcile(&world.Books{
		Answers: seller.Answers(), Receipts: append(s.buyers["old"].Receipts(), s.buyers["new"].Receipts()...), Journal: s.journal(), Credits: -1,
	})
	if err := report.Err(); err != nil {
		t.Error(err)
	}
}

func TestSIGTERMDrains(t *testing.T) {
	s := newScene(t)
	acme := s.buyer("acme", world.Manner{BidMin: dollars(20), PostDelay: world.Delay{Min: 500 * time.Millisecond}})
	s.start()
	l := s.lead()
	q := s.quote(&l)
	answer := make(chan world.Reply, 1)
	go func() {
		r, err := s.api.Post("/v1/post", house.NorthKey, "k", postBody(q.Get("ping_id").String(), &l))
		if err != nil {
			t.Error(err)
		}
		answer <- r
	}()
	s.eventually(2*time.Second, "the buyer has the post", func() bool { return acme.Counts().Posts == 1 })
	began := time.Now()
	s.ok(s.proc.Signal(syscall.SIGTERM))
	s.eventually(time.Second, "the exchange says that it drains", func() bool {
		r, err := s.admin.Fetch("/readyz", "")
		return err != nil || r.Status == 503
	})
	if r, err := s.api.Post("/v1/ping", house.NorthKey, "", pingBody(&l, "")); err == nil && (r.Status != 503 || r.RetryAfter == "" || r.Get("reason").String() != "draining") {
		t.Errorf("want 503 draining with Retry-After, or no connection: %d %s", r.Status, r.Body)
	}
	s.ok(s.proc.Stop(10 * time.Second))
	r := <-answer
	s.is(&r, 200, "status", "sold")
	if took := time.Since(began); took > 8*time.Second {
		t.Errorf("draining took %s", took)
	}
	s.resume()
	now := s.status(r.Get("lead_id").String())
	s.is(&now, 200, "status", "sold")
}

func TestHealthAndPages(t *testing.T) {
	s := newScene(t)
	s.buyer("acme", bids(20))
	s.start()
	p := s.sell("")
	s.is(&p, 200, "status", "sold")
	for path, want := range map[string]string{"/healthz": "", "/readyz": "", "/metrics": "vendue_", "/": "<!doctype html", "/openapi.json": `"openapi"`, "/debug/pprof/": "goroutine"} {
		r, err := s.admin.Fetch(path, "")
		s.ok(err)
		if r.Status != 200 || !strings.Contains(strings.ToLower(string(r.Body)), want) {
			t.Errorf("admin %s: %d %s", path, r.Status, cut(string(r.Body), 200))
		}
		if path == "/healthz" {
			continue
		}
		if r, err = s.api.Fetch(path, ""); err != nil || r.Status != 404 {
			t.Errorf("the public listener serves %s: %d, error %v", path, r.Status, err)
		}
	}
	for series := range s.metrics() {
		if strings.HasPrefix(series, "vendue_") && strings.ContainsAny(series, "\n\t") {
			t.Errorf("odd series %q", series)
		}
	}
}

func TestCommands(t *testing.T) {
	s := newScene(t)
	s.buyer("acme", bids(20), "where: {state: [AZ]}")
	s.buyer("ny", bids(20), "where: {state: [NY]}")
	s.buyer("asleep", bids(20), "paused: true")
	s.start()
	sold := s.sell("")
	s.is(&sold, 200, "status", "sold")
	id := sold.Get("lead_id").String()
	s.command(0, "check", "--config", s.configPath())
	bad := filepath.Join(s.dir, "bad.yaml")
	s.ok(os.WriteFile(bad, []byte(strings.NewReplacer("        floor: 5.00", "        flor: 5.00", "paused: true", "paused: perhaps").Replace(s.cfg.Text())), 0o600))
	r := s.command(1, "check", "--config", bad)
	if text := r.Out + r.Err; strings.Count(text, bad+":") != 2 || !strings.Contains(text, "floor") {
		t.Errorf("want both faults with FILE:LINE:COL and the nearest key:\n%s", text)
	}
	s.explain()
	s.logAndVerify(id)
	key := s.command(0, "key", "new").Out
	words := strings.Fields(key)
	matched := false
	for _, w := range words {
		matched = matched || strings.Contains(key, house.KeyHash(w))
	}
	if !matched {
		t.Errorf("want a key and its sha256: %s", key)
	}
	s.command(2, "serve", "--no-such-flag")
	s.command(2, "nonsense")
	for _, c := range [][]string{{"serve"}, {"check"}, {"demo"}, {"explain"}, {"log"}, {"verify"}, {"key", "new"}} {
		if r := s.command(0, append(c, "--help")...); !strings.Contains(r.Out+r.Err, "vendue "+strings.Join(c, " ")) {
			t.Errorf("%v --help shows no example:\n%s", c, r.Out)
		}
	}
}

func (s *scene) explain() {
	s.t.Helper()
	l := s.lead()
	file := filepath.Join(s.dir, "lead.json")
	s.ok(os.WriteFile(file, []byte(pingBody(&l, "")), 0o600))
	out := s.command(0, "explain", "--config", s.configPath(), "--lead", file).Out
	for _, want := range []string{"acme eligible", "ny filtered", "asleep paused"} {
		found := false
		for line := range strings.Lines(out) {
			found = found || strings.HasPrefix(strings.Join(strings.Fields(line), " "), want)
		}
		if !found {
			s.t.Errorf("want a line %q in:\n%s", want, out)
		}
	}
}

// logAndVerify reads the journal beside the daemon and after it.
func (s *scene) logAndVerify(leadID string) {
	s.t.Helper()
	for _, live := range []bool{true, false} {
		if !live {
			s.ok(s.proc.Stop(10 * time.Second))
		}
		all := s.command(0, "log", "--data", s.dataDir()).Out
		j := world.NewJournal()
		s.ok(j.AddLines([]byte(all)))
		if len(j.Gaps) > 0 || j.Leads[leadID] == nil || !j.Leads[leadID].Sold() {
			s.t.Errorf("live %t: the journal lacks the sale: %s", live, cut(all, 2000))
		}
		last := s.command(0, "log", "--data", s.dataDir(), "--from", fmt.Sprint(j.LastSeq)).Out
		if strings.Count(last, "\n") != 1 {
			s.t.Errorf("live %t: --from the last event gives %q", live, last)
		}
		typed := s.command(0, "log", "--data", s.dataDir(), "--type", "post_ended").Out
		if strings.Count(typed, "\n") != 1 || !strings.Contains(typed, `"type":"post_ended"`) {
			s.t.Errorf("live %t: --type gives %q", live, typed)
		}
		s.command(0, "verify", "--data", s.dataDir())
	}
	s.spoil()
	s.command(1, "verify", "--data", s.dataDir())
}

// spoil turns bytes in the middle of the largest file of the data directory.
func (s *scene) spoil() {
	s.t.Helper()
	var largest string
	var size int64
	s.ok(filepath.Walk(s.dataDir(), func(path string, info os.FileInfo, err error) error {
		if err == nil && info.Mode().IsRegular() && info.Size() > size && !strings.Contains(path, "tape") && isData(path) {
			largest, size = path, info.Size()
		}
		return err
	}))
	f, err := os.OpenFile(largest, os.O_RDWR, 0)
	s.ok(err)
	defer func() { s.ok(f.Close()) }()
	buf := make([]byte, size)
	_, err = io.ReadFull(f, buf)
	s.ok(err)
	for i := size / 4; i < size/2; i++ {
		buf[i] ^= 0x5a
	}
	_, err = f.WriteAt(buf, 0)
	s.ok(err)
}

// isData tells the files that hold the journal's records.
func isData(path string) bool {
	return strings.HasSuffix(path, ".sst") || strings.HasSuffix(path, ".log")
}
