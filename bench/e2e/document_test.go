package e2e

import (
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/tidwall/gjson"
	"github.com/valyala/fasthttp"

	"vendue/bench/house"
	"vendue/bench/world"
	"vendue/exchange/api/apitest"
)

// watchedMax bounds the answers that one run of the exchange is held to.
const watchedMax = 20_000

// watched is one request and its answer.
type watched struct {
	admin bool
	call  world.Call
	resp  *fasthttp.Response
}

// watch holds every answer to the scene's clients against the document that the
// exchange itself serves, and every request that led to something. It does so
// when the test ends: whoever measures must not wait for it.
func (s *scene) watch() {
	s.t.Helper()
	r, err := s.admin.Fetch("/openapi.json", "")
	s.ok(err)
	s.is(&r, 200)
	document, err := apitest.Parse(r.Body)
	s.ok(err)
	var mu sync.Mutex // guards seen
	var seen []watched
	keep := func(admin bool) func(world.Call, *fasthttp.Response) {
		return func(c world.Call, resp *fasthttp.Response) {
			own := new(fasthttp.Response)
			resp.CopyTo(own)
			mu.Lock()
			defer mu.Unlock()
			if len(seen) < watchedMax {
				seen = append(seen, watched{admin: admin, call: c, resp: own})
			}
		}
	}
	s.api.Watch, s.admin.Watch = keep(false), keep(true)
	s.t.Cleanup(func() {
		mu.Lock()
		defer mu.Unlock()
		for i := range seen {
			if err := seen[i].check(document); err != nil {
				s.t.Errorf("not as the document says: %v\n%s", err, cut(string(seen[i].resp.Body()), 1000))
				return // the others are likely of a kind
			}
		}
	})
}

func (w *watched) check(d *apitest.Document) error {
	err := d.Check(&apitest.Answer{
		Admin: w.admin, Method: w.call.Method, Path: w.call.Path, Status: w.resp.StatusCode(), Body: w.resp.Body(),
		Header: func(name string) string { return string(w.resp.Header.Peek(name)) },
	})
	if err != nil || w.call.Type != "" {
		return err
	}
	switch gjson.GetBytes(w.resp.Body(), "status").String() {
	case "accepted", "sold", "pending":
		return d.CheckRequest(w.admin, w.call.Method, w.call.Path, w.call.Body)
	}
	return nil
}

