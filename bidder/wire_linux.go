package bidder

import (
	"syscall"
	"unsafe"
)

// The calls that try makes.
const (
	callRead  = syscall.SYS_READ
	callWrite = syscall.SYS_WRITE
)

// try reads into p or writes from it, as far as can be done at once. The raw
// call tells the scheduler nothing: it never waits, and the telling costs as
// much as the call.
func (c *rawConn) try(call uintptr, p []byte) (int, error) {
	for {
		n, _, errno := syscall.RawSyscall(call, uintptr(c.fd), uintptr(unsafe.Pointer(unsafe.SliceData(p))), uintptr(len(p)))
		switch errno {
		case 0:
			return int(n), nil
		case syscall.EINTR:
			continue
		case syscall.EAGAIN:
			return 0, errWouldBlock
		default:
			return 0, errno
		}
	}
}
