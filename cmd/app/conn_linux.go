package app

import (
	"syscall"
	"unsafe"
)

// sysRead reads what there is on a descriptor that never waits, and sysWrite
// writes what fits. The raw call tells the scheduler nothing. Telling it was
// tried: where the call woke someone who then took the processor, the runtime
// thought that it was waiting, gave its place to another thread, and went on
// looking every 20 us whether it had to do so again: a twentieth of the CPU of a ping.
func sysRead(fd uintptr, p []byte) (int, error)  { return sysCall(syscall.SYS_READ, fd, p) }
func sysWrite(fd uintptr, p []byte) (int, error) { return sysCall(syscall.SYS_WRITE, fd, p) }

func sysCall(call, fd uintptr, p []byte) (int, error) {
	n, _, errno := syscall.RawSyscall(call, fd, uintptr(unsafe.Pointer(unsafe.SliceData(p))), uintptr(len(p)))
	if errno != 0 {
		return 0, errno
	}
	return int(n), nil
}
