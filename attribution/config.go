package attribution

import (
	"net"
	"net/netip"
	"time"

	"vendue/attribution/postback"
	"vendue/exchange"
)

// Config is what the room needs to know of one accepted config.
type Config struct {
	Affiliates  []Affiliate
	Offers      []exchange.Offer
	Currency    exchange.Currency
	Hooks       []postback.Hook // sellers' webhooks
	EgressAllow []netip.Prefix  // private ranges that postbacks and webhooks may reach
	// Dial replaces the guarded dialer; for simulations. nil in production.
	Dial func(network, addr string, timeout time.Duration) (net.Conn, error)
}

// Affiliate is who brings consumers.
type Affiliate struct {
	ID        exchange.AffiliateID
	Name      string
	Postbacks []Postback
}

// Postback is one notice that an affiliate wants.
type Postback = postback.Order
