package sim

import (
	"bytes"
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"vendue/bench/world"
	"vendue/cmd/app"
	"vendue/exchange/engine"
	"vendue/store"
)

// operator keeps the daemon running: it starts it, has done to it what the
// plan says, and starts it again on what the disk still holds.
//
// Only the operator's goroutine starts and stops lives. A life's power may be
// cut from any goroutine, at the instant of its choice.
type operator struct {
	net    *network
	tally  *tally
	plan   *plan
	config string
	random *rand.Rand // the operator's alone
	ids    func() uint64
	logs   lockedBuffer
	clock  wallClock
	roots  *x509.CertPool
	ended  sync.WaitGroup // of lives that lost their power

	admin  *world.Client
	disk   *store.SimDisk // of the life that runs, or of the next
	life   *life
	faults []string // what should never have happened
}

// life is one run of the daemon, from start to stop or loss of power.
//
// mu guards what is written when the power goes; gone is closed after.
type life struct {
	app     *app.App
	machine *machine
	disk    *store.SimDisk
	gone    chan struct{}

	mu     sync.Mutex
	random *rand.Rand
	kept   int
	off    bool
	left   *store.SimDisk
}

// lockedBuffer is a log that may still be written to when it is read.
type lockedBuffer struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

// Write appends p.
func (b *lockedBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.Write(p)
}

func (b *lockedBuffer) text() []byte {
	b.mu.Lock()
	defer b.mu.Unlock()
	return bytes.Clone(b.buf.Bytes())
}

func newOperator(p *plan, n *network, t *tally, dir string) *operator {
	o := &operator{
		admin: world.NewClient(adminAddr, func(address string, timeout time.Duration) (net.Conn, error) { return n.dial(address, nil, timeout) }),
		net:   n, tally: t, plan: p, config: filepath.Join(dir, "vendue.yaml"), random: rand.New(rand.NewPCG(p.seed, 2)), disk: store.NewSimDisk(),
	}
	var mu sync.Mutex
	ids := rand.New(rand.NewPCG(p.seed, 3))
	o.ids = func() uint64 {
		mu.Lock()
		defer mu.Unlock()
		return ids.Uint64()
	}
	return o
}

func (o *operator) wrong(format string, args ...any) {
	o.faults = append(o.faults, fmt.Sprintf(format, args...))
}

func (o *operator) writeConfig(text string) {
	if err := os.WriteFile(o.config, []byte(text), 0o600); err != nil {
		o.wrong("cannot write the config: %v", err)
	}
}

// cut takes the life's power: nothing leaves the machine any more, and the disk
// is what a loss of power at this instant leaves. Only the first cut counts.
func (l *life) cut() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.off {
		return
	}
	l.off = true
	l.machine.cut()
	l.left = l.disk.Crash(l.kept, l.random)
	close(l.gone)
}

// boot starts the daemon on the disk as it is, and proves what it rebuilt sound.
func (o *operator) boot() bool {
	l, err := o.start(nil)
	if err != nil {
		o.wrong("the daemon does not start: %v", err)
		if l != nil {
			o.bury(l)
		}
		return false
	}
	o.life = l
	o.slowDisk(l, nil)
	reply, err := o.admin.Fetch("/api/verify", "")
	if err != nil || reply.Status != 200 || reply.Get("faults").Int() != 0 {
		o.wrong("I9: verify after a start: status %d, error %v, %s", reply.Status, err, reply.Get("findings").Raw)
	}
	o.admin.Close()
	return true
}

// bootTwice has the power lost again at the n-th disk write of the start, and then starts for good.
func (o *operator) bootTwice(nth int) bool {
	chances := newCountdown(nth)
	l, err := o.start(func(l *life) {
		l.disk.Watch(func(string, bool) error {
			if chances.hit() {
				l.cut()
			}
			return nil
		})
	})
	if l == nil {
		o.wrong("the daemon does not start: %v", err)
		return false
	}
	o.tally.add("power lost during a start", 1)
	l.cut() // if it came up with fewer writes
	o.bury(l)
	return o.boot()
}

