package store

import (
	"errors"
	"io"
	"math/rand/v2"
	"sync/atomic"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/vfs/errorfs"
)

// SimDisk is a disk in memory for simulations: it can be told to fail, and be
// copied as a loss of power would leave it. It keeps apart what was synced from
// what was only written. Safe for concurrent use.
type SimDisk struct {
	mem   *crashMem
	watch atomic.Pointer[func(path string, sync bool) error]
}

// NewSimDisk returns an empty disk.
func NewSimDisk() *SimDisk { return &SimDisk{mem: newCrashMem()} }

// FS is the disk for Config.FS.
func (d *SimDisk) FS() vfs.FS { return errorfs.Wrap(d.mem, errorfs.InjectorFunc(d.before)) }

func (d *SimDisk) before(op errorfs.Op) error {
	watch := d.watch.Load()
	if watch == nil {
		return nil
	}
	switch op.Kind {
	case errorfs.OpFileWrite:
		return (*watch)(op.Path, false)
	case errorfs.OpFileSync, errorfs.OpFileSyncData, errorfs.OpFileSyncTo:
		return (*watch)(op.Path, true)
	default:
		return nil
	}
}

// Watch has fn called before every write and sync of a file, nil nobody. An
// error of fn fails that write or sync. fn may call Crash; it must not call the store.
func (d *SimDisk) Watch(fn func(path string, sync bool) error) {
	if fn == nil {
		d.watch.Store(nil)
		return
	}
	d.watch.Store(&fn)
}

// Crash returns the disk as a loss of power at this instant could leave it:
// all that was synced, and of the rest about keptPercent (0 to 100), as random picks.
func (d *SimDisk) Crash(keptPercent int, random *rand.Rand) *SimDisk {
	return &SimDisk{mem: d.mem.CrashClone(vfs.CrashCloneCfg{UnsyncedDataPercent: keptPercent, RNG: random})}
}

// Each calls fn with the path and content of every file below dir.
func (d *SimDisk) Each(dir string, fn func(path string, data []byte)) error {
	names, err := d.mem.List(dir)
	if err != nil {
		return err
	}
	for _, name := range names {
		path := d.mem.PathJoin(dir, name)
		info, err := d.mem.Stat(path)
		if err != nil {
			return err
		}
		if info.IsDir() {
			if err := d.Each(path, fn); err != nil {
				return err
			}
			continue
		}
		f, err := d.mem.Open(path)
		if err != nil {
			return err
		}
		data := make([]byte, info.Size())
		if _, err := f.ReadAt(data, 0); err != nil && !errors.Is(err, io.EOF) {
			_ = f.Close()
			return err
		}
		if err := f.Close(); err != nil {
			return err
		}
		fn(path, data)
	}
	return nil
}
