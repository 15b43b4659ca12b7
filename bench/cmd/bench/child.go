//go:build linux

package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

const (
	// readyMax is how long a child may take to say that it is ready.
	readyMax = 30 * time.Second
	// drainMax is how long an exchange may take to stop by itself.
	drainMax = 20 * time.Second
)

// child is one process of the bench. It dies with the bench, however that ends.
type child struct {
	name   string
	cmd    *exec.Cmd
	log    string // file of what it printed
	exited chan struct{}
	err    error // set before exited closes
}

// start runs a program with its output in a file of dir. It must be called on
// the main thread: the kernel kills the child when the thread that made it ends.
func start(dir, name string, env []string, argv ...string) (*child, error) {
	c := &child{name: name, log: filepath.Join(dir, name+".log"), exited: make(chan struct{})}
	out, err := os.Create(c.log)
	if err != nil {
		return nil, fmt.Errorf("cannot make a log: %w", err)
	}
	defer func() { _ = out.Close() }() // the child has its own
	c.cmd = exec.Command(argv[0], argv[1:]...)
	c.cmd.Stdout, c.cmd.Stderr = out, out
	c.cmd.Env = append(os.Environ(), env...)
	// A group of its own, so that ^C reaches the bench alone and the children end in order.
	c.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL, Setpgid: true}
	if err := c.cmd.Start(); err != nil {
		return nil, fmt.Errorf("cannot start %s: %w", name, err)
	}
	go func() {
		c.err = c.cmd.Wait()
		close(c.exited)
	}()
	return c, nil
}

// pid returns the process id.
func (c *child) pid() int { return c.cmd.Process.Pid }

// await calls ready often until it says yes, and fails if the child ends or takes too long.
func (c *child) await(ctx context.Context, ready func() bool) error {
	ctx, cancel := context.WithTimeout(ctx, readyMax)
	defer cancel()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
			if ready() {
				return nil
			}
		case <-c.exited:
			return fmt.Errorf("%s ended before it was ready: %w\n%s", c.name, c.err, c.tail())
		case <-ctx.Done():
			return fmt.Errorf("%s was not ready in time: %w\n%s", c.name, ctx.Err(), c.tail())
		}
	}
}

// addresses waits for the line "ready ADDR .." and returns the addresses.
func (c *child) addresses(ctx context.Context) (addrs []string, err error) {
	err = c.await(ctx, func() bool {
		f, err := os.Open(c.log)
		if err != nil {
			return false
		}
		defer func() { _ = f.Close() }()
		line, err := bufio.NewReader(f).ReadString('\n')
		if rest, ok := strings.CutPrefix(line, "ready "); ok && err == nil {
			addrs = strings.Fields(rest)
		}
		return len(addrs) > 0
	})
	return addrs, err
}

const tailBytes = 2000

func (c *child) tail() string {
	b, err := os.ReadFile(c.log)
	if err != nil {
		return err.Error()
	}
	return string(b[max(len(b)-tailBytes, 0):])
}

// pause stops the child where it stands, as a network that went away; resume lets it go on.
func (c *child) pause() error { return c.signal(syscall.SIGSTOP) }

func (c *child) resume() error { return c.signal(syscall.SIGCONT) }

func (c *child) signal(s syscall.Signal) error {
	if err := c.cmd.Process.Signal(s); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return fmt.Errorf("cannot signal %s: %w", c.name, err)
	}
	return nil
}

// kill ends the child at once and waits. It may be called after its end.
func (c *child) kill() {
	_ = c.cmd.Process.Kill() // it may have ended by itself
	<-c.exited
}

// drain asks the child to end, and kills it if it does not.
func (c *child) drain() error {
	if err := c.signal(syscall.SIGTERM); err != nil {
		return err
	}
	limit := time.NewTimer(drainMax)
	defer limit.Stop()
	select {
	case <-c.exited:
	case <-limit.C:
		c.kill()
		return fmt.Errorf("%s did not end within %s of SIGTERM", c.name, drainMax)
	}
	if c.err != nil {
		return fmt.Errorf("%s ended badly: %w\n%s", c.name, c.err, c.tail())
	}
	return nil
}
