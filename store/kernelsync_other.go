//go:build !linux

package store

import "errors"

// kernelSync exists on Linux only.
type kernelSync struct{}

func newKernelSync() (*kernelSync, error) { return nil, errors.ErrUnsupported }

func (k *kernelSync) syncData(uintptr) (taken bool, err error) { return false, nil }

func (k *kernelSync) close() {}
