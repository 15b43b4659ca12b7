//go:build unix && !linux

package bidder

import (
	"errors"
	"syscall"
)

// The calls that try makes.
func callRead(fd int, p []byte) (int, error)  { return syscall.Read(fd, p) }
func callWrite(fd int, p []byte) (int, error) { return syscall.Write(fd, p) }

// try reads into p or writes from it, as far as can be done at once.
func (c *rawConn) try(call func(int, []byte) (int, error), p []byte) (int, error) {
	for {
		n, err := call(c.fd, p)
		switch {
		case err == nil:
			return n, nil
		case errors.Is(err, syscall.EINTR):
			continue
		case errors.Is(err, syscall.EAGAIN):
			return 0, errWouldBlock
		default:
			return 0, err
		}
	}
}

// pollFd is what poll would take.
type pollFd struct {
	fd      int32
	events  int16
	revents int16
}

const pollIn = 0

// poll cannot tell here: each connection is looked at by itself.
func poll([]pollFd) bool { return false }
