package bidder

import (
	"crypto/tls"
	"crypto/x509"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"vendue/bidder/gate"
	"vendue/exchange"
)

// crowd is how many asks come at once to a house that has no connection to the buyer yet: enough to open its breaker.
const crowd = 25

// slowHands is a buyer behind TLS, in the test's bubble, that takes its time over each handshake, and over each answer. It
// returns the market, and how many connections were made to it.
func slowHands(t *testing.T, cert *tls.Certificate, roots *x509.CertPool, takes, answers time.Duration) (Config, TransportConfig, *atomic.Int64) {
	t.Helper()
	var ended sync.WaitGroup
	t.Cleanup(ended.Wait)
	conns := new(atomic.Int64)
	dial := func(string, string, time.Duration) (net.Conn, error) {
		conns.Add(1)
		ours, theirs := net.Pipe()
		ended.Go(func() {
			time.Sleep(takes) // virtual
			servePipe(tls.Server(theirs, &tls.Config{Certificates: []tls.Certificate{*cert}, MinVersion: tls.VersionTLS12}), after(answers, "3"))
		})
		return ours, nil
	}
	cfg := market("https://example.com:1/ping")
	cfg.Contracts[0].Terms.PingTimeout, cfg.Contracts[0].Terms.Buyer = 200*time.Millisecond, &exchange.Buyer{ID: "b"}
	return cfg, TransportConfig{Dial: dial, RootCAs: roots}, conns
}

// askAtOnce asks crowd times together and counts the answers that carry a bid.
func (h *house) askAtOnce(window time.Duration) (bids int64) {
	var n atomic.Int64
	var wg sync.WaitGroup
	for range crowd {
		wg.Go(func() {
			if a := h.ask(window); a.Answers[0].Reason == exchange.ReasonNone {
				n.Add(1)
			}
		})
	}
	wg.Wait()
	return n.Load()
}

// After a start hundreds of handshakes come at once and take longer than a ping may. The buyer has done
// nothing wrong; the connections are there for the next auction; and one that never shakes hands is found out.
func TestBubbleColdHandshakes(t *testing.T) {
	s, roots := tlsBuyer(t, func(http.ResponseWriter, *http.Request) {})
	cert := &s.TLS.Certificates[0]
	s.Close()
	for _, c := range []struct {
		name           string
		takes, answers time.Duration
		bids           int64 // of a second crowd
		phase          gate.Phase
	}{
		{"late", 400 * time.Millisecond, time.Millisecond, crowd, gate.PhaseClosed},
		{"in time, and little is left for the answer", 150 * time.Millisecond, 80 * time.Millisecond, crowd, gate.PhaseClosed},
		{"never", 2 * dialWarmMax, time.Millisecond, 0, gate.PhaseOpen},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				cfg, tc, conns := slowHands(t, cert, roots, c.takes, c.answers)
				h := newHouse(t, cfg, tc)
				if bids := h.askAtOnce(200 * time.Millisecond); bids != 0 {
					t.Fatalf("%d bids from a buyer whose handshake takes %s, and its answer %s", bids, c.takes, c.answers)
				}
				time.Sleep(time.Second)
				if p := h.Pings()[0]; p.Breaker != gate.PhaseClosed || p.Faults != 0 {
					t.Errorf("while the handshakes may still end: breaker %s, %d faults", p.Breaker, p.Faults)
				}
				time.Sleep(dialWarmMax)
				was := conns.Load()
				if bids := h.askAtOnce(200 * time.Millisecond); bids != c.bids || conns.Load() != was {
					t.Errorf("afterwards %d bids and %d new connections, want %d and none", bids, conns.Load()-was, c.bids)
				}
				if p := h.Pings()[0]; p.Breaker != c.phase {
					t.Errorf("afterwards the breaker is %s, want %s", p.Breaker, c.phase)
				}
			})
		})
	}
}