// TestOperatorsRoutes walks through what operators ask and say, so that the document is held to that, too.
func TestOperatorsRoutes(t *testing.T) {
	s := newScene(t)
	acme := s.buyer("acme", bids(20))
	s.buyer("asleep", bids(20), "paused: true")
	s.start()
	l := s.lead()
	q := s.quote(&l)
	sold := s.post(&q, &l, "")
	s.is(&sold, 200, "status", "sold")
	doubtful := bids(20)
	doubtful.ResetPosts = 1
	acme.SetManner(doubtful)
	var ids []string
	for range 3 {
		p := s.sell("")
		s.is(&p, 202, "status", "pending")
		ids = append(ids, p.Get("lead_id").String())
	}
	s.operatorSays("/api/settle", `{"lead_id":"`+ids[0]+`","accepted":true}`, 200, `"repeated":false`)
	s.operatorSays("/api/settle", `{"lead_id":"`+ids[0]+`","accepted":true}`, 200, `"repeated":true`)
	s.operatorSays("/api/settle", `{"lead_id":"`+ids[0]+`","accepted":false}`, 409, "opposite")
	s.operatorSays("/api/settle", `{"lead_id":"nobody","accepted":false}`, 404, "lead_id")
	s.operatorSays("/api/settle", `{"lead_id":7}`, 422, "accepted")
	s.operatorSays("/api/reconcile", `{"buyer":"acme","accepted":[{"lead_id":"`+ids[1]+`"},{"lead_id":"nobody"}]}`, 200, `["settled","unknown"]`)
	s.operatorSays("/api/reconcile", `{"buyer":"nobody","accepted":[{"lead_id":"x"}]}`, 422, "buyer")
	s.eventually(5*time.Second, "attribution has caught up", func() bool {
		r, err := s.admin.Fetch("/api/credits/"+sold.Get("lead_id").String(), "")
		return err == nil && strings.Contains(string(r.Body), `"touches"`)
	})
	s.operatorAsks(map[string]string{
		"/api/live": `"caps"`, "/api/log": `"post_ended"`, "/api/log?from=2&type=conflict": `"conflict"`, "/api/verify": `"faults":0`,
		"/api/explain/" + q.Get("ping_id").String(): `"candidates"`, "/api/doubt": ids[2], "/api/caps": `"caps"`, "/api/pings": `"breaker":"closed"`, "/api/conflicts": ids[0],
		"/api/credits/" + sold.Get("lead_id").String(): `"touches"`, "/api/postbacks?limit=7": `"counts"`, "/api/postbacks/disabled": "[]",
		"/debug/pprof/goroutine?debug=1": "goroutine", "/api/explain/" + sold.Get("lead_id").String() + "?contract=asleep": `"asked":{"contract":"asleep","reason":"paused"`,
	})
	told := s.command(0, "explain", "--data", s.dataDir(), "--ping", q.Get("ping_id").String(), "--contract", "asleep").Out
	for _, want := range []string{"acme won: ", "asleep", "attempt 1 to acme: accepted"} {
		if !strings.Contains(told, want) {
			t.Errorf("want %q in:\n%s", want, told)
		}
	}
	s.operatorSays("/api/reconcile", `{"buyer":"acme","assume_rest_unsold_before":"2100-01-01T00:00:00Z"}`, 200, `"assumed":1`)
	s.operatorSays("/api/conflicts/close", `{"lead_id":"`+ids[0]+`"}`, 200, `"repeated":false`)
	s.operatorSays("/api/conflicts/close", `{"lead_id":"`+ids[0]+`"}`, 200, `"repeated":true`)
	s.operatorSays("/api/conflicts/close", `{"lead_id":"`+ids[1]+`"}`, 404, "no conflict")
	s.operatorSays("/api/conflicts/close", `{}`, 422, "lead_id")
	s.operatorSays("/api/postbacks/replay", `{"state":"dead"}`, 200, `"replayed":`)
	s.operatorSays("/api/postbacks/enable", `{"notice":"7"}`, 200, `"repeated":true`)
	s.operatorSays("/api/postbacks/past", `{"lead_id":"`+sold.Get("lead_id").String()+`"}`, 200, `"values"`)
	s.operatorSays("/api/balance", `{"buyer":"nobody","amount":5}`, 404, "prepaid")
	s.operatorSays("/api/balance", `{"buyer":7}`, 422, "amount")
	s.operatorSays("/api/reload", "", 200, `"config"`)
	s.ok(os.WriteFile(s.configPath(), []byte("sellers: 7"), 0o600))
	s.operatorSays("/api/reload", "", 422, `"faults"`)
	for path, status := range map[string]int{"/api/explain/nobody": 404, "/api/credits/nobody": 404, "/api/postbacks?state=x": 422, "/api/log?from=x": 422, "/nowhere": 404, "/api/settle": 405} {
		r, err := s.admin.Fetch(path, "")
		s.ok(err)
		s.is(&r, status)
	}
	r, err := s.admin.Post("/api/reload", house.NorthKey, "", "")
	s.ok(err)
	s.is(&r, 401)
}

// operatorAsks looks until each path has what is wanted: the tape and the credits
// follow a moment after the sale is told.
func (s *scene) operatorAsks(wants map[string]string) {
	s.t.Helper()
	for path, want := range wants {
		s.eventually(5*time.Second, path+" has "+want, func() bool {
			r, err := s.admin.Fetch(path, "")
			s.ok(err)
			return r.Status == 200 && strings.Contains(string(r.Body), want)
		})
	}
}

func (s *scene) operatorSays(path, body string, status int, want string) {
	s.t.Helper()
	r, err := s.admin.Post(path, house.OpsKey, "", body)
	s.ok(err)
	s.is(&r, status)
	if !strings.Contains(string(r.Body), want) {
		s.t.Errorf("%s: want %s in %s", path, want, r.Body)
	}
}
