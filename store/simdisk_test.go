package store

import (
	"bytes"
	"errors"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"vendue/exchange"
)

// What was synced is on a crashed disk, a write that was told to fail fails,
// and the disk's files can be read.
func TestSimDisk(t *testing.T) {
	disk := NewSimDisk()
	s, err := Open(Config{Dir: "data", FS: disk.FS(), Log: zerolog.Nop()})
	if err != nil {
		t.Fatal(err)
	}
	add(t, s, time.Unix(1, 0), &exchange.ConfigAccepted{Hash: "h", Text: "a text of its own"})
	after := disk.Crash(0, rand.New(rand.NewPCG(1, 1)))
	refused := errors.New("refused")
	disk.Watch(func(path string, sync bool) error {
		if sync && strings.HasSuffix(path, ".log") {
			return refused
		}
		return nil
	})
	_, ticket, err := s.Append(2, &exchange.ConfigAccepted{Hash: "i"})
	if err == nil {
		err = ticket.Wait()
	}
	if !errors.Is(err, ErrBroken) || !errors.Is(err, refused) {
		t.Errorf("got %v, want %v for %v", err, ErrBroken, refused)
	}
	disk.Watch(nil)
	_ = s.Close() // broken
	found := false
	if err := after.Each("data", func(_ string, data []byte) { found = found || bytes.Contains(data, []byte("a text of its own")) }); err != nil || !found {
		t.Errorf("the event's text was found: %v, error %v", found, err)
	}
	s, err = Open(Config{Dir: "data", FS: after.FS(), Log: zerolog.Nop()})
	if err != nil {
		t.Fatal(err)
	}
	if got := len(readAll(t, s)); got != 1 {
		t.Errorf("%d events are left, want 1", got)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
}
