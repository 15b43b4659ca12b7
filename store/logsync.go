package store

import "github.com/cockroachdb/pebble/v2/vfs"

// walCategory is what Pebble says of a log file when it makes one.
const walCategory vfs.DiskWriteCategory = "pebble-wal"

// logSyncFS has the journal's log files synced by the kernel's own workers; see kernelSync.
type logSyncFS struct {
	vfs.FS
	kernel *kernelSync
}

// Create makes a file.
func (l logSyncFS) Create(name string, category vfs.DiskWriteCategory) (vfs.File, error) {
	f, err := l.FS.Create(name, category)
	return l.wrap(f, category), err
}

// ReuseForWrite makes a file of an old one.
func (l logSyncFS) ReuseForWrite(oldname, newname string, category vfs.DiskWriteCategory) (vfs.File, error) {
	f, err := l.FS.ReuseForWrite(oldname, newname, category)
	return l.wrap(f, category), err
}

// Unwrap returns the file system below.
func (l logSyncFS) Unwrap() vfs.FS { return l.FS }

func (l logSyncFS) wrap(f vfs.File, category vfs.DiskWriteCategory) vfs.File {
	if f == nil || category != walCategory {
		return f
	}
	return walFile{f, l.kernel}
}

type walFile struct {
	vfs.File
	kernel *kernelSync
}

// SyncData returns when all that was written is on disk.
func (f walFile) SyncData() error {
	if taken, err := f.kernel.syncData(f.Fd()); taken {
		return err
	}
	return f.File.SyncData()
}
