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

// pollFd is the kernel's struct pollfd.
type pollFd struct {
	fd      int32
	events  int16
	revents int16
}

// pollIn asks for bytes to read and for the other side's end; a broken connection is told unasked.
const pollIn = 0x1 | 0x2000

// poll fills in the events of every descriptor without waiting. False: it cannot tell.
func poll(list []pollFd) bool {
	var now syscall.Timespec
	_, _, errno := syscall.RawSyscall6(syscall.SYS_PPOLL, uintptr(unsafe.Pointer(unsafe.SliceData(list))), uintptr(len(list)),
		uintptr(unsafe.Pointer(&now)), 0, 0, 0)
	return errno == 0
}
