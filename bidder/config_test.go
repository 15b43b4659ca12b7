package bidder

import (
	"strings"
	"testing"

	"github.com/VictoriaMetrics/metrics"
	"github.com/rs/zerolog"

	"vendue/exchange"
)

// Every fault of a config is told at once, with the contract and the field, and none repeats a secret.
func TestNewFaults(t *testing.T) {
	cases := []struct{ url, header, value, want string }{
		{"", "", "", "contract c0: ping: url: missing"},
		{"ftp://a/", "", "", "expected http or https"},
		{"://", "", "", "expected an absolute http or https URL"},
		{"http:///x", "", "", "expected a host"},
		{"http://user:hunter2@a/", "", "", "credentials in a header"},
		{"http://a/#x", "", "", "fragment"},
		{"http://b\u00fccher.example/", "", "", "ASCII"},
		{"http://a/", "", "x", "header: expected a name"},
		{"http://a/", "X Y", "x", "header \"X Y\""},
		{"http://a/", "X", "hunter2\r\nY: z", "header \"X\": expected a value without control characters"},
		{"http://a/", "content-length", "1", "set by the exchange itself"},
		{"http://a/", "Host", "b", "set by the exchange itself"},
		{"http://a/", "Idempotency-Key", "b", "set by the exchange itself"},
	}
	tr := NewTransport(TransportConfig{}, zerolog.Nop(), metrics.NewSet())
	defer func() { _ = tr.Close() }()
	for _, c := range cases {
		cfg := market(c.url)
		if c.header != "" || c.value != "" {
			cfg.Contracts[0].Ping.Headers = []Header{{c.header, c.value}}
			cfg.Contracts[0].Post.Headers = cfg.Contracts[0].Ping.Headers
		}
		_, err := New(cfg, tr)
		if err == nil || !strings.Contains(err.Error(), c.want) || strings.Contains(err.Error(), "hunter2") {
			t.Errorf("%q, %q: got %v", c.url, c.header, err)
		}
		if err != nil && (!strings.Contains(err.Error(), "c0: ping") || !strings.Contains(err.Error(), "c0: post")) {
			t.Errorf("%q: not both faults are told: %v", c.url, err)
		}
	}
}

// A standing price needs no ping URL; a reload shares the transport's connections.
func TestNewShares(t *testing.T) {
	tr := NewTransport(TransportConfig{}, zerolog.Nop(), metrics.NewSet())
	defer func() { _ = tr.Close() }()
	cfg := market("http://127.0.0.1:1/a", "http://127.0.0.1:1/b")
	cfg.Contracts[1].Terms.Pinged, cfg.Contracts[1].Ping.URL = false, ""
	old, err := New(cfg, tr)
	if err != nil {
		t.Fatal(err)
	}
	next, err := New(cfg, tr)
	if err != nil {
		t.Fatal(err)
	}
	if old.contracts[0].post[0].host != next.contracts[1].post[0].host || old.contracts[0].adapter != old.contracts[1].adapter {
		t.Fatal("one address has two pools, or one format two adapters")
	}
}

// A reload finds the counters of the contracts that stay; it does not spell their names again.
func TestMetricsStayOverReloads(t *testing.T) {
	tr := NewTransport(TransportConfig{}, zerolog.Nop(), metrics.NewSet())
	defer func() { _ = tr.Close() }()
	one, other := tr.metricsOf("c", false), tr.metricsOf("c", true)
	if tr.metricsOf("c", false) != one {
		t.Error("a contract's metrics were made twice")
	}
	if other == one || other.answers[exchange.ReasonDuplicate] == nil {
		t.Error("a contract that became one of a described format lacks its reasons")
	}
	if other.pings != one.pings {
		t.Error("its pings are counted anew")
	}
}
