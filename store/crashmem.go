package store

import (
	"io"
	"sync"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// crashMem is Pebble's disk in memory that can be copied as a loss of power
// would leave it. Pebble's own takes the same read lock twice in these three
// calls, so that a copy asked for in between waits for the second, and the
// second for it. Here a copy waits until such a call is over. Safe for concurrent use.
type crashMem struct {
	*vfs.MemFS

	twice sync.RWMutex // held around whatever takes the copy's lock more than once
}

func newCrashMem() *crashMem { return &crashMem{MemFS: vfs.NewCrashableMem()} }

// CrashClone returns the disk as a loss of power at this instant could leave it.
func (m *crashMem) CrashClone(cfg vfs.CrashCloneCfg) *crashMem {
	m.twice.Lock()
	defer m.twice.Unlock()
	return &crashMem{MemFS: m.MemFS.CrashClone(cfg)}
}

// Lock takes the database's lock file.
func (m *crashMem) Lock(name string) (io.Closer, error) {
	m.twice.RLock()
	defer m.twice.RUnlock()
	return m.MemFS.Lock(name)
}

// Link gives a file a second name.
func (m *crashMem) Link(oldname, newname string) error {
	m.twice.RLock()
	defer m.twice.RUnlock()
	return m.MemFS.Link(oldname, newname)
}

// ReuseForWrite renames a file and opens it.
func (m *crashMem) ReuseForWrite(oldname, newname string, category vfs.DiskWriteCategory) (vfs.File, error) {
	m.twice.RLock()
	defer m.twice.RUnlock()
	return m.MemFS.ReuseForWrite(oldname, newname, category)
}
