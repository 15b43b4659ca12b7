package configs

import (
	"vendue/bidder/gate"
	"vendue/exchange"
)

// pingRules reads which pings to a contract are worth sending.
func (l *loader) pingRules(t *table) gate.Rules {
	r := gate.Rules{
		Limits:    l.pingLimits(t.opt("limits")),
		Zone:      l.market.Zone,
		NoBreaker: l.word(t.opt("breaker"), 0, "on", "off") == 1,
		FullWait:  l.word(t.opt("adaptive"), 0, "on", "off") == 1,
		Throttle:  gate.Throttle(l.word(t.opt("throttle"), 0, "report", "off", "on")),
	}
	below := t.opt("throttle_below")
	if s, ok := l.text(below); ok {
		if r.Below, ok = percent(s); !ok || r.Below <= 0 || r.Below > exchange.Whole/2 {
			l.fault(below.pos, "expected a percentage above 0%% and at most 50%%, such as 1%%")
		}
		if r.Throttle == gate.ThrottleOff {
			l.fault(below.pos, "throttle is off; expected throttle: report or on beside throttle_below")
		}
	}
	return r
}

// pingLimits reads how many pings a contract, or a buyer, takes.
func (l *loader) pingLimits(n *node) (out gate.Limits) {
	t := l.table(n, "per_second", "per_minute", "per_day", "at_once")
	if n != nil && n.shape == shapeTable && len(n.entries) == 0 {
		l.fault(n.pos, "expected per_second:, per_minute:, per_day: or at_once:")
	}
	out.PerSecond = int(l.integer(t.opt("per_second"), 0, 1, whole))
	out.PerMinute = int(l.integer(t.opt("per_minute"), 0, 1, whole))
	out.PerDay = int(l.integer(t.opt("per_day"), 0, 1, whole))
	out.AtOnce = int(l.integer(t.opt("at_once"), 0, 1, whole))
	return out
}
