package postback

import (
	"net"
	"net/netip"
)

// Client makes requests outside any sender, under the given egress prefixes.
type Client struct{ c *client }

// NewClient returns a client; resolver nil is the system's.
func NewClient(resolver *net.Resolver, allow ...string) *Client {
	c := newClient(nil)
	var cfg Config
	for _, p := range allow {
		cfg.EgressAllow = append(cfg.EgressAllow, netip.MustParsePrefix(p))
	}
	c.use(cfg)
	d := *c.dial.Load()
	d.resolver = resolver
	c.dial.Store(&d)
	return &Client{c}
}

// Get makes one request and returns status, body and fault.
func (c *Client) Get(url string) (status int, body, fault string) {
	r, err := c.c.send(&request{url: []byte(url)})
	return r.status, string(r.body), faultOf(err)
}

// LetGo closes what is kept open, so that the next request dials.
func (c *Client) LetGo() { c.c.http.CloseIdleConnections() }

// Close ends the client.
func (c *Client) Close() { c.c.close() }
