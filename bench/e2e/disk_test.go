//go:build linux

package e2e

import (
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"vendue/bench/house"
	"vendue/bench/world"
)

// fillDisk lets no file of the exchange grow past a page from here on: the next
// write of its journal fails, as on a full disk.
func (s *scene) fillDisk() {
	s.t.Helper()
	s.ok(unix.Prlimit(s.proc.PID(), unix.RLIMIT_FSIZE, &unix.Rlimit{Cur: 4096, Max: unix.RLIM_INFINITY}, nil))
}

// TestDiskFull fills the disk under traffic. Nothing is sold from there on that
// the journal does not hold; the exchange says so and ends; on a disk with room
// it begins again with all that anyone was told.
func TestDiskFull(t *testing.T) {
	s := newScene(t)
	acme := s.buyer("acme", bids(20))
	s.start()
	finish := s.traffic(200)
	s.eventually(10*time.Second, "some sales", func() bool { return acme.Counts().Accepted > 100 })
	s.fillDisk()
	began := time.Now()
	refused, red := s.whatItSays()
	s.eventually(10*time.Second, "the exchange ends", func() bool {
		select {
		case <-s.proc.Exited():
			return true
		default:
			return false
		}
	})
	t.Logf("ended %s after the disk was full; %d requests were refused by name, ready said no: %t", time.Since(began), refused, red)
	seller := finish()
	if code := s.proc.Code(); code != 1 {
		t.Errorf("want exit code 1, got %d", code)
	}
	lines := strings.Split(strings.TrimSpace(s.proc.Log()), "\n")
	if last := lines[len(lines)-1]; !strings.Contains(last, "journal") || strings.HasPrefix(last, "{") {
		t.Errorf("want a last line that says what failed: %s", last)
	}
	if refused == 0 {
		t.Error("nobody was told journal_unavailable")
	}
	if !red {
		t.Error("ready never said no")
	}
	s.command(0, "verify", "--data", s.dataDir())
	s.resume()
	p := s.sell("")
	s.is(&p, 200, "status", "sold")
	s.agree(seller)
}

// whatItSays asks until the exchange is gone: how many requests it refused for
// its journal, and whether readiness said so. Any other answer than a refusal or a bid is a fault.
func (s *scene) whatItSays() (refused int, red bool) {
	s.t.Helper()
	for deadline := time.Now().Add(10 * time.Second); time.Now().Before(deadline); {
		l := s.lead()
		r, err := s.api.Post("/v1/direct", house.NorthKey, "", directBody(&l, ""))
		ready, readyErr := s.admin.Fetch("/readyz", "")
		if err != nil && readyErr != nil {
			return refused, red
		}
		if err == nil {
			switch reason := r.Get("reason").String(); {
			case r.Status == 503 && reason == "journal_unavailable" && r.RetryAfter != "":
				refused++
			case r.Status == 503 && reason == "draining", r.Status == 200 && r.Get("status").String() == "sold":
			default:
				s.t.Errorf("on a full disk: %d %s", r.Status, r.Body)
			}
		}
		red = red || readyErr == nil && ready.Status == 503
	}
	return refused, red
}

// agree compares the books of the scene's traffic.
func (s *scene) agree(seller *world.Seller) {
	s.t.Helper()
	var receipts []world.Receipt
	for _, b := range s.buyers {
		receipts = append(receipts, b.Receipts()...)
	}
	report := world.Reconcile(&world.Books{Answers: seller.Answers(), Receipts: receipts, Journal: s.journal(), Credits: -1})
	if err := report.Err(); err != nil {
		s.t.Error(err)
	}
}

// TestDiskFullAtStart finds no room at all: it says so and ends, and nothing is lost by trying.
func TestDiskFullAtStart(t *testing.T) {
	s := newScene(t)
	s.buyer("acme", bids(20))
	s.start()
	p := s.sell("")
	s.is(&p, 200, "status", "sold")
	s.ok(s.proc.Stop(10 * time.Second))
	var before unix.Rlimit
	s.ok(unix.Getrlimit(unix.RLIMIT_FSIZE, &before))
	// A child has the limit of who starts it; this process writes nothing meanwhile.
	s.ok(unix.Setrlimit(unix.RLIMIT_FSIZE, &unix.Rlimit{Cur: 0, Max: before.Max}))
	proc, err := house.Launch(binary, s.configPath(), &s.cfg)
	s.ok(unix.Setrlimit(unix.RLIMIT_FSIZE, &before))
	s.ok(err)
	t.Cleanup(proc.Kill)
	s.eventually(10*time.Second, "the exchange gives up", func() bool {
		select {
		case <-proc.Exited():
			return true
		default:
			return false
		}
	})
	if code := proc.Code(); code != 1 || !strings.Contains(proc.Log(), "cannot") {
		t.Errorf("want exit code 1 and what could not be done, got %d: %s", code, cut(proc.Log(), 1000))
	}
	s.resume()
	now := s.status(p.Get("lead_id").String())
	s.is(&now, 200, "status", "sold")
}
