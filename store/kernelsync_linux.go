package store

import (
	"errors"
	"fmt"
	"os"
	"sync"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// The kernel's words for a data sync whose end is told to an event descriptor.
const (
	iocbDataSync  = 3 // IOCB_CMD_FDSYNC
	iocbTellEvent = 1 // IOCB_FLAG_RESFD
	ringEvents    = 4
)

// iocb is the kernel's struct iocb, as far as a sync has use for it.
type iocb struct {
	data    uint64
	_       uint64 // flags of a read or write
	opcode  uint16
	_       uint16
	fd      uint32
	_       [4]uint64 // buffer, length, offset
	flags   uint32
	eventFd uint32
}

// ioEvent is the kernel's struct io_event.
type ioEvent struct {
	data   uint64
	_      uint64
	result int64
	_      int64
}

// kernelSync syncs files by the kernel's asynchronous calls: one hands the sync
// to a worker of the kernel, and the goroutine waits for its end as it waits for
// a socket.
//
// A plain fdatasync holds its thread for as long as the disk takes. To give the
// thread's processor to others meanwhile the runtime's monitor must look every
// 20 us, and with a thousand syncs a second it never sleeps: that, the handing
// over and back, and the sync's own time made a sixth of the CPU of a sale.
// io_uring would do the same, and many containers forbid it.
//
// One sync at a time, under mu: Pebble writes one log, and at a change of logs
// ends the old one first. What the kernel does not take is synced the plain way.
type kernelSync struct {
	ring  uintptr
	event *os.File
	fd    uint32

	mu    sync.Mutex
	asked iocb     // its data is the number of syncs taken
	list  [1]*iocb // asked
	ended [ringEvents]ioEvent
	count [8]byte
}

// newKernelSync fails where the kernel has no such calls or forbids them.
func newKernelSync() (*kernelSync, error) {
	fd, err := unix.Eventfd(0, unix.EFD_NONBLOCK|unix.EFD_CLOEXEC)
	if err != nil {
		return nil, fmt.Errorf("cannot make an event descriptor: %w", err)
	}
	k := &kernelSync{event: os.NewFile(uintptr(fd), "syncs"), fd: uint32(fd)}
	if _, _, errno := syscall.RawSyscall(unix.SYS_IO_SETUP, ringEvents, uintptr(unsafe.Pointer(&k.ring)), 0); errno != 0 {
		return nil, errors.Join(fmt.Errorf("cannot set up asynchronous syncs: %w", errno), k.event.Close())
	}
	k.list[0] = &k.asked
	return k, nil
}

// syncData returns when all that was written to fd is on disk, or with the
// disk's error. Not taken: nothing was done.
func (k *kernelSync) syncData(fd uintptr) (taken bool, err error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.asked = iocb{data: k.asked.data + 1, opcode: iocbDataSync, fd: uint32(fd), flags: iocbTellEvent, eventFd: k.fd}
	// Raw, because neither call waits: the kernel only queues the one and copies for the other.
	if n, _, errno := syscall.RawSyscall(unix.SYS_IO_SUBMIT, k.ring, 1, uintptr(unsafe.Pointer(&k.list))); errno != 0 || n != 1 {
		k.asked.data--
		return false, nil
	}
	if _, err := k.event.Read(k.count[:]); err != nil {
		return true, fmt.Errorf("cannot wait for the disk: %w", err)
	}
	n, _, errno := syscall.RawSyscall6(unix.SYS_IO_GETEVENTS, k.ring, 0, ringEvents, uintptr(unsafe.Pointer(&k.ended)), 0, 0)
	if errno != 0 {
		return true, fmt.Errorf("cannot read how a sync ended: %w", errno)
	}
	return true, k.result(int(n))
}

// result is what the kernel told of the sync that was asked for, in n ends.
func (k *kernelSync) result(n int) error {
	switch end := k.ended[0]; {
	case n != 1 || end.data != k.asked.data:
		return fmt.Errorf("the kernel told of %d syncs, first of number %d, when number %d was waited for", n, end.data, k.asked.data)
	case end.result < 0:
		return syscall.Errno(-end.result)
	}
	return nil
}

// close lets go of what newKernelSync took, unless a sync still hangs: the
// process, which is about to end, does it then.
func (k *kernelSync) close() {
	if k == nil || !k.mu.TryLock() {
		return
	}
	defer k.mu.Unlock()
	_, _, _ = syscall.Syscall(unix.SYS_IO_DESTROY, k.ring, 0, 0)
	_ = k.event.Close()
	k.ring = 0 // of no ring; no sync is taken any more
}
