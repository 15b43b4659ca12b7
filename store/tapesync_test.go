package store

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/rs/zerolog"
)

// TestTapeOfAQuietDay: a record that fills no block of the log is on disk after
// a moment all the same, for a copy of the directory and for after a crash. Of
// what came in a rush, the last is.
func TestTapeOfAQuietDay(t *testing.T) {
	for name, records := range map[string]int{"one": 1, "a rush": 5000} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				fs := newCrashMem()
				open := func(fs vfs.FS) *Store {
					s, err := Open(Config{Dir: "data", FS: fs, Log: zerolog.Nop(), TapeDays: 1 << 20})
					if err != nil {
						t.Fatal(err)
					}
					return s
				}
				s := open(fs)
				w := newWorld(t, 46)
				a := testAuction(w)
				for range records {
					a.PingID = w.mint.Ping(w.now)
					s.Tape().Record(a)
				}
				time.Sleep(3 * tapeSyncAfter)
				after := open(fs.CrashClone(vfs.CrashCloneCfg{}))
				if _, found, err := after.Tape().FindAuction(a.PingID); !found || err != nil {
					t.Errorf("the last record is lost: %v", err)
				}
				if s.m.tapeDropped.Get() > 0 || after.Close() != nil || s.Close() != nil {
					t.Error("records were dropped, or a store does not close")
				}
			})
		})
	}
}
