//go:build unix && !linux

package bidder

import (
	"io"
	"syscall"
)

// sysRead reads what is there.
func (c *rawConn) sysRead(p []byte) (int, error) {
	for {
		n, err := syscall.Read(c.fd, p)
		switch {
		case err == syscall.EINTR:
			continue
		case err == syscall.EAGAIN:
			return 0, errWouldBlock
		case err != nil:
			return 0, err
		case n == 0 && len(p) > 0:
			return 0, io.EOF
		default:
			return n, nil
		}
	}
}

// sysWrite writes what fits.
func (c *rawConn) sysWrite(p []byte) (int, error) {
	for {
		n, err := syscall.Write(c.fd, p)
		switch {
		case err == syscall.EINTR:
			continue
		case err == syscall.EAGAIN:
			return 0, errWouldBlock
		case err != nil:
			return 0, err
		default:
			return n, nil
		}
	}
}