// start runs New and Start; before, which may be nil, sees the life first. With an error there may be a life to bury.
func (o *operator) start(before func(*life)) (*life, error) {
	l := &life{machine: o.net.machine(), disk: o.disk, gone: make(chan struct{}), random: rand.New(rand.NewPCG(o.random.Uint64(), 4))}
	if before != nil {
		before(l)
	}
	var err error
	l.app, err = app.New(app.Options{
		Config: o.config, Log: &o.logs, Listen: l.machine.listen, Dial: l.machine.dial, Clock: o.clock.now, RootCAs: o.roots, Random: o.ids,
		Store:  func(c *store.Config) { c.FS, c.TapeDays = l.disk.FS(), 1 },
		Engine: func(c *engine.Config) { c.SnapshotEvery = 50 },
	})
	if err != nil {
		return nil, err
	}
	return l, l.app.Start()
}

// slowDisk lets each sync of the journal's log take its time, and calls then (which may be nil) before each write and sync.
func (o *operator) slowDisk(l *life, then func(path string, sync bool) error) {
	var mu sync.Mutex
	r := rand.New(rand.NewPCG(o.random.Uint64(), 5))
	l.disk.Watch(func(path string, sync bool) error {
		if then != nil {
			if err := then(path, sync); err != nil {
				return err
			}
		}
		if !sync || !isJournalLog(path) || o.plan.syncMax == 0 || !inFlushLoop() {
			return nil
		}
		mu.Lock()
		wait := time.Duration(r.Int64N(int64(o.plan.syncMax)))
		mu.Unlock()
		time.Sleep(wait)
		return nil
	})
}

// inFlushLoop tells whether the caller is Pebble's own goroutine that syncs the
// log, which holds no lock. A sync may also come from a commit that begins a
// new log: it holds the lock of all commits, and in a bubble time stands still
// while anyone waits for a lock, so a sleep there never ends.
func inFlushLoop() bool {
	var pcs [32]uintptr
	frames := runtime.CallersFrames(pcs[:runtime.Callers(1, pcs[:])])
	for {
		f, more := frames.Next()
		if strings.HasSuffix(f.Function, "(*LogWriter).flushLoop") {
			return true
		}
		if !more {
			return false
		}
	}
}

func isJournalLog(path string) bool {
	return strings.Contains(path, "/journal/") && strings.HasSuffix(path, ".log")
}

// bury ends a life that lost its power or failed, apart from everyone else, and takes over its disk.
func (o *operator) bury(l *life) {
	o.life = nil
	l.cut()
	o.disk = l.left
	l.disk.Watch(nil)
	o.ended.Go(func() {
		ctx, cancel := context.WithTimeout(context.Background(), drainMax)
		defer cancel()
		_ = l.app.Stop(ctx) // of a machine without power, on a disk that nobody reads again
	})
}

// run plays the turns, then returns with the daemon up, or false if it cannot be started.
func (o *operator) run() bool {
	for i := range o.plan.turns {
		if !o.sleep(o.plan.turns[i].wait) || !o.turn(&o.plan.turns[i]) {
			return false
		}
	}
	return true
}

// sleep lets time pass, and sees to a daemon that ends meanwhile.
func (o *operator) sleep(d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case err := <-o.life.app.Failed():
		o.wrong("the daemon failed by itself: %v", err)
		return false
	}
}

func (o *operator) turn(t *turn) bool {
	o.tally.add(turnNames[t.kind], 1)
	switch t.kind {
	case reload, reloadBroken:
		return o.reload(t.kind == reloadBroken)
	case restart:
		return o.stop() && o.stepBetween(t) && o.boot()
	case stepClock:
		o.stepClock()
		return true
	case failDisk:
		return o.failDisk(t)
	default:
		return o.crash(t)
	}
}

// reload changes the market, or offers one that must be refused.
func (o *operator) reload(broken bool) bool {
	if broken {
		o.writeConfig(strings.Replace(o.plan.config(), "post_wait", "post_weight", 1))
		var refused *app.ConfigError
		if err := o.life.app.Reload(); !errors.As(err, &refused) {
			o.wrong("a broken config was taken: %v", err)
		}
		o.writeConfig(o.plan.config())
		return true
	}
	o.plan.shake(o.random)
	o.writeConfig(o.plan.config())
	if err := o.life.app.Reload(); err != nil {
		o.wrong("a good config was refused: %v", err)
	}
	return true
}

// stop drains the daemon and proves its disk sound.
func (o *operator) stop() bool {
	l := o.life
	o.life = nil
	l.disk.Watch(nil)
	ctx, cancel := context.WithTimeout(context.Background(), drainMax)
	defer cancel()
	if err := l.app.Stop(ctx); err != nil {
		o.wrong("the daemon did not drain: %v", err)
	}
	l.machine.cut()
	o.verify()
	return true
}

