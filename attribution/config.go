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
	Confirms    map[exchange.OfferID]Confirm    // who may tell of an offer's events
	Coupons     map[string]exchange.AffiliateID // whose each code is, by the code in lower case
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
	// Token is the SHA-256 of a secret that may tell of events of this affiliate's clicks, beside the offer's; zero: none.
	Token [32]byte
}

// Confirm says how an offer's events are told.
type Confirm struct {
	Token [32]byte // SHA-256 of the secret that a call must bear
	Pixel bool     // a browser's picture may tell too, without a secret and without an amount
}

// Postback is one notice that an affiliate wants.
type Postback = postback.Order
