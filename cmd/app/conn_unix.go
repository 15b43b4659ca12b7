//go:build unix && !linux

package app

import "syscall"

// sysRead reads what there is on a descriptor that never waits, and sysWrite writes what fits.
func sysRead(fd uintptr, p []byte) (int, error)  { return syscall.Read(int(fd), p) }
func sysWrite(fd uintptr, p []byte) (int, error) { return syscall.Write(int(fd), p) }