// verify runs what `vendue verify` runs.
func (o *operator) verify() {
	s, err := store.OpenReadOnly(store.Config{Dir: dataDir, FS: o.disk.FS()})
	if err != nil {
		o.wrong("cannot open the disk: %v", err)
		return
	}
	report, err := app.VerifyAll(context.Background(), s)
	if err != nil {
		o.wrong("cannot verify: %v", err)
	}
	for _, f := range report.Findings {
		o.wrong("verify: %s", f)
	}
	if err := s.Close(); err != nil {
		o.wrong("cannot close the disk: %v", err)
	}
}

// crash takes the power away at the instant that the turn names, or after a
// while if that never comes, and starts again.
func (o *operator) crash(t *turn) bool {
	l := o.life
	l.mu.Lock()
	l.kept = t.kept
	l.mu.Unlock()
	chances := newCountdown(t.nth)
	switch t.kind {
	case crashAtWrite:
		l.machine.watch(func(addr) {
			if chances.hit() {
				l.cut()
			}
		})
	case crashAtDisk:
		o.slowDisk(l, func(string, bool) error {
			if chances.hit() {
				l.cut()
			}
			return nil
		})
	}
	o.await(l, t)
	l.cut()
	o.bury(l)
	o.tally.add(fmt.Sprintf("crash point, %d%% of unsynced data kept", t.kept), 1)
	time.Sleep(t.late)
	o.stepBetween(t)
	if t.again > 0 {
		return o.bootTwice(t.again)
	}
	return o.boot()
}

// chanceMax is how long a turn waits for its n-th chance.
const chanceMax = 3 * time.Second

func (o *operator) await(l *life, t *turn) {
	timer := time.NewTimer(chanceMax)
	defer timer.Stop()
	if t.kind == crashAtTime {
		return
	}
	select {
	case <-l.gone:
	case <-timer.C:
	case err := <-l.app.Failed():
		o.wrong("the daemon failed by itself: %v", err)
	}
}

// failDisk makes the disk fail, expects the daemon to end by itself, and starts it again on what is on the disk.
func (o *operator) failDisk(t *turn) bool {
	l := o.life
	chances := newCountdown(t.nth)
	var met atomic.Bool
	o.slowDisk(l, func(path string, sync bool) error {
		if isJournalLog(path) && (chances.hit() || t.stays && chances.past()) {
			if !met.Swap(true) {
				o.tally.add(map[bool]string{false: "disk error at a write", true: "disk error at a sync"}[sync], 1)
			}
			return errDisk
		}
		return nil
	})
	var failed error
	select {
	case failed = <-l.app.Failed():
	case <-time.After(chanceMax):
		o.slowDisk(l, nil)
		if !met.Load() {
			o.tally.add(turnNames[failDisk]+", never met", 1)
			return true
		}
		select { // the chance came at the last instant: the daemon may not have heard yet
		case failed = <-l.app.Failed():
		case <-time.After(time.Second):
			o.wrong("the disk failed and the daemon went on")
			return true
		}
	}
	if !strings.Contains(failed.Error(), errDisk.Error()) { // Pebble tells it in words
		o.wrong("the daemon failed by itself: %v", failed)
	}
	// As `vendue serve` does: for a second those in flight are told, then the process ends. What it wrote, the system still has.
	time.Sleep(time.Second)
	l.mu.Lock()
	l.kept = 100
	l.mu.Unlock()
	l.cut()
	o.bury(l)
	time.Sleep(t.late)
	o.stepBetween(t)
	return o.boot()
}

// stepBetween sets the clock of a machine that is down, if the turn says so.
func (o *operator) stepBetween(t *turn) bool {
	if t.steps {
		o.tally.add("clock set while down", 1)
		o.stepClock()
	}
	return true
}

func (o *operator) stepClock() {
	by := o.clock.step(o.random)
	switch {
	case by > 0:
		o.tally.add("clock set forward", 1)
	case by < 0:
		o.tally.add("clock set back", 1)
	}
	if by < -time.Hour || by > time.Hour {
		o.tally.add("clock set by more than an hour", 1)
	}
}

var errDisk = errors.New("simulated disk error")
