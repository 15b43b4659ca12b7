//go:build linux

package e2e

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"vendue/bench/house"
)

// TestTenThousandOfTheLargestBodies has each of 10,000 connections send a body
// as large as one may be, all but its last byte, and end them together. What
// has no room is told so, every connection is answered, and memory is bounded.
func TestTenThousandOfTheLargestBodies(t *testing.T) {
	var files syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &files); err != nil {
		t.Fatal(err)
	}
	const bodyBytes, bodiesBytes, connBytes = 64 << 10, 256 << 20, 28 << 10 // of limits, and of the table in cmd/app/DESIGN.md
	n := int(min(10_000, files.Cur-1000))                                   // both ends have one limit each
	s := newScene(t)
	s.buyer("acme", bids(20))
	s.contract("acme").PingLine = "timeout: 200ms, breaker: off" // it answers from the same two processors
	// What may live is the table's share of these; what the collector may leave
	// beside it is bounded by its own limit, which is set here to just that.
	const idle = 64 << 20
	most := float64(idle + 2*bodiesBytes + n*connBytes)
	t.Setenv("GOMEMLIMIT", fmt.Sprintf("%.0f", most))
	s.start()
	was := s.metrics()["process_resident_memory_bytes"]
	l := s.lead()
	body := strings.TrimSuffix(pingBody(&l, ""), "}") + `,"padding":"`
	body += strings.Repeat("x", bodyBytes-len(body)-2) + `"}`
	request := fmt.Sprintf("POST /v1/ping HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer %s\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s",
		house.NorthKey, len(body), body)
	var mu sync.Mutex
	answers := make(map[string]int)
	end := make(chan struct{})
	var sent, answered sync.WaitGroup
	sent.Add(n)
	for range n {
		answered.Go(func() {
			word := sendInTwo(s.cfg.Listen, request, &sent, end)
			mu.Lock()
			answers[word]++
			mu.Unlock()
		})
	}
	sent.Wait()
	held := s.metrics()
	close(end)
	answered.Wait()
	after := s.metrics()
	t.Logf("%d connections: %v; bodies booked %.0f MB; resident: before %.0f MB, with all sent %.0f MB, in the end %.0f MB",
		n, answers, held["vendue_app_bodies_bytes"]/1e6, was/1e6, held["process_resident_memory_bytes"]/1e6, after["process_resident_memory_bytes"]/1e6)
	if answers["200"] == 0 || answers["503"] == 0 || answers["200"]+answers["503"]+answers["429"] != n {
		t.Errorf("want some 200, some 503, and nothing lost: %v", answers)
	}
	if booked := held["vendue_app_bodies_bytes"]; booked > bodiesBytes || booked < bodiesBytes/2 {
		t.Errorf("%.0f bytes are booked with all sent", booked)
	}
	s.eventually(2*time.Second, "nothing is booked any more", func() bool { return s.metrics()["vendue_app_bodies_bytes"] == 0 })
	if rss := max(held["process_resident_memory_bytes"], after["process_resident_memory_bytes"]); rss > 1.05*most && !house.Race {
		t.Errorf("%.0f MB are resident, want at most %.0f MB", rss/1e6, most/1e6)
	}
	s.eventually(2*time.Second, "a lead is sold again", func() bool {
		again := s.lead()
		p := s.send("/v1/direct", directBody(&again, ""), "")
		return p.Status == 200 && p.Get("status").String() == "sold"
	})
}

// sendInTwo sends a request but for its last byte, tells so, sends that byte
// with the others', and returns the answer's status, or what went wrong.
func sendInTwo(addr, request string, sent *sync.WaitGroup, end <-chan struct{}) string {
	told := sync.OnceFunc(sent.Done)
	defer told()
	nc, err := net.DialTimeout("tcp", addr, 10*time.Second)
	if err != nil {
		return "no connection"
	}
	defer func() { _ = nc.Close() }()
	_ = nc.SetDeadline(time.Now().Add(30 * time.Second))
	_, err = io.WriteString(nc, request[:len(request)-1])
	told()
	if err == nil {
		<-end
		_, _ = io.WriteString(nc, request[len(request)-1:]) // who was refused may be gone by now
	}
	resp, err := http.ReadResponse(bufio.NewReader(nc), nil)
	if err != nil {
		return "no answer"
	}
	defer func() { _ = resp.Body.Close() }()
	if resp.StatusCode != 200 && resp.Header.Get("Retry-After") == "" {
		return "no Retry-After"
	}
	return resp.Status[:3]
}
