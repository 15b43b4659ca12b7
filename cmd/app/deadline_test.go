package app

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"testing"
	"time"
)

func TestLazyDeadline(t *testing.T) {
	var d lazyDeadline
	start := time.Unix(1_000_000, 0)
	for _, step := range []struct {
		want int // seconds since start; negative: none
		due  bool
	}{
		{-1, false}, {75, true}, {75, false}, {10, true}, {75, true}, {76, true}, {-1, true}, {-1, false}, {10, true}, {9, true},
	} {
		d.want = time.Time{}
		if step.want >= 0 {
			d.want = start.Add(time.Duration(step.want) * time.Second)
		}
		if due := d.due(); due != step.due {
			t.Fatalf("want %v: due %v", d.want, due)
		}
	}
	d.want = d.armed.Add(deadlineSlack - 1)
	if d.due() {
		t.Fatal("armed anew within the slack")
	}
	d.want = d.armed.Add(deadlineSlack)
	if !d.due() {
		t.Fatal("a deadline was left earlier than the slack allows")
	}
}

// Deadlines hold on a real connection, whichever came before.
func TestDeadlinesOfSellers(t *testing.T) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = ln.Close() }()
	client, err := net.Dial("tcp", ln.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = client.Close() }()
	c, err := (&publicListener{Listener: ln}).Accept()
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = c.Close() }()
	buf := make([]byte, 1<<20)
	for range 2 {
		_ = c.SetReadDeadline(time.Now().Add(time.Minute))
		if _, err := client.Write([]byte("x")); err != nil {
			t.Fatal(err)
		}
		if n, err := c.Read(buf); n != 1 || err != nil {
			t.Fatalf("read %d, %v", n, err)
		}
		_ = c.SetReadDeadline(time.Now().Add(10 * time.Millisecond))
		if _, err := c.Read(buf); !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Fatalf("a read past its deadline: %v", err)
		}
	}
	_ = c.SetDeadline(time.Now().Add(20 * time.Millisecond))
	for err = nil; err == nil; {
		_, err = c.Write(buf) // nobody reads
	}
	if !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Fatalf("a write past its deadline: %v", err)
	}
}

// An answer larger than the socket's room arrives whole, and who hung up is an error.
func TestLongAnswersArriveWhole(t *testing.T) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = ln.Close() }()
	client, err := net.Dial("tcp", ln.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	c, err := (&publicListener{Listener: ln}).Accept()
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = c.Close() }()
	sent := make([]byte, 16<<20)
	for i := range sent {
		sent[i] = byte(i * i >> 8)
	}
	wrote := make(chan error, 1)
	go func() {
		n, err := c.Write(sent)
		if err == nil && n != len(sent) {
			err = fmt.Errorf("wrote %d of %d bytes", n, len(sent))
		}
		wrote <- err
	}()
	got := make([]byte, len(sent))
	_ = client.SetReadDeadline(time.Now().Add(30 * time.Second))
	if _, err := io.ReadFull(client, got); err != nil {
		t.Fatal(err)
	}
	if err := <-wrote; err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, sent) {
		t.Fatal("the answer came mangled")
	}
	_ = client.Close()
	for err = nil; err == nil; {
		_, err = c.Write(sent[:4096])
	}
	if errors.Is(err, os.ErrDeadlineExceeded) {
		t.Fatalf("a write to who hung up: %v", err)
	}
}
