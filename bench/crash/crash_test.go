package crash

import (
	"flag"
	"os"
	"testing"
	"time"

	"vendue/bench/house"
)

var (
	cycles = flag.Int("cycles", 3, "how many times to kill the exchange")
	seed   = flag.Uint64("seed", 0, "of the moments and manners; 0 takes the clock's")
	rate   = flag.Float64("rate", 300, "leads per second")
)

// TestNothingIsLostByKill9 is the full harness; `go test ./bench/crash -cycles 20 -v` shows its counts.
func TestNothingIsLostByKill9(t *testing.T) {
	if *seed == 0 {
		*seed = uint64(time.Now().UnixNano())
	}
	bin, err := house.Build(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	result, err := Run(t.Context(), Options{Bin: bin, Dir: t.TempDir(), Cycles: *cycles, Rate: *rate, Seed: *seed, Out: os.Stdout})
	if err != nil {
		t.Fatal(err)
	}
	if err := result.Err(); err != nil {
		t.Errorf("seed %d: %v", *seed, err)
	}
	if result.Sold == 0 {
		t.Error("nothing was sold: the run proves nothing")
	}
}
