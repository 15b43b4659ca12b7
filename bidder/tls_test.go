package bidder

import (
	"crypto/tls"
	"crypto/x509"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"vendue/exchange"
)

// tlsBuyer is net/http's own server with a certificate of its own making.
func tlsBuyer(t *testing.T, serve http.HandlerFunc) (*httptest.Server, *x509.CertPool) {
	t.Helper()
	s := httptest.NewUnstartedServer(serve)
	s.Config.ErrorLog = log.New(io.Discard, "", 0)
	s.StartTLS()
	t.Cleanup(s.Close)
	pool := x509.NewCertPool()
	pool.AddCert(s.Certificate())
	return s, pool
}

// wrapped hides that a connection is TCP, so that the house pumps it.
type wrapped struct{ net.Conn }

func TestTLS(t *testing.T) {
	for _, how := range []string{"over TCP", "over any connection"} {
		t.Run(how, func(t *testing.T) {
			var conns atomic.Int32
			s, pool := tlsBuyer(t, func(w http.ResponseWriter, r *http.Request) {
				_, _ = io.Copy(io.Discard, r.Body)
				_, _ = io.WriteString(w, `{"accepted":true,"bid":3,"pad":"`+strings.Repeat("p", 30<<10)+`"}`)
			})
			tc := TransportConfig{RootCAs: pool, WarmConnsPerHost: 2}
			tc.Dial = func(network, addr string, timeout time.Duration) (net.Conn, error) {
				conns.Add(1)
				nc, err := net.DialTimeout(network, addr, timeout)
				if err == nil && how != "over TCP" {
					nc = wrapped{nc}
				}
				return nc, err
			}
			h := newHouse(t, market(s.URL, s.URL), tc)
			h.warmed(t, 2)
			for range 20 {
				a := h.ask(10 * time.Second)
				for i := range a.Answers {
					mustReason(t, &a.Answers[i], exchange.ReasonNone, "")
				}
				if r := h.post(10 * time.Second); r.Outcome != exchange.OutcomeAccepted {
					t.Fatalf("got %+v", r)
				}
			}
			if n := conns.Load(); n > 10 {
				t.Fatalf("%d connections for 60 requests, two at a time", n)
			}
		})
	}
}

func TestTLSRefusesStrangers(t *testing.T) {
	s, pool := tlsBuyer(t, func(http.ResponseWriter, *http.Request) {})
	h := newHouse(t, market(s.URL), TransportConfig{}) // the system does not know the certificate
	a := h.ask(10 * time.Second)
	mustReason(t, &a.Answers[0], exchange.ReasonBuyerError, "TLS")
	if r := h.post(10 * time.Second); r.Outcome != exchange.OutcomeNotDelivered {
		t.Fatalf("got %+v", r)
	}
	// The certificate is for 127.0.0.1 and example.com.
	h = newHouse(t, market(strings.Replace(s.URL, "127.0.0.1", "localhost", 1)), TransportConfig{RootCAs: pool})
	a = h.ask(10 * time.Second)
	mustReason(t, &a.Answers[0], exchange.ReasonBuyerError, "TLS")
}

func TestTLSOldVersionRefused(t *testing.T) {
	s := httptest.NewUnstartedServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	s.Config.ErrorLog = log.New(io.Discard, "", 0)
	s.TLS = &tls.Config{MinVersion: tls.VersionTLS10, MaxVersion: tls.VersionTLS11}
	s.StartTLS()
	defer s.Close()
	pool := x509.NewCertPool()
	pool.AddCert(s.Certificate())
	h := newHouse(t, market(s.URL), TransportConfig{RootCAs: pool})
	a := h.ask(10 * time.Second)
	mustReason(t, &a.Answers[0], exchange.ReasonBuyerError, "TLS")
}

// Over TLS too: a hanging buyer delays nobody, and its late answer is drained.
func TestTLSLateAnswer(t *testing.T) {
	release := make(chan struct{})
	s, pool := tlsBuyer(t, func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		if strings.Contains(string(body), `"contract":"c0"`) {
			<-release
		}
		_, _ = io.WriteString(w, `{"bid":3}`)
	})
	h := newHouse(t, market(s.URL, s.URL), TransportConfig{RootCAs: pool})
	h.warmed(t, 2)
	a := h.ask(200 * time.Millisecond)
	mustReason(t, &a.Answers[0], exchange.ReasonTimeout, "")
	mustReason(t, &a.Answers[1], exchange.ReasonNone, "")
	close(release)
	eventually(t, "the late answer is counted", func() bool { return h.count(`vendue_bidder_late_total{contract="c0"}`) == 1 })
	a = h.ask(10 * time.Second)
	mustReason(t, &a.Answers[0], exchange.ReasonNone, "")
}
