package e2e

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/tidwall/gjson"

	"vendue/bench/house"
	"vendue/bench/world"
	"vendue/exchange"
)

// binary is built once for the suite by TestMain, which nothing changes afterwards.
var binary string

func TestMain(m *testing.M) {
	if os.Getenv(probeEnv) != "" {
		os.Exit(probe())
	}
	os.Exit(run(m))
}

func run(m *testing.M) int {
	dir, err := os.MkdirTemp("", "vendue-e2e-")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer func() { _ = os.RemoveAll(dir) }() // a leftover in the temporary directory fails nothing
	if binary, err = house.Build(dir); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return m.Run()
}

// scene is one exchange with its buyers and trackers.
type scene struct {
	t       *testing.T
	dir     string
	cfg     house.Config
	proc    *house.Process
	api     *world.Client
	admin   *world.Client
	buyers  map[string]*world.Buyer
	nextOne uint64 // number of the next made-up lead
}

func newScene(t *testing.T) *scene {
	t.Helper()
	dir := t.TempDir()
	return &scene{t: t, dir: dir, cfg: house.Config{Data: "./data"}, buyers: make(map[string]*world.Buyer)}
}

// buyer starts a simulated buyer whose one contract bears its name.
func (s *scene) buyer(name string, m world.Manner, lines ...string) *world.Buyer {
	s.t.Helper()
	ln, err := world.Listen()
	s.ok(err)
	b := world.NewBuyer(name, uint64(len(s.buyers)), m)
	b.Start(ln)
	s.t.Cleanup(b.Close)
	s.buyers[name] = b
	s.cfg.Contracts = append(s.cfg.Contracts, house.Contract{Buyer: name, Name: name, URL: b.URL(""), Lines: lines})
	return b
}

// contract returns a buyer's contract, to be changed before start.
func (s *scene) contract(name string) *house.Contract {
	for i := range s.cfg.Contracts {
		if s.cfg.Contracts[i].Name == name {
			return &s.cfg.Contracts[i]
		}
	}
	s.t.Fatalf("no contract %s in this scene", name)
	return nil
}

func (s *scene) tracker(affiliate string, m world.TrackerManner) *world.Tracker {
	s.t.Helper()
	ln, err := world.Listen()
	s.ok(err)
	tr := world.NewTracker(1, m)
	tr.Start(ln)
	s.t.Cleanup(tr.Close)
	s.cfg.Affiliates = append(s.cfg.Affiliates, house.Affiliate{ID: affiliate, URL: tr.URL("/postback")})
	return tr
}

func (s *scene) configPath() string { return filepath.Join(s.dir, "vendue.yaml") }
func (s *scene) dataDir() string    { return filepath.Join(s.dir, "data") }

// start writes the config and runs the exchange until the test ends.
func (s *scene) start() *scene {
	s.t.Helper()
	s.ok(s.cfg.Ports())
	s.ok(s.cfg.Write(s.configPath()))
	s.resume()
	s.t.Cleanup(func() {
		s.proc.Kill()
		if s.t.Failed() {
			s.t.Logf("the exchange printed:\n%s", cut(s.proc.Log(), 8000))
		}
	})
	return s
}

// resume runs the exchange on what is there.
func (s *scene) resume() {
	s.t.Helper()
	proc, err := house.Start(binary, s.configPath(), &s.cfg)
	s.ok(err)
	s.proc = proc
	s.api, s.admin = world.NewClient(s.cfg.Listen, nil), world.NewClient(s.cfg.Admin, nil)
	s.t.Cleanup(s.api.Close)
	s.t.Cleanup(s.admin.Close)
	s.watch()
}

func cut(text string, most int) string {
	if len(text) <= most {
		return text
	}
	return text[:most/2] + "\n...\n" + text[len(text)-most/2:]
}

func (s *scene) ok(err error) {
	s.t.Helper()
	if err != nil {
		s.t.Fatal(err)
	}
}

// lead makes up the next consumer of this scene, one whom every plain filter accepts.
func (s *scene) lead() world.Lead {
	s.nextOne++
	l := world.MakeLead(99, s.nextOne)
	l.Zip, l.State, l.Age, l.Insured = "85001", "AZ", 41, true
	return l
}

