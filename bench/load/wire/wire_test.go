//go:build linux

package wire

import (
	"errors"
	"net/netip"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

func TestFrame(t *testing.T) {
	for name, c := range map[string]struct {
		in          string
		total, body int
		bad         bool
	}{
		"whole":              {in: "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nab", total: 40, body: 38},
		"lower case":         {in: "HTTP/1.1 200 OK\r\ncontent-length:2\r\n\r\nab", total: 39, body: 37},
		"two messages":       {in: "HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nabc", total: 39, body: 38},
		"body on its way":    {in: "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nab", body: 38},
		"head on its way":    {in: "HTTP/1.1 200 OK\r\nContent-Le"},
		"no body":            {in: "GET / HTTP/1.1\r\nHost: x\r\n\r\n", total: 27, body: 27},
		"a value that looks": {in: "GET /content-length:7 HTTP/1.1\r\nHost: x\r\n\r\n", total: 43, body: 43},
		"chunked":            {in: "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", bad: true},
		"no digits":          {in: "HTTP/1.1 200 OK\r\nContent-Length: x\r\n\r\n", bad: true},
		"too long":           {in: "HTTP/1.1 200 OK\r\nContent-Length: 999999999\r\n\r\n", bad: true},
	} {
		total, body, err := Frame([]byte(c.in))
		if total != c.total || (body != c.body && !c.bad) || (err != nil) != c.bad {
			t.Errorf("%s: Frame gives %d, %d, %v; expected %d, %d, bad %t", name, total, body, err, c.total, c.body, c.bad)
		}
	}
}

func TestNumber(t *testing.T) {
	for in, want := range map[string]int64{`{"bid":21.5}`: 2150, `{"bid":7,"x":1}`: 700, `{"bid":0.057}`: 5, `{"bid":"x"}`: -1, `{}`: -1, `{"bid":`: -1} {
		if got := Number([]byte(in), []byte(`"bid":`)); got != want {
			t.Errorf("Number(%s) = %d, expected %d", in, got, want)
		}
	}
}

func FuzzFrame(f *testing.F) {
	f.Add([]byte("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nab"))
	f.Fuzz(func(t *testing.T, b []byte) {
		total, body, err := Frame(b)
		if total < 0 || total > len(b) || body < 0 || body > len(b) || (err == nil && total > 0 && body > total) {
			t.Errorf("Frame of %d bytes gives %d, %d, %v", len(b), total, body, err)
		}
		if n := Number(b, []byte(":")); n < -1 {
			t.Errorf("Number gives %d", n)
		}
	})
}

// A connection of ours tells of bytes, of their absence and of its end.
func TestPoll(t *testing.T) {
	ln, port, err := Listen()
	if err != nil {
		t.Fatal(err)
	}
	defer Close(ln)
	near, err := Dial(netip.AddrPortFrom(netip.AddrFrom4([4]byte{127, 0, 0, 1}), uint16(port)))
	if err != nil {
		t.Fatal(err)
	}
	p, err := NewPoll()
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	if err := p.Add(ln, 7); err != nil {
		t.Fatal(err)
	}
	if ready, err := p.Wait(time.Second); err != nil || len(ready) != 1 || ready[0].Fd != 7 {
		t.Fatalf("the listener's readiness is told as %v, %v; expected id 7", ready, err)
	}
	far, err := Accept(ln)
	if err != nil {
		t.Fatal(err)
	}
	defer Close(far)
	if _, err := Accept(ln); !errors.Is(err, unix.EAGAIN) {
		t.Errorf("Accept without a caller gives %v, expected EAGAIN", err)
	}
	var b [8]byte
	if _, err := Read(far, b[:]); !errors.Is(err, unix.EAGAIN) {
		t.Errorf("Read of nothing gives %v, expected EAGAIN", err)
	}
	if n, err := Write(near, []byte("abc")); n != 3 || err != nil {
		t.Errorf("Write gives %d, %v", n, err)
	}
	if err := p.Add(far, 9); err != nil {
		t.Fatal(err)
	}
	if ready, err := p.Wait(time.Second); err != nil || len(ready) != 1 || ready[0].Fd != 9 {
		t.Errorf("readable bytes are told as %v, %v; expected id 9", ready, err)
	}
	if n, err := Read(far, b[:]); n != 3 || err != nil {
		t.Errorf("Read gives %d, %v", n, err)
	}
	Close(near)
	if ready, err := p.Wait(time.Second); err != nil || len(ready) != 1 {
		t.Errorf("the end is told as %v, %v", ready, err)
	}
	if n, err := Read(far, b[:]); n != 0 || err != nil {
		t.Errorf("Read at the end gives %d, %v", n, err)
	}
}
