//go:build linux

package buyers

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// serve runs buyers for the rest of the test process: they end with it, as in the bench.
func serve(t *testing.T, cfg Config) []int {
	t.Helper()
	ready := make(chan []int, 1)
	go func() {
		if err := Serve(cfg, func(p []int) { ready <- p }); err != nil {
			panic(err)
		}
	}()
	return <-ready
}

func ask(t *testing.T, c *http.Client, url, body string) string {
	t.Helper()
	resp, err := c.Post(url, "application/json", strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	b, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode != http.StatusOK {
		t.Fatalf("%s: %d, %v", url, resp.StatusCode, err)
	}
	return string(b)
}

// Each buyer bids its own price, and accepts.
func TestAnswers(t *testing.T) {
	ports := serve(t, Config{N: 10})
	bids := make(map[string]bool)
	for i, port := range ports {
		bid := ask(t, http.DefaultClient, fmt.Sprintf("http://127.0.0.1:%d/ping", port), "{}")
		if !strings.HasPrefix(bid, `{"bid":1`) {
			t.Errorf("buyer %d answers %s", i, bid)
		}
		bids[bid[:12]] = true
		if got := ask(t, http.DefaultClient, fmt.Sprintf("http://127.0.0.1:%d/post", port), "{}"); !strings.Contains(got, `"accepted":true`) {
			t.Errorf("buyer %d answers %s", i, got)
		}
	}
	if len(bids) != 10 {
		t.Errorf("ten buyers bid %d prices", len(bids))
	}
	resp, err := http.Get(fmt.Sprintf("http://127.0.0.1:%d/served", ports[0]))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	if b, _ := io.ReadAll(resp.Body); string(b) != `{"served":20}` {
		t.Errorf("20 requests are told as %s", b)
	}
}

// A bid comes after the delay, a post at once, and nothing from the one that hangs.
func TestDelayAndHang(t *testing.T) {
	const delay = 40 * time.Millisecond
	ports := serve(t, Config{N: 2, Delay: delay, Hang: 1})
	start := time.Now()
	ask(t, http.DefaultClient, fmt.Sprintf("http://127.0.0.1:%d/ping", ports[0]), "{}")
	if took := time.Since(start); took < delay {
		t.Errorf("a bid came after %s; expected %s", took, delay)
	}
	c, err := net.Dial("tcp4", fmt.Sprintf("127.0.0.1:%d", ports[1]))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = c.Close() }()
	if _, err := c.Write([]byte("POST /ping HTTP/1.1\r\nContent-Length: 2\r\n\r\n{}")); err != nil {
		t.Fatal(err)
	}
	_ = c.SetReadDeadline(time.Now().Add(3 * delay))
	var b [8]byte
	if n, err := c.Read(b[:]); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("the one that hangs answers %d bytes, %v", n, err)
	}
	_ = c.SetReadDeadline(time.Now().Add(5 * time.Second))
	if _, err := c.Write([]byte("POST /post HTTP/1.1\r\nContent-Length: 2\r\n\r\n{}")); err != nil {
		t.Fatal(err)
	}
	if _, err := c.Read(b[:]); err != nil {
		t.Errorf("its post is not answered: %v", err)
	}
}

func TestTLS(t *testing.T) {
	file := filepath.Join(t.TempDir(), "cert.pem")
	ready := make(chan []int, 1)
	go func() { panic(ServeTLS(2, file, func(p []int) { ready <- p })) }()
	ports := <-ready
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(text) {
		t.Fatal("the certificate cannot be read")
	}
	c := &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: pool, MinVersion: tls.VersionTLS12}}}
	defer c.CloseIdleConnections()
	if got := ask(t, c, fmt.Sprintf("https://127.0.0.1:%d/ping", ports[1]), "{}"); !strings.Contains(got, `"bid":`) {
		t.Errorf("a buyer behind TLS answers %s", got)
	}
	if got := ask(t, c, fmt.Sprintf("https://127.0.0.1:%d/post", ports[1]), "{}"); !strings.Contains(got, `"accepted":true`) {
		t.Errorf("a buyer behind TLS answers %s", got)
	}
}

func TestConfig(t *testing.T) {
	for _, cfg := range []Config{{}, {N: 2, Hang: 3}, {N: 5000}, {N: 1, Delay: -1}} {
		if err := Serve(cfg, func([]int) { t.Errorf("%+v is served", cfg) }); err == nil {
			t.Errorf("%+v passes", cfg)
		}
	}
}
