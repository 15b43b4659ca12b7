package configs

import (
	"reflect"
	"testing"
	"time"

	"vendue/bidder/gate"
)

func TestPings(t *testing.T) {
	wire := mustLoad(t, with(t,
		"  acme:\n", "  acme:\n    ping_limits: {per_second: 9, at_once: 4}\n",
		"/ping\"", "/ping\", limits: {per_second: 5, per_minute: 200, per_day: 3000, at_once: 2}, breaker: off, adaptive: off, throttle: on, throttle_below: 2.5%",
	)).Bidder.Contracts[0]
	want := gate.Rules{Limits: gate.Limits{PerSecond: 5, PerMinute: 200, PerDay: 3000, AtOnce: 2}, Zone: time.UTC, NoBreaker: true, FullWait: true, Throttle: gate.ThrottleOn, Below: 25_000}
	if !reflect.DeepEqual(wire.Pings, want) || wire.Buyer != (gate.Limits{PerSecond: 9, AtOnce: 4}) {
		t.Errorf("got %+v and %+v", wire.Pings, wire.Buyer)
	}
	if wire := mustLoad(t, least(t)).Bidder.Contracts[0]; !reflect.DeepEqual(wire.Pings, gate.Rules{Zone: time.UTC}) || wire.Buyer != (gate.Limits{}) {
		t.Errorf("by default: got %+v and %+v", wire.Pings, wire.Buyer)
	}
}
