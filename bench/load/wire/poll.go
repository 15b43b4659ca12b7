//go:build linux

package wire

import (
	"errors"
	"fmt"
	"net/netip"
	"syscall"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// eventsMax is how many ready descriptors one Wait tells of.
const eventsMax = 512

// Poll waits for many descriptors in one thread. It is not safe for concurrent
// use. Go's own poller was tried first: a goroutine per connection made the
// load cost more than what it measured.
type Poll struct {
	fd     int
	events [eventsMax]unix.EpollEvent
}

// NewPoll returns a Poll that waits for nothing yet.
func NewPoll() (*Poll, error) {
	fd, err := unix.EpollCreate1(unix.EPOLL_CLOEXEC)
	if err != nil {
		return nil, fmt.Errorf("cannot make an epoll: %w", err)
	}
	return &Poll{fd: fd}, nil
}

// Close lets go of the poll, not of what was added.
func (p *Poll) Close() { _ = unix.Close(p.fd) }

// Add waits for fd to become readable, level-triggered, and tells of it as id.
func (p *Poll) Add(fd, id int) error {
	if err := unix.EpollCtl(p.fd, unix.EPOLL_CTL_ADD, fd, &unix.EpollEvent{Events: unix.EPOLLIN, Fd: int32(id)}); err != nil {
		return fmt.Errorf("cannot add to an epoll: %w", err)
	}
	return nil
}

// Wait returns what is readable, after at most d; below zero it waits for ever.
// What it returns is valid until the next Wait. The wait is in nanoseconds: a
// millisecond's rounding would be most of what is measured.
func (p *Poll) Wait(d time.Duration) ([]unix.EpollEvent, error) {
	var limit *unix.Timespec
	if d >= 0 {
		ts := unix.NsecToTimespec(int64(d))
		limit = &ts
	}
	n, _, errno := unix.Syscall6(unix.SYS_EPOLL_PWAIT2, uintptr(p.fd), uintptr(unsafe.Pointer(&p.events[0])), eventsMax,
		uintptr(unsafe.Pointer(limit)), 0, 0)
	switch errno {
	case 0:
		return p.events[:n], nil
	case unix.EINTR:
		return nil, nil
	default:
		return nil, fmt.Errorf("cannot wait on an epoll: %w", errno)
	}
}

// SharpTimers asks the kernel for timers exact to a microsecond in the calling
// thread, which must be locked to its goroutine.
func SharpTimers() {
	_ = unix.Prctl(unix.PR_SET_TIMERSLACK, 1000, 0, 0, 0) // without it, waits are 50 us late: a worse figure, not a wrong one
}

// Read reads what is there without waiting. Zero bytes without an error is the
// end of the stream; unix.EAGAIN means that nothing is there.
func Read(fd int, b []byte) (int, error) { return call(unix.SYS_READ, fd, b) }

// Write writes what fits without waiting.
func Write(fd int, b []byte) (int, error) { return call(unix.SYS_WRITE, fd, b) }

// call makes one system call on a non-blocking descriptor. The scheduler is not
// told: such a call never sleeps.
func call(trap uintptr, fd int, b []byte) (int, error) {
	for {
		n, _, errno := syscall.RawSyscall(trap, uintptr(fd), uintptr(unsafe.Pointer(unsafe.SliceData(b))), uintptr(len(b)))
		switch errno {
		case 0:
			return int(n), nil
		case unix.EINTR:
		default:
			return 0, errno
		}
	}
}

// Dial connects to a loopback address and returns a non-blocking descriptor without Nagle's delay.
func Dial(addr netip.AddrPort) (int, error) {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return 0, fmt.Errorf("cannot make a socket: %w", err)
	}
	sa := &unix.SockaddrInet4{Port: int(addr.Port()), Addr: addr.Addr().As4()}
	if err := errors.Join(unix.Connect(fd, sa), unix.SetNonblock(fd, true), NoDelay(fd)); err != nil {
		_ = unix.Close(fd)
		return 0, fmt.Errorf("cannot connect to %s: %w", addr, err)
	}
	return fd, nil
}

// NoDelay switches Nagle's algorithm off.
func NoDelay(fd int) error {
	if err := unix.SetsockoptInt(fd, unix.IPPROTO_TCP, unix.TCP_NODELAY, 1); err != nil {
		return fmt.Errorf("cannot set TCP_NODELAY: %w", err)
	}
	return nil
}

// backlog is how many connections may wait for Accept; the kernel has a bound of its own.
const backlog = 4096

// Listen opens a non-blocking listener on a free loopback port.
func Listen() (fd, port int, err error) {
	fd, err = unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return 0, 0, fmt.Errorf("cannot make a socket: %w", err)
	}
	err = errors.Join(unix.Bind(fd, &unix.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}}), unix.Listen(fd, backlog))
	if err != nil {
		_ = unix.Close(fd)
		return 0, 0, fmt.Errorf("cannot listen on loopback: %w", err)
	}
	sa, err := unix.Getsockname(fd)
	if err != nil {
		_ = unix.Close(fd)
		return 0, 0, fmt.Errorf("cannot ask for the port: %w", err)
	}
	return fd, sa.(*unix.SockaddrInet4).Port, nil
}

// Accept takes one waiting connection, non-blocking and without Nagle's delay; unix.EAGAIN: none waits.
func Accept(fd int) (int, error) {
	c, _, err := unix.Accept4(fd, unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC)
	if err != nil {
		return 0, err
	}
	if err := NoDelay(c); err != nil {
		_ = unix.Close(c)
		return 0, err
	}
	return c, nil
}

// Close closes a descriptor.
func Close(fd int) { _ = unix.Close(fd) }