func pingBody(l *world.Lead, more string) string {
	return `{"campaign":"north-auto"` + more + `,"lead":` + string(l.AppendPing(nil)) + `}`
}

func directBody(l *world.Lead, more string) string {
	return `{"campaign":"north-auto"` + more + `,"lead":` + string(l.AppendWhole(nil)) + `}`
}

func postBody(pingID string, l *world.Lead) string {
	return `{"ping_id":"` + pingID + `","lead":` + string(l.AppendWhole(nil)) + `}`
}

// send posts a body to a path with north's key; more is an Idempotency-Key.
func (s *scene) send(path, body, idem string) world.Reply {
	s.t.Helper()
	reply, err := s.api.Post(path, house.NorthKey, idem, body)
	s.ok(err)
	return reply
}

func (s *scene) ping(l *world.Lead, more string) world.Reply {
	s.t.Helper()
	return s.send("/v1/ping", pingBody(l, more), "")
}

// quote pings and expects a price.
func (s *scene) quote(l *world.Lead) world.Reply {
	s.t.Helper()
	r := s.ping(l, "")
	s.is(&r, 200, "status", "accepted")
	return r
}

func (s *scene) post(ping *world.Reply, l *world.Lead, idem string) world.Reply {
	s.t.Helper()
	return s.send("/v1/post", postBody(ping.Get("ping_id").String(), l), idem)
}

// sell walks a fresh lead through ping and post.
func (s *scene) sell(idem string) world.Reply {
	s.t.Helper()
	l := s.lead()
	q := s.quote(&l)
	return s.post(&q, &l, idem)
}

func (s *scene) status(leadID string) world.Reply {
	s.t.Helper()
	r, err := s.api.Fetch("/v1/leads/"+leadID, house.NorthKey)
	s.ok(err)
	return r
}

// is checks a reply's status and pairs of path and value in its body.
func (s *scene) is(r *world.Reply, status int, pairs ...string) {
	s.t.Helper()
	if r.Status != status {
		s.t.Fatalf("want status %d, got %d: %s", status, r.Status, r.Body)
	}
	for i := 0; i+1 < len(pairs); i += 2 {
		got := r.Get(pairs[i]).String()
		if r.Get(pairs[i]).Type == gjson.Number {
			got = r.Get(pairs[i]).Raw // money keeps its places
		}
		if got != pairs[i+1] {
			s.t.Fatalf("want %s %q, got %q in %s", pairs[i], pairs[i+1], got, r.Body)
		}
	}
}

// command runs a command and expects an exit code.
func (s *scene) command(code int, args ...string) house.Result {
	s.t.Helper()
	r, err := house.Run(binary, args...)
	s.ok(err)
	if r.Code != code {
		s.t.Fatalf("vendue %s: want exit code %d, got %d\n%s\n%s", strings.Join(args, " "), code, r.Code, cut(r.Out, 2000), cut(r.Err, 2000))
	}
	return r
}

// journal reads the journal by command, whether or not a daemon holds it.
func (s *scene) journal() *world.Journal {
	s.t.Helper()
	j := world.NewJournal()
	s.ok(j.AddLines([]byte(s.command(0, "log", "--data", s.dataDir()).Out)))
	return j
}

func (s *scene) metrics() world.Metrics {
	s.t.Helper()
	r, err := s.admin.Fetch("/metrics", "")
	s.ok(err)
	s.is(&r, 200)
	return world.ReadMetrics(r.Body)
}

// eventually polls until what holds, at most for limit.
func (s *scene) eventually(limit time.Duration, what string, holds func() bool) {
	s.t.Helper()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for deadline := time.Now().Add(limit); !holds(); <-tick.C {
		if time.Now().After(deadline) {
			s.t.Fatalf("not within %s: %s", limit, what)
		}
	}
}

func dollars(n float64) exchange.Money {
	return exchange.Money(n*100+0.5) * (exchange.Micro / 100)
}

// bids is a buyer that always bids the same and accepts.
func bids(n float64) world.Manner { return world.Manner{BidMin: dollars(n), BidMax: dollars(n)} }
