//go:build linux

package main

import (
	"context"
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"vendue/bench/house"
	"vendue/bench/load"
	"vendue/bench/peers"
	"vendue/bench/world"
)

// stage owns the processes and files of one part of the bench. It is one
// goroutine's, on the main thread; close ends everything it started.
type stage struct {
	dir      string
	self     string // this program
	vendue   string // the exchange's binary
	children []*child
	n        int // names made
}

func newStage(dir, vendue string) (*stage, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, fmt.Errorf("cannot find this program: %w", err)
	}
	if dir, err = os.MkdirTemp(dir, "stage-"); err != nil {
		return nil, fmt.Errorf("cannot make a folder: %w", err)
	}
	if dir, err = filepath.Abs(dir); err != nil {
		return nil, fmt.Errorf("cannot name the folder: %w", err)
	}
	return &stage{dir: dir, self: self, vendue: vendue}, nil
}

// close kills what still runs, the exchanges last of all, and removes the files.
func (s *stage) close() {
	for _, c := range s.children {
		c.kill()
	}
	_ = os.RemoveAll(s.dir) // a folder that stays is seen, and harmless
}

func (s *stage) start(name string, env []string, argv ...string) (*child, error) {
	s.n++
	c, err := start(s.dir, fmt.Sprintf("%02d-%s", s.n, strings.NewReplacer("/", "", "+", "-").Replace(name)), env, argv...)
	if err == nil {
		s.children = append(s.children, c)
	}
	return c, err
}

// buyers starts simulated buyers and returns host:port of each.
func (s *stage) buyers(ctx context.Context, args ...string) ([]string, error) {
	_, addrs, err := s.crowd(ctx, "buyers", args...)
	return addrs, err
}

// crowd is buyers, and the process they are in.
func (s *stage) crowd(ctx context.Context, name string, args ...string) (*child, []string, error) {
	c, err := s.start(name, nil, append([]string{s.self, "buyers"}, args...)...)
	if err != nil {
		return nil, nil, err
	}
	addrs, err := c.addresses(ctx)
	return c, addrs, err
}

// side is one thing that is measured: an address, a process and what it is asked.
type side struct {
	name     string
	addr     netip.AddrPort
	pid      int
	steps    []load.Step
	exchange *exchange // nil for a peer
	serial   *int64    // units sent so far
}

// peers starts bare fan-outs over the buyers. node is passed over where Node.js is not installed.
func (s *stage) peers(ctx context.Context, buyers []string, kinds ...string) ([]*side, error) {
	var out []*side
	for _, kind := range kinds {
		argv := append([]string{s.self, "peer", "-kind", kind, "-log", filepath.Join(s.dir, "peer.log")}, buyers...)
		if kind == nodeJS {
			node, err := exec.LookPath("node")
			if err != nil {
				continue
			}
			script := filepath.Join(s.dir, "fanout.mjs")
			if err := os.WriteFile(script, peers.Script, 0o600); err != nil {
				return nil, fmt.Errorf("cannot write the script: %w", err)
			}
			argv = append([]string{node, script}, buyers...)
		}
		c, err := s.start("peer-"+kind, nil, argv...)
		if err != nil {
			return nil, err
		}
		addrs, err := c.addresses(ctx)
		if err != nil {
			return nil, err
		}
		addr, err := netip.ParseAddrPort(addrs[0])
		if err != nil {
			return nil, fmt.Errorf("cannot read the address of %s: %w", kind, err)
		}
		out = append(out, &side{name: kind, addr: addr, pid: c.pid(), steps: peerSteps(), serial: new(int64)})
	}
	return out, nil
}

// nodeJS is the peer that is a script.
const nodeJS = "node"

// exchange is one running exchange.
type exchange struct {
	child  *child
	public netip.AddrPort
	admin  *world.Client
	config string
	data   string
	serial int64
	ready  time.Duration // from the start of the process
}

// exchange starts one on a market. env is added to its environment.
func (s *stage) exchange(ctx context.Context, m *market, env ...string) (*exchange, error) {
	public, err := world.FreeAddr()
	if err != nil {
		return nil, err
	}
	admin, err := world.FreeAddr()
	if err != nil {
		return nil, err
	}
	addr, err := netip.ParseAddrPort(public)
	if err != nil {
		return nil, fmt.Errorf("cannot read an address: %w", err)
	}
	s.n++
	e := &exchange{public: addr, admin: world.NewClient(admin, nil), data: filepath.Join(s.dir, fmt.Sprintf("data-%d", s.n))}
	file := filepath.Join(s.dir, fmt.Sprintf("vendue-%d.yaml", s.n))
	if err := os.WriteFile(file, []byte(m.config(public, admin, e.data)), 0o600); err != nil {
		return nil, fmt.Errorf("cannot write a config: %w", err)
	}
	e.config = file
	began := time.Now()
	if e.child, err = s.start("vendue", env, s.vendue, "serve", "--config", file); err != nil {
		return nil, err
	}
	err = e.child.await(ctx, func() bool {
		r, err := e.admin.Do(world.Call{Method: "GET", Path: "/readyz", Timeout: time.Second})
		return err == nil && r.Status == 200
	})
	e.ready = time.Since(began)
	return e, err
}

// side returns one way to ask the exchange.
func (e *exchange) side(name string, steps []load.Step) *side {
	return &side{name: name, addr: e.public, pid: e.child.pid(), steps: steps, exchange: e, serial: &e.serial}
}

// metrics reads the exchange's own page.
func (e *exchange) metrics() (world.Metrics, error) {
	r, err := e.admin.Do(world.Call{Method: "GET", Path: "/metrics", Timeout: 5 * time.Second})
	if err != nil || r.Status != 200 {
		return nil, fmt.Errorf("cannot read the metrics: status %d: %w", r.Status, err)
	}
	return world.ReadMetrics(r.Body), nil
}

// stop drains the exchange and removes its files.
func (e *exchange) stop() error {
	e.admin.Close()
	err := e.child.drain()
	_ = os.RemoveAll(e.data)
	_ = os.Remove(e.child.log)
	return err
}

// buildVendue compiles the exchange into dir.
func buildVendue(dir string) (string, error) { return house.Build(dir) }
