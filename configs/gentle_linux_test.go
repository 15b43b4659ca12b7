package configs

import (
	"os"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// No piece of loading ten thousand contracts is long beside the whole, neither
// where all is new nor where one line is: what gives way between the pieces keeps
// a core for no longer. It is counted in the thread's own CPU time, so that a busy
// machine does not matter.
func TestLoadGentlyWorksInSmallPieces(t *testing.T) {
	path := filepath.Join(t.TempDir(), "vendue.yaml")
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	defer debug.SetGCPercent(debug.SetGCPercent(-1)) // its help is not what is measured
	spent := func() time.Duration {
		var at unix.Timespec
		if err := unix.ClockGettime(unix.CLOCK_THREAD_CPUTIME_ID, &at); err != nil {
			t.Fatal(err)
		}
		return time.Duration(at.Nano())
	}
	known := &Pieces{}
	for _, text := range []string{tenThousand(), tenThousandEdited()} {
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		began := spent()
		last, longest, pieces := began, time.Duration(0), 0
		piece := func() {
			now := spent()
			longest, last = max(longest, now-last), now
			pieces++
		}
		if _, faults := LoadGently(path, known, piece); len(faults) > 0 {
			t.Fatal(faults)
		}
		piece()
		if whole := last - began; longest > whole/8 || pieces < 10_000 {
			t.Errorf("%d pieces, the longest %s of %s; want at most an eighth", pieces, longest, whole)
		} else {
			t.Logf("%d pieces, the longest %s of %s", pieces, longest, whole)
		}
	}
}
