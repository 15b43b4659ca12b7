package bidder

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/VictoriaMetrics/metrics"
)

// readAll runs the parser over an answer that comes in pieces of step bytes and then ends.
func readAll(text []byte, step int) (parser, []byte, error) {
	var p parser
	buf := bytes.Clone(text)
	for n := 0; n < len(buf); {
		n = min(n+step, len(buf))
		if err := p.advance(buf[:n]); err != nil {
			return p, nil, err
		}
		if p.phase == phaseDone && n == len(buf) {
			return p, buf[p.bodyAt:p.bodyEnd], nil
		}
	}
	if err := p.eof(len(buf) > 0); err != nil {
		return p, nil, err
	}
	return p, buf[p.bodyAt:p.bodyEnd], nil
}

var replySeeds = []string{
	"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}",
	"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\n{\r\n001;a=b\r\n}\r\n0\r\nT: v\r\n\r\n",
	"HTTP/1.0 200\r\nConnection: keep-alive\r\nContent-Length: 0\r\n\r\n",
	"HTTP/1.1 204 No Content\r\n\r\n",
	"HTTP/1.1 304 Not Modified\r\nContent-Length: 7\r\n\r\n",
	"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\nContent-Length: 1\n\nx",
	"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nuntil the end",
	"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nxy",
	"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
	"HTTP/1.1 200 OK\r\nA: b\r\n c\r\nContent-Length: 0\r\n\r\n",
	"HTTP/1.1 200 OK\r\nContent-Length: +1\r\n\r\nx",
	"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}HTTP/1.1 200 OK\r\n\r\n",
}

// FuzzReply holds the parser against net/http: what both accept they read
// alike; and however the bytes come in pieces, the parser says the same.
func FuzzReply(f *testing.F) {
	for _, s := range replySeeds {
		f.Add([]byte(s), uint8(1))
	}
	f.Fuzz(func(t *testing.T, text []byte, step uint8) {
		if len(text) > 4<<10 {
			return
		}
		p, body, err := readAll(text, len(text)+1)
		q, pieces, stepErr := readAll(text, int(step)+1)
		if (err == nil) != (stepErr == nil) || !bytes.Equal(body, pieces) || err == nil && p.status != q.status {
			t.Fatalf("whole: %d %q %v; in pieces: %d %q %v", p.status, body, err, q.status, pieces, stepErr)
		}
		if err != nil {
			return
		}
		status, want, err := oracle(text)
		if err != nil {
			return // net/http is stricter here and there
		}
		if status != p.status || !bytes.Equal(want, body) {
			t.Fatalf("net/http read %d %q, we read %d %q", status, want, p.status, body)
		}
	})
}

func oracle(text []byte) (int, []byte, error) {
	br := bufio.NewReader(bytes.NewReader(text))
	for {
		r, err := http.ReadResponse(br, &http.Request{Method: "POST"})
		if err != nil {
			return 0, nil, err
		}
		body, err := io.ReadAll(r.Body)
		if err != nil {
			return 0, nil, err
		}
		if r.StatusCode >= 200 {
			return r.StatusCode, body, nil
		}
	}
}

func TestReplySeeds(t *testing.T) {
	accepted := 0
	for _, s := range replySeeds {
		if _, _, err := readAll([]byte(s), 1); err == nil {
			accepted++
		}
	}
	if accepted != 7 {
		t.Fatalf("%d of the seeds were read, want the first 7", accepted)
	}
}

// inTurn is a wire that has one answer after the other ready.
type inTurn struct {
	wire
	text []byte
}

func (w *inTurn) tryRead(p []byte) (int, error) {
	if len(w.text) == 0 {
		return 0, errWouldBlock
	}
	n := copy(p, w.text)
	w.text = w.text[n:]
	return n, nil
}

func (w *inTurn) settled() bool { return true }
func (w *inTurn) close()        {}

// A head that was read before is not read again; what its answer says must be
// what a parser without a memory makes of it, whichever answers came before.
func TestReplyRemembered(t *testing.T) {
	answers := append([]string{
		"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n[]",
		"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\n[1]",
		"HTTP/1.1 500 No\r\nContent-Length: 2\r\n\r\n[]",
		"HTTP/1.1 204 No\r\nContent-Length: 0\r\n\r\n",
		"HTTP/1.1 204 No\r\nContent-Length: 2\r\n\r\n[]",
		"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\n[]",
		"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n[]\r\n",
		"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n",
	}, replySeeds...)
	recalled := 0
	for _, before := range answers {
		for _, text := range answers {
			h := &host{t: &Transport{cfg: TransportConfig{ReplyBytesMax: 4 << 10}, ms: newTransportMetrics(metrics.NewSet())}}
			w := &inTurn{text: []byte(before)}
			c := &conn{host: h, wire: w, born: time.Now()}
			c.begin()
			if c.poll() == nil {
				h.release(c, time.Now())
			}
			fresh := &conn{host: h, wire: &inTurn{text: []byte(text)}}
			fresh.begin()
			c.begin()
			w.text = []byte(text)
			if len(c.head) > 0 && strings.HasPrefix(text, string(c.head)) {
				recalled++
			}
			err, want := c.poll(), fresh.poll()
			if !errors.Is(err, want) || c.parse.phase != fresh.parse.phase || c.parse.reusable() != fresh.parse.reusable() {
				t.Fatalf("%q after %q: got %v, phase %d; want %v, phase %d", text, before, err, c.parse.phase, want, fresh.parse.phase)
			}
			if err == nil && (c.reply().Status != fresh.reply().Status || !bytes.Equal(c.reply().Body, fresh.reply().Body)) {
				t.Fatalf("%q after %q: got %d %q, want %d %q", text, before, c.reply().Status, c.reply().Body, fresh.reply().Status, fresh.reply().Body)
			}
		}
	}
	if recalled < 10 {
		t.Fatalf("%d heads were recalled: this tests nothing", recalled)
	}
}
