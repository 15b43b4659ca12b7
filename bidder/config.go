package bidder

import (
	"crypto/x509"
	"net"
	"time"

	"vendue/bidder/adapters/dialect"
	"vendue/bidder/gate"
	"vendue/exchange"
)

// Config is what the room needs to know of one accepted config. The transport
// (connections, dialing) outlives it: see Transport.
type Config struct {
	Contracts []Contract // parallel to exchange.Market.Contracts
	Secrets   []string   // what must not be shown of a request; nothing but the command that shows one reads them
	Breathe   func()     // called after each contract, for the caller of New to give way in; nil: New runs through
}

// Contract is how one contract's buyer is spoken to.
type Contract struct {
	Terms   *exchange.Contract
	Dialect *dialect.Format // a described format, which knows its endpoints itself; nil: the native one, and those below
	Auth    *Auth           // of a described format, nil if its headers do
	Ping    Endpoint        // empty URL: a standing price, never pinged
	Post    Endpoint
	Status  Endpoint // its URLs are a StatusURL's text; empty: the buyer tells nothing of its own accord
	Pings   gate.Rules
	Buyer   gate.Limits // of the pings to all of its buyer's contracts
	Secret  []byte      // signs posts by Standard Webhooks 1.0.0 if set
}

// Endpoint is where one phase goes.
type Endpoint struct {
	URL     string // absolute http or https
	TestURL string // where tests go instead, if set
	Headers []Header
}

// Header is one static request header.
type Header struct{ Name, Value string }

// TransportConfig bounds the connections to buyers.
type TransportConfig struct {
	Dial             func(network, addr string, timeout time.Duration) (net.Conn, error) // nil: TCP
	ConnsPerHostMax  int                                                                 // 0: 512
	WarmConnsPerHost int                                                                 // 0: 8; kept ready ahead of need
	ReplyBytesMax    int                                                                 // 0: 64 KiB, headers included
	IdleMax          time.Duration                                                       // 0: 50 s
	RootCAs          *x509.CertPool                                                      // nil: the system's
	Clock            exchange.Clock                                                      // nil: time.Now
}
