// Package house builds and runs the real binary from outside: a process with
// its config, its signals and its commands. It never imports a room of the
// house, so that what it shows is what an operator sees.
package house

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"sync"
	"syscall"
	"time"

	"vendue/bench/world"
)

// logBytesMax bounds what is kept of a process's output.
const logBytesMax = 16 << 20

// Build compiles the binary into dir and returns its path.
func Build(dir string) (string, error) {
	_, here, _, ok := runtime.Caller(0)
	if !ok {
		return "", errors.New("cannot find the source tree: build with file names")
	}
	bin := filepath.Join(dir, "vendue")
	args := []string{"build", "-o", bin}
	if Race {
		args = append(args, "-race")
	}
	cmd := exec.Command("go", append(args, "./cmd/vendue")...)
	cmd.Dir = filepath.Join(filepath.Dir(here), "..", "..")
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("cannot build cmd/vendue: %w\n%s", err, out)
	}
	return bin, nil
}

// Process is one run of `vendue serve`.
//
// States: running, then ended: exited is closed once the process was waited for.
type Process struct {
	Public, Admin string // host:port

	cmd    *exec.Cmd
	log    tail
	exited chan struct{}
	err    error // set before exited closes
}

// tail keeps the first logBytesMax bytes of a process's output; mu guards buf.
type tail struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

// Write keeps p as far as there is room.
func (t *tail) Write(p []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if room := logBytesMax - t.buf.Len(); room > 0 {
		t.buf.Write(p[:min(room, len(p))])
	}
	return len(p), nil
}

func (t *tail) text() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.buf.String()
}

// Start runs the exchange on a config and returns when it is ready.
func Start(bin, config string, c *Config) (*Process, error) {
	p, err := Launch(bin, config, c)
	if err != nil {
		return nil, err
	}
	if err := p.awaitReady(20 * time.Second); err != nil {
		p.Kill()
		return nil, err
	}
	return p, nil
}

// Launch runs the exchange on a config and returns at once.
func Launch(bin, config string, c *Config) (*Process, error) {
	p := &Process{Public: c.Listen, Admin: c.Admin, exited: make(chan struct{})}
	p.cmd = exec.Command(bin, "serve", "--config", config)
	p.cmd.Stdout, p.cmd.Stderr = &p.log, &p.log
	if err := p.cmd.Start(); err != nil {
		return nil, fmt.Errorf("cannot start the exchange: %w", err)
	}
	go func() {
		p.err = p.cmd.Wait()
		close(p.exited)
	}()
	return p, nil
}

func (p *Process) awaitReady(limit time.Duration) error {
	admin := world.NewClient(p.Admin, nil)
	defer admin.Close()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	deadline := time.After(limit)
	for {
		select {
		case <-tick.C:
			if reply, err := admin.Do(world.Call{Method: "GET", Path: "/readyz", Timeout: time.Second}); err == nil && reply.Status == 200 {
				return nil
			}
		case <-p.exited:
			return fmt.Errorf("the exchange ended before it was ready: %w\n%s", p.err, p.Log())
		case <-deadline:
			return fmt.Errorf("the exchange was not ready after %s\n%s", limit, p.Log())
		}
	}
}

// Log returns what the process printed.
func (p *Process) Log() string { return p.log.text() }

// PID returns the process id.
func (p *Process) PID() int { return p.cmd.Process.Pid }

// Kill ends the process as kill -9 does, and waits. It may be called after the end.
func (p *Process) Kill() {
	_ = p.cmd.Process.Kill() // it may have ended by itself
	<-p.exited
}

// Signal sends a signal.
func (p *Process) Signal(s syscall.Signal) error {
	if err := p.cmd.Process.Signal(s); err != nil {
		return fmt.Errorf("cannot signal the exchange: %w", err)
	}
	return nil
}

// Stop drains with SIGTERM and returns an error unless the exchange exits 0 within limit.
func (p *Process) Stop(limit time.Duration) error {
	if err := p.Signal(syscall.SIGTERM); err != nil {
		return err
	}
	select {
	case <-p.exited:
	case <-time.After(limit):
		p.Kill()
		return fmt.Errorf("the exchange did not end within %s of SIGTERM\n%s", limit, p.Log())
	}
	if p.err != nil {
		return fmt.Errorf("the exchange ended badly: %w\n%s", p.err, p.Log())
	}
	return nil
}

// Exited is closed when the process has ended.
func (p *Process) Exited() <-chan struct{} { return p.exited }

// Result is how a command ended.
type Result struct {
	Code     int
	Out, Err string
}

// commandWaitMax bounds one command.
const commandWaitMax = 60 * time.Second

// Run runs one command of the binary to its end.
func Run(bin string, args ...string) (Result, error) {
	ctx, cancel := context.WithTimeout(context.Background(), commandWaitMax)
	defer cancel()
	cmd := exec.CommandContext(ctx, bin, args...)
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	cmd.Env = os.Environ()
	err := cmd.Run()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		return Result{}, fmt.Errorf("cannot run %v: %w", args, err)
	}
	return Result{Code: cmd.ProcessState.ExitCode(), Out: out.String(), Err: errs.String()}, nil
}
