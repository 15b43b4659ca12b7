//go:build linux

package e2e

import (
	"bytes"
	"fmt"
	"net/netip"
	"runtime"
	"slices"
	"strconv"
	"testing"
	"time"

	"github.com/tidwall/gjson"

	"vendue/bench/house"
	"vendue/bench/load/wire"
	"vendue/bench/world"
)

// storm is a load that does not care what comes back: each connection sends its
// next request when it is due, or as soon as the answer to the last is there.
// One thread sends and reads them all: a goroutine per connection was tried, and
// told more of its own queue than of the exchange.
type storm struct {
	addr  string
	conns int
	pace  time.Duration // of one connection; 0: as fast as answers come
	lasts time.Duration
}

// tally is what a storm was answered.
type tally struct {
	served, shed, odd, lost int
	unsold                  int             // of the served: no buyer bid
	took                    []time.Duration // of the served, by our clock
	own                     []time.Duration // of the served, by the exchange's
	shedTook                []time.Duration
	example                 string // of an odd answer
}

// stormLane is one connection of a storm.
type stormLane struct {
	fd   int
	busy bool
	owed bool // a request is due that had to wait for an answer
	sent time.Time
	out  []byte
	in   []byte
	n    int
}

// stormRun is a storm at work.
type stormRun struct {
	*storm
	t     *testing.T
	to    netip.AddrPort
	poll  *wire.Poll
	lanes []stormLane
	sum   *tally
}

// run sends the storm and returns what came of it.
func (st *storm) run(t *testing.T) *tally {
	t.Helper()
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	wire.SharpTimers()
	poll, err := wire.NewPoll()
	if err != nil {
		t.Fatal(err)
	}
	defer poll.Close()
	r := stormRun{storm: st, t: t, to: netip.MustParseAddrPort(st.addr), poll: poll, lanes: make([]stormLane, st.conns), sum: new(tally)}
	for i := range r.lanes {
		l := world.MakeLead(17, uint64(i))
		body := pingBody(&l, "")
		r.lanes[i] = stormLane{fd: -1, in: make([]byte, 4<<10), out: fmt.Appendf(nil,
			"POST /v1/ping HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer %s\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s",
			house.NorthKey, len(body), body)}
		r.connect(i)
	}
	r.loop()
	for i := range r.lanes {
		wire.Close(r.lanes[i].fd)
	}
	slices.Sort(r.sum.took)
	slices.Sort(r.sum.own)
	slices.Sort(r.sum.shedTook)
	return r.sum
}

func (r *stormRun) connect(i int) {
	l := &r.lanes[i]
	if l.fd >= 0 {
		wire.Close(l.fd)
	}
	fd, err := wire.Dial(r.to)
	if err == nil {
		err = r.poll.Add(fd, i)
	}
	if err != nil {
		r.t.Fatalf("connection %d: %v", i, err)
	}
	l.fd, l.busy, l.n = fd, false, 0
}

// loop spreads the connections' turns over one pace.
func (r *stormRun) loop() {
	const patience = 20 * time.Millisecond
	gap := r.pace / time.Duration(r.conns)
	begin := time.Now()
	end, due := begin.Add(r.lasts), begin
	for turn := 0; ; {
		now := time.Now()
		if !now.Before(end) {
			return
		}
		for (gap > 0 || turn < r.conns) && !due.After(now) {
			r.due(turn % r.conns)
			turn, due = turn+1, due.Add(gap)
		}
		wait := patience
		if gap > 0 {
			wait = min(max(time.Until(due), 0), patience)
		}
		ready, err := r.poll.Wait(wait)
		if err != nil {
			r.t.Fatal(err)
		}
		for i := range ready {
			r.read(int(ready[i].Fd))
		}
	}
}

func (r *stormRun) due(i int) {
	if l := &r.lanes[i]; l.busy {
		l.owed = true
	} else {
		r.send(i)
	}
}

func (r *stormRun) send(i int) {
	l := &r.lanes[i]
	l.busy, l.owed, l.n, l.sent = true, r.pace == 0, 0, time.Now()
	if n, err := wire.Write(l.fd, l.out); err != nil || n < len(l.out) {
		r.sum.lost++
		r.connect(i)
	}
}

// read takes what a connection has, and sends the next if that is overdue.
func (r *stormRun) read(i int) {
	l := &r.lanes[i]
	n, err := wire.Read(l.fd, l.in[l.n:])
	if err != nil || n == 0 || !l.busy {
		if l.busy {
			r.sum.lost++
		}
		r.connect(i)
		return
	}
	l.n += n
	total, at, err := wire.Frame(l.in[:l.n])
	if err != nil || (total == 0 && l.n == len(l.in)) {
		r.t.Fatalf("no answer: %q", l.in[:l.n])
	}
	if total == 0 {
		return
	}
	head, body := l.in[:at], l.in[at:total]
	status, _ := strconv.Atoi(string(head[9:12]))
	r.sum.note(status, bytes.Contains(head, []byte("\r\nRetry-After: ")), body, time.Since(l.sent))
	l.busy = false
	if bytes.Contains(head, []byte("\r\nConnection: close")) {
		r.connect(i)
	}
	if l.owed {
		r.send(i)
	}
}

func (a *tally) note(status int, retryAfter bool, body []byte, took time.Duration) {
	switch {
	case status == 200:
		if a.served++; gjson.GetBytes(body, "status").Str != "accepted" {
			a.unsold++
		}
		a.took = append(a.took, took)
		a.own = append(a.own, time.Duration(gjson.GetBytes(body, "elapsed_ms").Int())*time.Millisecond)
	case (status == 503 || status == 429) && retryAfter:
		a.shed++
		a.shedTook = append(a.shedTook, took)
	default:
		if a.odd++; a.example == "" {
			a.example = fmt.Sprintf("%d %s", status, body)
		}
	}
}

// at returns the p-th quantile of sorted times, 0 if there are none.
func at(sorted []time.Duration, p float64) time.Duration {
	if len(sorted) == 0 {
		return 0
	}
	return sorted[min(int(p*float64(len(sorted))), len(sorted)-1)]
}

func (a *tally) String() string {
	return fmt.Sprintf("served %d (%d without a bid, p50 %s, p99 %s, longest %s; p99 by the exchange's clock %s, longest %s), shed %d (p50 %s, p99 %s), odd %d, lost %d",
		a.served, a.unsold, at(a.took, .5), at(a.took, .99), at(a.took, 1), at(a.own, .99), at(a.own, 1), a.shed, at(a.shedTook, .5), at(a.shedTook, .99), a.odd, a.lost)
}
